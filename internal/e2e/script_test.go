package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// TestScript runs every scenario: see testdata/README.md.
func TestScript(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"mint", "exec", "revoke", "check", "list", "sweep", "ci"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob(filepath.Join(root, "testdata", command, "*.txtar"))
			if err != nil {
				t.Fatal(err)
			}
			if raceEnabled { // most scenarios run the same code, and the binary that they run is the same
				var sample []string
				for i := 0; i < len(files); i += 8 {
					sample = append(sample, files[i])
				}
				files = sample
			}
			testscript.Run(t, testscript.Params{
				Files:               files,
				Setup:               setUp,
				Cmds:                commands,
				UpdateScripts:       *update,
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
			})
		})
	}
}

// TestScenariosCompareRequests: what is sent is part of every scenario. Each ends by comparing it, or by proving that it is
// nothing.
func TestScenariosCompareRequests(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "testdata", "*", "*.txtar"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d scenarios are found: %v", len(files), err)
	}
	runs := regexp.MustCompile(`(?m)^(\[[^]]*\] )?(! )?(within \S+ |signal \S+ \S+ )?(main|post|step|run|call|execute)\b.*\n`)
	compares := regexp.MustCompile(`(?m)^(cmp requests golden\.requests|sent 0)$`)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script := archive.Comment
		if all := runs.FindAllIndex(script, -1); len(all) > 0 {
			script = script[all[len(all)-1][1]:]
		}
		if !compares.Match(script) {
			t.Errorf("%s: after the last run of the binary, there is no \"cmp requests golden.requests\" and no \"sent 0\"", file)
		}
	}
}

var commands = map[string]func(*testscript.TestScript, bool, []string){
	"paired": cmdPaired, "main": cmdMain, "post": cmdPost, "step": cmdStep, "code": cmdCode, "job": cmdJob, "use": cmdUse, "alive": cmdAlive,
	"faults": cmdFaults, "age": cmdAge, "revoked-by-admin": cmdRevokedByAdmin, "sent": cmdSent, "masked": cmdMasked,
	"same-outputs-as-action": cmdSameOutputs, "proxied": cmdProxied, "platform": cmdPlatform, "services": cmdServices,
	"run": cmdRun, "call": cmdCall, "source": cmdSource, "mode": cmdMode, "dotenv": cmdDotenv, "nothing-left": cmdNothingLeft,
	"signal": cmdSignal, "within": cmdWithin, "appears": cmdAppears, "refreshed": cmdRefreshed, "issued": cmdIssued,
	"states": cmdStates, "left-over": cmdLeftOver, "long-ca": cmdLongCA, "unmasked": cmdUnmasked,
	"variables": cmdVariables, "json": cmdJSON, "another-step": cmdAnotherStep, "execute": cmdExecute, "environment": cmdEnvironment, "step-before": cmdStepBefore,
}

// scenario is a site and what one scenario did there.
type scenario struct {
	*Site
	last  *runnertest.Result
	urls  *strings.Replacer // addresses to fixed names
	extra map[string]string // what it may name in ${}, beside what every scenario may
	// platformInput names the variables of inputs on another CI than GitHub.
	platformInput func(string) string
	further       []string           // secrets, beside those of the site
	before        []*runnertest.Step // of the job
	jobAPI        *runnertest.JobAPI
	// The CI that hides values while the job runs, if it is one of these.
	azure     *runnertest.AzureAgent
	buildkite *runnertest.JobAPI
}

type scenarioKey struct{}

// usual is the platform of a scenario without jfrog.json: a stored token, and the identity mapping of an empty Config.
func usual() jfrogtest.Config {
	return jfrogtest.Config{Tokens: []jfrogtest.StoredToken{{User: "ci-bot"}}}
}

// setUp reads the scenario's files, each of which may be missing.
func setUp(env *testscript.Env) error {
	o := Options{JFrog: usual(), Dir: env.WorkDir, Action: action, Binary: binary}
	for name, decode := range map[string]func([]byte) error{
		"issuer.json":  func(b []byte) (err error) { o.Issuer, err = jfrogtest.DecodeIssuerConfig(b); return err },
		"jfrog.json":   func(b []byte) (err error) { o.JFrog, err = jfrogtest.DecodeConfig(b); return err },
		"network.json": func(b []byte) error { return strict(b, &o.Network) },
	} {
		text, err := os.ReadFile(filepath.Join(env.WorkDir, name))
		if err != nil {
			continue
		}
		if err := decode(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	o.JFrog.Sequential = true
	site, err := NewSite(o)
	if err != nil {
		return err
	}
	env.Defer(site.Close)
	s := &scenario{Site: site}
	_, jfrogAddress, _ := strings.Cut(s.Platform.URL(), "://")
	_, ciAddress, _ := strings.Cut(s.Issuer.URL(), "://")
	pairs := []string{jfrogAddress, "jfrog.test", ciAddress, "ci.test", s.Dir, "$WORK"}
	for _, a := range []string{jfrogAddress, ciAddress} { // as the job summary has them
		pairs = append(pairs, strings.ReplaceAll(a, ":", "&#58;"), "<address>")
	}
	env.Setenv("JF_URL", s.Platform.URL())
	env.Setenv("BINARY", binary)
	if s.Proxy != nil {
		env.Setenv("PROXY", s.Proxy.Address)
		pairs = append(pairs, s.Proxy.Address, "proxy.test")
	}
	if len(o.JFrog.Tokens) > 0 {
		env.Setenv("STORED", s.Platform.Stored(0))
	}
	s.urls = strings.NewReplacer(pairs...)
	env.Values[scenarioKey{}] = s
	return nil
}

func of(ts *testscript.TestScript) *scenario { return ts.Value(scenarioKey{}).(*scenario) }

// secrets lists every secret of the scenario, by name.
func (s *scenario) secrets() []jfrogtest.Secret {
	all := s.Secrets()
	for i, value := range s.further {
		all = append(all, jfrogtest.Secret{Name: fmt.Sprintf("secret %d", i+1), Value: value})
	}
	return all
}

// with reads with.yml, or another file, of the scenario.
func (s *scenario) with(ts *testscript.TestScript, file string) map[string]string {
	text, err := os.ReadFile(ts.MkAbs(file))
	if err != nil && !os.IsNotExist(err) {
		ts.Fatalf("%v", err)
	}
	with, err := inputs(s.Site, text, s.named)
	ts.Check(err)
	for _, name := range []string{"access-token", "refresh-token", "id-token"} {
		value := with[name]
		known := slices.ContainsFunc(s.secrets(), func(k jfrogtest.Secret) bool { return strings.Contains(k.Value, value) })
		if len(value) >= partLength && !known {
			s.further = append(s.further, value)
		}
	}
	return with
}

// inputs reads the with: of a step over the inputs that every step here needs. It may name in ${} what a scenario cannot
// know.
func inputs(s *Site, text []byte, named func(string) string) (map[string]string, error) {
	with := s.Inputs()
	var given map[string]string
	if err := yaml.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	for k, v := range given {
		with[k] = os.Expand(v, named)
	}
	return with, nil
}

func (s *scenario) named(name string) string {
	if v, ok := s.extra[name]; ok {
		return v
	}
	return s.Site.named(name)
}

func (s *Site) named(name string) string {
	idToken := func(lifetime time.Duration) string {
		return s.Issuer.Mint("https://github.com/acme", map[string]any{"exp": time.Now().Add(lifetime).Unix()})
	}
	switch name {
	case "JF_URL":
		return s.Platform.URL()
	case "JF_PORT":
		return s.Platform.URL()[strings.LastIndexByte(s.Platform.URL(), ':')+1:]
	case "WORK":
		return s.Dir
	case "CI_URL":
		return s.Issuer.URL()
	case "STORED":
		return s.Platform.Stored(0)
	case "OTHER":
		return s.Platform.Stored(1)
	case "STORED_REFRESH":
		return s.Platform.StoredRefresh(0)
	case "TOKEN", "REFRESH_TOKEN", "REFERENCE_TOKEN":
		return s.Step.Outputs[strings.ToLower(strings.ReplaceAll(name, "_", "-"))]
	case "ID_TOKEN":
		return s.Issuer.Mint("https://github.com/acme", nil)
	case "ID_TOKEN_ENDING":
		return idToken(30 * time.Second)
	case "ID_TOKEN_EXPIRED":
		return idToken(-time.Minute)
	}
	return "${" + name + "}"
}

// cmdMain runs the main step with with.yml, or with the file that is named:
// "main" or "main other.yml".
func cmdMain(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	file := "with.yml"
	if len(args) > 0 {
		file = args[0]
	}
	s.Step.With = s.with(ts, file)
	s.runStep(ts, neg, s.Main())
}

// cmdPost runs the post step.
func cmdPost(ts *testscript.TestScript, neg bool, _ []string) {
	s := of(ts)
	s.runStep(ts, neg, s.Post())
}

// cmdStep runs the binary as the command of a run: step, in the directory workspace: "step mint", with what is in
// with.yml as its env:, "step mint other.yml --expires-in 5m", "step revoke", with nothing.
func cmdStep(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	s.runStep(ts, neg, s.script(ts, args))
}

// script prepares a run: step. The outputs are those of the last one that minted.
func (s *scenario) script(ts *testscript.TestScript, args []string) *runnertest.Process {
	var with map[string]string
	switch {
	case len(args) > 1 && strings.HasSuffix(args[1], ".yml"):
		with = s.with(ts, args[1])
		args = slices.Delete(slices.Clone(args), 1, 2)
	case args[0] == "mint", args[0] == "exec":
		with = s.with(ts, "with.yml")
	}
	if args[0] == "mint" {
		s.Step.Outputs = nil
	}
	workspace := filepath.Join(s.Dir, "workspace")
	ts.Check(os.MkdirAll(workspace, 0o755))
	p := s.Runner.Script(s.Step, s.inputVariables(with, naming["plain"]), binary, args...)
	p.Cmd.Dir = workspace
	return p
}

func (s *scenario) runStep(ts *testscript.TestScript, neg bool, p *runnertest.Process) {
	res, err := run(p, time.Minute)
	ts.Check(err)
	s.finish(ts, neg, res)
}

// finish writes what a scenario compares: log, outputs, requests, summary; and looks for secrets where none may be.
func (s *scenario) finish(ts *testscript.TestScript, neg bool, res *runnertest.Result) {
	ts.Check(res.Err)
	s.last = res
	ts.Check(leak(res, s.secrets(), hiddenLines(s.Runner.Env)))
	ts.Check(leak(&runnertest.Result{Raw: res.Stdout}, s.secrets(), nil)) // goes into files: a mask has no place there
	fmt.Fprint(ts.Stdout(), res.Log)
	s.write(ts, "log", res.Log)
	s.write(ts, "results", res.Stdout)
	s.write(ts, "messages", res.Stderr)
	s.write(ts, "summary", res.Summary)
	s.write(ts, "outputs", renderOutputs(s.Step.Outputs))
	s.write(ts, "exported", renderOutputs(res.Env))
	s.write(ts, "requests", renderRequests(s.Site))
	if neg == (res.Code == 0) {
		ts.Fatalf("exit code %d\n%s", res.Code, res.Log)
	}
}

// write writes a file for comparison.
func (s *scenario) write(ts *testscript.TestScript, name, text string) {
	ts.Check(os.WriteFile(filepath.Join(s.Dir, name), []byte(s.fixed(text)), 0o600))
}

// cmdCode compares the exit code of the last step.
func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(of(ts).last.Code); got != args[0] {
		ts.Fatalf("expected exit code %s to be %s", got, args[0])
	}
}

// cmdJob sets variables of the job: NAME=VALUE, or -NAME to remove one.
func cmdJob(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "-"); ok {
			delete(s.Runner.Env, name)
			continue
		}
		name, value, _ := strings.Cut(a, "=")
		if name == "RUNNER_DEBUG" {
			s.Runner.Debug = true
			continue
		}
		s.Runner.Env[name] = value
	}
}

// cmdUse sends a request with an output, as a later step would, and compares the status: "use 200", "use 401
// reference-token", "use basic 200".
func cmdUse(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	user, output := "", "token"
	if args[0] == "basic" {
		user, args = s.Step.Outputs["username"], args[1:]
	}
	if len(args) > 1 {
		output = args[1]
	}
	status, err := s.Use(user, s.Step.Outputs[output])
	ts.Check(err)
	if got := strconv.Itoa(status); got != args[0] {
		ts.Fatalf("expected status %s to be %s", got, args[0])
	}
}

// cmdAlive compares the number of tokens that the platform would accept, other
// than those that were there before.
func cmdAlive(ts *testscript.TestScript, _ bool, args []string) {
	alive := of(ts).Platform.Alive()
	if got := strconv.Itoa(len(alive)); got != args[0] {
		ts.Fatalf("expected %s tokens alive to be %s: %+v", got, args[0], alive)
	}
}

// cmdFaults sets faults from a file: "faults jfrog faults.json".
func cmdFaults(ts *testscript.TestScript, _ bool, args []string) {
	var faults []jfrogtest.Fault
	ts.Check(strict([]byte(ts.ReadFile(args[1])), &faults))
	if args[0] == "jfrog" {
		of(ts).Platform.SetFaults(faults)
	} else {
		of(ts).Issuer.SetFaults(faults)
	}
}

// cmdRevokedByAdmin has somebody else revoke the token before the job ends.
func cmdRevokedByAdmin(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	path := "/access/api/v1/tokens/" + s.Step.Outputs["token-id"]
	status, err := s.Send(http.MethodDelete, path, "Bearer "+s.Step.Outputs["token"])
	ts.Check(err)
	if status != http.StatusOK {
		ts.Fatalf("DELETE: %d", status)
	}
}

// cmdSent compares the number of requests that the platform and the CI got.
func cmdSent(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	ci, jfrog := s.Sent()
	if got := strconv.Itoa(len(ci) + len(jfrog)); got != args[0] {
		ts.Fatalf("expected %s requests to be %s:\n%s", got, args[0], renderRequests(s.Site))
	}
}

// cmdMasked checks that each output named is hidden by the masks, alone and as
// base64 of user:token.
func cmdMasked(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	for _, name := range args {
		v := s.Step.Outputs[name]
		if v == "" {
			ts.Fatalf("no output %s", name)
		}
		for _, form := range derived(s.Step.Outputs["username"], v) {
			if hidden := !strings.Contains(s.mask("x "+form+" y"), form); hidden == neg {
				ts.Fatalf("expected masked to be %t: %s", !neg, name)
			}
		}
	}
}

// mask shows text as the log of a later step would.
func (s *scenario) mask(text string) string {
	switch {
	case s.azure != nil:
		return s.azure.Mask(text)
	case s.buildkite != nil:
		return s.buildkite.Mask(text)
	}
	return s.Runner.Mask(text)
}

// cmdSameOutputs compares the outputs that were set with those that action.yml
// declares.
func cmdSameOutputs(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	declared := map[string]bool{}
	for name := range s.Step.Action.Outputs {
		declared[name] = true
	}
	set := map[string]bool{}
	for name := range s.Step.Outputs {
		set[name] = true
	}
	if !maps.Equal(declared, set) {
		ts.Fatalf("expected outputs %v to be %v", set, declared)
	}
}

// cmdJSON checks that a file is one JSON document: "json results".
func cmdJSON(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), new(any)))
}

// cmdProxied compares the number of tunnels that the proxy opened.
func cmdProxied(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(int(of(ts).Proxy.Tunnels.Load())); got != args[0] {
		ts.Fatalf("expected %s tunnels to be %s", got, args[0])
	}
}

func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
