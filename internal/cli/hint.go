package cli

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// hint says what to do about a failure: in lines, each a sentence or a line of
// a snippet to paste, and under a heading of docs/troubleshooting.md.
type hint struct {
	topic string // the heading's anchor
	lines []string
}

// troubleshooting is the page that has the topics of hints as headings.
const troubleshooting = "https://github.com/ephemeral-ci/jfrog-token/blob/main/docs/troubleshooting.md#"

// all returns the lines and where more is said; none for the zero hint.
func (h hint) all() []string {
	if h.topic == "" {
		return h.lines
	}
	return append(slices.Clone(h.lines), "See "+troubleshooting+h.topic)
}

// after returns lines about a failure, and behind them all of the hint.
func (h hint) after(lines ...string) []string { return slices.Concat(lines, h.all()) }

func say(topic, format string, args ...any) hint {
	return hint{topic, []string{fmt.Sprintf(format, args...)}}
}

func advised(a ci.Advice) hint { return hint{a.Topic, a.Lines} }

// explained is an error with what to do about it.
type explained struct {
	error
	hint hint
}

func (e *explained) Unwrap() error { return e.error }

func (j *job) explain(err error) error {
	if err == nil {
		return nil
	}
	return &explained{err, j.hint(err, j)}
}

// hint returns what to do about a failure. j is nil outside of a job.
func (r *run) hint(err error, j *job) hint {
	var missing *ci.MissingError
	var e *wire.Error
	var refusal *jfrog.Error
	switch {
	case errors.As(err, &missing), errors.Is(err, ci.ErrNoIDToken):
		return advised(r.ci.IDTokenAdvice())
	case errors.Is(err, ci.ErrAudience):
		return say(ci.NoIDToken, "Set %s to the audience that the integration has in JFrog.",
			r.inputs.Name("oidc-audience"))
	case errors.Is(err, ci.ErrExpiring):
		return say("the-id-token-has-expired", "Have the CI issue the ID token right before this step.")
	case !errors.As(err, &e):
		return hint{}
	}
	if cut := (*jfrog.CutError)(nil); errors.As(err, &cut) && e.Retryable() {
		return say("a-list-that-was-cut", "The rest of the list did not come. Run the command again; if that takes "+
			"longer than %s, raise it, or list less with %s.", r.inputs.Name("timeout"), r.inputs.Name("description-prefix"))
	}
	isJFrog := errors.As(err, &refusal)
	if jfrog.KindOf(err) == jfrog.Other || e.HTML || e.Location != "" {
		at := access
		if isJFrog {
			at = peerOf(refusal.Op)
		}
		if h := r.hintNetwork(e, isJFrog, at); h.topic != "" {
			return h
		}
	}
	switch {
	case !isJFrog:
		return say("the-ci-refuses-an-id-token", "The CI refused to issue an ID token. Does it allow the "+
			"audience? Is the job still running?")
	case j == nil:
		return hint{}
	}
	return j.hintRefusal(refusal)
}

// hintInputs is for inputs that are wrong.
func (r *run) hintInputs(e *config.Error) hint {
	switch {
	case e.APIKey:
		return say("an-api-key", "JFrog's API keys reached their end of life. In JFrog, generate an identity "+
			"token in your user profile, and store that one.")
	case e.NoCredential != "":
		lines := []string{fmt.Sprintf("If %s is set from a secret: is the secret there, and may this job read "+
			"it?", e.NoCredential)}
		a := r.ci.SecretAdvice()
		return hint{a.Topic, append(lines, a.Lines...)}
	}
	return hint{topic: "a-wrong-input"}
}

// peer is the service that a request was for, and how its URL is named.
type peer struct{ name, path, input, own, example string }

var (
	access      = peer{"JFrog Access", "/access/api", "url", "the platform's own", "https://acme.jfrog.io"}
	artifactory = peer{"Artifactory", "/artifactory/api", "url", "the platform's own", "https://acme.jfrog.io"}
	connect     = peer{"JFrog Connect", "/api/v2", "connect-url", "Connect's own", "https://api.connect.jfrog.io"}
)

func peerOf(op jfrog.Op) peer {
	switch op {
	case jfrog.OpVerifyArtifactory:
		return artifactory
	case jfrog.OpVerifyConnect:
		return connect
	}
	return access
}

// hintNetwork is for failures that have nothing to do with the credential.
func (r *run) hintNetwork(e *wire.Error, isJFrog bool, at peer) hint {
	url := r.inputs.Name(at.input)
	switch {
	case wire.IsCertificate(e.Err):
		return say("a-certificate-that-is-not-trusted", "If a company's own authority signed the certificate, "+
			"set %s to that authority's certificate. If the name or the time is wrong, check %s and this "+
			"machine's clock.", r.inputs.Name("ca-cert"), url)
	case wire.IsPlain(e.Err):
		return say("a-port-that-speaks-no-tls", "The port does not speak TLS. Correct the port in %s, or "+
			"reach the platform where it serves https.", url)
	case wire.IsAlert(e.Err):
		return say("no-version-of-tls-in-common", "The two sides agree on no version of TLS: jfrog-token "+
			"speaks TLS 1.2 and 1.3, and has no client certificate to show.")
	case wire.IsProxy(e.Err):
		return say("the-proxy", "The proxy that HTTPS_PROXY names cannot be reached, or refuses. Correct the "+
			"variable, or name %s in NO_PROXY.", e.Host)
	case wire.IsUnresolved(e.Err):
		return say("a-host-that-does-not-resolve", "No such host: %s. Check %s, and whether this machine can "+
			"resolve the name.", e.Host, url)
	case e.HTML:
		return say("an-html-page-instead-of-json", "Something other than %s answered. Is %s %s, such as %s, "+
			"with no gateway or sign-in page before it?", at.name, url, at.own, at.example)
	case e.Location != "":
		return say("a-sign-in-page-before-jfrog", "Redirects are not followed, as the credential would go "+
			"along. If a sign-in page stands before JFrog, let requests to %s pass it; if the "+
			"platform moved, set %s to where it is.", at.path, url)
	case e.Status == http.StatusTooManyRequests:
		return say("rate-limited", "JFrog limits the rate of requests. Run the job again later, or raise %s.",
			r.inputs.Name("timeout"))
	case e.Err != nil && e.Status != 0 && isJFrog:
		return say("an-unexpected-response", "The response at %s is not from %s, or not whole. Is it %s "+
			"URL?", url, at.name, at.own)
	case e.Status == 0 || e.Status >= 500 || e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooEarly:
		return say("the-other-side-does-not-respond", "The trouble is on the way or at the other end, not "+
			"with the inputs. Run the job again; if it lasts, check the platform's status and the network between.")
	}
	return hint{}
}

// hintRefusal is for what JFrog itself refused.
func (j *job) hintRefusal(r *jfrog.Error) hint {
	v := j.inputs.Name
	if r.Op == jfrog.OpList && (r.Kind == jfrog.Invalid || r.Kind == jfrog.NoEndpoint) {
		return say("a-platform-without-the-endpoint", "The platform cannot list tokens. That needs JFrog Artifactory "+
			"7.21.1 or later, and %s must be the platform's own.", v("url"))
	}
	if r.Op == jfrog.OpPair {
		switch r.Kind {
		case jfrog.Forbidden:
			return say("a-pairing-token-that-is-not-allowed", "Only an administrator's credential can create a pairing token.")
		case jfrog.NoEndpoint:
			return say("an-unknown-use-case-for-pairing", "The service does not know that use case. Compare %s with JFrog's "+
				"documentation; pairing tokens need JFrog 7.29.7 or later.", v("pairing"))
		}
	}
	if r.Op.Verifies() {
		return j.hintVerify(r)
	}
	if r.Op == jfrog.OpRefresh {
		return j.hintRefresh(r.Kind)
	}
	switch r.Kind {
	case jfrog.NoRefreshable:
		return j.hintNoRefreshable()
	case jfrog.WrongAudience:
		return say("the-audience-of-the-id-token-is-refused", "The ID token's audience is %s. Set %s to the "+
			"audience that the integration has in JFrog, or set that one to this.",
			cut(strings.Join(j.ids.Claims().Strings("aud"), ", "), maxClaim), v("oidc-audience"))
	case jfrog.NoKeys:
		return say("the-keys-of-the-issuer-cannot-be-read", "JFrog could not read the keys of the issuer %s. "+
			"The integration's provider URL must be exactly that, without a slash at its end, and JFrog must "+
			"be able to reach it.", cut(j.ids.Claims().String("iss"), maxClaim))
	case jfrog.IDTokenExpired:
		return j.hintIDTokenExpired()
	case jfrog.BadSignature:
		return say("the-signature-of-the-id-token-is-refused", "JFrog did not accept the ID token's "+
			"signature. The integration's provider URL must be the issuer of the ID token, %s.",
			cut(j.ids.Claims().String("iss"), maxClaim))
	case jfrog.NoLicense:
		return say("no-license-for-oidc", "OIDC needs an Enterprise X or Enterprise+ license of JFrog. "+
			"Without one, use %s.", v("access-token"))
	case jfrog.NoMapping:
		return say("an-unknown-identity-mapping", "The integration %s has no identity mapping of that name. "+
			"Correct %s, or leave it out: JFrog then takes the first mapping that matches.",
			j.cfg.ProviderName, v("identity-mapping-name"))
	case jfrog.NoProvider:
		return say("an-unknown-oidc-integration", "JFrog has no OIDC integration named %s. Compare %s with "+
			"Administration, General Management, Manage Integrations; upper and lower case differ.",
			j.cfg.ProviderName, v("oidc-provider-name"))
	case jfrog.NoMatch:
		return j.hintNoMatch()
	case jfrog.NoUser:
		return say("an-identity-mapping-without-a-user", "The identity mapping names no user, and JFrog "+
			"creates a token only for a user. Set the user name in the mapping, or %s.", v("username"))
	case jfrog.NoGroup:
		from := "scope"
		if j.inputs.IsSet("groups") {
			from = "groups"
		}
		return say("a-group-that-does-not-exist", "JFrog does not create a token with %s. Compare %s with the "+
			"groups in JFrog, upper and lower case included; without administrator rights, only groups of the "+
			"user can be requested.", j.asked.Scope, v(from))
	case jfrog.NoEndpoint:
		if r.Op == jfrog.OpExchange {
			return say("a-platform-without-the-endpoint", "The platform does not know the endpoint. OIDC "+
				"needs JFrog Artifactory 7.77.3 or later (7.73.1 in the cloud) with an Enterprise license. "+
				"Without it, use %s.", v("access-token"))
		}
		return say("a-platform-without-the-endpoint", "The platform does not know the endpoint. Creating "+
			"tokens needs JFrog Artifactory 7.21.1 or later, and %s must be the platform's own.", v("url"))
	case jfrog.NarrowAudience:
		return j.hintAudience()
	case jfrog.Invalid:
		return say("a-parameter-that-jfrog-does-not-accept", "JFrog does not accept one of these: %s. Scopes "+
			"look like applied-permissions/user, applied-permissions/groups:readers or artifact:repo/path:r.",
			j.requested())
	case jfrog.Expired, jfrog.Revoked, jfrog.Unauthenticated:
		return j.hintCredential()
	case jfrog.Forbidden:
		return j.hintForbidden(r.Op)
	}
	return hint{}
}

// hintVerify is for a service that does not accept the job's token.
func (j *job) hintVerify(r *jfrog.Error) hint {
	v := j.inputs.Name
	audience := v("audience")
	if j.cfg.OIDC() && j.cfg.Audience == "" {
		audience = "the identity mapping's audience"
	}
	switch {
	case r.Kind == jfrog.NoProject:
		return say("a-project-that-connect-does-not-know", "JFrog Connect has no such project that the user of the "+
			"token may see. Compare the key after connect: in %s with the project's in JFrog.", v("verify"))
	case r.Kind == jfrog.Other:
		return hint{}
	case r.Op == jfrog.OpVerifyConnect && r.Kind == jfrog.NoEndpoint:
		return say("a-platform-without-the-endpoint", "JFrog Connect does not know the endpoint. %s must be that of its "+
			"API, without /api/v2.", v("connect-url"))
	case r.Op == jfrog.OpVerifyConnect:
		return say("a-token-that-connect-refuses", "JFrog Connect does not accept the token. It takes that of a user with "+
			"permissions in Connect, or of an administrator: set %s to applied-permissions/user or "+
			"applied-permissions/admin, and %s to *@*.", v("scope"), audience)
	case r.Kind == jfrog.NoEndpoint:
		return say("a-platform-without-the-endpoint", "There is no Artifactory at the platform. Is %s the platform's own?",
			v("url"))
	case r.Op == jfrog.OpVerifyArtifactory:
		return say("a-token-that-artifactory-refuses", "Artifactory does not accept the token. Set %s to *@*, or add "+
			"jfrt@* to it, and name all groups in one scope. On an edge node, or in a circle of trust without federation, "+
			"set %s to false: a token that can be revoked is known only where it was issued.", audience, v("force-revocable"))
	}
	return say("a-token-that-access-refuses", "JFrog Access does not accept the token that it has just issued. Set %s to "+
		"*@*, or add jfac@* to it, and name all groups in one scope.", audience)
}

// hintRefresh is for a refresh that JFrog refused: the old pair is what it was.
func (j *job) hintRefresh(k jfrog.Kind) hint {
	access, refresh := j.inputs.Name("access-token"), j.inputs.Name("refresh-token")
	switch k {
	case jfrog.UsedRefresh, jfrog.Revoked:
		return say("a-refresh-token-that-was-used", "A refresh token works once, and somebody used this one. JFrog's CLI "+
			"does so by itself with a pair that it was configured with. Set %s and %s to the newest pair, and let only one "+
			"side refresh it.", access, refresh)
	case jfrog.Expired:
		at := ""
		if exp := j.bearer().Time("exp"); !exp.IsZero() {
			at = " at " + exp.Format(time.RFC3339)
		}
		return say("an-access-token-that-expired-before-its-refresh", "The access token expired%s. JFrog refreshes an expired "+
			"token only within a grace period, refresh-expiry, if the platform has one. Refresh the token before it expires.", at)
	case jfrog.ForeignRefresh, jfrog.Unauthenticated:
		return say("a-refresh-token-of-another-platform", "JFrog refreshes only what it issued itself. Is %s the platform "+
			"that issued the pair, and is %s a refresh token?", j.inputs.Name("url"), refresh)
	case jfrog.NoEndpoint:
		return say("a-platform-without-the-endpoint", "The platform does not refresh tokens at this endpoint. That needs "+
			"JFrog Artifactory 7.37.9 or later, and %s must be the platform's own.", j.inputs.Name("url"))
	case jfrog.Forbidden:
		return say("a-refresh-token-of-another-user", "JFrog refreshes a token for its own user alone. Set %s to the access "+
			"token that came with %s.", access, refresh)
	case jfrog.NarrowAudience:
		return j.hintAudience()
	}
	return hint{}
}

func (j *job) hintNoRefreshable() hint {
	return say("refreshable-tokens-are-not-allowed", "The platform issues no refreshable tokens (allow-refreshable in the "+
		"configuration of Access). Leave out %s, and set %s to how long the job takes.", j.inputs.Name("refreshable"),
		j.inputs.Name("expires-in"))
}

// hintOutlived is what to do if the command of exec took longer than its token
// was valid.
func (j *job) hintOutlived() hint {
	if j.cfg.OIDC() && j.cfg.ExpiresIn == 0 {
		return say("a-command-that-outlives-its-token", "Set %s to more than the command takes, or have the identity "+
			"mapping issue tokens that are valid that long.", j.inputs.Name("expires-in"))
	}
	return say("a-command-that-outlives-its-token", "Set %s to more than the command takes.", j.inputs.Name("expires-in"))
}

// bearer is the token that JFrog refused, as far as it is known: the stored one.
func (j *job) bearer() jwt.Claims {
	c, _ := jwt.Peek(j.cfg.AccessToken.Reveal()) // a reference token has none
	return c
}

func (j *job) hintAudience() hint {
	if j.cfg.OIDC() {
		return say("the-audience-of-the-credential-is-too-narrow", "JFrog Access does not accept the "+
			"exchanged token. Add jfac@* to the audience of the identity mapping, or set it to *@*: without "+
			"it, the exchanged token can create no other.")
	}
	return say("the-audience-of-the-credential-is-too-narrow", "JFrog Access does not accept the stored "+
		"token, as its audience is too narrow. Make one whose audience includes jfac@* or *@*, and store that "+
		"one for %s.", j.inputs.Name("access-token"))
}

// hintCredential is for a bearer that JFrog does not accept.
func (j *job) hintCredential() hint {
	if j.cfg.OIDC() {
		return j.hintAudience()
	}
	claims, where := j.bearer(), j.inputs.Name("access-token")
	if aud := strings.Join(claims.Strings("aud"), " "); aud != "" && !jfrog.ReachesAccess(aud) {
		return j.hintAudience()
	}
	if exp := jfrog.ExpiryOf(j.cfg.AccessToken); !exp.IsZero() && exp.Before(time.Now()) {
		return say("the-stored-token-has-expired-or-was-revoked", "The stored token expired at %s. Make a new "+
			"one, and store it for %s.", exp.Format(time.RFC3339), where)
	}
	return say("the-stored-token-has-expired-or-was-revoked", "JFrog does not accept the stored token: it has "+
		"expired, was revoked, or is of another platform than %s. Make a new one, and store it for %s.",
		j.inputs.Name("url"), where)
}

// hintForbidden is for a bearer that JFrog knows, and that may not do what it
// was to do.
func (j *job) hintForbidden(op jfrog.Op) hint {
	if op == jfrog.OpList {
		return say("the-scope-of-the-credential-is-too-narrow", "The credential may not list tokens. An "+
			"administrator's lists all, a user's the user's own.")
	}
	claims := j.bearer()
	if aud := strings.Join(claims.Strings("aud"), " "); aud != "" && !jfrog.ReachesAccess(aud) {
		return j.hintAudience()
	}
	if has := cut(claims.String("scp"), maxScope); j.asked.Scope == "" && has != "" && has != userScope && has != adminScope {
		return say("the-scope-of-the-credential-is-too-narrow", "The stored token's own scope is %s, and "+
			"without %s the new token would be for all that its user may do. Set %s to that scope, or to a "+
			"part of it.", has, j.inputs.Name("scope"), j.inputs.Name("scope"))
	}
	credential := "the stored token"
	if j.cfg.OIDC() {
		credential = "the exchanged token"
	}
	return say("a-scope-or-an-expiry-that-is-not-allowed", "With %s, JFrog does not create this token: %s. "+
		"Without administrator rights, a token is only for oneself, of no more scope than one has, and of no "+
		"longer lifetime than the platform allows.", credential, j.requested())
}

// The scopes of all that a user may do: https://jfrog.com/help/r/jfrog-rest-apis/create-token
const (
	userScope  = "applied-permissions/user"
	adminScope = "applied-permissions/admin"
)

func (j *job) hintIDTokenExpired() hint {
	exp := j.ids.Claims().Time("exp")
	if exp.IsZero() || exp.After(time.Now()) {
		return say("the-id-token-has-expired", "By JFrog's clock the ID token has expired, or is not valid "+
			"yet. It was valid by this machine's clock: one of the two is wrong.")
	}
	return say("the-id-token-has-expired", "The ID token expired at %s. Have the CI issue it right before "+
		"this step.", exp.Format(time.RFC3339))
}

// hintNoMatch shows what a mapping can match on, and one that does.
func (j *job) hintNoMatch() hint {
	claims := j.ids.Claims()
	if exp := claims.Time("exp"); !exp.IsZero() && exp.Before(time.Now()) {
		return j.hintIDTokenExpired()
	}
	lines := []string{"No identity mapping of the integration matches this job, or the ID token was not " +
		"accepted. The claims of the ID token:"}
	if lines = append(lines, claimLines(claims)...); j.shown {
		lines = []string{"No identity mapping of the integration matches this job, or the ID token was not " +
			"accepted. Compare the claims of the mappings with those of the ID token."}
	}
	if m := j.mapping(claims); m != "" {
		lines = append(lines, "The claims of an identity mapping that matches this repository, as JSON to paste:", "  "+m)
	}
	if j.cfg.ProjectKey == "" {
		lines = append(lines, "A mapping that belongs to a project needs "+j.inputs.Name("project-key")+".")
	}
	return hint{"no-identity-mapping-matches", lines}
}

// requested lists what was requested and JFrog may have refused.
func (j *job) requested() string {
	var list []string
	lifetime := ""
	if j.asked.ExpiresIn > 0 {
		lifetime = span(time.Duration(j.asked.ExpiresIn) * time.Second)
	}
	for _, w := range []struct{ name, value string }{
		{"scope", cut(j.asked.Scope, maxScope)}, {"expires-in", lifetime},
		{"username", j.asked.Username}, {"audience", j.asked.Audience}, {"project-key", j.asked.ProjectKey},
	} {
		if w.value != "" {
			list = append(list, w.name+" "+w.value)
		}
	}
	return strings.Join(list, ", ")
}
