package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"

	"golang.org/x/sys/windows"
)

// setApart does nothing: Windows has no such groups.
func setApart(*exec.Cmd, bool) bool { return false }

// pass does nothing: the console has told the command as well, and there is no
// other signal.
func (p *Process) pass(os.Signal) {}

// notifyFurther does nothing: there are no further signals.
func notifyFurther(chan<- os.Signal) {}

// nobodyReads reports whether a write failed because the other end is closed, or
// just closes.
func nobodyReads(err error) bool {
	return errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_NO_DATA)
}

// hasIdentity reports whether os.SameFile can tell a file from others: it takes
// any two pipes for one, and any two consoles
// (https://github.com/golang/go/blob/go1.26.0/src/os/stat_windows.go#L114).
func hasIdentity(info fs.FileInfo) bool { return info.Mode().IsRegular() }
