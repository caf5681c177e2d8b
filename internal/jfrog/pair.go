package jfrog

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// PairingLifetime is how long a pairing token can be used:
// https://jfrog.com/help/r/jfrog-platform-administration-documentation/pairing-tokens
const PairingLifetime = 5 * time.Minute

// pairingPath returns the path for a use case: "mission-control", which is
// Access's, or "<service>/<use case>", such as "artifactory/federated-repo/*".
func pairingPath(useCase string) string {
	service, rest, ok := strings.Cut(useCase, "/")
	if !ok {
		service, rest = "access", useCase
	}
	return "/" + service + "/api/v1/service_trust/pairing/" + rest
}

// Pair makes a pairing token. lost counts the attempts whose outcome is unknown.
func (c *Client) Pair(ctx context.Context, bearer secret.String, useCase string) (t Token, lost int, err error) {
	r := wire.Request{
		Method: http.MethodPost, URL: c.url(pairingPath(useCase)), Bearer: bearer, Body: struct{}{}, Mints: true,
	}
	err = c.retry(ctx, OpPair, func() error {
		var fields map[string]json.RawMessage
		status, err := c.wire.Do(ctx, r, &fields)
		if err == nil {
			fields["access_token"] = fields["pairing_token"]
			if t = issued(fields, time.Now()); t.Access.IsZero() {
				err = r.Unusable(status, errNoPairingToken)
			}
		}
		if unknown(err) {
			lost++
		}
		return err
	})
	return t, lost, refused(OpPair, err)
}
