package main_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
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

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
	"github.com/rogpeppe/go-internal/testscript"
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
	flag.Parse()
	parallel := max(12, runtime.GOMAXPROCS(0)) // a run of the binary mostly waits
	if raceEnabled {
		parallel /= 2
	}
	_ = flag.Set("test.parallel", strconv.Itoa(parallel))
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
			"sent": cmdSent, "masked": cmdMasked, "same-outputs-as-action": cmdSameOutputs, "proxied": cmdProxied,
			"platform": cmdPlatform, "services": cmdServices, "run": cmdRun, "source": cmdSource, "mode": cmdMode, "dotenv": cmdDotenv, "nothing-left": cmdNothingLeft,
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
	proxy    *proxy // nil: none
	runner   *runnertest.Runner
	step     *runnertest.Step
	dir      string
	urls     *strings.Replacer // volatile addresses to fixed names
	secrets  []string          // further ones, of the scenario
	last     *runnertest.Result
	extra    map[string]string // what a scenario may name in ${}
	// platformInput names the variables of inputs on another CI than GitHub.
	platformInput func(string) string
	printed       []string // everything that any process printed, and every summary
	close         func()
}

type worldKey struct{}

// setup reads the scenario's files, each of which may be missing.
func setup(env *testscript.Env) error {
	var s settings
	for name, decode := range map[string]func([]byte) error{
		"issuer.json":  func(b []byte) (err error) { s.issuer, err = jfrogtest.DecodeIssuerConfig(b); return err },
		"jfrog.json":   func(b []byte) (err error) { s.jfrog, err = jfrogtest.DecodeConfig(b); return err },
		"network.json": func(b []byte) error { return strict(b, &s.network) },
	} {
		text, err := os.ReadFile(filepath.Join(env.WorkDir, name))
		if err != nil {
			continue
		}
		if err := decode(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	w, err := newWorld(env.WorkDir, s)
	if err != nil {
		return err
	}
	env.Defer(w.close)
	env.Setenv("JF_URL", w.platform.URL())
	if w.proxy != nil {
		env.Setenv("PROXY", w.proxy.address)
	}
	if len(s.jfrog.Tokens) > 0 {
		env.Setenv("STORED", w.platform.Stored(0))
	}
	env.Values[worldKey{}] = w
	return nil
}

func of(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// with reads with.yml, or another file, of the scenario.
func (w *world) with(ts *testscript.TestScript, file string) map[string]string {
	text, err := os.ReadFile(ts.MkAbs(file))
	if err != nil && !os.IsNotExist(err) {
		ts.Fatalf("%v", err)
	}
	with, err := w.inputs(text)
	ts.Check(err)
	return with
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
	res, err := run(p, time.Minute)
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
	ts.Check(w.leak(res))
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
	ts.Check(strict([]byte(ts.ReadFile(args[1])), &faults))
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

// cmdProxied compares the number of tunnels that the proxy opened.
func cmdProxied(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(int(of(ts).proxy.tunnels.Load())); got != args[0] {
		ts.Fatalf("expected %s tunnels to be %s", got, args[0])
	}
}

func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
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
