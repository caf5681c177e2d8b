package ci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// ErrNoIDToken says that no ID token can be found without the input id-token.
var ErrNoIDToken = errors.New("no ID token: the input id-token is not set, and no variable of the CI holds one")

// cliVariable is the name that JFrog's own CLI made known for an ID token.
const cliVariable = "JFROG_CLI_OIDC_EXCHANGE_TOKEN_ID"

// MissingError says which variables the CI did not set.
type MissingError struct{ Names []string }

func (e *MissingError) Error() string {
	return "not set: " + strings.Join(e.Names, ", ")
}

// missing returns a *MissingError if one of the variables is blank.
func missing(getenv lookup, names ...string) error {
	blank := slices.DeleteFunc(names, func(name string) bool { return strings.TrimSpace(getenv(name)) != "" })
	if len(blank) == 0 {
		return nil
	}
	return &MissingError{blank}
}

// find returns where ID tokens come from: the one that was given, a variable of
// the CI, its endpoint. The error is ErrNoIDToken, ErrAudience, a *MissingError, or
// says what is wrong with the endpoint's URL.
func (v variant) find(
	given secret.String, audience string, client *wire.Client, p wire.Policy, hide func(...secret.String) error,
) (*IDTokenSource, error) {
	if !given.IsZero() {
		return &IDTokenSource{held: given, Where: "the input id-token", Fixed: true}, nil
	}
	variables := append([]string{cliVariable}, v.idTokens...)
	if v.runner {
		variables = nil // there an earlier step can set any variable for the rest of the job
	}
	for _, name := range variables {
		if token := strings.TrimSpace(v.getenv(name)); token != "" {
			s := &IDTokenSource{held: secret.New(token), Where: name, Fixed: true}
			return s, hide(s.held)
		}
	}
	if v.endpoint == nil {
		return nil, ErrNoIDToken
	}
	e, err := v.endpoint(v.getenv, audience)
	if err != nil {
		return nil, err
	}
	return &IDTokenSource{hide: hide, Where: e.where, Fixed: e.fixed, fetch: func(ctx context.Context) (string, error) {
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

// secureURL reads a URL that a bearer may be sent to.
func secureURL(name string, getenv lookup) (*url.URL, error) {
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
		err = s.request.Unusable(http.StatusOK, errNoValue)
	}
	return token, err
}
