// Package jfrog speaks to JFrog Access: it exchanges an ID token, creates a
// token and revokes one. The API as it is documented:
// https://jfrog.com/help/r/jfrog-rest-apis/access-tokens
package jfrog

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

const (
	exchangePath = "/access/api/v1/oidc/token"
	tokensPath   = "/access/api/v1/tokens"
)

// RevocableLifetime is the lifetime from which JFrog lets a token be revoked
// although nobody asked for that: revocable-expiry-threshold, 21,600 s unless
// the platform's administrator changed it.
const RevocableLifetime = 6 * time.Hour

// StoredLifetime is the lifetime from which JFrog stores and lists a token that
// cannot be revoked: persistent-expiry-threshold, 10,800 s.
const StoredLifetime = 3 * time.Hour

// Client speaks to one JFrog Platform.
type Client struct {
	wire   *wire.Client
	base   *url.URL
	policy wire.Policy
}

// New returns a Client for the platform at base, a URL without /artifactory
// and /access.
func New(w *wire.Client, base *url.URL, p wire.Policy) *Client {
	return &Client{w, base, p}
}

// Cleanup returns a Client whose requests are tried as often as the cleanup
// allows, whatever the user's own limit is.
func (c *Client) Cleanup() *Client {
	copied := *c
	copied.policy.MaxAttempts = wire.CleanupAttempts
	return &copied
}

// retry runs one request of the kind op under the client's policy.
func (c *Client) retry(ctx context.Context, op Op, do func() error) error {
	p := c.policy
	p.Request = string(op)
	return p.Retry(ctx, do)
}

// url returns a URL of the platform. Each element is escaped: a token id comes
// from outside, and must not lead elsewhere.
func (c *Client) url(path string, elements ...string) *url.URL {
	u := *c.base
	u.Path += path
	u.RawPath = u.EscapedPath()
	for _, e := range elements {
		u.Path += "/" + e
		u.RawPath += "/" + url.PathEscape(e)
	}
	return &u
}

// Token is an access token as JFrog issued it.
type Token struct {
	Access    secret.String
	Reference secret.String
	Refresh   secret.String
	ID        string
	Username  string // "" if JFrog returned none
	// Principal is the name by which JFrog knows the user of a token whose identity
	// mapping names none, <issuer>/users/<subject>; "" for other users.
	Principal string
	Scope     string
	Audience  string        // JFrog's services, separated by spaces; "" if the token does not say
	Expiry    time.Time     // by JFrog's clock; zero: never
	Lifetime  time.Duration // zero: it never expires
	Revocable bool          // as far as the token itself says
	Exchanged bool          // came from an ID token, not from another token
}

// Secrets returns the token in all its kinds.
func (t Token) Secrets() []secret.String {
	return slices.DeleteFunc([]secret.String{t.Access, t.Reference, t.Refresh}, secret.String.IsZero)
}

// Hidden returns what a log has to hide of the token, base64(username:token)
// included, as it stands in .npmrc and in Docker's configuration.
func (t Token) Hidden() []secret.String {
	list := t.Secrets()
	for _, s := range t.Secrets() {
		if t.Username != "" {
			list = append(list, s.Basic(t.Username)...)
		}
	}
	return list
}

// ReachesAccess reports whether the token may call JFrog Access, which
// revoking and looking up take.
func (t Token) ReachesAccess() bool { return t.Audience == "" || ReachesAccess(t.Audience) }

// ReachesAccess reports whether a token for this audience may call Access.
func ReachesAccess(audience string) bool {
	for a := range strings.FieldsSeq(audience) {
		if strings.HasPrefix(a, "*@") || strings.HasPrefix(a, "jfac@") {
			return true
		}
	}
	return false
}

// maxToken bounds a token, in bytes: JFrog's have up to 4,000, and the state
// is one variable of the post step, of which Windows takes 32 KiB.
const maxToken = 8 << 10

// The fields in which JFrog returns a token.
const (
	accessToken  = "access_token"
	pairingToken = "pairing_token"
)

// issue posts a request for a token, which is in a field of the response. The
// error is a *wire.Error.
func (c *Client) issue(
	ctx context.Context, path, field string, bearer secret.String, body any, secrets ...secret.String,
) (Token, error) {
	r := wire.Request{Method: http.MethodPost, URL: c.url(path), Bearer: bearer, Body: body, Secrets: secrets, Mints: true}
	var fields map[string]json.RawMessage
	status, err := c.wire.Do(ctx, r, &fields)
	if err != nil {
		return Token{}, err
	}
	t := issued(fields, field, time.Now())
	if t.Access.IsZero() {
		return Token{}, r.Unusable(status, fmt.Errorf("response has no usable %s", field))
	}
	return t, nil
}

// issued reads a response with a token in a field. Whatever the other fields look
// like, that token exists, and is held: expires_in may be a text, a token_id a
// number. No client of JFrog's knows token_id in the response to an exchange; it is
// read in case.
func issued(fields map[string]json.RawMessage, field string, now time.Time) Token {
	text := func(name string) (s string) {
		if json.Unmarshal(fields[name], &s) != nil {
			return ""
		}
		return s
	}
	token := func(name string) secret.String {
		s := text(name)
		if len(s) > maxToken || strings.ContainsFunc(s, secret.NotInToken) {
			return secret.String{}
		}
		return secret.New(s)
	}
	t := Token{
		Access: token(field), Reference: token("reference_token"), Refresh: token("refresh_token"),
		ID: text("token_id"), Username: text("username"), Scope: text("scope"),
	}
	seconds, _ := strconv.ParseFloat(strings.Trim(string(fields["expires_in"]), `" `), 64) // absent: never
	if seconds >= 1 {
		t.Lifetime = time.Duration(min(seconds, 100*365*24*3600)) * time.Second
		t.Expiry = now.Add(t.Lifetime).UTC().Truncate(time.Second)
	}
	claims, _ := jwt.Peek(t.Access.Reveal())                         // a reference token has none
	if t.ID == "" || strings.ContainsFunc(t.ID, secret.NotInToken) { // a DELETE with it would end no token
		var number json.Number
		_ = json.Unmarshal(fields["token_id"], &number)
		t.ID = cmp.Or(claims.String("jti"), number.String())
	}
	t.Username = cmp.Or(t.Username, usernameOf(claims.String("sub")))
	if iss, sub := claims.String("iss"), claims.String("sub"); iss != "" && sub != "" && !strings.Contains(sub, "/users/") {
		t.Principal = iss + "/users/" + sub
	}
	t.Scope = cmp.Or(t.Scope, claims.String("scp"))
	t.Audience = strings.Join(claims.Strings("aud"), " ")
	if exp, iat := claims.Time("exp"), claims.Time("iat"); !exp.IsZero() {
		t.Expiry = exp
		if exp.After(iat) && !iat.IsZero() {
			t.Lifetime = exp.Sub(iat)
		}
	}
	t.Revocable = t.Lifetime == 0 && t.Expiry.IsZero() || t.Lifetime >= RevocableLifetime || askedRevocable(claims)
	return t
}

// askedRevocable reads the mark of force_revocable: the claim "ext" is JSON
// within a string, {"revocable":"true"}.
func askedRevocable(c jwt.Claims) bool {
	return strings.Contains(strings.ReplaceAll(c.String("ext"), " ", ""), `"revocable":"true"`)
}

// usernameOf returns the user of a token's subject: what follows the first
// "/users/" (user names may hold a slash), else, for "jfrt@…", what follows
// the last slash, else all of it: a group mapping without a user has the
// subject <provider>/<mapping>, and Docker and npm want just that
// (https://github.com/jfrog/setup-jfrog-cli/issues/146).
func usernameOf(sub string) string {
	if _, user, ok := strings.Cut(sub, "/users/"); ok {
		return user
	}
	if strings.HasPrefix(sub, "jfrt@") {
		i := strings.LastIndexByte(sub, '/')
		if i < 0 {
			return ""
		}
		return sub[i+1:]
	}
	return sub
}
