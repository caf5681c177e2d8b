package jfrog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

var errNotAccepted = errors.New("response does not say that the token is accepted")

// VerifyPlatform asks Access whether it accepts a token. The Kind of the error
// is NoEndpoint if the platform cannot say so: it is older than 7.53.1, or does
// not know the tokens that it did not store.
func (c *Client) VerifyPlatform(ctx context.Context, token secret.String) error {
	var response listed
	return c.verify(ctx, OpVerifyPlatform, token, c.url(tokensPath, "me"), &response, func() bool {
		return response.TokenID != "" || response.Subject != ""
	})
}

// VerifyArtifactory asks Artifactory whether it accepts a token. Its ping would
// not do: https://github.com/jfrog/jfrog-cli-artifactory/issues/170
func (c *Client) VerifyArtifactory(ctx context.Context, token secret.String) error {
	var response struct {
		Version string `json:"version"`
	}
	return c.verify(ctx, OpVerifyArtifactory, token, c.url(versionPath), &response, func() bool {
		return response.Version != ""
	})
}

// VerifyConnect asks JFrog Connect, which is not a part of the platform,
// whether it accepts a token for a project:
// https://docs.connect.jfrog.io/developers/rest-api-v2
func (c *Client) VerifyConnect(ctx context.Context, token secret.String, connect *url.URL, project string) error {
	u := (&Client{base: connect}).url("/api/v2", project, "devices")
	u.RawQuery = "limit=1"
	var devices json.RawMessage
	return c.verify(ctx, OpVerifyConnect, token, u, &devices, func() bool { return true })
}

// verify sends a request that only an accepted token gets a response to.
// accepted reads the response.
func (c *Client) verify(
	ctx context.Context, op Op, token secret.String, u *url.URL, response any, accepted func() bool,
) error {
	r := wire.Request{Method: http.MethodGet, URL: u, Bearer: token}
	return wrap(op, c.retry(ctx, op, func() error {
		status, err := c.wire.Do(ctx, r, response)
		if err == nil && (status != http.StatusOK || !accepted()) {
			err = r.Unusable(status, errNotAccepted)
		}
		return err
	}))
}
