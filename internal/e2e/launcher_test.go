//go:build !windows

package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// TestKillThroughLauncher sends the signal to Node alone, as GitHub's runner
// does: what Node starts has to hear of it.
func TestKillThroughLauncher(t *testing.T) {
	launch := launcher(t)
	picked := map[string]bool{
		"at the start, stored": true, "JFrog has exchanged": true, "JFrog has created": true, "JFrog has created, narrowing": true,
		"waiting for the exchange": true, "before the revocation": true, "waiting to revoke": true,
	}
	for _, m := range moments {
		if !picked[m.name] {
			continue
		}
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			for _, d := range []delay{late, silence} {
				if m.on == "" && d == silence {
					continue
				}
				t.Run(m.name+"/"+s.String()+" "+string(d), func(t *testing.T) {
					t.Parallel()
					m.kill(t, s, d, launch)
				})
			}
		}
	}
}

// launcher makes the directory of a released action, and returns the commands of its main and post steps.
func launcher(t *testing.T) func() (main, post []string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "launch"), os.DirFS(filepath.Join(root, "launch"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dist"), 0o700); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	name := "jfrog-token-" + runtime.GOOS + "-" + runtime.GOARCH
	for file, text := range map[string][]byte{name: program, "SHA256SUMS": fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(program), name)} {
		if err := os.WriteFile(filepath.Join(dir, "dist", file), text, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return func() (main, post []string) {
		return []string{node, filepath.Join(dir, "launch", "main.js")}, []string{node, filepath.Join(dir, "launch", "post.js")}
	}
}
