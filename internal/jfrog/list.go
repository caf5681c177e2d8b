package jfrog

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
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
	Scope       string // "" if the platform does not say
	Issued      time.Time
	Expiry      time.Time // zero: never
}

// maxList bounds a list in bytes: JFrog returns all tokens at once, about
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

// MayRefuse reports whether JFrog may refuse to revoke the token. A list does not
// say whether force_revocable was requested
// (https://jfrog.com/help/r/jfrog-rest-apis/get-tokens). From six hours on nothing
// is needed, and under three JFrog would not have stored the token without it, by
// the thresholds that a platform has unless somebody changed them.
func (t Listed) MayRefuse() bool {
	lifetime := t.Expiry.Sub(t.Issued)
	return !t.Expiry.IsZero() && lifetime >= StoredLifetime && lifetime < RevocableLifetime
}

// List returns the tokens whose description JFrog matches with the pattern,
// which may end in '*'; all that the bearer may see if it is "". date is when
// JFrog responded, by its own clock; zero if it does not say.
func (c *Client) List(
	ctx context.Context, bearer secret.String, pattern string,
) (tokens []Listed, date time.Time, err error) {
	var response struct {
		Tokens []listed `json:"tokens"`
	}
	u := c.url(tokensPath)
	if pattern != "" {
		// JFrog's examples write a space as %20.
		u.RawQuery = strings.ReplaceAll(url.Values{"description": {pattern}}.Encode(), "+", "%20")
	}
	err = c.retry(ctx, OpList, func() error {
		received := http.Header{}
		_, err := c.wire.Do(ctx, wire.Request{
			Method: http.MethodGet, URL: u, Bearer: bearer, MaxBody: maxList, Received: received,
		}, &response)
		date = parseDate(received.Get("Date"))
		return err
	})
	if err != nil {
		return nil, time.Time{}, refused(OpList, err)
	}
	tokens = make([]Listed, len(response.Tokens))
	for i, t := range response.Tokens {
		tokens[i] = Listed{ID: t.TokenID, Description: t.Description, Subject: t.Subject, Scope: t.Scope, Issued: epoch(t.IssuedAt), Expiry: epoch(t.Expiry)}
	}
	return tokens, date, nil
}

// parseDate reads a Date header, in the forms of RFC 9110 and a few near to
// them; zero if it is none. http.ParseTime is not used: it takes a time zone that
// it does not know, such as JST, for UTC.
func parseDate(s string) time.Time {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutSuffix(s, " UTC"); ok {
		s = rest + " GMT"
	}
	for _, layout := range []string{
		"Mon, 2 Jan 2006 15:04:05 GMT", "Monday, 2-Jan-06 15:04:05 GMT", time.ANSIC,
		"Mon, 2 Jan 2006 15:04:05 -0700", time.RFC3339,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

func epoch(s int64) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// errNoID: without its id, a credential could not be told from those that it
// is to revoke.
var errNoID = errors.New("response has no token_id")

// Me returns the id of the token that bearer is. A reference token does not show
// its own.
func (c *Client) Me(ctx context.Context, bearer secret.String) (string, error) {
	var response listed
	u := c.url(tokensPath, "me")
	err := c.retry(ctx, OpList, func() error {
		status, err := c.wire.Do(ctx, wire.Request{Method: http.MethodGet, URL: u, Bearer: bearer}, &response)
		if err == nil && response.TokenID == "" {
			err = &wire.Error{Method: http.MethodGet, Host: u.Host, Path: u.Path, Status: status, RetryAfter: -1, Err: errNoID}
		}
		return err
	})
	return response.TokenID, refused(OpList, err)
}

// Marked returns the tokens whose description carries the marker of a mint.
// JFrog can only filter by how a description begins, and the platform may have
// changed whitespace in it: the filter is its first plain word, the match is
// the marker, which no other job's token has.
func (c *Client) Marked(ctx context.Context, bearer secret.String, description, marker string) ([]Listed, error) {
	word := description
	if i := strings.IndexFunc(word, func(r rune) bool { return !strings.ContainsRune(plain, r) }); i >= 0 {
		word = word[:i]
	}
	if word != "" {
		word += "*"
	}
	tokens, _, err := c.List(ctx, bearer, word)
	return slices.DeleteFunc(tokens, func(t Listed) bool { return t.ID == "" || !strings.Contains(t.Description, marker) }), err
}

const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
