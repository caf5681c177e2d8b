//go:build !windows

package e2e

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// killAfter is when GitHub's runner kills a step, counted from the SIGINT of a
// cancelled job: https://github.com/actions/runner/blob/main/src/Runner.Sdk/ProcessInvoker.cs
const killAfter = 7500 * time.Millisecond

// moment is when a signal comes.
type moment struct {
	name   string
	job    string
	on     string // "<operation>:received" or "<operation>:stored" as in SetHook
	prints string // or: this was printed
	post   bool   // in the post step
	faults []jfrogtest.Fault
	// unsaved: no token that exists was saved yet. SIGKILL leaves one behind
	// that nobody knows of.
	unsaved bool
}

var (
	lostOnce = []jfrogtest.Fault{{On: "create", Times: 1, Kind: "truncate"}}
	comeBack = func(on string) []jfrogtest.Fault { f := after(503, "5"); f.On = on; return []jfrogtest.Fault{f} }
)

// startLine is the first that is printed; a request may be on its way by then.
const startLine = "jfrog-token v"

var moments = []moment{
	{name: "at the start, OIDC", job: "oidc", prints: startLine, unsaved: true},
	{name: "at the start, stored", job: "stored", prints: startLine, unsaved: true},
	{name: "the CI has the request", job: "oidc", on: "idtoken:received"},
	{name: "JFrog has the ID token", job: "oidc", on: "exchange:received", unsaved: true},
	{name: "JFrog has exchanged", job: "oidc", on: "exchange:stored", unsaved: true},
	{name: "JFrog has the request", job: "stored", on: "create:received", unsaved: true},
	{name: "JFrog has created", job: "stored", on: "create:stored", unsaved: true},
	{name: "JFrog has the request, narrowing", job: "narrow", on: "create:received"},
	{name: "JFrog has created, narrowing", job: "narrow", on: "create:stored"},
	{name: "during the look-up", job: "stored", on: "list:received", faults: lostOnce},
	{name: "during the look-up, narrowing", job: "narrow", on: "list:received", faults: lostOnce},
	{name: "before the exchanged is revoked", job: "narrow", on: "revoke:received"},
	{name: "after the exchanged was revoked", job: "narrow", on: "revoke:stored"},
	{name: "before a token nobody has is revoked", job: "stored", on: "revoke:received", faults: lostOnce},
	{name: "waiting for the CI", job: "oidc", prints: "; retrying in", faults: comeBack("idtoken")},
	{name: "waiting for the exchange", job: "oidc", prints: "; retrying in", faults: comeBack("exchange")},
	{name: "waiting to create", job: "stored", prints: "; retrying in", faults: comeBack("create")},
	{name: "waiting to create, narrowing", job: "narrow", prints: "; retrying in", faults: comeBack("create")},
	{name: "before the revocation", job: "stored", on: "revoke:received", post: true},
	{name: "after the revocation", job: "stored", on: "revoke:stored", post: true},
	{name: "waiting to revoke", job: "stored", prints: "; retrying in", faults: comeBack("revoke"), post: true},
}

// delay is how long the answer is kept back that the signal met.
type delay string

const (
	prompt  delay = "and the answer comes"
	late    delay = "and the answer comes a second later"
	never   delay = "and the answer never comes"
	silence delay = "and no answer comes any more"
)

// TestKill proves the promise of TestFaults for a process that a signal ends.
// SIGKILL leaves no time to say anything: there it holds once a token was
// saved.
func TestKill(t *testing.T) {
	for _, m := range moments {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGKILL} {
			if s == syscall.SIGHUP && m.name != "JFrog has created" {
				continue // one moment shows that it is caught
			}
			if raceEnabled && s == syscall.SIGTERM {
				continue // it is slow, and SIGINT's code is the same
			}
			delays := []delay{prompt, silence, late, never}
			switch {
			case m.on == "" || s == syscall.SIGKILL:
				delays = delays[:1]
			case s == syscall.SIGTERM, s == syscall.SIGHUP:
				delays = delays[:2]
			}
			for _, d := range delays {
				t.Run(m.name+"/"+s.String()+" "+string(d), func(t *testing.T) {
					t.Parallel()
					m.kill(t, s, d, nil)
				})
			}
		}
	}
}

// kill runs main, then post, as a runner would, with the signal in one of
// them. launch gives the commands of the steps; nil is the
// binary itself.
func (m moment) kill(t *testing.T, s syscall.Signal, d delay, launch func() (main, post []string)) {
	w := newJob(t, m.job, "1m")
	if launch != nil {
		w.MainCommand, w.PostCommand = launch()
	}
	if m.post {
		if res := w.do(t, w.Main()); res.Code != 0 {
			t.Fatalf("main failed:\n%s", res.Log)
		}
	}
	w.SetFaults(m.faults)
	p := w.Main()
	if m.post {
		p = w.Post()
	}
	before, took, res := m.signal(t, w, p, s, d)
	w.SetFaults(nil)
	w.SetHook(nil)

	w.checkRun(t, res)
	if s != syscall.SIGKILL {
		// Nothing held it up: it may have gone on before it heard of the signal.
		racing := m.prints == startLine || m.on != "" && d == prompt
		if res.Code == 0 && racing {
			if !m.post {
				w.checkMain(t, res)
			}
		} else if want := 128 + int(s); res.Code != want {
			t.Errorf("expected exit code %d to be %d\n%s", res.Code, want, res.Log)
		}
		if took >= killAfter {
			t.Errorf("it took %v from the signal, and the runner kills after %v\n%s", took, killAfter, res.Log)
		}
		if after := w.attempts(); after > before && !racing {
			t.Errorf("%d new attempts after the signal\n%s", after-before, res.Log)
		}
		if res.Code != 0 {
			w.checkTold(t, "")
		}
	}

	after, err := run(w.Post(), tooLong)
	if err != nil {
		t.Fatal(err)
	}
	w.checkRun(t, after)
	if after.Code != 0 {
		t.Errorf("post failed with %d:\n%s", after.Code, after.Log)
	}
	if s == syscall.SIGKILL && m.unsaved && len(w.Step.State) == 0 {
		if !strings.Contains(after.Log, "nothing to revoke") {
			t.Errorf("nothing was saved, and post says:\n%s", after.Log)
		}
		t.Logf("window: %d alive after SIGKILL", len(w.Platform.Alive()))
		return
	}
	w.checkTold(t, "")
}

// signal starts p, signals it in the moment, waits for its end, and gives the
// number of attempts at a token up to the signal and the time from it.
func (m moment) signal(t *testing.T, w *job, p *runnertest.Process, s syscall.Signal, d delay) (before int, took time.Duration, res *runnertest.Result) {
	started, ended := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var sent atomic.Bool
	var at time.Time
	send := func() (first bool) {
		once.Do(func() {
			<-started
			first, at, before = true, time.Now(), w.attempts()
			sent.Store(true)
			p.Cmd.Process.Signal(s)
		})
		return first
	}
	hook := func(point string) {
		first := point == m.on && send()
		switch {
		case first && d == late:
			time.Sleep(time.Second)
		case first && d == never, d == silence && sent.Load():
			<-ended
			panic(http.ErrAbortHandler)
		}
	}
	if m.on != "" {
		w.SetHook(hook)
	} else {
		p.Cmd.Stdout = &watch{to: p.Cmd.Stdout, text: m.prints, found: func() { send() }}
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	limit := time.AfterFunc(tooLong, func() { p.Cmd.Process.Kill() })
	res, err := p.Wait()
	limit.Stop()
	end := time.Now()
	close(ended)
	if err != nil {
		t.Fatal(err)
	}
	once.Do(func() { t.Fatalf("the moment never came:\n%s", res.Log) })
	return before, end.Sub(at), res
}

// attempts counts the requests for a token so far.
func (w *job) attempts() int { return w.sent("idtoken") + w.sent("exchange") + w.sent("create") }

// watch calls found once text was written.
type watch struct {
	to    io.Writer
	text  string
	found func()
	seen  bytes.Buffer
}

func (w *watch) Write(p []byte) (int, error) {
	w.seen.Write(p)
	n, err := w.to.Write(p)
	if w.text != "" && strings.Contains(w.seen.String(), w.text) {
		w.text = ""
		w.found()
	}
	return n, err
}

// TestKillOnceSaved kills main as soon as the state is there: whatever had
// been handed on by then, post revokes it.
func TestKillOnceSaved(t *testing.T) {
	for _, job := range []string{"stored", "narrow"} {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			t.Run(job+"/"+s.String(), func(t *testing.T) {
				t.Parallel()
				w := newJob(t, job, "1m")
				p := w.Main()
				var state string
				for _, v := range p.Cmd.Env {
					if path, ok := strings.CutPrefix(v, "GITHUB_STATE="); ok {
						state = path
					}
				}
				if err := p.Start(); err != nil {
					t.Fatal(err)
				}
				for range 30000 {
					if text, _ := os.ReadFile(cmp.Or(state, filepath.Join(w.Dir, "none"))); bytes.HasSuffix(text, []byte("\n")) {
						break
					}
					time.Sleep(100 * time.Microsecond)
				}
				p.Cmd.Process.Signal(s)
				res, err := p.Wait()
				if err != nil {
					t.Fatal(err)
				}
				w.checkRun(t, res)
				if len(w.Step.State) == 0 {
					t.Fatalf("no state was saved:\n%s", res.Log)
				}
				w.checkPost(t, w.do(t, w.Post()))
				if alive := w.Platform.Alive(); len(alive) > 0 {
					t.Errorf("%+v\n%s", alive, w.log())
				}
			})
		}
	}
}
