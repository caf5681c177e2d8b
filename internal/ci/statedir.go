package ci

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// stateDir holds one state file for each mint, <marker>.json. Two processes
// never write the same file. The lock on it tells revoke that the mint is still
// running: it ends with the process, however that ends.
type stateDir struct {
	path   string
	marker string              // of this run's mint
	locks  map[string]*os.File // that this process holds, by marker
}

// ignoreHead begins our .gitignore, which keeps what is in the state directory
// out of commits, and out of images and archives that follow it: a credential
// file in the workspace ended in both
// (https://github.com/google-github-actions/auth/issues/298).
const ignoreHead = "# Written by jfrog-token.\n"

var stateFile = regexp.MustCompile(`^(jt-[A-Z2-7]{16})\.json$`)

func (d *stateDir) file(marker string) string { return filepath.Join(d.path, marker+".json") }

// tmp is where a file of this run is written before it is placed. It lies in
// the directory that git ignores, and is known by the marker; before there is
// one, by a name like it.
func (d *stateDir) tmp(name string) string {
	if d.marker == "" {
		d.marker = "jt-" + rand.Text()[:16]
	}
	return filepath.Join(d.path, d.marker+"."+name+".tmp")
}

// again repeats what a revoke beside us breaks: it removes the directory if
// nothing else is in it, and files that it takes for those of a killed process.
func again(do func() error) error {
	var err error
	for range 20 {
		err = do()
		if beingRemoved(err) {
			time.Sleep(5 * time.Millisecond)
		} else if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return err
}

// make makes the directory, or takes one that is this user's alone.
func (d *stateDir) make() error { return again(d.makeOnce) }

func (d *stateDir) makeOnce() error {
	if err := noSymlink(d.path); err != nil {
		return err
	}
	made := os.Mkdir(d.path, 0o700)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return plain(made)
	}
	info, err := os.Lstat(d.path)
	switch {
	case err != nil:
		return plain(err)
	case !info.IsDir():
		return errNotDir
	case !ownedAlone(info):
		return errOthers
	}
	// In somebody's own directory a .gitignore would hide all that is in it.
	entries, err := os.ReadDir(d.path)
	foreign := func(e fs.DirEntry) bool {
		return !hasOurName(e.Name()) && replaceable(filepath.Join(d.path, e.Name()), envHead) != nil
	}
	if err != nil || made != nil && slices.ContainsFunc(entries, foreign) {
		return plain(err)
	}
	ignore := filepath.Join(d.path, ".gitignore")
	if _, err := os.Lstat(ignore); err == nil {
		return nil
	}
	f, err := writeNew(d.tmp("gitignore"), []byte(ignoreHead+"*\n"))
	if err == nil {
		err = errors.Join(f.Close(), place(f.Name(), ignore, ignoreHead))
	}
	return err
}

// hasOurName reports whether a file in the state directory has one of our names.
func hasOurName(name string) bool {
	return stateFile.MatchString(name) || strings.HasPrefix(name, "jt-") && strings.HasSuffix(name, ".tmp")
}

// Save implements store.
func (d *stateDir) Save(marker string, state []byte) error {
	d.marker = marker
	if err := again(func() error { return d.save(state) }); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

func (d *stateDir) save(state []byte) error {
	if err := d.makeOnce(); err != nil {
		return err
	}
	f, err := writeNew(d.tmp("json"), state)
	if err != nil {
		return err
	}
	lock(f) // before anybody can see the file
	if err := place(f.Name(), d.file(d.marker), `{"written_by":"jfrog-token"`); err != nil {
		return errors.Join(err, f.Close())
	}
	d.keep(d.marker, f)
	return nil
}

// keep holds a lock until the state changes, or this process ends.
func (d *stateDir) keep(marker string, f *os.File) {
	if old := d.locks[marker]; old != nil {
		_ = old.Close()
	}
	if d.locks == nil {
		d.locks = map[string]*os.File{}
	}
	d.locks[marker] = f
}

// Drop implements store.
func (d *stateDir) Drop(marker string) error {
	err := os.Remove(d.file(marker))
	if f := d.locks[marker]; f != nil {
		_ = f.Close()
		delete(d.locks, marker)
	}
	left, _ := filepath.Glob(filepath.Join(d.path, marker+".*.tmp")) // of a process that was killed
	for _, tmp := range left {
		_ = os.Remove(tmp)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove state: %w", plain(err))
	}
	d.remove()
	return nil
}

// Read implements store. A state is written whole or not at all, and can be read
// without a lock.
func (d *stateDir) Read(marker string) ([]byte, error) { return readOwn(d.file(marker)) }

// Take implements store. Whoever takes a state that is not theirs to end keeps
// those from ending it whose it is.
func (d *stateDir) Take(marker string) (state []byte, busy bool, err error) {
	path := d.file(marker)
	if err := noSymlink(path); err != nil {
		return nil, false, fmt.Errorf("read state: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, fmt.Errorf("read state: %w", plain(err))
	}
	locked, err := f.Stat()
	busy = err == nil && !lock(f)
	if err == nil && !busy {
		var now fs.FileInfo
		now, err = os.Lstat(path)
		busy = err == nil && !os.SameFile(now, locked) // it was replaced before the lock
	}
	if busy || err != nil {
		_ = f.Close()
		return nil, busy, plain(err)
	}
	d.keep(marker, f)
	state, err = readOwn(path)
	return state, false, err
}

// States implements store.
func (d *stateDir) States() ([]string, error) {
	if err := noSymlink(d.path); err != nil {
		return nil, fmt.Errorf("read state-dir: %w", err)
	}
	info, err := os.Lstat(d.path)
	if err == nil && !ownedAlone(info) {
		err = errOthers
	}
	var entries []fs.DirEntry
	if err == nil {
		entries, err = os.ReadDir(d.path)
	}
	if errors.Is(err, fs.ErrNotExist) { // never made, or removed meanwhile
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state-dir: %w", plain(err))
	}
	var markers []string
	saved := map[string]int64{}
	for _, e := range entries {
		if m := stateFile.FindStringSubmatch(e.Name()); m != nil {
			markers = append(markers, m[1])
			if info, err := e.Info(); err == nil {
				saved[m[1]] = info.ModTime().UnixNano()
			}
		}
	}
	slices.SortFunc(markers, func(a, b string) int { return cmp.Compare(saved[b], saved[a]) })
	return markers, nil
}

// remove removes the directory if nothing is in it but our .gitignore and what
// a process left that was killed before it saved anything. Whoever else is at
// it may see our .gitignore and leave the directory to us: we look again.
func (d *stateDir) remove() {
	if noSymlink(d.path) != nil {
		return
	}
	for range 20 {
		d.removeLeft()
		ignore := filepath.Join(d.path, ".gitignore")
		entries, _ := os.ReadDir(d.path)
		isOurs := func(e fs.DirEntry) bool { return e.Name() == ".gitignore" && replaceable(ignore, ignoreHead) == nil }
		if len(entries) > 1 || len(entries) == 1 && !isOurs(entries[0]) {
			return
		}
		_ = os.Remove(ignore)
		if err := os.Remove(d.path); err == nil || errors.Is(err, fs.ErrNotExist) {
			return
		}
		_ = d.make() // a mint began meanwhile
	}
}

// removeLeft removes the files of processes that were killed before they saved
// a state. One that runs has its file locked.
func (d *stateDir) removeLeft() {
	entries, _ := os.ReadDir(d.path)
	for _, e := range entries {
		marker, _, _ := strings.Cut(e.Name(), ".")
		_, err := os.Lstat(d.file(marker))
		isTmp := hasOurName(e.Name()) && strings.HasSuffix(e.Name(), ".tmp") && e.Type().IsRegular()
		if !isTmp || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		removeUnlocked(filepath.Join(d.path, e.Name()))
	}
}
