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

// pair is the index of a stored token of an hour that has a refresh token.
const pair = 2

func newPair(t *testing.T) *world {
	t.Helper()
	return newWorld(t, jfrogtest.Config{Tokens: []jfrogtest.StoredToken{{User: "ci-bot", ExpiresIn: 3600, Refreshable: true, ForceRevocable: true}}})
}

// renew refreshes the pair as mint does.
func (w *world) renew(l *Lease) (jfrog.Token, error) {
	return l.Refresh(secret.New(w.Stored(pair)), jfrog.RefreshRequest{Refresh: secret.New(w.StoredRefresh(pair))})
}

// works reports whether the platform accepts a token.
func (w *world) works(token string) bool {
	w.Helper()
	_, err := w.client.Cleanup().Marked(w.Context(), secret.New(token), "", "[none]")
	return err == nil
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	l := w.open(t.Context(), State{Revoke: true}, false)
	var at State
	w.SetHook(func(point string) {
		if op, ok := strings.CutSuffix(point, ":received"); ok {
			w.ci.note(op)
		}
		if point == "refresh:received" {
			at = w.ci.saved()
		}
	})
	began := time.Now()
	token, err := w.renew(l)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.HandOn(func() error { w.ci.note("give"); return nil }); err != nil {
		t.Fatal(err)
	}
	w.must("calls", w.ci.calls(), []string{"save", "hide", "save refresh replaced", "refresh", "hide", "save created", "give"})
	// The intent says all that is known of the old token, and when the new one is
	// over.
	old := jfrog.Peek(secret.New(w.Stored(pair)))
	if len(at.Tokens) != 1 || at.Tokens[0].ID != old.ID || at.Replaces != old.ID || !at.Refreshed || at.Tokens[0].Token.Reveal() != w.Stored(pair) {
		t.Errorf("expected %+v to name the old token", at)
	}
	if want := began.Add(time.Hour + 10*time.Second); at.Until.Before(want.Add(-2*time.Second)) || at.Until.After(want.Add(2*time.Second)) {
		t.Errorf("expected %s to be %s", at.Until, want)
	}
	for _, s := range []string{w.Stored(pair), w.StoredRefresh(pair), token.Access.Reveal(), token.Refresh.Reveal()} {
		if !w.ci.hidden[s] || !w.ci.hidden[secret.New(s).Basic("ci-bot")[0].Reveal()] {
			t.Errorf("expected %d bytes to be masked, and with the user name", len(s))
		}
	}
	if w.works(w.Stored(pair)) || !w.works(token.Access.Reveal()) {
		t.Error("expected the new token to work, and the old one not to")
	}
	if !w.revoke("") || w.ci.state != nil {
		t.Errorf("expected %s to be dropped", w.ci.state)
	}
	w.must("told", w.told(), []string{"job revoked"})
	w.must("alive", w.alive(), []string{})
}

// A refresh that was sent is sent once, whatever became of it. If nobody can
// know, mint leaves the old token alone, and revoke ends it: if it could, there
// is no successor.
func TestRefreshOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		fault   jfrogtest.Fault
		unknown bool
		done    bool // JFrog has the new token
	}{
		{"not done, and cut", jfrogtest.Fault{Kind: "close"}, true, false},
		{"done, and cut", jfrogtest.Fault{Kind: "close", After: true}, true, true},
		{"done, and half a response", jfrogtest.Fault{Kind: "truncate"}, true, true},
		{"503 of JFrog", jfrogtest.Fault{Status: 503, Body: `{"errors":[{"code":"C","message":"x"}]}`}, true, false},
		{"429 of JFrog", jfrogtest.Fault{Status: 429, Body: `{"errors":[{"code":"C","message":"x"}]}`}, true, false},
		{"done, and 500", jfrogtest.Fault{Status: 500, After: true}, true, true},
		{"a page", jfrogtest.Fault{Kind: "html", Status: 403}, true, false},
		{"a response without a token", jfrogtest.Fault{Kind: "edit", Drop: []string{"access_token"}, After: true}, true, true},
		{"refused", jfrogtest.Fault{Status: 404, Body: `{"errors":[{"code":"C","message":"x"}]}`}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newPair(t)
			c.fault.On = "refresh"
			w.SetFaults([]jfrogtest.Fault{c.fault})
			l := w.open(t.Context(), State{Revoke: true}, false)
			if _, err := w.renew(l); err == nil {
				t.Fatal("expected it to fail")
			}
			if n := len(w.Requests()); n != 1 {
				t.Errorf("expected %d requests to be %d", n, 1)
			}
			l.TakeBack()
			if w.works(w.Stored(pair)) == c.done {
				t.Error("expected mint to leave the old token alone")
			}
			if !c.unknown {
				w.must("told", w.told(), []string{})
				if w.ci.state != nil {
					t.Errorf("expected %s to be dropped", w.ci.state)
				}
				return
			}
			w.must("told", w.told(), []string{"replaced unknown"})
			w.events = nil
			w.SetFaults(nil)
			if !w.revoke("") || w.ci.state != nil {
				t.Errorf("expected %s to be dropped", w.ci.state)
			}
			if w.works(w.Stored(pair)) {
				t.Error("expected the old token to be revoked")
			}
			want := []string{"replaced revoked"}
			if c.done {
				want = []string{"replaced already gone", "replaced unknown"}
			}
			w.must("told", w.told(), want)
		})
	}
}

// What cannot be sent uses up nothing, and is tried again.
func TestRefreshThatIsNotSent(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	l := w.open(t.Context(), State{Revoke: true}, false)
	ctx, cancel := context.WithCancelCause(t.Context())
	l.time.Work = ctx
	why := errors.New("interrupted by SIGTERM")
	cancel(why)
	if _, err := w.renew(l); !errors.Is(err, why) {
		t.Errorf("expected %v to be %v", err, why)
	}
	l.TakeBack()
	w.must("told", w.told(), []string{})
	if w.ci.state != nil || len(w.Requests()) != 0 || !w.works(w.Stored(pair)) {
		t.Errorf("expected %s, %d requests to be nothing", w.ci.state, len(w.Requests()))
	}
}

// Nothing is sent if it cannot be saved that it is; nothing is to be said then.
func TestRefreshIsNotSentUnsaved(t *testing.T) {
	t.Parallel()
	for _, spoil := range []func(*fakeCI, error){
		func(ci *fakeCI, err error) { ci.hideErr = err }, func(ci *fakeCI, err error) { ci.saveErr = err },
	} {
		w := newPair(t)
		l := w.open(t.Context(), State{Revoke: true}, false)
		why := errors.New("no space left on device")
		spoil(w.ci, why)
		if _, err := w.renew(l); err != why || len(w.Requests()) != 0 {
			t.Errorf("expected %v, %d requests to be %v", err, len(w.Requests()), why)
		}
		l.TakeBack()
		w.must("told", w.told(), []string{})
	}
}

// Under revoke: false the old token is not ours to end, nor to save.
func TestRefreshThatNobodyRevokes(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{true, false} {
		w := newPair(t)
		w.SetFaults([]jfrogtest.Fault{{On: "refresh", Kind: "close"}})
		l := w.open(t.Context(), State{}, false)
		if _, err := w.renew(l); err == nil {
			t.Fatal("expected it to fail")
		}
		if taken {
			l.TakeBack()
		} else { // mint was killed
			w.SetFaults(nil)
			w.revoke(w.Stored(pair))
		}
		w.must("told", w.told(), []string{"replaced unknown"})
		if w.ci.state != nil || !w.works(w.Stored(pair)) {
			t.Errorf("expected %s to be dropped, and the old token to work", w.ci.state)
		}
		for _, state := range w.ci.states {
			if strings.Contains(string(state), w.Stored(pair)) || strings.Contains(string(state), w.StoredRefresh(pair)) {
				t.Errorf("expected %s to be without a secret", state)
			}
		}
	}
}

// In each way that the old token can end.
func TestRevokeOfAReplacedToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(*State)
		fault *jfrogtest.Fault
		ok    bool
		told  []string
	}{
		{"revoked", nil, nil, true, []string{"replaced revoked"}},
		{"gone with 404", nil, &jfrogtest.Fault{On: "revoke", Status: 404, Body: `{"errors":[{"code":"C","message":"x"}]}`}, true,
			[]string{"replaced already gone", "replaced unknown"}},
		{"not revocable", nil, &jfrogtest.Fault{On: "revoke", Status: 400, Body: `{"errors":[{"code":"C","message":"Token not revocable"}]}`}, true,
			[]string{"replaced not revocable", "replaced unknown"}},
		{"expired", func(s *State) { s.Tokens[0].Expires = time.Now().Add(-time.Minute) }, nil, true, []string{"replaced expired", "replaced unknown"}},
		{"expired, and so is whatever replaced it", func(s *State) {
			s.Tokens[0].Expires, s.Until = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		}, nil, true, []string{"replaced expired"}},
		// A reference token says nothing of itself.
		{"nothing is known of it", func(s *State) { s.Tokens[0].ID, s.Tokens[0].Expires, s.Until = "", time.Time{}, time.Time{} }, nil, true, []string{"replaced revoked"}},
		{"failed", nil, &jfrogtest.Fault{On: "revoke", Status: 403, Body: `{"errors":[{"code":"C","message":"x"}]}`}, false, []string{"replaced failed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newPair(t)
			w.SetFaults([]jfrogtest.Fault{{On: "refresh", Kind: "close"}})
			if _, err := w.renew(w.open(t.Context(), State{Revoke: true}, false)); err == nil {
				t.Fatal("expected it to fail")
			}
			s := w.ci.saved()
			if c.spoil != nil {
				c.spoil(&s)
				w.ci.state = s.encode()
			}
			w.SetFaults(nil)
			if c.fault != nil {
				w.SetFaults([]jfrogtest.Fault{*c.fault})
			}
			if got := w.revoke(""); got != c.ok || got == (w.ci.state != nil) {
				t.Errorf("expected %t, %s to be %t", got, w.ci.state, c.ok)
			}
			w.must("told", w.told(), c.told)
		})
	}
}

// The state of a token that was refreshed once more, and that of the first.
func TestSuccessors(t *testing.T) {
	t.Parallel()
	// one is the state of a mint, two that of the mint which refreshed its pair.
	start := func(t *testing.T) (w *world, one, two State, second jfrog.Token) {
		w = newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: true}, true)
		token := w.create(l, func(r *jfrog.CreateRequest) { r.Refreshable = true })
		one = w.ci.saved()
		l = w.open(t.Context(), State{Revoke: true}, false)
		second, err := l.Refresh(token.Access, jfrog.RefreshRequest{Refresh: token.Refresh})
		if err != nil {
			t.Fatal(err)
		}
		return w, one, w.ci.saved(), second
	}
	end := func(w *world, s State, credential string, others ...State) bool {
		w.ci.state = s.encode()
		l := Resume(w.ci, w.newClient(1), s)
		l.Report, l.Credential, l.Others = w.report, secret.New(credential), others
		ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
		defer cancel()
		return l.Revoke(ctx)
	}
	t.Run("the second ends first", func(t *testing.T) {
		t.Parallel()
		w, one, two, _ := start(t)
		if !end(w, two, "") || !end(w, one, w.Stored(0)) {
			t.Error("expected both to end")
		}
		w.must("told", w.told(), []string{"job revoked", "job already gone"})
	})
	t.Run("the second goes on", func(t *testing.T) {
		t.Parallel()
		w, one, two, _ := start(t)
		if !end(w, one, w.Stored(0), two) || len(w.alive()) != 1 {
			t.Errorf("expected %q to be one", w.alive())
		}
		w.must("told", w.told(), []string{"job already gone"})
	})
	t.Run("the second goes on, and nobody can look it up", func(t *testing.T) {
		t.Parallel()
		w, one, two, _ := start(t)
		if !end(w, one, "", two) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"job already gone"})
	})
	// A shell that has read the env file has it as its credential.
	t.Run("the second ends first, and is the credential", func(t *testing.T) {
		t.Parallel()
		w, one, two, second := start(t)
		if !end(w, two, "") || !end(w, one, second.Access.Reveal(), two) || w.ci.state != nil {
			t.Errorf("expected %s to be dropped", w.ci.state)
		}
		w.must("told", w.told(), []string{"job revoked", "job already gone"})
	})
	t.Run("there is a third", func(t *testing.T) {
		t.Parallel()
		w, one, two, second := start(t)
		l := w.open(t.Context(), State{Revoke: true}, false)
		if _, err := l.Refresh(second.Access, jfrog.RefreshRequest{Refresh: second.Refresh}); err != nil {
			t.Fatal(err)
		}
		three := w.ci.saved()
		if !end(w, three, "", two, one) || !end(w, two, "", three, one) || !end(w, one, "", three, two) {
			t.Error("expected all to end")
		}
		w.must("told", w.told(), []string{"job revoked", "job already gone", "job already gone"})
		w.must("alive", w.alive(), []string{})
	})
	// Its marker is another mint's: only that one can look it up.
	t.Run("the second was refreshed by somebody else", func(t *testing.T) {
		t.Parallel()
		w, one, two, second := start(t)
		w.refresh(second)
		if !end(w, two, "") || !end(w, one, w.Stored(0)) {
			t.Error("expected both to end")
		}
		w.must("told", w.told(), []string{"job already gone", "successor unknown", "job already gone", "orphan revoked"})
		w.must("alive", w.alive(), []string{})
	})
}

// A state with a refresh in it is over when its successor is.
func TestRefreshIsOver(t *testing.T) {
	t.Parallel()
	past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Minute)
	for _, c := range []struct {
		expires, until time.Time
		want           bool
	}{{past, past, true}, {past, future, false}, {future, past, false}, {past, time.Time{}, false}} {
		s := State{Pending: pendingRefresh, Until: c.until, Tokens: []Held{{Expires: c.expires, Replaced: true}}}
		if got := s.Over(); got != c.want {
			t.Errorf("%+v: expected %t to be %t", c, got, c.want)
		}
	}
}
