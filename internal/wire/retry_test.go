package wire_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// refused is the error of a response without Retry-After, or with this one.
func refused(status int, retryAfter ...string) *wire.Error {
	e := &wire.Error{Method: http.MethodPost, Host: "jfrog.test", Path: "/access"}
	e.Refusal(status, http.Header{"Retry-After": retryAfter}, nil)
	return e
}

// broken is the error of a request without a whole response.
func broken(err error) *wire.Error {
	e := &wire.Error{Method: http.MethodPost, Host: "jfrog.test", Path: "/access", RetryAfter: -1}
	e.Broken(context.Background(), err)
	return e
}

// retryLine is one line of a retry.
type retryLine struct {
	wire.Retry
	left time.Duration // of timeout, when the wait began
}

// retryRun is what a retry did, in virtual time.
type retryRun struct {
	err      error
	attempts []time.Duration // when each began
	lines    []retryLine
	took     time.Duration
}

// retryOp makes an attempt; the first is 1, and at is when it began.
type retryOp func(ctx context.Context, attempt int, at time.Duration) error

// retry runs op in a bubble of its own.
func retry(t *testing.T, timeout time.Duration, maxAttempts int, op retryOp) (o retryRun) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		o = retryIn(ctx, maxAttempts, op)
	})
	return o
}

func retryIn(ctx context.Context, maxAttempts int, op retryOp) (o retryRun) {
	start := time.Now()
	p := wire.Policy{Request: "create token", MaxAttempts: maxAttempts, Notify: func(r wire.Retry) {
		deadline, _ := ctx.Deadline()
		o.lines = append(o.lines, retryLine{r, time.Until(deadline)})
	}}
	o.err = p.Retry(ctx, func() error {
		o.attempts = append(o.attempts, time.Since(start))
		return op(ctx, len(o.attempts), time.Since(start))
	})
	o.took = time.Since(start)
	return o
}

// failing is an op that always returns err.
func failing(err error) retryOp {
	return func(context.Context, int, time.Duration) error { return err }
}

func TestWhatIsTriedAgain(t *testing.T) {
	type row struct {
		name  string
		err   error
		again bool
	}
	expired := &wire.Error{RetryAfter: -1}
	past, cancel := context.WithDeadline(context.Background(), time.Time{})
	defer cancel()
	expired.Broken(past, io.EOF)
	dial := func(err error) error { return broken(&net.OpError{Op: "dial", Err: err}) }
	rows := []row{
		{"refused connection", dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), true},
		{"reset connection", broken(&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}), true},
		{"closed connection", broken(net.ErrClosed), true},
		{"cut response", broken(io.ErrUnexpectedEOF), true},
		{"no response in time", expired, true},
		{"resolver without a response", dial(&net.DNSError{IsTimeout: true, IsTemporary: true}), true},
		{"host that does not exist", dial(&net.DNSError{IsNotFound: true}), false},
		{"busy proxy", broken(&net.OpError{Op: "proxyconnect", Err: &wire.ProxyError{Status: 503}}), true},
		{"proxy that wants a password", broken(&net.OpError{Op: "proxyconnect", Err: &wire.ProxyError{Status: 407}}), false},
		{"unknown authority", broken(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), false},
		{"certificate of another host", broken(x509.HostnameError{Certificate: &x509.Certificate{}}), false},
		{"TLS alert", broken(&net.OpError{Op: "remote error", Err: tls.AlertError(40)}), false},
		{"no TLS", broken(tls.RecordHeaderError{}), false},
		{"not JSON", broken(wire.ErrNotJSON), false},
		{"another package's error", errors.New("no such mapping"), false},
		{"wrapped", fmt.Errorf("exchange: %w", refused(503)), true},
		{"retry within, given up", &wire.GaveUp{Attempts: 10, Why: "max-attempts is reached", Last: refused(503)}, false},
		{"retry within, given up, wrapped", fmt.Errorf("get an ID token: %w", &wire.GaveUp{Last: refused(503)}), false},
	}
	again := map[int]bool{408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true}
	for status := 300; status < 600; status++ {
		rows = append(rows, row{fmt.Sprint(status), refused(status), again[status]})
	}
	for _, r := range rows {
		o := retry(t, time.Hour, 3, failing(r.err))
		want := 1
		if r.again {
			want = 3
		}
		if len(o.attempts) != want {
			t.Errorf("%s: %d attempts, want %d", r.name, len(o.attempts), want)
		}
		if len(o.lines) != want-1 {
			t.Errorf("%s: %d lines, want %d", r.name, len(o.lines), want-1)
		}
		if !r.again && o.err != r.err {
			t.Errorf("%s: the error became %v", r.name, o.err)
		}
		if !errors.Is(o.err, r.err) {
			t.Errorf("%s: the error is lost in %v", r.name, o.err)
		}
	}
}

func TestSuccessEndsIt(t *testing.T) {
	o := retry(t, time.Minute, 10, func(_ context.Context, attempt int, _ time.Duration) error {
		if attempt < 4 {
			return refused(502)
		}
		return nil
	})
	if o.err != nil || len(o.attempts) != 4 {
		t.Errorf("%d attempts, %v", len(o.attempts), o.err)
	}
}

func TestAttemptLimit(t *testing.T) {
	for _, most := range []int{1, 2, 10} {
		o := retry(t, time.Hour, most, failing(refused(503)))
		var over *wire.GaveUp
		if !errors.As(o.err, &over) || over.Attempts != most || over.Why != "max-attempts is reached" {
			t.Fatalf("max-attempts %d: %v", most, o.err)
		}
		if len(o.attempts) != most {
			t.Errorf("max-attempts %d: %d attempts", most, len(o.attempts))
		}
	}
	one := retry(t, time.Hour, 1, failing(refused(503)))
	want := "POST jfrog.test/access: HTTP 503 (gave up after 1 attempt: max-attempts is reached)"
	if got := one.err.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A line comes before its wait, and names the request, the attempt of how many,
// the reason, and the wait.
func TestEachRetryIsALine(t *testing.T) {
	errs := []error{refused(429), refused(503, "2"), broken(io.EOF), refused(500, "0"), nil}
	o := retry(t, time.Minute, 10, func(_ context.Context, attempt int, _ time.Duration) error { return errs[attempt-1] })
	reasons := []string{"HTTP 429", "HTTP 503", broken(io.EOF).Reason(), "HTTP 500"}
	if len(o.lines) != len(reasons) {
		t.Fatalf("%d lines, want %d", len(o.lines), len(reasons))
	}
	for i, l := range o.lines {
		waited := o.attempts[i+1] - o.attempts[i]
		want := wire.Retry{Request: "create token", Attempt: i + 1, Of: 10, Reason: reasons[i], Wait: waited}
		if l.Retry != want {
			t.Errorf("line %d: got %+v, want %+v", i, l.Retry, want)
		}
	}
}

// drawn is what was drawn for one wait in many retries.
type drawn []time.Duration

// isUniform reports whether d fills the range from low to low+spread: that 400
// draws all miss a quarter of it has a chance of 1 in 10^49.
func (d drawn) isUniform(low, spread time.Duration) bool {
	least, longest := slices.Min(d), slices.Max(d)
	return least >= low && least <= low+spread/4 && longest >= low+spread*3/4 && longest <= low+spread
}

func (d drawn) String() string { return fmt.Sprintf("from %s to %s", slices.Min(d), slices.Max(d)) }

// With enough attempts the bound of the waits doubles from 500 ms to 15 s, and
// the whole range below it is used.
func TestWaitsAreFullJitter(t *testing.T) {
	var waits [10]drawn
	for range 400 {
		o := retry(t, 10*time.Minute, 60, failing(refused(503)))
		for i := range waits {
			waits[i] = append(waits[i], o.lines[i].Wait)
		}
	}
	bound := 500 * time.Millisecond
	for i, d := range waits {
		if !d.isUniform(0, bound) {
			t.Errorf("waits after attempt %d are %s, want 0 to %s", i+1, d, bound)
		}
		bound = min(2*bound, 15*time.Second)
	}
}

// Ten attempts in two minutes, the defaults, outlive an outage of a minute
// in which no response says how long it takes.
func TestAnOutageOfAMinuteIsOutlived(t *testing.T) {
	for range 400 {
		o := retry(t, 2*time.Minute, 10, func(_ context.Context, _ int, at time.Duration) error {
			if at < time.Minute {
				return broken(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
			}
			return nil
		})
		if o.err != nil {
			t.Fatalf("after %s: %v", o.took, o.err)
		}
	}
}

// If max-attempts would be reached before timeout, the random part of the late
// waits is half to one and a half of an even share of the time left.
func TestFewAttemptsAreSpreadOverTheTimeLeft(t *testing.T) {
	for field, asked := range map[string]time.Duration{"": 0, "1": time.Second} {
		for range 400 {
			o := retry(t, 2*time.Minute, 10, failing(refused(503, field)))
			if len(o.attempts) != 10 {
				t.Fatalf("%d attempts: %v", len(o.attempts), o.err)
			}
			for _, l := range o.lines[5:] {
				left := l.left - time.Second - asked
				share := left / time.Duration(10-l.Attempt+1)
				low, high := share/2, share/2+share
				if share <= 15*time.Second {
					low, high = 0, left
				}
				if random := l.Wait - asked; random < low || random > high {
					t.Errorf("Retry-After %q, attempt %d with %s left: %s, want %s to %s", field, l.Attempt, l.left, l.Wait, low, high)
				}
			}
		}
	}
}

// Retry-After is the least wait. The random part is up to as long again, and
// leaves time for another attempt.
func TestRetryAfterIsObeyed(t *testing.T) {
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		name          string
		field         func() string
		timeout       time.Duration
		least, spread time.Duration
	}{
		{"1", func() string { return "1" }, 2 * time.Minute, time.Second, time.Second},
		{"30", func() string { return "30" }, 2 * time.Minute, 30 * time.Second, 30 * time.Second},
		{"date", func() string { return in(7 * time.Second) }, 2 * time.Minute, 7 * time.Second, 7 * time.Second},
		{"date in 100 ms", func() string { defer time.Sleep(900 * time.Millisecond); return in(time.Second) },
			2 * time.Minute, 100 * time.Millisecond, 500 * time.Millisecond},
		{"more than half of timeout", func() string { return "60" }, 101 * time.Second, time.Minute, 35 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var waits drawn
			for range 400 {
				o := retry(t, c.timeout, 10, func(_ context.Context, attempt int, _ time.Duration) error {
					if attempt == 1 {
						return refused(429, c.field())
					}
					return nil
				})
				if o.err != nil || len(o.lines) != 1 {
					t.Fatalf("%d lines, %v", len(o.lines), o.err)
				}
				waits = append(waits, o.lines[0].Wait)
			}
			if !waits.isUniform(c.least, c.spread) {
				t.Errorf("waits are %s, want %s to %s", waits, c.least, c.least+c.spread)
			}
		})
	}
}

// A lone job that gets 1 waits between 1 and 2 s. If it gets that again, it waits
// between 1 and 3 s, then between 1 and 5 s. A failure without Retry-After does
// not count.
func TestTheRandomPartDoublesWithEachRetryAfter(t *testing.T) {
	told := []struct {
		field         string
		least, spread time.Duration
	}{
		{"1", time.Second, time.Second},
		{"1", time.Second, 2 * time.Second},
		{"", 0, 2 * time.Second},
		{"1", time.Second, 4 * time.Second},
		{"1", time.Second, 8 * time.Second},
	}
	waits := make([]drawn, len(told))
	for range 400 {
		o := retry(t, 2*time.Minute, 10, func(_ context.Context, attempt int, _ time.Duration) error {
			if attempt > len(told) {
				return nil
			}
			return refused(429, told[attempt-1].field)
		})
		for i, l := range o.lines {
			waits[i] = append(waits[i], l.Wait)
		}
	}
	for i, c := range told {
		if !waits[i].isUniform(c.least, c.spread) {
			t.Errorf("waits after attempt %d are %s, want %s to %s", i+1, waits[i], c.least, c.least+c.spread)
		}
	}
}

// Retry-After of 0, or a date in the past, is obeyed three times. To a clock that
// is ahead of the server's, every date is in the past, and ten attempts would be
// made at once.
func TestRetryAfterOfZero(t *testing.T) {
	for _, field := range []string{"0", "Sat, 21 Nov 1998 00:00:00 GMT"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			o := retryIn(ctx, 10, failing(refused(429, field)))
			for i, l := range o.lines {
				if (l.Wait == 0) != (i < 3) {
					t.Errorf("%s: wait %d is %s", field, i+1, l.Wait)
				}
			}
			if o.took < 30*time.Second {
				t.Errorf("%s: 10 attempts in %s", field, o.took)
			}
		})
	}
}

func TestRetryAfterBeyondTimeoutFailsAtOnce(t *testing.T) {
	for _, c := range []struct{ name, field, asked string }{
		{"seconds", "3600", "1h0m0s"},
		{"date", "Sat, 01 Jan 2000 01:00:00 GMT", "1h0m0s"}, // a bubble's clock starts at 2000-01-01
		{"as long as timeout", "120", "2m0s"},
		{"overflow", "18446744073709551615", "2562047h47m16.854775807s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := retry(t, 2*time.Minute, 10, func(context.Context, int, time.Duration) error { return refused(429, c.field) })
			want := "POST jfrog.test/access: HTTP 429 (gave up after 1 attempt: Retry-After is " + c.asked +
				", longer than what is left of timeout)"
			if o.err == nil || o.err.Error() != want {
				t.Errorf("got  %v\nwant %s", o.err, want)
			}
			if len(o.attempts) != 1 || len(o.lines) != 0 || o.took != 0 {
				t.Errorf("%d attempts, %d lines, %s", len(o.attempts), len(o.lines), o.took)
			}
		})
	}
}

// If timeout ends an attempt, backoff/v4 returns the bare error of the context.
func TestTheLastRealErrorIsKeptWhenTimeoutIsExceeded(t *testing.T) {
	o := retry(t, 30*time.Second, 100, func(ctx context.Context, _ int, _ time.Duration) error {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Second):
		}
		return refused(504)
	})
	var over *wire.GaveUp
	var last *wire.Error
	if !errors.As(o.err, &over) || over.Why != "timeout exceeded" || over.Attempts != 2 {
		t.Errorf("%v", o.err)
	}
	if !errors.As(o.err, &last) || last.Status != 504 {
		t.Errorf("the 504 is lost: %v", o.err)
	}
	if o.took != 30*time.Second {
		t.Errorf("it took %s", o.took)
	}
}

// An attempt with less than a second left is not made: timeout would cut it
// off, and its outcome would be unknown.
func TestNoAttemptThatTimeoutWouldCutOff(t *testing.T) {
	o := retry(t, 30*time.Second, 100, func(context.Context, int, time.Duration) error {
		time.Sleep(29500 * time.Millisecond)
		return refused(503)
	})
	want := "POST jfrog.test/access: HTTP 503 (gave up after 1 attempt: timeout leaves no time for another attempt)"
	if o.err == nil || o.err.Error() != want {
		t.Errorf("got  %v\nwant %s", o.err, want)
	}
	for range 200 {
		o := retry(t, 30*time.Second, 100, failing(refused(503)))
		for _, at := range o.attempts {
			if at > 29*time.Second {
				t.Fatalf("an attempt at %s of 30s", at)
			}
		}
	}
}

func TestWithoutDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := retryIn(context.Background(), 30, failing(refused(503)))
		for _, l := range o.lines {
			if l.Wait < 0 || l.Wait > 15*time.Second {
				t.Errorf("wait %d is %s", l.Attempt, l.Wait)
			}
		}
		for _, asked := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 / 2} {
			e := refused(503)
			e.RetryAfter = asked
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Hour, cancel)
			o := retryIn(ctx, 30, failing(e))
			if len(o.attempts) != 1 {
				t.Errorf("Retry-After %s: %d attempts", asked, len(o.attempts))
			}
		}
	})
}

func TestCancelInterruptsTheWait(t *testing.T) {
	interrupted := errors.New("interrupted by SIGTERM")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
		defer stop()
		const when = 7 * time.Second
		time.AfterFunc(when, func() { cancel(interrupted) })
		o := retryIn(ctx, 10, failing(refused(429, "60")))
		if o.took != when {
			t.Errorf("it took %s, %s too long", o.took, o.took-when)
		}
		if len(o.attempts) != 1 || len(o.lines) != 1 {
			t.Errorf("%d attempts, %d lines", len(o.attempts), len(o.lines))
		}
		var last *wire.Error
		if !errors.Is(o.err, interrupted) || !errors.As(o.err, &last) || last.Status != 429 {
			t.Errorf("want the cause and the 429: %v", o.err)
		}
		var over *wire.GaveUp
		if errors.As(o.err, &over) {
			t.Errorf("it was interrupted, it did not give up: %v", o.err)
		}
	})
}

func TestNothingIsAttemptedAfterACancel(t *testing.T) {
	interrupted := errors.New("interrupted by SIGTERM")
	t.Run("before the first attempt", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(interrupted)
		o := retryIn(ctx, 10, failing(refused(503)))
		if len(o.attempts) != 0 || !errors.Is(o.err, interrupted) {
			t.Errorf("%d attempts, %v", len(o.attempts), o.err)
		}
	})
	t.Run("during an attempt", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		o := retryIn(ctx, 10, func(context.Context, int, time.Duration) error {
			cancel(interrupted)
			return refused(503, "0")
		})
		var last *wire.Error
		if len(o.attempts) != 1 || len(o.lines) != 0 || !errors.Is(o.err, interrupted) || !errors.As(o.err, &last) {
			t.Errorf("%d attempts, %d lines, %v", len(o.attempts), len(o.lines), o.err)
		}
	})
	t.Run("in the line before a wait of nothing", func(t *testing.T) {
		for range 100 { // the end of the wait and the cancel are ready at once
			ctx, cancel := context.WithCancelCause(context.Background())
			attempts := 0
			err := wire.Policy{MaxAttempts: 10, Notify: func(wire.Retry) { cancel(interrupted) }}.Retry(ctx, func() error {
				attempts++
				return refused(503, "0")
			})
			if attempts != 1 || !errors.Is(err, interrupted) {
				t.Fatalf("%d attempts, %v", attempts, err)
			}
		}
	})
	// A request that creates a token is finished after a cancel: the token has to be known.
	t.Run("an attempt that succeeds all the same", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		o := retryIn(ctx, 10, func(context.Context, int, time.Duration) error { cancel(interrupted); return nil })
		if o.err != nil {
			t.Error(o.err)
		}
	})
	t.Run("a deadline in the past", func(t *testing.T) {
		ctx, cancel := context.WithDeadline(context.Background(), time.Time{})
		defer cancel()
		o := retryIn(ctx, 10, failing(refused(503)))
		if len(o.attempts) != 0 || !errors.Is(o.err, context.DeadlineExceeded) {
			t.Errorf("%d attempts, %v", len(o.attempts), o.err)
		}
	})
}

// An error that is not worth another attempt is returned as it is.
func TestAFinalErrorIsNotWrapped(t *testing.T) {
	final := refused(403)
	o := retry(t, time.Minute, 10, func(_ context.Context, attempt int, _ time.Duration) error {
		if attempt < 3 {
			return refused(503)
		}
		return final
	})
	if o.err != error(final) || len(o.attempts) != 3 {
		t.Errorf("%d attempts, %v", len(o.attempts), o.err)
	}
}
