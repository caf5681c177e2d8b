package cli

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// explained is an error with what to do about it.
type explained struct {
	error
	hint []string
}

func (e *explained) Unwrap() error { return e.error }

func (j *job) explain(err error) error {
	if err == nil {
		return nil
	}
	return &explained{err, j.hint(err, j)}
}

// hint says what to do, a sentence or a snippet to paste a line. j is nil
// outside of a job.
func (r *run) hint(err error, j *job) []string {
	var missing *ci.MissingError
	var e *wire.Error
	var refusal *jfrog.Error
	switch {
	case errors.As(err, &missing), errors.Is(err, ci.ErrNone):
		return r.ci.IDTokenAdvice()
	case errors.Is(err, ci.ErrExpiring):
		return []string{"Have the CI issue the ID token right before this step."}
	case !errors.As(err, &e):
		return nil
	}
	isJFrog := errors.As(err, &refusal)
	if h := hintNetwork(e, isJFrog); h != nil && jfrog.KindOf(err) != jfrog.NoKeys {
		return h
	}
	switch {
	case !isJFrog:
		return []string{"The CI refused to issue an ID token. Is the audience one that it allows? Is the job still running?"}
	case j == nil:
		return nil
	}
	return j.hintRefusal(refusal)
}

// hintNetwork is for failures that have nothing to do with the credential.
func hintNetwork(e *wire.Error, isJFrog bool) []string {
	var proxy *wire.ProxyError
	switch {
	case wire.IsCertificate(e.Err):
		return []string{"The certificate is not trusted. If a company's own authority signed it, set ca-cert to that authority's certificate; if the name or the time is wrong, check url and this machine's clock."}
	case wire.IsAlert(e.Err):
		return []string{"The two sides agree on no version of TLS: this program speaks TLS 1.2 and 1.3, and has no client certificate to show."}
	case errors.As(e.Err, &proxy) || wire.IsProxy(e.Err):
		return []string{"The proxy of HTTPS_PROXY or HTTP_PROXY cannot be reached or refuses. Correct the variable, or name the host in NO_PROXY."}
	case wire.IsUnresolved(e.Err):
		return []string{fmt.Sprintf("No such host: %s. Check url, and whether this machine can resolve that name.", e.Host)}
	case e.HTML:
		return []string{"Got an HTML page instead of JSON. Is url the platform's own, such as https://acme.jfrog.io, with no gateway or sign-in page before it?"}
	case e.Location != "":
		return []string{"Redirects are not followed, as the credential would go along. Set url to where the platform really is."}
	case e.Status == http.StatusTooManyRequests:
		return []string{"Rate limited. Run the job again later, or raise timeout."}
	case e.Status == 0 || e.Status >= 500 || e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooEarly:
		return []string{"The trouble is on the way or at the other end, not with the inputs. Run the job again; if it lasts, look at the platform's status and at the network between."}
	case e.Err != nil && isJFrog:
		return []string{"The response at url is not from JFrog Access, or not whole. Is url the platform's own, without the path of a repository?"}
	}
	return nil
}

// hintRefusal is for what JFrog itself refused.
func (j *job) hintRefusal(r *jfrog.Error) []string {
	credential := "access-token"
	if j.cfg.OIDC() {
		credential = "the exchanged token"
	}
	one := func(format string, args ...any) []string { return []string{fmt.Sprintf(format, args...)} }
	switch r.Kind {
	case jfrog.WrongAudience:
		return one("The ID token's audience is %s. Set oidc-audience to the one that the integration has in JFrog, or set that one to this.", strings.Join(j.ids.Claims().Strings("aud"), ", "))
	case jfrog.NoKeys:
		return one("JFrog could not read the keys of the issuer %s. The integration's provider URL must be exactly that, without a slash at its end, and JFrog must be able to reach it.", j.ids.Claims().String("iss"))
	case jfrog.NoMapping:
		return one("The integration %s has no identity mapping of that name. Correct identity-mapping-name, or leave it out: JFrog then takes the first mapping that matches.", j.cfg.ProviderName)
	case jfrog.NoProvider:
		return one("JFrog has no OIDC integration named %s. Compare with Administration, General Management, Manage Integrations; upper and lower case differ.", j.cfg.ProviderName)
	case jfrog.NoMatch:
		return j.hintNoMatch()
	case jfrog.NoUser:
		return one("The identity mapping names no user, and JFrog creates a token for a user only. Set the user name in the mapping, or username.")
	case jfrog.NoEndpoint:
		if r.Op == jfrog.OpExchange {
			return one("The platform does not know the endpoint: OIDC takes JFrog 7.77.3 or later (7.73.1 in the cloud) with an Enterprise license. Without, use access-token.")
		}
		return one("The platform does not know the endpoint: creating tokens takes JFrog Artifactory 7.21.1 or later, and url must be the platform's own.")
	case jfrog.Expired:
		return one("JFrog says that %s has expired. Make a new one, and store it where access-token reads it.", credential)
	case jfrog.Forbidden, jfrog.Unauthenticated, jfrog.Revoked:
	case jfrog.Invalid:
		return one("JFrog does not accept one of these: %s. Scopes look like applied-permissions/user, applied-permissions/groups:readers or artifact:repo/path:r.", j.requested())
	default:
		return nil
	}
	switch {
	case r.Op == jfrog.OpList && (r.Kind == jfrog.Forbidden || j.cfg.OIDC()):
		return one("The credential may not list tokens. An administrator's sees all, a user's the user's own; its audience must include jfac@* or *@*.")
	case r.Kind == jfrog.Forbidden:
		return one("With %s JFrog creates no such token: %s. Without administrator rights only a token for oneself is allowed, with no more scope than one has and no longer lifetime than the platform's limit.", credential, j.requested())
	case j.cfg.OIDC():
		return one("JFrog Access does not accept the exchanged token. Does the identity mapping's audience include jfac@* or *@*? Without that, no narrower token can be created.")
	}
	return one("JFrog does not accept access-token: it has expired, was revoked, or is of another platform than url. Make a new one, and store it where access-token reads it.")
}

func (j *job) hintNoMatch() []string {
	claims := j.ids.Claims()
	if exp := claims.Time("exp"); !exp.IsZero() && exp.Before(time.Now()) {
		return []string{fmt.Sprintf("The ID token expired at %s, by this machine's clock. Hand in a fresh one.", exp.Format(time.RFC3339))}
	}
	lines := []string{"No identity mapping of the integration matches this job, or the ID token was not accepted. Mappings can match on these claims of it:"}
	lines = append(lines, claimLines(claims)...)
	if j.cfg.ProjectKey == "" {
		lines = append(lines, "A mapping that belongs to a project needs project-key.")
	}
	return lines
}

// claimNames are those that identity mappings match on. All of them are about
// the workflow, and public wherever the repository is.
var claimNames = []string{
	"sub", "aud", "iss", "repository", "repository_id", "repository_owner", "repository_owner_id", "ref", "environment", "job_workflow_ref",
}

func claimLines(c jwt.Claims) []string {
	var lines []string
	for _, name := range claimNames {
		for _, v := range c.Strings(name) {
			if r := []rune(v); len(r) > 200 {
				v = string(r[:200]) + "…"
			}
			lines = append(lines, fmt.Sprintf("  %s: %s", name, v))
		}
	}
	return lines
}

// requested lists what was asked of JFrog that it may have refused.
func (j *job) requested() string {
	var list []string
	for _, w := range []struct{ name, value string }{
		{"scope", j.asked.Scope}, {"expires-in", span(time.Duration(j.asked.ExpiresIn) * time.Second)},
		{"username", j.asked.Username}, {"audience", j.asked.Audience}, {"project-key", j.asked.ProjectKey},
	} {
		if w.value != "" {
			list = append(list, w.name+" "+w.value)
		}
	}
	return strings.Join(list, ", ")
}
