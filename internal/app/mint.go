package app

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/idtoken"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// defaultLife is asked for in stored mode: JFrog's own default is a year.
const defaultLife = time.Hour

// What revoking takes of a token that is not handed on, beyond timeout; the
// last word is what is left of it once a signal has come.
const (
	undoLimit    = 10 * time.Second
	undoLastWord = 2 * time.Second
	// Of mint, counted from the signal on: an attempt that the signal met has
	// taken wire.Grace of that, and the runner kills after 7.5 s.
	strayLastWord = 6 * time.Second
	mintLastWord  = 7 * time.Second
)

var errNoID = errors.New("JFrog gave the token no id")

// minting is one run of mint.
type minting struct {
	*app
	cfg    *config.Config
	client *wire.Client
	jfrog  *jfrog.Client
	policy wire.Policy
	ids    *idtoken.Source // nil in stored mode
	mark   string
	asked  jfrog.CreateRequest // the last that was sent
	// handsOn: the job gets a token. list and sweep only use one.
	handsOn bool
	state   state // what exists and has to be revoked
}

// mint gets a token and hands it on. Whatever goes wrong once a token exists,
// that token is revoked, or left to the post step.
func (a *app) mint(ctx context.Context) error {
	m, err := a.prepare("mint")
	if err != nil {
		return err
	}
	budget, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	late, stop := cleanup(ctx, m.cfg.Timeout+2*undoLimit, strayLastWord)
	defer stop()
	last, stop := cleanup(ctx, m.cfg.Timeout+3*undoLimit, mintLastWord)
	defer stop()
	token, err := m.token(budget, late)
	if err == nil && ctx.Err() == nil {
		err = m.handOn(token)
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		m.takeBack(last)
		return m.explain(err)
	}
	return nil
}

// prepare reads every input, sees that the result can be handed on, and masks
// the secrets among the inputs. Nothing is sent yet.
func (a *app) prepare(command string) (*minting, error) {
	cfg, err := config.Load(a.lookup, command)
	if err != nil {
		return nil, err
	}
	if command == "mint" || cfg.OIDC() { // else no token is made
		if err := a.ci.Check(ci.Places{EnvFile: cfg.EnvFile, StateDir: cfg.StateDir, Summary: cfg.Summary}); err != nil {
			return nil, err
		}
	}
	a.ci.Mask(cfg.AccessToken)
	a.ci.Mask(cfg.IDToken)
	if err := a.ci.LogError(); err != nil {
		return nil, err
	}
	a.sayStart(cfg)
	m := &minting{app: a, cfg: cfg, handsOn: true, client: a.client(wire.Options{Roots: cfg.Roots})}
	m.policy = wire.Policy{MaxAttempts: cfg.MaxAttempts, Notify: a.sayRetry}
	m.jfrog = jfrog.New(m.client, cfg.URL, m.policy)
	m.state = state{URL: cfg.URL.String(), CACert: cfg.CACert, Revoke: cfg.Revoke, RevokeFailure: cfg.RevokeFailure, Summary: cfg.Summary, Tokens: []heldToken{}}
	return m, nil
}

// token gets the token that is handed on. late goes on after ctx, for what has
// to be revoked by then.
func (m *minting) token(ctx, late context.Context) (jfrog.Token, error) {
	if !m.cfg.OIDC() {
		return m.create(ctx, late, m.cfg.AccessToken, m.createRequest())
	}
	exchanged, err := m.exchange(ctx)
	if err != nil || !m.cfg.Narrows() {
		return exchanged, err
	}
	narrow, err := m.create(ctx, late, exchanged.Access, m.narrowed(exchanged))
	if err != nil {
		return jfrog.Token{}, err
	}
	return narrow, m.discard(late, exchanged)
}

func (m *minting) exchange(ctx context.Context) (jfrog.Token, error) {
	m.client.Open(ctx, m.cfg.URL) // while the ID token is fetched
	var err error
	if m.ids, err = m.source(); err != nil {
		return jfrog.Token{}, doing(gettingIDToken, err)
	}
	m.sayIDToken()
	run := m.ci.Run()
	token, lost, err := m.jfrog.Exchange(ctx, m.ids, jfrog.ExchangeRequest{
		ProviderName: m.cfg.ProviderName, IdentityMappingName: m.cfg.IdentityMappingName,
		ProjectKey: m.cfg.ProjectKey, ApplicationKey: m.cfg.ApplicationKey, Audience: m.cfg.OIDCAudience,
		IncludeReferenceToken: m.cfg.IncludeReferenceToken && !m.cfg.Narrows(),
		JobID:                 run.JobID, RunID: run.RunID, Repo: run.Repo, Revision: run.Revision, Branch: run.Branch,
	})
	if lost > 0 {
		m.sayLostExchange(lost, token)
	}
	if err != nil {
		var request *idtoken.RequestError
		if errors.As(err, &request) {
			return jfrog.Token{}, doing(gettingIDToken, request.Err)
		}
		return jfrog.Token{}, doing(exchanging, err)
	}
	if m.handsOn && m.cfg.Narrows() {
		// Saved before there is anything to lose: where this process is killed
		// between the two requests, the post step looks for the second token.
		m.state.Lost = m.description()
	}
	return token, m.hold(token)
}

// source is where the ID token comes from: the input always wins.
func (m *minting) source() (*idtoken.Source, error) {
	find := idtoken.Elsewhere
	switch {
	case !m.cfg.IDToken.IsZero():
		return idtoken.Given(m.cfg.IDToken), nil
	case m.onGitHub():
		find = idtoken.GitHub
	}
	return find(m.getenv, m.cfg.OIDCAudience, m.client, m.policy, m.ci.Mask)
}

func (m *minting) createRequest() jfrog.CreateRequest {
	life := m.cfg.ExpiresIn
	if life == 0 {
		life = defaultLife
	}
	return jfrog.CreateRequest{
		Username: m.cfg.Username, Scope: m.cfg.Scope, ExpiresIn: int64(life / time.Second), Refreshable: m.cfg.Refreshable,
		Description: m.description(), Audience: m.cfg.Audience, ProjectKey: m.cfg.ProjectKey,
		IncludeReferenceToken: m.cfg.IncludeReferenceToken, ForceRevocable: m.cfg.ForceRevocable,
	}
}

// narrowed asks for no more than the exchanged token has: what the inputs
// leave open is the mapping's, not JFrog's default of a year and of all that
// the user may do.
func (m *minting) narrowed(exchanged jfrog.Token) jfrog.CreateRequest {
	r := m.createRequest()
	if m.cfg.ExpiresIn == 0 && exchanged.Life > 0 {
		r.ExpiresIn = int64(exchanged.Life / time.Second)
	}
	if r.Scope == "" {
		r.Scope = exchanged.Scope
	}
	if r.Audience == "" && exchanged.Audience != "*@*" { // which is JFrog's default
		r.Audience = exchanged.Audience
	}
	return r
}

// create makes a token. Where an answer was lost, it looks for tokens that
// such an attempt left, and revokes them.
func (m *minting) create(ctx, late context.Context, bearer secret.String, r jfrog.CreateRequest) (jfrog.Token, error) {
	m.asked = r
	token, lost, err := m.jfrog.Create(ctx, bearer, r)
	m.state.Lost = ""
	if lost > 0 {
		m.state.Lost = r.Description // saved with the token: the post step looks once more
	}
	if err == nil {
		err = m.hold(token)
	} else {
		err = doing(creating, err)
	}
	if lost > 0 {
		m.clearStrays(late, bearer, r, lost, token)
	}
	return token, err
}

func (m *minting) clearStrays(ctx context.Context, bearer secret.String, r jfrog.CreateRequest, lost int, keep jfrog.Token) {
	ctx, cancel := context.WithTimeout(ctx, undoLimit)
	defer cancel()
	if !keep.Access.IsZero() && keep.ID == "" {
		m.sayStraysUnknown(r, errNoID) // it could not be told from the others
		return
	}
	strays, err := m.jfrog.Strays(ctx, bearer, r.Description, keep.ID)
	if err != nil {
		m.sayStraysUnknown(r, err)
		return
	}
	// Where there is a token, the post step looks once more. Where there is
	// none, JFrog may still be storing one.
	if len(strays) < lost && (keep.Access.IsZero() || !r.ForceRevocable) {
		m.sayStraysUnlisted(r)
	}
	for _, s := range strays {
		outcome, err := m.jfrog.Revoke(ctx, s)
		m.sayStray(s, outcome, err)
	}
}

// hold masks a token and saves the state: from here on, the post step revokes
// it whatever happens to this process.
func (m *minting) hold(t jfrog.Token) error {
	for _, s := range t.Secrets() {
		m.ci.Mask(s)
		if t.Username != "" {
			m.ci.Mask(s.Basic(t.Username)) // as it stands in .npmrc and in Docker's configuration
		}
	}
	h := write(t.Hold(time.Now()))
	h.HandedOn = m.handsOn && (!t.Exchanged || !m.cfg.Narrows())
	m.state.Tokens = append(m.state.Tokens, h)
	if err := m.ci.SaveState(m.state.encode()); err != nil {
		return err
	}
	return m.ci.LogError()
}

// discard ends the exchanged token, which nobody needs once the narrower one
// is there. Where it cannot be revoked it is said, and it ends by itself.
func (m *minting) discard(ctx context.Context, exchanged jfrog.Token) error {
	ctx, cancel := context.WithTimeout(ctx, undoLimit)
	defer cancel()
	held := exchanged.Hold(time.Now())
	outcome, err := m.jfrog.Revoke(ctx, held)
	m.sayDiscarded(held, outcome, err)
	if outcome == jfrog.Failed {
		return nil // the state still has it: the post step tries again
	}
	m.state.Tokens = m.state.Tokens[1:]
	return m.ci.SaveState(m.state.encode())
}

// handOn sets the outputs and tells about the token.
func (m *minting) handOn(t jfrog.Token) error {
	if err := m.ci.Outputs(m.outputs(t)); err != nil {
		return err
	}
	if m.cfg.Summary {
		if err := m.ci.Summary(summaryOf(t, m.cfg, m.description(), m.ci.Clean)); err != nil {
			return err
		}
	}
	m.sayToken(t)
	return nil
}

// outputs are what the next steps get. What JFrog did not give is left out.
func (m *minting) outputs(t jfrog.Token) []ci.Output {
	var list []ci.Output
	set := func(name, value string) {
		if value != "" {
			list = append(list, ci.Output{Name: name, Value: value})
		}
	}
	hidden := func(name string, s secret.String) {
		if !s.IsZero() {
			list = append(list, ci.Output{Name: name, Value: s.Reveal(), Secret: true})
		}
	}
	hidden("token", t.Access)
	set("username", t.Username)
	set("token-id", t.ID)
	if !t.Expiry.IsZero() {
		set("expires-at", t.Expiry.Format(time.RFC3339))
	}
	if t.Life > 0 {
		set("expires-in", strconv.FormatInt(int64(t.Life/time.Second), 10))
	}
	set("scope", t.Scope)
	set("revocable", strconv.FormatBool(t.Revocable))
	set("url", m.cfg.URL.String())
	set("host", m.cfg.URL.Host)
	if m.cfg.IncludeReferenceToken {
		hidden("reference-token", t.Reference)
	}
	if m.cfg.Refreshable {
		hidden("refresh-token", t.Refresh)
	}
	// Under these names JFrog's set-up action gives them.
	hidden("oidc-token", t.Access)
	set("oidc-user", t.Username)
	return list
}

// description is what JFrog shows of the token, with the mark of this mint at
// its end: it tells a token of ours from that of a job beside us.
func (m *minting) description() string {
	if m.mark == "" {
		m.mark = "[jt-" + rand.Text()[:16] + "]"
	}
	d := []rune(m.cfg.Description)
	if len(d) == 0 {
		d = []rune(m.ci.Description())
	}
	return string(d[:min(len(d), config.MaxDescription-config.MarkLength)]) + " " + m.mark
}
