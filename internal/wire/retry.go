package wire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	firstWait   = 500 * time.Millisecond
	longestWait = 15 * time.Second
	doublings   = 5 // from firstWait to longestWait
	// leastAttempt is what a wait must leave of timeout: an attempt that
	// timeout cuts off may have created a token that nobody receives.
	leastAttempt = time.Second
	// believed is how many attempts obey a Retry-After of 0. To a clock that is
	// ahead of the server's, every date is in the past.
	believed = 3
)

// Policy is how often a request is attempted. The deadline of the context bounds
// the time of all attempts together.
type Policy struct {
	Request     string // what the request is for: "create token"
	MaxAttempts int
	Notify      func(Retry) // called before each wait; may be nil
}

// Retry is what a retry line says: that attempt Attempt of Of (the first is 1)
// failed for a reason, and how long the wait for the next one is.
type Retry struct {
	Request     string
	Attempt, Of int
	Reason      string
	Wait        time.Duration
}

// GaveUp is the error of a request that may not be attempted again: the last
// attempt's error, and why there is no further attempt.
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

// Retry runs op until it succeeds, its error is not worth another attempt, or
// max-attempts or timeout is reached. It returns op's last error, wrapped in a
// *GaveUp if it was worth another attempt. If ctx was canceled, it returns ctx's
// cause joined with op's last error.
func (p Policy) Retry(ctx context.Context, op func() error) error {
	w := &waits{ctx: ctx, max: p.MaxAttempts}
	err := backoff.RetryNotify(func() error {
		if ctx.Err() != nil {
			return backoff.Permanent(context.Cause(ctx))
		}
		w.attempt++
		if w.last = op(); w.last == nil {
			return nil
		}
		var e *Error
		var over *GaveUp // a request within op had its own attempts
		if !errors.As(w.last, &e) || !e.Retryable() || errors.As(w.last, &over) {
			return backoff.Permanent(w.last)
		}
		w.asked, w.reason = e.RetryAfter, e.Reason()
		return w.last
	}, backoff.WithContext(w, ctx), // outermost: a BackOff around it would hide ctx, and the wait could not be interrupted
		func(_ error, wait time.Duration) {
			if p.Notify != nil {
				p.Notify(Retry{p.Request, w.attempt, p.MaxAttempts, w.reason, wait})
			}
		})
	switch {
	case err == nil:
		return nil
	case w.last == nil:
		return context.Cause(ctx)
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%w: %w", context.Cause(ctx), w.last)
	case w.why != "":
		return &GaveUp{w.attempt, w.why, w.last}
	case ctx.Err() != nil: // backoff returns the context's error and drops ours
		return &GaveUp{w.attempt, "timeout exceeded", w.last}
	}
	return w.last
}

// waits implements backoff.BackOff.
type waits struct {
	ctx     context.Context
	attempt int
	max     int
	last    error
	reason  string        // of last, in a few words
	asked   time.Duration // Retry-After of last; below zero: none
	spread  time.Duration // bound of the random part at the last Retry-After
	why     string
}

func (w *waits) Reset() {}

// NextBackOff draws the wait: Retry-After, if there is one, and a random part on
// top of it. Jobs that are refused in the same second are told the same. Without
// the random part they would come back in the same second, and be refused again.
//
//   - With Retry-After, the random part is at most as long again, or firstWait
//     if that is longer. This bound doubles each time Retry-After is met again.
//   - Without Retry-After, the bound doubles from firstWait to longestWait (full
//     jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
//   - After these doublings, if an even share of the time left is longer than
//     longestWait, the random part is half to one and a half of that share: an
//     outage of a minute does not use up the attempts.
//
// The random part is at most seven eighths of the time left, so that there is
// time for another attempt. BenchmarkHerd measures these rules.
func (w *waits) NextBackOff() time.Duration {
	again := w.max - w.attempt
	if again <= 0 {
		w.why = "max-attempts is reached"
		return backoff.Stop
	}
	asked := max(0, w.asked)
	left, share := math.MaxInt64-asked, time.Duration(0)
	if deadline, ok := w.ctx.Deadline(); ok {
		left = max(0, time.Until(deadline)-leastAttempt) - asked
		share = left / time.Duration(again+1)
	}
	switch {
	case left <= 0 && asked > 0:
		w.why = fmt.Sprintf("Retry-After is %s, longer than what is left of timeout", asked.Round(time.Second))
		return backoff.Stop
	case left <= 0:
		w.why = "timeout leaves no time for another attempt"
		return backoff.Stop
	case w.asked == 0 && w.attempt <= believed:
		return 0
	case w.attempt > doublings && share > longestWait:
		return asked + share/2 + upTo(share)
	}
	bound := min(firstWait<<min(w.attempt-1, doublings), longestWait)
	if asked > 0 {
		w.spread = max(firstWait, asked, 2*w.spread)
		bound = w.spread
	}
	return asked + upTo(min(bound, left-left/8))
}

func upTo(bound time.Duration) time.Duration { return rand.N(bound + 1) }

// ParseRetryAfter reads the field's two forms, seconds and HTTP-date (RFC
// 9110, 10.2.3), as a wait from now. It returns -1 if the field is empty or
// malformed, and 0 for a date in the past.
func ParseRetryAfter(field string, now time.Time) time.Duration {
	field = strings.TrimSpace(field)
	if field != "" && strings.Trim(field, "0123456789") == "" {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil || n > math.MaxInt64/uint64(time.Second) {
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
