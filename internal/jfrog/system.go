package jfrog

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// What a platform says about itself.
const (
	OpPing      Op = "ping platform"
	OpVersion   Op = "get version"
	OpServiceID Op = "get service id"
)

// versionPath gets Artifactory's version.
const versionPath = "/artifactory/api/system/version"

// infoAttempts is how often what a command can do without is asked for.
const infoAttempts = 2

// Peer is what a connection shows of who is at its other end.
type Peer struct {
	TLS  tls.ConnectionState // zero if the connection is not secured
	Date time.Time           // by the other side's clock; zero if it does not say
}

// Ping reports whether JFrog Access responds.
func (c *Client) Ping(ctx context.Context) (Peer, error) {
	var p Peer
	err := c.retry(ctx, OpPing, func() error {
		received := http.Header{}
		_, err := c.plain(ctx, wire.Request{URL: c.url("/access/api/v1/system/ping"), TLS: &p.TLS, Received: received})
		p.Date = parseDate(received.Get("Date"))
		return err
	})
	return p, wrap(OpPing, err)
}

// Version returns Artifactory's version, which it tells whoever may sign in.
func (c *Client) Version(ctx context.Context, bearer secret.String) (string, error) {
	var response struct {
		Version string `json:"version"`
	}
	err := c.brief().retry(ctx, OpVersion, func() error {
		_, err := c.wire.Do(ctx, wire.Request{
			Method: http.MethodGet, URL: c.url(versionPath), Bearer: bearer,
		}, &response)
		return err
	})
	return response.Version, wrap(OpVersion, err)
}

// ServiceID returns Artifactory's service id, jfrt@…, which it tells an
// administrator: https://jfrog.com/help/r/jfrog-rest-apis/get-service-id
func (c *Client) ServiceID(ctx context.Context, bearer secret.String) (id string, err error) {
	err = c.brief().retry(ctx, OpServiceID, func() error {
		var err error
		id, err = c.plain(ctx, wire.Request{URL: c.url("/artifactory/api/system/service_id"), Bearer: bearer})
		return err
	})
	return id, wrap(OpServiceID, err)
}

func (c *Client) brief() *Client {
	copied := *c
	copied.policy.MaxAttempts = min(copied.policy.MaxAttempts, infoAttempts)
	return &copied
}

// maxPlain is what a plain text has at most, in bytes.
const maxPlain = 200

// plain gets one line of plain text. A page is an error.
func (c *Client) plain(ctx context.Context, r wire.Request) (string, error) {
	// An endpoint that has text alone may refuse a client that wants JSON.
	r.Method, r.Header = http.MethodGet, http.Header{"Accept": {"*/*"}}
	var text []byte
	status, err := c.wire.Do(ctx, r, &text)
	if err != nil {
		return "", err
	}
	if text = bytes.TrimSpace(text); len(text) > maxPlain || bytes.HasPrefix(text, []byte("<")) {
		e := r.Unusable(status, wire.ErrNotJSON)
		e.HTML = bytes.HasPrefix(text, []byte("<"))
		return "", e
	}
	return strings.ToValidUTF8(string(text), "\uFFFD"), nil
}
