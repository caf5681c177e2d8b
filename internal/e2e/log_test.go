//go:build !windows

package e2e

import (
	"os"
	"sync"
	"testing"
)

// TestLogThatBreaks: where the log cannot be written to, the masks of a token
// are not known to the runner, and the token must not live.
func TestLogThatBreaks(t *testing.T) {
	for _, job := range []string{"stored", "narrow"} {
		for _, point := range []string{"create:received", "create:stored"} {
			t.Run(job+"/"+point, func(t *testing.T) {
				t.Parallel()
				w := newJob(t, job, "1m")
				w.Runner.Debug = false // the runner would show the state, and knows no mask to hide it with
				p := w.Main()
				read, write, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				p.Cmd.Stdout = write
				var once sync.Once
				w.Platform.SetHook(func(at string) {
					if at == point {
						once.Do(func() { read.Close() })
					}
				})
				res, err := run(p, tooLong)
				write.Close()
				if err != nil {
					t.Fatal(err)
				}
				w.checkRun(t, res)
				w.checkMain(t, res)
				if alive := w.Platform.Alive(); res.Code == 0 || len(alive) > 0 {
					t.Errorf("expected exit code %d not to be 0, and no token to be alive: %+v", res.Code, alive)
				}
				w.checkPost(t, w.do(t, w.Post()))
			})
		}
	}
}
