package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

const (
	module = "github.com/ephemeral-ci/jfrog-token"
	root   = "../.." // of the repository
	action = root + "/action.yml"
)

var update = flag.Bool("update", false, "rewrite the golden parts of the scenarios")

// binary is the program under test, built as a release is but for the race detector, which it has where the tests have
// it.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "jfrog-token")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "jfrog-token")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	args := []string{"build", "-o", binary, "-tags", "nethttpomithttp2", "-ldflags", "-X " + module + "/internal/cli.version=v0.0.0-test"}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, module)...)
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %v\n%s", err, out))
	}
	flag.Parse()
	parallel := max(16, runtime.GOMAXPROCS(0)) // a run of the binary mostly waits
	if raceEnabled {
		parallel /= 2
	}
	_ = flag.Set("test.parallel", strconv.Itoa(parallel))
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// run starts a step's program and kills it where it takes longer than limit, which nothing may.
func run(p *runnertest.Process, limit time.Duration) (*runnertest.Result, error) {
	if err := p.Start(); err != nil {
		return nil, err
	}
	var killed atomic.Bool
	t := time.AfterFunc(limit, func() { killed.Store(true); p.Cmd.Process.Kill() })
	res, err := p.Wait()
	t.Stop()
	if err == nil && killed.Load() {
		err = fmt.Errorf("it ran for over %v:\n%s", limit, res.Log)
	}
	return res, err
}
