package cli

import (
	"context"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// sweep revokes the tokens that canceled jobs left behind.
func (r *run) sweep(ctx context.Context) error { return r.withBearer(ctx, "sweep", (*job).revokeOld) }

// revokeOld revokes what the inputs describe, but for the credential itself.
// JFrog is not known to return less than all, nor to take a page; should a
// platform do so, the next round finds what this one was not shown.
func (j *job) revokeOld(bearer secret.String) error {
	own, err := j.ownID(bearer)
	if err != nil {
		return err
	}
	before := time.Now().Add(-j.cfg.OlderThan)
	seen, count := map[string]bool{own: true}, map[jfrog.Outcome]int{}
	for again := true; again; {
		tokens, err := j.jfrog.List(j.time.Work, bearer, pattern(j.cfg.DescriptionPrefix))
		if err != nil {
			return err
		}
		again = false
		for _, t := range tokens {
			// An older platform may ignore the filter.
			if seen[t.ID] || t.ID == "" || !strings.HasPrefix(t.Description, j.cfg.DescriptionPrefix) || t.Issued.IsZero() || !t.Issued.Before(before) {
				continue
			}
			seen[t.ID] = true
			if j.cfg.DryRun {
				j.saySwept(t, "would be revoked")
				count[jfrog.WasRevoked]++
				continue
			}
			outcome, err := j.jfrog.Revoke(j.time.Work, bearer, jfrog.Target{ID: t.ID, Revocable: true})
			count[outcome]++
			again = again || outcome == jfrog.WasRevoked || outcome == jfrog.AlreadyGone
			if j.sayNamed(t, outcome, err); j.time.Work.Err() != nil {
				again = false
				break
			}
		}
	}
	if j.saySweep(count); count[jfrog.FailedRevoke] > 0 {
		return errLeft
	}
	return nil
}

// ownID is the id of the credential itself, which sweep must spare.
func (j *job) ownID(bearer secret.String) (string, error) {
	if claims, err := jwt.Peek(bearer.Reveal()); err == nil && claims.String("jti") != "" {
		return claims.String("jti"), nil
	}
	return j.jfrog.Me(j.time.Work, bearer)
}
