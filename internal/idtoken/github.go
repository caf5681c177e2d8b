package idtoken

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// MissingError says which of the variables of GitHub's token endpoint are not
// there.
type MissingError struct{ Names []string }

func (e *MissingError) Error() string {
	return strings.Join(e.Names, " and ") + plural(len(e.Names), " is", " are") + " not set"
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

const (
	urlVariable   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	tokenVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// GitHub is a Source at the endpoint that GitHub's and Forgejo's runners give
// to a job. Without an audience none is asked for: the issuer's default is
// what a JFrog provider without one accepts, and forcing another broke every
// user of setup-jfrog-cli once
// (https://github.com/jfrog/setup-jfrog-cli/issues/270). The error is a
// *MissingError, or says what is wrong with the endpoint's URL.
func GitHub(getenv func(string) string, audience string, client *wire.Client, p wire.Policy, mask func(secret.String)) (*Source, error) {
	var missing []string
	for _, name := range []string{urlVariable, tokenVariable} {
		if strings.TrimSpace(getenv(name)) == "" {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, &MissingError{missing}
	}
	endpoint, err := secureURL(urlVariable, getenv)
	if err != nil {
		return nil, err
	}
	bearer := secret.New(getenv(tokenVariable))
	mask(bearer) // also the job's ACTIONS_RUNTIME_TOKEN, with rights to caches and artifacts
	return &Source{mask: mask, Where: urlVariable, fetch: func(ctx context.Context) (string, error) {
		var token string
		err := p.Retry(ctx, func() error {
			var err error
			token, err = request(ctx, getenv, endpoint, audience, client, bearer)
			return err
		})
		return token, err
	}}, nil
}

// request asks once. The library's errors are taken apart: they carry the
// whole body of a refusal, which may repeat the bearer.
func request(ctx context.Context, getenv func(string) string, endpoint *url.URL, audience string, client *wire.Client, bearer secret.String) (string, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, wire.AttemptLimit, context.DeadlineExceeded)
	defer cancel()
	var headers http.Header
	hc := *client.HTTP()
	hc.Transport = recorder{hc.Transport, &headers}
	action := githubactions.New(githubactions.WithGetenv(getenv), githubactions.WithHTTPClient(&hc))
	token, err := action.GetIDToken(ctx, audience)

	fail := &wire.Error{Method: http.MethodGet, Host: endpoint.Host, Path: endpoint.Path, RetryAfter: -1}
	var refused *githubactions.RequestFailedError
	switch {
	case err == nil && token != "":
		client.Traced(wire.Exchange{Method: http.MethodGet, Path: endpoint.Path, Status: http.StatusOK, Took: time.Since(began)})
		return token, nil
	case err == nil:
		fail.Status, fail.Err = http.StatusOK, ErrNoValue
	case errors.As(err, &refused):
		fail.Refusal(refused.StatusCode, headers, []byte(refused.Body), bearer)
	case isJSON(err):
		fail.Status, fail.Err = http.StatusOK, wire.ErrNotJSON
	default:
		fail.Broken(ctx, err)
	}
	client.Traced(wire.Exchange{Method: http.MethodGet, Path: endpoint.Path, Status: fail.Status, Took: time.Since(began)})
	return "", fail
}

func isJSON(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &kind)
}

// recorder keeps the header of an answer, which the library drops, for its
// Retry-After.
type recorder struct {
	next http.RoundTripper
	to   *http.Header
}

func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	if err == nil {
		*r.to = res.Header
	}
	return res, err
}
