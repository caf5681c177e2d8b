package cli

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/lease"
	"github.com/ephemeral-ci/jfrog-token/internal/roots"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// job is a run of a command that needs a credential: what its inputs amount to,
// its time, and the lease of what it makes.
type job struct {
	*run
	cfg    *config.Config
	wire   *wire.Client
	jfrog  *jfrog.Client
	time   *wire.Budget
	lease  *lease.Lease // nil if no token is made
	ids    *ci.IDTokenSource
	asked  jfrog.CreateRequest // the last that was sent
	second bool                // the job's token is made with an exchanged one
	means  bool                // an exchanged token is not what the job gets
	shown  bool                // the claims of the ID token are shown anyway
}

// start reads every input, checks that the result can be handed on, opens the
// lease, and masks the secrets among the inputs. Nothing is sent yet.
func (r *run) start(ctx context.Context, command string) (*job, context.CancelFunc, error) {
	cfg, err := config.Load(r.inputs, command)
	if err != nil {
		return nil, nil, err
	}
	mints := slices.Contains([]string{"mint", "exec", "check"}, command)
	cfg.Revoke = cfg.Revoke || command != "mint" // nothing outlives the others
	b, stop := wire.NewBudget(ctx, cfg.Timeout)
	j := &job{run: r, cfg: cfg, time: b, second: mints && cfg.CreatesSecond()}
	j.means = j.second || command != "mint" && command != "exec"
	j.wire, j.jfrog = r.platform(cfg.URL, cfg.Roots, cfg.MaxAttempts)
	if mints || cfg.OIDC() {
		err = j.open(command)
	}
	if err == nil {
		err = r.ci.Hide(cfg.AccessToken, cfg.RefreshToken, cfg.IDToken)
	}
	if err != nil {
		if j.lease != nil {
			j.lease.TakeBack()
		}
		stop()
		return nil, nil, err
	}
	j.sayStart()
	return j, stop, nil
}

func (j *job) open(command string) error {
	writes, envFile := ci.Writes{Outputs: true, Summary: j.cfg.Summary, Export: j.cfg.ExportEnv}, j.ci.EnvFile()
	if command == "exec" { // which hands the token on to its command alone
		writes, envFile = ci.Writes{Summary: j.cfg.Summary}, ""
	}
	if err := j.ci.Check(writes); err != nil {
		return err
	}
	j.dropExpired()
	l, err := lease.Open(j.ci, j.jfrog, j.time, lease.State{
		URL: j.cfg.URL.String(), CACert: j.cfg.CACert, Revoke: j.cfg.Revoke, RevokeFailure: j.cfg.RevokeFailure,
		Summary: j.cfg.Summary, EnvFile: envFile,
	}, j.cfg.AccessToken)
	if err != nil {
		return err
	}
	l.Report = j.sayEvent
	j.lease = l
	return nil
}

// dropExpired forgets the states of tokens that have expired: nobody else may
// ever come back to a workspace that is kept.
func (r *run) dropExpired() {
	markers, _ := r.ci.States()
	for _, m := range markers {
		if s, err := r.read(m); err == nil && s.Over() {
			r.dropOver(m)
		}
	}
}

// dropOver forgets a state if nobody else is at it.
func (r *run) dropOver(marker string) {
	text, busy, err := r.ci.Take(marker)
	if s, invalid := lease.Decode(marker, text); err == nil && !busy && invalid == nil && s.Over() {
		_ = r.ci.Drop(marker)
	}
}

func (r *run) read(marker string) (lease.State, error) {
	text, err := r.ci.Read(marker)
	if err != nil {
		return lease.State{}, fmt.Errorf("read state: %w", err)
	}
	return lease.Decode(marker, text)
}

// platform returns a client of the platform at u.
func (r *run) platform(u *url.URL, set roots.Set, attempts int) (*wire.Client, *jfrog.Client) {
	w := r.client(wire.Options{Roots: set.Usual, AllRoots: set.All})
	return w, jfrog.New(w, u, wire.Policy{MaxAttempts: attempts, Notify: r.sayRetry})
}

// withBearer runs a command that looks at tokens other than the job's own, with
// the stored token, or with one that is exchanged for the command and ends with
// it.
func (r *run) withBearer(ctx context.Context, command string, do func(*job, secret.String) error) error {
	j, stop, err := r.start(ctx, command)
	if err != nil {
		return err
	}
	defer stop()
	bearer := j.cfg.AccessToken
	if j.cfg.OIDC() {
		var t jfrog.Token
		t, err = j.exchange()
		bearer = t.Access
	}
	if err == nil {
		err = do(j, bearer)
	}
	return j.closed(ctx, err)
}

// exchange gets an ID token from the CI and exchanges it.
func (j *job) exchange() (jfrog.Token, error) {
	j.wire.Connect(j.time.Work, j.cfg.URL) // while the ID token is fetched
	if err := j.findIDTokens(); err != nil {
		return jfrog.Token{}, err
	}
	j.sayIDToken()
	return j.exchangeFound()
}

// findIDTokens finds where the CI has ID tokens.
func (j *job) findIDTokens() (err error) {
	if j.ids, err = j.ci.IDTokens(j.cfg.IDToken, j.cfg.OIDCAudience, j.wire, j.policy()); err != nil {
		return fmt.Errorf("get ID token: %w", err)
	}
	return nil
}

// exchangeFound exchanges an ID token of those that were found.
func (j *job) exchangeFound() (jfrog.Token, error) {
	run := j.ci.Run()
	return j.lease.Exchange(j.ids, jfrog.ExchangeRequest{
		ProviderName: j.cfg.ProviderName, IdentityMappingName: j.cfg.IdentityMappingName,
		ProjectKey: j.cfg.ProjectKey, ApplicationKey: j.cfg.ApplicationKey, Audience: j.cfg.OIDCAudience,
		IncludeReferenceToken: j.cfg.IncludeReferenceToken && (!j.second || !j.cfg.NeedsSecond()),
		JobID:                 run.JobID, RunID: run.RunID, Repo: run.Repo, Revision: run.Revision, Branch: run.Branch,
	})
}

func (j *job) policy() wire.Policy {
	return wire.Policy{MaxAttempts: j.cfg.MaxAttempts, Notify: j.sayRetry, Request: "get ID token"}
}

// defaultLifetime is asked for in stored mode: JFrog's own default is a year.
const defaultLifetime = time.Hour

// create makes the job's token with another one. What the inputs leave open is
// what the exchanged token has, not JFrog's default of a year and of all that
// the user may do.
func (j *job) create(bearer secret.String, exchanged jfrog.Token) (jfrog.Token, error) {
	lifetime := j.cfg.ExpiresIn
	switch {
	case lifetime == 0 && exchanged.Lifetime > 0:
		lifetime = exchanged.Lifetime
	case lifetime == 0:
		lifetime = defaultLifetime
	}
	if exchanged.Lifetime > 0 && lifetime > exchanged.Lifetime {
		j.sayLonger(lifetime, exchanged.Lifetime)
	}
	j.asked = jfrog.CreateRequest{
		Username: j.cfg.Username, Scope: j.cfg.Scope, ExpiresIn: int64(lifetime / time.Second),
		Refreshable: j.cfg.Refreshable,
		Description: j.description(), Audience: j.cfg.Audience,
		IncludeReferenceToken: j.cfg.IncludeReferenceToken, ForceRevocable: j.cfg.Revocable(),
	}
	if j.asked.Scope == "" {
		j.asked.Scope = exchanged.Scope
	}
	if !j.cfg.OIDC() || j.cfg.Scope != "" { // otherwise it belongs to the exchange
		j.asked.ProjectKey = j.cfg.ProjectKey
	}
	if j.asked.Audience == "" && exchanged.Audience != "*@*" { // which is JFrog's default
		j.asked.Audience = exchanged.Audience
	}
	t, err := j.lease.Create(bearer, j.asked)
	if jfrog.KindOf(err) == jfrog.NoUser && j.asked.Username == "" && exchanged.Principal != "" {
		// As JFrog's own CLI does in its tests:
		// https://github.com/jfrog/jfrog-cli/blob/master/access_test.go
		j.asked.Username = exchanged.Principal
		t, err = j.lease.Create(bearer, j.asked)
	}
	return t, err
}

// description is what JFrog shows of the token, with the marker of this mint at
// its end.
func (j *job) description() string {
	d := []rune(j.cfg.Description)
	if len(d) == 0 {
		d = []rune(j.ci.Description())
	}
	return string(d[:min(len(d), config.MaxDescription-config.MarkerLength)]) + " " + j.lease.Marker()
}

// closed returns the error of a command that needed a credential, once what was
// made for it has ended.
func (j *job) closed(ctx context.Context, err error) error {
	if j.lease != nil {
		j.lease.TakeBack()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // the retry lines said the rest
	}
	return j.explain(err)
}
