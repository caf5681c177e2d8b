package jfrog

import (
	"context"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
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
	err = c.retry(ctx, OpPair, func() error {
		var err error
		if t, err = c.issue(ctx, pairingPath(useCase), pairingToken, bearer, struct{}{}); unknown(err) {
			lost++
		}
		return err
	})
	return t, lost, wrap(OpPair, err)
}
