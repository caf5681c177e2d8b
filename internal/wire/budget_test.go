package wire

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errSignal = errors.New("interrupted by SIGTERM")

// never is the end of what no deadline and no signal ends.
const never = time.Duration(1<<63 - 1)

// The limits that a job can count on: without a signal a command ends by
// timeout and 15 s, with one by 7 s after it, at whatever point it comes.
func TestBudget(t *testing.T) {
	const timeout = 2 * time.Minute
	for _, c := range []struct {
		name    string
		timeout time.Duration
		signal  time.Duration // never: none
		begin   time.Duration // of the cleanup
		work    time.Duration // when each ends
		cleanup time.Duration
	}{
		{"the work fails early", timeout, never, time.Second, timeout, 16 * time.Second},
		{"the work fails late", timeout, never, timeout - time.Second, timeout, timeout + 14*time.Second},
		{"the timeout is exceeded", timeout, never, timeout, timeout, timeout + 15*time.Second},
		{"the cleanup begins late", timeout, never, timeout + 10*time.Second, timeout, timeout + 15*time.Second},
		{"a signal at the start", timeout, 0, 0, 0, 6500 * time.Millisecond},
		{"a signal within the work", timeout, time.Minute, time.Minute, time.Minute, time.Minute + 6500*time.Millisecond},
		{"a signal, and a request that uses all of Grace", timeout, time.Minute, time.Minute + Grace, time.Minute, time.Minute + 6500*time.Millisecond},
		{"a signal within the cleanup", timeout, 4 * time.Second, 3 * time.Second, 4 * time.Second, 4*time.Second + 6500*time.Millisecond},
		{"a signal as the cleanup ends", timeout, timeout + 14*time.Second, timeout, timeout, timeout + 15*time.Second},
		{"a signal just before the timeout", timeout, timeout - time.Second, timeout, timeout - time.Second, timeout - time.Second + 6500*time.Millisecond},
		// revoke is cleanup from its start.
		{"revoke", 0, never, 0, 0, 15 * time.Second},
		{"revoke and a signal", 0, 3 * time.Second, 0, 0, 3*time.Second + 6500*time.Millisecond},
		{"revoke and a late signal", 0, 14 * time.Second, 0, 0, 15 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				switch c.signal {
				case never:
				case 0:
					cancel(errSignal)
				default:
					time.AfterFunc(c.signal, func() { cancel(errSignal) })
				}
				b, stop := NewBudget(ctx, c.timeout)
				defer stop()
				ended := make(chan time.Duration, 1)
				go func() {
					<-b.Work.Done()
					ended <- time.Since(start)
				}()
				time.Sleep(c.begin)
				cleanup, done := b.Cleanup()
				defer done()
				<-cleanup.Done()
				if got := time.Since(start); got != c.cleanup {
					t.Errorf("expected the cleanup to end after %s, not %s", c.cleanup, got)
				}
				time.Sleep(max(0, c.work-time.Since(start)))
				if got := <-ended; got != c.work {
					t.Errorf("expected the work to end after %s, not %s", c.work, got)
				}
				if signaled := c.signal <= c.work && c.signal != never && c.timeout > 0; signaled && context.Cause(b.Work) != errSignal {
					t.Errorf("expected %v to be %v", context.Cause(b.Work), errSignal)
				}
			})
		})
	}
}

// A program that is done leaves nothing behind that would still fire: the
// bubble would not end.
func TestBudgetIsOverWithItsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		b, stop := NewBudget(ctx, time.Hour)
		cleanup, done := b.Cleanup()
		defer done()
		stop()
		if b.Work.Err() == nil || cleanup.Err() == nil {
			t.Errorf("expected %v, %v to be %v", b.Work.Err(), cleanup.Err(), context.Canceled)
		}
		cancel()
	})
}

// JFrog does not hold up a job that has its token: not for the whole cleanup,
// and not for longer than a signal allows.
func TestDiscardIsShort(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal time.Duration // never: none
		want   time.Duration
	}{
		{"without a signal", never, 5 * time.Second}, {"with a signal", time.Second, 5 * time.Second},
		{"long after a signal", -4 * time.Second, 2500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				b, stop := NewBudget(ctx, time.Minute)
				defer stop()
				if c.signal != never {
					time.AfterFunc(4*time.Second+c.signal, cancel)
				}
				time.Sleep(4 * time.Second)
				start := time.Now()
				discard, done := b.Discard()
				defer done()
				<-discard.Done()
				if got := time.Since(start); got != c.want {
					t.Errorf("expected it to end after %s, not %s", c.want, got)
				}
			})
		})
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		name    string
		timeout time.Duration // never: none
		n       int
		want    time.Duration // never: there is no deadline
	}{
		{"one", 15 * time.Second, 1, 15 * time.Second}, {"two", 15 * time.Second, 2, 10 * time.Second}, {"ten", 15 * time.Second, 10, 10 * time.Second},
		{"none", 15 * time.Second, 0, 15 * time.Second}, {"no time is left", 0, 3, 0}, {"without a deadline", never, 3, never},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := context.Background()
				if c.timeout != never {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.timeout)
					defer cancel()
				}
				part, cancel := Share(ctx, c.n)
				deadline, ok := part.Deadline()
				if ok != (c.want != never) || ok && time.Until(deadline) != c.want {
					t.Errorf("expected %s, %t to be %s", time.Until(deadline), ok, c.want)
				}
				cancel()
				if part.Err() == nil || c.timeout != 0 && ctx.Err() != nil {
					t.Errorf("expected %v, %v to be %v, %v", part.Err(), ctx.Err(), context.Canceled, nil)
				}
			})
		})
	}
	// All of them together never take more than there is.
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		for i := range 5 {
			part, cancel := Share(ctx, 5-i)
			<-part.Done()
			cancel()
		}
		if got := time.Since(start); got != 15*time.Second {
			t.Errorf("expected %s to be %s", got, 15*time.Second)
		}
	})
}

// A request that may be making a token goes on for Grace after a signal, any
// other ends with it; the deadline ends both.
func TestAttempt(t *testing.T) {
	for _, c := range []struct {
		name    string
		mints   bool
		timeout time.Duration
		signal  time.Duration // never: none
		want    time.Duration
	}{
		{"neither", false, time.Minute, never, AttemptLimit}, {"neither, and it mints", true, time.Minute, never, AttemptLimit},
		{"a deadline", true, 3 * time.Second, never, 3 * time.Second},
		{"a signal", false, time.Minute, time.Second, time.Second}, {"a signal, and it mints", true, time.Minute, time.Second, time.Second + Grace},
		{"a signal, and then the limit", true, time.Minute, AttemptLimit - time.Second, AttemptLimit},
		{"a signal, and then the deadline", true, 4 * time.Second, time.Second, 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				ctx, stop := context.WithTimeout(ctx, c.timeout)
				defer stop()
				if c.signal != never {
					time.AfterFunc(c.signal, func() { cancel(errSignal) })
				}
				one, _, end := attempt(ctx, c.mints)
				defer end()
				<-one.Done()
				if got := time.Since(start); got != c.want {
					t.Errorf("expected %s to be %s", got, c.want)
				}
			})
		})
	}
}
