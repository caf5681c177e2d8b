package idtoken

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// ErrNone says that no ID token can be found without the input id-token.
var ErrNone = errors.New("no ID token: the input id-token is not set, and no variable of the CI holds one")

// variables are those in which a CI hands out an ID token by itself, or by a
// name that JFrog's own CLI made known. Each has an audience that was fixed
// where the token was configured.
var variables = []struct{ name, needs string }{
	{"JFROG_CLI_OIDC_EXCHANGE_TOKEN_ID", ""},
	{"PLUGIN_OIDC_TOKEN_ID", ""},      // Harness
	{"CIRCLE_OIDC_TOKEN_V2", ""},      // sub names the project's VCS; V1 does not
	{"CIRCLE_OIDC_TOKEN", ""},         //
	{"BITBUCKET_STEP_OIDC_TOKEN", ""}, //
	{"ID_TOKEN", "CF_BUILD_ID"},       // Codefresh; the name alone says too little
}

// MissingError says which variables the CI did not set.
type MissingError struct{ Names []string }

func (e *MissingError) Error() string {
	return "not set: " + strings.Join(e.Names, ", ")
}

// Find returns where ID tokens come from: the one that was given, a known
// variable, a known endpoint. The error is ErrNone, a *MissingError, or says
// what is wrong with the endpoint's URL.
func Find(getenv func(string) string, given secret.String, audience string, client *wire.Client, p wire.Policy, hide func(...secret.String) error) (*Source, error) {
	if !given.IsZero() {
		return &Source{held: given, Where: "the input id-token", Fixed: true}, nil
	}
	for _, v := range variables {
		if getenv("GITHUB_ACTIONS") == "true" {
			break // there an earlier step can set any variable for the rest of the job
		}
		if token := strings.TrimSpace(getenv(v.name)); token != "" && (v.needs == "" || getenv(v.needs) != "") {
			s := &Source{held: secret.New(token), Where: v.name, Fixed: true}
			return s, hide(s.held)
		}
	}
	e, err := endpoint(getenv, audience)
	if err != nil {
		return nil, err
	}
	return &Source{hide: hide, Where: e.where, Fixed: e.fixed, fetch: func(ctx context.Context) (string, error) {
		var token string
		err := p.Retry(ctx, func() error {
			var err error
			token, err = e.ask(ctx, client)
			return err
		})
		return token, err
	}}, hide(e.request.Bearer)
}

// service is an endpoint that issues ID tokens.
type service struct {
	where   string
	fixed   bool
	request wire.Request
	field   string // of the JSON response; "" if the response is the token
}

// endpoint returns that of the CI which the environment is of.
func endpoint(getenv func(string) string, audience string) (*service, error) {
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		return gitHub(getenv, audience)
	case getenv("BUILDKITE_AGENT_ENDPOINT") != "":
		return buildkite(getenv, audience)
	case getenv("SYSTEM_OIDCREQUESTURI") != "":
		return azure(getenv)
	case getenv("BUILDER_OUTPUT") != "":
		return cloudBuild(getenv, audience)
	}
	return nil, ErrNone
}

// gitHub is the endpoint that GitHub's runner, and Forgejo's, hands to a job.
// Without an audience none is requested: the issuer's default is what a JFrog
// provider without one accepts, and forcing another broke every user of
// setup-jfrog-cli once (https://github.com/jfrog/setup-jfrog-cli/issues/270).
// The bearer is also the job's ACTIONS_RUNTIME_TOKEN, with rights to caches and
// artifacts.
func gitHub(getenv func(string) string, audience string) (*service, error) {
	const urlVariable, tokenVariable = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	var missing []string
	for _, name := range []string{urlVariable, tokenVariable} {
		if strings.TrimSpace(getenv(name)) == "" {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, &MissingError{missing}
	}
	u, err := secureURL(urlVariable, getenv)
	if err != nil {
		return nil, err
	}
	if audience != "" { // the URL has a query of its own
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&audience="+url.QueryEscape(audience), "&")
	}
	return &service{field: "value", request: wire.Request{Method: http.MethodGet, URL: u, Bearer: secret.New(getenv(tokenVariable))}}, nil
}

// buildkite is the agent's API, which buildkite-agent oidc request-token asks.
func buildkite(getenv func(string) string, audience string) (*service, error) {
	job, token := getenv("BUILDKITE_JOB_ID"), getenv("BUILDKITE_AGENT_ACCESS_TOKEN")
	if job == "" || token == "" {
		return nil, &MissingError{[]string{"BUILDKITE_JOB_ID or BUILDKITE_AGENT_ACCESS_TOKEN"}}
	}
	u, err := secureURL("BUILDKITE_AGENT_ENDPOINT", getenv)
	if err != nil {
		return nil, err
	}
	body := map[string]string{}
	if audience != "" {
		body["audience"] = audience
	}
	return &service{where: "Buildkite's agent API", field: "token", request: wire.Request{
		Method: http.MethodPost, URL: u.JoinPath("jobs", url.PathEscape(job), "oidc", "tokens"), Bearer: secret.New(token), Scheme: "Token", Body: body,
	}}, nil
}

// azure is the pipeline's endpoint. Without a service connection the token is
// the pipeline's own; its audience cannot be chosen.
func azure(getenv func(string) string) (*service, error) {
	token := getenv("SYSTEM_ACCESSTOKEN")
	if token == "" {
		return nil, &MissingError{[]string{"SYSTEM_ACCESSTOKEN"}}
	}
	u, err := secureURL("SYSTEM_OIDCREQUESTURI", getenv)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	q.Set("api-version", "7.1")
	u.RawQuery = q.Encode()
	return &service{where: "SYSTEM_OIDCREQUESTURI", fixed: true, field: "oidcToken", request: wire.Request{
		Method: http.MethodPost, URL: u, Bearer: secret.New(token), Body: struct{}{},
		Header: http.Header{"X-Tfs-Fedauthredirect": {"Suppress"}}, // 401 instead of a redirect to a login page
	}}, nil
}

// cloudBuild is the metadata server, which every Google client asks over http:
// it is reached within the machine alone. GCE_METADATA_HOST is the name under
// which their clients, too, look for another one.
func cloudBuild(getenv func(string) string, audience string) (*service, error) {
	if audience == "" {
		return nil, ErrAudience
	}
	host := getenv("GCE_METADATA_HOST")
	if host == "" {
		host = wire.MetadataHost
	}
	u := &url.URL{Scheme: "http", Host: host, Path: "/computeMetadata/v1/instance/service-accounts/default/identity", RawQuery: url.Values{"audience": {audience}}.Encode()}
	return &service{where: "Google Cloud's metadata server", request: wire.Request{
		Method: http.MethodGet, URL: u, Header: http.Header{"Metadata-Flavor": {"Google"}},
	}}, nil
}

// ErrAudience says that the CI's issuer has no default audience.
var ErrAudience = errors.New("oidc-audience is not set, and Google Cloud issues an ID token for a named audience only")

func secureURL(name string, getenv func(string) string) (*url.URL, error) {
	u, err := url.Parse(getenv(name))
	if err != nil || u.Host == "" || u.User != nil || !wire.Secure(u) {
		return nil, fmt.Errorf("%s is not an https URL", name) // url.Parse's error quotes it
	}
	return u, nil
}

// ask asks once.
func (s *service) ask(ctx context.Context, client *wire.Client) (string, error) {
	var token string
	var err error
	if s.field == "" {
		var text []byte
		_, err = client.Do(ctx, s.request, &text)
		token = strings.TrimSpace(string(text))
	} else {
		var response map[string]any
		_, err = client.Do(ctx, s.request, &response)
		token, _ = response[s.field].(string)
	}
	if err == nil && token == "" {
		u := s.request.URL
		err = &wire.Error{Method: s.request.Method, Host: u.Host, Path: u.Path, Status: http.StatusOK, RetryAfter: -1, Err: errNoValue}
	}
	return token, err
}
