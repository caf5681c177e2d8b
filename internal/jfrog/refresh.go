package jfrog

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// RefreshRequest asks for the successor of a token. JFrog gives it what the old
// one had, except a reference token: https://jfrog.com/help/r/jfrog-rest-apis/refresh-token
type RefreshRequest struct {
	Refresh               secret.String
	IncludeReferenceToken bool
}

// sentOnce is why a refresh is not attempted again.
const sentOnce = "a refresh that was sent is not repeated: the first may have used up the refresh token"

// Refresh replaces a pair of tokens, of which the bearer is the access token. As
// soon as JFrog has the new pair, the old one is gone, whether the response
// arrives or not: only an attempt that was not sent is repeated. lost counts
// the attempts whose outcome is unknown.
func (c *Client) Refresh(ctx context.Context, bearer secret.String, r RefreshRequest) (t Token, lost int, err error) {
	attempts := 0
	err = c.retry(ctx, OpRefresh, func() error {
		attempts++
		var err error
		t, err = c.issue(ctx, tokensPath, accessToken, bearer, struct {
			GrantType             string `json:"grant_type"`
			RefreshToken          string `json:"refresh_token"`
			IncludeReferenceToken bool   `json:"include_reference_token,omitempty"`
		}{"refresh_token", r.Refresh.Reveal(), r.IncludeReferenceToken}, r.Refresh)
		if unknown(err) {
			lost++
		}
		var e *wire.Error
		if errors.As(err, &e) && e.Sent && e.Retryable() {
			return &wire.GaveUp{Attempts: attempts, Why: sentOnce, Last: err}
		}
		return err
	})
	return t, lost, wrap(OpRefresh, err)
}

// Peek returns what an access token says of itself: nothing if it is a reference
// token.
func Peek(access secret.String) Token {
	text, _ := json.Marshal(access.Reveal()) // a string always marshals
	return issued(map[string]json.RawMessage{accessToken: text}, accessToken, time.Now())
}
