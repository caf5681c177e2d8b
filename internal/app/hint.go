package app

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/idtoken"
	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// step is what was being done when something failed.
type step string

const (
	gettingIDToken step = "get ID token"
	exchanging     step = "exchange ID token"
	creating       step = "create token"
	revoking       step = "revoke token"
	listing        step = "list tokens"
)

// failure is an error and the step it ended.
type failure struct {
	step step
	err  error
}

func doing(s step, err error) error { return &failure{s, err} }

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.step, f.err) }
func (f *failure) Unwrap() error { return f.err }

// explained is an error with what to do about it.
type explained struct {
	error
	hint []string
}

func (e *explained) Unwrap() error { return e.error }

func (m *minting) explain(err error) error { return &explained{err, hint(err, m)} }

// hint says what to do, a sentence or a snippet to paste a line. m is nil
// outside of mint.
func hint(err error, m *minting) []string {
	var f *failure
	if !errors.As(err, &f) {
		return nil
	}
	var missing *idtoken.MissingError
	if errors.As(err, &missing) {
		return m.hintPermission()
	}
	if errors.Is(err, idtoken.ErrNone) {
		return []string{m.hintSource()}
	}
	if errors.Is(err, idtoken.ErrExpiring) {
		return []string{"Have the CI issue the ID token right before this step."}
	}
	var e *wire.Error
	if !errors.As(err, &e) {
		return nil
	}
	if h := hintNetwork(f.step, e); h != nil {
		return h
	}
	switch f.step {
	case gettingIDToken:
		return []string{"The CI refused to issue an ID token. Is the audience one that it allows? Is the job still running?"}
	case exchanging:
		return m.hintExchange(e)
	case creating:
		return m.hintCreate(e)
	case listing:
		if e.Status == http.StatusUnauthorized && !m.cfg.OIDC() {
			return m.hintCreate(e)
		}
		if e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
			return []string{"The credential may not list tokens. An administrator's sees all, a user's the user's own; its audience must include jfac@* or *@*."}
		}
	}
	return nil
}

// hintSource says how an ID token is had in a CI that hands out none by
// itself.
func (m *minting) hintSource() string {
	switch m.ci.Name() {
	case "GitLab":
		return "In GitLab a job declares it: id_tokens, with JFROG_TOKEN_ID_TOKEN as its name and the integration's audience as aud."
	case "CircleCI":
		return "In CircleCI a job has CIRCLE_OIDC_TOKEN_V2 where it uses at least one context."
	case "Bitbucket":
		return "In Bitbucket a step has BITBUCKET_STEP_OIDC_TOKEN where it says oidc: true."
	case "Azure DevOps":
		return "In Azure DevOps a job has SYSTEM_OIDCREQUESTURI; map SYSTEM_ACCESSTOKEN: $(System.AccessToken) into the step's env."
	case "Jenkins":
		return "In Jenkins the plugin OpenID Connect Provider makes ID tokens: bind its credential to JFROG_TOKEN_ID_TOKEN with withCredentials."
	case "Codefresh":
		return "In Codefresh the step obtain-oidc-id-token makes ID_TOKEN."
	case "Harness":
		return "In Harness the ID token is in PLUGIN_OIDC_TOKEN_ID where the step uses an OIDC connector, or the stage sets it."
	case "Drone", "Woodpecker":
		return m.ci.Name() + " issues no ID tokens. Use access-token, from a secret."
	}
	return "Hand it in with id-token, from wherever the CI keeps it, or use access-token."
}

func (m *minting) hintPermission() []string {
	switch {
	case m.ci.Name() == "Azure DevOps":
		return []string{"Azure DevOps gives the job's own token to a step that asks for it, in the step's env:", "  SYSTEM_ACCESSTOKEN: $(System.AccessToken)"}
	case m.ci.Name() == "Buildkite":
		return []string{"Buildkite's agent gives these to a job's own process. In a container, pass them on."}
	case m.ci.Name() == "Gitea":
		return []string{"Gitea issues no ID tokens yet. Use access-token, from a secret."}
	case m.ci.Name() == "act":
		return []string{"act issues no ID tokens. Use access-token, or set ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN for an issuer of your own."}
	case m.ci.FromFork():
		return []string{"This run is for a pull request from a fork or from Dependabot: " + m.ci.Name() + " gives it no ID token and no secrets, by design. Skip the step with `if: github.event.pull_request.head.repo.full_name == github.repository`."}
	case m.ci.Name() == "Forgejo":
		return []string{"Forgejo gives a job an ID token only where the workflow or the job asks for it:", "  enable-openid-connect: true"}
	}
	return []string{"The job may not ask for an ID token. Give the job, or the workflow, the permission:", "  permissions:", "    id-token: write", "    contents: read"}
}

// hintNetwork is for failures that have nothing to do with the credential.
func hintNetwork(s step, e *wire.Error) []string {
	var proxy *wire.ProxyError
	switch {
	case wire.IsCertificate(e.Err):
		return []string{"The certificate is not trusted. If a company's own authority signed it, give that one's certificate with ca-cert; if the name or the time is wrong, check url and this machine's clock."}
	case wire.IsAlert(e.Err):
		return []string{"The two sides agree on no TLS: this program takes TLS 1.2 and 1.3, and has no client certificate to show."}
	case errors.As(e.Err, &proxy) || wire.IsProxy(e.Err):
		return []string{"The proxy of HTTPS_PROXY or HTTP_PROXY cannot be reached or refuses. Correct the variable, or name the host in NO_PROXY."}
	case wire.IsUnresolved(e.Err):
		return []string{fmt.Sprintf("No such host: %s. Check url, and whether this machine can resolve that name.", e.Host)}
	case e.HTML:
		return []string{"A page for people came instead of JSON. Is url the platform's own, such as https://acme.jfrog.io, and does no gateway or login page stand before it?"}
	case e.Location != "":
		return []string{"Redirects are not followed, as the credential would go along. Set url to where the platform really is."}
	case e.Status == http.StatusTooManyRequests:
		return []string{"JFrog asks to be asked less often. Run the job again later, or raise timeout."}
	case e.Status == 0 || e.Status >= 500 || e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooEarly:
		return []string{"That is trouble on the way or at the other end, not with the inputs. Run the job again; if it lasts, look at the platform's status and at the network between."}
	case e.Err != nil && s != gettingIDToken:
		return []string{"What answers at url is not JFrog Access, or not whole. Is url the platform's own, without the path of a repository?"}
	}
	return nil
}

func (m *minting) hintExchange(e *wire.Error) []string {
	claims := m.ids.Claims()
	said := strings.ToLower(e.Message)
	switch {
	case strings.Contains(said, "invalid audience"):
		return []string{
			fmt.Sprintf("The ID token's audience is %s. Set oidc-audience to the one that the integration has in JFrog, or set that one to this.", strings.Join(claims.Strings("aud"), ", ")),
		}
	case strings.Contains(said, "public key"):
		return []string{fmt.Sprintf("JFrog could not read the keys of the issuer %s. The integration's provider URL must be exactly that, without a slash at its end, and JFrog must be able to reach it.", claims.String("iss"))}
	case e.Status == http.StatusNotFound && strings.Contains(said, "mapping"):
		return []string{fmt.Sprintf("The integration %s has no identity mapping of that name. Correct identity-mapping-name, or leave it out: JFrog then takes the first mapping that matches.", m.cfg.ProviderName)}
	case e.Status == http.StatusNotFound && (strings.Contains(said, "integration") || strings.Contains(said, "provider")):
		return []string{fmt.Sprintf("JFrog has no OIDC integration named %s. Compare with Administration, General Management, Manage Integrations; upper and lower case differ.", m.cfg.ProviderName)}
	case e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed:
		return []string{"The platform does not know the endpoint: OIDC takes JFrog 7.77.3 or later (7.73.1 in the cloud) with an Enterprise licence. Without, use access-token."}
	case e.Status != http.StatusBadRequest && e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden:
		return nil
	}
	if exp := claims.Time("exp"); !exp.IsZero() && exp.Before(time.Now()) {
		return []string{fmt.Sprintf("The ID token expired at %s, by this machine's clock. Hand in a fresh one.", exp.Format(time.RFC3339))}
	}
	lines := []string{"No identity mapping of the integration fits this job, or the ID token was not accepted. Mappings can match on these claims of it:"}
	lines = append(lines, claimLines(claims)...)
	if m.cfg.ProjectKey == "" {
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

func (m *minting) hintCreate(e *wire.Error) []string {
	said := strings.ToLower(e.Message)
	credential := "access-token"
	if m.cfg.OIDC() {
		credential = "the exchanged token"
	}
	switch {
	case e.Status == http.StatusUnauthorized && strings.Contains(said, "expired"):
		return []string{fmt.Sprintf("JFrog says that %s has expired. Make a new one, and store it where access-token reads it.", credential)}
	case e.Status == http.StatusUnauthorized && m.cfg.OIDC():
		return []string{"JFrog Access does not accept the exchanged token. Does the identity mapping's audience include jfac@* or *@*? Without that, no narrower token can be created."}
	case e.Status == http.StatusUnauthorized:
		return []string{"JFrog does not accept access-token: it has expired, was revoked, or is of another platform than url. Make a new one, and store it where access-token reads it."}
	case strings.Contains(said, "invalid formatted name"):
		return []string{"The identity mapping names no user, and JFrog creates a token for a user only. Set the user name in the mapping, or username."}
	case e.Status == http.StatusForbidden:
		return []string{fmt.Sprintf("With %s JFrog creates no such token: %s. Without administrator rights only a token for oneself is allowed, with no more scope than one has and no longer life than the platform's limit.", credential, m.wishes())}
	case e.Status == http.StatusBadRequest:
		return []string{fmt.Sprintf("JFrog does not accept one of these: %s. Scopes look like applied-permissions/user, applied-permissions/groups:readers or artifact:repo/path:r.", m.wishes())}
	case e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed:
		return []string{"The platform does not know the endpoint: creating tokens takes JFrog Artifactory 7.21.1 or later, and url must be the platform's own."}
	}
	return nil
}

// wishes lists what was asked of JFrog that it may have refused.
func (m *minting) wishes() string {
	var list []string
	for _, w := range []struct{ name, value string }{
		{"scope", m.asked.Scope}, {"expires-in", span(time.Duration(m.asked.ExpiresIn) * time.Second)},
		{"username", m.asked.Username}, {"audience", m.asked.Audience}, {"project-key", m.asked.ProjectKey},
	} {
		if w.value != "" {
			list = append(list, w.name+" "+w.value)
		}
	}
	return strings.Join(list, ", ")
}
