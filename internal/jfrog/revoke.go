package jfrog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Outcome is what became of a token.
type Outcome string

const (
	WasRevoked   Outcome = "revoked"
	AlreadyGone  Outcome = "already gone"
	HasExpired   Outcome = "expired"
	CannotRevoke Outcome = "not revocable"
	FailedRevoke Outcome = "failed"
)

// Target is a token to revoke.
type Target struct {
	ID string
	// Self: the bearer is the token itself.
	Self bool
	// Me: it is revoked at tokens/me, where the bearer of a self_revocable
	// mapping's token may do that.
	Me bool
	// Revocable: JFrog knows the token, as far as the token itself says. JFrog
	// does not store a token that lives for less than three hours: its "no
	// such token" does not mean that such a token is dead.
	Revocable bool
}

var errID = errors.New("token id leads elsewhere")

// Revoke ends a token. The error is set for FailedRevoke alone.
func (c *Client) Revoke(ctx context.Context, bearer secret.String, t Target) (Outcome, error) {
	id := t.ID
	switch {
	case t.Self && (t.Me || id == ""): // DELETE …/tokens/ is a 405
		id = "me"
	case id == "", id == ".", id == "..", id == "me", strings.ContainsAny(id, `/\`):
		return FailedRevoke, wrap(OpRevoke, errID)
	}
	var outcome Outcome
	var said json.RawMessage // of no interest, but for a page
	err := c.retry(ctx, OpRevoke, func() error {
		status, err := c.wire.Do(ctx, wire.Request{
			Method: http.MethodDelete, URL: c.url(tokensPath, id), Bearer: bearer,
		}, &said)
		outcome, err = t.outcome(status, wrap(OpRevoke, err))
		return err
	})
	if err != nil {
		return FailedRevoke, wrap(OpRevoke, err)
	}
	return outcome, nil
}

func (t Target) outcome(status int, err error) (Outcome, error) {
	var e *wire.Error
	errors.As(err, &e)
	kind := KindOf(err)
	switch {
	case status == http.StatusNoContent, kind == NoToken:
		if t.Revocable {
			return AlreadyGone, nil
		}
		return CannotRevoke, nil
	case status >= 200 && status <= 299 && (e == nil || !e.HTML && errors.Is(e.Err, wire.ErrNotJSON)):
		// A sign-in page comes with 200 too. Whether JFrog's own 200 has a
		// body is not documented.
		return WasRevoked, nil
	case kind == NotRevocable:
		return CannotRevoke, nil
	case kind == Expired && t.Self:
		return HasExpired, nil
	case kind == Revoked && t.Self:
		return AlreadyGone, nil
	}
	return FailedRevoke, err
}
