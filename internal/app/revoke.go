package app

import (
	"context"
	"errors"
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

// revoke ends what mint of the same job saved. It reads the state alone.
func (a *app) revoke(ctx context.Context) error {
	envFile, stateDir, err := config.Files(a.lookup)
	if err != nil {
		return err
	}
	places := ci.Places{EnvFile: envFile, StateDir: stateDir}
	states, err := a.ci.States(places)
	if err != nil {
		return err
	}
	if len(states) == 0 {
		a.ci.Info("nothing to revoke: no token was saved")
	}
	limited, cancel := cleanup(ctx, revokeLimit, revokeLastWord)
	defer cancel()
	var failed error
	tell := func(err error) {
		if err != nil {
			a.tell(err)
			failed = errTold
		}
	}
	for _, saved := range states {
		tell(a.revokeSaved(limited, saved))
	}
	tell(a.ci.Clear(places)) // whatever JFrog said
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failed
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
	for _, t := range s.Tokens {
		a.ci.Mask(t.held().Bearer) // a runner that forgets masks between steps is not worth the risk
	}
	roots, err := config.Roots(s.CACert)
	if err != nil {
		return doing(revoking, errors.New("ca-cert "+err.Error()))
	}
	client := jfrog.New(a.client(wire.Options{Roots: roots}), u, wire.Policy{MaxAttempts: 10, Notify: a.sayRetry})
	a.revokeLost(ctx, client, s)
	failed, done := false, 0
	for _, t := range s.Tokens {
		if t.HandedOn && !s.Revoke {
			continue
		}
		outcome, err := client.Revoke(ctx, t.held())
		line := a.sayRevoked(t, outcome, err, s.RevokeFailure)
		if s.Summary {
			if e := a.ci.Summary("\n" + line + "\n"); e != nil {
				a.ci.Warning(e.Error())
			}
		}
		failed = failed || outcome == jfrog.Failed
		done++
	}
	if done == 0 {
		a.sayNothing(s)
	}
	if failed && s.RevokeFailure == "fail" {
		return errTold
	}
	return nil
}

// revokeLost looks once more for what an attempt left whose answer was lost:
// mint may have been killed before it did, or JFrog may have stored it later.
func (a *app) revokeLost(ctx context.Context, client *jfrog.Client, s state) {
	if s.Lost == "" || len(s.Tokens) == 0 {
		return
	}
	ours := s.Tokens[len(s.Tokens)-1].held()
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
