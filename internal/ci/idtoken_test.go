package ci

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
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

// sourceOf is find, for the CI that the environment is of.
func sourceOf(
	variables map[string]string, given secret.String, audience string, client *wire.Client, p wire.Policy,
	hide func(...secret.String) error,
) (*IDTokenSource, error) {
	return variantOf(variables).find(given, audience, client, p, hide)
}

// given returns the source of an ID token that the CI handed out.
func given(t *testing.T, token string) *IDTokenSource {
	t.Helper()
	s, err := sourceOf(nil, secret.New(token), "", nil, wire.Policy{}, nil)
	if err != nil || !s.Fixed || s.Where != "the input id-token" {
		t.Fatalf("expected %+v, %v to be %q", s, err, "the input id-token, fixed")
	}
	return s
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
				got, err := given(t, token).Token(t.Context())
				if c.ok && (err != nil || got.Reveal() != token) || !c.ok && (!errors.Is(err, ErrExpiring) || !got.IsZero()) {
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
		s := given(t, until(time.Now().Add(5*time.Minute)))
		for _, c := range []struct {
			wait time.Duration
			want error
		}{{0, nil}, {4*time.Minute - time.Second, nil}, {time.Second, ErrExpiring}, {time.Hour, ErrExpiring}} {
			time.Sleep(c.wait) // of the bubble's clock
			if _, err := s.Token(t.Context()); !errors.Is(err, c.want) {
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
		if got, err := given(t, token).Token(t.Context()); err != nil || got.Reveal() != token {
			t.Errorf("%s: expected %v to be %v", claims, err, nil)
		}
	}
}

func TestNoSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		env      map[string]string
		audience string
		want     error
	}{
		{"nothing", nil, "", ErrNoIDToken},
		{"blank variables", map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": " ", "CIRCLE_OIDC_TOKEN": "\n"}, "", ErrNoIDToken},
		{"CircleCI's outside CircleCI", map[string]string{"CIRCLE_OIDC_TOKEN_V2": "x", "GITLAB_CI": "true"}, "", ErrNoIDToken},
		{"ID_TOKEN outside Codefresh", map[string]string{"ID_TOKEN": "x"}, "", ErrNoIDToken},
		{"Cloud Build without an audience", map[string]string{"BUILDER_OUTPUT": "/builder/outputs"}, "", ErrAudience},
	} {
		s, err := sourceOf(c.env, secret.String{}, c.audience, wire.New(wire.Options{}), wire.Policy{}, func(...secret.String) error { return nil })
		if s != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: expected %v, %v to be %v", c.name, s, err, c.want)
		}
	}
}

// Where a CI hands an ID token out by itself, its variable is the source. On
// GitHub it is not: an earlier step can set any variable for the rest of the
// job.
func TestVariablesOfCIs(t *testing.T) {
	t.Parallel()
	token := until(time.Now().Add(time.Hour))
	for _, c := range []struct {
		env   map[string]string
		where string // "": none of them
	}{
		{map[string]string{"JFROG_CLI_OIDC_EXCHANGE_TOKEN_ID": token}, "JFROG_CLI_OIDC_EXCHANGE_TOKEN_ID"},
		{map[string]string{"HARNESS_BUILD_ID": "31", "PLUGIN_OIDC_TOKEN_ID": token}, "PLUGIN_OIDC_TOKEN_ID"},
		{map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN": "first", "CIRCLE_OIDC_TOKEN_V2": token}, "CIRCLE_OIDC_TOKEN_V2"},
		{map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN": token}, "CIRCLE_OIDC_TOKEN"},
		{map[string]string{"BITBUCKET_BUILD_NUMBER": "1", "BITBUCKET_STEP_OIDC_TOKEN": token + "\n"}, "BITBUCKET_STEP_OIDC_TOKEN"},
		{map[string]string{"ID_TOKEN": token, "CF_BUILD_ID": "1"}, "ID_TOKEN"},
		{map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "JFROG_CLI_OIDC_EXCHANGE_TOKEN_ID": token}, ""},
	} {
		var hidden []string
		s, err := sourceOf(c.env, secret.String{}, "", wire.New(wire.Options{}), wire.Policy{}, func(v ...secret.String) error {
			for _, s := range v {
				hidden = append(hidden, s.Reveal())
			}
			return nil
		})
		if c.where == "" {
			var missing *MissingError
			if !errors.As(err, &missing) {
				t.Errorf("%v: expected %v to be %q", c.env, err, "a *MissingError")
			}
			continue
		}
		if err != nil || s.Where != c.where || !s.Fixed || !slices.Equal(hidden, []string{token}) {
			t.Fatalf("%s: expected %+v, %v to be %q, hidden", c.where, s, err, c.where)
		}
		if got, err := s.Token(t.Context()); err != nil || got.Reveal() != token {
			t.Errorf("%s: expected %v to be %v", c.where, err, nil)
		}
	}
}

// A source that can fetch does so once, and again when the token is about to
// end or was refused; each is masked before it is returned.
func TestFetchedTokenIsHeldWhileItLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		var masked []string
		s := &IDTokenSource{
			hide: func(v ...secret.String) error { masked = append(masked, v[0].Reveal()); return nil },
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
	s := &IDTokenSource{held: secret.New(until(time.Now())), hide: func(...secret.String) error { return nil }, fetch: func(context.Context) (string, error) { return "", why }}
	for range 2 {
		got, err := s.Token(t.Context())
		if !errors.Is(err, why) || !strings.HasPrefix(err.Error(), "get ID token: ") || !got.IsZero() {
			t.Errorf("expected %v to be %v", err, why)
		}
	}
}

// What cannot be a token is not masked, and goes nowhere: a mask is made of
// each line, and one of a letter would hide that letter everywhere.
func TestFetchedTextThatIsNoToken(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"a\nb", "a b", "tok\x00en", "tokén"} {
		s := &IDTokenSource{hide: func(...secret.String) error { t.Errorf("%q is masked", v); return nil }, fetch: func(context.Context) (string, error) { return v, nil }}
		if got, err := s.Token(t.Context()); !errors.Is(err, errNoValue) || !got.IsZero() {
			t.Errorf("%q: expected %v to be %v", v, err, errNoValue)
		}
	}
}

// A log that cannot be written to hides nothing: the token is not used.
func TestTokenThatCannotBeMasked(t *testing.T) {
	t.Parallel()
	why := errors.New("write log: broken pipe")
	s := &IDTokenSource{hide: func(...secret.String) error { return why }, fetch: func(context.Context) (string, error) { return "token", nil }}
	if _, err := s.Token(t.Context()); !errors.Is(err, why) {
		t.Errorf("expected %v to be %v", err, why)
	}
}

const urlVariable, tokenVariable = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"

// onGitHub returns the source of a job on GitHub, and what was masked.
func onGitHub(endpoint, token, audience string) (*IDTokenSource, *[]string, error) {
	masked := &[]string{}
	s, err := sourceOf(map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", urlVariable: endpoint, tokenVariable: token}, secret.String{}, audience,
		wire.New(wire.Options{UserAgent: "jfrog-token/test"}), wire.Policy{MaxAttempts: 1}, func(v ...secret.String) error {
			for _, s := range v {
				*masked = append(*masked, s.Reveal())
			}
			return nil
		})
	return s, masked, err
}

func TestMissingVariables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"GitHub, both", map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1"}, "not set: ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN"},
		{"GitHub, the URL", map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", tokenVariable: "t"}, "not set: ACTIONS_ID_TOKEN_REQUEST_URL"},
		{"GitHub, the token", map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", urlVariable: "https://ci.test"}, "not set: ACTIONS_ID_TOKEN_REQUEST_TOKEN"},
		{"GitHub, both blank", map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", urlVariable: " ", tokenVariable: "\n"}, "not set: ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN"},
		{"Azure", map[string]string{"TF_BUILD": "True", "SYSTEM_OIDCREQUESTURI": "https://ci.test"}, "not set: SYSTEM_ACCESSTOKEN"},
		{"Buildkite", map[string]string{"BUILDKITE": "true", "BUILDKITE_AGENT_ENDPOINT": "https://ci.test", "BUILDKITE_JOB_ID": "1"}, "not set: BUILDKITE_AGENT_ACCESS_TOKEN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			masked := 0
			_, err := sourceOf(c.env, secret.String{}, "", wire.New(wire.Options{}), wire.Policy{}, func(...secret.String) error { masked++; return nil })
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
		for name, others := range map[string]map[string]string{
			urlVariable:                {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", tokenVariable: "bearer-needle"},
			"BUILDKITE_AGENT_ENDPOINT": {"BUILDKITE": "true", "BUILDKITE_JOB_ID": "1", "BUILDKITE_AGENT_ACCESS_TOKEN": "bearer-needle"},
			"SYSTEM_OIDCREQUESTURI":    {"TF_BUILD": "True", "SYSTEM_ACCESSTOKEN": "bearer-needle"},
		} {
			others[name] = endpoint
			_, err := sourceOf(others, secret.String{}, "", wire.New(wire.Options{}), wire.Policy{}, func(...secret.String) error { return nil })
			if err == nil || strings.Contains(err.Error(), "needle") || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %q: expected %v to be %q", name, endpoint, err, "an error without the URL")
			}
		}
	}
}

const bearer = "bearer-needle-0123456789"

// github returns a source at an endpoint that responds with h, and what was
// masked.
func github(t *testing.T, audience string, h http.HandlerFunc) (*IDTokenSource, *[]string) {
	t.Helper()
	s, err := jfrogtest.NewServer(h, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	source, masked, err := onGitHub(s.URL+"/idtoken?api-version=2.0", bearer, audience)
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

// The endpoints of other CIs, as their own tools ask them.
func TestOtherEndpoints(t *testing.T) {
	t.Parallel()
	token := until(time.Now().Add(time.Hour))
	for _, c := range []struct {
		name, audience, response string
		env                      map[string]string // {URL} is the endpoint's
		request                  string            // method, path and query, Authorization, body
		header, value            string
		fixed                    bool
		hidden                   []string
	}{
		// https://github.com/buildkite/agent/blob/main/api/oidc.go
		{"Buildkite", "aud", `{"token":"` + token + `"}`,
			map[string]string{"BUILDKITE": "true", "BUILDKITE_AGENT_ENDPOINT": "{URL}/v3", "BUILDKITE_JOB_ID": "a/b", "BUILDKITE_AGENT_ACCESS_TOKEN": bearer},
			`POST /v3/jobs/a%2Fb/oidc/tokens Token ` + bearer + ` {"audience":"aud"}`, "", "", false, []string{bearer}},
		{"Buildkite without an audience", "", `{"token":"` + token + `"}`,
			map[string]string{"BUILDKITE": "true", "BUILDKITE_AGENT_ENDPOINT": "{URL}/v3", "BUILDKITE_JOB_ID": "1", "BUILDKITE_AGENT_ACCESS_TOKEN": bearer},
			`POST /v3/jobs/1/oidc/tokens Token ` + bearer + ` {}`, "", "", false, []string{bearer}},
		{"Azure DevOps", "aud", `{"oidcToken":"` + token + `"}`,
			map[string]string{"TF_BUILD": "True", "SYSTEM_OIDCREQUESTURI": "{URL}/x?a=b", "SYSTEM_ACCESSTOKEN": bearer},
			`POST /x?a=b&api-version=7.1 Bearer ` + bearer + ` {}`, "X-Tfs-Fedauthredirect", "Suppress", true, []string{bearer}},
		// https://cloud.google.com/compute/docs/instances/verifying-instance-identity
		{"Cloud Build", "https://acme.test/a b", token + "\n",
			map[string]string{"BUILDER_OUTPUT": "/builder/outputs", "GCE_METADATA_HOST": "{HOST}"},
			`GET /computeMetadata/v1/instance/service-accounts/default/identity?audience=https%3A%2F%2Facme.test%2Fa+b  `, "Metadata-Flavor", "Google", false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got, field string
			s, err := jfrogtest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = strings.Join([]string{r.Method, r.RequestURI, r.Header.Get("Authorization"), string(body)}, " ")
				field = r.Header.Get(c.header)
				_, _ = io.WriteString(w, c.response)
			}), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			for name, v := range c.env {
				c.env[name] = strings.NewReplacer("{URL}", s.URL, "{HOST}", strings.TrimPrefix(s.URL, "http://")).Replace(v)
			}
			var hidden []string
			source, err := sourceOf(c.env, secret.String{}, c.audience, wire.New(wire.Options{}), wire.Policy{MaxAttempts: 1}, func(v ...secret.String) error {
				for _, s := range v {
					if !s.IsZero() {
						hidden = append(hidden, s.Reveal())
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			id, err := source.Token(t.Context())
			if err != nil || id.Reveal() != token || got != c.request || field != c.value || source.Fixed != c.fixed {
				t.Errorf("expected %v, %q, %q, %t to be %q, %q, %t", err, got, field, source.Fixed, c.request, c.value, c.fixed)
			}
			if want := append(slices.Clone(c.hidden), token); !slices.Equal(hidden, want) {
				t.Errorf("expected %q to be %q", hidden, want)
			}
		})
	}
}

// What a refusal says is cut, and without the bearer that it may repeat; of
// any other body nothing is shown.
func TestRefusalsOfTheEndpoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		status  int
		body    string
		message string // that is shown
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
		{"an empty value", 200, `{"value":""}`, "", false, errNoValue},
		{"no value", 200, `{"needle":"needle"}`, "", false, errNoValue},
		{"a null", 200, `null`, "", false, errNoValue},
		{"a value that is a number", 200, `{"value":12345,"x":"needle"}`, "", false, errNoValue},
		{"a page with status 200", 200, `<html>needle</html>`, "", true, wire.ErrNotJSON},
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
			if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "get ID token: ") || !token.IsZero() || len(*masked) != 1 {
				t.Fatalf("expected %v to be %q", err, "a *wire.Error, with what was requested")
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

// The wait that the endpoint asks for is obeyed.
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
	s, _, err := onGitHub("https://127.0.0.1:1/", "bearer-needle\nneedle", "")
	if err == nil {
		_, err = s.Token(t.Context())
	}
	if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "needle") {
		t.Errorf("expected %v to be %q", err, "an error without the bearer")
	}
}
