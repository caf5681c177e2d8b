// Package lease owns a token from before the request that makes
// it to its end. What it promises, whatever the command:
//
//   - Before each request that can make a token, what is needed to find that
//     token is saved. A process that is killed leaves no token, or a state
//     that names it.
//   - A token is masked, then saved, then handed on.
//   - Whatever fails once a token may exist revokes it, or leaves the state
//     with which revoke will.
//   - If the outcome of a request is unknown, the token that may exist is
//     looked up by its marker and revoked, now and once more in revoke. The
//     successor that a refresh may have made carries no marker of its own:
//     revoke revokes the old token, after which there will be none.
//   - A state is dropped only when its token is revoked, gone, expired or not
//     revocable.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// CI is what a lease needs of the CI.
type CI interface {
	// Hide masks secrets in the log from here on. The error says that the log
	// cannot be written to, so that they may not be masked.
	Hide(...secret.String) error
	// Save keeps a state for revoke, in place of the one with the same marker.
	Save(marker string, state []byte) error
	// Drop forgets the state.
	Drop(marker string) error
	// Retract takes back what was handed on.
	Retract() error
}

// Lease is one token from its request to its end, and those that are needed to
// get it.
type Lease struct {
	// Credential looks up and revokes if no token of the lease can; the zero
	// String if there is none.
	Credential secret.String
	// Others are the states of other mints: what they hold is not orphaned.
	Others []State
	// Report receives what became of each token.
	Report func(Event)

	ci       CI
	jfrog    *jfrog.Client
	time     *wire.Budget
	state    State
	lost     int  // requests of this process whose outcome is unknown
	revoking bool // by Revoke, which looks up for the last time
	blind    bool // nobody is left who could look up the successor of a token that is gone
}

// Open begins a lease: it saves an empty state, so that revoke never reads one
// that somebody else wrote, and before anything is sent. credential is the zero
// String if there is no stored token.
func Open(ci CI, c *jfrog.Client, b *wire.Budget, s State, credential secret.String) (*Lease, error) {
	s.WrittenBy, s.Marker = writtenBy, "jt-"+rand.Text()[:16]
	s.Seal = s.seal(credential)
	l := &Lease{ci: ci, jfrog: c, time: b, state: s, Credential: credential}
	return l, ci.Save(s.Marker, s.encode())
}

// Resume takes up the lease that mint saved.
func Resume(ci CI, c *jfrog.Client, s State) *Lease {
	return &Lease{ci: ci, jfrog: c, state: s}
}

// State is what revoke needs to know by now.
func (l *Lease) State() State {
	s := l.state
	s.Tokens = slices.Clone(s.Tokens)
	return s
}

// Marker ends the description of a token, so that it can be told from those of
// all other jobs.
func (l *Lease) Marker() string { return "[" + l.state.Marker + "]" }

// Exchange exchanges an ID token. The token of a lost response cannot be
// looked up: JFrog takes no description with an exchange.
func (l *Lease) Exchange(ids jfrog.IDTokens, r jfrog.ExchangeRequest) (jfrog.Token, error) {
	l.state.Pending = pendingExchange
	if err := l.save(); err != nil {
		return jfrog.Token{}, err
	}
	t, lost, err := l.jfrog.Exchange(l.time.Work, ids, r)
	if l.lost = lost; err != nil {
		if lost == 0 {
			l.state.Pending = ""
		}
		return t, err
	}
	l.state.Pending = ""
	if lost > 0 {
		l.Report(Event{Role: Exchanged, Outcome: Unknown, Lost: lost, Held: held(t)})
	}
	return t, l.hold(t)
}

// Create creates a token with another one, the bearer. If a response was lost,
// it revokes what that attempt may have left.
func (l *Lease) Create(bearer secret.String, r jfrog.CreateRequest) (jfrog.Token, error) {
	lifetime := time.Duration(r.ExpiresIn) * time.Second
	l.state.Pending, l.state.Until = pendingCreate, l.latest(lifetime)
	l.state.Description, l.state.Listed = r.Description, r.ForceRevocable || r.Refreshable || r.IncludeReferenceToken || lifetime >= jfrog.StoredLifetime
	if err := l.save(); err != nil {
		return jfrog.Token{}, err
	}
	t, lost, err := l.jfrog.Create(l.time.Work, bearer, r)
	if l.lost = lost; lost == 0 {
		l.state.Pending = ""
	}
	if err != nil {
		if lost == 0 && len(l.state.Tokens) > 0 { // the exchanged one may be handed on: nothing is to be looked up
			err = errors.Join(err, l.save())
		}
		return jfrog.Token{}, err
	}
	if err := l.hold(t); err != nil || lost == 0 {
		return t, err
	}
	ctx, cancel := l.time.Cleanup()
	defer cancel()
	l.revokeOrphans(ctx, Event{Role: Orphan})
	return t, l.save()
}

// Pair makes a pairing token with another one, the bearer. That of a lost
// response cannot be looked up: JFrog takes no description with it.
func (l *Lease) Pair(bearer secret.String, useCase string) (jfrog.Token, error) {
	l.state.Pending, l.state.Until = pendingPairing, l.latest(jfrog.PairingLifetime)
	if err := l.save(); err != nil {
		return jfrog.Token{}, err
	}
	t, lost, err := l.jfrog.Pair(l.time.Work, bearer, useCase)
	if l.lost = lost; err == nil || lost == 0 {
		l.state.Pending = ""
	}
	if err != nil {
		return t, err
	}
	if lost > 0 {
		l.Report(Event{Role: Pairing, Outcome: Unknown, Lost: lost})
	}
	return t, l.hold(t)
}

// Refresh replaces the pair of an access token and its refresh token. Until the
// outcome is known, the lease holds the old token.
func (l *Lease) Refresh(access secret.String, r jfrog.RefreshRequest) (jfrog.Token, error) {
	old := jfrog.Peek(access)
	old.Refresh = r.Refresh
	if err := l.ci.Hide(old.Hidden()...); err != nil {
		return jfrog.Token{}, err
	}
	l.state.Refreshed, l.state.Replaces, l.state.Pending, l.state.Tokens = true, old.ID, pendingRefresh, []Held{replaced(old)}
	if old.Lifetime > 0 {
		l.state.Until = l.latest(old.Lifetime)
	}
	if err := l.save(); err != nil {
		l.state.Pending, l.state.Tokens = "", nil
		return jfrog.Token{}, err
	}
	t, lost, err := l.jfrog.Refresh(l.time.Work, access, r)
	if err == nil || lost == 0 { // it is gone, or nobody touched it
		l.state.Pending, l.state.Tokens = "", nil
	}
	if err != nil {
		return jfrog.Token{}, err
	}
	return t, l.hold(t)
}

// latest is when a token that has yet to be requested is over at the latest.
func (l *Lease) latest(lifetime time.Duration) time.Time {
	until, _ := l.time.Work.Deadline()
	return until.Add(lifetime).UTC().Truncate(time.Second)
}

// hold masks a token and saves it: from here on, revoke ends it whatever
// happens to this process.
func (l *Lease) hold(t jfrog.Token) error {
	l.state.Tokens = append(l.state.Tokens, held(t))
	return errors.Join(l.ci.Hide(t.Hidden()...), l.save())
}

// HandOn hands the last token to the job.
func (l *Lease) HandOn(give func() error) error {
	if err := l.time.Interrupted(); err != nil {
		return err
	}
	if err := give(); err != nil {
		return err
	}
	l.state.Tokens[len(l.state.Tokens)-1].HandedOn = true
	if l.state.Revoke {
		return nil
	}
	return l.save()
}

// Discard revokes the exchanged token once the job has another one, unless that
// one will need it: a token for Artifactory alone cannot revoke itself.
func (l *Lease) Discard(created jfrog.Token) error {
	if created.ReachesAccess() || !l.state.Revoke {
		ctx, cancel := l.time.Discard()
		defer cancel()
		if l.revoke(ctx, 0) {
			l.state.Tokens = l.state.Tokens[1:]
			if err := l.save(); err != nil {
				return err
			}
		}
	}
	return l.time.Interrupted()
}

// TakeBack ends a lease whose token the job does not get.
func (l *Lease) TakeBack() {
	ctx, cancel := l.time.Cleanup()
	defer cancel()
	if err := l.ci.Retract(); err != nil {
		l.Report(Event{Err: err})
	}
	for i := range l.state.Tokens {
		l.state.Tokens[i].HandedOn = false
	}
	l.end(ctx)
}

// Revoke ends what mint saved, and reports whether nothing failed.
func (l *Lease) Revoke(ctx context.Context) bool {
	l.revoking = true
	for _, h := range l.state.Tokens {
		// A runner that forgets masks between two steps is not worth the risk.
		_ = l.ci.Hide(h.Token.String)
	}
	return l.end(ctx)
}

// save keeps the state, or drops it once nothing is left to do.
func (l *Lease) save() error {
	if l.state.settled() {
		return l.ci.Drop(l.state.Marker)
	}
	return l.ci.Save(l.state.Marker, l.state.encode())
}
