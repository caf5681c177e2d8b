package lease

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

var audience = func(r *jfrog.CreateRequest) { r.Audience = "jfrt@*" }

// The whole life of a token, call by call: what could leave a token behind is
// saved before each request, a token is masked, then saved, then handed on.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		keep bool // revoke: false
		run  func(w *world, l *Lease)
		want []string
	}{
		{"with a stored token", false, func(w *world, l *Lease) {
			w.create(l, nil)
			_ = l.HandOn(func() error { w.ci.note("give"); return nil })
		}, []string{"save", "save create", "create", "hide", "save created", "give"}},
		{"with an ID token alone", false, func(w *world, l *Lease) {
			w.exchange(l)
			_ = l.HandOn(func() error { w.ci.note("give"); return nil })
		}, []string{"save", "save exchange", "exchange", "hide", "save exchanged", "give"}},
		{"with a second token", false, func(w *world, l *Lease) {
			bearer := w.exchange(l).Access
			created, err := l.Create(bearer, request(l))
			if err != nil {
				w.Fatal(err)
			}
			_ = l.HandOn(func() error { w.ci.note("give"); return nil })
			_ = l.Discard(created)
		}, []string{"save", "save exchange", "exchange", "hide", "save exchanged", "save create exchanged", "create", "hide", "save exchanged created",
			"give", "revoke", "save created*"}},
		{"with a second token, for a command that can read the state", false, func(w *world, l *Lease) {
			bearer := w.exchange(l).Access
			created, err := l.Create(bearer, request(l))
			if err != nil {
				w.Fatal(err)
			}
			_ = l.Discard(created)
			_ = l.HandOn(func() error { w.ci.note("give"); return nil })
		}, []string{"save", "save exchange", "exchange", "hide", "save exchanged", "save create exchanged", "create", "hide", "save exchanged created",
			"revoke", "save created", "give"}},
		{"that nobody revokes", true, func(w *world, l *Lease) {
			w.create(l, nil)
			_ = l.HandOn(func() error { w.ci.note("give"); return nil })
		}, []string{"save", "save create", "create", "hide", "save created", "give", "drop"}},
		{"that is taken back", false, func(w *world, l *Lease) {
			w.create(l, nil)
			l.TakeBack()
		}, []string{"save", "save create", "create", "hide", "save created", "retract", "revoke", "drop"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jfrogtest.Config{})
			l := w.open(t.Context(), State{Revoke: !c.keep}, true)
			c.run(w, l)
			if got := w.ci.calls(); !slices.Equal(got, c.want) {
				t.Errorf("expected %q to be %q", got, c.want)
			}
		})
	}
}

// A process that is killed while JFrog has the request leaves what is needed to
// find its token.
func TestIntentIsSavedBeforeTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jfrogtest.Config{})
	l := w.open(t.Context(), State{Revoke: true, CACert: "pem", RevokeFailure: "fail", EnvFile: "env"}, false)
	var at []State
	w.SetHook(func(point string) {
		if point == "exchange:received" || point == "create:received" {
			at = append(at, w.ci.saved())
		}
	})
	began := time.Now()
	bearer := w.exchange(l).Access
	if _, err := l.Create(bearer, request(l)); err != nil {
		t.Fatal(err)
	}
	if len(at) != 2 {
		t.Fatalf("expected %d states to be %d", len(at), 2)
	}
	for i, s := range at {
		if s.URL != w.URL() || !s.Revoke || s.CACert != "pem" || s.RevokeFailure != "fail" || s.EnvFile != "env" || "["+s.Marker+"]" != l.Marker() || s.Pending != []string{pendingExchange, pendingCreate}[i] || len(s.Tokens) != i {
			t.Errorf("expected %+v to say what was asked for, and where", s)
		}
	}
	s := at[1]
	if want := began.Add(10*time.Minute + 10*time.Second); s.Until.Before(want.Add(-2*time.Second)) || s.Until.After(want.Add(2*time.Second)) {
		t.Errorf("expected %s to be %s", s.Until, want)
	}
	if !strings.HasSuffix(s.Description, " "+l.Marker()) || !s.Listed || s.Tokens[0].Token.String != bearer && s.Tokens[0].Token.Reveal() != bearer.Reveal() {
		t.Errorf("expected %+v to say how the token is found, and with whom", s)
	}
}

// Whether JFrog lists a token decides whether looking it up says anything.
func TestListed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*jfrog.CreateRequest)
		want bool
	}{
		{"short", func(r *jfrog.CreateRequest) {}, false}, {"force-revocable", func(r *jfrog.CreateRequest) { r.ForceRevocable = true }, true},
		{"refreshable", func(r *jfrog.CreateRequest) { r.Refreshable = true }, true}, {"with a reference token", func(r *jfrog.CreateRequest) { r.IncludeReferenceToken = true }, true},
		{"almost three hours", func(r *jfrog.CreateRequest) { r.ExpiresIn = 10799 }, false}, {"three hours", func(r *jfrog.CreateRequest) { r.ExpiresIn = 10800 }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jfrogtest.Config{})
			l := w.open(t.Context(), State{Revoke: true}, true)
			w.create(l, func(r *jfrog.CreateRequest) { r.ForceRevocable = false; c.edit(r) })
			if got := w.ci.saved().Listed; got != c.want {
				t.Errorf("expected %t to be %t", got, c.want)
			}
		})
	}
}

// Two mints have two markers, or the one would revoke what the other made.
func TestMarkersAreUnique(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jfrogtest.Config{})
	seen := map[string]bool{}
	for range 100 {
		m := w.open(t.Context(), State{}, false).Marker()
		if seen[m] || len(m) != 21 || !strings.HasPrefix(m, "[jt-") || !strings.HasSuffix(m, "]") {
			t.Errorf("expected %q to be a marker of its own", m)
		}
		seen[m] = true
	}
}

// Nothing is sent if it cannot be saved that it is.
func TestNothingIsSentUnsaved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jfrogtest.Config{})
	l := w.open(t.Context(), State{Revoke: true}, true)
	why := errors.New("save state: no space left on device")
	w.ci.saveErr = why
	if _, err := l.Create(secret.New(w.Stored(0)), request(l)); err != why {
		t.Errorf("expected %v to be %v", err, why)
	}
	if _, err := l.Exchange(w, jfrog.ExchangeRequest{ProviderName: "github"}); err != why {
		t.Errorf("expected %v to be %v", err, why)
	}
	if n := len(w.Requests()); n != 0 {
		t.Errorf("expected %d requests to be %d", n, 0)
	}
	b, stop := wire.NewBudget(t.Context(), time.Second)
	defer stop()
	if _, err := Open(w.ci, w.client, b, State{}, secret.String{}); err != why {
		t.Errorf("expected %v to be %v", err, why)
	}
}

// A token that could not be masked, or not saved, is not handed on; it is
// revoked then.
func TestTokenThatCannotBeHeld(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(*fakeCI, error)
	}{
		{"the log is gone", func(ci *fakeCI, err error) { ci.hideErr = err }},
		{"the disk is full", func(ci *fakeCI, err error) { ci.saveErr = err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jfrogtest.Config{})
			l := w.open(t.Context(), State{Revoke: true}, true)
			why := errors.New("why")
			w.SetHook(func(point string) {
				if point == "create:stored" {
					c.spoil(w.ci, why)
				}
			})
			if _, err := l.Create(secret.New(w.Stored(0)), request(l)); !errors.Is(err, why) {
				t.Fatalf("expected %v to be %v", err, why)
			}
			if len(w.alive()) != 1 {
				t.Fatalf("expected %q to be one", w.alive())
			}
			l.TakeBack()
			w.must("alive", w.alive(), []string{})
			w.must("told", w.told(), []string{"job revoked"})
		})
	}
}

// Under revoke: false the job's token outlives the job, and so must not be
// found in a file.
func TestNothingSecretIsSavedIfNobodyRevokes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  func(w *world, l *Lease)
	}{
		{"with a stored token", func(w *world, l *Lease) {
			w.create(l, func(r *jfrog.CreateRequest) { r.Refreshable, r.IncludeReferenceToken = true, true })
			_ = l.HandOn(nothing)
		}},
		{"with a second token", func(w *world, l *Lease) {
			bearer := w.exchange(l).Access
			t, err := l.Create(bearer, request(l))
			if err != nil {
				w.Fatal(err)
			}
			_ = l.HandOn(nothing)
			_ = l.Discard(t)
		}},
		{"that is taken back", func(w *world, l *Lease) {
			w.create(l, nil)
			_ = l.HandOn(func() error { return errGive })
			l.TakeBack()
		}},
		{"that cannot be revoked", func(w *world, l *Lease) {
			w.create(l, nil)
			w.SetFaults([]jfrogtest.Fault{{On: "revoke", Status: 403, Body: `{"errors":[{"code":"FORBIDDEN","message":"x"}]}`}})
			l.TakeBack()
		}},
		{"of a lost response", func(w *world, l *Lease) {
			w.SetFaults([]jfrogtest.Fault{{On: "create", Times: 1, After: true, Kind: "close"}})
			w.create(l, nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jfrogtest.Config{})
			c.run(w, w.open(t.Context(), State{Revoke: false}, true))
			if len(w.ci.states) < 2 {
				t.Fatalf("expected %d states to be %q", len(w.ci.states), "several")
			}
			for _, state := range w.ci.states {
				for _, s := range w.Secrets() {
					if bytes.Contains(state, []byte(s.Value)) {
						t.Errorf("expected %s to be without %s", state, s.Name)
					}
				}
			}
		})
	}
}

// Every value that could be a password, and base64(user:token) of each.
func TestWhatIsMasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jfrogtest.Config{})
	l := w.open(t.Context(), State{Revoke: true}, true)
	token := w.create(l, func(r *jfrog.CreateRequest) { r.Refreshable, r.IncludeReferenceToken = true, true })
	for _, s := range []secret.String{token.Access, token.Reference, token.Refresh} {
		if s.IsZero() || !w.ci.hidden[s.Reveal()] || !w.ci.hidden[s.Basic("ci-bot")[0].Reveal()] {
			t.Errorf("expected %d bytes to be masked, and with the user name", len(s.Reveal()))
		}
	}
	if w.ci.hidden["ci-bot"] {
		t.Error("expected the user name not to be masked")
	}
}

func TestHandOn(t *testing.T) {
	t.Parallel()
	interrupted := errors.New("interrupted by SIGTERM")
	for _, c := range []struct {
		name   string
		keep   bool
		give   func(cancel func()) error
		before bool // the signal comes before
		want   error
		left   int // tokens that are alive once a failure was taken back
		state  bool
	}{
		{"done", false, func(func()) error { return nil }, false, nil, 1, true},
		{"done, and nobody revokes", true, func(func()) error { return nil }, false, nil, 1, false},
		{"failed", false, func(func()) error { return errGive }, false, errGive, 0, false},
		{"failed, and nobody revokes", true, func(func()) error { return errGive }, false, errGive, 0, false},
		{"a signal before", false, func(func()) error { t.Error("the token is handed on after a signal"); return nil }, true, interrupted, 0, false},
		// Whoever hands it on sees the signal, and takes it back.
		{"a signal within", false, func(cancel func()) error { cancel(); return nil }, false, nil, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jfrogtest.Config{})
			ctx, cancel := context.WithCancelCause(t.Context())
			l := w.open(ctx, State{Revoke: !c.keep}, true)
			w.create(l, nil)
			if c.before {
				cancel(interrupted)
			}
			err := l.HandOn(func() error { return c.give(func() { cancel(interrupted) }) })
			if !errors.Is(err, c.want) {
				t.Errorf("expected %v to be %v", err, c.want)
			}
			if err != nil {
				l.TakeBack()
				w.must("told", w.told(), []string{"job revoked"})
			}
			if got := len(w.alive()); got != c.left || (w.ci.state != nil) != c.state {
				t.Errorf("expected %d alive, %s to be %d, %t", got, w.ci.state, c.left, c.state)
			}
		})
	}
}

// What was handed on before a signal is taken back as well, under revoke: false
// too.
func TestTakeBackAfterHandOn(t *testing.T) {
	t.Parallel()
	for _, revoke := range []bool{true, false} {
		w := newWorld(t, jfrogtest.Config{})
		l := w.open(t.Context(), State{Revoke: revoke}, true)
		w.create(l, nil)
		if err := l.HandOn(nothing); err != nil {
			t.Fatal(err)
		}
		l.TakeBack()
		w.must("alive", w.alive(), []string{})
		w.must("told", w.told(), []string{"job revoked"})
		if w.ci.state != nil || !slices.Contains(w.ci.calls(), "retract") {
			t.Errorf("expected %s, %q to be taken back and dropped", w.ci.state, w.ci.calls())
		}
	}
}

// What cannot be revoked now, revoke tries again: its state stays. That the
// outputs could not be taken back is said, and keeps nothing from being revoked.
func TestTakeBackThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jfrogtest.Config{})
	l := w.open(t.Context(), State{Revoke: true}, false)
	token := w.create(l, nil)
	w.SetFaults([]jfrogtest.Fault{{On: "revoke", Status: 403, Body: `{"errors":[{"code":"FORBIDDEN","message":"x"}]}`}})
	w.ci.retractErr = errors.New("take back outputs: why")
	l.TakeBack()
	if len(w.events) != 2 || w.events[0].Err != w.ci.retractErr || w.events[1].Outcome != jfrog.FailedRevoke || w.events[1].ID != token.ID || jfrog.KindOf(w.events[1].Err) != jfrog.Forbidden {
		t.Errorf("expected %+v to say that both failed", w.events)
	}
	if s := w.ci.saved(); len(s.Tokens) != 1 || s.Tokens[0].Token.Reveal() != token.Access.Reveal() {
		t.Errorf("expected %+v to have the token", s)
	}
	w.SetFaults(nil)
	w.events = nil
	if !w.revoke("") || w.ci.state != nil || len(w.alive()) != 0 {
		t.Errorf("expected %q to be nothing", w.alive())
	}
	w.must("told", w.told(), []string{"job revoked"})
}

// The exchanged token ends once the job has its own, unless that one needs it:
// a token for Artifactory alone cannot revoke itself.
func TestDiscard(t *testing.T) {
	t.Parallel()
	mapping := func(self bool) jfrogtest.Config {
		return jfrogtest.Config{SelfRevocableExt: true, Providers: []jfrogtest.Provider{{Name: "github", Mappings: []jfrogtest.Mapping{{
			Name: "ci", TokenSpec: jfrogtest.TokenSpec{Username: "ci-bot", Scope: "applied-permissions/user", ExpiresIn: 600, SelfRevocable: self},
		}}}}}
	}
	for _, c := range []struct {
		name  string
		self  bool // the mapping is self_revocable
		keep  bool // revoke: false
		edit  func(*jfrog.CreateRequest)
		fault *jfrogtest.Fault
		told  []string
		held  []string // in the state: e is the exchanged token, c the created one
		alive int
	}{
		{"at once", true, false, nil, nil, []string{"exchanged revoked"}, []string{"c"}, 1},
		{"not revocable", false, false, nil, nil, []string{"exchanged not revocable"}, []string{"c"}, 2},
		{"needed", true, false, audience, nil, nil, []string{"e", "c"}, 2},
		{"that cannot be revoked", true, false, nil, &jfrogtest.Fault{On: "revoke", Status: 403, Body: `{"errors":[{"code":"C","message":"x"}]}`},
			[]string{"exchanged failed"}, []string{"e", "c"}, 2},
		{"at once, and nobody revokes the other", true, true, nil, nil, []string{"exchanged revoked"}, nil, 1},
		// Nobody will revoke the job's token: nothing needs the exchanged one.
		{"not needed", true, true, audience, nil, []string{"exchanged revoked"}, nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, mapping(c.self))
			l := w.open(t.Context(), State{Revoke: !c.keep}, false)
			r := request(l)
			if c.edit != nil {
				c.edit(&r)
			}
			created, err := l.Create(w.exchange(l).Access, r)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.HandOn(nothing); err != nil {
				t.Fatal(err)
			}
			if c.fault != nil {
				w.SetFaults([]jfrogtest.Fault{*c.fault})
			}
			if err := l.Discard(created); err != nil {
				t.Fatal(err)
			}
			w.must("told", w.told(), c.told)
			var held []string
			if w.ci.state != nil {
				for _, h := range w.ci.saved().Tokens {
					held = append(held, map[bool]string{true: "e", false: "c"}[h.Exchanged])
				}
			}
			w.must("held", held, c.held)
			if got := len(w.alive()); got != c.alive {
				t.Errorf("expected %q to be %d", w.alive(), c.alive)
			}
		})
	}
	t.Run("after a signal", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, mapping(true))
		interrupted := errors.New("interrupted by SIGTERM")
		ctx, cancel := context.WithCancelCause(t.Context())
		l := w.open(ctx, State{Revoke: true}, false)
		created, err := l.Create(w.exchange(l).Access, request(l))
		if err != nil {
			t.Fatal(err)
		}
		cancel(interrupted)
		if err := l.Discard(created); err != interrupted {
			t.Errorf("expected %v to be %v", err, interrupted)
		}
		l.TakeBack()
		w.must("alive", w.alive(), []string{})
	})
}
