package jwt_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
)

func token(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

func TestPeekReadsThePayload(t *testing.T) {
	t.Parallel()
	urlSafe := token(`{"sub":"~~~>>>???ÿÿÿ"}`)
	if payload := strings.Split(urlSafe, ".")[1]; !strings.Contains(payload, "-") || !strings.Contains(payload, "_") {
		t.Fatalf("expected %q to be %q", payload, "a payload with - and _")
	}
	padded := "e30." + base64.URLEncoding.EncodeToString([]byte(`{"sub":"ab"}`+" ")) + ".c2ln"
	if !strings.Contains(padded, "=") {
		t.Fatalf("expected %q to be %q", padded, "a padded token")
	}
	for _, c := range []struct{ name, token, sub string }{
		// jfrog-client-go decodes with the standard alphabet and fails here:
		// https://github.com/jfrog/jfrog-client-go/blob/master/auth/authutils.go
		{"base64url", urlSafe, "~~~>>>???ÿÿÿ"},
		{"padding", padded, "ab"},
		{"no signature, as of alg none", "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"x"}`)) + ".", "x"},
		{"a header that is no JSON", "?." + strings.TrimPrefix(token(`{"sub":"x"}`), "e30."), "x"},
		{"escaped slashes, as JFrog writes them", token(`{"sub":"jfrt@01c3\/users\/admin"}`), "jfrt@01c3/users/admin"},
		{"the last of two", token(`{"sub":"a","sub":"b"}`), "b"},
		{"no such claim", token(`{}`), ""},
		{"another type", token(`{"sub":["x"]}`), ""},
		{"as long as allowed", longest(t), "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			claims, err := jwt.Peek(c.token)
			if err != nil {
				t.Fatalf("expected %q to be %q", err, "no error")
			}
			if got := claims.String("sub"); got != c.sub {
				t.Errorf("expected %q to be %q", got, c.sub)
			}
		})
	}
}

func TestPeekRefuses(t *testing.T) {
	t.Parallel()
	standard := "e30." + base64.RawStdEncoding.EncodeToString([]byte(`{"sub":"~~~>>>???"}`)) + ".c2ln"
	if !strings.ContainsAny(standard, "+/") {
		t.Fatalf("expected %q to be %q", standard, "a payload with + or /")
	}
	for _, c := range []struct{ name, token string }{
		{"nothing", ""},
		{"a word", "cmVmdGtuOjAx"},
		{"two parts", "e30.e30"},
		{"four parts", token(`{}`) + ".x"},
		{"five parts, as an encrypted token has", "a.b.c.d.e"},
		{"dots alone", ".."},
		{"the standard alphabet", standard},
		{"no base64", "e30.{}.c2ln"},
		{"padding within", "e30.e=30.c2ln"},
		{"one letter of base64", "e30.e.c2ln"},
		{"an empty payload", "e30..c2ln"},
		{"no JSON", token(`sub=x`)},
		{"half of an object", token(`{"sub":"x"`)},
		{"more than an object", token(`{"sub":"x"}{}`)},
		{"null", token(`null`)},
		{"a list", token(`[{"sub":"x"}]`)},
		{"a string", token(`"sub"`)},
		{"a number", token(`1`)},
		{"true", token(`true`)},
		{"a number past float64", token(`{"exp":1e400}`)},
		{"depth", token(strings.Repeat(`{"a":`, 20000) + `1` + strings.Repeat(`}`, 20000))},
		// https://nvd.nist.gov/vuln/detail/CVE-2025-30204: a parser that splits
		// before it looks at the length allocates for every dot.
		{"dots", strings.Repeat(".", 8<<20)},
		{"one byte too long", longest(t) + "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			claims, err := jwt.Peek(c.token)
			if err != jwt.ErrNotJWT {
				t.Errorf("expected %v to be %q", err, jwt.ErrNotJWT)
			}
			if claims != nil {
				t.Errorf("expected %v to be %q", claims, "no claims")
			}
		})
	}
}

// longest gives a token of exactly the size that is still looked at.
func longest(t *testing.T) string {
	t.Helper()
	s := token(`{"sub":"x"}`)
	return s + strings.Repeat("x", jwt.MaxSize-len(s))
}

// RFC 7519, 4.1.3: "aud" is a string or a list of strings. JFrog sends both:
// https://github.com/jfrog/jfrog-client-go/blob/master/auth/authutils_test.go
func TestStrings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, payload string
		want          []string
	}{
		{"a string", `{"aud":"*@*"}`, []string{"*@*"}},
		{"a list", `{"aud":["jfrt@*","jfac@*"]}`, []string{"jfrt@*", "jfac@*"}},
		{"a list of one", `{"aud":["x"]}`, []string{"x"}},
		{"an empty list", `{"aud":[]}`, nil},
		{"other types among strings", `{"aud":["x",1,null,["y"],{"z":1},"w"]}`, []string{"x", "w"}},
		{"an empty string", `{"aud":""}`, []string{""}},
		{"a number", `{"aud":1}`, nil},
		{"an object", `{"aud":{"x":"y"}}`, nil},
		{"null", `{"aud":null}`, nil},
		{"absent", `{}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			claims, err := jwt.Peek(token(c.payload))
			if err != nil {
				t.Fatalf("expected %q to be %q", err, "no error")
			}
			if got := claims.Strings("aud"); !reflect.DeepEqual(got, c.want) {
				t.Errorf("expected %q to be %q", got, c.want)
			}
		})
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, exp, want string }{
		{"now", `1715183072`, "2024-05-08T15:44:32Z"},
		{"a fraction, as RFC 7519 allows", `1715183072.9`, "2024-05-08T15:44:32Z"},
		{"an exponent", `1.715183072e9`, "2024-05-08T15:44:32Z"},
		{"the first second", `1`, "1970-01-01T00:00:01Z"},
		{"past 2038", `2147483648`, "2038-01-19T03:14:08Z"},
		{"the last that RFC 3339 can write", `253402300799`, "9999-12-31T23:59:59Z"},
		{"one later", `253402300800`, ""},
		{"zero", `0`, ""},
		{"negative", `-1715183072`, ""},
		{"milliseconds", `1715183072000`, ""},
		{"int64's last", `9223372036854775807`, ""},
		{"past int64", `1e300`, ""},
		{"past int64, negative", `-1e300`, ""},
		{"almost nothing", `1e-300`, ""},
		{"a string", `"1715183072"`, ""},
		{"null", `null`, ""},
		{"a list", `[1715183072]`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			claims, err := jwt.Peek(token(`{"exp":` + c.exp + `}`))
			if err != nil {
				t.Fatalf("expected %q to be %q", err, "no error")
			}
			got := ""
			if at := claims.Time("exp"); !at.IsZero() {
				got = at.Format(time.RFC3339)
			}
			if got != c.want {
				t.Errorf("expected %q to be %q", got, c.want)
			}
		})
	}
	if got := (jwt.Claims{}).Time("exp"); !got.IsZero() {
		t.Errorf("expected %q to be %q", got, time.Time{})
	}
}

// Claims of no token at all are asked too, after a failure.
func TestNilClaims(t *testing.T) {
	t.Parallel()
	var c jwt.Claims
	if c.String("sub") != "" || c.Strings("aud") != nil || !c.Time("exp").IsZero() {
		t.Errorf("expected %v to be %q", c, "without any claim")
	}
}

// Property: what is accepted has three parts, and its claims survive being
// written and read again. Nothing panics.
func FuzzPeek(f *testing.F) {
	f.Add(token(`{"sub":"jfac@01\/users\/ci","aud":["*@*"],"exp":1715183072,"ext":"{\"revocable\":\"true\"}"}`))
	f.Add("e30.e30=.")
	f.Add("a.bnVsbA.c")
	f.Add("..")
	f.Add(token("{\"\xff\":1e300,\"b\":\"\\ud800\"}"))
	f.Fuzz(func(t *testing.T, s string) {
		claims, err := jwt.Peek(s)
		if err != nil {
			if err != jwt.ErrNotJWT || claims != nil {
				t.Fatalf("expected %v, %v to be %v, %v", claims, err, nil, jwt.ErrNotJWT)
			}
			return
		}
		if got := strings.Count(s, "."); got != 2 {
			t.Errorf("expected %d dots in %q to be %d", got, s, 2)
		}
		for name := range claims { // no panic, whatever the type
			claims.String(name)
			claims.Strings(name)
			claims.Time(name)
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(claims); err != nil {
			t.Fatalf("expected %q to be %q", err, "no error")
		}
		written := token(b.String())
		if len(written) > jwt.MaxSize {
			return // a number may take more digits than it had
		}
		again, err := jwt.Peek(written)
		if err != nil || !reflect.DeepEqual(again, claims) {
			t.Errorf("expected %v, %v to be %v", again, err, claims)
		}
	})
}
