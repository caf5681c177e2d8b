package jfrog

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// The subjects that JFrog is known to write. token1 to token5 are those of
// https://github.com/jfrog/jfrog-client-go/blob/master/auth/authutils_test.go
func TestUsernameOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, subject, want string }{
		{"token1", "jfrt@01c3gffhg2e8w614ae1c3mqxnm/users/admin", "admin"},
		{"token2, which names no user", "jfrt@001c3gffhg2e8w614a41c3gpvmq0n", ""},
		{"token3, without a subject", "", ""},
		{"token4", "jffe@000/users/tempuser", "tempuser"},
		// Docker and npm want just that: https://github.com/jfrog/setup-jfrog-cli/issues/146
		{"token5, of a group mapping", "yahav/test-repo", "yahav/test-repo"},
		{"Access", "jfac@01g5hpv4w2e5gsb5fhj5g5h5g5/users/admin", "admin"},
		// https://github.com/jfrog/vault-plugin-secrets-artifactory/pull/78
		{"a user name with a slash", "jfac@01g5/users/team/ci/bot", "team/ci/bot"},
		{"a user name of that form", "jfac@01g5/users/a/users/b", "a/users/b"},
		{"an old token of Artifactory's", "jfrt@01c3/readers/bot", "bot"},
		{"an issuer as the user", "jfac@01g5/users/https://token.actions.githubusercontent.com/users/x", "https://token.actions.githubusercontent.com/users/x"},
		{"letters", "jfac@01g5/users/jürgen.weiß@acme.test", "jürgen.weiß@acme.test"},
		{"a user name that is empty", "jfac@01g5/users/", ""},
		{"a service alone", "jfac@01g5", "jfac@01g5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := usernameOf(c.subject); got != c.want {
				t.Errorf("expected %q to be %q", got, c.want)
			}
		})
	}
}

// compact gives a JWT as JFrog writes it, with \/ for / and without padding.
func compact(claims map[string]any) string {
	b, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	payload := strings.ReplaceAll(string(b), "/", `\/`)
	return "eyJ2ZXIiOiIyIiwidHlwIjoiSldUIn0." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2lnbmF0dXJl"
}

func TestIssuedToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	iat := now.Add(time.Hour).Unix() // JFrog's clock is an hour ahead of ours
	claims := func(life int64, more map[string]any) string {
		all := map[string]any{"sub": "jfac@01g5/users/ci", "scp": "applied-permissions/user", "aud": "*@*", "jti": "id-of-jwt", "iat": iat}
		if life != 0 {
			all["exp"] = iat + life
		}
		for k, v := range more {
			if all[k] = v; v == nil {
				delete(all, k)
			}
		}
		return compact(all)
	}
	const reference = "cmVmdGtuOjAxOjE3MzQ1Njc4OTA6YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4"
	const sixHours = 6 * 3600
	type want struct {
		id, user, scope string
		life            time.Duration
		expiry          time.Time
		revocable       bool
	}
	plain := want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user"}
	jwt := func(life int64, revocable bool) want {
		w := plain
		w.life, w.expiry, w.revocable = time.Duration(life)*time.Second, time.Unix(iat+life, 0).UTC(), revocable
		return w
	}
	ours := func(life int64, revocable bool) want {
		return want{life: time.Duration(life) * time.Second, expiry: now.Add(time.Duration(life) * time.Second).Truncate(time.Second), revocable: revocable}
	}
	never := plain
	never.revocable = true
	for _, c := range []struct {
		name   string
		answer issued
		want   want
	}{
		// JFrog leaves expires_in out of the answer for a token without end.
		{"never expiring", issued{AccessToken: claims(0, nil)}, never},
		{"never expiring, no JWT", issued{AccessToken: reference}, want{revocable: true}},
		{"never expiring, as zero", issued{AccessToken: reference, ExpiresIn: new(int64(0))}, want{revocable: true}},
		{"the answer goes before the JWT", issued{AccessToken: claims(600, nil), TokenID: "id", Username: "team/bot", Scope: "s"},
			want{id: "id", user: "team/bot", scope: "s", life: 600 * time.Second, expiry: time.Unix(iat+600, 0).UTC()}},
		{"the JWT's times go before the answer's", issued{AccessToken: claims(600, nil), ExpiresIn: new(int64(999))}, jwt(600, false)},
		{"the answer's time where the JWT has none", issued{AccessToken: claims(0, nil), ExpiresIn: new(int64(600))},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", life: 600 * time.Second, expiry: ours(600, false).expiry}},
		{"no JWT", issued{AccessToken: reference, ExpiresIn: new(int64(600)), TokenID: "id", Username: "u"},
			want{id: "id", user: "u", life: 600 * time.Second, expiry: ours(600, false).expiry}},

		{"a second under the threshold", issued{AccessToken: claims(sixHours-1, nil)}, jwt(sixHours-1, false)},
		{"the threshold", issued{AccessToken: claims(sixHours, nil)}, jwt(sixHours, true)},
		{"a second over the threshold", issued{AccessToken: claims(sixHours+1, nil)}, jwt(sixHours+1, true)},
		{"no JWT, a second under the threshold", issued{AccessToken: reference, ExpiresIn: new(int64(sixHours - 1))}, ours(sixHours-1, false)},
		{"no JWT, the threshold", issued{AccessToken: reference, ExpiresIn: new(int64(sixHours))}, ours(sixHours, true)},
		{"a year", issued{AccessToken: claims(31536000, nil)}, jwt(31536000, true)},

		// force_revocable is a JSON string in a claim:
		// https://github.com/jfrog/vault-plugin-secrets-artifactory/blob/master/test_utils.go
		{"asked for", issued{AccessToken: claims(600, map[string]any{"ext": `{"revocable":"true"}`})}, jwt(600, true)},
		{"asked for, with blanks", issued{AccessToken: claims(600, map[string]any{"ext": `{ "revocable" : "true" }`})}, jwt(600, true)},
		{"asked for, among others", issued{AccessToken: claims(600, map[string]any{"ext": `{"a":"b","revocable":"true","c":"d"}`})}, jwt(600, true)},
		{"asked not to", issued{AccessToken: claims(600, map[string]any{"ext": `{"revocable":"false"}`})}, jwt(600, false)},
		{"ext of another kind", issued{AccessToken: claims(600, map[string]any{"ext": 1})}, jwt(600, false)},
		{"ext that is empty", issued{AccessToken: claims(600, map[string]any{"ext": ""})}, jwt(600, false)},

		{"a negative life", issued{AccessToken: reference, ExpiresIn: new(int64(-5))}, want{revocable: true}},
		{"the most negative life", issued{AccessToken: reference, ExpiresIn: new(int64(-1 << 63))}, want{revocable: true}},
		{"a life past what time.Duration holds", issued{AccessToken: reference, ExpiresIn: new(int64(1<<63 - 1))}, ours(100*365*24*3600, true)},
		{"a life of 300 years", issued{AccessToken: reference, ExpiresIn: new(int64(300 * 365 * 24 * 3600))}, ours(100*365*24*3600, true)},
		{"an exp before iat", issued{AccessToken: claims(-60, nil)},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", expiry: time.Unix(iat-60, 0).UTC()}},
		{"an exp without iat", issued{AccessToken: claims(600, map[string]any{"iat": nil})},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", expiry: time.Unix(iat+600, 0).UTC()}},
		{"an exp that is no number", issued{AccessToken: claims(0, map[string]any{"exp": "soon"}), ExpiresIn: new(int64(60))},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", life: time.Minute, expiry: ours(60, false).expiry}},
		{"the last exp that can be written", issued{AccessToken: claims(0, map[string]any{"exp": 253402300799, "iat": 1})},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", life: 1<<63 - 1, expiry: time.Unix(253402300799, 0).UTC(), revocable: true}},
		{"no subject", issued{AccessToken: claims(600, map[string]any{"sub": nil})},
			want{id: "id-of-jwt", scope: "applied-permissions/user", life: 10 * time.Minute, expiry: time.Unix(iat+600, 0).UTC()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.answer.ReferenceToken, c.answer.RefreshToken = "ref", "refresh"
			got := c.answer.token(now)
			if w := (want{got.ID, got.Username, got.Scope, got.Life, got.Expiry, got.Revocable}); w != c.want {
				t.Errorf("expected %+v to be %+v", w, c.want)
			}
			if got.Access.Reveal() != c.answer.AccessToken || got.Reference.Reveal() != "ref" || got.Refresh.Reveal() != "refresh" || got.Exchanged {
				t.Errorf("expected %q, %q, %q to be %q, %q, %q", got.Access.Reveal(), got.Reference.Reveal(), got.Refresh.Reveal(), c.answer.AccessToken, "ref", "refresh")
			}
			if n := len(got.Secrets()); n != 3 {
				t.Errorf("expected %d secrets to be %d", n, 3)
			}
		})
	}
}

// On a machine whose clock is off, JFrog's own time would make a live token
// look expired: https://github.com/actions/create-github-app-token/issues/140
func TestHold(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name  string
		token Token
		want  time.Time
	}{
		{"a life", Token{Life: time.Hour, Expiry: now.Add(-24 * time.Hour)}, now.Add(time.Hour)},
		{"an expiry alone", Token{Expiry: now.Add(time.Hour)}, now.Add(time.Hour)},
		{"never", Token{}, time.Time{}},
	} {
		c.token.Access, c.token.ID, c.token.Revocable, c.token.Exchanged = secret.New("a"), "id", true, true
		got := c.token.Hold(now)
		if want := (Held{Bearer: c.token.Access, ID: "id", Expires: c.want, Revocable: true, Exchanged: true}); got != want {
			t.Errorf("%s: expected %+v to be %+v", c.name, got, want)
		}
	}
}

// refusal is what wire makes of an answer.
func refusal(status int, body string) error {
	e := &wire.Error{}
	e.Refusal(status, http.Header{}, []byte(body))
	return e
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	shapes := map[string]string{
		"Access":      `{"errors":[{"code":"C","message":%q}]}`,
		"flat":        `{"code":"C","message":%q,"detail":"expirationTimeMillis: 1, revocableExpiryThresholdMillis: 21600000"}`,
		"Artifactory": `{"errors":[{"status":400,"message":%q}]}`,
		"OAuth":       `{"error":"invalid_request","error_description":%q}`,
		"Xray":        `{"error":%q}`,
	}
	const page = "<!DOCTYPE html><html><head><title>%s</title></head></html>"
	for _, c := range []struct {
		name      string
		status    int
		message   string // "": no body
		revocable bool
		want      Outcome
		onPage    Outcome // where the same comes on a page of HTML
	}{
		{"revoked", 200, "", true, Revoked, Revoked},
		{"revoked against expectation", 200, "", false, Revoked, Revoked},
		{"nothing there", 204, "", true, Gone, Gone},
		// What JFrog does not store, it does not know: that does not kill it.
		{"nothing stored", 204, "", false, NotRevocable, NotRevocable},
		{"not found", 404, "Token not found", true, Gone, Failed},
		{"not found, nothing stored", 404, "Token not found", false, NotRevocable, Failed},
		// https://github.com/jfrog/jfrog-client-go/issues/753
		{"not revocable", 400, "Token not revocable", false, NotRevocable, Failed},
		{"not revocable, although its life says so", 400, "Token not revocable", true, NotRevocable, Failed},
		{"of another platform", 400, "Token belongs to another instance", true, Failed, Failed},
		{"expired, says Access", 401, "Invalid token, expired", true, Expired, Failed},
		{"expired, says Artifactory", 401, "Token failed verification: expired", false, Expired, Failed},
		{"revoked, says Artifactory", 401, "Token failed verification: revoked", true, Gone, Failed},
		{"not accepted", 401, "Bad credentials", true, Failed, Failed},
		{"not allowed", 403, "Forbidden", true, Failed, Failed},
		{"expired with another status", 403, "Invalid token, expired", true, Failed, Failed},
		{"not revocable with another status", 403, "Token not revocable", true, Failed, Failed},
		// https://github.com/jfrog/vault-plugin-secrets-artifactory/issues/286
		{"an empty id", 405, "HTTP 405 Method Not Allowed", true, Failed, Failed},
		{"a redirect", 302, "Found", true, Failed, Failed},
		{"not found, by a teapot", 418, "Token not found", true, Failed, Failed},
		{"too often", 429, "Too many requests", true, Failed, Failed},
		{"broken", 500, "expired", true, Failed, Failed},
		{"away", 503, "Token not revocable", true, Failed, Failed},
	} {
		for shape, body := range shapes {
			t.Run(c.name+"/"+shape, func(t *testing.T) {
				t.Parallel()
				var err error
				if c.status < 200 || c.status > 299 {
					err = refusal(c.status, fmt.Sprintf(body, c.message))
				}
				mustBe(t, Held{Revocable: c.revocable}, c.status, err, c.want)
			})
		}
		t.Run(c.name+"/HTML", func(t *testing.T) {
			t.Parallel()
			var err error
			if c.status < 200 || c.status > 299 {
				err = refusal(c.status, fmt.Sprintf(page, c.message))
			}
			mustBe(t, Held{Revocable: c.revocable}, c.status, err, c.onPage)
		})
	}
	for name, err := range map[string]error{
		"no answer":    &wire.Error{Err: io.ErrUnexpectedEOF},
		"no *Error":    errors.New("make request: x"),
		"half a body":  &wire.Error{Status: 403, Err: io.ErrUnexpectedEOF},
		"an empty 401": refusal(401, ""), "an empty 400": refusal(400, ""),
	} {
		var e *wire.Error
		status := 0
		if errors.As(err, &e) {
			status = e.Status
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustBe(t, Held{Revocable: true}, status, err, Failed)
		})
	}
}

func mustBe(t *testing.T, h Held, status int, err error, want Outcome) {
	t.Helper()
	got, left := h.outcome(status, err)
	if got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
	if want == Failed && left != err || want != Failed && left != nil {
		t.Errorf("expected %v to be %q", left, "an error for failed alone")
	}
}

// hostile ids: an id comes from outside, and must not lead elsewhere.
var hostile = []string{
	"59e39159-19eb-463d-953d-1d6baf567db6", "../..", "../../oidc/token", "a/b", "/", "%2e", "%2e%2e", "%2f", "me?x", "me#x", "a b", "a\tb", "a\r\nHost: x", "日本", `a\b`, "a;b",
	"a\x00b", ".", "..", "...",
}

func TestURL(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"https://acme.jfrog.io", "https://acme.test/jfrog", "https://[::1]:8443/a/b"} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		c := New(nil, u, wire.Policy{})
		before := *u
		if got, want := c.url(tokensPath).String(), base+"/access/api/v1/tokens"; got != want {
			t.Errorf("expected %q to be %q", got, want)
		}
		for _, id := range hostile {
			got := c.url(tokensPath, id).String()
			element, ok := strings.CutPrefix(got, base+"/access/api/v1/tokens/")
			if !ok || element == "" || strings.ContainsAny(element, "/?# \t\r\n\\") {
				t.Errorf("%q: expected %q to be %q", id, got, "one element below tokens")
			}
			if back, err := url.PathUnescape(element); err != nil || back != id {
				t.Errorf("%q: expected %q, %v to be %q", id, back, err, id)
			}
		}
		if *u != before {
			t.Errorf("expected %+v to be %+v", *u, before)
		}
	}
}

// Whatever the id, what arrives is a DELETE of one token. An id of dots alone
// cannot be sent at all: what normalises a path decodes %2E, which is not
// reserved, and then takes the segment out (RFC 3986, 6.2.2.2 and 6.2.2.3), so
// that the request would reach another endpoint.
func TestRevokeReachesOneTokenOnly(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	s, err := jfrogtest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Method + " " + r.RequestURI }), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 1})
	const prefix = "DELETE /access/api/v1/tokens/"
	for _, id := range hostile {
		t.Run(id, func(t *testing.T) {
			outcome, err := c.Revoke(t.Context(), Held{Bearer: secret.New("b"), ID: id})
			if len(arrived) == 0 {
				if outcome != Failed || err == nil {
					t.Errorf("expected %q, %v without a request to be %q", outcome, err, Failed)
				}
				return
			}
			got := <-arrived
			element, ok := strings.CutPrefix(got, prefix)
			decoded, err := url.PathUnescape(element)
			if !ok || err != nil || strings.ContainsAny(element, "/?#") || decoded != id && decoded != "me" || decoded == "." || decoded == ".." {
				t.Errorf("expected %q to be %q", got, "one token")
			}
		})
	}
}

// DELETE …/tokens/ is a 405, and an exchanged token may revoke itself as "me"
// where its mapping is self_revocable.
func TestRevokeAsMe(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	s, err := jfrogtest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.Method + " " + r.RequestURI + " " + r.Header.Get("Authorization")
	}), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 1})
	for _, h := range []struct {
		name string
		held Held
		want string
	}{
		{"no id", Held{}, "me"},
		{"exchanged", Held{ID: "id", Exchanged: true}, "me"},
		{"created", Held{ID: "id"}, "id"},
		{"about to expire", Held{ID: "id", Expires: time.Now().Add(time.Minute)}, "id"},
	} {
		t.Run(h.name, func(t *testing.T) {
			h.held.Bearer = secret.New("b")
			if outcome, err := c.Revoke(t.Context(), h.held); outcome != Revoked {
				t.Fatalf("expected %q, %v to be %q", outcome, err, Revoked)
			}
			if got, want := <-arrived, "DELETE /access/api/v1/tokens/"+h.want+" Bearer b"; got != want {
				t.Errorf("expected %q to be %q", got, want)
			}
		})
	}
	t.Run("expired", func(t *testing.T) {
		outcome, err := c.Revoke(t.Context(), Held{Bearer: secret.New("b"), ID: "id", Expires: time.Now()})
		if outcome != Expired || err != nil || len(arrived) != 0 {
			t.Errorf("expected %q, %v after %d requests to be %q", outcome, err, len(arrived), Expired)
		}
	})
}

// What came with status 200 and cannot be handed on is an error that names no
// part of it, and may have left a token.
func TestUnusableTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		unknown    bool
	}{
		{"no token", `{"token_id":"needle"}`, true},
		{"an empty token", `{"access_token":"","token_id":"needle"}`, true},
		{"null", `null`, true},
		{"a blank in it", `{"access_token":"needle x"}`, true},
		{"a line break in it", `{"access_token":"needle\nx"}`, true},
		{"another letter in it", `{"access_token":"needlé"}`, true},
		{"a line break in the reference token", `{"access_token":"needle","reference_token":"needle\n"}`, true},
		{"a zero byte in the refresh token", `{"access_token":"needle","refresh_token":"\u0000needle"}`, true},
		{"a number for the token", `{"access_token":1234567890}`, true},
		{"a list", `[{"access_token":"needle"}]`, true},
		{"half of it", `{"access_token":"needle`, true},
		{"a page", `<!DOCTYPE html><html>needle</html>`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := jfrogtest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.body) }), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			client := New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 1})
			token, lost, err := client.Create(t.Context(), secret.New("b"), CreateRequest{})
			var e *wire.Error
			if !errors.As(err, &e) || e.Unknown != c.unknown || (lost == 1) != c.unknown || !token.Access.IsZero() {
				t.Errorf("expected %v, %d to be %q, %t", err, lost, "an error", c.unknown)
			}
			if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "needl") {
				t.Errorf("expected %q to be %q", text, "without the answer")
			}
		})
	}
}
