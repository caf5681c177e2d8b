package main_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// binary is the program under test, built as a release is but for the race
// detector, which it has where the tests have it.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "jfrog-token")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "jfrog-token")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	args := []string{"build", "-o", binary, "-tags", "nethttpomithttp2", "-ldflags", "-X github.com/ephemeral-ci/jfrog-token/internal/app.version=v0.0.0-test"}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, ".")...)
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %v\n%s", err, out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// TestScript runs every scenario: see testdata/script/README.md.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"main": cmdMain, "post": cmdPost, "code": cmdCode, "job": cmdJob,
			"use": cmdUse, "alive": cmdAlive, "faults": cmdFaults, "age": cmdAge, "revoked-by-admin": cmdRevokedByAdmin,
			"sent": cmdSent, "masked": cmdMasked, "same-outputs-as-action": cmdSameOutputs,
		},
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// world is what one scenario has around it: a JFrog Platform and a CI, on TLS
// under an authority of their own, and a runner.
type world struct {
	platform *jfrogtest.Platform
	issuer   *jfrogtest.Issuer
	runner   *runnertest.Runner
	step     *runnertest.Step
	dir      string
	urls     *strings.Replacer // volatile addresses to fixed names
	secrets  []string          // further ones, of the scenario
	last     *runnertest.Result
	printed  []string // everything that any process printed, and every summary
}

type worldKey struct{}

func setup(env *testscript.Env) error {
	w := &world{dir: env.WorkDir}
	files := map[string][]byte{}
	for _, name := range []string{"jfrog.json", "issuer.json", "with.yml"} {
		b, err := os.ReadFile(filepath.Join(env.WorkDir, name))
		if err == nil {
			files[name] = b
		} else if name != "with.yml" {
			files[name] = []byte("{}")
		}
	}
	issuerConfig, err := jfrogtest.DecodeIssuerConfig(files["issuer.json"])
	if err != nil {
		return fmt.Errorf("issuer.json: %w", err)
	}
	config, err := jfrogtest.DecodeConfig(files["jfrog.json"])
	if err != nil {
		return fmt.Errorf("jfrog.json: %w", err)
	}
	config.Sequential = true

	ca := jfrogtest.NewCA()
	certificate := ca.Certificate([]string{"127.0.0.1", "localhost"}, time.Time{}, time.Time{})
	if err := os.WriteFile(filepath.Join(env.WorkDir, "ca.pem"), ca.PEM(), 0o600); err != nil {
		return err
	}
	w.issuer = jfrogtest.NewIssuer(issuerConfig)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	if w.platform, err = jfrogtest.New(config, w.issuer, client); err != nil {
		return fmt.Errorf("jfrog.json: %w", err)
	}
	ciServer, err := jfrogtest.NewServer(w.issuer, "", &certificate)
	if err != nil {
		return err
	}
	jfrogServer, err := jfrogtest.NewServer(w.platform, "", &certificate)
	if err != nil {
		return err
	}
	w.issuer.SetURL(ciServer.URL)
	w.platform.SetURL(jfrogServer.URL)
	w.urls = strings.NewReplacer(
		strings.TrimPrefix(jfrogServer.URL, "https://"), "jfrog.test", strings.TrimPrefix(ciServer.URL, "https://"), "ci.test",
		env.WorkDir, "$WORK")

	text, err := os.ReadFile("action.yml")
	if err != nil {
		return err
	}
	action, err := runnertest.ParseAction(text)
	if err != nil {
		return err
	}
	fileDir := filepath.Join(env.WorkDir, ".runner")
	if err := os.Mkdir(fileDir, 0o700); err != nil {
		return err
	}
	w.step = &runnertest.Step{Action: action}
	w.runner = &runnertest.Runner{Dir: fileDir, Env: map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/app",
		"GITHUB_WORKFLOW": "Build", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_NUMBER": "42", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "test",
		"GITHUB_SHA": "2f1e6b8c5d4a39e7f60718293a4b5c6d7e8f9012", "GITHUB_REF_NAME": "main", "GITHUB_EVENT_NAME": "push", "GITHUB_ACTOR": "octocat",
		"ACTIONS_ID_TOKEN_REQUEST_URL": w.issuer.RequestURL(), "ACTIONS_ID_TOKEN_REQUEST_TOKEN": w.issuer.RequestToken(),
		"PATH": os.Getenv("PATH"), "HOME": env.WorkDir, "SYSTEMROOT": os.Getenv("SYSTEMROOT"),
	}}
	env.Setenv("JF_URL", w.platform.URL())
	if len(config.Tokens) > 0 {
		env.Setenv("STORED", w.platform.Stored(0))
	}
	env.Values[worldKey{}] = w
	env.Defer(func() {
		w.platform.Close()
		w.issuer.Close()
		jfrogServer.Close()
		ciServer.Close()
	})
	return nil
}

func of(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// with reads with.yml, the with: of the step. It may name what the scenario
// cannot know: ${JF_URL}, ${STORED} (the first stored token), ${ID_TOKEN}. The
// platform's URL and authority are given where it does not.
func (w *world) with(ts *testscript.TestScript, file string) map[string]string {
	with := map[string]string{"url": w.platform.URL(), "ca-cert": "ca.pem"}
	text, err := os.ReadFile(ts.MkAbs(file))
	if os.IsNotExist(err) {
		return with
	}
	ts.Check(err)
	var given map[string]string
	if err := yaml.Unmarshal(text, &given); err != nil {
		ts.Fatalf("%s: %v", file, err)
	}
	for k, v := range given {
		with[k] = os.Expand(v, w.named)
	}
	return with
}

func (w *world) named(name string) string {
	switch name {
	case "JF_URL":
		return w.platform.URL()
	case "CI_URL":
		return w.issuer.URL()
	case "STORED":
		return w.platform.Stored(0)
	case "ID_TOKEN":
		return w.issuer.Mint("https://github.com/acme", nil)
	case "ID_TOKEN_ENDING":
		return w.issuer.Mint("https://github.com/acme", map[string]any{"exp": time.Now().Add(30 * time.Second).Unix()})
	case "ID_TOKEN_EXPIRED":
		return w.issuer.Mint("https://github.com/acme", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})
	}
	return "${" + name + "}"
}

// cmdMain runs the main step with with.yml, or with the file that is named:
// "main" or "main other.yml".
func cmdMain(ts *testscript.TestScript, neg bool, args []string) {
	w := of(ts)
	file := "with.yml"
	if len(args) > 0 {
		file = args[0]
	}
	w.step.With = w.with(ts, file)
	w.run(ts, neg)
}

// cmdPost runs the post step.
func cmdPost(ts *testscript.TestScript, neg bool, _ []string) { of(ts).run(ts, neg, "revoke") }

func (w *world) run(ts *testscript.TestScript, neg bool, args ...string) {
	p := w.runner.Command(w.step, binary, args...)
	p.Cmd.Dir = w.dir
	res, err := p.Run()
	ts.Check(err)
	w.finish(ts, res)
	if neg == (res.Code == 0) {
		ts.Fatalf("exit code %d\n%s", res.Code, res.Log)
	}
}

// finish writes what a scenario compares: log, outputs, requests, summary; and
// looks for secrets where none may be.
func (w *world) finish(ts *testscript.TestScript, res *runnertest.Result) {
	ts.Check(res.Err)
	w.last = res
	w.printed = append(w.printed, res.Raw, res.Summary)
	w.checkLeaks(ts, res)
	fmt.Fprint(ts.Stdout(), res.Log)
	w.write(ts, "log", w.fixed(res.Log))
	w.write(ts, "summary", w.fixed(res.Summary))
	w.write(ts, "outputs", w.fixed(renderOutputs(w.step.Outputs)))
	w.write(ts, "requests", w.fixed(w.requests()))
}

func (w *world) write(ts *testscript.TestScript, name, text string) {
	ts.Check(os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
}

// cmdCode compares the exit code of the last step.
func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(of(ts).last.Code); got != args[0] {
		ts.Fatalf("expected exit code %s to be %s", got, args[0])
	}
}

// cmdJob sets variables of the job: NAME=VALUE, or -NAME to remove one.
func cmdJob(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "-"); ok {
			delete(w.runner.Env, name)
			continue
		}
		name, value, _ := strings.Cut(a, "=")
		if name == "RUNNER_DEBUG" {
			w.runner.Debug = true
			continue
		}
		w.runner.Env[name] = value
	}
}

// cmdUse sends a request with the output token, as a later step would, and
// compares the status.
func cmdUse(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	pem, err := os.ReadFile(filepath.Join(w.dir, "ca.pem"))
	ts.Check(err)
	req, err := http.NewRequest("GET", w.step.Outputs["url"]+"/artifactory/api/system/version", nil)
	ts.Check(err)
	output := "token"
	if len(args) > 1 {
		output = args[1]
	}
	if args[0] == "basic" {
		req.SetBasicAuth(w.step.Outputs["username"], w.step.Outputs["token"])
		args = args[1:]
	} else {
		req.Header.Set("Authorization", "Bearer "+w.step.Outputs[output])
	}
	res, err := httpClient(pem).Do(req)
	ts.Check(err)
	res.Body.Close()
	if got := strconv.Itoa(res.StatusCode); got != args[0] {
		ts.Fatalf("expected status %s to be %s", got, args[0])
	}
}

// cmdAlive compares the number of tokens that the platform would accept, other
// than those that were there before.
func cmdAlive(ts *testscript.TestScript, _ bool, args []string) {
	alive := of(ts).platform.Alive()
	if got := strconv.Itoa(len(alive)); got != args[0] {
		ts.Fatalf("expected %s tokens alive to be %s: %+v", got, args[0], alive)
	}
}

// cmdFaults sets faults from a file: "faults jfrog faults.json".
func cmdFaults(ts *testscript.TestScript, _ bool, args []string) {
	var faults []jfrogtest.Fault
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[1])))
	d.DisallowUnknownFields()
	ts.Check(d.Decode(&faults))
	if args[0] == "jfrog" {
		of(ts).platform.SetFaults(faults)
	} else {
		of(ts).issuer.SetFaults(faults)
	}
}

// cmdAge makes what main saved look older: "age 2h".
func cmdAge(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	w := of(ts)
	for key, value := range w.step.State {
		var state map[string]any
		ts.Check(json.Unmarshal([]byte(value), &state))
		for _, t := range state["tokens"].([]any) {
			token := t.(map[string]any)
			at, err := time.Parse(time.RFC3339, token["expires_at"].(string))
			ts.Check(err)
			token["expires_at"] = at.Add(-d).Format(time.RFC3339)
		}
		b, err := json.Marshal(state)
		ts.Check(err)
		w.step.State[key] = string(b)
	}
}

// cmdRevokedByAdmin has somebody else revoke the token before the job ends.
func cmdRevokedByAdmin(ts *testscript.TestScript, _ bool, _ []string) {
	w := of(ts)
	pem, err := os.ReadFile(filepath.Join(w.dir, "ca.pem"))
	ts.Check(err)
	req, err := http.NewRequest("DELETE", w.platform.URL()+"/access/api/v1/tokens/"+w.step.Outputs["token-id"], nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+w.step.Outputs["token"])
	res, err := httpClient(pem).Do(req)
	ts.Check(err)
	res.Body.Close()
	if res.StatusCode != 200 {
		ts.Fatalf("DELETE: %s", res.Status)
	}
}

// cmdSent compares the number of requests that the platform and the CI got.
func cmdSent(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	if got := strconv.Itoa(len(w.platform.Requests()) + w.issuerRequests()); got != args[0] {
		ts.Fatalf("expected %s requests to be %s:\n%s", got, args[0], w.requests())
	}
}

// cmdMasked checks that each output named is hidden by the masks, alone and as
// base64 of user:token.
func cmdMasked(ts *testscript.TestScript, neg bool, args []string) {
	w := of(ts)
	for _, name := range args {
		v := w.step.Outputs[name]
		if v == "" {
			ts.Fatalf("no output %s", name)
		}
		for _, form := range derived(w.step.Outputs["username"], v) {
			if hidden := !strings.Contains(w.runner.Mask("x "+form+" y"), form); hidden == neg {
				ts.Fatalf("expected masked to be %t: %s", !neg, name)
			}
		}
	}
}

// cmdSameOutputs compares the outputs that were set with those that action.yml
// declares.
func cmdSameOutputs(ts *testscript.TestScript, _ bool, _ []string) {
	w := of(ts)
	declared := map[string]bool{}
	for name := range w.step.Action.Outputs {
		declared[name] = true
	}
	set := map[string]bool{}
	for name := range w.step.Outputs {
		set[name] = true
	}
	if !maps.Equal(declared, set) {
		ts.Fatalf("expected outputs %v to be %v", set, declared)
	}
}

func httpClient(pem []byte) *http.Client {
	pool := newPool(pem)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
}

func indent(body []byte) string {
	var b bytes.Buffer
	var v map[string]any
	if json.Unmarshal(body, &v) != nil {
		return string(body)
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	_ = e.Encode(v)
	return strings.TrimSpace(b.String())
}
