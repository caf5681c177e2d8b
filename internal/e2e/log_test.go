//go:build !windows

package e2e

import (
	"os"
	"sync"
	"testing"
)

// TestLogThatBreaks: where the log cannot be written to, the masks of a token are not known to the runner, and the token
// must not live.
func TestLogThatBreaks(t *testing.T) {
	for _, name := range []string{"stored", "narrow"} {
		for _, point := range []string{"create:received", "create:stored"} {
			t.Run(name+"/"+point, func(t *testing.T) {
				t.Parallel()
				j := newJob(t, name, "1m")
				j.Runner.Debug = false // the runner would show the state, and knows no mask to hide it with
				p := j.Main()
				read, write, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				p.Cmd.Stdout = write
				var once sync.Once
				j.SetHook(func(at string) {
					if at == point {
						once.Do(func() { read.Close() })
					}
				})
				res := j.run(t, p)
				write.Close()
				j.checkMain(t, res)
				if alive := j.Platform.Alive(); res.Code == 0 || len(alive) > 0 {
					t.Errorf("expected exit code %d not to be 0, and no token to be alive: %+v", res.Code, alive)
				}
				j.checkPost(t, j.run(t, j.Post()))
			})
		}
	}
}
