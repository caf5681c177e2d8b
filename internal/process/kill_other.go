//go:build !linux && !windows

package process

import "syscall"

// killWithUs does nothing: only Linux can.
func killWithUs(*syscall.SysProcAttr) {}
