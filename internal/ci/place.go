package ci

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

var (
	errSymlink = errors.New("it is a symbolic link, or leads through one")
	errForeign = errors.New("there is one that jfrog-token did not write")
	errNotDir  = errors.New("it is not a directory")
	errOthers  = errors.New("it belongs to another user, or others may write to it")
)

// noSymlink refuses a path that leads through a symbolic link below the working
// directory, however it is spelled: what is in the workspace may come from a
// pull request. Above it, and elsewhere, the path is the machine's, and only
// its end counts.
func noSymlink(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return plain(err)
	}
	work, err := os.Stat(".")
	if err != nil {
		return plain(err)
	}
	links := 0 // below p
	for p := path; ; p = filepath.Dir(p) {
		if info, err := os.Stat(p); links > 0 && err == nil && os.SameFile(info, work) {
			return errSymlink
		}
		if info, err := os.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if p == path {
				return errSymlink
			}
			links++
		}
		if p == filepath.Dir(p) {
			return nil
		}
	}
}

// maxOwn bounds a file that is read back, in bytes.
const maxOwn = 128 << 10

// readOwn reads a regular file that is no symbolic link.
func readOwn(path string) ([]byte, error) {
	if err := noSymlink(path); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, plain(err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxOwn {
		return nil, errForeign
	}
	text, err := os.ReadFile(path)
	return text, plain(err)
}

// replaceable reports whether path can be written: there is nothing, or a file
// that begins with head.
func replaceable(path, head string) error {
	text, err := readOwn(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !bytes.HasPrefix(text, []byte(head)) {
		return errForeign
	}
	return err
}

// writeNew writes a file of mode 0600 that only this process knows. What a
// killed process left under that name is removed first.
func writeNew(path string, text []byte) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, plain(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, plain(err)
	}
	tryLock(f) // tells it from what a killed process left
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(path)
	}
	return f, plain(err)
}

// place moves tmp to path, whole or not at all, and only over nothing or a file
// that begins with head: a link is not made over what appeared meanwhile, and a
// symbolic link is replaced, not followed.
func place(tmp, path, head string) error {
	defer os.Remove(tmp)
	if err := noSymlink(path); err != nil {
		return err
	}
	err := os.Link(tmp, path)
	if err == nil || errors.Is(err, errOtherDevice) {
		return plain(err)
	}
	if err := replaceable(path, head); err != nil { // or a file system without links
		return err
	}
	return plain(os.Rename(tmp, path))
}
