package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
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
	if err == nil && j.second { // the command can read the state
		err = j.lease.Discard(token)
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
	return j.await(ctx, p, token)
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
		return ci.CarriesCredential(name)
	})
	for _, pair := range ci.Variables(j.outputs(t)) {
		env = append(env, pair[0]+"="+pair[1])
	}
	return env
}

// spared is how long after the first signal the command may still use the token.
// What is left of 5 s is for the revocation, as some CIs kill after 10.
const spared = 4 * time.Second

// await waits for the command, and revokes the token when it ends.
func (j *job) await(ctx context.Context, p *process.Process, t jfrog.Token) error {
	expiry := j.lease.State().Expiry()
	revoked, ended := j.attend(ctx, p)
	err := p.Drain()
	if ctx.Err() == nil && !expiry.IsZero() && ended.After(expiry) {
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

// attend passes signals on to the command until it ends, and revokes the token
// then, or soon after the first signal. It reports whether nothing failed, and
// when the command ended.
func (j *job) attend(ctx context.Context, p *process.Process) (revoked bool, ended time.Time) {
	var more <-chan os.Signal
	var soon <-chan time.Time
	var early chan bool // of the revocation that does not wait for the end
	var b *wire.Budget  // from the first signal on, until it is used
	first := ctx.Done()
	for {
		select {
		case <-first:
			var i Interrupted
			errors.As(context.Cause(ctx), &i)
			p.Pass(i.Signal)
			var done context.CancelFunc
			b, done = wire.NewBudget(ctx, 0)
			defer done()
			first, more, soon = nil, i.More, time.After(spared)
		case s := <-more:
			p.Pass(s)
		case <-soon:
			early = make(chan bool, 1)
			go func(b *wire.Budget) { early <- j.revokeOwn(b) }(b)
			b = nil
		case revoked = <-early:
			early = nil
		case <-p.Ended():
			ended = time.Now()
			switch {
			case early != nil:
				revoked = <-early
			case !revoked:
				if b == nil {
					var done context.CancelFunc
					b, done = wire.NewBudget(ctx, 0)
					defer done()
				}
				revoked = j.revokeOwn(b)
			}
			return revoked, ended
		}
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
