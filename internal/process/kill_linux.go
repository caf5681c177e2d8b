package process

import "syscall"

// killWithUs has the kernel kill the command if we are killed: nobody else would,
// as it is not in our process group. What the command started lives on. The kernel
// takes the thread that started the command for its parent
// (https://go.dev/issue/27505), hence LockOSThread in Start.
func killWithUs(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
