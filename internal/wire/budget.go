package wire

import (
	"context"
	"errors"
	"time"
)

// All limits on the time of a run. A command works until it is done or its
// timeout is exceeded, and then cleans up:
//
//	start                    timeout      + 15 s
//	  |--------- work --------->|-- cleanup -->|
//
// The first signal ends the work. GitHub's runner kills 7.5 s later
// (https://github.com/actions/runner/blob/main/src/Runner.Sdk/ProcessInvoker.cs):
//
//	signal        + 5 s    + 6.5 s  + 7.5 s
//	  |-- Grace ---->|          |      |
//	  |-- cleanup ------------->|    killed
//
// Before the job gets its token, and before exec starts its command, an exchanged
// token is revoked. The job does not wait for a JFrog that hangs there: after
// discardLimit the exchanged token is left to revoke.
//
//	token         + 5 s
//	  |-- discard -->|--- command --->|-- cleanup -->|
//
// revoke is cleanup from its start.
const (
	// AttemptLimit bounds one attempt, from dialing to the last byte, and of a
	// response that is decoded as it comes each wait for more.
	AttemptLimit = 20 * time.Second
	// Grace is how long a request that may be making a token goes on after
	// the signal.
	Grace = 5 * time.Second
	// cleanupLimit bounds the cleanup, retries included.
	cleanupLimit = 15 * time.Second
	// discardLimit bounds the revocation of an exchanged token that another
	// one replaces, retries included.
	discardLimit = 5 * time.Second
	// lastWord bounds the cleanup once a signal has come, Grace included.
	lastWord = 6500 * time.Millisecond
)

// CleanupAttempts is the retry policy of the cleanup. The user's own may allow
// a single attempt, and a token would stay for one 503.
const CleanupAttempts = 10

// Budget is the time of one run.
type Budget struct {
	// Work ends with the signal, or when the timeout is exceeded.
	Work context.Context

	cleanup context.Context
}

// NewBudget starts the clock. ctx ends with the first signal.
func NewBudget(ctx context.Context, timeout time.Duration) (*Budget, context.CancelFunc) {
	work, cancelWork := context.WithTimeout(ctx, timeout)
	cleanup, cancelCleanup := context.WithTimeout(context.WithoutCancel(ctx), timeout+cleanupLimit)
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(lastWord, cancelCleanup)
		context.AfterFunc(cleanup, func() { t.Stop() })
	})
	return &Budget{work, cleanup}, func() { stop(); cancelWork(); cancelCleanup() }
}

// Interrupted returns the cause if a signal ended the work, and nil if the
// timeout was exceeded or the work goes on.
func (b *Budget) Interrupted() error {
	if !errors.Is(b.Work.Err(), context.Canceled) {
		return nil
	}
	return context.Cause(b.Work)
}

// Cleanup returns the context of what has to be done although the work has
// ended.
func (b *Budget) Cleanup() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.cleanup, cleanupLimit)
}

// Discard returns the context of the revocation of an exchanged token that
// another one replaces. It is part of the cleanup.
func (b *Budget) Discard() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.cleanup, discardLimit)
}

// Share returns what the first of n may use of the time that ctx has left: two
// thirds, or all of it if there is one, so that what fails slowly does not
// starve what comes after it.
func Share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || n <= 1 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*2/3)
}
