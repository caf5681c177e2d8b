package ci

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// gitignore keeps what is in the state directory out of commits and out of
// images and archives that follow it: a credential file in the workspace ended
// in both (https://github.com/google-github-actions/auth/issues/298).
const gitignore = "*\n"

var (
	errSymlink  = errors.New("it is, or leads through, a symbolic link")
	errStranger = errors.New("there is one that jfrog-token did not write")
	errNotDir   = errors.New("it is not a folder")
)

// makeDir makes the state directory, or takes one that an earlier run made.
func makeDir(dir string) error {
	if err := noSymlink(dir); err != nil {
		return err
	}
	made := os.Mkdir(dir, 0o700)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return plain(made)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return plain(err)
	}
	if !info.IsDir() {
		return errNotDir
	}
	ignore := filepath.Join(dir, ".gitignore")
	if made != nil {
		// A .gitignore of * in somebody's own folder would hide all of it.
		entries, err := os.ReadDir(dir)
		if err != nil {
			return plain(err)
		}
		if _, err := os.Lstat(ignore); len(entries) > 0 && err != nil {
			return errStranger
		}
	}
	if err := ours(ignore, gitignore); err != nil {
		return err
	}
	return writeWhole(ignore, []byte(gitignore))
}

// noSymlink refuses a path that leads through a symbolic link: what is in the
// workspace may come from a pull request. Of an absolute path only the end is
// looked at; the rest is the machine's.
func noSymlink(path string) error {
	path = filepath.Clean(path)
	parts := []string{path}
	if !filepath.IsAbs(path) {
		for p := filepath.Dir(path); p != "." && p != string(filepath.Separator) && filepath.Base(p) != ".."; p = filepath.Dir(p) {
			parts = append(parts, p)
		}
	}
	for _, p := range parts {
		if info, err := os.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return errSymlink
		}
	}
	return nil
}

// ours reports whether path can be written: there is nothing, or a regular
// file that begins as ours do.
func ours(path, head string) error {
	text, err := readOwn(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !bytes.HasPrefix(text, []byte(head)) {
		return errStranger
	}
	return err
}

// maxOwn bounds a file that is read back, in bytes.
const maxOwn = 1 << 20

func readOwn(path string) ([]byte, error) {
	if err := noSymlink(path); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, plain(err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxOwn {
		return nil, errStranger
	}
	text, err := os.ReadFile(path)
	return text, plain(err)
}

// tryWrite makes and removes a file in dir.
func tryWrite(dir string) error {
	t, err := os.CreateTemp(dir, ".jfrog-token-*")
	if err != nil {
		return plain(err)
	}
	return plain(errors.Join(t.Close(), os.Remove(t.Name())))
}

// writeWhole writes a file with mode 0600, whole or not at all. A symbolic link
// that somebody put there meanwhile is replaced, not followed.
func writeWhole(path string, text []byte) error {
	if err := noSymlink(path); err != nil {
		return err
	}
	t, err := os.CreateTemp(filepath.Dir(path), ".jfrog-token-*") // mode 0600
	if err != nil {
		return plain(err)
	}
	_, err = t.Write(text)
	if err == nil {
		err = t.Sync()
	}
	err = errors.Join(err, t.Close())
	if err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		_ = os.Remove(t.Name())
	}
	return plain(err)
}

// removeDir removes the state directory where nothing but our .gitignore is
// in it.
func removeDir(dir string) {
	ignore := filepath.Join(dir, ".gitignore")
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) == 1 && entries[0].Name() == ".gitignore" && ours(ignore, gitignore) == nil {
		_ = os.Remove(ignore)
		_ = os.Remove(dir)
	}
}

var errLocked = errors.New("another jfrog-token holds state.lock")

// lock keeps two mints in one workspace, such as parallel steps, from losing
// each other's state. It waits for two seconds; a lock that is older was left
// by a process that was killed.
func lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, "state.lock")
	for range 100 {
		l, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			_ = l.Close()
			return func() { _ = os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrPermission) { // Windows: it is being removed
			return nil, plain(err)
		}
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > 10*time.Second {
			_ = os.Remove(path)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, errLocked
}
