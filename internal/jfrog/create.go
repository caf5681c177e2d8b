package jfrog

import (
	"context"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// CreateRequest asks for a token. Empty fields are left out, but for
// ExpiresIn and ForceRevocable: without the one JFrog's default is a year,
// without the other its administrator's choice.
type CreateRequest struct {
	Username              string `json:"username,omitempty"`
	Scope                 string `json:"scope,omitempty"`
	ExpiresIn             int64  `json:"expires_in"` // seconds
	Refreshable           bool   `json:"refreshable,omitempty"`
	Description           string `json:"description,omitempty"`
	Audience              string `json:"audience,omitempty"`
	ProjectKey            string `json:"project_key,omitempty"`
	IncludeReferenceToken bool   `json:"include_reference_token,omitempty"`
	ForceRevocable        bool   `json:"force_revocable"`
}

// Create makes a token with another one. The body is JSON: JFrog ignores
// force_revocable in a form
// (https://github.com/jfrog/vault-plugin-secrets-artifactory/issues/50). lost
// counts the attempts whose outcome is unknown.
func (c *Client) Create(ctx context.Context, bearer secret.String, r CreateRequest) (t Token, lost int, err error) {
	err = c.retry(ctx, OpCreate, func() error {
		var err error
		if t, err = c.issue(ctx, tokensPath, accessToken, bearer, r); unknown(err) {
			lost++
		}
		return err
	})
	return t, lost, wrap(OpCreate, err)
}
