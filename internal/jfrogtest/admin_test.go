package jfrogtest

import (
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestAdministration(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored(), DefaultExpiry: 86400}, IssuerConfig{})
	for _, test := range []struct {
		path          string
		anyone, admin int
		part          string
	}{
		{api + "oidc", 403, 200, `[{"audience":"","issuer_url":"` + w.issuer.URL() + `","name":"github"`},
		{api + "oidc/github", 403, 200, `"provider_type":"GitHub"`},
		{api + "oidc/nothing", 403, 404, "oidc integration doesn't exist"},
		{api + "oidc/github/identity_mappings", 403, 200, `"claims":{"repository":"acme/app"}`},
		{api + "config/token/default_expiry", 403, 200, `{"default_token_expiration":86400}`},
		{api + "projects", 200, 200, ""},
		{api + "cert/root", 200, 200, "MII"},
		{art + "system/service_id", 403, 200, "jfrt@"},
		{art + "security/token", 403, 200, `{"tokens":[{`},
	} {
		w.want(w.do("GET", test.path, "", nil), 401, `{"errors":[{`)
		w.want(w.do("GET", test.path, w.Stored(bot), nil), test.anyone, "")
		w.want(w.do("GET", test.path, w.Stored(admin), nil), test.admin, test.part)
	}
	for _, path := range []string{art + "v1/system/readiness", art + "v1/system/liveness"} {
		w.want(w.do("GET", path, "", nil), 200, `{"code":"OK"}`)
	}
	usage := `{"productId":"jfrog-cli","features":[]}`
	w.want(w.do("POST", art+"system/usage", "", usage), 401, "")
	w.want(w.do("POST", art+"system/usage", w.Stored(bot), usage), 200, "{}")
}

func TestRootCertificateVerifiesTokens(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	der, err := base64.StdEncoding.DecodeString(w.do("GET", api+"cert/root", w.Stored(bot), nil).text)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil || root.Subject.CommonName != "JFrog Token Issuer "+w.serviceID {
		t.Fatalf("%v, %v", root, err)
	}
	if _, err := jwt.Parse(w.Stored(bot), func(*jwt.Token) (any, error) { return root.PublicKey, nil }); err != nil {
		t.Error(err)
	}
}

func TestLegacyTokens(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	post := func(bearer int, path string, form ...string) reply {
		t.Helper()
		values := url.Values{}
		for i := 0; i < len(form); i += 2 {
			values.Set(form[i], form[i+1])
		}
		return w.do("POST", art+"security/token"+path, w.Stored(bearer), values.Encode()+"&")
	}
	for _, test := range []struct {
		name   string
		form   []string
		bearer int
		status int
		part   string
	}{
		{"defaults", nil, bot, 200, `"expires_in":3600,"scope":"applied-permissions/user"`},
		{"own groups", []string{"scope", "api:* member-of-groups:readers"}, bot, 200, `"scope":"applied-permissions/groups:readers"`},
		{"all groups", []string{"scope", "member-of-groups:*"}, bot, 200, `"scope":"applied-permissions/user"`},
		{"administrator", []string{"scope", "jfrt@01:admin"}, admin, 200, `"scope":"applied-permissions/admin"`},
		{"too much", []string{"scope", "jfrt@01:admin"}, bot, 403, `{"error":"invalid_request","error_description":"Logged in user cannot request token with scope`},
		{"somebody else", []string{"username", "admin"}, bot, 403, "themselves"},
		{"not a number", []string{"expires_in", "x"}, bot, 400, `{"error":"invalid_request"`},
		{"audience", []string{"audience", "x"}, bot, 400, "Illegal audience"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := post(test.bearer, "", test.form...)
			w.want(r, test.status, test.part)
			if strings.Contains(r.text, "token_id") {
				t.Errorf("a token id: %s", r.text)
			}
		})
	}
	pair := post(bot, "", "refreshable", "true")
	next := w.want(post(bot, "", "grant_type", "refresh_token", "refresh_token", pair.str("refresh_token")), 200, "refresh_token")
	w.want(post(bot, "/revoke", "token", next.str("access_token")), 403, "Forbidden")
	w.want(post(admin, "/revoke"), 400, "")
	for _, text := range []string{"Token revoked", "Token revoked"} {
		w.want(post(admin, "/revoke", "token", next.str("access_token")), 200, text)
	}
	w.want(post(admin, "/revoke", "token_id", "nothing"), 200, "Token not found")
	w.want(w.do("GET", art+"system/version", next.str("access_token"), nil), 401, "revoked")
}
