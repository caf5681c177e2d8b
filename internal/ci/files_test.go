package ci

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

func newTestFiles(t *testing.T, dir string, env map[string]string) (*files, Places) {
	t.Helper()
	f := newFiles(func(name string) string { return env[name] }, nil, io.Discard)
	p := Places{StateDir: filepath.Join(dir, ".jfrog-token"), EnvFile: filepath.Join(dir, ".jfrog-token", "env")}
	if err := f.Check(p); err != nil {
		t.Fatal(err)
	}
	return f, p
}

// Steps of one pipeline may run beside each other in one workspace: none may
// lose the state of another, or its token is never revoked.
func TestParallelMintsKeepEachOthersState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const mints = 8
	var wg sync.WaitGroup
	for i := range mints {
		f, _ := newTestFiles(t, dir, nil)
		wg.Go(func() {
			for round := range 3 { // the last of each counts
				if err := f.SaveState(fmt.Sprintf(`{"mint":%d,"round":%d}`, i, round)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f, p := newTestFiles(t, dir, nil)
	got, err := f.States(p)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	for i := range mints {
		if want := fmt.Sprintf(`{"mint":%d,"round":2}`, i); len(got) != mints || got[i] != want {
			t.Fatalf("expected %q to be %d states, each of the last round", got, mints)
		}
	}
}

// A process that was killed leaves its lock.
func TestAnOldLockIsTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, p := newTestFiles(t, dir, nil)
	path := filepath.Join(p.StateDir, "state.lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if err := f.SaveState(`{}`); err != nil {
		t.Errorf("expected %v to be %v", err, nil)
	}
}

// A token that is not handed on must not stay in an output file.
func TestRetractLeavesHarnessFilesAsTheyWere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"DRONE_OUTPUT": filepath.Join(dir, "plain"), "HARNESS_OUTPUT_SECRET_FILE": filepath.Join(dir, "secret")}
	if err := os.WriteFile(env["DRONE_OUTPUT"], []byte("before=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFiles(func(name string) string { return env[name] }, []string{"HARNESS_STAGE_ID=x"}, io.Discard)
	p := Places{StateDir: filepath.Join(dir, ".jfrog-token"), EnvFile: filepath.Join(dir, ".jfrog-token", "env")}
	if err := f.Check(p); err != nil {
		t.Fatal(err)
	}
	if err := f.Outputs([]Output{{Name: "url", Value: "https://acme.jfrog.io"}, {Name: "token", Value: "s3cr3t-s3cr3t", Secret: true}}); err != nil {
		t.Fatal(err)
	}
	if err := f.Retract(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"DRONE_OUTPUT": "before=1\n", "HARNESS_OUTPUT_SECRET_FILE": ""} {
		if got, err := os.ReadFile(env[name]); err != nil || string(got) != want {
			t.Errorf("expected %q to be %q (%v)", got, want, err)
		}
	}
	if _, err := os.Lstat(p.EnvFile); !os.IsNotExist(err) {
		t.Errorf("expected %v to be %q", err, "no such file")
	}
}
