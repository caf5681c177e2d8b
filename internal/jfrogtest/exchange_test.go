package jfrogtest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func claimsOf(t *testing.T, token string) (header map[string]any, claims jwt.MapClaims) {
	t.Helper()
	claims = jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, claims)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Header, claims
}

func TestExchange(t *testing.T) {
	w := newWorld(t, Config{Sequential: true}, IssuerConfig{RequestToken: "knock"})
	idToken := w.requestIDToken("", "knock").str("value")
	r := w.want(w.exchange(idToken, nil), 200, `"token_type":"Bearer"`)
	if r.str("username") != "ci-bot" || r.json["expires_in"] != 600.0 || r.str("scope") != userScope {
		t.Errorf("answer: %s", r.text)
	}
	for _, absent := range []string{"token_id", "refresh_token", "reference_token"} {
		if _, ok := r.json[absent]; ok {
			t.Errorf("answer has %s", absent)
		}
	}
	header, claims := claimsOf(t, r.str("access_token"))
	if !strings.HasPrefix(r.str("access_token"), base64.RawURLEncoding.EncodeToString([]byte(`{"ver":"2","typ":"JWT",`))[:30]) ||
		len(header["kid"].(string)) != 43 {
		t.Errorf("header: %v", header)
	}
	if claims["sub"] != w.serviceID+"/users/ci-bot" || claims["aud"] != "*@*" || claims["ext"] != nil ||
		claims["jti"] != "00000000-0000-4000-8000-000000000001" || claims["exp"].(float64)-claims["iat"].(float64) != 600 {
		t.Errorf("claims: %v", claims)
	}
	alive := w.Alive()
	if len(alive) != 1 || alive[0].Persisted || alive[0].Revocable || alive[0].Mapping != "ci" || alive[0].Provider != "github" {
		t.Errorf("ledger: %+v", alive)
	}
	w.want(w.do("GET", api+"tokens/me", r.str("access_token"), nil), 200, "ci-bot")
	w.want(w.do("DELETE", api+"tokens/me", r.str("access_token"), nil), 400, "Token not revocable")
	if len(w.Alive()) != 1 {
		t.Error("a refused revocation revoked")
	}
	if got := len(w.issuer.Requests()); got != 3 { // ID token, discovery, keys
		t.Errorf("the issuer saw %d requests", got)
	}
	if s := w.issuer.Secrets(); len(s) != 2 || s[0].Name != "request-token" || s[1] != (Secret{"id-token 1", idToken}) {
		t.Errorf("secrets: %v", s)
	}
}

func TestExchangeRefusals(t *testing.T) {
	provider := func(change func(*Provider)) Config {
		p := Provider{Name: "github", Mappings: []Mapping{{
			Name: "ci", Claims: map[string]any{"repository": "acme/app"}, TokenSpec: TokenSpec{Username: "ci-bot", Scope: userScope},
		}}}
		change(&p)
		return Config{Providers: []Provider{p}}
	}
	tests := map[string]struct {
		cfg    Config
		issuer IssuerConfig
		extra  map[string]any
		status int
		part   string
	}{
		"unknown provider": {extra: map[string]any{"provider_name": "no"}, status: 404, part: "oidc integration doesn't exist"},
		"old platform":     {cfg: Config{Version: "7.71.0"}, status: 404, part: "NOT_FOUND"},
		"grant type":       {extra: map[string]any{"grant_type": "x"}, status: 400, part: "grant_type"},
		"audience":         {cfg: provider(func(p *Provider) { p.Audience = "jfrog" }), status: 400, part: `"Invalid audience"`},
		"trailing slash":   {cfg: provider(func(p *Provider) { p.IssuerURL = "https://127.0.0.1:1/" }), status: 400, part: "Failed to get public key"},
		"keys down":        {issuer: IssuerConfig{KeysDown: true}, status: 400, part: "Failed to get public key"},
		"keys not JSON":    {issuer: IssuerConfig{Faults: []Fault{{On: "keys", Kind: "html"}}}, status: 400, part: "Failed to get public key"},
		"other issuer":     {issuer: IssuerConfig{Claims: map[string]any{"iss": "https://evil.test"}}, status: 401, part: "signature"},
		"signature":        {issuer: IssuerConfig{Tamper: "signature"}, status: 401, part: "signature"},
		"alg none":         {issuer: IssuerConfig{Tamper: "alg-none"}, status: 401, part: "signature"},
		"unknown key":      {issuer: IssuerConfig{Tamper: "unknown-key"}, status: 401, part: "signature"},
		"expired":          {issuer: IssuerConfig{Lifetime: -10}, status: 401, part: "expired"},
		"skew":             {issuer: IssuerConfig{Skew: 100}, status: 401, part: "not valid yet"},
		"no mapping":       {issuer: IssuerConfig{Claims: map[string]any{"repository": "acme/other"}}, status: 403, part: "No identity mapping"},
		"no claim":         {issuer: IssuerConfig{Claims: map[string]any{"repository": nil}}, status: 403, part: "No identity mapping"},
		"unknown mapping":  {extra: map[string]any{"identity_mapping_name": "no"}, status: 404, part: "mapping"},
		"organization":     {cfg: provider(func(p *Provider) { p.Organization = "other" }), status: 403, part: "No identity mapping"},
		"no project":       {cfg: provider(func(p *Provider) { p.Mappings[0].ProjectKey = "pay" }), status: 403, part: "No identity mapping"},
		"project":          {cfg: provider(func(p *Provider) { p.Mappings[0].ProjectKey = "pay" }), extra: map[string]any{"project_key": "pay"}, status: 200},
		"flat":             {cfg: Config{ErrorShape: "flat"}, extra: map[string]any{"provider_name": "no"}, status: 404, part: `{"code":"NOT_FOUND","message":"oidc`},
		"artifactory":      {cfg: Config{ErrorShape: "artifactory"}, extra: map[string]any{"provider_name": "no"}, status: 404, part: `{"errors":[{"status":404,"message":"oidc integration doesn't exist"}]}`},
		"oauth":            {cfg: Config{ErrorShape: "oauth"}, extra: map[string]any{"provider_name": "no"}, status: 404, part: `"error_description":"oidc`},
		"html":             {cfg: Config{ErrorShape: "html"}, extra: map[string]any{"provider_name": "no"}, status: 404, part: "<html>"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.cfg, test.issuer)
			w.want(w.exchange(w.issuer.Mint("", nil), test.extra), test.status, test.part)
			if test.status != 200 && len(w.Issued()) != 0 {
				t.Error("a refusal issued a token")
			}
		})
	}
	w := newWorld(t, Config{}, IssuerConfig{})
	w.want(w.do("POST", api+"oidc/token", "", "grant_type=x"), 415, "")
	w.want(w.do("GET", api+"oidc/token", "", nil), 405, "METHOD_NOT_ALLOWED")
}

func TestMappings(t *testing.T) {
	spec := func(user string) TokenSpec { return TokenSpec{Username: user, Scope: userScope} }
	cfg := Config{
		ExchangeTokenID: true, ExchangeRefreshToken: true,
		Providers: []Provider{{Name: "github", Mappings: []Mapping{
			{Name: "late", Priority: 9, TokenSpec: spec("late")},
			{Name: "list", Priority: 2, Claims: map[string]any{"ref": []any{"refs/heads/dev", "refs/tags/v*"}}, TokenSpec: spec("list")},
			{Name: "pattern", Priority: 1, Claims: map[string]any{"environment": "prod"},
				TokenSpec: TokenSpec{UsernamePattern: "ci-{{repository_owner}}", GroupsPattern: "{{teams}}"}},
			{Name: "nameless", Priority: 20, TokenSpec: TokenSpec{Scope: groupsPrefix + `"a b",c`, SelfRevocable: true}},
		}}},
	}
	w := newWorld(t, cfg, IssuerConfig{})
	user := func(claims, extra map[string]any) reply { return w.exchange(w.issuer.Mint("", claims), extra) }
	w.want(user(nil, nil), 200, `"username":"late"`)
	w.want(user(map[string]any{"ref": "refs/tags/v1"}, nil), 200, `"username":"list"`)
	w.want(user(map[string]any{"ref": "refs/tags/v1"}, map[string]any{"identity_mapping_name": "late"}), 200, `"username":"late"`)
	r := w.want(user(map[string]any{"environment": "prod", "teams": []string{"x", "y"}}, nil), 200, `"username":"ci-acme"`)
	if r.str("scope") != groupsPrefix+"x,y" || r.json["expires_in"] != 60.0 || r.str("token_id") == "" || r.str("refresh_token") == "" {
		t.Errorf("answer: %s", r.text)
	}

	r = w.want(user(nil, map[string]any{"identity_mapping_name": "nameless", "include_reference_token": true}), 200, `"username":"github/nameless"`)
	if !strings.HasPrefix(r.str("reference_token"), "cmVmdGtuOjAx") || len(r.str("reference_token")) != 64 {
		t.Errorf("reference token: %q", r.str("reference_token"))
	}
	token := r.str("access_token")
	if _, claims := claimsOf(t, token); claims["sub"] != "github/nameless" {
		t.Errorf("sub: %v", claims["sub"])
	}
	narrower := map[string]any{"scope": groupsPrefix + `"a b"`}
	w.want(w.create(token, narrower), 400, "Invalid formatted name: github/nameless")
	narrower["username"] = w.serviceID + "/users/github/nameless"
	w.want(w.create(token, narrower), 200, "access_token")
	narrower["scope"] = groupsPrefix + "d"
	w.want(w.create(token, narrower), 403, "FORBIDDEN")
	w.want(w.do("DELETE", api+"tokens/me", token, nil), 200, "")
	w.want(w.do("GET", api+"tokens/me", token, nil), 401, "Invalid token, revoked")

	old := newWorld(t, Config{Version: "7.90.0", Providers: cfg.Providers}, IssuerConfig{Claims: map[string]any{"ref": "refs/tags/v1"}})
	old.want(old.exchange(old.issuer.Mint("", nil), nil), 200, `"username":"late"`) // no wildcards yet
}

// What a self_revocable mapping's tokens are to the platform besides is not known.
func TestSelfRevocable(t *testing.T) {
	for _, known := range []bool{false, true} {
		w := newWorld(t, Config{SelfRevocableStored: known, SelfRevocableExt: known, Providers: []Provider{{
			Name: "github", Mappings: []Mapping{{TokenSpec: TokenSpec{Username: "ci-bot", Scope: userScope, SelfRevocable: true}}},
		}}}, IssuerConfig{})
		token := w.want(w.exchange(w.issuer.Mint("", nil), nil), 200, "").str("access_token")
		if _, claims := claimsOf(t, token); (claims["ext"] != nil) != known || w.Alive()[0].Persisted != known {
			t.Errorf("ext %v, %+v", claims["ext"], w.Alive()[0])
		}
		w.want(w.do("DELETE", api+"tokens/me", token, nil), 200, "")
	}
}

func TestIDTokenEndpoint(t *testing.T) {
	w := newWorld(t, Config{}, IssuerConfig{RequestToken: "knock", RefusedAudience: "bad", Claims: map[string]any{"environment": "prod"}})
	w.want(w.requestIDToken("", "wrong"), 401, `{"message":`)
	w.want(w.requestIDToken("&audience=bad", "knock"), 403, `Can't issue ID_TOKEN for audience 'bad'.`)
	_, claims := claimsOf(t, w.requestIDToken("&audience=a%26b", "knock").str("value"))
	if claims["aud"] != "a&b" || claims["environment"] != "prod" || claims["iss"] != w.issuer.URL() {
		t.Errorf("claims: %v", claims)
	}
	if _, claims := claimsOf(t, w.requestIDToken("", "knock").str("value")); claims["aud"] != "https://github.com/acme" {
		t.Errorf("aud: %v", claims["aud"])
	}
}

func TestDecodeConfig(t *testing.T) {
	cfg, err := DecodeConfig([]byte(`{"revocable_threshold": 0, "faults": [{"on": "create", "kind": "edit", "set": {"a": 1}}],
		"providers": [{"name": "github", "mappings": [{"name": "m", "claims": {"ref": ["a", "b"]}, "token_spec": {"scope": "applied-permissions/user"}}]}]}`))
	if err != nil || *cfg.RevocableThreshold != 0 || cfg.Faults[0].Kind != "edit" {
		t.Errorf("%+v, %v", cfg, err)
	}
	for _, bad := range []string{`{"verison": "7.1.1"}`, `{} {}`, `{"users": [{"nam": "x"}]}`} {
		if _, err := DecodeConfig([]byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	for _, bad := range []string{`{"version": "7.x"}`, `{"faults": [{"on": "creat"}]}`, `{"faults": [{"on": "any", "kind": "boom"}]}`,
		`{"error_shape": "xml"}`, `{"delete_unknown": 500}`, `{"tokens": [{"kind": "x"}]}`,
		`{"providers": [{"name": "Bad"}]}`, `{"providers": [{"name": "ok", "mappings": [{"token_spec": {"scope": "artifact:*:r"}}]}]}`} {
		cfg, err := DecodeConfig([]byte(bad))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(cfg, NewIssuer(IssuerConfig{}), nil); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	if _, err := DecodeIssuerConfig([]byte(`{"tamper": "x"}`)); err == nil {
		t.Error("unknown tamper accepted")
	}
	if _, err := json.Marshal(Config{}); err != nil {
		t.Error(err)
	}
}
