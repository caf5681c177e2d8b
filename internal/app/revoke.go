package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// revokeLimit bounds revoke, retries included: a job's last step must not be
// what holds the job up.
const (
	revokeLimit    = 15 * time.Second
	revokeLastWord = 5 * time.Second // after a signal
)

// errTold fails the step for what was already told.
var errTold = errors.New("see above")

// places is where this CI's files are.
func (a *app) places() (ci.Places, error) {
	envFile, stateDir, err := config.Files(a.lookup)
	return ci.Places{EnvFile: envFile, StateDir: stateDir}, err
}

// revoke ends what mint of the same job saved. It reads the state alone.
func (a *app) revoke(ctx context.Context) error {
	places, err := a.places()
	if err != nil {
		return err
	}
	var failed error
	tell := func(err error) {
		if err != nil {
			a.tell(err)
			failed = errTold
		}
	}
	states, err := a.ci.States(places)
	tell(err)
	if len(states) == 0 && err == nil {
		a.ci.Info("nothing to revoke: no token was saved")
	}
	limited, cancel := cleanup(ctx, revokeLimit, revokeLastWord)
	defer cancel()
	for i := range states { // the newest first: it is this job's
		part, cancel := share(limited, len(states)-i)
		tell(a.revokeSaved(part, states[len(states)-1-i]))
		cancel()
	}
	tell(a.ci.Clear(places)) // whatever JFrog said
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failed
}

// share gives one of n their part of the time that is left, so that one which
// fails slowly does not starve the others.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(max(1, n)))
}

// revokeSaved ends what one mint saved.
func (a *app) revokeSaved(ctx context.Context, saved string) error {
	s, err := decodeState(saved)
	if err != nil {
		return err
	}
	u, wrong := config.ParseURL(s.URL)
	if wrong != "" {
		return errState
	}
	var tokens []heldToken
	for i := range s.Tokens { // the one that the job has comes last in the state, and first here
		t := s.Tokens[len(s.Tokens)-1-i]
		a.ci.Mask(t.held().Bearer) // a runner that forgets masks between steps is not worth the risk
		if !t.HandedOn || s.Revoke {
			tokens = append(tokens, t)
		}
	}
	if len(tokens) == 0 {
		a.sayNothing(s)
	}
	roots, err := config.Roots(s.CACert)
	if err != nil {
		err = fmt.Errorf("read ca-cert: it %w", err)
	}
	client := jfrog.New(a.client(wire.Options{Roots: roots}), u, wire.Policy{MaxAttempts: 10, Notify: a.sayRetry})
	if err == nil {
		a.revokeLost(ctx, client, s)
	}
	failed := false
	for i, t := range tokens {
		outcome, err := jfrog.Failed, err
		if err == nil {
			part, cancel := share(ctx, len(tokens)-i)
			outcome, err = client.Revoke(part, t.held())
			cancel()
		}
		line := a.sayRevoked(t, outcome, err, s.RevokeFailure)
		if s.Summary {
			if e := a.ci.Summary("\n" + markdown(a.ci.Clean(line)) + "\n"); e != nil {
				a.ci.Warning(e.Error())
			}
		}
		failed = failed || outcome == jfrog.Failed
	}
	if failed && s.RevokeFailure == "fail" {
		return errTold
	}
	return nil
}

// lookUpLimit leaves most of revokeLimit to the tokens that are known.
const lookUpLimit = 5 * time.Second

// revokeLost looks once more for what an attempt left whose answer was lost:
// mint may have been killed before it did, or JFrog may have stored it later.
func (a *app) revokeLost(ctx context.Context, client *jfrog.Client, s state) {
	if s.Lost == "" || len(s.Tokens) == 0 {
		return
	}
	ours := s.Tokens[len(s.Tokens)-1].held()
	if ours.ID == "" {
		return // it could not be told from the others
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpLimit)
	defer cancel()
	strays, err := client.Strays(ctx, ours.Bearer, s.Lost, ours.ID)
	if err != nil {
		a.ci.Warning("JFrog could not be asked what an attempt left whose answer was lost: " + err.Error())
		return
	}
	for _, h := range strays {
		outcome, err := client.Revoke(ctx, h)
		a.sayStray(h, outcome, err)
	}
}
