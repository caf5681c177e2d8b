package jfrog

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Listed is a token as JFrog lists it. It lists stored tokens alone, and to a
// user only the user's own.
type Listed struct {
	ID          string
	Description string
	Subject     string
	Scope       string // "" where the platform does not give it
	Issued      time.Time
	Expiry      time.Time // zero: never
}

// maxList bounds a list in bytes: JFrog answers with all tokens at once, about
// 300 bytes each.
const maxList = 32 << 20

type listed struct {
	TokenID     string `json:"token_id"`
	Description string `json:"description"`
	Subject     string `json:"subject"`
	Scope       string `json:"scope"`
	IssuedAt    int64  `json:"issued_at"`
	Expiry      int64  `json:"expiry"`
}

// List gives the tokens whose description JFrog matches with the pattern,
// which may end in '*'; all that the bearer may see where it is "".
func (c *Client) List(ctx context.Context, bearer secret.String, pattern string) ([]Listed, error) {
	var answer struct {
		Tokens []listed `json:"tokens"`
	}
	u := c.url(tokensPath)
	if pattern != "" {
		// JFrog's examples write a blank as %20.
		u.RawQuery = strings.ReplaceAll(url.Values{"description": {pattern}}.Encode(), "+", "%20")
	}
	err := c.policy.Retry(ctx, func() error {
		_, err := c.wire.Do(ctx, wire.Request{Method: http.MethodGet, URL: u, Bearer: bearer, MaxBody: maxList}, &answer)
		return err
	})
	if err != nil {
		return nil, err
	}
	tokens := make([]Listed, len(answer.Tokens))
	for i, t := range answer.Tokens {
		tokens[i] = Listed{ID: t.TokenID, Description: t.Description, Subject: t.Subject, Scope: t.Scope, Issued: epoch(t.IssuedAt), Expiry: epoch(t.Expiry)}
	}
	return tokens, nil
}

func epoch(s int64) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// errNoID: without its id, a credential could not be told from those that it
// is to revoke.
var errNoID = errors.New("answer has no token_id")

// Me gives the id of the token that bearer is. A reference token does not show
// its own.
func (c *Client) Me(ctx context.Context, bearer secret.String) (string, error) {
	var answer listed
	u := c.url(tokensPath, "me")
	err := c.policy.Retry(ctx, func() error {
		status, err := c.wire.Do(ctx, wire.Request{Method: http.MethodGet, URL: u, Bearer: bearer}, &answer)
		if err == nil && answer.TokenID == "" {
			err = &wire.Error{Method: http.MethodGet, Host: u.Host, Path: u.Path, Status: status, RetryAfter: -1, Err: errNoID}
		}
		return err
	})
	return answer.TokenID, err
}

// Strays finds the tokens with exactly this description, other than the one
// to keep: those that an attempt left whose answer was lost. The mark in the
// description is unique to one mint, so that none of them is a sibling job's.
func (c *Client) Strays(ctx context.Context, bearer secret.String, description, keep string) ([]Held, error) {
	tokens, err := c.List(ctx, bearer, description)
	var strays []Held
	for _, t := range tokens {
		if t.Description == description && t.ID != keep && t.ID != "" { // an older server may ignore the query
			strays = append(strays, t.Held(bearer))
		}
	}
	return strays, err
}

// Held gives what revoking t with another token needs.
func (t Listed) Held(bearer secret.String) Held {
	h := Held{Bearer: bearer, ID: t.ID, Revocable: true}
	if !t.Expiry.IsZero() {
		h.Expires = time.Now().Add(t.Expiry.Sub(t.Issued)) // at the latest
	}
	return h
}
