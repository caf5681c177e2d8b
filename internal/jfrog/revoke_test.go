package jfrog

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

func TestOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		status    int
		message   string // "": no body
		revocable bool
		self      Outcome // if the token revokes itself
		other     Outcome // if another one does
		onPage    Outcome // if the same comes on a page of HTML
	}{
		{"revoked", 200, "", true, WasRevoked, WasRevoked, WasRevoked},
		{"revoked against expectation", 200, "", false, WasRevoked, WasRevoked, WasRevoked},
		{"nothing there", 204, "", true, AlreadyGone, AlreadyGone, AlreadyGone},
		// What JFrog does not store, it does not know: that does not kill it.
		{"nothing stored", 204, "", false, CannotRevoke, CannotRevoke, CannotRevoke},
		{"not found", 404, "Token not found", true, AlreadyGone, AlreadyGone, FailedRevoke},
		{"not found, nothing stored", 404, "Token not found", false, CannotRevoke, CannotRevoke, FailedRevoke},
		// https://github.com/jfrog/jfrog-client-go/issues/753
		{"not revocable", 400, "Token not revocable", false, CannotRevoke, CannotRevoke, FailedRevoke},
		{"not revocable, although its lifetime says so", 400, "Token not revocable", true, CannotRevoke, CannotRevoke, FailedRevoke},
		{"of another platform", 400, "Token belongs to another instance", true, FailedRevoke, FailedRevoke, FailedRevoke},
		// Of a bearer that is not the token, this says nothing about the token.
		{"expired, says Access", 401, "Invalid token, expired", true, HasExpired, FailedRevoke, FailedRevoke},
		{"expired, says Artifactory", 401, "Token failed verification: expired", false, HasExpired, FailedRevoke, FailedRevoke},
		{"revoked, says Artifactory", 401, "Token failed verification: revoked", true, AlreadyGone, FailedRevoke, FailedRevoke},
		{"not accepted", 401, "Bad credentials", true, FailedRevoke, FailedRevoke, FailedRevoke},
		{"not allowed", 403, "Forbidden", true, FailedRevoke, FailedRevoke, FailedRevoke},
		{"expired with another status", 403, "Invalid token, expired", true, FailedRevoke, FailedRevoke, FailedRevoke},
		{"not revocable with another status", 403, "Token not revocable", true, FailedRevoke, FailedRevoke, FailedRevoke},
		// https://github.com/jfrog/vault-plugin-secrets-artifactory/issues/286
		{"an empty id", 405, "HTTP 405 Method Not Allowed", true, FailedRevoke, FailedRevoke, FailedRevoke},
		{"a redirect", 302, "Found", true, FailedRevoke, FailedRevoke, FailedRevoke},
		{"not found, by a teapot", 418, "Token not found", true, FailedRevoke, FailedRevoke, FailedRevoke},
		{"too often", 429, "Too many requests", true, FailedRevoke, FailedRevoke, FailedRevoke},
		{"broken", 500, "expired", true, FailedRevoke, FailedRevoke, FailedRevoke},
		{"away", 503, "Token not revocable", true, FailedRevoke, FailedRevoke, FailedRevoke},
	} {
		for _, self := range []bool{true, false} {
			want := c.other
			if self {
				want = c.self
			}
			target := Target{Self: self, Revocable: c.revocable}
			for form, body := range forms {
				t.Run(fmt.Sprintf("%s/%s/self=%t", c.name, form, self), func(t *testing.T) {
					t.Parallel()
					var err error
					if c.status < 200 || c.status > 299 {
						err = wrap(OpRevoke, refusal(c.status, fmt.Sprintf(body, c.message)))
					}
					mustBe(t, target, c.status, err, want)
				})
			}
			t.Run(fmt.Sprintf("%s/HTML/self=%t", c.name, self), func(t *testing.T) {
				t.Parallel()
				var err error
				if c.status < 200 || c.status > 299 {
					err = wrap(OpRevoke, refusal(c.status, fmt.Sprintf(page, c.message)))
				}
				mustBe(t, target, c.status, err, c.onPage)
			})
		}
	}
	for name, err := range map[string]error{
		"no response": &wire.Error{Err: io.ErrUnexpectedEOF}, "no *wire.Error": errors.New("make request: x"),
		"half a body": &wire.Error{Status: 403, Err: io.ErrUnexpectedEOF}, "half of a good body": &wire.Error{Status: 200, Err: io.ErrUnexpectedEOF},
		"an empty 401": refusal(401, ""), "an empty 400": refusal(400, ""), "an empty 404": refusal(404, ""), "a text with 404": refusal(404, "Token not found"),
	} {
		var e *wire.Error
		status := 0
		if errors.As(err, &e) {
			status = e.Status
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustBe(t, Target{Self: true, Revocable: true}, status, wrap(OpRevoke, err), FailedRevoke)
		})
	}
}

func mustBe(t *testing.T, target Target, status int, err error, want Outcome) {
	t.Helper()
	got, left := target.outcome(status, err)
	if got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
	if want == FailedRevoke && left != err || want != FailedRevoke && left != nil {
		t.Errorf("expected %v to be %q", left, "an error for failed alone")
	}
}

// A sign-in page comes with 200 too, and ends no token. Whether JFrog's own
// 200 has a body is not documented.
func TestWhatARevocationResponds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   Outcome
	}{
		{"nothing", 200, "", WasRevoked}, {"text", 200, "OK", WasRevoked}, {"JSON", 200, `{"revoked":true}`, WasRevoked}, {"half of JSON", 200, `{"revoked":`, WasRevoked},
		{"a page", 200, fmt.Sprintf(page, "Log in"), FailedRevoke}, {"no content", 204, "", AlreadyGone},
		{"accepted", 202, "", WasRevoked}, {"a redirect", 302, "", FailedRevoke},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			got, err := once(u).Revoke(t.Context(), secret.New("b"), Target{ID: "id", Self: true, Revocable: true})
			if got != c.want || (err == nil) != (c.want != FailedRevoke) || err != nil && !errors.As(err, new(*Error)) {
				t.Errorf("expected %q, %v to be %q", got, err, c.want)
			}
		})
	}
}

// Whatever the id, what arrives is a DELETE of one token. An id of dots alone
// cannot be sent at all: what normalizes a path decodes %2E, which is not
// reserved, and then takes the segment out (RFC 3986, 6.2.2.2 and 6.2.2.3), so
// that the request would reach another endpoint.
func TestRevokeReachesOneTokenOnly(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	c := once(serve(t, func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Method + " " + r.RequestURI }))
	const prefix = "DELETE /access/api/v1/tokens/"
	for _, id := range append(hostile, "", "me") {
		for _, self := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/self=%t", id, self), func(t *testing.T) {
				outcome, err := c.Revoke(t.Context(), secret.New("b"), Target{ID: id, Self: self})
				if len(arrived) == 0 {
					if outcome != FailedRevoke || err == nil {
						t.Errorf("expected %q, %v without a request to be %q", outcome, err, FailedRevoke)
					}
					return
				}
				got := <-arrived
				element, ok := strings.CutPrefix(got, prefix)
				decoded, err := url.PathUnescape(element)
				if !ok || err != nil || strings.ContainsAny(element, "/?#") || element == "" || decoded == "." || decoded == ".." || strings.ContainsAny(decoded, `/\`) {
					t.Errorf("expected %q to be %q", got, "one token")
				}
				// "me" is the bearer: another one than the token must not end
				// itself.
				if want := map[bool]string{true: "me", false: id}[id == ""]; decoded != want || want == "me" && !self {
					t.Errorf("expected %q to be %q", got, prefix+want)
				}
			})
		}
	}
}

// DELETE …/tokens/ is a 405, and an exchanged token may revoke itself as "me"
// if its mapping is self_revocable.
func TestRevokeAsMe(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	c := once(serve(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.Method + " " + r.RequestURI + " " + r.Header.Get("Authorization")
	}))
	for _, h := range []struct {
		name   string
		target Target
		want   string // "": no request
	}{
		{"itself, no id", Target{Self: true}, "me"},
		{"itself, exchanged", Target{ID: "id", Self: true, Me: true}, "me"},
		{"itself, created", Target{ID: "id", Self: true}, "id"},
		{"by another, exchanged", Target{ID: "id", Me: true}, "id"},
		{"by another, created", Target{ID: "id"}, "id"},
		{"by another, no id", Target{Me: true}, ""},
	} {
		t.Run(h.name, func(t *testing.T) {
			outcome, err := c.Revoke(t.Context(), secret.New("b"), h.target)
			if h.want == "" {
				if outcome != FailedRevoke || !errors.Is(err, errID) || len(arrived) != 0 {
					t.Errorf("expected %q, %v to be %q, %v", outcome, err, FailedRevoke, errID)
				}
				return
			}
			if outcome != WasRevoked || err != nil {
				t.Fatalf("expected %q, %v to be %q", outcome, err, WasRevoked)
			}
			if got, want := <-arrived, "DELETE /access/api/v1/tokens/"+h.want+" Bearer b"; got != want {
				t.Errorf("expected %q to be %q", got, want)
			}
		})
	}
}

// The cleanup is tried as often as it takes, whatever the user's own limit is.
func TestCleanupTriesMore(t *testing.T) {
	t.Parallel()
	requests := 0
	c := once(serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	if outcome, err := c.Revoke(t.Context(), secret.New("b"), Target{ID: "id"}); outcome != FailedRevoke || err == nil || requests != 1 {
		t.Errorf("expected %q, %v after %d requests to be %q after %d", outcome, err, requests, FailedRevoke, 1)
	}
	if outcome, err := c.Cleanup().Revoke(t.Context(), secret.New("b"), Target{ID: "id"}); outcome != WasRevoked || err != nil || requests != 3 {
		t.Errorf("expected %q, %v after %d requests to be %q after %d", outcome, err, requests, WasRevoked, 3)
	}
}
