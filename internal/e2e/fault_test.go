package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// tooLong is what no run may take, whatever it meets: mint has its timeout and what taking back takes, revoke 15 s.
const tooLong = 30 * time.Second

// TestFaults proves, for every request and whatever becomes of its answer: after main, every token alive is one that post
// will find, and after post none is.
func TestFaults(t *testing.T) {
	t.Parallel()
	for i, c := range cells(requests) {
		if raceEnabled && i%120 != 0 || testing.Short() && i%4 != 0 {
			continue // most cells run the same code
		}
		t.Run(c.request.name+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, c.job, c.timeout())
			j.SetFaults(c.before)
			if !c.post {
				j.SetFaults(append(slices.Clone(c.before), c.fault))
			}
			res := j.run(t, j.Main())
			if !c.post {
				c.check(t, j, res)
			} else if res.Code != 0 {
				t.Fatalf("main failed without a fault:\n%s", res.Log)
			}
			j.checkMain(t, res)

			if c.post {
				j.SetFaults([]jfrogtest.Fault{c.fault})
				res := j.run(t, j.Post())
				c.check(t, j, res)
				if c.revokes() {
					j.checkPost(t, res)
					return
				}
			}
			j.SetFaults(nil)
			j.checkPost(t, j.run(t, j.Post()))
		})
	}
}

func (c cell) timeout() string {
	switch {
	case c.class == silent && c.job == "narrow": // a busy machine takes a while to get there
		return "4s"
	case c.class == silent:
		return "2s"
	}
	return "12s" // longer than any wait between two attempts
}

func (c cell) forEver() bool { return c.fault.Times == 0 }

// revokes reports whether the token is gone after a post step that meets the fault.
func (c cell) revokes() bool {
	return c.fault.After || c.class == used || c.class == retried && !c.forEver()
}

// expect returns how often the request is sent, at least and at most, and whether the step succeeds.
func (c cell) expect() (least, most int, ok bool) {
	switch {
	case c.cleanup && c.class == retried: // which has a policy of its own
		return 1, 20, true
	case c.cleanup:
		return 1, 4, true
	case c.class == used, c.class == held:
		return 1, 1, true
	case c.class == renewed:
		return 2, 2, !c.forEver()
	case c.post && c.class == silent: // an attempt may have a limit of its own
		return 1, 4, true
	case c.post && c.class == refused: // whoever created the token is asked as well if it may not revoke itself
		return 1, 2, true
	case c.class != retried:
		return 1, 1, !c.fatal
	case c.post && c.forEver(): // as many as 15 s hold
		return 2, 30, true
	}
	if most = 2; c.resent && c.forEver() && (c.fault.Kind == "close" || c.fault.Kind == "reset") {
		most = 3
	}
	return 2, most, !c.fatal || !c.forEver()
}

func (c cell) check(t *testing.T, j *job, res *runnertest.Result) {
	t.Helper()
	least, most, ok := c.expect()
	if sent := j.sent(c.on); sent < least || sent > most {
		t.Errorf("expected %d requests to be %d to %d\n%s", sent, least, most, res.Log)
	}
	// Either will do with a token whose other fields are odd, as long as it is held.
	if ok != (res.Code == 0) && c.class != held {
		t.Errorf("expected the exit code %d to be 0: %t\n%s", res.Code, ok, res.Log)
	}
	if !ok && res.Code != 1 {
		t.Errorf("expected the exit code %d to be 1\n%s", res.Code, res.Log)
	}
}
