package e2e

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/joho/godotenv"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// snippetRuns are the snippets of the documentation that TestSnippets runs, by their key: the environment is that of a
// scenario in testdata/ci, or GitHub's. snippetjobs_test.go reads a snippet as its CI does.
var snippetRuns = map[string]struct {
	read     func(text string) (snippetJob, error)
	scenario string
}{
	"README.md, jfrog-token, yaml":                             {gitHubJob, ""},
	"README.md, With a stored token, yaml":                     {gitHubJob, ""},
	"docs.md, JFrog token, yaml":                               {woodpeckerJob, "a-Woodpecker-pipeline-sources-the-token-and-revokes-it"},
	"docs/ci.md, Woodpecker, yaml":                             {woodpeckerJob, "a-Woodpecker-pipeline-sources-the-token-and-revokes-it"},
	"docs/ci.md, GitHub Actions, yaml":                         {gitHubJob, ""},
	"docs/ci.md, Forgejo Actions, yaml":                        {forgejoJob, ""},
	"docs/ci.md, Harness, yaml":                                {harnessJob, "a-Harness-step-gives-plain-and-secret-outputs-in-their-files"},
	"docs/ci.md, Harness, several steps, yaml":                 {harnessJob, "a-Harness-step-gives-plain-and-secret-outputs-in-their-files"},
	"docs/ci.md, GitLab, yaml":                                 {gitLabJob, "an-ID-token-is-taken-from-a-GitLab-variable"},
	"docs/ci.md, GitLab, several steps, yaml":                  {gitLabJob, "an-ID-token-is-taken-from-a-GitLab-variable"},
	"docs/ci.md, Buildkite, yaml":                              {buildkiteJob, "an-ID-token-is-asked-for-at-the-Buildkite-agent"},
	"docs/ci.md, Buildkite, several steps, yaml":               {buildkiteJob, "an-ID-token-is-asked-for-at-the-Buildkite-agent"},
	"docs/ci.md, CircleCI, yaml":                               {circleCIJob, "an-ID-token-is-taken-from-CircleCI-and-its-fixed-audience-told"},
	"docs/ci.md, CircleCI, several steps, yaml":                {circleCIJob, "an-ID-token-is-taken-from-CircleCI-and-its-fixed-audience-told"},
	"docs/ci.md, Azure DevOps, yaml":                           {azureJob, "an-ID-token-is-asked-for-at-the-Azure-DevOps-endpoint"},
	"docs/ci.md, Azure DevOps, several steps, yaml":            {azureJob, "an-ID-token-is-asked-for-at-the-Azure-DevOps-endpoint"},
	"docs/ci.md, Bitbucket Pipelines, yaml":                    {bitbucketJob, "an-ID-token-is-taken-from-Bitbucket"},
	"docs/ci.md, Bitbucket Pipelines, several steps, yaml":     {bitbucketJob, "an-ID-token-is-taken-from-Bitbucket"},
	"docs/ci.md, Jenkins, groovy":                              {jenkinsJob, "an-ID-token-is-bound-to-any-name-in-Jenkins"},
	"docs/ci.md, Jenkins, several steps, groovy":               {jenkinsJob, "an-ID-token-is-bound-to-any-name-in-Jenkins"},
	"docs/ci.md, Codefresh, yaml":                              {codefreshJob, "an-ID-token-is-taken-from-Codefresh"},
	"docs/ci.md, Codefresh, several steps, yaml":               {codefreshJob, "an-ID-token-is-taken-from-Codefresh"},
	"docs/ci.md, Google Cloud Build, yaml":                     {cloudBuildJob, "an-ID-token-is-asked-for-at-the-metadata-server-in-Cloud-Build"},
	"docs/ci.md, Google Cloud Build, several commands, yaml":   {cloudBuildJob, "an-ID-token-is-asked-for-at-the-metadata-server-in-Cloud-Build"},
	"docs/ci.md, Anywhere else, sh":                            {shellJob, "on-a-command-line-an-ID-token-is-taken-from-the-variable-of-the-JFrog-CLI"},
	"docs/ci.md, Anywhere else, several commands, sh":          {shellJob, "on-a-command-line-an-ID-token-is-taken-from-the-variable-of-the-JFrog-CLI"},
	"docs/ci.md, Tokens that canceled jobs leave behind, yaml": {gitHubJob, ""},
	"docs/setup.md, Check it, yaml":                            {gitHubJob, ""},
	"docs/drone.md, JFrog token, a Drone plugin, yaml":         {droneJob, "a-Drone-pipeline-sources-the-token-and-revokes-it"},
	"docs/ci.md, Drone, yaml":                                  {droneJob, "a-Drone-pipeline-sources-the-token-and-revokes-it"},
	"docs/migrate.md, Check first, yaml":                       {gitHubJob, ""},
	"docs/migrate.md, Revoke the old token last, sh":           {shellJob, "on-a-command-line-an-ID-token-is-taken-from-the-variable-of-the-JFrog-CLI"},
}

// buildScript is what the snippets of exec run.
const buildScript = "docs/ci.md, One command, sh"

const migrationDiffs = "TestMigrationDiffs reads it; the snippets of other pages run its steps"

// snippetSkips are those that TestSnippets does not run, and why.
var snippetSkips = map[string]string{
	"README.md, jfrog-token, sh":                                   "the demo and these very tests",
	"README.md, Other CIs, sh":                                     "docs/ci.md has it for each CI",
	"docs/ci.md, Install, sh":                                      "TestInstallSnippet runs it",
	"docs/ci.md, Install, powershell":                              "there is no PowerShell here",
	"docs/ci.md, Install, dockerfile":                              ".ci/image/run looks into the image; there is no engine here",
	"docs/troubleshooting.md, No permission for an ID token, yaml": "no commands",
	"docs/troubleshooting.md, A pull request from a fork, yaml":    "no commands",
	"docs/troubleshooting.md, A run of Dependabot, yaml":           "no commands",
	"docs/refresh.md, A job that outlives its token, yaml":         "a-token-is-refreshed-by-a-later-step has its two steps",
	"docs/ci.md, Anywhere else, powershell":                        "there is no PowerShell here",
	"docs/ci.md, Anywhere else, several commands, powershell":      "there is no PowerShell here",
	buildScript: "the snippets of exec run it",
	"docs/connect.md, A token for the API of Connect, yaml": "it needs JFrog Connect; scenarios of verify send the request",
	"docs/setup.md, By REST: the integration, sh":           "the embedded JFrog's integrations come from its configuration",
	"docs/setup.md, By REST: the identity mapping, sh":      "the embedded JFrog's mappings come from its configuration",
	"docs/setup.md, With Terraform, hcl":                    "it needs Terraform's provider for JFrog",
	"docs/setup.md, An environment, json":                   "no commands",
	"docs/setup.md, Branches and pull requests, json":       "no commands",
	"docs/setup.md, A reusable workflow, json":              "no commands",
	"docs/setup.md, With a stored token, sh":                "it needs an administrator's token",
	"docs/recipes.md, GitHub: docker/login-action, yaml":    "the action of others",
	"docs/recipes.md, GitHub: jfrog/setup-jfrog-cli, yaml":  "the action of others",
	"docs/migrate.md, For the outputs, diff":                migrationDiffs,
	"docs/migrate.md, For JFrog CLI, diff":                  migrationDiffs,
	"docs/migrate.md, A stored token on GitHub, diff":       migrationDiffs,
	"docs/migrate.md, A stored token on another CI, diff":   migrationDiffs,
}

// snippet is a fence of the documentation.
type snippet struct{ key, kind, text string }

// snippets are all fences, in order. A key is the file, the heading and the language: two of a language below a heading
// need another heading between them.
func snippets(t *testing.T) []snippet {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^#+ ([^\n]*)$|^```(\\w+)\n(.*?)^```$")
	var all []snippet
	for _, file := range append(files, filepath.Join(root, "README.md"), filepath.Join(root, "docs.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(root, file)
		heading := ""
		for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
			if m[1] != "" {
				heading = m[1]
				continue
			}
			all = append(all, snippet{fmt.Sprintf("%s, %s, %s", filepath.ToSlash(name), heading, m[2]), m[2], m[3]})
		}
	}
	return all
}

func snippetOf(t *testing.T, key string) string {
	t.Helper()
	for _, s := range snippets(t) {
		if s.key == key {
			return s.text
		}
	}
	t.Fatalf("there is no snippet %q", key)
	return ""
}

// TestEverySnippetRuns: a snippet is run, or there is a reason why not.
func TestEverySnippetRuns(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range snippets(t) {
		_, runs := snippetRuns[s.key]
		_, skipped := snippetSkips[s.key]
		if (runs || clientRuns(s.key)) == skipped || seen[s.key] {
			t.Errorf("%q: expected it to be run or skipped, and its key to be unique", s.key)
		}
		seen[s.key] = true
	}
	for _, key := range slices.Concat(slices.Collect(maps.Keys(snippetRuns)), slices.Collect(maps.Keys(snippetSkips))) {
		if !seen[key] {
			t.Errorf("%q: there is no such snippet", key)
		}
	}
}

// shells skips the test if there are none, and returns what runs the steps of a snippet: with each of the flags its own
// shell, and with the last ones all shells that may be the sh of an image.
func shells(t *testing.T, job snippetJob, flags ...string) [][]string {
	t.Helper()
	switch {
	case raceEnabled:
		t.Skip("the scenarios send the same requests")
	case runtime.GOOS == "windows":
		t.Skip("the snippets are for POSIX shells")
	}
	var list [][]string
	for _, f := range flags {
		list = append(list, []string{"sh", f})
	}
	for _, name := range []string{"sh", "bash", "curl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("the snippets need %s", name)
		}
	}
	if _, err := exec.LookPath("busybox"); err == nil && job.posix() {
		list = append(list, []string{"busybox", "sh", flags[len(flags)-1]})
	}
	return list
}

// TestSnippets runs every snippet as its CI would, against the embedded JFrog: only the platform's URL and the secrets
// are others. curl must get 200 with the job's token, which must be dead at the end and nowhere in what was printed or
// on a command line.
func TestSnippets(t *testing.T) {
	t.Parallel()
	for key, r := range snippetRuns {
		job, err := r.read(snippetOf(t, key))
		if err != nil {
			t.Errorf("%s: %v", key, err)
		}
		for _, shell := range shells(t, job, "-e", "-xe") { // Jenkins runs sh -xe
			t.Run(key+", "+strings.Join(shell, " "), func(t *testing.T) {
				t.Parallel()
				w := newSnippetWorld(t, key, r.scenario, `exec "$real" "$@"`)
				job, _ := r.read(w.text)
				for _, step := range job.steps {
					if code := w.run(t, shell, job, step); code != 0 {
						t.Errorf("%q: exit code %d\n%s", step.name(), code, &w.log)
					}
				}
				w.post(t)
				w.check(t, strings.Count(w.text, "curl ")+strings.Count(w.text, "./build.sh"))
			})
		}
	}
}

// TestSnippetTraps: a snippet with traps revokes the token after each signal that a CI sends, in every shell.
func TestSnippetTraps(t *testing.T) {
	t.Parallel()
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM}
	traps := 0
	for key, r := range snippetRuns {
		if !strings.Contains(snippetOf(t, key), "trap ") {
			continue
		}
		traps++
		job, err := r.read(snippetOf(t, key))
		if err != nil {
			t.Errorf("%s: %v", key, err)
		}
		all := shells(t, job, "-e")
		if job.posix() {
			all = append(all, []string{"bash", "-e"})
		}
		for name, number := range signals {
			if signal.Ignored(number) {
				continue // a shell cannot trap what was ignored when it started
			}
			for _, shell := range all {
				t.Run(fmt.Sprintf("%s, %s, %s", key, name, strings.Join(shell, " ")), func(t *testing.T) {
					t.Parallel()
					w := newSnippetWorld(t, key, r.scenario, `"$real" "$@"; kill -`+name+` $PPID; sleep 1`)
					job, _ := r.read(w.text)
					if code := w.run(t, shell, job, job.steps[0]); code != 128+int(number) {
						t.Errorf("expected exit code %d to be %d\n%s", code, 128+int(number), &w.log)
					}
					w.check(t, 1)
				})
			}
		}
	}
	if traps < 3 {
		t.Errorf("%d snippets with traps are found", traps)
	}
}

// snippetWorld is where a snippet runs: a platform, a CI, and a workspace that the steps share.
type snippetWorld struct {
	*Site
	text  string
	work  string
	env   map[string]string // of the job
	named func(string) string
	// outputs and agent have what a step hands on to later ones, on GitHub and in Azure DevOps.
	outputs map[string]string
	agent   *runnertest.AzureAgent
	log     strings.Builder
	args    string // the file of all arguments of curl
}

var providerIn = regexp.MustCompile(`(?i)OIDC[-_]PROVIDER[-_]NAME['"]?\s*[:=]\s*['"]?([a-z-]+)`)

// newSnippetWorld makes one. curl is the shell script that stands in for curl; $real is the real one.
func newSnippetWorld(t *testing.T, key, scenario, curl string) *snippetWorld {
	t.Helper()
	text := snippetOf(t, key)
	mappings := []jfrogtest.Mapping{{
		Name: "ci", Claims: map[string]any{"repository": "acme/app"}, TokenSpec: jfrogtest.TokenSpec{
			Username: "ci-bot", Scope: "applied-permissions/user", ExpiresIn: 600, SelfRevocable: true,
		},
	}}
	config := jfrogtest.Config{Sequential: true, Tokens: usual().Tokens, Providers: []jfrogtest.Provider{}}
	for _, m := range providerIn.FindAllStringSubmatch(text, -1) {
		config.Providers = append(config.Providers, jfrogtest.Provider{Name: m[1], Mappings: mappings})
	}
	site, err := NewSite(Options{
		JFrog: config, Network: Network{Plain: true}, Dir: t.TempDir(), Action: action, Binary: binary,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	w := &snippetWorld{
		Site: site, text: strings.ReplaceAll(text, "https://acme.jfrog.io", site.Platform.URL()),
		work: filepath.Join(site.Dir, "workspace"), args: filepath.Join(site.Dir, "args"),
		outputs: map[string]string{}, agent: runnertest.NewAzureAgent(),
	}
	bin := filepath.Join(site.Dir, "bin")
	real, err := exec.LookPath("curl")
	standIn := fmt.Sprintf("#!/bin/sh\nreal=%s\nprintf '%%s\\n' \"$@\" >>%s\n%s\n", real, w.args, curl)
	for _, err := range []error{
		err, os.Mkdir(w.work, 0o755), os.WriteFile(filepath.Join(w.work, "build.sh"), []byte(snippetOf(t, buildScript)), 0o755), os.Mkdir(bin, 0o755), os.Symlink(binary, filepath.Join(bin, "jfrog-token")),
		os.WriteFile(filepath.Join(site.Dir, ".jfrog-access-token"), []byte(site.Platform.Stored(0)+"\n"), 0o600),
		os.WriteFile(filepath.Join(bin, "curl"), []byte(standIn), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.services(t)
	if scenario == "" {
		w.env = site.Runner.Env
	} else {
		w.env = scenarioEnv(t, scenario, w.named)
	}
	maps.Copy(w.env, quick)
	w.env["PATH"], w.env["HOME"] = bin+string(filepath.ListSeparator)+os.Getenv("PATH"), site.Dir
	return w
}

// services starts those at which a CI issues ID tokens, and names what a scenario cannot know.
func (w *snippetWorld) services(t *testing.T) {
	t.Helper()
	issue := func(audience string) string { return w.Issuer.Mint(audience, nil) }
	ci, metadata := httptest.NewServer(ciServices(issue)), httptest.NewServer(metadataServer(issue))
	t.Cleanup(ci.Close)
	t.Cleanup(metadata.Close)
	jobAPI, err := runnertest.NewJobAPI(jobAPIToken)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(jobAPI.Close)
	values := map[string]string{
		"BUILDKITE": ci.URL + "/v3", "BUILDKITE_TOKEN": buildkiteToken,
		"AZURE": ci.URL + "/azure/oidctoken", "AZURE_TOKEN": azureToken,
		"GCE":    strings.TrimPrefix(metadata.URL, "http://"),
		"STORED": w.Platform.Stored(0), "JOB_API_SOCKET": jobAPI.Socket, "JOB_API_TOKEN": jobAPIToken,
	}
	w.named = func(name string) string {
		if v, ok := values[name]; ok {
			return v
		}
		return w.Site.named(name)
	}
}

// scenarioEnv is the environment of a scenario in testdata/ci, without inputs: those are the snippet's.
func scenarioEnv(t *testing.T, name string, named func(string) string) map[string]string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join(root, "testdata", "ci", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".env") && !strings.HasPrefix(f.Name, "golden") {
			if env, err = godotenv.Parse(strings.NewReader(os.Expand(string(f.Data), named))); err != nil {
				t.Fatal(err)
			}
		}
	}
	others := []string{"HTTP_PROXY", "DRONE_OUTPUT", "HARNESS_OUTPUT_SECRET_FILE"} // of the scenario's own world
	maps.DeleteFunc(env, func(name, _ string) bool {
		return strings.HasPrefix(name, "JFROG_") || slices.Contains(others, name)
	})
	return env
}

// run runs one step in a shell of its own, and returns its exit code. A step that asks for bash gets bash, with the
// same flags as sh.
func (w *snippetWorld) run(t *testing.T, sh []string, job snippetJob, s snippetStep) int {
	t.Helper()
	command := append(slices.Clone(sh), "-c", s.script)
	switch {
	case s.settings != nil && job.settingName == nil:
		return w.action(t, s)
	case s.settings != nil:
		command = []string{binary}
	case s.bash:
		command = []string{"bash", sh[len(sh)-1], "-c", s.script}
	}
	env := map[string]string{}
	maps.Copy(env, job.env)
	maps.Copy(env, s.env)
	for name, value := range s.settings {
		env[job.settingName(name)] = value
	}
	for name, value := range env {
		env[name] = w.expand(t, value)
	}
	if job.gitHub {
		return w.runGitHub(t, command, env)
	}
	maps.Copy(env, w.agent.Environment())
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = w.work
	for _, all := range []map[string]string{w.env, env} {
		for name, value := range all {
			if s.settings == nil || !strings.HasPrefix(name, "JFROG_") {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
		}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	w.log.WriteString(w.agent.Read(string(out)))
	return cmd.ProcessState.ExitCode()
}

var expression = regexp.MustCompile(`\$\{\{ *([\w.-]+) *\}\}|\$\(([\w.]+)\)`)

// expand puts in what the CI does: secrets, outputs of steps, variables.
func (w *snippetWorld) expand(t *testing.T, value string) string {
	return expression.ReplaceAllStringFunc(value, func(e string) string {
		m := expression.FindStringSubmatch(e)
		name := m[1] + m[2]
		switch {
		case strings.HasPrefix(name, "secrets."):
			return w.Platform.Stored(0)
		case name == "idToken":
			return w.named("ID_TOKEN")
		case name == "System.AccessToken":
			return azureToken
		}
		v := cmp.Or(w.outputs[strings.TrimPrefix(name, "steps.jfrog.outputs.")], w.agent.Variables[name])
		if v == "" {
			t.Errorf("nothing has set %s", e)
		}
		return v
	})
}

// action runs the main step of the action.
func (w *snippetWorld) action(t *testing.T, s snippetStep) int {
	t.Helper()
	w.Step.With = map[string]string{}
	for name, value := range s.settings {
		w.Step.With[name] = w.expand(t, value)
	}
	res, err := run(w.Main(), tooLong)
	if err != nil {
		t.Fatal(err)
	}
	w.printed(t, res)
	maps.Copy(w.outputs, w.Step.Outputs)
	return res.Code
}

// post runs its post step, if there was a main step.
func (w *snippetWorld) post(t *testing.T) {
	t.Helper()
	if w.Step.With["url"] == "" || w.Step.State == nil {
		return
	}
	res, err := run(w.Post(), tooLong)
	if err != nil {
		t.Fatal(err)
	}
	w.printed(t, res)
	if res.Code != 0 {
		t.Errorf("post: exit code %d\n%s", res.Code, res.Log)
	}
}

// runGitHub runs a run: step.
func (w *snippetWorld) runGitHub(t *testing.T, command []string, env map[string]string) int {
	t.Helper()
	step := &runnertest.Step{Action: &runnertest.Action{}}
	p := w.Runner.Command(step, command[0], command[1:]...)
	p.Cmd.Dir = w.work
	for name, value := range env {
		p.Cmd.Env = append(p.Cmd.Env, name+"="+value)
	}
	res, err := run(p, tooLong)
	if err != nil {
		t.Fatal(err)
	}
	w.printed(t, res)
	maps.Copy(w.outputs, step.Outputs)
	return res.Code
}

func (w *snippetWorld) printed(t *testing.T, res *runnertest.Result) {
	t.Helper()
	if err := leak(res, w.secrets(), githubHidden); err != nil {
		t.Error(err)
	}
	w.log.WriteString(res.Log)
}

func (w *snippetWorld) secrets() []jfrogtest.Secret {
	all := w.Secrets()
	for _, value := range []string{buildkiteToken, jobAPIToken, azureToken} {
		all = append(all, jfrogtest.Secret{Name: "the CI's token", Value: value})
	}
	return all
}

// check checks what holds at the end of every job.
func (w *snippetWorld) check(t *testing.T, uses int) {
	t.Helper()
	w.Settle()
	for _, r := range w.Platform.Requests() {
		if r.Path != "/artifactory/api/repositories" {
			continue
		}
		uses--
		if r.Status != http.StatusOK || r.Header.Get("Authorization") == "Bearer "+w.Platform.Stored(0) {
			t.Errorf("curl got %d, with %s", r.Status, r.Header.Get("Authorization"))
		}
	}
	if uses != 0 {
		t.Errorf("%d requests of curl are missing\n%s", uses, &w.log)
	}
	for _, token := range w.Platform.Alive() {
		t.Errorf("a token is alive at the end: %+v\n%s", token, &w.log)
	}
	args, _ := os.ReadFile(w.args) // none if there is no curl
	if err := leak(&runnertest.Result{Raw: w.log.String() + string(args)}, w.secrets(), nil); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(w.work, ".jfrog-token*")); left != nil {
		t.Errorf("left in the workspace: %v", left)
	}
}

// TestInstallSnippet: the binary is installed if its digest is right, and only then, in any shell.
func TestInstallSnippet(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the snippet is for Linux and macOS")
	}
	const dir = "/ephemeral-ci/jfrog-token/releases/download/v1.0.0/"
	text := snippetOf(t, "docs/ci.md, Install, sh")
	const amd64, arm64 = "jfrog-token-linux-amd64", "jfrog-token-linux-arm64"
	files := map[string]string{
		amd64: "the binary of amd64\n", arm64: "the binary of arm64\n",
		"jfrog-token-darwin-amd64": "that of macOS\n", "jfrog-token-darwin-arm64": "that of macOS on arm64\n",
	}
	line := func(name, of string) string { return fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(of)), name) }
	right := "" // as .ci/dist writes it
	for _, name := range slices.Sorted(maps.Keys(files)) {
		right += line(name, files[name])
	}
	tests := map[string]struct{ machine, sums, want string }{
		"amd64":           {"Linux x86_64", right, files[amd64]},
		"arm64":           {"Linux aarch64", right, files[arm64]},
		"macOS, amd64":    {"Darwin x86_64", right, files["jfrog-token-darwin-amd64"]},
		"macOS, arm64":    {"Darwin arm64", right, files["jfrog-token-darwin-arm64"]},
		"another machine": {"Linux riscv64", right, ""},
		"another system":  {"FreeBSD x86_64", right, ""},
		"wrong digest":    {"Linux x86_64", line(amd64, "another") + line(arm64, files[arm64]), ""},
		"no digest":       {"Linux x86_64", line(arm64, files[arm64]), ""},
		"no SHA256SUMS":   {"Linux x86_64", "", ""},
	}
	for name, test := range tests {
		job := snippetJob{steps: []snippetStep{{script: text}}}
		for _, shell := range append(shells(t, job, "-e"), []string{"sh"}) {
			t.Run(name+", "+strings.Join(shell, " "), func(t *testing.T) {
				t.Parallel()
				release := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					file, ok := strings.CutPrefix(r.URL.Path, dir)
					stored, ok2 := strings.CutPrefix(r.URL.Path, "/stored/")
					content := map[string]string{"SHA256SUMS": test.sums}
					maps.Copy(content, files)
					switch {
					case ok: // as GitHub does
						http.Redirect(rw, r, "/stored/"+file, http.StatusFound)
					case ok2 && content[stored] != "":
						_, _ = rw.Write([]byte(content[stored]))
					default:
						http.NotFound(rw, r)
					}
				}))
				t.Cleanup(release.Close)
				path, to := installTools(t, shell, test.machine), t.TempDir()
				script := strings.NewReplacer("https://github.com", release.URL, "/usr/local/bin", to).Replace(text)
				cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), "-c", script)...)
				cmd.Dir = t.TempDir()
				cmd.Env = []string{"PATH=" + path, "TMPDIR=" + t.TempDir()}
				out, err := cmd.CombinedOutput()
				installed := filepath.Join(to, "jfrog-token")
				if entries, _ := os.ReadDir(to); test.want == "" && len(entries) > 0 {
					t.Errorf("installed %v\n%s", entries, out)
				}
				got, _ := os.ReadFile(installed)
				if string(got) != test.want || (err == nil) != (test.want != "") {
					t.Errorf("expected %q to be %q: %v\n%s", got, test.want, err, out)
				}
				if info, err := os.Stat(installed); test.want != "" && (err != nil || info.Mode().Perm() != 0o755) {
					t.Errorf("not to be run: %v, %v", info, err)
				}
			})
		}
	}
}

// installTools returns a PATH with an uname of that system and machine. For busybox there are no tools but its own, and curl.
func installTools(t *testing.T, shell []string, machine string) string {
	t.Helper()
	first, own := t.TempDir(), t.TempDir()
	system, machine, _ := strings.Cut(machine, " ")
	uname := fmt.Sprintf("#!/bin/sh\ncase $1 in -s) echo %s ;; -m) echo %s ;; esac\n", system, machine)
	err := os.WriteFile(filepath.Join(first, "uname"), []byte(uname), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if shell[0] != "busybox" {
		return first + ":" + os.Getenv("PATH")
	}
	busybox, err := exec.LookPath("busybox")
	curl, err2 := exec.LookPath("curl")
	err = errors.Join(err, err2, os.Symlink(curl, filepath.Join(own, "curl")))
	for _, name := range []string{"busybox", "cat", "chmod", "cp", "grep", "mktemp", "mv", "rm", "sed", "sha256sum"} {
		err = errors.Join(err, os.Symlink(busybox, filepath.Join(own, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return first + ":" + own
}
