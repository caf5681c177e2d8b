package ci

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// /dev/full refuses every write with ENOSPC, as a full disk does.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	g := runnerOf(env(map[string]string{"GITHUB_OUTPUT": "/dev/full", "GITHUB_STATE": "/dev/full", "GITHUB_STEP_SUMMARY": "/dev/full"}), &log, Main)
	if err := g.Hide(secret.New("secret-needle")); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	for name, err := range map[string]error{
		"outputs": g.Outputs([]Output{{Name: "token", Value: "secret-needle", Secret: true}}),
		"state":   g.Save("marker", []byte("secret-needle")),
		"summary": g.Summary("secret-needle"),
	} {
		if err == nil || !strings.Contains(err.Error(), syscall.ENOSPC.Error()) || strings.Contains(err.Error(), "needle") || strings.Contains(err.Error(), "/dev/full") {
			t.Errorf("%s: expected %v to be %q", name, err, syscall.ENOSPC)
		}
	}
	if got := log.String(); got != "" {
		t.Errorf("expected %q to be %q", got, "")
	}
}

const limitedFile = "CI_TEST_LIMITED_FILE"

// A disk that gets full in the middle of a write takes the first part of it.
// The runner fails a step for half a pair, and prints the line: what was there
// before is all that may be left. A limit on the size of files does the same
// to one process.
func TestDiskThatGetsFull(t *testing.T) {
	if path := os.Getenv(limitedFile); path != "" {
		fillUp(t, path)
		return
	}
	t.Parallel()
	const before = "earlier=1\n"
	path := fileWith(t, before)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run=^TestDiskThatGetsFull$", "-test.count=1")
	cmd.Env = append(os.Environ(), limitedFile+"="+path, "GOCOVERDIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := textOf(t, path); got != before {
		t.Errorf("expected %d bytes, %.40q, to be %q", len(got), got, before)
	}
}

func fillUp(t *testing.T, path string) {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
		t.Fatal(err)
	}
	err := appendPairs(path, [][2]string{{"token", strings.Repeat("x", 8192)}})
	if err == nil || strings.Contains(err.Error(), "xxx") {
		t.Errorf("expected %v to be %q", err, syscall.EFBIG)
	}
	if err == nil || fmt.Sprint(err) != syscall.EFBIG.Error() {
		t.Errorf("expected %v to be %q", err, syscall.EFBIG)
	}
}
