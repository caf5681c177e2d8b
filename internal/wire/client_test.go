package wire_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

func TestSecure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url  string
		want bool
	}{
		{"https://acme.jfrog.io", true}, {"https://10.0.0.1", true}, {"https://[::1]:1", true}, {"https://localhost", true},
		{"http://localhost", true}, {"http://localhost:8082/x", true}, {"http://127.0.0.1", true}, {"http://127.255.0.9:1", true}, {"http://[::1]", true},
		{"http://[0:0:0:0:0:0:0:1]:8082", true}, {"http://[::ffff:127.0.0.1]", true},
		{"http://acme.jfrog.io", false}, {"http://10.0.0.1", false}, {"http://192.168.1.1", false}, {"http://0.0.0.0", false}, {"http://[::]", false},
		{"http://[::2]", false}, {"http://127.0.0.1.acme.test", false}, {"http://localhost.acme.test", false}, {"http://acme.test/localhost", false},
		{"http://localhost@acme.test", false}, {"http://127.1", false}, {"http://2130706433", false}, {"http://0x7f.0.0.1", false}, {"http://127.0.0.1.", false},
		{"http://", false}, {"ftp://localhost", false}, {"ws://127.0.0.1", false}, {"unix://localhost", false}, {"localhost", false}, {"//localhost", false}, {"", false},
	} {
		if got := wire.Secure(parse(t, c.url)); got != c.want {
			t.Errorf("%s: expected %t to be %t", c.url, got, c.want)
		}
	}
}

// Go sends the body of a POST again to wherever a 307 or 308 points, and
// fields of its own name on every 3xx: https://github.com/golang/go/issues/79793
func TestNoRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int32
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	var here atomic.Int32
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		here.Add(1)
		w.Header().Set("Location", r.URL.Query().Get("to"))
		status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"access_token":"never"}`)
	})
	sent := int32(0)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			for to, where := range map[string]string{
				elsewhere.String() + "/login?next=needle":           elsewhere.String(),
				"https://user:needle@" + elsewhere.Host + "/needle": elsewhere.String(),
				"http://" + elsewhere.Host + "/":                    "http://" + elsewhere.Host,
				"/ui/needle":                                        "another path",
				"":                                                  "another path",
				"//" + elsewhere.Host + "/needle":                   "://" + elsewhere.Host,
			} {
				at := *u
				at.Path = "/" + strconv.Itoa(status)
				at.RawQuery = url.Values{"to": {to}}.Encode()
				r := wire.Request{Method: method, URL: &at, Bearer: secret.New("bearer-needle")}
				if method == http.MethodPost {
					r.Body = map[string]string{"subject_token": "needle"}
				}
				var answer map[string]string
				got, err := client().Do(t.Context(), r, &answer)
				sent++
				var e *wire.Error
				if got != status || !errors.As(err, &e) || e.Location != where || e.Retryable() || answer != nil {
					t.Errorf("%d to %q: expected %d, %v, %v to be %q", status, to, got, err, answer, where)
				}
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), "needle") {
					t.Errorf("expected %+v to be %q", err, "without query, path and user of the redirect")
				}
			}
		}
	}
	if got := here.Load(); got != sent {
		t.Errorf("expected %d requests to be %d", got, sent)
	}
	if got := arrived.Load(); got != 0 {
		t.Errorf("expected %d requests after a redirect to be %d", got, 0)
	}
}

// The other side's words are in an Error only as Code and Message, which are
// cut and redacted. net/http quotes what it cannot read in its own errors: a
// gateway that echoes a credential, or a new token at the wrong place, would
// be printed.
func TestNoFailureRepeatsTheOtherSide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, answer string }{
		{"no HTTP", "needle\r\n\r\n"},
		{"a strange version", "HTTP/needle 200 OK\r\n\r\n"},
		{"a strange status", "HTTP/1.1 needle\r\n\r\n"},
		{"a field without a colon", "HTTP/1.1 200 OK\r\nneedle\r\n\r\n"},
		{"a strange field", "HTTP/1.1 200 OK\r\nX needle: needle\r\n\r\n"},
		{"a strange length", "HTTP/1.1 200 OK\r\nContent-Length: needle\r\n\r\n"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: needle\r\n\r\n"},
		{"a strange encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: needle\r\n\r\n"},
		{"a strange chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nneedle\r\n"},
		{"a redirect to no URL", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: https://[needle\r\n\r\n"},
		{"a redirect to a strange port", "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: https://acme.test:needle/\r\n\r\n"},
		{"a strange switch", "HTTP/1.1 101 needle\r\nUpgrade: needle\r\n\r\nneedle"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, c.answer)
			})
			var answer map[string]string
			_, err := client().Do(t.Context(), wire.Request{Method: http.MethodGet, URL: parse(t, "http://"+address)}, &answer)
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "needle") {
				t.Errorf("expected %v to be %q", err, "an error without what was answered")
			}
		})
	}
}

func TestWhatARequestIs(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	for _, c := range []struct {
		name    string
		request wire.Request
		header  http.Header
		body    string
	}{
		{"with a credential and a body", wire.Request{Method: http.MethodPost, Bearer: secret.New("b"), Body: map[string]string{"a": "<&>"}},
			http.Header{"Authorization": {"Bearer b"}, "Content-Type": {"application/json"}}, `{"a":"\u003c\u0026\u003e"}`},
		{"without a credential", wire.Request{Method: http.MethodPost, Body: struct{}{}}, http.Header{"Content-Type": {"application/json"}}, `{}`},
		{"with another scheme", wire.Request{Method: http.MethodPost, Bearer: secret.New("b"), Scheme: "Token", Body: struct{}{}},
			http.Header{"Authorization": {"Token b"}, "Content-Type": {"application/json"}}, `{}`},
		{"with a further field", wire.Request{Method: http.MethodGet, Header: http.Header{"Metadata-Flavor": {"Google"}, "User-Agent": {"other"}}},
			http.Header{"Metadata-Flavor": {"Google"}}, ""},
		{"without a body", wire.Request{Method: http.MethodDelete, Bearer: secret.New("b")}, http.Header{"Authorization": {"Bearer b"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.request.URL = u
			status, err := client().Do(t.Context(), c.request, nil)
			if status != http.StatusNoContent || err != nil {
				t.Fatalf("expected %d, %v to be %d", status, err, http.StatusNoContent)
			}
			c.header.Set("User-Agent", "jfrog-token/test")
			c.header.Set("Accept", "application/json")
			// Idempotency-Key would make net/http send a POST again by itself:
			// https://github.com/golang/go/blob/master/src/net/http/request.go
			for _, name := range []string{"Authorization", "Content-Type", "User-Agent", "Accept", "Accept-Encoding", "Idempotency-Key", "X-Idempotency-Key", "Cookie", "Referer", "Metadata-Flavor"} {
				if got, want := got.Header.Get(name), c.header.Get(name); got != want {
					t.Errorf("%s: expected %q to be %q", name, got, want)
				}
			}
			if string(body) != c.body || got.ProtoMajor != 1 {
				t.Errorf("expected %q in %s to be %q", body, got.Proto, c.body)
			}
		})
	}
}

// A RoundTripper must not change the request that it is given.
func TestTheRequestOfTheCallerIsNotChanged(t *testing.T) {
	t.Parallel()
	var got string
	u := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.UserAgent() })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "other/1.0")
	res, err := client().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got != "jfrog-token/test" || req.UserAgent() != "other/1.0" {
		t.Errorf("expected %q, %q to be %q, %q", got, req.UserAgent(), "jfrog-token/test", "other/1.0")
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	const most = 256 << 10
	for _, c := range []struct {
		size    int
		chunked bool
		ok      bool
	}{{most - 1, false, true}, {most, false, true}, {most, true, true}, {most + 1, false, false}, {most + 1, true, false}, {2 * most, true, false}} {
		t.Run(fmt.Sprint(c.size, c.chunked), func(t *testing.T) {
			t.Parallel()
			// Whitespace after JSON is no part of it: a body that was cut
			// would still be whole JSON.
			body := append([]byte(`{"access_token":"x"}`), bytes.Repeat([]byte(" "), c.size-20)...)
			u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if !c.chunked {
					w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				}
				_, _ = w.Write(body)
			})
			r := wire.Request{Method: http.MethodGet, URL: u}
			var answer map[string]string
			_, err := client().Do(t.Context(), r, &answer)
			if (err == nil) != c.ok || (answer != nil) != c.ok {
				t.Errorf("expected %v, %v to be %t", err, answer, c.ok)
			}
			var raw []byte
			_, err = client().Do(t.Context(), r, &raw)
			if (err == nil) != c.ok || c.ok && !bytes.Equal(raw, body) || !c.ok && raw != nil {
				t.Errorf("expected %d bytes, %v to be %d, %t", len(raw), err, len(body), c.ok)
			}
		})
	}
}

func TestTraceSaysNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	var got []wire.Exchange
	c := wire.New(wire.Options{Roots: authority().Pool, AllRoots: authority().Pool, Trace: func(e wire.Exchange) { got = append(got, e) }})
	at := *u
	at.Path, at.RawQuery = "/x", "q=needle"
	_, _ = c.Do(t.Context(), wire.Request{Method: http.MethodPost, URL: &at, Bearer: secret.New("needle"), Body: "needle"}, nil)
	broken := parse(t, "http://"+listen(t, reset)+"/y?q=needle")
	_, _ = c.Do(t.Context(), wire.Request{Method: http.MethodGet, URL: broken}, nil)
	for i := range got {
		if got[i].Took <= 0 {
			t.Errorf("expected %s to be %q", got[i].Took, "above zero")
		}
		got[i].Took = 0
	}
	want := []wire.Exchange{{Method: "POST", Path: "/x", Status: 418}, {Method: "GET", Path: "/y"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("expected %v to be %v", got, want)
	}
}

// Where the credential fails to be JSON or the method is none, nothing is sent
// and nothing of it is told.
func TestWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	u := parse(t, "https://127.0.0.1:1")
	for _, c := range []struct {
		name    string
		request wire.Request
	}{
		{"a body that is no JSON", wire.Request{Method: http.MethodPost, URL: u, Body: map[string]any{"needle": json.RawMessage("needle")}}},
		{"a method with a blank", wire.Request{Method: "PO ST", URL: u}},
		{"a credential with a line break", wire.Request{Method: http.MethodPost, URL: u, Bearer: secret.New("needle\r\nX-Other: needle")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := client().Do(t.Context(), c.request, nil)
			if err == nil || strings.Contains(err.Error(), "needle") {
				t.Errorf("expected %v to be %q", err, "an error without the value")
			}
			var e *wire.Error
			if errors.As(err, &e) && e.Retryable() {
				t.Errorf("%v: expected retryable %t to be %t", err, true, false)
			}
		})
	}
}

// Property: -1 or a wait; the seconds are exact, and a date asks for no more
// than the time until it. Nothing panics.
func FuzzParseRetryAfter(f *testing.F) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, in := range []string{"120", "0", " 7 ", "9223372036", "9223372037", "18446744073709551616", "-1", "1.5", "", "soon",
		"Fri, 02 Jan 2026 03:05:05 GMT", "Friday, 02-Jan-26 03:05:05 GMT", "Fri Jan  2 03:05:05 2026", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(in, now.Unix())
	}
	f.Fuzz(func(t *testing.T, in string, unix int64) {
		now := time.Unix(unix%(1<<40), 0)
		got := wire.ParseRetryAfter(in, now)
		if got < 0 && got != -1 {
			t.Errorf("%q: expected %d to be %q", in, got, "-1, or a wait")
		}
		field := strings.TrimSpace(in)
		digits := field != "" && strings.Trim(field, "0123456789") == ""
		at, err := http.ParseTime(field)
		switch n, tooMany := strconv.ParseInt(field, 10, 64); {
		case digits && tooMany == nil && n <= int64(1<<63-1)/int64(time.Second):
			if want := time.Duration(n) * time.Second; got != want {
				t.Errorf("%q: expected %s to be %s", in, got, want)
			}
		case digits:
			if got != -1 && got < time.Duration(1<<63-1)/time.Second*time.Second {
				t.Errorf("%q: expected %s to be %q", in, got, "no short wait")
			}
		case err == nil:
			if left := at.Sub(now); got == -1 || got > max(0, left) {
				t.Errorf("%q: expected %s to be %s", in, got, max(0, left))
			}
		default:
			if got != -1 {
				t.Errorf("%q: expected %s to be %d", in, got, -1)
			}
		}
	})
}

// A root that is in no usual place, beside one that is and has expired: requests are sent once, whole, also if several
// meet that server at once, and later ones do not try the usual roots again.
func TestAnAuthorityThatIsNotUsual(t *testing.T) {
	t.Parallel()
	var bodies sync.Map
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, twice := bodies.LoadOrStore(string(body), true); twice {
			t.Errorf("%s arrived twice", body)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	var usual atomic.Int32
	c := wire.New(wire.Options{
		Roots:    func() *x509.CertPool { usual.Add(1); return x509.NewCertPool() },
		AllRoots: authority().Pool,
	})
	c.Connect(t.Context(), u)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := c.Do(t.Context(), wire.Request{Method: http.MethodPost, URL: u, Body: i}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	arrived := 0
	bodies.Range(func(_, _ any) bool { arrived++; return true })
	if arrived != 8 || usual.Load() != 1 {
		t.Errorf("expected %d requests and %d loads of the usual roots to be 8 and 1", arrived, usual.Load())
	}
}

// The usual roots have an authority's certificate that has expired, and the one that replaces it is elsewhere.
func TestAnAuthorityWhoseUsualCertificateHasExpired(t *testing.T) {
	t.Parallel()
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c := wire.New(wire.Options{Roots: authority().Expired, AllRoots: authority().Pool})
	if _, err := c.Do(t.Context(), wire.Request{Method: http.MethodGet, URL: u}, nil); err != nil {
		t.Fatal(err)
	}
}
