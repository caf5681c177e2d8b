//go:build !windows

package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// setApart puts the command in a process group of its own, and reports whether
// it did. Some CIs send a signal to one process, some to its whole group:
// https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/helpers/process/killer_unix.go
// The command shall get it once in both cases, as a second one has many a program
// drop everything; so we get it, and pass it on.
//
// At a person's terminal the command stays in our group, or it could not read from
// there. A CI that has one does not type.
func setApart(cmd *exec.Cmd, atTerminal bool) bool {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	killWithUs(cmd.SysProcAttr)
	if tty, err := os.Open("/dev/tty"); err == nil {
		_ = tty.Close()
		if atTerminal {
			return false
		}
	}
	cmd.SysProcAttr.Setpgid = true
	return true
}

// pass sends the signal to the command's group, as a terminal does: a shell that
// runs a program in the foreground would end, and leave the program behind. A
// person's terminal has sent its own signals to the whole of our group.
func (p *Process) pass(s os.Signal) {
	signal, ok := s.(syscall.Signal)
	switch {
	case !ok:
	case p.apart && syscall.Kill(-p.cmd.Process.Pid, signal) == nil:
	case p.apart: // it has left its group
		_ = p.cmd.Process.Signal(signal)
	case signal == syscall.SIGINT, signal == syscall.SIGQUIT, signal == syscall.SIGHUP:
	default:
		_ = p.cmd.Process.Signal(signal)
	}
}

// notifyFurther has signals relayed that mean nothing to us, and may to the
// command: Go ignores them.
func notifyFurther(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2) }

// nobodyReads reports whether a write failed because the other end is closed.
func nobodyReads(err error) bool { return errors.Is(err, syscall.EPIPE) }

// hasIdentity reports whether os.SameFile can tell a file from others.
func hasIdentity(fs.FileInfo) bool { return true }
