package lease

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// fakeCI keeps what a lease does, in order. It fails if it should.
type fakeCI struct {
	t  *testing.T
	mu sync.Mutex

	done   []string // one word or two for each call, and for each request
	states [][]byte // all that were saved
	state  []byte   // the last; nil: dropped, or there was none
	hidden map[string]bool

	hideErr, saveErr, dropErr, retractErr error
}

func newCI(t *testing.T) *fakeCI { return &fakeCI{t: t, hidden: map[string]bool{}} }

func (c *fakeCI) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = append(c.done, what)
}

func (c *fakeCI) Hide(secrets ...secret.String) error {
	c.note("hide")
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range secrets {
		c.hidden[s.Reveal()] = true
	}
	return c.hideErr
}

func (c *fakeCI) Save(marker string, state []byte) error {
	s, err := Decode(marker, state)
	if err != nil || s.Marker != marker {
		c.t.Errorf("expected %s, %v to be a state of %s", state, err, marker)
	}
	what := "save"
	if s.Pending != "" {
		what += " " + s.Pending
	}
	for _, h := range s.Tokens {
		switch {
		case h.Exchanged:
			what += " exchanged"
		case h.Replaced:
			what += " replaced"
		default:
			what += " created"
		}
		if h.HandedOn {
			what += "*"
		}
		c.mu.Lock()
		if !h.Token.IsZero() && !c.hidden[h.Token.Reveal()] {
			c.t.Error("expected a token to be masked before it is saved")
		}
		c.mu.Unlock()
	}
	c.note(what)
	if c.saveErr != nil {
		return c.saveErr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = bytes.Clone(state)
	c.states = append(c.states, c.state)
	return nil
}

func (c *fakeCI) Drop(string) error {
	c.note("drop")
	if c.dropErr == nil {
		c.state = nil
	}
	return c.dropErr
}

func (c *fakeCI) Retract() error {
	c.note("retract")
	return c.retractErr
}

func (c *fakeCI) calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.done)
}

// saved returns the last state, as another process would read it.
func (c *fakeCI) saved() State {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == nil {
		c.t.Fatal("expected a state to be saved")
	}
	s, err := Decode("jfrog_token", c.state)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// world is a platform, an issuer of ID tokens, and a CI.
type world struct {
	*testing.T
	*jfrogtest.Platform
	issuer *jfrogtest.Issuer
	client *jfrog.Client
	ci     *fakeCI
	events []Event
}

// newWorld starts a platform on which ci-bot has a stored token, Stored(0), and
// an administrator has another one, Stored(1).
func newWorld(t *testing.T, cfg jfrogtest.Config) *world {
	t.Helper()
	cfg.Tokens = append([]jfrogtest.StoredToken{{User: "ci-bot"}, {User: "admin"}}, cfg.Tokens...)
	issuer := jfrogtest.NewIssuer(jfrogtest.IssuerConfig{})
	p, err := jfrogtest.New(cfg, issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); issuer.Close() })
	for h, setURL := range map[http.Handler]func(string){issuer: issuer.SetURL, p: p.SetURL} {
		s, err := jfrogtest.NewServer(h, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		setURL(s.URL)
	}
	w := &world{T: t, Platform: p, issuer: issuer, ci: newCI(t)}
	w.client = w.newClient(3)
	p.SetHook(func(point string) {
		if op, ok := strings.CutSuffix(point, ":received"); ok {
			w.ci.note(op)
		}
	})
	return w
}

func (w *world) newClient(attempts int) *jfrog.Client {
	w.Helper()
	u, err := url.Parse(w.URL())
	if err != nil {
		w.Fatal(err)
	}
	return jfrog.New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: attempts})
}

// Token implements jfrog.IDTokens.
func (w *world) Token(context.Context) (secret.String, error) {
	return secret.New(w.issuer.Mint("", nil)), nil
}

// Renew implements jfrog.IDTokens.
func (w *world) Renew() bool { return false }

// open begins a lease as mint does. The stored token is its credential if it
// is to have one.
func (w *world) open(ctx context.Context, s State, stored bool) *Lease {
	w.Helper()
	b, stop := wire.NewBudget(ctx, 10*time.Second)
	w.Cleanup(stop)
	s.URL = w.URL()
	var credential secret.String
	if stored {
		credential = secret.New(w.Stored(0))
	}
	l, err := Open(w.ci, w.client, b, s, credential)
	if err != nil {
		w.Fatal(err)
	}
	l.Report = w.report
	return l
}

func (w *world) report(e Event) { w.events = append(w.events, e) }

// request asks for a token as mint does.
func request(l *Lease) jfrog.CreateRequest {
	return jfrog.CreateRequest{ExpiresIn: 600, Description: "GitHub acme/app run 7 " + l.Marker(), ForceRevocable: true}
}

// create creates a token with the stored one.
func (w *world) create(l *Lease, edit func(*jfrog.CreateRequest)) jfrog.Token {
	w.Helper()
	r := request(l)
	if edit != nil {
		edit(&r)
	}
	t, err := l.Create(secret.New(w.Stored(0)), r)
	if err != nil {
		w.Fatal(err)
	}
	return t
}

// exchange exchanges an ID token.
func (w *world) exchange(l *Lease) jfrog.Token {
	w.Helper()
	t, err := l.Exchange(w, jfrog.ExchangeRequest{ProviderName: "github"})
	if err != nil {
		w.Fatal(err)
	}
	return t
}

// revoke is another process that ends what was saved, with a credential or
// without, and reports whether nothing failed.
func (w *world) revoke(credential string) bool {
	w.Helper()
	l := Resume(w.ci, w.newClient(1), w.ci.saved())
	l.Report, l.Credential = w.report, secret.New(credential)
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	return l.Revoke(ctx)
}

// told returns what was reported, a word or two for each token.
func (w *world) told() []string {
	var list []string
	for _, e := range w.events {
		what := map[Role]string{Job: "job", Exchanged: "exchanged", Orphan: "orphan", Replaced: "replaced", Successor: "successor"}[e.Role]
		list = append(list, what+" "+string(e.Outcome))
	}
	return list
}

// alive returns the descriptions of the tokens that are alive, "exchanged" for
// one that has none.
func (w *world) alive() []string {
	var list []string
	for _, t := range w.Alive() {
		if list = append(list, t.Description); t.Description == "" {
			list[len(list)-1] = "exchanged"
		}
	}
	return list
}

func (w *world) must(what string, got, want any) {
	w.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s: expected %q to be %q", what, got, want)
	}
}

// refresh rotates a token as JFrog's CLI does by itself.
func (w *world) refresh(t jfrog.Token) {
	w.Helper()
	body, _ := json.Marshal(map[string]string{"grant_type": "refresh_token", "refresh_token": t.Refresh.Reveal()})
	req, err := http.NewRequest(http.MethodPost, w.URL()+"/access/api/v1/tokens", bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+t.Access.Reveal())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != http.StatusOK {
		w.Fatalf("expected %d to be %d", res.StatusCode, http.StatusOK)
	}
}

// nothing gives nothing to the job, and says so if it is to fail.
func nothing() error { return nil }

var errGive = errors.New("set outputs: no space left on device")
