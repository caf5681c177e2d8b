package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// mint gets a token and hands it on. Whatever fails once a token may exist, the
// lease takes it back.
func (r *run) mint(ctx context.Context) error {
	j, stop, err := r.start(ctx, "mint")
	if err != nil {
		return err
	}
	defer stop()
	token, err := j.token()
	if err == nil {
		err = j.verify(token)
	}
	if err == nil {
		err = j.lease.HandOn(func() error { return j.handOn(token) })
	}
	if err == nil && j.second {
		err = j.lease.Discard(token)
	}
	if err != nil || ctx.Err() != nil {
		return j.closed(ctx, err)
	}
	j.sayToken(token)
	if token.Refresh.IsZero() && (j.cfg.Refreshable || j.cfg.Refreshes()) {
		j.sayNoRefreshToken()
	}
	j.sayUsage()
	return nil
}

// token gets the job's token: with the stored token, or an exchanged one, or
// the exchanged one itself, or the successor of a pair.
func (j *job) token() (jfrog.Token, error) {
	if j.cfg.Refreshes() {
		return j.lease.Refresh(j.cfg.AccessToken, jfrog.RefreshRequest{
			Refresh: j.cfg.RefreshToken, IncludeReferenceToken: j.cfg.IncludeReferenceToken,
		})
	}
	if !j.cfg.OIDC() {
		return j.make(j.cfg.AccessToken, jfrog.Token{})
	}
	exchanged, err := j.exchange()
	if err != nil || !j.second {
		return exchanged, err
	}
	created, err := j.make(exchanged.Access, exchanged)
	if jfrog.Refused(err) && !j.cfg.NeedsSecond() {
		j.second, j.means = false, false
		j.sayOnlyExchanged(exchanged, err)
		return exchanged, nil
	}
	return created, err
}

// make makes the token that the inputs ask for with another one.
func (j *job) make(bearer secret.String, exchanged jfrog.Token) (jfrog.Token, error) {
	if j.cfg.Pairing != "" {
		return j.lease.Pair(bearer, j.cfg.Pairing)
	}
	return j.create(bearer, exchanged)
}

// verify asks the services that must accept the token, each at its own URL.
func (j *job) verify(t jfrog.Token) error {
	for _, service := range j.cfg.Verify {
		switch err := j.ask(service, t); {
		case unverified(service, err):
			j.sayUnverified(err)
		case err != nil:
			return err
		default:
			j.sayVerified(service)
		}
	}
	return nil
}

// ask asks one service whether it accepts the token.
func (j *job) ask(service string, t jfrog.Token) error {
	switch name, project, _ := config.ParseService(service); name {
	case config.Platform:
		return j.jfrog.VerifyPlatform(j.time.Work, t.Access)
	case config.Artifactory:
		return j.jfrog.VerifyArtifactory(j.time.Work, t.Access)
	default:
		return j.jfrog.VerifyConnect(j.time.Work, t.Access, j.cfg.ConnectURL, project)
	}
}

// unverified reports whether a service could not tell, which is no refusal.
func unverified(service string, err error) bool {
	return service == config.Platform && jfrog.KindOf(err) == jfrog.NoEndpoint
}

// handOn sets the outputs and writes the job summary.
func (j *job) handOn(t jfrog.Token) error {
	outputs := j.outputs(t)
	if err := j.ci.Outputs(outputs); err != nil {
		return err
	}
	if j.cfg.ExportEnv {
		if err := j.ci.Export(outputs); err != nil {
			return err
		}
	}
	if !j.cfg.Summary {
		return nil
	}
	return j.ci.Summary(j.summary(t))
}

// outputs are what the next steps get. What JFrog did not return is left out.
func (j *job) outputs(t jfrog.Token) []ci.Output {
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
	if t.Lifetime > 0 {
		set("expires-in", strconv.FormatInt(int64(t.Lifetime/time.Second), 10))
	}
	set("scope", t.Scope)
	set("revocable", strconv.FormatBool(t.Revocable))
	set("url", j.cfg.URL.String())
	set("host", j.cfg.URL.Host)
	if j.cfg.IncludeReferenceToken {
		hidden("reference-token", t.Reference)
	}
	if j.cfg.Refreshable || j.cfg.Refreshes() {
		hidden("refresh-token", t.Refresh)
	}
	// The names that JFrog's set-up action uses.
	hidden("oidc-token", t.Access)
	set("oidc-user", t.Username)
	return list
}
