package jfrog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Held is a token that is to be revoked: what remains to be known of it when
// the job ends.
type Held struct {
	Bearer    secret.String // what authenticates: the token itself, or the one that created it
	ID        string
	Expires   time.Time // by this machine's clock; zero: never
	Revocable bool      // as far as the token itself tells
	Exchanged bool
}

// Hold gives what revoking t needs. Its expiry is counted from now by this
// machine's clock: on a machine whose clock is off, JFrog's own time would
// make a live token look expired
// (https://github.com/actions/create-github-app-token/issues/140).
func (t Token) Hold(now time.Time) Held {
	h := Held{Bearer: t.Access, ID: t.ID, Revocable: t.Revocable, Exchanged: t.Exchanged}
	switch {
	case t.Life > 0:
		h.Expires = now.Add(t.Life)
	case !t.Expiry.IsZero():
		h.Expires = t.Expiry
	}
	return h
}

// Outcome is what became of a token.
type Outcome string

const (
	Revoked      Outcome = "revoked"
	Gone         Outcome = "already gone"
	Expired      Outcome = "expired"
	NotRevocable Outcome = "not revocable"
	Failed       Outcome = "failed"
)

// Revoke ends a token. The error is set for Failed alone. An expired token sends no request.
//
// An exchanged token goes through tokens/me: where a mapping is
// self_revocable, that is where its bearer may revoke it. A token under six
// hours is tried all the same: a platform may have another threshold, and the
// token does not show that its mapping is self_revocable.
func (c *Client) Revoke(ctx context.Context, h Held) (Outcome, error) {
	if !h.Expires.IsZero() && !time.Now().Before(h.Expires) {
		return Expired, nil
	}
	id := h.ID
	switch {
	case h.Exchanged || id == "": // DELETE …/tokens/ is a 405
		id = "me"
	case id == "." || id == ".." || id == "me":
		// Escaping does not help: what normalises a path takes these away
		// (RFC 3986, 6.2.2).
		return Failed, errID
	}
	outcome := Failed
	var said json.RawMessage // of no interest, but for a page
	err := c.policy.Retry(ctx, func() error {
		status, err := c.wire.Do(ctx, wire.Request{
			Method: http.MethodDelete, URL: c.url(tokensPath, id), Bearer: h.Bearer,
		}, &said)
		outcome, err = h.outcome(status, err)
		return err
	})
	if err != nil {
		return Failed, err
	}
	return outcome, nil
}

var errID = errors.New("token id leads elsewhere")

// outcome reads the answer to a DELETE. JFrog does not store a token that
// lives under three hours, and knows nothing of one that it did not store:
// its "no such token" does not mean that such a token is dead.
func (h Held) outcome(status int, err error) (Outcome, error) {
	var e *wire.Error
	if !errors.As(err, &e) {
		e = &wire.Error{}
	}
	said := strings.ToLower(e.Message)
	switch {
	case status == http.StatusNoContent, status == http.StatusNotFound && !e.HTML:
		if h.Revocable {
			return Gone, nil
		}
		return NotRevocable, nil
	case status >= 200 && status <= 299 && !e.HTML && (e.Err == nil || errors.Is(e.Err, wire.ErrNotJSON)):
		// A login page comes with 200 too. That JFrog's own 200 has a body is
		// not documented.
		return Revoked, nil
	case status == http.StatusBadRequest && strings.Contains(said, "not revocable"):
		return NotRevocable, nil
	case status == http.StatusUnauthorized && strings.Contains(said, "expired"):
		return Expired, nil
	case status == http.StatusUnauthorized && strings.Contains(said, "revoked"):
		return Gone, nil
	}
	return Failed, err
}
