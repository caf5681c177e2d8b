package process

import (
	"os"
	"path/filepath"
	"testing"
)

// Both streams of a command share a pipe only if both go to one file. On Windows any two pipes were taken for one, and what
// the command wrote to standard error came out of standard output.
func TestSameFile(t *testing.T) {
	t.Parallel()
	pipe := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		return w
	}
	file := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(t.TempDir(), name), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	log := file("log")
	again, err := os.OpenFile(log.Name(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	for _, c := range []struct {
		name string
		a, b *os.File
		same bool
	}{
		{"two pipes", pipe(), pipe(), false},
		{"a pipe and a file", pipe(), log, false},
		{"two files", log, file("other"), false},
		{"a file that is opened twice", log, again, true},
	} {
		if got := sameFile(Output{To: c.a}, Output{To: c.b}); got != c.same {
			t.Errorf("%s: expected %t to be %t", c.name, got, c.same)
		}
	}
}

// Where nobody reads what a command prints, that is no failure: so it is in a pipe to head.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err = w.WriteString("x"); !nobodyReads(err) {
		t.Errorf("expected %v to be that of a pipe that nobody reads", err)
	}
	w.Close()
	if _, err = w.WriteString("x"); nobodyReads(err) {
		t.Errorf("expected %v to be another one", err)
	}
}
