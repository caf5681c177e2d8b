package jfrogtest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Token is a line of the ledger.
type Token struct {
	ID          string
	Kind        string // "access", "reference", "identity"
	Subject     string
	User        string
	Scope       string
	Audience    string
	Description string
	IssuedAt    time.Time
	Expiry      time.Time // zero: never
	Refreshable bool
	Reference   bool // has a reference token
	Revocable   bool
	Persisted   bool
	Revoked     bool
	Provider    string // of the exchange that issued it
	Mapping     string
	Parent      string // id of the token that created or refreshed into this one
}

type token struct {
	Token
	access, reference, refresh string
	scopes                     []string
	lifetime                   int // seconds; 0 never expires
	forced                     bool
	selfRevocable              bool // the bearer may revoke it whatever the thresholds say
	nameless                   bool // of a mapping without username
	configured                 bool
	lastUsed                   time.Time
}

func (t *token) expired(now time.Time) bool { return t.lifetime != 0 && !now.Before(t.Expiry) }

func (t *token) alive(now time.Time) bool { return !t.Revoked && !t.expired(now) }

// Alive lists every token that is neither expired nor revoked, whether the platform stores it or not, except
// Config.Tokens.
func (p *Platform) Alive() []Token {
	now := p.now()
	return p.where(func(t *token) bool { return !t.configured && t.alive(now) })
}

// Issued lists every token ever issued, except Config.Tokens.
func (p *Platform) Issued() []Token {
	return p.where(func(t *token) bool { return !t.configured })
}

func (p *Platform) where(keep func(*token) bool) []Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []Token
	for _, t := range p.tokens {
		if keep(t) {
			list = append(list, t.Token)
		}
	}
	return list
}

// Stored is the secret of Config.Tokens[i].
func (p *Platform) Stored(i int) string {
	if t := p.stored(i); t.Kind == "access" {
		return t.access
	}
	return p.stored(i).reference
}

// StoredID is the token id of Config.Tokens[i].
func (p *Platform) StoredID(i int) string { return p.stored(i).ID }

// StoredRefresh is the refresh token of Config.Tokens[i].
func (p *Platform) StoredRefresh(i int) string { return p.stored(i).refresh }

func (p *Platform) stored(i int) *token {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokens[:len(p.cfg.Tokens)][i]
}

// seed enters the many.
func (p *Platform) seed(many ManyTokens, now time.Time) {
	many.Age += many.Count
	for range many.Count {
		many.Age--
		t := p.newStored(many.StoredToken, now)
		t.configured = false
		p.enter(t)
	}
}

func (p *Platform) newStored(s StoredToken, now time.Time) *token {
	setDefault(&s.Kind, "access")
	setDefault(&s.Scope, userScope)
	setDefault(&s.Audience, allAudiences)
	t := &token{
		Token: Token{
			Kind: s.Kind, User: s.User, Subject: p.serviceID + "/users/" + s.User, Scope: s.Scope, Audience: s.Audience,
			Description: s.Description, IssuedAt: now.Add(-time.Duration(s.Age) * time.Second),
			Refreshable: s.Refreshable, Reference: s.Kind != "access", Revoked: s.Revoked,
		},
		forced: s.ForceRevocable, configured: true,
	}
	if s.ExpiresIn != 0 {
		t.lifetime = s.Age + s.ExpiresIn
		if t.lifetime <= 0 { // expired longer ago than it was issued: issue it earlier
			t.lifetime = p.cfg.DefaultExpiry
			t.IssuedAt = now.Add(time.Duration(s.ExpiresIn-t.lifetime) * time.Second)
		}
	}
	t.scopes, _ = parseScope(s.Scope)
	return t
}

// enter completes a token and enters it into the ledger. The caller holds p.mu, or is New.
func (p *Platform) enter(t *token) {
	t.IssuedAt = t.IssuedAt.Truncate(time.Second)
	if t.lifetime != 0 {
		t.Expiry = time.Unix(t.IssuedAt.Unix()+int64(t.lifetime), 0)
	}
	p.lastJTI++
	t.ID = uuidV4()
	if p.cfg.Sequential {
		t.ID = fmt.Sprintf("00000000-0000-4000-8000-%012d", p.lastJTI)
	}
	revocable, persistent := *p.cfg.RevocableThreshold, *p.cfg.PersistentThreshold
	// An exchange's refresh token says nothing about revocation: clients only show it.
	byKind := t.Refreshable && t.Mapping == "" || t.Reference
	t.Revocable = t.forced || byKind || t.lifetime == 0 || revocable >= 0 && t.lifetime >= revocable
	t.Persisted = t.Revocable || t.lifetime >= persistent
	if t.selfRevocable {
		t.Revocable, t.Persisted = true, t.Persisted || p.cfg.SelfRevocableStored
	}
	p.tokens = append(p.tokens, t)
}

// issue enters a token and signs it. The caller holds p.mu, or is New.
func (p *Platform) issue(t *token) {
	p.enter(t)
	claims := jwt.MapClaims{
		"sub": t.Subject, "scp": t.Scope, "iss": p.serviceID, "iat": t.IssuedAt.Unix(), "jti": t.ID, "aud": t.Audience,
	}
	if parts := strings.Fields(t.Audience); len(parts) > 1 {
		claims["aud"] = parts
	}
	if t.lifetime != 0 {
		claims["exp"] = t.Expiry.Unix()
	}
	if t.forced || t.selfRevocable && p.cfg.SelfRevocableExt {
		claims["ext"] = `{"revocable":"true"}` // a string, not an object
	}
	if isPairing(t) {
		claims["ext"] = fmt.Sprintf(`{"revocable":"true","base_url":%q,"exchange_url":%q}`, p.url, p.url+spendPath)
	}
	t.access = sign(claims)
	if t.Kind == "access" {
		p.addSecret("access-token", t.access)
	}
	if t.Reference {
		expiry := int64(0)
		if t.lifetime != 0 {
			expiry = t.Expiry.Unix()
		}
		t.reference = base64.StdEncoding.EncodeToString(
			fmt.Appendf(nil, "reftkn:01:%010d:%s", expiry, randomText(alphanumeric, 27)))
		p.addSecret("reference-token", t.reference)
	}
	if t.Refreshable {
		t.refresh = uuidV4()
		p.addSecret("refresh-token", t.refresh)
	}
}

// sign writes the header's fields in the order that JFrog's tokens have.
func sign(claims jwt.MapClaims) string {
	payload, err := json.Marshal(claims)
	check(err)
	header := fmt.Sprintf(`{"ver":"2","typ":"JWT","alg":"RS256","kid":%q}`, keyID(&platformKey().PublicKey))
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := jwt.SigningMethodRS256.Sign(text, platformKey())
	check(err)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// lookup finds the token behind a secret, or says what is wrong with it: "invalid", "expired" or "revoked", the last
// two together with the token.
func (p *Platform) lookup(secret string) (*token, string) {
	now := p.now()
	var claims jwt.RegisteredClaims
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation()).
		ParseWithClaims(secret, &claims, func(*jwt.Token) (any, error) { return &platformKey().PublicKey, nil })
	i := slices.IndexFunc(p.tokens, func(t *token) bool {
		if t.reference != "" && t.reference == secret {
			return true
		}
		return err == nil && t.ID == claims.ID && t.access == secret
	})
	if i < 0 {
		return nil, "invalid"
	}
	t := p.tokens[i]
	switch {
	case t.Revoked:
		return t, "revoked"
	case t.expired(now):
		return t, "expired"
	}
	t.lastUsed = now
	return t, ""
}

// credentials returns the secret of a request and, with Basic authentication, the user's name.
func (c *call) credentials() (secret, user string, basic bool) {
	if user, password, ok := c.BasicAuth(); ok {
		return password, user, true
	}
	return cmp.Or(c.bearer(), c.Header.Get("X-JFrog-Art-Api")), "", false
}

// access admits those whom Access knows, one at a time.
func (p *Platform) access(handle func(*call) answer) func(*call) answer {
	return func(c *call) answer {
		p.mu.Lock()
		defer p.mu.Unlock()
		if refusal := p.authenticate(c); refusal != nil {
			return *refusal
		}
		return handle(c)
	}
}

func (p *Platform) authenticate(c *call) *answer {
	refuse := func(status int, code, message string) *answer {
		a := p.refuse(status, code, message, "")
		return &a
	}
	secret, user, basic := c.credentials()
	t, problem := p.lookup(secret)
	if problem == "expired" && c.op == "refresh" && p.refreshable(t) {
		problem = ""
	}
	switch {
	case problem == "invalid",
		c.bearer() == "" && (!p.cfg.ReferenceAnywhere || secret != t.reference),
		basic && !strings.EqualFold(user, t.User):
		return refuse(401, "UNAUTHORIZED", "Bad credentials")
	case problem != "":
		return refuse(401, "UNAUTHORIZED", "Invalid token, "+problem)
	case countGroups(t.scopes) > 1:
		// Created without complaint, refused when used:
		// https://github.com/jfrog/terraform-provider-artifactory/issues/1233
		return refuse(403, "FORBIDDEN", "Forbidden")
	case !accepts(t.Audience, "jfac", p.serviceID) && !(c.op == "me" && p.cfg.since("7.68.0")):
		// 401 or 403 is not known. 403, since the token itself is good.
		return refuse(403, "FORBIDDEN", "Token audience does not include "+p.serviceID)
	}
	c.token = t
	return nil
}

func (p *Platform) isAdmin(t *token) bool {
	if slices.Contains(t.scopes, adminScope) {
		return true
	}
	return slices.Contains(t.scopes, userScope) && p.user(t.User).Admin
}

func (p *Platform) user(name string) User {
	for _, u := range p.cfg.Users {
		if strings.EqualFold(u.Name, name) { // JFrog's CLI lower-cases them
			return u
		}
	}
	return User{Name: name}
}
