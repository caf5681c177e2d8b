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

// The waits between attempts are drawn uniformly from nothing to a bound that
// doubles from firstWait to longestWait: full jitter
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
// What NextBackOff adds to that is for ten thousand jobs that start at once;
// BenchmarkHerd measures it.
const (
	firstWait   = 500 * time.Millisecond
	longestWait = 15 * time.Second
	// leastAttempt is what a wait must leave of timeout: an attempt that
	// timeout cuts off may have made a token that nobody gets.
	leastAttempt = time.Second
	// believed is how often in one retry a Retry-After of 0 is obeyed. To a
	// clock that is ahead of the server's, every date is past.
	believed = 3
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
				p.Notify(w.attempt, w.reason, wait)
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
	case ctx.Err() != nil: // backoff gives the context's error and drops ours
		return &GaveUp{w.attempt, "the time is used up", w.last}
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
	why     string
}

func (w *waits) Reset() {}

// NextBackOff draws the wait:
//
//   - Retry-After, and on top of it a spread of half as much again, longestWait
//     at least, doubled with each attempt. Everyone who was refused in the same
//     second was told the same: without the spread they come back in the same
//     second, and are refused again.
//   - Without Retry-After, full jitter. Once its bound has passed longestWait,
//     and the attempts would be used up before the time is, half to one and a
//     half of an even share of the time left: an outage of a minute is outlived.
//
// What is drawn is at most half of the time left, so that there is a next time.
// Where another Retry-After of that length could not be waited for, there is
// none, and it is at most seven eighths: the last attempt has to end as well.
func (w *waits) NextBackOff() time.Duration {
	again := w.max - w.attempt
	if again <= 0 {
		w.why = "max-attempts is reached"
		return backoff.Stop
	}
	left := time.Duration(math.MaxInt64)
	deadline, bounded := w.ctx.Deadline()
	if bounded {
		left = max(0, time.Until(deadline)-leastAttempt)
	}
	left -= max(0, w.asked)
	if left <= 0 {
		w.why = "the next one would be past timeout"
		if w.asked > 0 {
			w.why = fmt.Sprintf("Retry-After asks for %s, longer than what is left of timeout", w.asked.Round(time.Second))
		}
		return backoff.Stop
	}
	limit := left / 2
	if left < w.asked {
		limit = left - left/8
	}
	switch {
	case w.asked > 0:
		return w.asked + upTo(doubled(max(longestWait, w.asked*3/2), w.attempt-1, limit))
	case w.asked == 0 && w.attempt <= believed:
		return 0
	}
	bound := doubled(firstWait, w.attempt-1, limit)
	if bound <= longestWait {
		return upTo(bound)
	}
	if share := left / time.Duration(again+1); bounded && share > longestWait {
		return share/2 + upTo(share)
	}
	return upTo(longestWait)
}

func upTo(bound time.Duration) time.Duration { return rand.N(bound + 1) }

func doubled(d time.Duration, times int, limit time.Duration) time.Duration {
	for ; times > 0 && d < limit; times-- {
		d *= 2
	}
	return min(d, limit)
}

// ParseRetryAfter reads the field's two forms, seconds and HTTP-date (RFC
// 9110, 10.2.3), as a wait from now. It gives -1 where there is none or it
// makes no sense; a date that is past asks for no wait.
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
