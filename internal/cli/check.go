package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/lease"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// check does what mint does, hands nothing on, ends what it made, and says what
// it saw. It goes as far as it can: what cannot be tried is skipped.
func (r *run) check(ctx context.Context) error {
	j, stop, err := r.start(ctx, "check")
	if err != nil {
		return err
	}
	defer stop()
	c := &check{job: j}
	j.shown, j.lease.Report = true, c.ended
	c.settings()
	c.platform()
	if j.cfg.OIDC() {
		c.idToken()
		c.claimed()
		c.created(c.exchanged())
	} else {
		c.created(c.stored())
	}
	c.verified()
	c.about()
	j.lease.TakeBack()
	if ctx.Err() != nil {
		return c.stopped(ctx)
	}
	c.revocations()
	if err := c.print(); err != nil {
		return err
	}
	return c.failure()
}

// check is one run of that command: what it made, and what it says.
type check struct {
	*job
	rows        []row
	unreachable bool
	first       jfrog.Token   // the exchanged one
	made        jfrog.Token   // the one that the job would get
	bearer      secret.String // a credential that JFrog accepted
	events      []lease.Event
}

// ended receives what became of a token, which is said once all is known.
func (c *check) ended(e lease.Event) { c.events = append(c.events, e) }

func (c *check) stopped(ctx context.Context) error {
	for _, e := range c.events {
		c.sayEvent(e)
	}
	return context.Cause(ctx)
}

// settings says what the inputs amount to.
func (c *check) settings() {
	cfg := c.cfg
	detail := "stored mode: one token is created with the stored one"
	scope, lifetime := "all that the stored token's user may do", span(defaultLifetime)
	if cfg.OIDC() {
		detail = "OIDC mode, provider " + cfg.ProviderName + ": an ID token is exchanged"
		scope, lifetime = "the identity mapping's", "the identity mapping's"
		switch {
		case c.job.second && cfg.NeedsSecond():
			detail += ", and the second token that the inputs ask for is created with the exchanged one"
		case c.job.second:
			detail += ", and a second token that can be revoked is created with the exchanged one, if JFrog allows it"
		}
	}
	if cfg.ExpiresIn > 0 {
		lifetime = span(cfg.ExpiresIn)
	}
	description := c.description()
	if cfg.Pairing != "" { // which has none of these
		scope, lifetime, description = "", "", ""
	}
	var lines []string
	for _, w := range []struct{ name, value string }{
		{"url", cfg.URL.String()}, {"pairing", cfg.Pairing}, {"oidc-audience", cfg.OIDCAudience}, {"identity-mapping-name", cfg.IdentityMappingName},
		{"project-key", cfg.ProjectKey}, {"application-key", cfg.ApplicationKey},
		{"scope", cmp.Or(cfg.Scope, scope)}, {"expires-in", lifetime}, {"username", cfg.Username},
		{"audience", cfg.Audience}, {"description", description},
		{"refreshable", yes(cfg.Refreshable)}, {"include-reference-token", yes(cfg.IncludeReferenceToken)},
		{"ca-cert", yes(cfg.CACert != "")},
	} {
		if w.value != "" {
			lines = append(lines, w.name+": "+cut(w.value, maxScope))
		}
	}
	c.add(row{name: "inputs", detail: detail, lines: lines})
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// platform says how the platform is reached, or what stands between. Whatever
// responds to a ping is reached: only a token shows that it is JFrog Access.
func (c *check) platform() {
	peer, ping := c.jfrog.Ping(c.time.Work)
	var e *wire.Error
	c.unreachable = errors.As(ping, &e) && e.Status == 0
	if c.unreachable && wire.IsProxy(e.Err) {
		c.fail("proxy", ping)
		c.skip("tls", unreached)
		c.skip("platform", unreached)
		return
	}
	proxy, _ := wire.ProxyOf(c.cfg.URL) // a variable that cannot be read is a wrong input
	c.add(row{name: "proxy", detail: cmp.Or(proxy, "none")})
	switch {
	case c.unreachable && (wire.IsCertificate(e.Err) || wire.IsPlain(e.Err) || wire.IsAlert(e.Err)):
		c.fail("tls", ping)
		c.skip("platform", unreached)
		return
	case c.unreachable:
		c.skip("tls", unreached)
		c.fail("platform", ping)
		return
	case peer.TLS.Version == 0:
		c.skip("tls", "http, to this machine alone")
	default:
		c.add(row{name: "tls", detail: secured(peer.TLS)})
	}
	r := row{name: "platform", detail: c.cfg.URL.Host + " responds"}
	ahead := time.Until(peer.Date).Round(time.Second)
	switch {
	case ping != nil: // the exchange, or the creation, shows whether that is a fault
		r.outcome, r.detail, r.change = noticed, ping.Error(), c.hint(ping, nil)
	case !peer.Date.IsZero() && ahead.Abs() > clockSkew:
		r.outcome, r.change = noticed, say("the-id-token-has-expired", "The clocks of JFrog and of this machine are %s "+
			"apart. A token that one side takes for valid, the other may not.", span(ahead.Abs().Round(time.Minute)))
	}
	c.add(r)
}

const unreached = "the platform is not reached"

func secured(s tls.ConnectionState) string {
	detail := tls.VersionName(s.Version)
	if len(s.PeerCertificates) > 0 {
		leaf := s.PeerCertificates[0]
		issuer := cmp.Or(leaf.Issuer.CommonName, strings.Join(leaf.Issuer.Organization, " "))
		detail += fmt.Sprintf(", certificate by %s, valid until %s", orNone(cut(issuer, maxClaim)),
			leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return detail
}

// stored says what the stored token says about itself, and returns it.
func (c *check) stored() secret.String {
	claims, err := jwt.Peek(c.cfg.AccessToken.Reveal())
	if err != nil {
		c.add(row{name: "stored_token", detail: "a reference token, which says nothing about itself"})
		return c.cfg.AccessToken
	}
	r := row{name: "stored_token", detail: fmt.Sprintf("an access token of %s, scope %s, audience %s", orNone(cut(claims.String("sub"), maxClaim)),
		orNone(cut(claims.String("scp"), maxScope)), orNone(cut(strings.Join(claims.Strings("aud"), " "), maxClaim)))}
	switch expiry := claims.Time("exp"); {
	case expiry.IsZero():
		r.detail += ", never expires"
	case expiry.Before(time.Now()):
		r.outcome, r.detail = noticed, r.detail+", expired at "+expiry.Format(time.RFC3339)+" by this machine's clock"
	default:
		r.detail += ", expires at " + expiry.Format(time.RFC3339)
	}
	c.add(r)
	return c.cfg.AccessToken
}

// clockSkew is how far two clocks may be apart before it is worth a line.
const clockSkew = time.Minute

// idToken says where the ID token comes from. One that has expired by this
// machine's clock is sent nevertheless, as mint would send it: JFrog's clock
// decides.
func (c *check) idToken() {
	err := c.findIDTokens()
	if err == nil {
		_, err = c.ids.Token(c.time.Work)
	}
	if err != nil {
		c.fail("id_token", err)
		return
	}
	claims := c.ids.Claims()
	r := row{name: "id_token", detail: fmt.Sprintf("from %s, for the audience %s", cmp.Or(c.ids.Where, c.ci.Name()),
		orNone(cut(strings.Join(claims.Strings("aud"), ", "), maxClaim)))}
	if exp := claims.Time("exp"); !exp.IsZero() {
		r.detail += ", expires at " + exp.Format(time.RFC3339)
	}
	if c.cfg.OIDCAudience != "" && c.ids.Fixed {
		r.outcome, r.lines = noticed, []string{"oidc-audience has no effect: the audience there is fixed in the CI"}
	}
	begins := claims.Time("iat")
	if nbf := claims.Time("nbf"); nbf.After(begins) {
		begins = nbf
	}
	switch now := time.Now(); {
	case !claims.Time("exp").IsZero() && claims.Time("exp").Before(now):
		r.outcome, r.change = noticed, c.hintIDTokenExpired()
	case begins.After(now.Add(clockSkew)):
		r.outcome = noticed
		r.change = say("the-id-token-has-expired", "The ID token is valid from %s only, which is in the future by "+
			"this machine's clock: that clock or the CI's is wrong.", begins.Format(time.RFC3339))
	}
	c.add(r)
}

// claimed shows the claims, for whoever writes an identity mapping.
func (c *check) claimed() {
	if c.ids == nil || len(c.ids.Claims()) == 0 {
		return
	}
	claims := c.ids.Claims()
	r := row{name: "claims", detail: "others can have the value of those with a !"}
	shared := map[string]any{}
	for _, name := range shownClaims(claims) {
		holders := c.ci.Holders(claims, name)
		line := "  " + claimLine(claims, name)
		if holders != ci.Nobody {
			line = "! " + claimLine(claims, name) + " (" + holderNames[holders].words + ")"
		}
		r.lines = append(r.lines, line)
		isShort := len(claimText(claims[name])) <= maxClaim
		if name != "iss" && name != "aud" && holders != ci.Nobody && isShort {
			shared[name] = claims[name]
		}
	}
	c.add(r)
	match := c.matching(claims)
	if c.mapping(claims) == "" {
		c.add(row{name: "mapping", outcome: noticed, detail: "no claim says which repository this is"})
		return
	}
	for name := range match {
		delete(shared, name)
	}
	r = row{name: "mapping", detail: string(c.text(match))}
	if len(shared) > 0 {
		r.lines = []string{"Only beside these, as others can have them:", string(c.text(shared))}
	}
	c.add(r)
}

// holderNames are those who can have a claim's value, for people and for
// programs.
var holderNames = map[ci.Holders]struct{ words, key string }{
	ci.Anybody:    {"any repository, a fork included", "anybody"},
	ci.Callers:    {"whoever may call that workflow", "callers"},
	ci.Siblings:   {"other repositories of the owner", "siblings"},
	ci.NextOfName: {"whoever takes the name once it is free", "next_of_name"},
	ci.Nobody:     {"", "nobody"},
}

// exchanged exchanges the ID token, and returns what a second token is made
// with.
func (c *check) exchanged() secret.String {
	switch {
	case c.unreachable:
		c.skip("exchange", unreached)
		return secret.String{}
	case c.failed("id_token"):
		c.skip("exchange", "there is no ID token")
		return secret.String{}
	}
	t, err := c.exchangeFound()
	if err != nil {
		c.fail("exchange", err)
		return secret.String{}
	}
	c.first, c.made, c.bearer = t, t, t.Access
	detail := described(t) + ", revocable"
	if !t.Revocable {
		detail += " only if the identity mapping is self_revocable"
	}
	c.add(row{name: "exchange", detail: detail, token: &t})
	return t.Access
}

// created makes the token that the job would get. Where only the default asks
// for a second one, mint does without it.
func (c *check) created(bearer secret.String) {
	name := "token"
	if c.cfg.OIDC() {
		name = "second_token"
	}
	switch {
	case c.cfg.OIDC() && !c.job.second:
		c.skip(name, "not requested: force-revocable is false")
		return
	case c.unreachable:
		c.skip(name, unreached)
		return
	case bearer.IsZero():
		c.skip(name, "there is no exchanged token")
		return
	}
	t, err := c.make(bearer, c.first)
	switch jfrog.KindOf(err) {
	case jfrog.Unauthenticated, jfrog.Expired, jfrog.Revoked:
	default:
		c.bearer = bearer
	}
	switch {
	case err == nil:
		c.made = t
		c.add(row{name: name, detail: described(t) + ", " + revocable(t), token: &t})
	case c.cfg.OIDC() && !c.cfg.NeedsSecond() && jfrog.Refused(err):
		c.notice(name, err)
		last := &c.rows[len(c.rows)-1]
		last.lines = append(last.lines, "mint hands on the exchanged one. "+onlyExchanged(c.ci.Variable, c.first))
	default:
		c.fail(name, err)
	}
}

// verified says which services accept the token that the job would get.
func (c *check) verified() {
	for _, service := range c.cfg.Verify {
		name := "verify " + service
		if c.made.Access.IsZero() {
			c.askOfStored(name, service)
			continue
		}
		switch err := c.ask(service, c.made); {
		case unverified(service, err):
			c.notice(name, err)
		case err != nil:
			c.fail(name, err)
		default:
			c.add(row{name: name, detail: "the token is accepted"})
		}
	}
}

// askOfStored asks Connect about the stored token itself, if there is no other: one
// that was made on Connect's own page is unknown to Access, and no API makes or
// revokes it.
func (c *check) askOfStored(name, service string) {
	if which, _, _ := config.ParseService(service); which != config.Connect || c.cfg.AccessToken.IsZero() {
		c.skip(name, "there is no token")
		return
	}
	if err := c.ask(service, jfrog.Token{Access: c.cfg.AccessToken}); err != nil {
		c.fail(name, err)
		return
	}
	c.add(row{name: name, detail: "Connect accepts the stored token itself"})
}

// about says what the platform says about itself. A credential that it has just
// refused is not sent again: accounts were locked for that
// (https://github.com/jfrog/jfrog-cli/issues/1793).
func (c *check) about() {
	if c.unreachable {
		c.skip("version", unreached)
		c.skip("service_ids", unreached)
		return
	}
	version, err := c.jfrog.Version(c.time.Work, c.bearer)
	if err != nil || version == "" {
		c.skip("version", "the platform does not tell: "+reason(err))
	} else {
		c.add(row{name: "version", detail: "Artifactory " + cut(version, maxClaim)})
	}
	r := row{name: "service_ids", detail: accessID(c.made), lines: []string{
		"Artifactory tells its own to an administrator alone: there is no credential to ask with",
	}}
	if !c.bearer.IsZero() {
		id, err := c.jfrog.ServiceID(c.time.Work, c.bearer)
		if r.lines[0] = "Artifactory tells its own to an administrator alone: " + reason(err); err == nil {
			r.detail, r.lines = strings.TrimSpace(id+" "+r.detail), nil
		}
	}
	if r.detail == "" {
		c.skip(r.name, r.lines[0])
		return
	}
	c.add(r)
}

// reason is the text of an error of a request that was made for information.
func reason(err error) string {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Reason()
	}
	return "no value"
}

// accessID is the service id of JFrog Access, which is in each of its tokens.
func accessID(t jfrog.Token) string {
	claims, _ := jwt.Peek(t.Access.Reveal())
	for _, claim := range []string{claims.String("iss"), claims.String("sub")} {
		if id, _, _ := strings.Cut(claim, "/"); strings.HasPrefix(id, "jfac@") {
			return cut(id, maxClaim)
		}
	}
	return ""
}

// revocations says what became of what was made.
func (c *check) revocations() {
	for _, e := range c.events {
		what := "the token " + orNone(e.ID) + ": "
		switch {
		case e.Role == lease.Exchanged && c.job.second:
			what = "the exchanged token " + orNone(e.ID) + ": "
		case e.Role == lease.Orphan:
			what = orphan(e)
		}
		r := row{name: "revocation", detail: what}
		switch e.Outcome {
		case "":
			r.outcome, r.detail = noticed, e.Err.Error()
		case lease.Unknown:
			c.sayUnknown(e)
			r.outcome, r.detail = noticed, "the outcome of a request is unknown: a token may be left until it expires"
		case jfrog.FailedRevoke:
			// mint itself would have worked, so that this is what the input says.
			if r.outcome = noticed; c.cfg.RevokeFailure == "fail" {
				r.outcome = failed
			}
			r.err, r.change = e.Err, c.hint(e.Err, nil)
			r.detail += outcome(e)
		case jfrog.CannotRevoke:
			if r.detail += outcome(e); e.Role != lease.Exchanged || c.made.Exchanged {
				r.outcome, r.lines = noticed, []string{whyNot}
			}
		default:
			r.detail += outcome(e)
		}
		c.add(r)
	}
}

// failure is the first thing that keeps mint from working.
func (c *check) failure() error {
	for _, r := range c.rows {
		if r.outcome == failed {
			return &explained{fmt.Errorf("mint would fail: %w", r.err), r.change}
		}
	}
	return nil
}
