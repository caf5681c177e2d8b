package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/lease"
	"github.com/ephemeral-ci/jfrog-token/internal/mask"
	"github.com/ephemeral-ci/jfrog-token/internal/process"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// exited is the exit code of the command that exec ran, which has said itself
// what there was to say.
type exited int

func (e exited) Error() string { return "the command failed" }

// exec gets a token, runs a command with it, and revokes it when the command
// ends.
func (r *run) exec(ctx context.Context) error {
	if len(r.words) == 0 {
		return problem("exec needs a command: jfrog-token exec -- COMMAND")
	}
	command, err := process.Find(r.words)
	if err != nil {
		name := shorten(secret.Scrub(r.words[0], r.inputs.Secrets()...), maxClaim)
		return fmt.Errorf("run %s: %w", name, err)
	}
	j, stop, err := r.start(ctx, "exec")
	if err != nil {
		return err
	}
	defer stop()
	token, err := j.token()
	if err == nil {
		err = j.verify(token)
	}
	var p *process.Process
	if err == nil {
		err = j.lease.HandOn(func() (err error) {
			p, err = j.begin(command, token)
			return err
		})
	}
	if err != nil {
		return j.closed(ctx, err)
	}
	return j.await(ctx, stop, p, token)
}

// begin starts the command.
func (j *job) begin(c *process.Command, t jfrog.Token) (*process.Process, error) {
	j.sayToken(t)
	if j.cfg.Summary {
		if err := j.ci.Summary(j.summary(t)); err != nil {
			return nil, err
		}
	}
	var through func(io.Writer) io.WriteCloser
	if j.cfg.Mask {
		through = func(w io.Writer) io.WriteCloser { return mask.New(w, j.ci.Hidden()...) }
	}
	return c.Start(j.environment(t), process.Output{To: j.out, Through: through}, process.Output{To: j.err, Through: through},
		j.ci.Name() == ci.CommandLine)
}

// environment is that of the command: ours, with the token, and without what
// carried the credential that it was made with.
func (j *job) environment(t jfrog.Token) []string {
	env := slices.DeleteFunc(j.inputs.Environment(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return ci.HandsOn(name)
	})
	for _, pair := range ci.Variables(j.outputs(t)) {
		env = append(env, pair[0]+"="+pair[1])
	}
	return env
}

// spared is how long after the first signal the command may still use the token.
// What is left of 5 s is for the revocation, as some CIs kill after 10.
const spared = 4 * time.Second

// await waits for the command, passes signals on to it, and revokes the token
// when it ends, or soon after the first signal.
func (j *job) await(ctx context.Context, stop func(), p *process.Process, t jfrog.Token) error {
	var leasing sync.Mutex // whoever has it may use the lease, and what follows
	expiry, revoked, tried := j.lease.State().Expiry(), false, time.Time{}
	leasing.Lock()
	go func() {
		defer leasing.Unlock()
		j.discard(t)
	}()
	revoke := func(b *wire.Budget, since time.Time) {
		wait := time.Second
		if ctx.Err() != nil {
			wait = 0
		}
		time.AfterFunc(wait, stop) // JFrog may hang with the exchanged token, which comes once more
		leasing.Lock()
		defer leasing.Unlock()
		if !revoked && !tried.After(since) {
			revoked = j.revokeOwn(b)
			tried = time.Now()
		}
	}

	first := ctx.Done()
	var more <-chan os.Signal
	var soon <-chan time.Time
	var left *wire.Budget // from the first signal on, until it is used
	for {
		select {
		case <-first:
			var i Interrupted
			errors.As(context.Cause(ctx), &i)
			p.Pass(i.Signal)
			b, done := wire.NewBudget(ctx, 0)
			defer done()
			first, more, soon, left = nil, i.More, time.After(spared), b
		case s := <-more:
			p.Pass(s)
		case <-soon:
			go revoke(left, time.Time{})
			left = nil
		case <-p.Ended():
			ended := time.Now()
			if left == nil {
				b, done := wire.NewBudget(ctx, 0)
				defer done()
				left = b
			}
			revoke(left, ended)
			err := p.Drain()
			if first != nil && !expiry.IsZero() && ended.After(expiry) {
				j.sayOutlived(t, ended.Sub(expiry))
			}
			if err != nil {
				j.ci.Warning(err.Error())
			}
			switch code := p.ExitCode(); {
			case code != 0:
				return exited(code)
			case err != nil:
				return exited(1)
			case !revoked && j.cfg.RevokeFailure == "fail":
				return errLeft
			}
			return nil
		}
	}
}

// discard revokes the exchanged token, if the command has another one.
func (j *job) discard(t jfrog.Token) {
	if !j.second {
		return
	}
	if err := j.lease.Discard(t); err != nil && j.time.Interrupted() == nil {
		j.ci.Warning(err.Error())
	}
}

// revokeOwn ends what the lease holds, and reports whether nothing failed.
func (j *job) revokeOwn(b *wire.Budget) bool {
	all, cancel := b.Cleanup()
	defer cancel()
	s := j.lease.State()
	j.lease.Report = func(e lease.Event) { j.sayRevoked(e, s) }
	return j.lease.Revoke(all)
}
