package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestExecAtATerminal: the command has the terminal itself, a person's or that of a CI, and Ctrl-C reaches it once, as
// without exec.
func TestExecAtATerminal(t *testing.T) {
	t.Run("a person's", func(t *testing.T) {
		atTerminal(t, func(env []string) []string {
			return slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, "GITHUB_ACTIONS=") })
		})
	})
	t.Run("a CI's", func(t *testing.T) { atTerminal(t, slices.Clone) })
}

func atTerminal(t *testing.T, of func(env []string) []string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminal here: ", err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminal here: ", err)
	}
	defer terminal.Close()

	j := newJob(t, "stored", "1m")
	p := j.script("exec", "--", "sh", "-c", `n=0; trap 'n=$((n+1))' INT; test -t 0 && test -t 1 && test -t 2 && echo begun >$BEGUN
		i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done; exit $((40+n))`)
	p.Cmd.Env = of(p.Cmd.Env)
	p.Cmd.Stdin, p.Cmd.Stdout, p.Cmd.Stderr = terminal, terminal, terminal
	p.Cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	shown := make(chan string)
	go func() { // or the terminal fills
		var b strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				shown <- b.String()
				return
			}
		}
	}()
	j.await(t, "begun")
	if _, err := master.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	err = p.Cmd.Wait()
	terminal.Close()
	text := <-shown
	if code := p.Cmd.ProcessState.ExitCode(); code != 41 {
		t.Errorf("expected exit code %d to be 41, of one signal: %v\n%s", code, err, text)
	}
	if alive := j.Platform.Alive(); len(alive) > 0 || !strings.Contains(text, "revoked") {
		t.Errorf("it left %+v\n%s", alive, text)
	}
}
