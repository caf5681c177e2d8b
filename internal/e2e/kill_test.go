//go:build !windows

package e2e

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// killAfter is when GitHub's runner kills a step, counted from the SIGINT of a cancelled job:
// https://github.com/actions/runner/blob/main/src/Runner.Sdk/ProcessInvoker.cs
const killAfter = 7500 * time.Millisecond

// moment is when a signal comes: at one of the following.
type moment struct {
	name string
	job  string
	post bool // in the post step

	on    string        // "<operation>:received" or "<operation>:stored" as in SetHook
	after time.Duration // that long after it, when the answer has come
	says  bool          // the first line is printed; a request may be on its way by then
	file  string        // this command file
	holds string        // has this text in it

	faults []jfrogtest.Fault
}

var (
	lostOnce = []jfrogtest.Fault{{On: "create", Times: 1, Kind: "truncate"}}
	comeBack = func(on string) []jfrogtest.Fault { f := after(503, "5"); f.On = on; return []jfrogtest.Fault{f} }
)

// answered is how long it takes at most until an answer has come and the program waits for its next attempt.
const answered = 300 * time.Millisecond

var moments = []moment{
	{name: "at the start, one request", job: "exchanged", says: true},
	{name: "at the start, stored", job: "stored", says: true},
	{name: "the CI has the request", job: "exchanged", on: "idtoken:received"},
	{name: "JFrog has the ID token", job: "exchanged", on: "exchange:received"},
	{name: "JFrog has exchanged", job: "exchanged", on: "exchange:stored"},
	{name: "JFrog has exchanged, narrowing", job: "narrow", on: "exchange:stored"},
	{name: "JFrog has the request", job: "stored", on: "create:received"},
	{name: "JFrog has created", job: "stored", on: "create:stored"},
	{name: "JFrog has the request, narrowing", job: "narrow", on: "create:received"},
	{name: "JFrog has created, narrowing", job: "narrow", on: "create:stored"},
	{name: "JFrog has the request, refreshing", job: "refresh", on: "refresh:received"},
	{name: "JFrog has refreshed", job: "refresh", on: "refresh:stored"},
	{name: "the refresh is announced", job: "refresh", file: "GITHUB_STATE", holds: `"pending":"refresh"`},
	{name: "the refreshed outputs are there", job: "refresh", file: "GITHUB_OUTPUT", holds: "token"},
	{name: "during the look-up", job: "stored", on: "list:received", faults: lostOnce},
	{name: "during the look-up, narrowing", job: "narrow", on: "list:received", faults: lostOnce},
	{name: "before the exchanged is revoked", job: "narrow", on: "revoke:received"},
	{name: "after the exchanged was revoked", job: "narrow", on: "revoke:stored"},
	{name: "before a token nobody has is revoked", job: "stored", on: "revoke:received", faults: lostOnce},
	{name: "waiting for the CI", job: "exchanged", on: "idtoken:received", after: answered, faults: comeBack("idtoken")},
	{name: "waiting for the exchange", job: "exchanged", on: "exchange:received", after: answered, faults: comeBack("exchange")},
	{name: "waiting to create", job: "stored", on: "create:received", after: answered, faults: comeBack("create")},
	{name: "waiting to create, narrowing", job: "narrow", on: "create:received", after: answered, faults: comeBack("create")},
	{name: "the first state is saved", job: "stored", file: "GITHUB_STATE", holds: stateKey},
	{name: "the first state is saved, narrowing", job: "narrow", file: "GITHUB_STATE", holds: stateKey},
	{name: "the token is saved", job: "stored", file: "GITHUB_STATE", holds: "token_id"},
	{name: "the exchanged token is saved", job: "narrow", file: "GITHUB_STATE", holds: "token_id"},
	{name: "the outputs are there", job: "stored", file: "GITHUB_OUTPUT", holds: "token"},
	{name: "the outputs are there, narrowing", job: "narrow", file: "GITHUB_OUTPUT", holds: "token"},
	{name: "the summary is there", job: "stored", file: "GITHUB_STEP_SUMMARY", holds: "|"},
	{name: "verify platform", job: "verified", on: "me:received"},
	{name: "verify artifactory", job: "verified", on: "version:received"},
	{name: "verify connect", job: "verified", on: "connect:received"},
	{name: "waiting to verify connect", job: "verified", on: "connect:received", after: answered, faults: comeBack("connect")},
	{name: "before the revocation", job: "stored", post: true, on: "revoke:received"},
	{name: "after the revocation", job: "stored", post: true, on: "revoke:stored"},
	{name: "waiting to revoke", job: "stored", post: true, on: "revoke:received", after: answered, faults: comeBack("revoke")},
}

// delay is how long the response is kept back that the signal met.
type delay string

const (
	prompt  delay = "and the answer comes"
	held1s  delay = "and the answer comes a second later"
	never   delay = "and the answer never comes"
	silence delay = "and no answer comes any more"
)

// rare are the moments that show that a signal is caught at all, as the others of its kind are.
var rare = []string{"JFrog has created", "JFrog has created, narrowing", "waiting to create", "before the revocation"}

// TestKill proves the promise of TestFaults for a process that a signal ends.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, m := range moments {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGKILL} {
			if (s == syscall.SIGHUP || s == syscall.SIGQUIT) && !slices.Contains(rare, m.name) {
				continue
			}
			if raceEnabled && s != syscall.SIGINT {
				continue // it is slow, and the code is the same
			}
			delays := []delay{prompt, silence, held1s, never}
			if raceEnabled {
				delays = delays[:2]
			}
			switch {
			case m.on == "" || m.after > 0 || s == syscall.SIGKILL:
				delays = delays[:1]
			case s != syscall.SIGINT:
				delays = delays[:2]
			}
			for _, d := range delays {
				t.Run(m.name+"/"+s.String()+" "+string(d), func(t *testing.T) {
					t.Parallel()
					m.kill(t, newJob(t, m.job, "1m"), s, d)
				})
			}
		}
	}
}

// kill runs main, then post, as a runner would, with the signal in one of them.
func (m moment) kill(t *testing.T, j *job, s syscall.Signal, d delay) {
	p := j.Main
	if m.post {
		if res := j.run(t, j.Main()); res.Code != 0 {
			t.Fatalf("main failed:\n%s", res.Log)
		}
		p = j.Post
	}
	j.SetFaults(m.faults)
	before, took, res := m.signal(t, j, p(), s, d)
	j.SetFaults(nil)
	j.SetHook(nil)

	j.checkRun(t, res)
	if !m.post {
		j.checkMain(t, res)
	}
	if s != syscall.SIGKILL {
		// Nothing held it up: it may have gone on before it heard of the signal.
		racing := m.says || m.file != "" || m.on != "" && m.after == 0 && d == prompt
		if want := 128 + int(s); res.Code != want && (res.Code != 0 || !racing) {
			t.Errorf("expected exit code %d to be %d\n%s", res.Code, want, res.Log)
		}
		if took >= killAfter {
			t.Errorf("it took %v from the signal, and the runner kills after %v\n%s", took, killAfter, res.Log)
		}
		if after := j.attempts(); after > before && !racing {
			t.Errorf("%d new attempts after the signal\n%s", after-before, res.Log)
		}
	}
	j.checkPost(t, j.run(t, j.Post()))
}

// signal starts p, signals it in the moment, waits for its end, and returns the number of attempts at a token up to the
// signal and the time from it.
func (m moment) signal(t *testing.T, j *job, p *runnertest.Process, s syscall.Signal, d delay) (before int, took time.Duration, res *runnertest.Result) {
	started, ended := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var sent atomic.Bool
	var at time.Time
	send := func() (first bool) {
		once.Do(func() {
			<-started
			first, at, before = true, time.Now(), j.attempts()
			sent.Store(true)
			p.Cmd.Process.Signal(s)
		})
		return first
	}
	var sending sync.WaitGroup
	switch {
	case m.on != "":
		j.SetHook(func(point string) {
			if point == m.on && m.after > 0 {
				sending.Go(func() { time.Sleep(m.after); send() })
				return
			}
			first := point == m.on && send()
			switch {
			case first && d == held1s:
				time.Sleep(time.Second)
			case first && d == never, d == silence && sent.Load():
				<-ended
				panic(http.ErrAbortHandler)
			}
		})
	case m.says:
		p.Cmd.Stdout = &watch{to: p.Cmd.Stdout, first: func() { send() }}
	default:
		path := variable(p, m.file)
		sending.Go(func() {
			for {
				over := closed(ended)
				if text, _ := os.ReadFile(path); strings.Contains(string(text), m.holds) {
					send()
					return
				}
				if over {
					return
				}
				time.Sleep(100 * time.Microsecond)
			}
		})
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
	sending.Wait()
	if err != nil {
		t.Fatal(err)
	}
	once.Do(func() { t.Fatalf("the moment never came:\n%s", res.Log) })
	return before, end.Sub(at), res
}

// variable returns the value of a variable of a program's environment.
func variable(p *runnertest.Process, name string) string {
	for _, v := range p.Cmd.Env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// watch calls first once anything was written.
type watch struct {
	to    io.Writer
	first func()
	once  sync.Once
}

func (w *watch) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.once.Do(w.first)
	return n, err
}

// TestKillAnywhere ends main with SIGKILL at points that are spread over its whole run, from before the first request to
// after the last output.
func TestKillAnywhere(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("it is slow, and starts the same code as the others")
	}
	const points = 30
	for _, name := range []string{"stored", "narrow"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			j := newJob(t, name, "1m")
			if res := j.run(t, j.Main()); res.Code != 0 {
				t.Fatalf("main failed:\n%s", res.Log)
			}
			whole := time.Since(began)
			for i := range points {
				j := newJob(t, name, "1m")
				p := j.Main()
				if err := p.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(whole * time.Duration(i) / points)
				p.Cmd.Process.Kill()
				res, err := p.Wait()
				if err != nil {
					t.Fatal(err)
				}
				if torn(res.Err) {
					res.Err = nil
				}
				j.checkRun(t, res)
				j.checkMain(t, res)
				j.checkPost(t, j.run(t, j.Post()))
			}
		})
	}
}

// torn reports whether a command file ends within a pair: the system cuts what is written with one call, if it is longer
// than a page, at the end of a page when the process is killed. The runner fails the step, which was killed anyway, and
// keeps the pairs before that one (FileCommandManager.cs): the state that was saved before the request.
func torn(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "GITHUB_STATE: invalid value: ")
}
