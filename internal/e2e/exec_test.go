//go:build !windows

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// script prepares a command of the binary in a run: step, with the inputs of the job.
func (j *job) script(args ...string) *runnertest.Process {
	env := map[string]string{"BEGUN": filepath.Join(j.Dir, "begun")}
	for name, value := range j.Step.With {
		if name == "ca-cert" {
			value = filepath.Join(j.Dir, value)
		}
		env[naming["plain"](name)] = value
	}
	p := j.Runner.Script(j.Step, env, binary, args...)
	p.Cmd.Dir = j.Dir
	return p
}

// states are what is saved for a revoke.
func (j *job) states(t *testing.T) []state {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(j.Dir, ".jfrog-token", "jt-*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []state
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, j.decode(t, string(text)))
	}
	return list
}

// checkExec: however exec ended, every token that is alive is named in a state or is found by one, and a revoke ends them
// all.
func (j *job) checkExec(t *testing.T, res *runnertest.Result) {
	t.Helper()
	saved := j.states(t)
	for _, token := range j.Platform.Alive() {
		known := func(s state) bool { return s.names(token) || s.finds(token) || j.lostExchange(token, s, false) }
		if !slices.ContainsFunc(saved, known) && !j.refusedToRevoke(token) && !j.lostExchange(token, state{}, true) {
			t.Errorf("a token is alive that no revoke will find: %+v\n%+v\n%s", token, saved, res.Log)
		}
	}
	res = j.run(t, j.script("revoke"))
	if res.Code != 0 {
		t.Errorf("revoke failed with %d:\n%s", res.Code, res.Log)
	}
	lost := func(token jfrogtest.Token) bool {
		return slices.ContainsFunc(append(saved, state{}), func(s state) bool { return j.lostExchange(token, s, true) })
	}
	for _, token := range j.Platform.Alive() {
		if token.Revocable && !lost(token) {
			t.Errorf("a token is alive after revoke: %+v\n%s", token, res.Log)
		}
	}
}

// TestExecFaults is TestFaults for exec.
func TestExecFaults(t *testing.T) {
	t.Parallel()
	names := append(slices.Clone(likeVerify), "close, after the work", "hang, after the work, for ever", "a page with 403, after the work")
	for i, c := range cells([]request{
		{name: "exchange", on: "exchange", job: "narrow", fatal: true, mints: true, only: names},
		{name: "create", on: "create", job: "stored", fatal: true, mints: true, only: names},
		{name: "create the narrower", on: "create", job: "narrow", fatal: true, mints: true, only: names},
		{name: "revoke", on: "revoke", job: "stored", post: true, only: names},
		{name: "revoke two", on: "revoke", job: "narrow", post: true, only: names},
	}) {
		if raceEnabled && i%20 != 0 {
			continue
		}
		t.Run(c.request.name+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, c.job, c.timeout())
			j.SetFaults([]jfrogtest.Fault{c.fault})
			res := j.run(t, j.script("exec", "--", "sh", "-c", "echo begun >$BEGUN; exit 9"))
			_, err := os.Stat(filepath.Join(j.Dir, "begun"))
			switch begun := err == nil; {
			case c.post && !begun:
				t.Errorf("the command did not run\n%s", res.Log)
			case begun && res.Code != 9, !begun && res.Code != 1:
				t.Errorf("the command ran: %t, and the exit code is %d\n%s", begun, res.Code, res.Log)
			}
			j.SetFaults(nil)
			j.checkExec(t, res)
		})
	}
}

const (
	endsAtOnce = "true"
	goesOn     = "echo begun >$BEGUN; exec sleep 30"
)

// TestExecKill is TestKill for exec.
func TestExecKill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		moment
		command string
	}{
		{moment{name: "JFrog has the ID token", job: "narrow", on: "exchange:received"}, goesOn},
		{moment{name: "JFrog has exchanged", job: "narrow", on: "exchange:stored"}, goesOn},
		{moment{name: "JFrog has the request", job: "stored", on: "create:received"}, goesOn},
		{moment{name: "JFrog has created", job: "stored", on: "create:stored"}, goesOn},
		{moment{name: "JFrog has created, narrowing", job: "narrow", on: "create:stored"}, goesOn},
		{moment{name: "the command runs", job: "stored", file: "BEGUN", holds: "begun"}, goesOn},
		{moment{name: "the command runs, narrowing", job: "narrow", file: "BEGUN", holds: "begun"}, goesOn},
		{moment{name: "the exchanged token is being revoked", job: "narrow", on: "revoke:received"}, goesOn},
		{moment{name: "before the revocation", job: "stored", on: "revoke:received"}, endsAtOnce},
		{moment{name: "after the revocation", job: "stored", on: "revoke:stored"}, endsAtOnce},
	} {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			delays := []delay{prompt, silence, held1s}
			switch {
			case c.on == "" || s == syscall.SIGKILL, raceEnabled:
				delays = delays[:1]
			case s != syscall.SIGINT:
				delays = delays[:2]
			}
			for _, d := range delays {
				t.Run(c.name+"/"+s.String()+" "+string(d), func(t *testing.T) {
					t.Parallel()
					j := newJob(t, c.job, "1m")
					_, took, res := c.signal(t, j, j.script("exec", "--", "sh", "-c", c.command), s, d)
					j.SetHook(nil)
					j.checkRun(t, res)
					want := 128 + int(s)
					if c.command == endsAtOnce {
						want = 0
					}
					if s != syscall.SIGKILL && res.Code != want {
						t.Errorf("expected exit code %d to be %d\n%s", res.Code, want, res.Log)
					}
					if s != syscall.SIGKILL && took >= killAfter {
						t.Errorf("it took %v from the signal, and the runner kills after %v\n%s", took, killAfter, res.Log)
					}
					if s != syscall.SIGKILL && d == prompt && len(j.Platform.Alive()) > 0 {
						t.Errorf("it left %+v\n%s", j.Platform.Alive(), res.Log)
					}
					j.checkExec(t, res)
				})
			}
		}
	}
}

// TestExecSignalsOnce: a CI that signals the process and one that signals its group both reach the command once.
func TestExecSignalsOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		send func(pid int) error
	}{
		{"the process", func(pid int) error { return syscall.Kill(pid, syscall.SIGTERM) }},
		{"the group", func(pid int) error { return syscall.Kill(-pid, syscall.SIGTERM) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, "stored", "1m")
			p := j.script("exec", "--", "sh", "-c", `n=0; trap 'n=$((n+1))' TERM; echo begun >$BEGUN; while [ ! -e done ]; do sleep 0.05; done; exit $((40+n))`)
			p.Cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			j.await(t, "begun")
			if err := c.send(p.Cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond) // for one too many
			if err := os.WriteFile(filepath.Join(j.Dir, "done"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			res, err := p.Wait()
			if err != nil || res.Code != 41 {
				t.Errorf("expected exit code %d to be 41, of one signal: %v\n%s", res.Code, err, res.Log)
			}
		})
	}
}

// await waits until there is a file in the job's directory.
func (j *job) await(t *testing.T, file string) {
	t.Helper()
	for range 1000 {
		if info, err := os.Stat(filepath.Join(j.Dir, file)); err == nil && info.Size() > 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s never appeared", file)
}

// TestExecStreams: the command has our standard input; what it prints comes out byte for byte and in its order; with
// mask-output: false it writes to our files itself.
func TestExecStreams(t *testing.T) {
	j := newJob(t, "stored", "1m")
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 3<<20)
	_, _ = random.Read(data)
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "out %d\nerr %d\n", i, i)
	}
	file := func(t *testing.T) *os.File {
		f, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for _, c := range []struct {
		name    string
		command string
		stdin   io.Reader
		env     string
		both    bool // standard error goes to the same file
		want    string
	}{
		{name: "binary", command: "cat", stdin: bytes.NewReader(data), want: string(data)},
		{name: "in order", command: `i=0; while [ $i -lt 200 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done`, both: true, want: lines.String()},
		{name: "through us", command: "[ -p /dev/fd/1 ] && echo a pipe", want: "a pipe\n"},
		{name: "as it is", command: "[ -p /dev/fd/1 ] || echo no pipe", env: "JFROG_TOKEN_MASK_OUTPUT=false", want: "no pipe\n"},
		{name: "an end without a line", command: "printf end", want: "end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, f := j.script("exec", "--", "sh", "-c", c.command), file(t)
			p.Cmd.Stdin, p.Cmd.Stdout = c.stdin, f
			if c.both {
				p.Cmd.Stderr = f
			}
			if c.env != "" {
				p.Cmd.Env = append(p.Cmd.Env, c.env)
			}
			if err := p.Cmd.Run(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(f.Name())
			if c.both { // our own lines are there as well
				got = bytes.Join(slices.DeleteFunc(bytes.SplitAfter(got, []byte("\n")), func(l []byte) bool {
					return !bytes.HasPrefix(l, []byte("out ")) && !bytes.HasPrefix(l, []byte("err "))
				}), nil)
			}
			if err != nil || string(got) != c.want {
				t.Errorf("expected %d bytes, and got %d that differ: %v\n%.200q", len(c.want), len(got), err, got)
			}
		})
	}
	if alive := j.Platform.Alive(); len(alive) > 0 {
		t.Errorf("%+v", alive)
	}
}

// TestExecLosesNoOutput: what the command printed comes out however slowly it is read, and a disk that is full is an error.
func TestExecLosesNoOutput(t *testing.T) {
	t.Parallel()
	j := newJob(t, "stored", "1m")
	p := j.script("exec", "--", "head", "-c", "155000", "/dev/zero")
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Cmd.Stdout = to
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	to.Close()
	time.Sleep(3 * time.Second) // longer than what the command leaves running is waited for
	total := 0
	for buf := make([]byte, 4096); ; time.Sleep(60 * time.Millisecond) {
		n, err := from.Read(buf)
		if total += n; err != nil {
			break
		}
	}
	if err := p.Cmd.Wait(); err != nil || total != 155000 {
		t.Errorf("%d bytes of 155000 came out: %v", total, err)
	}

	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer full.Close()
	for command, want := range map[string]int{"echo lost": 1, "echo lost; exit 3": 3, "true": 0} {
		p := j.script("exec", "--", "sh", "-c", command)
		p.Cmd.Stdout = full
		_ = p.Cmd.Run()
		if code := p.Cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%s: expected exit code %d to be %d", command, code, want)
		}
	}
}

// TestExecGivesUp: a JFrog that hangs holds exec up for no longer than the time of a cleanup after the signal.
func TestExecGivesUp(t *testing.T) {
	if raceEnabled {
		t.Skip("a binary with the race detector takes a second more to exit")
	}
	t.Parallel()
	j := newJob(t, "stored", "1m")
	j.SetFaults([]jfrogtest.Fault{{On: "revoke", Kind: "hang"}})
	p := j.script("exec", "--", "sh", "-c", "trap 'sleep 4.5; exit 0' TERM; echo begun >$BEGUN; while :; do sleep 0.1; done")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	j.await(t, "begun")
	at := time.Now()
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	res, err := p.Wait()
	if took := time.Since(at); err != nil || took >= killAfter {
		t.Errorf("it took %v from the signal: %v\n%s", took, err, res.Log)
	}
	j.SetFaults(nil)
	j.checkExec(t, res)
}
