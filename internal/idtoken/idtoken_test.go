package idtoken

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// until gives an ID token that ends at a time.
func until(at time.Time) string { return payload(fmt.Sprintf(`{"sub":"x","exp":%d}`, at.Unix())) }

func payload(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func env(v map[string]string) func(string) string {
	return func(name string) string { return v[name] }
}

// A token is sent while it has more than a minute to live, and no longer: an
// exchange may take a while, and GitHub's ID tokens live for five minutes.
func TestGivenTokenHasMoreThanAMinuteToLive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		left time.Duration
		ok   bool
	}{
		{"an hour", time.Hour, true}, {"61 seconds", 61 * time.Second, true}, {"a minute", time.Minute, false}, {"a second", time.Second, false},
		{"nothing", 0, false}, {"it ended", -time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				token := until(time.Now().Add(c.left))
				got, err := Given(secret.New(token)).Token(t.Context())
				if c.ok && (err != nil || got.Reveal() != token) || !c.ok && (err != ErrExpiring || !got.IsZero()) {
					t.Errorf("expected %v to be %t", err, c.ok)
				}
			})
		})
	}
}

// The same token, as time goes by between two attempts at an exchange.
func TestGivenTokenEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := Given(secret.New(until(time.Now().Add(5 * time.Minute))))
		for _, c := range []struct {
			wait time.Duration
			want error
		}{{0, nil}, {4*time.Minute - time.Second, nil}, {time.Second, ErrExpiring}, {time.Hour, ErrExpiring}} {
			time.Sleep(c.wait) // of the bubble's clock
			if _, err := s.Token(t.Context()); err != c.want {
				t.Errorf("after %s: expected %v to be %v", c.wait, err, c.want)
			}
		}
		if s.Renew() {
			t.Errorf("expected %t to be %t", true, false)
		}
		if got := s.Claims().String("sub"); got != "x" {
			t.Errorf("expected %q to be %q", got, "x")
		}
	})
}

// One that does not say when it ends is sent: the other side will know.
func TestGivenTokenWithoutAnEnd(t *testing.T) {
	t.Parallel()
	for _, claims := range []string{`{}`, `{"exp":"soon"}`, `{"exp":0}`, `{"exp":-1}`, `{"exp":1e300}`} {
		token := payload(claims)
		if got, err := Given(secret.New(token)).Token(t.Context()); err != nil || got.Reveal() != token {
			t.Errorf("%s: expected %v to be %v", claims, err, nil)
		}
	}
}

func TestNoTokenGiven(t *testing.T) {
	t.Parallel()
	s := Given(secret.String{})
	if got, err := s.Token(t.Context()); err != ErrExpiring || !got.IsZero() {
		t.Errorf("expected %v to be %v", err, ErrExpiring)
	}
	if got := s.Claims(); got != nil {
		t.Errorf("expected %v to be %v", got, nil)
	}
}

// A source that can fetch does so once, and again when the token is about to
// end or was refused; each is masked before it is given.
func TestFetchedTokenIsHeldWhileItLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		var masked []string
		s := &Source{
			mask: func(v secret.String) { masked = append(masked, v.Reveal()) },
			fetch: func(context.Context) (string, error) {
				fetched++
				return payload(fmt.Sprintf(`{"n":%d,"exp":%d}`, fetched, time.Now().Add(5*time.Minute).Unix())), nil
			},
		}
		for _, c := range []struct {
			name  string
			wait  time.Duration
			renew bool
			want  int
		}{
			{"the first", 0, false, 1}, {"at once", 0, false, 1}, {"61 seconds before its end", 239 * time.Second, false, 1},
			{"a minute before its end", time.Second, false, 2}, {"after a refusal", 0, true, 3}, {"long after", time.Hour, false, 4},
		} {
			time.Sleep(c.wait) // of the bubble's clock
			if c.renew && !s.Renew() {
				t.Errorf("%s: expected %t to be %t", c.name, false, true)
			}
			got, err := s.Token(t.Context())
			if err != nil || fetched != c.want || len(masked) != c.want || masked[c.want-1] != got.Reveal() {
				t.Errorf("%s: expected %d, %d masked, %v to be %d", c.name, fetched, len(masked), err, c.want)
			}
		}
	})
}

// After a failure to fetch another, the old one is not taken for a good one.
func TestFailureToFetch(t *testing.T) {
	t.Parallel()
	why := errors.New("why")
	s := &Source{held: secret.New(until(time.Now())), mask: func(secret.String) {}, fetch: func(context.Context) (string, error) { return "", why }}
	for range 2 {
		got, err := s.Token(t.Context())
		var request *RequestError
		if !errors.As(err, &request) || !errors.Is(err, why) || !got.IsZero() {
			t.Errorf("expected %v to be %v", err, why)
		}
	}
}

func TestMissingVariables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, url, token string
		want             string
	}{
		{"both", "", "", "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set"},
		{"the URL", "", "t", "ACTIONS_ID_TOKEN_REQUEST_URL is not set"},
		{"the token", "https://ci.test", "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set"},
		{"both, blank", " ", "\n", "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			masked := 0
			_, err := GitHub(env(map[string]string{urlVariable: c.url, tokenVariable: c.token}), "", wire.New(wire.Options{}), wire.Policy{}, func(secret.String) { masked++ })
			var missing *MissingError
			if !errors.As(err, &missing) || err.Error() != c.want || masked != 0 {
				t.Errorf("expected %v to be %q", err, c.want)
			}
		})
	}
}

// The bearer is the job's ACTIONS_RUNTIME_TOKEN too: it goes nowhere without
// TLS, and what is wrong is said without the URL.
func TestEndpointThatIsNotSecure(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{
		"http://ci.test/needle", "http://10.0.0.1/needle", "https://user:needle@ci.test", "https://needle:port", "https://[needle", "needle", "ftp://ci.test/needle",
		"https:///needle", "https://ci.test/\nneedle", "//ci.test/needle",
	} {
		_, err := GitHub(env(map[string]string{urlVariable: endpoint, tokenVariable: "bearer-needle"}), "", wire.New(wire.Options{}), wire.Policy{}, func(secret.String) {})
		if err == nil || strings.Contains(err.Error(), "needle") || !strings.Contains(err.Error(), urlVariable) {
			t.Errorf("%q: expected %v to be %q", endpoint, err, "an error without the URL")
		}
	}
}

const bearer = "bearer-needle-0123456789"

// github gives a source at an endpoint that answers with h, and what was
// masked.
func github(t *testing.T, audience string, h http.HandlerFunc) (*Source, *[]string) {
	t.Helper()
	s, err := jfrogtest.NewServer(h, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	masked := &[]string{}
	source, err := GitHub(env(map[string]string{urlVariable: s.URL + "/idtoken?api-version=2.0", tokenVariable: bearer}), audience,
		wire.New(wire.Options{UserAgent: "jfrog-token/test"}), wire.Policy{MaxAttempts: 1}, func(v secret.String) { *masked = append(*masked, v.Reveal()) })
	if err != nil {
		t.Fatal(err)
	}
	return source, masked
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, audience, query string }{
		// Forcing an audience broke every user of setup-jfrog-cli once:
		// https://github.com/jfrog/setup-jfrog-cli/issues/270
		{"without an audience", "", "api-version=2.0"},
		{"with an audience", "https://acme.test/a b&c=d", "api-version=2.0&audience=https%3A%2F%2Facme.test%2Fa+b%26c%3Dd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			token := until(time.Now().Add(time.Hour))
			asked := 0
			s, masked := github(t, c.audience, func(w http.ResponseWriter, r *http.Request) {
				asked++
				if r.Method != http.MethodGet || r.URL.RawQuery != c.query || r.Header.Get("Authorization") != "Bearer "+bearer || r.UserAgent() != "jfrog-token/test" {
					t.Errorf("expected %s %s, %q, %q to be %s %s", r.Method, r.URL.RawQuery, r.Header.Get("Authorization"), r.UserAgent(), http.MethodGet, c.query)
				}
				fmt.Fprintf(w, `{"value":%q}`, token)
			})
			for range 2 {
				got, err := s.Token(t.Context())
				if err != nil || got.Reveal() != token {
					t.Fatalf("expected %v to be %v", err, nil)
				}
			}
			if asked != 1 || fmt.Sprint(*masked) != fmt.Sprint([]string{bearer, token}) {
				t.Errorf("expected %d, %q to be %d, %q", asked, *masked, 1, []string{bearer, token})
			}
			if !s.Renew() {
				t.Errorf("expected %t to be %t", false, true)
			}
			if _, err := s.Token(t.Context()); err != nil || asked != 2 {
				t.Errorf("expected %d, %v to be %d", asked, err, 2)
			}
		})
	}
}

// What a refusal says is cut, and without the bearer that it may repeat; of
// any other body nothing is told.
func TestRefusalsOfTheEndpoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		status  int
		body    string
		message string // that is told
		html    bool
		cause   error
	}{
		// https://github.com/aws-actions/configure-aws-credentials/issues/272
		{"a message", 403, `{"message":"Can't issue ID_TOKEN for audience 'x'."}`, "Can't issue ID_TOKEN for audience 'x'.", false, nil},
		{"a message with the bearer", 401, `{"message":"Bearer ` + bearer + ` is not valid","needle":"needle"}`, "Bearer *** is not valid", false, nil},
		{"text with the bearer", 400, `bad token ` + bearer, "bad token ***", false, nil},
		{"JSON without a message", 400, `{"needle":"needle"}`, "", false, nil},
		{"half of JSON", 400, `{"message":"needle`, "", false, nil},
		{"a page", 403, `<!DOCTYPE html><html>needle</html>`, "", true, nil},
		{"nothing", 404, "", "", false, nil},
		{"status 201", 201, `{"value":"needle"}`, "", false, nil},
		{"an empty value", 200, `{"value":""}`, "", false, ErrNoValue},
		{"no value", 200, `{"needle":"needle"}`, "", false, ErrNoValue},
		{"a null", 200, `null`, "", false, ErrNoValue},
		{"a value that is a number", 200, `{"value":12345,"x":"needle"}`, "", false, wire.ErrNotJSON},
		{"a page with status 200", 200, `<html>needle</html>`, "", false, wire.ErrNotJSON},
		{"half of a value", 200, `{"value":"needle`, "", false, wire.ErrNotJSON},
		{"nothing with status 200", 200, ``, "", false, wire.ErrNotJSON},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, masked := github(t, "", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			token, err := s.Token(t.Context())
			var e *wire.Error
			var request *RequestError
			if !errors.As(err, &request) || !errors.As(err, &e) || !token.IsZero() || len(*masked) != 1 {
				t.Fatalf("expected %v to be %q", err, "a *RequestError of a *wire.Error")
			}
			if e.Status != c.status || e.Message != c.message || e.HTML != c.html || e.Path != "/idtoken" || !errors.Is(e.Err, c.cause) {
				t.Errorf("expected %+v to be %+v", e, c)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, e, e); strings.Contains(text, "needle") || strings.Contains(text, "api-version") {
				t.Errorf("expected %q to be %q", text, "without body, bearer and query")
			}
		})
	}
}

// The wait that the endpoint asks for is obeyed, although the library drops
// the header.
func TestRetryAfterOfTheEndpoint(t *testing.T) {
	t.Parallel()
	s, _ := github(t, "", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := s.Token(t.Context())
	var e *wire.Error
	if !errors.As(err, &e) || e.RetryAfter != 7*time.Second || !e.Retryable() {
		t.Errorf("expected %v to be %q", err, "asking for 7s")
	}
}

// The bearer stays at the host that it is for.
func TestEndpointThatRedirects(t *testing.T) {
	t.Parallel()
	arrived := 0
	elsewhere, err := jfrogtest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived++ }), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s, _ := github(t, "", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/needle?x=needle", status)
		})
		_, err := s.Token(t.Context())
		var e *wire.Error
		if !errors.As(err, &e) || e.Status != status || e.Location != elsewhere.URL || arrived != 0 || strings.Contains(err.Error(), "needle") {
			t.Errorf("%d: expected %v, %d to be %q, %d", status, err, arrived, elsewhere.URL, 0)
		}
	}
}

// A bearer that no header can carry is not in the error.
func TestBearerWithALineBreak(t *testing.T) {
	t.Parallel()
	s, err := GitHub(env(map[string]string{urlVariable: "https://127.0.0.1:1/", tokenVariable: "bearer-needle\nneedle"}), "",
		wire.New(wire.Options{}), wire.Policy{MaxAttempts: 1}, func(secret.String) {})
	if err == nil {
		_, err = s.Token(t.Context())
	}
	if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "needle") {
		t.Errorf("expected %v to be %q", err, "an error without the bearer")
	}
}
