package lease

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// What mint saved, revoke ends, in each way that a token can end.
func TestRevoke(t *testing.T) {
	t.Parallel()
	refusal := func(status int, message string) *jfrogtest.Fault {
		return &jfrogtest.Fault{On: "revoke", Status: status, Body: `{"errors":[{"code":"C","message":"` + message + `"}]}`}
	}
	for _, c := range []struct {
		name   string
		edit   func(*jfrog.CreateRequest)
		fault  *jfrogtest.Fault
		spoil  func(*State)
		ok     bool
		told   string
		state  bool
		number int // of requests
	}{
		{"revoked", nil, nil, nil, true, "job revoked", false, 1},
		{"already gone", nil, &jfrogtest.Fault{On: "revoke", Status: 204}, nil, true, "job already gone", false, 1},
		{"not found", nil, refusal(404, "Token not found"), nil, true, "job already gone", false, 1},
		{"not revocable", func(r *jfrog.CreateRequest) { r.ForceRevocable = false }, nil, nil, true, "job not revocable", false, 1},
		{"revoked by somebody else", nil, refusal(401, "Token failed verification: revoked"), nil, true, "job already gone", false, 1},
		{"expired by JFrog's clock", nil, refusal(401, "Invalid token, expired"), nil, true, "job expired", false, 1},
		// With a request it would be a 401, and could not be told from a token
		// of another platform.
		{"expired", nil, nil, func(s *State) { s.Tokens[0].Expires = time.Now().Add(-time.Minute) }, true, "job expired", false, 0},
		{"expires this very moment", nil, nil, func(s *State) { s.Tokens[0].Expires = time.Now() }, true, "job expired", false, 0},
		{"never expires", nil, nil, func(s *State) { s.Tokens[0].Expires = time.Time{} }, true, "job revoked", false, 1},
		{"refused", nil, refusal(403, "Forbidden"), nil, false, "job failed", true, 1},
		{"a page", nil, &jfrogtest.Fault{On: "revoke", Kind: "html"}, nil, false, "job failed", true, 1},
		{"a redirect", nil, &jfrogtest.Fault{On: "revoke", Kind: "redirect"}, nil, false, "job failed", true, 1},
		{"no secret was saved", nil, nil, func(s *State) { s.Tokens[0].Token = written{} }, false, "job failed", true, 0},
		{"no id", nil, nil, func(s *State) { s.Tokens[0].ID = "" }, true, "job revoked", false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jfrogtest.Config{})
			l := w.open(t.Context(), State{Revoke: true}, true)
			w.create(l, c.edit)
			if err := l.HandOn(nothing); err != nil {
				t.Fatal(err)
			}
			before := len(w.Requests())
			if c.fault != nil {
				w.SetFaults([]jfrogtest.Fault{*c.fault})
			}
			s := w.ci.saved()
			if c.spoil != nil {
				c.spoil(&s)
				w.ci.state = s.encode()
			}
			if got := w.revoke(""); got != c.ok {
				t.Errorf("expected %t to be %t", got, c.ok)
			}
			w.must("told", w.told(), []string{c.told})
			if got := len(w.Requests()) - before; got != c.number {
				t.Errorf("expected %d requests to be %d", got, c.number)
			}
			if (w.ci.state != nil) != c.state {
				t.Errorf("expected %s to be %t", w.ci.state, c.state)
			}
			if e := w.events[0]; (e.Err != nil) != (e.Outcome == jfrog.FailedRevoke) {
				t.Errorf("expected %v to go with %q alone", e.Err, jfrog.FailedRevoke)
			}
		})
	}
}

// Each token is masked again before anything is sent: a runner may forget masks
// between two steps.
func TestRevokeMasksFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jfrogtest.Config{})
	l := w.open(t.Context(), State{Revoke: true}, true)
	w.create(l, nil)
	w.ci.done, w.ci.hidden = nil, map[string]bool{}
	if !w.revoke("") {
		t.Fatal("expected it to be revoked")
	}
	w.must("calls", w.ci.calls(), []string{"hide", "revoke", "drop"})
}

// A token whose audience leaves Access out cannot revoke itself: whoever made
// it does.
func TestTokenWithoutAccessIsRevokedByItsCreator(t *testing.T) {
	t.Parallel()
	t.Run("the exchanged token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{Providers: []jfrogtest.Provider{{Name: "github", Mappings: []jfrogtest.Mapping{{
			Name: "ci", TokenSpec: jfrogtest.TokenSpec{Username: "ci-bot", Scope: "applied-permissions/user", ExpiresIn: 600, SelfRevocable: true},
		}}}}})
		l := w.open(t.Context(), State{Revoke: true}, false)
		r := request(l)
		audience(&r)
		created, err := l.Create(w.exchange(l).Access, r)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.HandOn(nothing), l.Discard(created)); err != nil {
			t.Fatal(err)
		}
		if !w.revoke("") || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		// The job's own first: the exchanged one has to do it.
		w.must("told", w.told(), []string{"job revoked", "exchanged revoked"})
		w.must("alive", w.alive(), []string{})
	})
	t.Run("the stored token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, true)
		w.create(l, audience)
		if err := l.HandOn(nothing); err != nil {
			t.Fatal(err)
		}
		if !w.revoke(w.Stored(0)) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"job revoked"})
		w.must("alive", w.alive(), []string{})
	})
	t.Run("a token without an id is nobody else's to revoke", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, true)
		w.create(l, audience)
		s := w.ci.saved()
		s.Tokens[0].ID = ""
		w.ci.state = s.encode()
		if w.revoke(w.Stored(0)) {
			t.Error("expected it to fail")
		}
		w.must("told", w.told(), []string{"job failed"})
		for _, r := range w.Requests() {
			if strings.HasSuffix(r.Path, "/tokens/") || strings.HasSuffix(r.Path, "/me") && r.Header.Get("Authorization") == "Bearer "+w.Stored(0) {
				t.Errorf("expected %s %s not to be sent", r.Method, r.Path)
			}
		}
	})
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, false)
		w.create(l, audience)
		if w.revoke("") || w.ci.state == nil {
			t.Error("expected it to fail, and the state to stay")
		}
		w.must("told", w.told(), []string{"job failed"})
		if jfrog.KindOf(w.events[0].Err) != jfrog.Forbidden {
			t.Errorf("expected %v to be JFrog's refusal", w.events[0].Err)
		}
	})
	// Somebody else's trouble is no reason to try another bearer.
	t.Run("an outage", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, true)
		w.create(l, nil)
		w.SetFaults([]jfrogtest.Fault{{On: "revoke", Status: 501}})
		before := len(w.Requests())
		if w.revoke(w.Stored(0)) || len(w.Requests()) != before+1 {
			t.Errorf("expected %d requests to be %d", len(w.Requests())-before, 1)
		}
	})
}

// Whoever used the refresh token has a successor, which JFrog's CLI makes by
// itself: it carries the marker, and ends as well.
func TestSuccessorOfARefreshableToken(t *testing.T) {
	t.Parallel()
	refreshable := func(r *jfrog.CreateRequest) { r.Refreshable = true }
	minted := func(t *testing.T) (*world, jfrog.Token) {
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, true)
		token := w.create(l, refreshable)
		if err := l.HandOn(nothing); err != nil {
			t.Fatal(err)
		}
		return w, token
	}
	t.Run("was not refreshed", func(t *testing.T) {
		t.Parallel()
		w, _ := minted(t)
		if !w.revoke(w.Stored(0)) {
			t.Error("expected it to be revoked")
		}
		w.must("told", w.told(), []string{"job revoked"})
	})
	t.Run("was refreshed twice", func(t *testing.T) {
		t.Parallel()
		w, token := minted(t)
		w.refresh(token)
		if !w.revoke(w.Stored(0)) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"job already gone", "orphan revoked"})
		w.must("alive", w.alive(), []string{})
	})
	t.Run("is gone without a successor", func(t *testing.T) {
		t.Parallel()
		w, _ := minted(t)
		w.SetFaults([]jfrogtest.Fault{{On: "revoke", Status: 204}, {On: "list", Kind: "body", Body: `{"tokens":[]}`}})
		if !w.revoke(w.Stored(0)) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"job already gone"})
	})
	t.Run("nobody can look it up", func(t *testing.T) {
		t.Parallel()
		w, token := minted(t)
		w.refresh(token)
		if !w.revoke("") { // the token itself is gone
			t.Error("expected it not to fail")
		}
		w.must("told", w.told(), []string{"job already gone", "successor unknown"})
		e := w.events[1]
		if "["+w.ci.saved().Marker+"]" != e.Marker || e.Err == nil || time.Until(e.Until) < 9*time.Minute || time.Until(e.Until) > 10*time.Minute {
			t.Errorf("expected %+v to say how it is found, and when it is over", e)
		}
	})
	// A job that outlives its token is why tokens are refreshed.
	for credential, want := range map[string][]string{"stored": {"job expired", "orphan revoked"}, "dead": {"job expired"}, "none": {"job expired"}} {
		t.Run("has expired since, and the credential is "+credential, func(t *testing.T) {
			t.Parallel()
			w, token := minted(t)
			w.refresh(token)
			s := w.ci.saved()
			s.Tokens[0].Expires = time.Now().Add(-time.Minute)
			w.ci.state = s.encode()
			if !w.revoke(map[string]string{"stored": w.Stored(0), "dead": token.Access.Reveal()}[credential]) || w.ci.state != nil {
				t.Errorf("expected %s to be dropped", w.ci.state)
			}
			w.must("told", w.told(), want)
		})
	}
	// What failed stays for the next revoke.
	t.Run("cannot be revoked", func(t *testing.T) {
		t.Parallel()
		w, token := minted(t)
		w.refresh(token)
		w.SetFaults([]jfrogtest.Fault{{On: "revoke", Skip: 1, Status: 403, Body: `{"errors":[{"code":"C","message":"x"}]}`}})
		if w.revoke(w.Stored(0)) {
			t.Error("expected it to fail")
		}
		w.must("told", w.told(), []string{"job already gone", "orphan failed"})
		w.events = nil
		w.SetFaults(nil)
		if !w.revoke(w.Stored(0)) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"orphan revoked"})
		w.must("alive", w.alive(), []string{})
	})
}

// killed makes a lease up to the moment at which JFrog has stored the token and
// the process is killed: nothing that it does later counts.
func killed(t *testing.T, w *world, create func(l *Lease)) {
	t.Helper()
	l := w.open(t.Context(), State{Revoke: true}, true)
	var state []byte
	w.SetHook(func(point string) {
		if point == "create:stored" && state == nil {
			state = w.ci.saved().encode()
		}
	})
	create(l)
	w.ci.state, w.events = state, nil
	w.SetHook(nil)
}

// A process that was killed with the request under way leaves a state that
// names the token. With a credential it is found and revoked; without, its
// marker is said. A sibling's is left alone.
func TestPendingCreate(t *testing.T) {
	t.Parallel()
	const sibling = "GitHub acme/app run 7 [jt-AAAAAAAAAAAAAAAA]"
	world := func(t *testing.T) *world {
		w := newWorld(t, jfrogtest.Config{})
		w.create(w.open(t.Context(), State{Revoke: true}, true), func(r *jfrog.CreateRequest) { r.Description = sibling })
		killed(t, w, func(l *Lease) { w.create(l, nil) })
		if len(w.alive()) != 2 {
			t.Fatalf("expected %q to be two", w.alive())
		}
		return w
	}
	t.Run("with a credential", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		if !w.revoke(w.Stored(0)) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"orphan revoked"})
		w.must("alive", w.alive(), []string{sibling})
	})
	t.Run("without one", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		marker, until := "["+w.ci.saved().Marker+"]", w.ci.saved().Until
		if w.revoke("") {
			t.Error("expected it to fail")
		}
		w.must("told", w.told(), []string{"orphan unknown"})
		if e := w.events[0]; e.Marker != marker || !e.Until.Equal(until) || e.Err == nil {
			t.Errorf("expected %+v to have %s and %s", e, marker, until)
		}
		w.events = nil
		if !w.revoke(w.Stored(0)) || w.ci.state != nil { // the next one has it
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"orphan revoked"})
	})
	t.Run("with one that is not accepted", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		if w.revoke("nobody's") || w.ci.state == nil {
			t.Error("expected it to fail, and the state to stay")
		}
		w.must("told", w.told(), []string{"orphan unknown"})
		if jfrog.KindOf(w.events[0].Err) != jfrog.Unauthenticated {
			t.Errorf("expected %v to be JFrog's refusal", w.events[0].Err)
		}
	})
	t.Run("with one that may not revoke it", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		w.SetFaults([]jfrogtest.Fault{{On: "revoke", Status: 403, Body: `{"errors":[{"code":"C","message":"x"}]}`}})
		if w.revoke(w.Stored(0)) || w.ci.state == nil {
			t.Error("expected it to fail, and the state to stay")
		}
		w.must("told", w.told(), []string{"orphan failed"})
	})
	t.Run("there was none", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		w.SetFaults([]jfrogtest.Fault{{On: "list", Kind: "body", Body: `{"tokens":[]}`}})
		if !w.revoke(w.Stored(0)) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{})
	})
	t.Run("JFrog does not list it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		killed(t, w, func(l *Lease) { w.create(l, func(r *jfrog.CreateRequest) { r.ForceRevocable = false }) })
		if !w.revoke(w.Stored(0)) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"orphan unknown"})
		if w.events[0].Err != errUnlisted {
			t.Errorf("expected %v to be %v", w.events[0].Err, errUnlisted)
		}
	})
	t.Run("with the exchanged token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		killed(t, w, func(l *Lease) {
			if _, err := l.Create(w.exchange(l).Access, request(l)); err != nil {
				t.Fatal(err)
			}
		})
		if !w.revoke("") || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"orphan revoked", "exchanged not revocable"})
		w.must("alive", w.alive(), []string{"exchanged"})
	})
	t.Run("exchange", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		w.open(t.Context(), State{Revoke: true}, false)
		s := w.ci.saved()
		s.Pending = pendingExchange
		w.ci.state = s.encode()
		if !w.revoke("") || w.ci.state != nil { // JFrog takes no description with it: nothing can be done
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"exchanged unknown"})
		if w.events[0].Lost != 1 {
			t.Errorf("expected %d to be %d", w.events[0].Lost, 1)
		}
	})
}

// A response that was lost may have left a token: it is looked up and revoked
// at once, while the next attempt's token goes to the job.
func TestLostResponse(t *testing.T) {
	t.Parallel()
	t.Run("and the next attempt succeeds", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, true)
		w.SetFaults([]jfrogtest.Fault{{On: "create", Times: 2, After: true, Kind: "close"}})
		token := w.create(l, nil)
		w.must("told", w.told(), []string{"orphan revoked", "orphan revoked"})
		if alive := w.Alive(); len(alive) != 1 || alive[0].ID != token.ID {
			t.Errorf("expected %v to be the job's", alive)
		}
		if s := w.ci.saved(); s.Pending != "" || len(s.Tokens) != 1 {
			t.Errorf("expected %+v to have nothing to look up", s)
		}
	})
	t.Run("and JFrog lists it later", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, true)
		w.SetFaults([]jfrogtest.Fault{{On: "create", Times: 1, After: true, Kind: "close"}, {On: "list", Times: 1, Kind: "body", Body: `{"tokens":[]}`}})
		w.create(l, nil)
		w.must("told", w.told(), []string{}) // revoke looks it up once more
		if err := l.HandOn(nothing); err != nil || w.ci.saved().Pending != pendingCreate {
			t.Errorf("expected %+v, %v to be looked up once more", w.ci.saved(), err)
		}
		if !w.revoke(w.Stored(0)) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"orphan revoked", "job revoked"})
		w.must("alive", w.alive(), []string{})
	})
	t.Run("and there is no other attempt", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		w.client = w.newClient(1)
		l := w.open(t.Context(), State{Revoke: true}, true)
		w.SetFaults([]jfrogtest.Fault{{On: "create", After: true, Status: 502}})
		if _, err := l.Create(secret.New(w.Stored(0)), request(l)); err == nil {
			t.Fatal("expected an error")
		}
		l.TakeBack()
		w.must("told", w.told(), []string{"orphan revoked"})
		w.must("alive", w.alive(), []string{})
		if w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
	})
	// The exchanged token is kept until the outcome is known: nobody else could
	// look it up.
	t.Run("and revoke has the exchanged token alone", func(t *testing.T) {
		t.Parallel()
		for _, self := range []bool{true, false} {
			w := newWorld(t, jfrogtest.Config{Providers: []jfrogtest.Provider{{Name: "github", Mappings: []jfrogtest.Mapping{{
				Name: "ci", TokenSpec: jfrogtest.TokenSpec{Username: "ci-bot", Scope: "applied-permissions/user", ExpiresIn: 600, SelfRevocable: self},
			}}}}})
			w.client = w.newClient(1)
			l := w.open(t.Context(), State{Revoke: true}, false)
			bearer := w.exchange(l).Access
			w.SetFaults([]jfrogtest.Fault{{On: "create", After: true, Kind: "reset"}, {On: "list", Times: 1, Kind: "body", Body: `{"tokens":[]}`}})
			if _, err := l.Create(bearer, request(l)); err == nil {
				t.Fatal("expected an error")
			}
			l.TakeBack()
			w.must("told", w.told(), []string{"orphan unknown", "exchanged kept"})
			if w.events[0].Err != errNotYet || len(w.ci.saved().Tokens) != 1 {
				t.Errorf("expected %v, %+v to be %v, with the exchanged token", w.events[0].Err, w.ci.saved(), errNotYet)
			}
			w.events = nil
			if !w.revoke("") || w.ci.state != nil {
				t.Errorf("expected %s to be dropped", w.ci.state)
			}
			last := map[bool]string{true: "exchanged revoked", false: "exchanged not revocable"}[self]
			w.must("told", w.told(), []string{"orphan revoked", last})
		}
	})
	t.Run("under revoke: false nobody has it later", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		w.client = w.newClient(1)
		l := w.open(t.Context(), State{}, false)
		bearer := w.exchange(l).Access
		w.SetFaults([]jfrogtest.Fault{{On: "create", After: true, Kind: "reset"}, {On: "list", Kind: "body", Body: `{"tokens":[]}`}})
		if _, err := l.Create(bearer, request(l)); err == nil {
			t.Fatal("expected an error")
		}
		l.TakeBack()
		w.must("told", w.told(), []string{"orphan unknown", "exchanged not revocable"})
	})
	t.Run("and JFrog gave no id to tell them apart", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, true)
		w.SetFaults([]jfrogtest.Fault{
			{On: "create", Times: 1, After: true, Kind: "close"},
			{On: "create", Kind: "edit", Set: map[string]any{"access_token": "opaque-opaque-opaque"}, Drop: []string{"token_id"}},
		})
		w.create(l, nil)
		w.must("told", w.told(), []string{"orphan unknown"})
		if w.events[0].Err != errNoID || len(w.alive()) != 2 {
			t.Errorf("expected %v, %q to be %v, and none revoked", w.events[0].Err, w.alive(), errNoID)
		}
	})
	t.Run("of an exchange", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, false)
		w.SetFaults([]jfrogtest.Fault{{On: "exchange", Times: 2, After: true, Kind: "close"}})
		token := w.exchange(l)
		w.must("told", w.told(), []string{"exchanged unknown"})
		if e := w.events[0]; e.Lost != 2 || e.Lifetime != token.Lifetime {
			t.Errorf("expected %+v to be two that live for %s", e, token.Lifetime)
		}
		if s := w.ci.saved(); s.Pending != "" || len(s.Tokens) != 1 {
			t.Errorf("expected %+v to have one token, and nothing to look up", s)
		}
	})
	t.Run("that was known", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, true)
		if _, err := l.Create(secret.New("nobody's"), request(l)); jfrog.KindOf(err) != jfrog.Unauthenticated {
			t.Fatalf("expected %v to be JFrog's refusal", err)
		}
		l.TakeBack()
		w.must("calls", w.ci.calls(), []string{"save", "save create", "create", "retract", "drop"})
	})
}

// A signal in the middle of the request: its token is received within Grace,
// and revoked.
func TestSignalWithinTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jfrogtest.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	l := w.open(ctx, State{Revoke: true}, true)
	w.SetHook(func(point string) {
		if point == "create:stored" {
			cancel()
			time.Sleep(100 * time.Millisecond)
		}
	})
	if _, err := l.Create(secret.New(w.Stored(0)), request(l)); err != nil {
		t.Fatal(err)
	}
	if err := l.HandOn(nothing); err == nil {
		t.Error("expected a token not to be handed on after a signal")
	}
	l.TakeBack()
	w.must("told", w.told(), []string{"job revoked"})
	w.must("alive", w.alive(), []string{})
}

// A state that cannot be dropped is reported: revoke would come back to it.
func TestStateThatCannotBeDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jfrogtest.Config{})
	w.create(w.open(t.Context(), State{Revoke: true}, true), nil)
	w.ci.dropErr = errors.New("remove state: why")
	if w.revoke("") {
		t.Error("expected it to fail")
	}
	w.must("told", w.told(), []string{"job revoked", "job "})
}
