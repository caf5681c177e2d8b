package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// program is a run of the binary, whatever the CI.
type program interface {
	Start() error
	Wait() (*runnertest.Result, error)
}

// program prepares what "main", "post", "step" or "run" would run.
func (s *scenario) program(ts *testscript.TestScript, args []string) (program, *exec.Cmd) {
	switch args[0] {
	case "main":
		s.Step.With = s.with(ts, append(args, "with.yml")[1])
		p := s.Main()
		return p, p.Cmd
	case "post":
		p := s.Post()
		return p, p.Cmd
	case "step":
		p := s.script(ts, args[1:])
		return p, p.Cmd
	case "run":
		p := s.command(ts, args[1:])
		return p, p.cmd
	case "execute":
		return s.exec(ts, args)
	}
	ts.Fatalf("not a run of the binary: %s", args[0])
	return nil, nil
}

// exec prepares a run of exec with what is in with.yml, or in the file that is named: "execute -- sh command.sh",
// "execute other.yml --expires-in 5m -- env". It is a run: step on GitHub.
func (s *scenario) exec(ts *testscript.TestScript, args []string) (program, *exec.Cmd) {
	args = append([]string{"exec"}, args[1:]...)
	if s.platformInput == nil {
		p := s.script(ts, args)
		return p, p.Cmd
	}
	file := "with.yml"
	if len(args) > 1 && strings.HasSuffix(args[1], ".yml") {
		file = args[1]
		args = slices.Delete(slices.Clone(args), 1, 2)
	}
	p := s.process(s.environ(ts, file), args...)
	return p, p.cmd
}

// cmdExecute runs exec.
func cmdExecute(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	p, _ := s.exec(ts, append([]string{"execute"}, args...))
	ts.Check(p.Start())
	res, err := p.Wait()
	ts.Check(err)
	s.finish(ts, neg, res)
}

// cmdEnvironment takes the environment that a command of exec wrote with "env -0" for the outputs, and writes it for
// comparison: "environment FILE".
func cmdEnvironment(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	env := map[string]string{}
	for pair := range strings.SplitSeq(ts.ReadFile(args[0]), "\x00") {
		name, value, _ := strings.Cut(pair, "=")
		if _, is := quick[name]; pair != "" && !is && name != "PATH" && name != "PWD" && name != "OLDPWD" && name != "_" && name != "SHLVL" {
			env[name] = value
		}
	}
	s.Step.Outputs = map[string]string{
		"token": env["JF_ACCESS_TOKEN"], "username": env["JF_USER"], "url": env["JF_URL"], "token-id": env["JF_TOKEN_ID"],
		"refresh-token": env["JF_REFRESH_TOKEN"], "reference-token": env["JF_REFERENCE_TOKEN"],
	}
	s.write(ts, "environment", renderOutputs(env))
}

var signals = map[string]os.Signal{"KILL": os.Kill, "TERM": syscall.SIGTERM}

// cmdSignal sends a signal to a run of the binary as soon as the platform has reached a point: "signal TERM
// revoke:received run revoke". What the point is about goes on.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	p, cmd := s.program(ts, args[2:])
	started := make(chan struct{})
	var once sync.Once
	s.SetHook(func(point string) {
		if point == args[1] {
			once.Do(func() { <-started; cmd.Process.Signal(signals[args[0]]) })
		}
	})
	ts.Check(p.Start())
	close(started)
	limit := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	res, err := p.Wait()
	limit.Stop()
	s.SetHook(nil)
	ts.Check(err)
	once.Do(func() { ts.Fatalf("%s was never reached:\n%s", args[1], res.Log) })
	s.finish(ts, neg, res)
}

// cmdWithin bounds the time of a run of the binary: "within 8s main".
func cmdWithin(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	p, cmd := s.program(ts, args[1:])
	ts.Check(p.Start())
	kill := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	res, err := p.Wait()
	ts.Check(err)
	if !kill.Stop() {
		ts.Fatalf("it ran for over %v:\n%s", limit, res.Log)
	}
	s.finish(ts, neg, res)
}

// cmdAppears has somebody write a file as soon as the platform has reached a point: "appears create:received FILE TEXT".
func cmdAppears(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[1])
	var once sync.Once
	of(ts).SetHook(func(point string) {
		if point == args[0] {
			once.Do(func() { os.WriteFile(file, []byte(args[2]+"\n"), 0o600) })
		}
	})
}

// cmdRefreshed has somebody else exchange the job's pair of tokens for another one.
func cmdRefreshed(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	body, _ := json.Marshal(map[string]string{
		"grant_type": "refresh_token", "refresh_token": s.Step.Outputs["refresh-token"],
	})
	req, err := http.NewRequest(http.MethodPost, s.Platform.URL()+"/access/api/v1/tokens", bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.Step.Outputs["token"])
	res, err := s.Client().Do(req)
	ts.Check(err)
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("refresh: %d", res.StatusCode)
	}
}

// cmdPaired has a service spend the pairing token that was handed on: "paired 200".
func cmdPaired(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	status, err := s.Send(http.MethodPost, "/access/api/v1/service_trust/exchange", "Bearer "+s.Step.Outputs["token"])
	ts.Check(err)
	if got := strconv.Itoa(status); got != args[0] {
		ts.Fatalf("expected status %s to be %s", got, args[0])
	}
}

// cmdAnotherStep begins another step of the job, which is given what the last one put out.
func cmdAnotherStep(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	s.extra = nil
	s.extra = map[string]string{"TOKEN": s.named("TOKEN"), "REFRESH_TOKEN": s.named("REFRESH_TOKEN"), "REFERENCE_TOKEN": s.named("REFERENCE_TOKEN")}
	s.before = append(s.before, s.Step)
	s.Step = &runnertest.Step{Action: s.Step.Action}
}

// cmdStepBefore goes back to the step before: the runner starts post steps in reverse.
func cmdStepBefore(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	last := len(s.before) - 1
	s.Step, s.before, s.extra = s.before[last], s.before[:last], nil
}

// cmdIssued waits until the platform has issued so many tokens, in all.
func cmdIssued(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	for range 1000 {
		if strconv.Itoa(len(s.Platform.Issued())) == args[0] {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("expected %s tokens to have been issued: %+v", args[0], s.Platform.Issued())
}

func stateFiles(ts *testscript.TestScript) []string {
	files, err := filepath.Glob(ts.MkAbs("workspace/.jfrog-token/jt-*.json"))
	ts.Check(err)
	return files
}

// cmdStates compares the number of state files.
func cmdStates(ts *testscript.TestScript, _ bool, args []string) {
	if files := stateFiles(ts); strconv.Itoa(len(files)) != args[0] {
		ts.Fatalf("expected %s states to be %v", args[0], files)
	}
}

// cmdLeftOver copies the one state file that is there, as jobs would have left it that were killed: "left-over 20".
func cmdLeftOver(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	file := stateFiles(ts)[0]
	text := ts.ReadFile(file)
	marker := strings.TrimSuffix(filepath.Base(file), ".json")
	for i := range n {
		copied := fmt.Sprintf("jt-%016s", strings.ToUpper(strconv.FormatInt(int64(i), 10)))
		copied = strings.NewReplacer("0", "A", "1", "B", "8", "C", "9", "D").Replace(copied)
		file := filepath.Join(filepath.Dir(file), copied+".json")
		ts.Check(os.WriteFile(file, []byte(strings.ReplaceAll(text, marker, copied)), 0o600))
		before := time.Now().Add(-time.Hour)
		ts.Check(os.Chtimes(file, before, before))
	}
}

var savedTime = regexp.MustCompile(`"(until|expires_at)":"([^"]+)"`)

// aged returns a state that was saved so long ago.
func aged(state string, d time.Duration) string {
	return savedTime.ReplaceAllStringFunc(state, func(pair string) string {
		m := savedTime.FindStringSubmatch(pair)
		at, err := time.Parse(time.RFC3339, m[2])
		if err != nil || at.IsZero() {
			return pair
		}
		return fmt.Sprintf(`"%s":"%s"`, m[1], at.Add(-d).Format(time.RFC3339))
	})
}

// cmdAge makes what main saved look older, in the runner and in the workspace: "age 2h".
func cmdAge(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	s := of(ts)
	for key, value := range s.Step.State {
		s.Step.State[key] = aged(value, d)
	}
	for _, file := range stateFiles(ts) {
		text, err := os.ReadFile(file)
		ts.Check(err)
		ts.Check(os.WriteFile(file, []byte(aged(string(text), d)), 0o600))
	}
}

// cmdLongCA makes the certificate of the CI and of JFrog a text of 20 KB, as ${LONG_CA} and in the file long-ca.pem.
func cmdLongCA(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	text := ts.ReadFile("ca.pem") + strings.Repeat("the remark of somebody who keeps many roots\n", 500)
	s.extra = map[string]string{"LONG_CA": text}
	ts.Check(os.WriteFile(ts.MkAbs("long-ca.pem"), []byte(text), 0o600))
}

// cmdUnmasked checks that the runner hides none of the words.
func cmdUnmasked(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.Join(args, " ")
	if got := of(ts).mask(text); got != text {
		ts.Fatalf("expected %q to be %q", got, text)
	}
}
