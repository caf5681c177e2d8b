package process

import (
	"os"
	"os/exec"
)

// setApart does nothing: Windows has no such groups.
func setApart(*exec.Cmd, bool) bool { return false }

// pass does nothing: the console has told the command as well, and there is no
// other signal.
func (p *Process) pass(os.Signal) {}
