package process

import (
	"io/fs"
	"os"
	"os/exec"
)

// setApart does nothing: Windows has no such groups.
func setApart(*exec.Cmd, bool) bool { return false }

// pass does nothing: the console has told the command as well, and there is no
// other signal.
func (p *Process) pass(os.Signal) {}

// hasIdentity reports whether os.SameFile can tell a file from others: it takes
// any two pipes for one, and any two consoles
// (https://github.com/golang/go/blob/go1.26.0/src/os/stat_windows.go#L114).
func hasIdentity(info fs.FileInfo) bool { return info.Mode().IsRegular() }
