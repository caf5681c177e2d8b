package cli

import (
	"context"
	"errors"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/lease"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// sweep revokes the tokens that canceled jobs left behind.
func (r *run) sweep(ctx context.Context) error { return r.withBearer(ctx, "sweep", (*job).revokeOld) }

// sweep is one run of that command.
type sweep struct {
	*job
	bearer secret.String
	seen   map[string]bool // by id; the credential itself is in it from the start
	now    time.Time       // by JFrog's own clock
	count  map[jfrog.Outcome]int
	doubts int // in a dry run: tokens that JFrog may refuse to revoke
}

// revokeOld revokes what the inputs describe, but for the credential itself.
// JFrog is not known to return less than all, nor to take a page; should a
// platform do so, the next round finds what this one was not shown.
func (j *job) revokeOld(bearer secret.String) error {
	own, err := j.ownID(bearer)
	if err != nil {
		return err
	}
	s := &sweep{job: j, bearer: bearer, seen: map[string]bool{own: true}, count: map[jfrog.Outcome]int{}}
	for again := true; again && err == nil; {
		again, err = s.round()
	}
	if !s.now.IsZero() {
		s.saySweep()
	}
	if err == nil && s.count[jfrog.FailedRevoke] > 0 {
		err = errLeft
	}
	return err
}

var (
	// errNoDate: the local clock cannot stand in for JFrog's. Where the two are
	// hours apart, the token of a running job would look old.
	errNoDate = errors.New("list tokens: response has no usable Date, so that no token's age is known by " +
		"JFrog's own clock; nothing was revoked")
	// errTimeout is not what is said after a signal.
	errTimeout = errors.New("not every token was revoked: timeout exceeded")
)

// round lists the tokens and revokes the old ones. It reports whether another
// round may find more.
func (s *sweep) round() (again bool, err error) {
	if s.over() {
		return false, errTimeout
	}
	tokens, date, err := s.jfrog.List(s.time.Work, s.bearer, pattern(s.cfg.DescriptionPrefix))
	switch {
	case err != nil:
		return false, err
	case s.now.IsZero() && date.IsZero():
		return false, errNoDate
	case s.now.IsZero():
		s.now = date
	}
	for _, t := range tokens {
		if s.seen[t.ID] || !orphaned(t, s.cfg.DescriptionPrefix, s.cfg.OlderThan, s.now) {
			continue
		}
		s.seen[t.ID] = true
		if s.over() {
			return false, errTimeout
		}
		if s.cfg.DryRun {
			if s.sayWouldRevoke(t); t.MayRefuse() {
				s.doubts++
			} else {
				s.count[jfrog.WasRevoked]++
			}
			continue
		}
		outcome, err := s.jfrog.Revoke(s.time.Work, s.bearer, jfrog.Target{ID: t.ID, Revocable: true})
		if s.saySwept(t, s.became(outcome, err)); err != nil && s.time.Interrupted() != nil {
			return false, errTimeout
		}
		s.count[outcome]++
		again = again || outcome == jfrog.WasRevoked || outcome == jfrog.AlreadyGone
	}
	return again, nil
}

// over reports whether the time is over. An attempt that the deadline ended
// returns a moment before the context says so.
func (s *sweep) over() bool {
	deadline, ok := s.time.Work.Deadline()
	return s.time.Work.Err() != nil || ok && time.Until(deadline) < 10*time.Millisecond
}

// orphaned reports whether sweep takes a token: it is one of ours, has the
// prefix, lives, and was issued longer than age ago. Both times are whole
// seconds that were cut off, so that a token may be younger by a second than
// their difference.
func orphaned(t jfrog.Listed, prefix string, age time.Duration, now time.Time) bool {
	return t.ID != "" && lease.MarkerIn(t.Description) != "" && hasPrefix(t.Description, prefix) &&
		(t.Expiry.IsZero() || t.Expiry.After(now)) &&
		!t.Issued.IsZero() && !t.Issued.After(now.Add(-age-time.Second))
}

// ownID is the id of the credential itself, which sweep must spare.
func (j *job) ownID(bearer secret.String) (string, error) {
	if claims, err := jwt.Peek(bearer.Reveal()); err == nil && claims.String("jti") != "" {
		return claims.String("jti"), nil
	}
	return j.jfrog.Me(j.time.Work, bearer)
}
