package jfrog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// refusal is what wire makes of a response that arrived whole.
func refusal(status int, body string) *wire.Error {
	e := &wire.Error{Method: http.MethodPost, Host: "acme.test", Path: "/", Sent: true, RetryAfter: -1}
	e.Refusal(status, http.Header{}, []byte(body))
	return e
}

// forms are those in which JFrog's services refuse: https://github.com/jfrog/jfrog-client-go/issues/753
// has the second, the others are in the reports that follow.
var forms = map[string]string{
	"Access":      `{"errors":[{"code":"C","message":%q}]}`,
	"flat":        `{"code":"C","message":%q,"detail":"expirationTimeMillis: 1, revocableExpiryThresholdMillis: 21600000"}`,
	"Artifactory": `{"errors":[{"status":400,"message":%q}]}`,
	"OAuth":       `{"error":"invalid_request","error_description":%q}`,
	"Xray":        `{"error":%q}`,
}

const page = "<!DOCTYPE html><html><head><title>%s</title></head></html>"

// What JFrog says, as it was seen, and what that means.
func TestKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op      Op
		status  int
		message string
		want    Kind
		onPage  Kind // if the same comes on a page of HTML
		asText  Kind // if it is not JSON
	}{
		// https://github.com/jfrog/setup-jfrog-cli/issues/270
		{OpExchange, 400, "Invalid audience", WrongAudience, Other, Other},
		// https://github.com/jfrog/setup-jfrog-cli/issues/155, and whatever the status
		{OpExchange, 400, "Failed to get public key", NoKeys, Other, Other},
		{OpExchange, 401, "Failed to get public key", NoKeys, Other, Other},
		{OpExchange, 500, "Failed to get public key", NoKeys, Other, Other},
		{OpExchange, 404, "oidc integration doesn't exist", NoProvider, Other, NoEndpoint},
		{OpExchange, 404, "OIDC provider not found", NoProvider, Other, NoEndpoint},
		{OpExchange, 400, "OIDC provider not found", NoProvider, Other, Other},
		{OpExchange, 404, "identity mapping doesn't exist", NoMapping, Other, NoEndpoint},
		{OpExchange, 404, "HTTP 404 Not Found", NoEndpoint, Other, NoEndpoint},
		{OpExchange, 405, "HTTP 405 Method Not Allowed", NoEndpoint, Other, NoEndpoint},
		// No report has the wording of these: the status alone counts.
		{OpExchange, 403, "No identity mapping matched", NoMatch, Other, Other},
		{OpExchange, 401, "ID token expired", IDTokenExpired, Other, Other},
		{OpExchange, 401, "ID token not valid yet", IDTokenExpired, Other, Other},
		{OpExchange, 401, "Token has expired", IDTokenExpired, Other, Other},
		{OpExchange, 401, "ID token signature invalid", BadSignature, Other, Other},
		{OpExchange, 401, "signature verification failed", BadSignature, Other, Other},
		{OpExchange, 403, "Enterprise license required", NoLicense, Other, Other},
		{OpExchange, 500, "Failed to fetch public key", NoKeys, Other, Other},
		{OpExchange, 400, "x", NoMatch, Other, Other},
		{OpExchange, 415, "HTTP 415 Unsupported Media Type", Other, Other, Other},
		{OpExchange, 429, "Invalid", Other, Other, Other},
		{OpExchange, 503, "x", Other, Other, Other},

		// https://github.com/jfrog/terraform-provider-artifactory/issues/1246
		{OpCreate, 400, "Invalid formatted name: github/ci", NoUser, Other, Other},
		{OpCreate, 400, "Illegal audience: x", Invalid, Other, Other},
		{OpCreate, 401, "Invalid token, expired", Expired, Other, Other},
		{OpCreate, 401, "Token failed verification: expired", Expired, Other, Other},
		{OpCreate, 401, "Token failed verification: revoked", Revoked, Other, Other},
		{OpCreate, 401, "Bad credentials", Unauthenticated, Other, Other},
		{OpCreate, 401, "Props Authentication Token not found", Unauthenticated, Other, Other},
		{OpCreate, 403, "User ci can only create user token(s) for themselves", Forbidden, Other, Other},
		{OpCreate, 403, "Invalid token, expired", Forbidden, Other, Other},
		{OpCreate, 404, "HTTP 404 Not Found", NoEndpoint, Other, NoEndpoint},
		{OpCreate, 405, "HTTP 405 Method Not Allowed", NoEndpoint, Other, NoEndpoint},
		{OpCreate, 418, "Invalid", Other, Other, Other},
		{OpCreate, 500, "expired", Other, Other, Other},

		// https://github.com/jfrog/jfrog-client-go/issues/753
		{OpRevoke, 400, "Token not revocable", NotRevocable, Other, Other},
		{OpRevoke, 400, "Token belongs to another instance", Invalid, Other, Other},
		{OpRevoke, 401, "Invalid token, expired", Expired, Other, Other},
		{OpRevoke, 401, "Token failed verification: revoked", Revoked, Other, Other},
		{OpRevoke, 401, "Bad credentials", Unauthenticated, Other, Other},
		{OpRevoke, 403, "Token not revocable", Forbidden, Other, Other},
		{OpRevoke, 404, "Token not found", NoToken, Other, Other},
		// https://github.com/jfrog/vault-plugin-secrets-artifactory/issues/286
		{OpRevoke, 405, "HTTP 405 Method Not Allowed", NoEndpoint, Other, Other},

		{OpList, 401, "Bad credentials", Unauthenticated, Other, Other},
		{OpList, 403, "Token audience does not include jfac@01", NarrowAudience, Other, Other},
		{OpCreate, 403, "Token audience does not include jfac@01", NarrowAudience, Other, Other},
		{OpRevoke, 403, "Token audience does not include jfac@01", Forbidden, Other, Other},
		{OpCreate, 400, "Group readres does not exist", NoGroup, Other, Other},
		{OpCreate, 403, "Logged in user cannot request token with scope: applied-permissions/groups:admins", NoGroup, Other, Other},
		{OpList, 404, "HTTP 404 Not Found", NoEndpoint, Other, NoEndpoint},

		// No report has the wording of Connect's: any form of 401 and 403 refuses the token.
		{OpVerifyPlatform, 401, "Bad credentials", Unauthenticated, Other, Unauthenticated},
		{OpVerifyPlatform, 403, "Forbidden", Forbidden, Other, Forbidden},
		{OpVerifyPlatform, 404, "HTTP 404 Not Found", NoEndpoint, Other, NoEndpoint},
		{OpVerifyPlatform, 404, "Project not found", NoEndpoint, Other, NoEndpoint},
		{OpVerifyPlatform, 503, "x", Other, Other, Other},
		{OpVerifyArtifactory, 401, "Token failed verification", Unauthenticated, Other, Unauthenticated},
		{OpVerifyArtifactory, 403, "Forbidden", Forbidden, Other, Forbidden},
		{OpVerifyConnect, 401, "Unauthorized", Unauthenticated, Other, Unauthenticated},
		{OpVerifyConnect, 403, "Forbidden", Forbidden, Other, Forbidden},
		{OpVerifyConnect, 404, "Project shop not found", NoProject, Other, NoEndpoint},
		{OpVerifyConnect, 404, "no Route matched", NoEndpoint, Other, NoEndpoint},
		{OpVerifyConnect, 400, "limit is wrong", Invalid, Other, Other},
	} {
		check := func(form, body string, want Kind) {
			t.Helper()
			err := wrap(c.op, refusal(c.status, body))
			var e *Error
			if !errors.As(err, &e) || e.Op != c.op || e.Kind != want || KindOf(fmt.Errorf("x: %w", err)) != want {
				t.Errorf("%s, %d %q, %s: expected kind %d to be %d", c.op, c.status, c.message, form, KindOf(err), want)
			}
		}
		for form, body := range forms {
			check(form, fmt.Sprintf(body, c.message), c.want)
		}
		check("HTML", fmt.Sprintf(page, c.message), c.onPage)
		check("text", c.message, c.asText)
		check("nothing", "", c.asText)
	}
}

// What is no response of JFrog's has no kind, and is wrapped once.
func TestWhatIsNoRefusal(t *testing.T) {
	t.Parallel()
	if wrap(OpCreate, nil) != nil {
		t.Errorf("expected %v to be %v", wrap(OpCreate, nil), nil)
	}
	for name, err := range map[string]error{
		"another package's": errors.New("x"), "no response": &wire.Error{Err: io.ErrUnexpectedEOF}, "an interruption": context.Canceled,
		"a redirect": refusal(302, ""), "a page": refusal(200, fmt.Sprintf(page, "Log in")),
	} {
		once := wrap(OpCreate, err)
		if KindOf(once) != Other || !errors.Is(once, err) || wrap(OpRevoke, once) != once || KindOf(err) != Other {
			t.Errorf("%s: expected %v to be %v, with %q", name, once, err, OpCreate)
		}
	}
	joined := fmt.Errorf("%w: %w", context.Canceled, refusal(401, fmt.Sprintf(forms["Access"], "Invalid token, expired")))
	if got := KindOf(wrap(OpCreate, joined)); got != Expired {
		t.Errorf("expected kind %d to be %d", got, Expired)
	}
}

// After which responses a token may exist: only JFrog's own refusal says that
// there is none.
func TestUnknown(t *testing.T) {
	t.Parallel()
	access := fmt.Sprintf(forms["Access"], "x")
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"done", nil, false},
		{"400 of JFrog's", refusal(400, access), false},
		{"401 of JFrog's", refusal(401, access), false},
		{"403 of JFrog's", refusal(403, access), false},
		{"404 of JFrog's", refusal(404, access), false},
		{"400, flat", refusal(400, fmt.Sprintf(forms["flat"], "x")), false},
		{"400, given up", &wire.GaveUp{Attempts: 1, Last: refusal(400, access)}, false},

		{"400 as text", refusal(400, "Bad request"), true},
		{"400 with nothing", refusal(400, ""), true},
		{"400 with JSON that refuses nothing", refusal(400, `{}`), true},
		{"401 with a list", refusal(401, `[{"message":"x"}]`), true},
		{"403 on a page", refusal(403, fmt.Sprintf(page, "403 Forbidden")), true},
		{"404 on a page", refusal(404, fmt.Sprintf(page, "404 Not Found")), true},
		{"a page with status 200", func() error {
			e := refusal(200, fmt.Sprintf(page, "Log in"))
			e.Err = wire.ErrNotJSON
			return e
		}(), true},
		{"403 that was cut", func() error { e := refusal(403, access); e.Err = io.ErrUnexpectedEOF; return e }(), true},
		{"200 without a token", &wire.Error{Status: 200, Sent: true, Err: errors.New("response has no usable access_token")}, true},
		{"no response", &wire.Error{Sent: true, Err: io.ErrUnexpectedEOF}, true},
		{"503, given up", &wire.GaveUp{Attempts: 1, Last: refusal(503, access)}, true},
		{"503, interrupted", fmt.Errorf("%w: %w", context.Canceled, refusal(503, access)), true},

		{"nothing was sent", &wire.Error{Err: io.ErrUnexpectedEOF}, false},
		{"an error of the CI's", errors.New("no ID token"), false},
	} {
		if got := unknown(c.err); got != c.want {
			t.Errorf("%s: expected %t to be %t", c.name, got, c.want)
		}
	}
	for _, status := range []int{300, 301, 302, 303, 307, 308, 402, 405, 406, 408, 409, 410, 415, 418, 422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 505, 520, 599} {
		if !unknown(refusal(status, access)) {
			t.Errorf("%d of JFrog's: expected %t to be %t", status, false, true)
		}
	}
}

// The same as it really happens: how many attempts of one Create, and of one
// Exchange, may have left a token.
func TestLost(t *testing.T) {
	t.Parallel()
	respond := func(status int, body string) func(*testing.T) string {
		return func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			}).String()
		}
	}
	raw := func(f func(net.Conn)) func(*testing.T) string {
		return func(t *testing.T) string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					go func() {
						defer c.Close()
						r, err := http.ReadRequest(bufio.NewReader(c))
						if err == nil {
							_, _ = io.Copy(io.Discard, r.Body)
							f(c)
						}
					}()
				}
			}()
			return "http://" + l.Addr().String()
		}
	}
	access := fmt.Sprintf(forms["Access"], "x")
	for _, c := range []struct {
		name  string
		start func(*testing.T) string
		lost  int // of two attempts, if it is tried again
	}{
		{"a token", respond(200, `{"access_token":"x"}`), 0},
		{"a token with status 201", respond(201, `{"access_token":"x"}`), 0},
		{"JFrog's 403", respond(403, access), 0},
		{"a page with 403", respond(403, fmt.Sprintf(page, "403 Forbidden")), 1},
		{"a page with 200", respond(200, fmt.Sprintf(page, "Log in")), 1},
		{"no content", respond(204, ""), 1},
		{"a redirect", respond(302, ""), 1},
		{"501", respond(501, access), 1},
		{"503, twice", respond(503, access), 2},
		{"a cut response, twice", raw(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"access_")
		}), 2},
		{"no response, twice", raw(func(net.Conn) {}), 2},
		{"a response that is late", raw(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), 1},
		{"nobody there, twice", func(t *testing.T) string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			return "http://" + l.Addr().String()
		}, 0},
	} {
		for _, op := range []Op{OpCreate, OpExchange} {
			t.Run(c.name+"/"+string(op), func(t *testing.T) {
				t.Parallel()
				timeout := 10 * time.Second
				if c.name == "a response that is late" {
					timeout = 300 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				client := New(wire.New(wire.Options{}), parse(t, c.start(t)), wire.Policy{MaxAttempts: 2})
				var lost int
				var err error
				if op == OpCreate {
					_, lost, err = client.Create(ctx, secret.New("b"), CreateRequest{})
				} else {
					_, lost, err = client.Exchange(ctx, &idTokens{}, ExchangeRequest{})
				}
				if lost != c.lost {
					t.Errorf("%v: expected %d to be %d", err, lost, c.lost)
				}
			})
		}
	}
}

func serve(t testing.TB, h http.HandlerFunc) *url.URL {
	t.Helper()
	s, err := jfrogtest.NewServer(h, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return parse(t, s.URL)
}

func parse(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// once is a client that tries once.
func once(u *url.URL) *Client {
	return New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 1})
}
