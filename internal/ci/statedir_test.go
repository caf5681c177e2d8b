package ci

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

const (
	markerA = "jt-AAAAAAAAAAAAAAAA"
	markerB = "jt-BBBBBBBBBBBBBBBB"
)

func stateOf(n int) string { return fmt.Sprintf(`{"written_by":"jfrog-token","n":%d}`, n) }

// newStateDir returns a state directory that is not there yet.
func newStateDir(t *testing.T) *stateDir {
	t.Helper()
	return &stateDir{path: filepath.Join(t.TempDir(), ".jfrog-token")}
}

// again is the same directory to another process.
func (d *stateDir) again() *stateDir { return &stateDir{path: d.path} }

// end lets go of the locks, as the end of a process does.
func (d *stateDir) end() {
	for marker, f := range d.locks {
		_ = f.Close()
		delete(d.locks, marker)
	}
}

func save(t *testing.T, d *stateDir, marker, state string) {
	t.Helper()
	if err := d.Save(marker, []byte(state)); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// The life of a state: the last that was saved is taken, and with the last one
// the directory is gone.
func TestStateDir(t *testing.T) {
	t.Parallel()
	d := newStateDir(t)
	if got, err := d.States(); got != nil || err != nil {
		t.Errorf("expected %q, %v to be none", got, err)
	}
	save(t, d, markerA, stateOf(1))
	save(t, d, markerA, stateOf(2))
	if got, want := names(t, d.path), []string{".gitignore", markerA + ".json"}; !slices.Equal(got, want) {
		t.Errorf("expected %q to be %q", got, want)
	}
	if got := textOf(t, filepath.Join(d.path, ".gitignore")); got != ignoreHead+"*\n" {
		t.Errorf("expected %q to be %q", got, ignoreHead+"*\n")
	}
	if runtime.GOOS != "windows" {
		dir, err := os.Stat(d.path)
		file, err2 := os.Stat(d.file(markerA))
		if err := errors.Join(err, err2); err != nil || dir.Mode().Perm() != 0o700 || file.Mode() != 0o600 {
			t.Errorf("expected %v, %v, %v to be %v, %v", dir.Mode(), file.Mode(), err, fs.FileMode(0o700), fs.FileMode(0o600))
		}
	}
	d.end()
	d = d.again()
	if got, err := d.States(); err != nil || !slices.Equal(got, []string{markerA}) {
		t.Errorf("expected %q, %v to be %q", got, err, []string{markerA})
	}
	if got, busy, err := d.Take(markerA); string(got) != stateOf(2) || busy || err != nil {
		t.Errorf("expected %q, %t, %v to be %q", got, busy, err, stateOf(2))
	}
	save(t, d, markerA, stateOf(3)) // what could not be revoked
	if err := d.Drop(markerA); err != nil || isThere(d.path) {
		t.Errorf("expected %v, %q to be nothing", err, names(t, d.path))
	}
	if err := d.Drop(markerA); err != nil { // another one did
		t.Errorf("expected %v to be %v", err, nil)
	}
}

// The newest state is this job's, and gets most of the time.
func TestStatesAreTheNewestFirst(t *testing.T) {
	t.Parallel()
	d := newStateDir(t)
	for i, marker := range []string{markerB, markerA, "jt-CCCCCCCCCCCCCCCC"} {
		save(t, d, marker, stateOf(i))
		at := time.Now().Add(time.Duration(i-10) * time.Minute)
		if err := os.Chtimes(d.file(marker), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []string{"env", "jt-x.json", markerA + ".json.bak", markerA + ".env.tmp", "x" + markerA + ".json"} {
		write(t, filepath.Join(d.path, other), stateOf(9))
	}
	want := []string{"jt-CCCCCCCCCCCCCCCC", markerA, markerB}
	if got, err := d.States(); err != nil || !slices.Equal(got, want) {
		t.Errorf("expected %q, %v to be %q", got, err, want)
	}
}

// Who may write to the directory could put a file there that root sources
// later, or a state that sends a token elsewhere.
func TestStateDirThatOthersMayWriteTo(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it is left to the access control lists")
	}
	for _, c := range []struct {
		name string
		mode fs.FileMode
		uid  int // -1: this user's
		want error
	}{
		{"0700", 0o700, -1, nil}, {"0755", 0o755, -1, nil}, {"0777", 0o777, -1, errOthers}, {"0770", 0o770, -1, errOthers}, {"0702", 0o702, -1, errOthers},
		{"sticky", 0o777 | fs.ModeSticky, -1, errOthers}, {"another user's", 0o700, 12345, errOthers},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newStateDir(t)
			if err := errors.Join(os.Mkdir(d.path, 0o700), os.Chmod(d.path, c.mode)); err != nil {
				t.Fatal(err)
			}
			if c.uid >= 0 {
				if os.Geteuid() != 0 {
					t.Skip("only root gives a directory away")
				}
				if err := os.Chown(d.path, c.uid, -1); err != nil {
					t.Fatal(err)
				}
			}
			_, listed := d.States()
			f := filesOf(d.path, filepath.Join(d.path, "env"), nil)
			for name, err := range map[string]error{"Check": f.Check(Writes{Outputs: true}), "Save": d.Save(markerA, []byte(stateOf(1))), "States": listed} {
				if !errors.Is(err, c.want) {
					t.Errorf("%s: expected %v to be %v", name, err, c.want)
				}
			}
			if c.want != nil && len(names(t, d.path)) != 0 {
				t.Errorf("expected %q to be nothing", names(t, d.path))
			}
		})
	}
}

// In somebody's own directory a .gitignore of ours would hide all that is in
// it; one of theirs stays as it is.
func TestGitignore(t *testing.T) {
	t.Parallel()
	const theirs = "# theirs\r\n*.log\n\n!keep"
	for _, c := range []struct {
		name   string
		before map[string]string // "" for a directory: it is not there
		want   string            // "": none
		left   []string          // once nothing is saved any more; nil: the directory is gone
	}{
		{"a new directory", nil, ignoreHead + "*\n", nil},
		{"an empty one", map[string]string{}, ignoreHead + "*\n", nil},
		{"one with a state of another mint", map[string]string{markerB + ".json": stateOf(1)}, ignoreHead + "*\n", []string{".gitignore", markerB + ".json"}},
		{"one with what a killed mint left", map[string]string{markerB + ".env.tmp": "x"}, ignoreHead + "*\n", nil},
		{"one of theirs", map[string]string{"README": "x"}, "", []string{"README"}},
		{"one of theirs with a .gitignore", map[string]string{"README": "x", ".gitignore": theirs}, theirs, []string{".gitignore", "README"}},
		{"one with their .gitignore alone", map[string]string{".gitignore": theirs}, theirs, []string{".gitignore"}},
		{"one with an empty .gitignore", map[string]string{".gitignore": ""}, "", []string{".gitignore"}},
		{"one with our .gitignore", map[string]string{".gitignore": ignoreHead + "*\n"}, ignoreHead + "*\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newStateDir(t)
			if c.before != nil {
				if err := os.Mkdir(d.path, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for name, text := range c.before {
				write(t, filepath.Join(d.path, name), text)
			}
			save(t, d, markerA, stateOf(1))
			got, err := os.ReadFile(filepath.Join(d.path, ".gitignore"))
			if _, was := c.before[".gitignore"]; string(got) != c.want || (err == nil) != (c.want != "" || was) {
				t.Errorf("expected %q, %v to be %q", got, err, c.want)
			}
			if err := d.Drop(markerA); err != nil {
				t.Fatal(err)
			}
			if got := names(t, d.path); !slices.Equal(got, c.left) || isThere(d.path) != (c.left != nil) {
				t.Errorf("expected %q to be %q", got, c.left)
			}
			if text, was := c.before[".gitignore"]; was && c.left != nil && textOf(t, filepath.Join(d.path, ".gitignore")) != text {
				t.Errorf("expected %q to be %q", textOf(t, filepath.Join(d.path, ".gitignore")), text)
			}
		})
	}
}

// A process that is killed between writing and placing leaves a secret: it
// goes with its state, or, if there is none, with the next who passes by. That
// of a mint that goes on stays.
func TestLeftoversOfAKilledProcess(t *testing.T) {
	t.Parallel()
	leave := func(d *stateDir, marker string) {
		for _, name := range []string{"json", "env", "gitignore"} {
			write(t, filepath.Join(d.path, marker+"."+name+".tmp"), "s3cr3t")
		}
	}
	t.Run("Drop", func(t *testing.T) {
		t.Parallel()
		d := newStateDir(t)
		save(t, d, markerA, stateOf(1))
		save(t, d, markerB, stateOf(1))
		leave(d, markerA)
		write(t, filepath.Join(d.path, markerB+".env.tmp"), "x")
		if err := d.Drop(markerA); err != nil {
			t.Fatal(err)
		}
		if got, want := names(t, d.path), []string{".gitignore", markerB + ".env.tmp", markerB + ".json"}; !slices.Equal(got, want) {
			t.Errorf("expected %q to be %q", got, want)
		}
	})
	t.Run("remove", func(t *testing.T) {
		t.Parallel()
		d := newStateDir(t)
		save(t, d, markerB, stateOf(1))
		leave(d, markerA)
		leave(d, markerB)
		theirs := []string{"jt.tmp", "x.tmp", "jt-notes.txt"}
		for _, name := range theirs {
			write(t, filepath.Join(d.path, name), "x")
		}
		d.remove()
		want := slices.Concat([]string{".gitignore", markerB + ".env.tmp", markerB + ".gitignore.tmp", markerB + ".json", markerB + ".json.tmp"}, theirs)
		slices.Sort(want)
		if got := names(t, d.path); !slices.Equal(got, want) {
			t.Errorf("expected %q to be %q", got, want)
		}
	})
	t.Run("nothing else is left", func(t *testing.T) {
		t.Parallel()
		d := newStateDir(t)
		if err := d.make(); err != nil {
			t.Fatal(err)
		}
		leave(d, markerA)
		d.remove()
		if isThere(d.path) {
			t.Errorf("expected %q to be gone", names(t, d.path))
		}
	})
	t.Run("the name is used again", func(t *testing.T) {
		t.Parallel()
		d := newStateDir(t)
		if err := d.make(); err != nil {
			t.Fatal(err)
		}
		leave(d, markerA)
		save(t, d, markerA, stateOf(1))
		if got := textOf(t, d.file(markerA)); got != stateOf(1) {
			t.Errorf("expected %q to be %q", got, stateOf(1))
		}
	})
}

// A revoke that ends the last token removes the directory, while a mint begins
// that saves in it: the mint loses nothing, and git ignores what it has.
func TestSaveWhileTheDirectoryIsRemoved(t *testing.T) {
	t.Parallel()
	d := newStateDir(t)
	other := d.again()
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !over.Load() { // one revoke after the other
			other.remove()
			other.remove()
			time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
		}
	}()
	for i := range 100 {
		mint := d.again()
		f := filesOf(d.path, filepath.Join(d.path, "env"), nil)
		if err := f.Check(Writes{Outputs: true}); err != nil {
			t.Errorf("Check: expected %v to be %v", err, nil)
		}
		for n := range 2 {
			if err := mint.Save(markerA, []byte(stateOf(i+n))); err != nil {
				t.Errorf("Save: expected %v to be %v", err, nil)
			}
		}
		if got, err := os.ReadFile(d.file(markerA)); err != nil || string(got) != stateOf(i+1) {
			t.Errorf("expected %q, %v to be %q", got, err, stateOf(i+1))
		}
		if err := mint.Drop(markerA); err != nil {
			t.Errorf("Drop: expected %v to be %v", err, nil)
		}
		if t.Failed() {
			break
		}
	}
	over.Store(true)
	<-done
}

// A lock says that the mint of a state is still running: its token is not
// revoke's yet.
func TestTakeOfALockedState(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no locks")
	}
	mint := newStateDir(t)
	save(t, mint, markerA, stateOf(1))
	for range 2 {
		if _, busy, err := mint.again().Take(markerA); !busy || err != nil {
			t.Errorf("expected %t, %v to be %t", busy, err, true)
		}
		save(t, mint, markerA, stateOf(2)) // the lock goes on with the new file
	}
	mint.end()
	first, second := mint.again(), mint.again()
	if got, busy, err := first.Take(markerA); string(got) != stateOf(2) || busy || err != nil {
		t.Errorf("expected %q, %t, %v to be %q", got, busy, err, stateOf(2))
	}
	if _, busy, err := second.Take(markerA); !busy || err != nil { // two revoke
		t.Errorf("expected %t, %v to be %t", busy, err, true)
	}
	if err := first.Drop(markerA); err != nil {
		t.Fatal(err)
	}
	if got, busy, err := second.Take(markerA); got != nil || busy || !errors.Is(err, fs.ErrNotExist) { // the other one ended it
		t.Errorf("expected %q, %t, %v to be %v", got, busy, err, fs.ErrNotExist)
	}
}

// A state that was replaced between opening and locking belongs to whoever
// replaced it.
func TestTakeAfterRename(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no open file is renamed there")
	}
	mint := newStateDir(t)
	save(t, mint, markerA, stateOf(1))
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 2; !over.Load(); i++ {
			if err := mint.Save(markerA, []byte(stateOf(i))); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 2000 {
		if got, busy, err := mint.again().Take(markerA); !busy || err != nil {
			t.Errorf("expected %q, %t, %v to be %t", got, busy, err, true)
			break
		}
	}
	over.Store(true)
	<-done
}

const childStateDir = "CI_TEST_STATE_DIR"

// TestHoldAState is the other process of the test after it.
func TestHoldAState(t *testing.T) {
	path := os.Getenv(childStateDir)
	if path == "" {
		return
	}
	d := &stateDir{path: path}
	save(t, d, markerA, stateOf(1))
	fmt.Println("saved")
	time.Sleep(time.Minute)
}

// The lock ends with the process, however that ends: nothing has to be cleaned
// up before revoke can do its work.
func TestLockOfAKilledProcess(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no locks")
	}
	d := newStateDir(t)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run=^TestHoldAState$")
	cmd.Env = append(os.Environ(), childStateDir+"="+d.path, "GOCOVERDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "saved\n" {
		t.Fatalf("expected %q, %v to be %q", line, err, "saved\n")
	}
	if _, busy, err := d.Take(markerA); !busy || err != nil {
		t.Errorf("expected %t, %v to be %t", busy, err, true)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got, busy, err := d.Take(markerA); string(got) != stateOf(1) || busy || err != nil {
		t.Errorf("expected %q, %t, %v to be %q", got, busy, err, stateOf(1))
	}
}
