//go:build !windows

package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// launched makes a job whose steps are run as those of a released action.
func launched(t *testing.T, name string, commands func() (main, post []string)) *job {
	t.Helper()
	j := newJob(t, name, "1m")
	j.MainCommand, j.PostCommand = commands()
	return j
}

// TestKillThroughLauncher sends the signal to Node alone, as GitHub's runner does: what Node starts has to hear of it.
func TestKillThroughLauncher(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("it is slow, and starts the same code as the others")
	}
	commands := launcher(t)
	picked := []string{
		"at the start, stored", "JFrog has exchanged", "JFrog has created", "JFrog has created, narrowing",
		"waiting for the exchange", "before the revocation", "waiting to revoke",
	}
	for _, m := range moments {
		if !slices.Contains(picked, m.name) {
			continue
		}
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT} {
			if s == syscall.SIGQUIT && !slices.Contains(rare, m.name) {
				continue
			}
			for _, d := range []delay{held1s, silence} {
				if (m.on == "" || m.after > 0) && d == silence {
					continue
				}
				t.Run(m.name+"/"+s.String()+" "+string(d), func(t *testing.T) {
					t.Parallel()
					m.kill(t, launched(t, m.job, commands), s, d)
				})
			}
		}
	}
}

// TestLauncherDies kills Node alone, which no signal tells the binary: the pipe on its standard input does. Nobody waits
// for the step any more, so the binary must not go on with it.
func TestLauncherDies(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("it is slow, and starts the same code as the others")
	}
	commands := launcher(t)
	for _, m := range moments {
		if m.job == "exchanged" || m.post || !strings.HasSuffix(m.on, ":received") && !strings.HasSuffix(m.on, ":stored") {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			j := launched(t, m.job, commands)
			j.SetFaults(m.faults)
			p := j.Main()
			p.Cmd.WaitDelay = tooLong // the log ends with the binary, which outlives Node
			before, took, res := m.signal(t, j, p, syscall.SIGKILL, held1s)
			j.SetFaults(nil)
			j.SetHook(nil)
			j.checkRun(t, res)
			j.checkMain(t, res)
			if after := j.attempts(); after > before {
				t.Errorf("%d new attempts after the launcher's end\n%s", after-before, res.Log)
			}
			if len(j.Step.Outputs) > 0 {
				t.Errorf("it went on after the launcher's end, and set %q\n%s", j.Step.Outputs, res.Log)
			}
			if took >= killAfter {
				t.Errorf("it took %v from the launcher's end\n%s", took, res.Log)
			}
			j.checkPost(t, j.run(t, j.Post()))
		})
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
	dir := launchable(t, binary)
	return func() (main, post []string) {
		return []string{node, filepath.Join(dir, "launch", "main.js")}, []string{node, filepath.Join(dir, "launch", "post.js")}
	}
}

// launchable makes the directory of a released action, whose binary is program.
func launchable(t testing.TB, program string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "launch"), os.DirFS(filepath.Join(root, "launch"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dist"), 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	name := "jfrog-token-" + runtime.GOOS + "-" + runtime.GOARCH
	for file, text := range map[string][]byte{name: text, "SHA256SUMS": fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(text), name)} {
		if err := os.WriteFile(filepath.Join(dir, "dist", file), text, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
