package cli

import (
	"context"
	"errors"
	"hash/maphash"
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
	own    string // the credential's id
	// seen are the tokens that JFrog was asked to revoke, by a hash of their ids: the
	// ids of 100,000 take more memory than all else. Of two that are alike in it, one
	// is left to the next sweep.
	seen   map[uint64]bool
	seed   maphash.Seed
	now    time.Time // by JFrog's own clock
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
	s := &sweep{
		job: j, bearer: bearer, own: own, seen: map[uint64]bool{}, seed: maphash.MakeSeed(), count: map[jfrog.Outcome]int{},
	}
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

// round lists the tokens and revokes a page of the old ones. It reports whether
// another round may find more. A dry run revokes none, and needs one round.
func (s *sweep) round() (again bool, err error) {
	if s.over() {
		return false, errTimeout
	}
	var page jfrog.Page
	for page, err = range s.jfrog.List(s.time.Work, s.bearer, jfrog.Query{Description: pattern(s.cfg.DescriptionPrefix), Keep: s.takes}) {
		switch {
		case err != nil:
			return false, err
		case s.now.IsZero() && page.Date.IsZero():
			return false, errNoDate
		case s.now.IsZero():
			s.now = page.Date
		}
		if !s.cfg.DryRun {
			break
		}
		for _, t := range page.Tokens {
			s.countWouldRevoke(t)
		}
	}
	if s.cfg.DryRun {
		return false, nil
	}
	again, err = s.revokeAll(page.Tokens)
	return again || !page.Last, err
}

// takes reports whether sweep is to revoke a token of a list of that date.
func (s *sweep) takes(t jfrog.Listed, date time.Time) bool {
	if !s.now.IsZero() {
		date = s.now
	}
	return t.ID != s.own && !s.seen[s.hash(t)] &&
		orphaned(t, s.cfg.DescriptionPrefix, s.cfg.OlderThan, date)
}

func (s *sweep) hash(t jfrog.Listed) uint64 { return maphash.String(s.seed, t.ID) }

func (s *sweep) countWouldRevoke(t jfrog.Listed) {
	if s.sayWouldRevoke(t); t.MayRefuse() {
		s.doubts++
	} else {
		s.count[jfrog.WasRevoked]++
	}
}

// revokeAll revokes tokens, and reports whether any is gone.
func (s *sweep) revokeAll(tokens []jfrog.Listed) (gone bool, err error) {
	for _, t := range tokens {
		if s.seen[s.hash(t)] { // listed twice
			continue
		}
		s.seen[s.hash(t)] = true
		if s.over() {
			return false, errTimeout
		}
		outcome, err := s.jfrog.Revoke(s.time.Work, s.bearer, jfrog.Target{ID: t.ID, Revocable: true})
		if s.saySwept(t, s.became(outcome, err)); err != nil && s.time.Interrupted() != nil {
			return false, errTimeout
		}
		s.count[outcome]++
		gone = gone || outcome == jfrog.WasRevoked || outcome == jfrog.AlreadyGone
	}
	return gone, nil
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
