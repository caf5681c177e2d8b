//go:build !windows

package ci

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedAlone reports whether a directory is this user's, and nobody else may
// write to it: who can, can replace a file that root sources later.
func ownedAlone(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}

// writable reports whether files can be made in a directory. It makes none to
// try: a process that is killed would leave it.
func writable(dir string) error { return syscall.Access(dir, 0o3) } // W_OK and X_OK

// lock takes a lock that ends with this process, and reports whether it could.
func lock(f *os.File) bool { return tryLock(f) }

// tryLock is lock for a file that is still written to. On a file system without
// locks it can.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != syscall.EWOULDBLOCK
}

// errOtherDevice is that of a link, or of renaming, across file systems.
const errOtherDevice = syscall.EXDEV

// removeUnlocked removes a file that no process has locked.
func removeUnlocked(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	if tryLock(f) {
		_ = os.Remove(path)
	}
	_ = f.Close()
}

// beingRemoved reports whether an error is that of something which is just being
// removed. Here that is there, or is not.
func beingRemoved(error) bool { return false }
