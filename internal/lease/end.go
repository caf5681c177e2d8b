package lease

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Role is what a token was for.
type Role int

const (
	Job       Role = iota // the job's own
	Exchanged             // a means to the job's own
	Orphan                // made by a request whose response was lost, or by a refresh
	Pairing               // a pairing token whose response was lost
	Replaced              // by a refresh whose outcome is unknown
	Successor             // of a token that somebody else refreshed; Held is that token
)

// Unknown is the outcome of a request that may have made a token which could
// not be looked up.
const Unknown jfrog.Outcome = "unknown"

// Kept is the outcome of an exchanged token with which revoke looks up what
// JFrog does not list yet.
const Kept jfrog.Outcome = "kept"

// Event is what became of a token, or of the files: then it has an Err alone.
type Event struct {
	Held
	Role    Role
	Outcome jfrog.Outcome
	Err     error
	// Of Unknown: how to find the token, "" if it carries no marker of this
	// mint, and when it is over, zero if that is not known.
	Marker string
	Until  time.Time
	Lost   int // exchanges
}

var (
	// ErrNoCredential says why a token that may exist was not looked up.
	ErrNoCredential = errors.New("no credential is left to look it up with")
	errNoID         = errors.New("JFrog returned no token id, so that it could not be told from others")
	errUnlisted     = errors.New("JFrog does not list a token that expires within 3 hours and is not revocable")
	errNotYet       = errors.New("JFrog lists none yet, and may still be storing one")
	errNoMarker     = errors.New("the successor of a refreshed token carries no marker of this step")
)

// end revokes every token of the lease that is not the job's to keep, and what
// may exist besides. It reports whether nothing failed.
func (l *Lease) end(ctx context.Context) bool {
	ok := true
	switch {
	case l.state.Pending == pendingCreate && l.state.past():
		l.state.Pending = ""
	case l.state.Pending == pendingRefresh && (!l.revoking || !l.state.Revoke):
		l.sayReplaced(l.state.Tokens[0])
	case l.state.Pending == pendingCreate:
		ok = l.revokeOrphans(ctx, Event{Role: Orphan})
	case l.state.Pending == pendingPairing:
		l.Report(Event{Role: Pairing, Outcome: Unknown, Lost: max(1, l.lost), Until: l.state.Until})
		if l.revoking {
			l.state.Pending = ""
		}
	case l.state.Pending == pendingExchange:
		l.Report(Event{Role: Exchanged, Outcome: Unknown, Lost: max(1, l.lost)})
		if l.revoking {
			l.state.Pending = ""
		}
	}
	// The job's own comes last, and is revoked first: an exchanged token may
	// have to do that.
	for i := len(l.state.Tokens) - 1; i >= 0; i-- {
		switch h := l.state.Tokens[i]; {
		case !l.state.Revoke && h.HandedOn:
			continue
		case h.Replaced && l.state.Revoke && !l.revoking: // the job may go on with it
			continue
		case h.Replaced && !l.state.Revoke:
			l.state.Pending, l.state.Tokens = "", slices.Delete(l.state.Tokens, i, i+1)
			continue
		case h.Exchanged && l.looksUpAgain():
			l.Report(Event{Held: h, Role: Exchanged, Outcome: Kept})
			continue
		}
		if !l.revoke(ctx, i) {
			ok = false
			continue
		}
		l.state.Tokens = slices.Delete(l.state.Tokens, i, i+1)
	}
	if err := l.save(); err != nil {
		l.Report(Event{Err: err})
		return false
	}
	return ok && (l.state.Pending == "" || l.blind)
}

// revoke ends one token that is held, and reports whether that is settled.
func (l *Lease) revoke(ctx context.Context, i int) bool {
	h := l.state.Tokens[i]
	e := Event{Held: h, Outcome: jfrog.HasExpired}
	switch {
	case h.Exchanged:
		e.Role = Exchanged
	case h.Replaced:
		e.Role = Replaced
	}
	if !h.expired() {
		ctx, cancel := wire.Share(ctx, i+1)
		defer cancel()
		e.Outcome, e.Err = l.tryAll(ctx, h)
	}
	l.Report(e)
	switch {
	case h.Replaced && e.Outcome != jfrog.FailedRevoke:
		if l.state.Pending = ""; e.Outcome != jfrog.WasRevoked { // which nobody can refresh any more
			l.sayReplaced(h)
		}
	case h.Refreshable && (e.Outcome == jfrog.AlreadyGone || e.Outcome == jfrog.HasExpired && !l.Credential.IsZero()):
		l.revokeSuccessor(ctx, h, e.Outcome)
	}
	return e.Outcome != jfrog.FailedRevoke
}

// revokeSuccessor ends what somebody else made of a token that is gone: whoever
// used the refresh token has a successor, and JFrog's CLI uses it by itself.
func (l *Lease) revokeSuccessor(ctx context.Context, h Held, outcome jfrog.Outcome) {
	var until time.Time // zero: it never expires
	if h.Lifetime > 0 {
		until = after(h.Lifetime)
	}
	switch {
	case !l.state.Refreshed:
		l.state.Until = until
		if !l.revokeOrphans(ctx, Event{Held: h, Role: Successor, Outcome: outcome}) {
			l.state.Pending = pendingCreate
		}
	case outcome == jfrog.AlreadyGone && !l.refreshedByOther(h):
		l.Report(Event{Held: h, Role: Successor, Outcome: Unknown, Err: errNoMarker, Until: until})
	}
}

// sayReplaced says that a token may have a successor that nobody holds.
func (l *Lease) sayReplaced(h Held) {
	if l.state.Until.IsZero() || time.Now().Before(l.state.Until) {
		l.Report(Event{Held: h, Role: Replaced, Outcome: Unknown, Until: l.state.Until})
	}
}

// refreshedByOther reports whether another mint refreshed the token, and has its
// successor.
func (l *Lease) refreshedByOther(h Held) bool {
	return h.ID != "" && slices.ContainsFunc(l.Others, func(s State) bool { return s.Replaces == h.ID })
}

// tryAll revokes a token with itself or, if it may not, with any other bearer:
// an audience without Access keeps a token from revoking itself.
func (l *Lease) tryAll(ctx context.Context, h Held) (outcome jfrog.Outcome, err error) {
	outcome, err = jfrog.FailedRevoke, ErrNoCredential
	self := h.Token.String
	for i, b := range append([]secret.String{self}, l.bearers()...) {
		if b.IsZero() || i > 0 && (b == self || h.ID == "") {
			continue
		}
		outcome, err = l.jfrog.Cleanup().Revoke(ctx, b, jfrog.Target{ID: h.ID, Self: i == 0, Me: h.Exchanged, Revocable: h.Revocable})
		if !refusesBearer(err) {
			break
		}
	}
	return outcome, err
}

func refusesBearer(err error) bool {
	switch jfrog.KindOf(err) {
	case jfrog.Unauthenticated, jfrog.Forbidden, jfrog.Expired, jfrog.Revoked:
		return true
	}
	return false
}

// bearers returns who may look up and revoke, the best first.
func (l *Lease) bearers() []secret.String {
	var list []secret.String
	for _, h := range slices.Backward(l.state.Tokens) {
		if !h.Token.IsZero() && !h.expired() {
			list = append(list, h.Token.String)
		}
	}
	if !l.Credential.IsZero() {
		list = append(list, l.Credential)
	}
	return list
}

// storing is what JFrog may need to store the token of a mint that was killed
// right before revoke.
const storing = 2 * time.Second

// revokeOrphans looks up the tokens that carry the marker besides those that
// are held, and revokes them. It reports whether it could; unknown is the event
// if it could not.
func (l *Lease) revokeOrphans(ctx context.Context, unknown Event) bool {
	orphans, bearer, err := l.lookUp(ctx)
	if l.revoking && err == nil && len(orphans) == 0 && l.state.Pending == pendingCreate {
		select {
		case <-time.After(storing):
		case <-ctx.Done():
		}
		orphans, bearer, err = l.lookUp(ctx)
	}
	ok, all := err == nil, len(orphans) >= max(1, l.lost) // of one request comes one token at most
	for i, t := range orphans {
		part, cancel := wire.Share(ctx, len(orphans)-i+len(l.state.Tokens))
		e := Event{Role: Orphan, Held: Held{ID: t.ID, Expires: t.Expiry}}
		e.Outcome, e.Err = l.jfrog.Cleanup().Revoke(part, bearer, jfrog.Target{ID: t.ID, Revocable: true})
		cancel()
		l.Report(e)
		ok = ok && e.Outcome != jfrog.FailedRevoke
	}
	switch {
	case err != nil:
	case all:
	case !l.state.Listed:
		err = errUnlisted
	case !l.revoking && !l.holdsCreated():
		err = errNotYet
	}
	if err != nil {
		l.blind = unknown.Role == Successor && (err == ErrNoCredential || refusesBearer(err))
		if l.blind && (unknown.Outcome == jfrog.HasExpired || l.refreshedByOther(unknown.Held)) {
			return true // a token that expires most likely has none, and another mint's lease has it
		}
		unknown.Outcome, unknown.Err, unknown.Marker, unknown.Until = Unknown, err, l.Marker(), l.state.Until
		l.Report(unknown)
	}
	if ok && (l.revoking || all || !l.state.Listed) {
		l.state.Pending = ""
	}
	return ok
}

// looksUpAgain reports whether revoke still has to look up what may exist, for
// which it may have nothing but the exchanged token.
func (l *Lease) looksUpAgain() bool {
	return l.state.Pending == pendingCreate && l.state.Revoke && !l.revoking
}

// holdsCreated reports whether the lease has the token that it asked for: what
// may exist besides is looked up once more in revoke.
func (l *Lease) holdsCreated() bool {
	return slices.ContainsFunc(l.state.Tokens, func(h Held) bool { return !h.Exchanged })
}

// lookUp returns the tokens that carry the marker and are not held, and the
// bearer that saw them.
func (l *Lease) lookUp(ctx context.Context) ([]jfrog.Listed, secret.String, error) {
	known := map[string]bool{}
	for _, h := range l.state.Tokens {
		if known[h.ID] = true; h.ID == "" && !h.Exchanged {
			return nil, secret.String{}, errNoID
		}
	}
	for _, s := range l.Others {
		for _, h := range s.Tokens {
			known[h.ID] = true
		}
	}
	err := ErrNoCredential
	for _, b := range l.bearers() {
		var found []jfrog.Listed
		part, cancel := wire.Share(ctx, 1+len(l.state.Tokens))
		found, err = l.jfrog.Cleanup().Marked(part, b, l.state.Description, l.Marker())
		cancel()
		if !refusesBearer(err) {
			return slices.DeleteFunc(found, func(t jfrog.Listed) bool { return known[t.ID] }), b, err
		}
	}
	return nil, secret.String{}, err
}
