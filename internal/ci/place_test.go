package ci

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// inWorkspace makes a workspace, in which the test runs, with a directory
// beside it to which the workspace has symbolic links.
func inWorkspace(t *testing.T) (work, outside string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	work, outside = filepath.Join(root, "work"), filepath.Join(root, "outside")
	for _, dir := range []string{filepath.Join(work, "sub", "deep"), filepath.Join(outside, "in")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link(t, filepath.Join(outside, "in"), filepath.Join(work, "link"))
	link(t, outside, filepath.Join(work, "sub", "link"))
	link(t, ".", filepath.Join(work, "loop"))
	link(t, filepath.Join(outside, "absent"), filepath.Join(work, "dangling"))
	link(t, work, filepath.Join(root, "alias"))
	link(t, outside, filepath.Join(root, "elsewhere"))
	t.Chdir(work)
	return work, outside
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip(err) // it takes a privilege
		}
		t.Fatal(err)
	}
}

// What is in the workspace may come from a pull request: no symbolic link in it
// is followed, however the path is spelled. What is above it is the machine's.
func TestSymbolicLinks(t *testing.T) {
	work, outside := inWorkspace(t)
	root := filepath.Dir(work)
	join := func(parts ...string) string { // without cleaning it
		path := parts[0]
		for _, p := range parts[1:] {
			path += string(filepath.Separator) + p
		}
		return path
	}
	for _, c := range []struct {
		name, path string
		ok         bool
	}{
		{"a file", "env", true},
		{"a file in a directory", join("sub", "deep", "env"), true},
		{"the working directory itself", ".", true},
		{"a file that is there", join("sub", "deep"), true},
		{"an absolute path", join(work, "env"), true},
		{"with ..", join("sub", "..", "env"), true},
		{"the working directory under another name", join(root, "alias", "sub", "env"), true},
		{"outside", join("..", "outside", "env"), true},
		{"outside, through a link of the machine", join(root, "elsewhere", "in", "env"), true},
		{"outside, absolute", join(outside, "env"), true},

		{"a link", "link", false},
		{"a link to nothing", "dangling", false},
		{"through a link", join("link", "env"), false},
		{"through a link, absolute", join(work, "link", "env"), false},
		{"through a link, with .", join(".", "link", ".", "env"), false},
		{"through a link, with ..", join("sub", "..", "link", "env"), false},
		{"through a link, by way of outside", join("..", "work", "link", "env"), false},
		{"through a deeper link", join("sub", "link", "in", "env"), false},
		{"through a link, under another name of the working directory", join(root, "alias", "link", "env"), false},
		{"through a link, under another name, deeper", join(root, "alias", "sub", "link", "env"), false},
		{"through a link to the working directory", join("loop", "env"), false},
		{"through it twice", join("loop", "loop", "env"), false},
		{"through a link to nothing", join("dangling", "env"), false},
		{"a link outside", filepath.Join(root, "elsewhere"), false},
	} {
		if err := noSymlink(c.path); c.ok && err != nil || !c.ok && !errors.Is(err, errSymlink) {
			t.Errorf("%s, %s: expected %v to be %t", c.name, c.path, err, c.ok)
		}
	}
}

// A workspace that is a symbolic link itself, as a runner with its builds on
// another disk has it, is the machine's choice.
func TestWorkspaceThatIsASymbolicLink(t *testing.T) {
	work, _ := inWorkspace(t)
	alias := filepath.Join(filepath.Dir(work), "alias")
	t.Chdir(alias) // PWD is the name that the process knows
	for path, want := range map[string]error{
		"env": nil, filepath.Join("sub", "env"): nil, filepath.Join(alias, "env"): nil, filepath.Join(work, "env"): nil,
		filepath.Join("link", "env"): errSymlink, filepath.Join(alias, "link", "env"): errSymlink, filepath.Join(work, "link", "env"): errSymlink,
	} {
		if err := noSymlink(path); !errors.Is(err, want) {
			t.Errorf("%s: expected %v to be %v", path, err, want)
		}
	}
}

const head = "# ours\n"

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// A file is replaced if it is ours, and left as it is otherwise: whatever else
// is there, somebody put there.
func TestPlace(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(t *testing.T, path string)
		want   error
	}{
		{"nothing there", func(*testing.T, string) {}, nil},
		{"one of ours", func(t *testing.T, path string) { write(t, path, head+"old\n") }, nil},
		{"somebody's file", func(t *testing.T, path string) { write(t, path, "theirs\n") }, errForeign},
		{"ours, after somebody's line", func(t *testing.T, path string) { write(t, path, "theirs\n"+head) }, errForeign},
		{"an empty file", func(t *testing.T, path string) { write(t, path, "") }, errForeign},
		{"a file of ours that is too long", func(t *testing.T, path string) { write(t, path, head+string(make([]byte, maxOwn))) }, errForeign},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, errForeign},
		{"a link to one of ours", func(t *testing.T, path string) {
			write(t, path+".to", head)
			link(t, path+".to", path)
		}, errSymlink},
		{"a link to nothing", func(t *testing.T, path string) { link(t, path+".to", path) }, errSymlink},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path, tmp := filepath.Join(dir, "file"), filepath.Join(dir, "tmp")
			c.before(t, path)
			was, _ := os.ReadFile(path)
			if err := replaceable(path, head); !errors.Is(err, c.want) {
				t.Errorf("replaceable: expected %v to be %v", err, c.want)
			}
			f, err := writeNew(tmp, []byte(head+"new\n"))
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if err := place(tmp, path, head); !errors.Is(err, c.want) {
				t.Errorf("expected %v to be %v", err, c.want)
			}
			if c.want == nil {
				was = []byte(head + "new\n")
				if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
					t.Errorf("expected %v, %v to be %v", info.Mode(), err, fs.FileMode(0o600))
				}
			}
			if got, _ := os.ReadFile(path); string(got) != string(was) {
				t.Errorf("expected %.40q to be %.40q", got, was)
			}
			if isThere(tmp) || isThere(path+".to") && errors.Is(c.want, errSymlink) && c.name == "a link to nothing" {
				t.Error("expected nothing to be left behind, or to appear behind a link")
			}
		})
	}
}

// What a killed process left is not read, appended to or followed.
func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "x.tmp"), filepath.Join(dir, "other")
	write(t, other, "theirs\n")
	for name, before := range map[string]func(){
		"nothing": func() {}, "a file": func() { write(t, path, "a long text that is left\n") },
		"a link": func() { link(t, other, path) }, "a hard link": func() {
			if err := os.Link(other, path); err != nil {
				t.Skip(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			before()
			f, err := writeNew(path, []byte("new\n"))
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if got, theirs := textOf(t, path), textOf(t, other); got != "new\n" || theirs != "theirs\n" {
				t.Errorf("expected %q, %q to be %q, %q", got, theirs, "new\n", "theirs\n")
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		})
	}
}
