package jfrogtest

import (
	"cmp"
	"crypto/rsa"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// IssuerConfig describes the CI's side.
type IssuerConfig struct {
	Claims          map[string]any `json:"claims"`           // over the GitHub-like defaults; null removes one
	Lifetime        int            `json:"lifetime"`         // seconds; 300 unless set, negative: issued expired
	Skew            int            `json:"skew"`             // seconds added to iat, nbf and exp
	Tamper          string         `json:"tamper"`           // "signature", "alg-none" or "unknown-key"
	KeysDown        bool           `json:"keys_down"`        // the keys answer 503
	RefusedAudience string         `json:"refused_audience"` // 403 for this one
	RequestToken    string         `json:"request_token"`    // random unless set
	Faults          []Fault        `json:"faults"`
}

func (c *IssuerConfig) check() error {
	if !slices.Contains([]string{"", "signature", "alg-none", "unknown-key"}, c.Tamper) {
		return fmt.Errorf("unknown tamper %q", c.Tamper)
	}
	return checkFaults(c.Faults)
}

// Issuer is a CI that issues ID tokens the way GitHub does. It is an http.Handler.
type Issuer struct {
	front
	cfg IssuerConfig
	mux *http.ServeMux
}

// NewIssuer panics where cfg is wrong.
func NewIssuer(cfg IssuerConfig) *Issuer {
	if err := cfg.check(); err != nil {
		panic(err)
	}
	setDefault(&cfg.Lifetime, 300)
	if cfg.RequestToken == "" {
		cfg.RequestToken = randomText(alphanumeric, 40)
	}
	i := &Issuer{cfg: cfg, mux: http.NewServeMux()}
	i.init(cfg.Faults)
	i.route("GET /idtoken", "idtoken", i.idToken)
	i.route("GET /.well-known/openid-configuration", "keys", i.discovery)
	i.route("GET /.well-known/jwks", "keys", i.keys)
	i.route("/", "other", i.notFound)
	i.secrets = []Secret{{"request-token", cfg.RequestToken}}
	return i
}

// RequestURL is ACTIONS_ID_TOKEN_REQUEST_URL. As on GitHub it has a query already: clients add &audience= to it.
func (i *Issuer) RequestURL() string { return i.URL() + "/idtoken?api-version=2.0" }

// RequestToken is ACTIONS_ID_TOKEN_REQUEST_TOKEN.
func (i *Issuer) RequestToken() string { return i.cfg.RequestToken }

func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.mux.ServeHTTP(w, r) }

func (i *Issuer) route(pattern, op string, handle func(*call) answer) {
	i.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		i.serve(w, r, func(*call) string { return op }, handle)
	})
}

func issuerMessage(status int, text string) answer {
	return jsonAnswer(status, map[string]string{"message": text})
}

func (i *Issuer) notFound(*call) answer { return issuerMessage(404, "Not Found") }

func (i *Issuer) discovery(*call) answer {
	return jsonAnswer(200, map[string]any{
		"issuer":                                i.URL(),
		"jwks_uri":                              i.URL() + "/.well-known/jwks",
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public", "pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (i *Issuer) keys(*call) answer {
	if i.cfg.KeysDown {
		return textAnswer(503, "no keys today")
	}
	return jsonAnswer(200, jwks{Keys: []jwk{publicJWK(&issuerKey().PublicKey)}})
}

func (i *Issuer) idToken(c *call) answer {
	audience := c.URL.Query().Get("audience")
	switch {
	case c.bearer() != i.cfg.RequestToken:
		return issuerMessage(401, "Unauthorized")
	case audience != "" && audience == i.cfg.RefusedAudience:
		// https://github.com/aws-actions/configure-aws-credentials/issues/272
		return issuerMessage(403, fmt.Sprintf("Can't issue ID_TOKEN for audience '%s'.", audience))
	}
	return jsonAnswer(200, map[string]string{"value": i.Mint(audience, nil)})
}

// Mint issues an ID token. Its claims go over the configured ones and over iss, aud, iat, nbf and exp.
func (i *Issuer) Mint(audience string, claims map[string]any) string {
	now := time.Now().Unix() + int64(i.cfg.Skew)
	all := defaultClaims()
	all["iss"] = i.URL()
	all["aud"] = cmp.Or(audience, "https://github.com/acme")
	all["iat"], all["nbf"], all["exp"] = now, now, now+int64(i.cfg.Lifetime)
	if i.cfg.Lifetime < 0 {
		all["iat"], all["nbf"] = now+2*int64(i.cfg.Lifetime), now+2*int64(i.cfg.Lifetime)
	}
	maps.Copy(all, i.cfg.Claims)
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })

	token := i.sign(all)
	i.addSecret("id-token", token)
	return token
}

func (i *Issuer) sign(claims jwt.MapClaims) string {
	switch i.cfg.Tamper {
	case "alg-none":
		return signed(jwt.SigningMethodNone, claims, keyID(&issuerKey().PublicKey), jwt.UnsafeAllowNoneSignatureType)
	case "unknown-key":
		return signRS256(claims, strangerKey())
	case "signature": // right key id, wrong key
		return signed(jwt.SigningMethodRS256, claims, keyID(&issuerKey().PublicKey), strangerKey())
	}
	return signRS256(claims, issuerKey())
}

func signRS256(claims jwt.Claims, key *rsa.PrivateKey) string {
	return signed(jwt.SigningMethodRS256, claims, keyID(&key.PublicKey), key)
}

func signed(method jwt.SigningMethod, claims jwt.Claims, kid string, key any) string {
	t := jwt.NewWithClaims(method, claims)
	t.Header["kid"] = kid
	s, err := t.SignedString(key)
	check(err)
	return s
}

func defaultClaims() jwt.MapClaims {
	const sha = "0f7f3a2b9c1d4e5f60718293a4b5c6d7e8f90a1b"
	return jwt.MapClaims{
		"jti":                   uuidV4(),
		"sub":                   "repo:acme/app:ref:refs/heads/main",
		"ref":                   "refs/heads/main",
		"ref_type":              "branch",
		"ref_protected":         "true",
		"sha":                   sha,
		"repository":            "acme/app",
		"repository_id":         "1",
		"repository_owner":      "acme",
		"repository_owner_id":   "2",
		"repository_visibility": "private",
		"actor":                 "octocat",
		"actor_id":              "3",
		"workflow":              "ci",
		"workflow_ref":          "acme/app/.github/workflows/ci.yml@refs/heads/main",
		"workflow_sha":          sha,
		"job_workflow_ref":      "acme/app/.github/workflows/ci.yml@refs/heads/main",
		"job_workflow_sha":      sha,
		"event_name":            "push",
		"head_ref":              "",
		"base_ref":              "",
		"run_id":                "1000",
		"run_number":            "7",
		"run_attempt":           "1",
		"runner_environment":    "github-hosted",
	}
}
