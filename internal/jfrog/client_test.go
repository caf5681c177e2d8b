package jfrog

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

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

// compact returns a JWT as JFrog writes it, with \/ for / and without padding.
func compact(claims map[string]any) string {
	b, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	payload := strings.ReplaceAll(string(b), "/", `\/`)
	return "eyJ2ZXIiOiIyIiwidHlwIjoiSldUIn0." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2lnbmF0dXJl"
}

// body is a response with a token.
type body map[string]any

func (b body) fields(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

func TestIssuedToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	iat := now.Add(time.Hour).Unix() // JFrog's clock is an hour ahead of ours
	claims := func(lifetime int64, more map[string]any) string {
		all := map[string]any{"sub": "jfac@01g5/users/ci", "scp": "applied-permissions/user", "aud": "*@*", "jti": "id-of-jwt", "iat": iat}
		if lifetime != 0 {
			all["exp"] = iat + lifetime
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
		name string
		body body
		want want
	}{
		// JFrog leaves expires_in out of the answer for a token without end.
		{"never expiring", body{"access_token": claims(0, nil)}, never},
		{"never expiring, no JWT", body{"access_token": reference}, want{revocable: true}},
		{"never expiring, as zero", body{"access_token": reference, "expires_in": int64(0)}, want{revocable: true}},
		{"the answer goes before the JWT", body{"access_token": claims(600, nil), "token_id": "id", "username": "team/bot", "scope": "s"},
			want{id: "id", user: "team/bot", scope: "s", life: 600 * time.Second, expiry: time.Unix(iat+600, 0).UTC()}},
		{"the JWT's times go before the answer's", body{"access_token": claims(600, nil), "expires_in": int64(999)}, jwt(600, false)},
		{"the answer's time where the JWT has none", body{"access_token": claims(0, nil), "expires_in": int64(600)},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", life: 600 * time.Second, expiry: ours(600, false).expiry}},
		{"no JWT", body{"access_token": reference, "expires_in": int64(600), "token_id": "id", "username": "u"},
			want{id: "id", user: "u", life: 600 * time.Second, expiry: ours(600, false).expiry}},

		{"a second under the threshold", body{"access_token": claims(sixHours-1, nil)}, jwt(sixHours-1, false)},
		{"the threshold", body{"access_token": claims(sixHours, nil)}, jwt(sixHours, true)},
		{"a second over the threshold", body{"access_token": claims(sixHours+1, nil)}, jwt(sixHours+1, true)},
		{"no JWT, a second under the threshold", body{"access_token": reference, "expires_in": int64(sixHours - 1)}, ours(sixHours-1, false)},
		{"no JWT, the threshold", body{"access_token": reference, "expires_in": int64(sixHours)}, ours(sixHours, true)},
		{"a year", body{"access_token": claims(31536000, nil)}, jwt(31536000, true)},

		// force_revocable is a JSON string in a claim:
		// https://github.com/jfrog/vault-plugin-secrets-artifactory/blob/master/test_utils.go
		{"asked for", body{"access_token": claims(600, map[string]any{"ext": `{"revocable":"true"}`})}, jwt(600, true)},
		{"asked for, with blanks", body{"access_token": claims(600, map[string]any{"ext": `{ "revocable" : "true" }`})}, jwt(600, true)},
		{"asked for, among others", body{"access_token": claims(600, map[string]any{"ext": `{"a":"b","revocable":"true","c":"d"}`})}, jwt(600, true)},
		{"asked not to", body{"access_token": claims(600, map[string]any{"ext": `{"revocable":"false"}`})}, jwt(600, false)},
		{"ext of another kind", body{"access_token": claims(600, map[string]any{"ext": 1})}, jwt(600, false)},
		{"ext that is empty", body{"access_token": claims(600, map[string]any{"ext": ""})}, jwt(600, false)},

		{"a negative life", body{"access_token": reference, "expires_in": int64(-5)}, want{revocable: true}},
		{"the most negative life", body{"access_token": reference, "expires_in": int64(-1 << 63)}, want{revocable: true}},
		{"a life past what time.Duration holds", body{"access_token": reference, "expires_in": int64(1<<63 - 1)}, ours(100*365*24*3600, true)},
		{"a life of 300 years", body{"access_token": reference, "expires_in": int64(300 * 365 * 24 * 3600)}, ours(100*365*24*3600, true)},
		{"an exp before iat", body{"access_token": claims(-60, nil)},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", expiry: time.Unix(iat-60, 0).UTC()}},
		{"an exp without iat", body{"access_token": claims(600, map[string]any{"iat": nil})},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", expiry: time.Unix(iat+600, 0).UTC()}},
		{"an exp that is no number", body{"access_token": claims(0, map[string]any{"exp": "soon"}), "expires_in": int64(60)},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", life: time.Minute, expiry: ours(60, false).expiry}},
		{"the last exp that can be written", body{"access_token": claims(0, map[string]any{"exp": 253402300799, "iat": 1})},
			want{id: "id-of-jwt", user: "ci", scope: "applied-permissions/user", life: 1<<63 - 1, expiry: time.Unix(253402300799, 0).UTC(), revocable: true}},
		{"no subject", body{"access_token": claims(600, map[string]any{"sub": nil})},
			want{id: "id-of-jwt", scope: "applied-permissions/user", life: 10 * time.Minute, expiry: time.Unix(iat+600, 0).UTC()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.body["reference_token"], c.body["refresh_token"] = "ref", "refresh"
			got := issued(c.body.fields(t), accessToken, now)
			if w := (want{got.ID, got.Username, got.Scope, got.Lifetime, got.Expiry, got.Revocable}); w != c.want {
				t.Errorf("expected %+v to be %+v", w, c.want)
			}
			if got.Access.Reveal() != c.body["access_token"] || got.Reference.Reveal() != "ref" || got.Refresh.Reveal() != "refresh" || got.Exchanged {
				t.Errorf("expected %q, %q, %q to be %q, %q, %q", got.Access.Reveal(), got.Reference.Reveal(), got.Refresh.Reveal(), c.body["access_token"], "ref", "refresh")
			}
			if n := len(got.Secrets()); n != 3 {
				t.Errorf("expected %d secrets to be %d", n, 3)
			}
		})
	}
}

// A token that was issued is held, whatever the fields beside it look like.
func TestOddFieldsBesideAToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const opaque = "cmVmdGtuOjAxOjE3MzQ1Njc4OTA6YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4"
	withID := compact(map[string]any{"jti": "id-of-jwt"})
	const century = 100 * 365 * 24 * time.Hour
	for _, c := range []struct {
		name, body string
		id         string
		lifetime   time.Duration
		refresh    string
	}{
		{"expires_in as a text", `{"access_token":"` + opaque + `","expires_in":"3600"}`, "", time.Hour, ""},
		{"expires_in as a text with whitespace", `{"access_token":"` + opaque + `","expires_in":" 3600 "}`, "", time.Hour, ""},
		{"expires_in with parts of a second", `{"access_token":"` + opaque + `","expires_in":3600.5}`, "", time.Hour, ""},
		{"expires_in past what can be counted", `{"access_token":"` + opaque + `","expires_in":1e300}`, "", century, ""},
		{"expires_in past what a number can be", `{"access_token":"` + opaque + `","expires_in":1e999}`, "", century, ""},
		{"expires_in below zero", `{"access_token":"` + opaque + `","expires_in":-1e300}`, "", 0, ""},
		{"expires_in that is no number", `{"access_token":"` + opaque + `","expires_in":"NaN"}`, "", 0, ""},
		{"expires_in of another kind", `{"access_token":"` + opaque + `","expires_in":{"a":[3600]}}`, "", 0, ""},
		{"expires_in as null", `{"access_token":"` + opaque + `","expires_in":null}`, "", 0, ""},
		{"token_id as a number", `{"access_token":"` + opaque + `","token_id":7}`, "7", 0, ""},
		{"token_id as a number beside a jti", `{"access_token":"` + withID + `","token_id":7}`, "id-of-jwt", 0, ""},
		// A DELETE with anything else would end no token, and would look as
		// if there were none.
		{"token_id as null", `{"access_token":"` + opaque + `","token_id":null}`, "", 0, ""},
		{"token_id of another kind", `{"access_token":"` + opaque + `","token_id":{"id":"x"}}`, "", 0, ""},
		{"token_id as a truth", `{"access_token":"` + opaque + `","token_id":true}`, "", 0, ""},
		{"token_id with a line break", `{"access_token":"` + opaque + `","token_id":"a\nb"}`, "", 0, ""},
		{"token_id with whitespace beside a jti", `{"access_token":"` + withID + `","token_id":"a b"}`, "id-of-jwt", 0, ""},
		{"username and scope as numbers", `{"access_token":"` + opaque + `","username":1,"scope":2,"token_id":"x"}`, "x", 0, ""},
		{"a refresh token", `{"access_token":"` + opaque + `","refresh_token":"r"}`, "", 0, "r"},
		{"whitespace in the refresh token", `{"access_token":"` + opaque + `","refresh_token":"a b"}`, "", 0, ""},
		{"a line break in the refresh token", `{"access_token":"` + opaque + `","refresh_token":"a\nb","reference_token":"a\nb"}`, "", 0, ""},
		{"a refresh token that is a number", `{"access_token":"` + opaque + `","refresh_token":1}`, "", 0, ""},
		{"a refresh token of 9 KiB", `{"access_token":"` + opaque + `","refresh_token":"` + strings.Repeat("a", 9<<10) + `"}`, "", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var fields map[string]json.RawMessage
			if err := json.Unmarshal([]byte(c.body), &fields); err != nil {
				t.Fatal(err)
			}
			got := issued(fields, accessToken, now)
			if got.Access.IsZero() || got.ID != c.id || got.Lifetime != c.lifetime || got.Refresh.Reveal() != c.refresh || !got.Reference.IsZero() {
				t.Errorf("expected %t, %q, %s, %q to be %t, %q, %s, %q", !got.Access.IsZero(), got.ID, got.Lifetime, got.Refresh.Reveal(), true, c.id, c.lifetime, c.refresh)
			}
			if got.Expiry.IsZero() != (c.lifetime == 0) || c.lifetime > 0 && !got.Expiry.Equal(now.Add(c.lifetime)) {
				t.Errorf("expected %s to be %s", got.Expiry, now.Add(c.lifetime))
			}
		})
	}
	for name, token := range map[string]any{
		"none": nil, "empty": "", "whitespace": "a b", "a line break": "a\nb", "a zero byte": "a\x00b", "another letter": "tok\u00e9n",
		"a number": 1234567890, "9 KiB": strings.Repeat("a", 9<<10), "a byte too long": strings.Repeat("a", maxToken+1),
	} {
		if got := issued(body{"access_token": token, "token_id": "id"}.fields(t), accessToken, now); !got.Access.IsZero() || len(got.Secrets()) != 0 {
			t.Errorf("%s: expected %d bytes to be %q", name, len(got.Access.Reveal()), "no token")
		}
	}
	longest := strings.Repeat("a", maxToken)
	if got := issued(body{"access_token": longest}.fields(t), accessToken, now); got.Access.Reveal() != longest {
		t.Errorf("expected %d bytes to be %d", len(got.Access.Reveal()), maxToken)
	}
}

// Property: whatever the response and the claims of the token in it are, what
// is handed on can stand in one line, in the state and in an RFC 3339 time.
func FuzzIssued(f *testing.F) {
	const jwt = "eyJ2ZXIiOiIyIn0.eyJzdWIiOiJqZmFjQDAxL3VzZXJzL2NpIn0.c2ln"
	f.Add(`{"access_token":"`+jwt+`","expires_in":3600,"token_id":"x","scope":"s","username":"u","refresh_token":"r","reference_token":"f"}`, "")
	f.Add(`{"expires_in":"3600","token_id":7}`, `{"exp":1767323045,"iat":1767319445,"jti":"i","sub":"jfac@1/users/ci","scp":"s","aud":["a","b"]}`)
	f.Add(`{"access_token":"a b","expires_in":1e300,"token_id":null}`, "")
	f.Add(`{"expires_in":-1}`, `{"exp":253402300799,"iat":-1,"ext":"{\"revocable\":\"true\"}"}`)
	f.Add(`{"expires_in":1e-9,"refresh_token":"\u0000"}`, `{"exp":1,"iat":1,"aud":"*@*"}`)
	f.Add(`{"access_token":null}`, `null`)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, response, claims string) {
		var fields map[string]json.RawMessage
		if json.Unmarshal([]byte(response), &fields) != nil || fields == nil {
			t.Skip()
		}
		if claims != "" {
			fields["access_token"] = json.RawMessage(`"e30.` + base64.RawURLEncoding.EncodeToString([]byte(claims)) + `.c2ln"`)
		}
		got := issued(fields, accessToken, now)
		for _, s := range append(got.Secrets(), got.Access, got.Reference, got.Refresh) {
			if strings.ContainsFunc(s.Reveal(), secret.NotInToken) || len(s.Reveal()) > maxToken {
				t.Errorf("expected %q to be one word of at most 8 KiB", s.Reveal())
			}
		}
		if got.Lifetime < 0 || got.Lifetime > 0 && got.Expiry.IsZero() {
			t.Errorf("expected %s, %s to be a lifetime and its end", got.Lifetime, got.Expiry)
		}
		if back, err := time.Parse(time.RFC3339, got.Expiry.Format(time.RFC3339)); err != nil || !back.Equal(got.Expiry) {
			t.Errorf("expected %s to be %s (%v)", back, got.Expiry, err)
		}
		for _, s := range got.Hidden() {
			if s.IsZero() {
				t.Error("expected every value to hide to be there")
			}
		}
	})
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
