package jfrog

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// ExchangeRequest is what goes with the ID token. Empty fields are left out.
type ExchangeRequest struct {
	ProviderName          string `json:"provider_name"`
	IdentityMappingName   string `json:"identity_mapping_name,omitempty"`
	ProjectKey            string `json:"project_key,omitempty"`
	ApplicationKey        string `json:"application_key,omitempty"`
	IncludeReferenceToken bool   `json:"include_reference_token,omitempty"`
	Audience              string `json:"audience,omitempty"` // for information: the ID token's aud counts

	// The run, for JFrog's usage records.
	JobID    string `json:"job_id,omitempty"`
	RunID    string `json:"run_id,omitempty"`
	Repo     string `json:"repo,omitempty"`
	Revision string `json:"revision,omitempty"`
	Branch   string `json:"branch,omitempty"`
}

// IDTokens is where an exchange gets its ID tokens from. Each has more than a
// minute to live when it is returned.
type IDTokens interface {
	Token(context.Context) (secret.String, error)
	// Renew makes the next Token fetch a new one, and reports whether it can.
	Renew() bool
}

// skewWait is the pause before the second try after a 401: about one exchange
// in ten was refused elsewhere because the ID token was issued in the
// verifier's future (https://github.com/DopplerHQ/secrets-fetch-action/pull/22).
const skewWait = 2 * time.Second

// Exchange trades an ID token for an access token (RFC 8693). It is sent
// without Authorization: the ID token is the proof. lost counts the attempts
// whose outcome is unknown.
func (c *Client) Exchange(ctx context.Context, ids IDTokens, r ExchangeRequest) (t Token, lost int, err error) {
	renewed, noIDToken := false, false
	err = c.retry(ctx, OpExchange, func() error {
		id, err := ids.Token(ctx)
		if noIDToken = err != nil; noIDToken {
			return err
		}
		t, err = c.issue(ctx, exchangePath, accessToken, secret.String{}, struct {
			GrantType        string `json:"grant_type"`
			SubjectTokenType string `json:"subject_token_type"`
			SubjectToken     string `json:"subject_token"`
			ExchangeRequest
		}{
			"urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:token-type:id_token", id.Reveal(), r,
		}, id)
		if unknown(err) {
			lost++
		}
		var e *wire.Error
		if errors.As(err, &e) && e.Status == http.StatusUnauthorized && !renewed && ids.Renew() {
			renewed, e.Again, e.RetryAfter = true, true, skewWait
		}
		return err
	})
	if noIDToken {
		return Token{}, lost, err // the CI's fault, not JFrog's
	}
	t.Exchanged = true
	return t, lost, wrap(OpExchange, err)
}
