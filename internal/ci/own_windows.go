package ci

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// ownedAlone is left to the access control lists of the workspace.
func ownedAlone(fs.FileInfo) bool { return true }

// writable is left to the access control lists too: if the env file cannot be
// written, mint takes its token back.
func writable(dir string) error {
	_, err := os.Stat(dir)
	return plain(err)
}

// lock closes the file, as Windows renames no open one. A revoke beside a
// running mint ends that one's token there.
func lock(f *os.File) bool { return f.Close() == nil }

// tryLock leaves the file open, which keeps others from removing it there.
func tryLock(*os.File) bool { return true }

// removeUnlocked removes a file that no process has open.
func removeUnlocked(path string) { _ = os.Remove(path) }

// beingRemoved reports whether an error is that of something which is just being
// removed: its name can neither be used nor made again until the last process has
// closed it
// (https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-deletefilew).
func beingRemoved(err error) bool {
	return errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION)
}

// errOtherDevice is that of a link, or of renaming, across volumes.
const errOtherDevice = windows.ERROR_NOT_SAME_DEVICE
