package jfrogtest

import (
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	grantExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
)

type refusal struct {
	status        int
	code, message string
}

// Nobody has captured how JFrog words these.
var (
	noMapping      = refusal{403, "FORBIDDEN", "No identity mapping matched"}
	expiredIDToken = refusal{401, "UNAUTHORIZED", "ID token expired"}
	earlyIDToken   = refusal{401, "UNAUTHORIZED", "ID token not valid yet"}
	badSignature   = refusal{401, "UNAUTHORIZED", "ID token signature invalid"}
	unknownMapping = refusal{404, "NOT_FOUND", "identity mapping doesn't exist"}
)

// exchangeRequest has the fields that matter. The others (provider_type, job_id, …) are tolerated and ignored.
type exchangeRequest struct {
	GrantType        string `json:"grant_type"`
	SubjectTokenType string `json:"subject_token_type"`
	SubjectToken     string `json:"subject_token"`
	ProviderName     string `json:"provider_name"`
	Mapping          string `json:"identity_mapping_name"`
	IncludeReference bool   `json:"include_reference_token"`
	ProjectKey       string `json:"project_key"`
}

// exchange ignores Authorization: no working client sends it, whatever JFrog's older help page says.
func (p *Platform) exchange(c *call) answer {
	bad := func(message string) answer { return p.refuse(400, "BAD_REQUEST", message, "") }
	if mediaType, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type")); mediaType != "application/json" {
		return p.refuse(415, "UNSUPPORTED_MEDIA_TYPE", errMediaType.Error(), "")
	}
	var req exchangeRequest
	if err := json.Unmarshal(c.body, &req); err != nil {
		return bad("Invalid request body")
	}
	switch {
	case req.GrantType != grantExchange:
		return bad("Unsupported grant_type")
	case req.SubjectTokenType != typeIDToken:
		return bad("Unsupported subject_token_type")
	case req.SubjectToken == "":
		return bad("subject_token must not be blank")
	}
	i := p.findProvider(req.ProviderName)
	if i < 0 {
		return p.refuse(404, "NOT_FOUND", "oidc integration doesn't exist", "")
	}
	provider := p.cfg.Providers[i]
	issuer := p.issuerURL(provider)
	keys, err := p.fetchKeys(c.Context(), issuer)
	if err != nil {
		return bad("Failed to get public key")
	}
	claims, refusal := p.verify(req.SubjectToken, issuer, keys)
	if refusal == nil && !provider.acceptsAudience(claims) {
		return bad("Invalid audience")
	}
	var mapping Mapping
	if refusal == nil {
		mapping, refusal = p.pickMapping(provider, req, claims)
	}
	if refusal != nil {
		return p.refuse(refusal.status, refusal.code, refusal.message, "")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exchanged(p.issueMapped(provider, mapping, claims, req.IncludeReference))
}

func (p *Platform) findProvider(name string) int {
	return slices.IndexFunc(p.cfg.Providers, func(provider Provider) bool { return provider.Name == name })
}

func (p *Platform) issuerURL(provider Provider) string {
	if provider.IssuerURL != "" {
		return provider.IssuerURL
	}
	return p.issuer.URL()
}

// fetchKeys reads the issuer's keys over the network, as JFrog does.
func (p *Platform) fetchKeys(ctx context.Context, issuer string) (map[string]*rsa.PublicKey, error) {
	if strings.HasSuffix(issuer, "/") {
		return nil, errors.New("trailing slash") // https://github.com/jfrog/setup-jfrog-cli/issues/155
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var discovery struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := p.getJSON(ctx, issuer+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, err
	}
	if discovery.Issuer != issuer {
		return nil, fmt.Errorf("%s says it is %s", issuer, discovery.Issuer)
	}
	var set jwks
	if err := p.getJSON(ctx, discovery.JWKSURI, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		if key, err := k.publicKey(); err == nil {
			keys[k.Kid] = key
		}
	}
	return keys, nil
}

func (p *Platform) getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func (p *Platform) verify(idToken, issuer string, keys map[string]*rsa.PublicKey) (jwt.MapClaims, *refusal) {
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired()).
		ParseWithClaims(idToken, claims, func(t *jwt.Token) (any, error) {
			kid, _ := t.Header["kid"].(string)
			if key := keys[kid]; key != nil {
				return key, nil
			}
			return nil, errors.New("unknown key")
		})
	switch {
	case err == nil:
		return claims, nil
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, &expiredIDToken
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return nil, &earlyIDToken
	}
	return nil, &badSignature
}

func (provider Provider) acceptsAudience(claims jwt.MapClaims) bool {
	audience, err := claims.GetAudience()
	return err == nil && (provider.Audience == "" || slices.Contains(audience, provider.Audience))
}

func (p *Platform) pickMapping(provider Provider, req exchangeRequest, claims jwt.MapClaims) (Mapping, *refusal) {
	var found []Mapping
	known := req.Mapping == ""
	for _, m := range provider.Mappings {
		if req.Mapping != "" && m.Name != req.Mapping {
			continue
		}
		known = true
		// One token is for one project: https://github.com/jfrog/setup-jfrog-cli/issues/247
		if (m.ProjectKey == "" || m.ProjectKey == req.ProjectKey) && p.matches(m, claims) {
			found = append(found, m)
		}
	}
	org := provider.Organization
	switch {
	case !known:
		return Mapping{}, &unknownMapping
	case len(found) == 0, org != "" && claims["repository_owner"] != org:
		return Mapping{}, &noMapping
	}
	return slices.MinFunc(found, func(a, b Mapping) int { return cmp.Compare(a.Priority, b.Priority) }), nil
}

// matches compares claims. Lists and wildcards came with 7.94.1.
func (p *Platform) matches(m Mapping, claims jwt.MapClaims) bool {
	matchOne := func(pattern, value string) bool {
		if !p.cfg.since("7.94.1") {
			return pattern == value
		}
		re := "^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
		return regexp.MustCompile(re).MatchString(value)
	}
	for name, want := range m.Claims {
		ok := slices.ContainsFunc(texts(claims[name]), func(value string) bool {
			return slices.ContainsFunc(texts(want), func(pattern string) bool { return matchOne(pattern, value) })
		})
		if !ok {
			return false
		}
	}
	return true
}

// texts are the values of a claim, or of what a mapping wants it to be.
func texts(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []string:
		return v
	case []any:
		var list []string
		for _, e := range v {
			list = append(list, texts(e)...)
		}
		return list
	}
	return []string{fmt.Sprint(v)}
}

func expand(pattern string, claims jwt.MapClaims) string {
	return regexp.MustCompile(`\{\{[^{}]+\}\}`).ReplaceAllStringFunc(pattern, func(s string) string {
		return strings.Join(texts(claims[strings.Trim(s, "{} ")]), ",")
	})
}

func (p *Platform) issueMapped(provider Provider, m Mapping, claims jwt.MapClaims, reference bool) *token {
	spec := m.TokenSpec
	scope := spec.Scope
	if spec.GroupsPattern != "" {
		scope = groupsPrefix + expand(spec.GroupsPattern, claims)
	}
	user := p.user(cmp.Or(spec.Username, expand(spec.UsernamePattern, claims))).Name
	t := &token{
		Token: Token{
			Kind: "access", User: user, Subject: p.serviceID + "/users/" + user, Scope: scope,
			Audience: cmp.Or(spec.Audience, allAudiences), IssuedAt: p.now(), Reference: reference,
			Refreshable: p.cfg.ExchangeRefreshToken, Provider: provider.Name, Mapping: m.Name,
		},
		lifetime: cmp.Or(spec.ExpiresIn, 60), selfRevocable: spec.SelfRevocable,
	}
	if user == "" { // https://github.com/jfrog/setup-jfrog-cli/issues/146
		t.nameless = true
		t.User = provider.Name + "/" + m.Name
		t.Subject = t.User
	}
	t.scopes, _ = parseScope(scope)
	p.issue(t)
	return t
}

func (p *Platform) exchanged(t *token) answer {
	body := map[string]any{
		"access_token": t.access, "token_type": "Bearer", "expires_in": t.lifetime, "issued_token_type": typeAccessToken,
	}
	if !p.cfg.OmitUsername {
		body["username"] = t.User
	}
	if !p.cfg.OmitScope {
		body["scope"] = t.Scope
	}
	if t.reference != "" {
		body["reference_token"] = t.reference
	}
	if p.cfg.ExchangeTokenID {
		body["token_id"] = t.ID
	}
	if t.refresh != "" {
		body["refresh_token"] = t.refresh
	}
	a := jsonAnswer(200, body)
	a.stored = true
	return a
}
