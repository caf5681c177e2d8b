package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/joho/godotenv"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// client is a tool with a recipe: a block of shell and, for some, a file that the job's repository has.
type client struct {
	command string
	file    string            // the name of the recipe's file
	fence   string            // and its language
	project map[string]string // what the repository has besides; what is here for the recipe's file is its end
	skip    string            // why it cannot run anywhere
}

// clients are those of docs/recipes.md, by heading.
var clients = map[string]client{
	"curl":          {command: "curl"},
	"Docker":        {command: "docker"},
	"npm":           {command: "npm", file: ".npmrc", fence: "ini", project: map[string]string{"package.json": "{}\n"}},
	"pip":           {command: "pip"},
	"Go":            {command: "go"},
	"Helm":          {command: "helm"},
	"Helm with OCI": {command: "helm"},
	"Terraform":     {command: "terraform", file: "main.tf", fence: "hcl"},
	"JFrog CLI":     {command: "jf", project: map[string]string{"hello.txt": "hello\n"}},
	"NuGet": {command: "dotnet", file: "nuget.config", fence: "xml",
		skip: "the embedded JFrog has no repository for NuGet"},
	// Nothing but the parent is fetched: a plugin would be one of many.
	"Maven": {command: "mvn", file: "settings.xml", fence: "xml", project: map[string]string{"pom.xml": `<project>
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>com.acme</groupId>
    <artifactId>acme-parent</artifactId>
    <version>1.0.0</version>
    <relativePath/>
  </parent>
  <artifactId>app</artifactId>
  <packaging>pom</packaging>
</project>
`}},
	"Gradle": {command: "gradle", file: "build.gradle", fence: "groovy", project: map[string]string{"build.gradle": `
apply plugin: 'base'
configurations { hello }
dependencies { hello 'com.acme:acme-hello:1.0.0' }
build.doLast { println configurations.hello.files }
`}},
}

func recipeKey(heading, language string) string {
	return "docs/recipes.md, " + heading + ", " + language
}

// clientRuns reports whether TestClients runs the snippet, or reads it as a client's file.
func clientRuns(key string) bool {
	for heading, c := range clients {
		if key == recipeKey(heading, "sh") || c.fence != "" && key == recipeKey(heading, c.fence) {
			return true
		}
	}
	return false
}

// TestClients runs every recipe that this machine has the tool for, as it is documented but for the host, against the
// embedded JFrog over TLS: it accepts the job's token, refuses a wrong one, and refuses the job's once it is revoked.
// .ci/clients/run gets tools that the machine does not have.
func TestClients(t *testing.T) {
	for heading, c := range clients {
		t.Run(heading, func(t *testing.T) {
			w := newClientWorld(t, heading, c)
			t.Parallel()
			w.jfrogToken(t, "mint")
			job, err := godotenv.Read(filepath.Join(w.Dir, ".jfrog-token", "env"))
			if err != nil {
				t.Fatal(err)
			}
			token := job["JF_ACCESS_TOKEN"]
			w.run(t, []string{"sh"}, job, http.StatusOK)
			signature := token[strings.LastIndex(token, ".")+1:]
			job["JF_ACCESS_TOKEN"] = strings.TrimSuffix(token, signature) + strings.Repeat("A", len(signature))
			w.run(t, []string{"bash"}, job, http.StatusUnauthorized)
			w.jfrogToken(t, "revoke")
			job["JF_ACCESS_TOKEN"] = token
			third := []string{"sh"}
			if _, err := exec.LookPath("busybox"); err == nil {
				third = []string{"busybox", "sh"}
			}
			w.run(t, third, job, http.StatusUnauthorized)
		})
	}
}

type clientWorld struct {
	*Site
	recipe string
	files  map[string]string
	env    map[string]string
	args   string // the file of all arguments of the client
}

// The host of the recipes is another here, that of Proxy, in the name of Terraform's variable too.
var clientHost = strings.NewReplacer("acme.jfrog.io", "jfrog.example", "acme_jfrog_io", "jfrog_example")

func newClientWorld(t *testing.T, heading string, c client) *clientWorld {
	t.Helper()
	real, err := exec.LookPath(c.command)
	_, noBash := exec.LookPath("bash")
	switch {
	case c.skip != "":
		t.Skip(c.skip)
	case raceEnabled:
		t.Skip("the scenarios send the same requests")
	case runtime.GOOS == "windows" || noBash != nil:
		t.Skip("the recipes are for POSIX shells")
	case err != nil:
		t.Skipf("%s is not installed", c.command)
	}
	site, err := NewSite(Options{
		JFrog: usual(), Network: Network{Names: []string{"jfrog.example"}, Proxy: http.StatusOK},
		Dir: t.TempDir(), Action: action, Binary: binary,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	w := &clientWorld{
		Site: site, recipe: clientHost.Replace(snippetOf(t, recipeKey(heading, "sh"))), files: map[string]string{},
		args: filepath.Join(site.Dir, "args"),
	}
	if c.file != "" {
		w.files[c.file] = clientHost.Replace(snippetOf(t, recipeKey(heading, c.fence)))
	}
	for name, text := range c.project {
		w.files[name] += text
	}
	// There is no engine: docker itself asks the registry for what a pull begins with.
	standIn := fmt.Sprintf(`#!/bin/sh
printf '%%s\n' "$@" >>'%s'
if [ "%s $1" = 'docker pull' ]; then shift; set -- manifest inspect "$@"; fi
exec '%s' "$@"
`, w.args, c.command, real)
	bin, ca := filepath.Join(site.Dir, "bin"), filepath.Join(site.Dir, "ca.pem")
	err = errors.Join(os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, c.command), []byte(standIn), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	w.env = map[string]string{
		"PATH":        bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"HTTPS_PROXY": "http://" + w.Proxy.Address,
		// From these each of them knows which authority to trust, and nothing of this machine's configuration.
		"SSL_CERT_FILE": ca, "CURL_CA_BUNDLE": ca, "PIP_CERT": ca, "NPM_CONFIG_CAFILE": ca,
		"DOCKER_HOST": "unix:///nowhere", "PIP_CONFIG_FILE": os.DevNull, "PIP_TARGET": "site-packages",
		"GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local", "CHECKPOINT_DISABLE": "1",
		"JFROG_CLI_AVOID_NEW_VERSION_WARNING": "true",
	}
	if c.command == "mvn" || c.command == "gradle" {
		w.env["JAVA_TOOL_OPTIONS"] = w.java(t, ca)
	}
	return w
}

// java is what a JVM has to be told, as it reads neither the variables nor PEM. One that runs for two seconds is slow to
// optimize.
func (w *clientWorld) java(t *testing.T, ca string) string {
	t.Helper()
	store := filepath.Join(w.Dir, "trust.p12")
	out, err := exec.Command("keytool", "-importcert", "-noprompt", "-file", ca,
		"-keystore", store, "-storetype", "PKCS12", "-storepass", "public").CombinedOutput()
	if err != nil {
		t.Skipf("keytool: %v\n%s", err, out)
	}
	host, port, _ := strings.Cut(w.Proxy.Address, ":")
	return fmt.Sprintf("-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "+
		"-Djavax.net.ssl.trustStore=%s -Djavax.net.ssl.trustStorePassword=public -Dhttps.proxyHost=%s -Dhttps.proxyPort=%s "+
		"-Duser.home=", store, host, port)
}

// jfrogToken runs a command of ours in the job.
func (w *clientWorld) jfrogToken(t *testing.T, command string) {
	t.Helper()
	cmd := exec.Command(binary, command)
	cmd.Dir = w.Dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.Dir, "HTTPS_PROXY=" + w.env["HTTPS_PROXY"],
		"JFROG_TOKEN_CA_CERT=ca.pem",
	}
	if command == "mint" {
		cmd.Env = append(cmd.Env, "JFROG_TOKEN_URL=https://jfrog.example", "JFROG_TOKEN_ACCESS_TOKEN="+w.Platform.Stored(0))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// run runs the recipe where it has not run before, and checks what the platform thought of the token, and that nothing
// secret is printed, on a command line or left behind.
func (w *clientWorld) run(t *testing.T, shell []string, job map[string]string, want int) {
	t.Helper()
	home := t.TempDir()
	work, tmp := filepath.Join(home, "work"), filepath.Join(home, "tmp")
	err := errors.Join(os.Mkdir(work, 0o755), os.Mkdir(tmp, 0o700))
	for name, text := range w.files {
		err = errors.Join(err, os.WriteFile(filepath.Join(work, name), []byte(text), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	before := len(w.Platform.Requests())
	cmd := exec.Command(shell[0], append(shell[1:], "-xeu", "-c", w.recipe)...)
	cmd.Dir = work
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + tmp}
	env := maps.Clone(w.env)
	if options, ok := env["JAVA_TOOL_OPTIONS"]; ok {
		env["JAVA_TOOL_OPTIONS"] = options + home
	}
	for _, name := range []string{"JF_URL", "JF_USER", "JF_ACCESS_TOKEN"} {
		env[name] = job[name]
	}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	w.Settle()
	if (err == nil) != (want == http.StatusOK) {
		t.Errorf("%s: %v, with a token that JFrog responds %d to\n%s", shell, err, want, out)
	}
	if got := w.statuses(t, before, job); got[want] == 0 || want != http.StatusOK && got[http.StatusOK] > 0 {
		t.Errorf("%s: expected the statuses of requests with the token to have %d: %v\n%s", shell, want, got, out)
	}
	args, err := os.ReadFile(w.args)
	if err != nil {
		t.Error(err)
	}
	if err := leak(&runnertest.Result{Raw: string(out) + string(args)}, w.Secrets(), nil); err != nil {
		t.Error(err)
	}
	w.checkLeftBehind(t, home, job["JF_USER"])
}

// statuses counts the platform's responses to requests with the job's token. There is to be none with another.
func (w *clientWorld) statuses(t *testing.T, from int, job map[string]string) map[int]int {
	t.Helper()
	basic := base64.StdEncoding.EncodeToString([]byte(job["JF_USER"] + ":" + job["JF_ACCESS_TOKEN"]))
	count := map[int]int{}
	for _, r := range w.Platform.Requests()[from:] {
		if strings.HasPrefix(r.Path, "/.well-known/") {
			continue // JFrog tells anybody where its services are; terraform sends the token there too
		}
		switch authorization := r.Header.Get("Authorization"); authorization {
		case "Bearer " + job["JF_ACCESS_TOKEN"], "Basic " + basic:
			count[r.Status]++
		case "":
		default:
			t.Errorf("%s %s: another credential is used: %s", r.Method, r.Path, authorization)
		}
	}
	return count
}

// checkLeftBehind: no file below dir has a secret in it, in any form.
func (w *clientWorld) checkLeftBehind(t *testing.T, dir, user string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, s := range w.Secrets() {
			holds := func(form string) bool { return strings.Contains(string(data), form) }
			if slices.ContainsFunc(append(derived(user, s.Value), encoded(s.Value)...), holds) {
				t.Errorf("%s is left in %s", s.Name, path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
