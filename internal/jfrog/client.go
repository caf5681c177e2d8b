// Package jfrog speaks to JFrog Access: it exchanges an ID token, creates a
// token and revokes one. The API as it is documented:
// https://jfrog.com/help/r/jfrog-rest-apis/access-tokens
package jfrog

import (
	"context"
	"errors"
	"net/http"
	"net/url"
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

// RevocableLife is the life from which JFrog lets a token be revoked although
// nobody asked for that: revocable-expiry-threshold, 21,600 s unless the
// platform's administrator changed it.
const RevocableLife = 6 * time.Hour

// Client speaks to one JFrog Platform.
type Client struct {
	wire   *wire.Client
	base   *url.URL
	policy wire.Policy
}

// New gives a Client for the platform at base, an URL without /artifactory
// and /access.
func New(w *wire.Client, base *url.URL, p wire.Policy) *Client {
	if p.Notify == nil {
		p.Notify = func(int, string, time.Duration) {}
	}
	return &Client{wire: w, base: base, policy: p}
}

// url gives an URL of the platform. Each element is escaped, dots included: a
// token id comes from outside, and must not lead elsewhere.
func (c *Client) url(path string, elements ...string) *url.URL {
	u := *c.base
	u.Path += path
	u.RawPath = u.EscapedPath()
	for _, e := range elements {
		u.Path += "/" + e
		u.RawPath += "/" + strings.ReplaceAll(url.PathEscape(e), ".", "%2E")
	}
	return &u
}

// Token is an access token as JFrog issued it.
type Token struct {
	Access    secret.String
	Reference secret.String
	Refresh   secret.String
	ID        string
	Username  string // "" where JFrog gave none
	Scope     string
	Audience  string        // JFrog's services, separated by blanks; "" where the token does not tell
	Expiry    time.Time     // by JFrog's clock; zero: never
	Life      time.Duration // zero: for ever
	Revocable bool          // as far as the token itself tells
	Exchanged bool          // came from an ID token, not from another token
}

// Secrets gives the token in all its kinds.
func (t Token) Secrets() []secret.String {
	var list []secret.String
	for _, s := range []secret.String{t.Access, t.Reference, t.Refresh} {
		if !s.IsZero() {
			list = append(list, s)
		}
	}
	return list
}

// issued is the answer of both endpoints that issue a token. No client of
// JFrog's knows token_id in the answer of an exchange; it is read in case.
type issued struct {
	AccessToken    string `json:"access_token"`
	TokenID        string `json:"token_id"`
	Username       string `json:"username"`
	Scope          string `json:"scope"`
	ExpiresIn      *int64 `json:"expires_in"` // absent: never
	ReferenceToken string `json:"reference_token"`
	RefreshToken   string `json:"refresh_token"`
}

var errNoAccessToken = errors.New("answer has no usable access_token")

// issue posts a request for a token. The error is a *wire.Error.
func (c *Client) issue(ctx context.Context, path string, bearer secret.String, body any, secrets ...secret.String) (Token, error) {
	u := c.url(path)
	var answer issued
	status, err := c.wire.Do(ctx, wire.Request{
		Method: http.MethodPost, URL: u, Bearer: bearer, Body: body, Secrets: secrets, Mints: true,
	}, &answer)
	if err != nil {
		return Token{}, err
	}
	for _, s := range []string{answer.AccessToken, answer.ReferenceToken, answer.RefreshToken} {
		if strings.ContainsFunc(s, secret.NotInToken) {
			answer.AccessToken = ""
		}
	}
	if answer.AccessToken == "" {
		return Token{}, &wire.Error{
			Method: http.MethodPost, Host: u.Host, Path: u.Path, Status: status,
			RetryAfter: -1, Unknown: true, Err: errNoAccessToken,
		}
	}
	return answer.token(time.Now()), nil
}

func (a issued) token(now time.Time) Token {
	t := Token{
		Access: secret.New(a.AccessToken), Reference: secret.New(a.ReferenceToken), Refresh: secret.New(a.RefreshToken),
		ID: a.TokenID, Username: a.Username, Scope: a.Scope,
	}
	if a.ExpiresIn != nil && *a.ExpiresIn > 0 {
		t.Life = time.Duration(min(*a.ExpiresIn, 100*365*24*3600)) * time.Second
		t.Expiry = now.Add(t.Life).UTC().Truncate(time.Second)
	}
	claims, err := jwt.Peek(a.AccessToken)
	if err != nil {
		t.Revocable = t.Life == 0 || t.Life >= RevocableLife
		return t
	}
	if t.ID == "" || strings.ContainsFunc(t.ID, secret.NotInToken) { // a DELETE with it would end no token
		t.ID = claims.String("jti")
	}
	if t.Username == "" {
		t.Username = usernameOf(claims.String("sub"))
	}
	if t.Scope == "" {
		t.Scope = claims.String("scp")
	}
	t.Audience = strings.Join(claims.Strings("aud"), " ")
	if exp, iat := claims.Time("exp"), claims.Time("iat"); !exp.IsZero() {
		t.Expiry = exp
		if exp.After(iat) && !iat.IsZero() {
			t.Life = exp.Sub(iat)
		}
	}
	t.Revocable = t.Life == 0 && t.Expiry.IsZero() || t.Life >= RevocableLife || askedRevocable(claims)
	return t
}

// askedRevocable reads the mark of force_revocable: the claim "ext" is JSON
// within a string, {"revocable":"true"}.
func askedRevocable(c jwt.Claims) bool {
	return strings.Contains(strings.ReplaceAll(c.String("ext"), " ", ""), `"revocable":"true"`)
}

// usernameOf gives the user of a token's subject: what follows the first
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
