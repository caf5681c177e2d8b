package wire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// The waits between attempts: full jitter, uniform between nothing and a
// bound that doubles from first to longest. backoff/v4 draws from
// interval·(1±factor), so with factor 1 its interval is half the bound.
const (
	firstWait   = 500 * time.Millisecond
	longestWait = 15 * time.Second
)

// Policy is how often a request is tried again. The time it may take in all
// is the deadline of the context.
type Policy struct {
	MaxAttempts int
	// Notify is called before each wait; attempt counts from 1.
	Notify func(attempt int, reason string, wait time.Duration)
}

// GaveUp is the end of a retry: the last real error, and why there was no
// further attempt.
type GaveUp struct {
	Attempts int
	Why      string
	Last     error
}

func (e *GaveUp) Error() string {
	return fmt.Sprintf("%v (gave up after %s: %s)", e.Last, attempts(e.Attempts), e.Why)
}

func (e *GaveUp) Unwrap() error { return e.Last }

func attempts(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

// Retry runs op until it succeeds, its error is not worth another try, or
// attempts or time are used up. The error is op's last one, wrapped in a
// *GaveUp where another try would have been worth it; when ctx was cancelled
// it is ctx's cause joined with op's last error.
func (p Policy) Retry(ctx context.Context, op func() error) error {
	w := &waits{ctx: ctx, max: p.MaxAttempts, exponential: backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstWait/2),
		backoff.WithMaxInterval(longestWait/2),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(1),
		backoff.WithMaxElapsedTime(0), // the context is the budget
	)}
	err := backoff.RetryNotify(func() error {
		if ctx.Err() != nil {
			return backoff.Permanent(context.Cause(ctx))
		}
		w.attempt++
		w.last = op()
		var e *Error
		var over *GaveUp // a request within op had its own attempts
		if w.last != nil && (!errors.As(w.last, &e) || !e.Retryable() || errors.As(w.last, &over)) {
			return backoff.Permanent(w.last)
		}
		w.asked = -1
		if e != nil {
			w.asked = e.RetryAfter
		}
		return w.last
	}, backoff.WithContext(w, ctx), // outermost: a BackOff around it would hide ctx, and the wait could not be interrupted
		func(err error, wait time.Duration) {
			if p.Notify != nil {
				p.Notify(w.attempt, reason(err), wait)
			}
		})
	switch {
	case err == nil:
		return nil
	case w.last == nil:
		return context.Cause(ctx)
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.Join(context.Cause(ctx), w.last)
	case w.why != "":
		return &GaveUp{w.attempt, w.why, w.last}
	case ctx.Err() != nil: // backoff gives the context's error and drops ours
		return &GaveUp{w.attempt, "the time is used up", w.last}
	}
	return w.last
}

func reason(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason()
	}
	return err.Error()
}

// waits implements backoff.BackOff: the server's Retry-After where it gave
// one, else the exponential wait.
type waits struct {
	ctx         context.Context
	exponential *backoff.ExponentialBackOff
	attempt     int
	max         int
	asked       time.Duration
	last        error
	why         string
}

func (w *waits) Reset() { w.exponential.Reset() }

func (w *waits) NextBackOff() time.Duration {
	if w.attempt >= w.max {
		w.why = "max-attempts is reached"
		return backoff.Stop
	}
	wait := w.exponential.NextBackOff()
	if w.asked >= 0 {
		wait = w.asked
	}
	if deadline, ok := w.ctx.Deadline(); ok && time.Until(deadline) <= wait {
		w.why = "the next one would be past timeout"
		if w.asked >= 0 {
			w.why = fmt.Sprintf("Retry-After asks for %s, longer than what is left of timeout", w.asked.Round(time.Second))
		}
		return backoff.Stop
	}
	return wait
}

// ParseRetryAfter reads the field's two forms, seconds and HTTP-date (RFC
// 9110, 10.2.3), as a wait from now. It gives -1 where there is none or it
// makes no sense; a date that is past asks for no wait.
func ParseRetryAfter(field string, now time.Time) time.Duration {
	field = strings.TrimSpace(field)
	if n, err := strconv.ParseUint(field, 10, 64); err == nil {
		if n > math.MaxInt64/uint64(time.Second) {
			return math.MaxInt64
		}
		return time.Duration(n) * time.Second
	}
	t, err := http.ParseTime(field)
	if err != nil {
		return -1
	}
	return max(0, t.Sub(now))
}
