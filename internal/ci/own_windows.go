package ci

import (
	"io/fs"
	"os"
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
