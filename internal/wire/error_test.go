package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
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
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// The bodies that JFrog's services and what stands before them are known to
// send, and those that a client must survive.
func TestDecodeError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body, code, message string
		known                     bool // it has one of the forms in which a service refuses
	}{
		{"Access", `{"errors":[{"code":"BAD_REQUEST","message":"Invalid audience"}]}`, "BAD_REQUEST", "Invalid audience", true},
		// https://github.com/jfrog/jfrog-client-go/issues/753
		{"Access, with a detail", `{"errors":[{"code":"BAD_REQUEST","message":"Token not revocable.","detail":"revocableExpiryThresholdMillis: 21600000"}]}`,
			"BAD_REQUEST", "Token not revocable (revocableExpiryThresholdMillis: 21600000)", true},
		{"Access, older and flat", `{"code":"UNAUTHORIZED","message":"Invalid token, expired","detail":"at noon"}`, "UNAUTHORIZED", "Invalid token, expired (at noon)", true},
		{"Artifactory", `{"errors":[{"status":401,"message":"Token failed verification: expired"}]}`, "", "Token failed verification: expired", true},
		{"OAuth", `{"error":"invalid_request","error_description":"Illegal audience"}`, "invalid_request", "Illegal audience", true},
		{"Xray", `{"error":"Found invalid token"}`, "", "Found invalid token", true},
		{"a CI", `{"message":"Unauthorized"}`, "", "Unauthorized", true},
		{"plain text", "Bad credentials\n", "", "Bad credentials", false},
		{"nothing", "", "", "", false},
		{"blanks", " \r\n\t", "", "", false},
		{"HTML", "<!DOCTYPE html><html><head><title>403</title></head></html>", "", "", false},
		{"XML", "<error>x</error>", "", "", false},

		{"two errors", `{"errors":[{"code":"A","message":"a"},{"code":"B","message":"b"}]}`, "A", "a", true},
		{"no errors in the list", `{"errors":[],"message":"a"}`, "", "a", true},
		{"null for the list", `{"errors":null,"message":"a"}`, "", "a", true},
		{"an error that is null", `{"errors":[null],"message":"a"}`, "", "", false},
		{"a code alone", `{"code":"NOT_FOUND"}`, "", "NOT_FOUND", true},
		{"a detail that repeats the message", `{"code":"A","message":"a","detail":"a"}`, "A", "a", true},
		{"blanks in the fields", `{"code":" A ","message":"\n a \n"}`, "A", "a", true},
		{"other names", `{"reason":"a","status":"b"}`, "", "", false},
		{"numbers", `{"code":404,"message":404}`, "", "", false},
		{"objects", `{"code":{"a":1},"message":["a"]}`, "", "", false},
		{"booleans", `{"error":true,"error_description":false}`, "", "", false},
		{"nulls", `{"code":null,"message":null,"error":"e"}`, "", "e", true},
		{"a list for an object", `[{"message":"a"}]`, "", "", false},
		{"a text for the list", `{"errors":"a","message":"b"}`, "", "", false},
		{"null", `null`, "", "", false},
		{"half of it", `{"errors":[{"code":"BAD_REQUEST","message":"Inv`, "", "", false},
		{"more than it", `{"message":"a"}{"message":"b"}`, "", "", false},
		{"depth", strings.Repeat(`{"errors":[`, 20000), "", "", false},
		{"text that is not UTF-8", "caf\xe9", "", "", false},
		{"JSON that is not UTF-8", "{\"message\":\"caf\xe9\"}", "", "caf\uFFFD", true},
		{"half of a surrogate", `{"message":"a\ud800b"}`, "", "a\uFFFDb", true},
		{"a zero byte", `{"message":"a\u0000b"}`, "", "a\x00b", true}, // sanitized when it is printed
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, message, known := wire.DecodeError([]byte(c.body))
			if code != c.code || message != c.message || known != c.known {
				t.Errorf("expected %q, %q, %t to be %q, %q, %t", code, message, known, c.code, c.message, c.known)
			}
		})
	}
}

func TestDecodeErrorCutsWhatIsLong(t *testing.T) {
	t.Parallel()
	words := strings.Repeat("word ", 1<<16) // more than wire reads of an answer
	letters := strings.Repeat("日 ", 1<<16)
	for _, c := range []struct{ name, body, code, message string }{
		{"a text", words, "", words[:256] + "…"},
		{"a text of several MiB", strings.Repeat("word ", 1<<19), "", words[:256] + "…"},
		{"a message", `{"message":"` + words + `"}`, "", words[:256] + "…"},
		{"a code and a message", `{"code":"` + words + `","message":"` + words + `"}`, words[:256] + "…", words[:256] + "…"},
		{"a detail", `{"message":"a","detail":"` + words + `"}`, "", "a (" + words[:253] + "…"},
		{"letters of three bytes, not in half", `{"message":"` + letters + `"}`, "", letters[:256] + "…"},
		{"letters of three bytes, one off", `{"message":"x` + letters + `"}`, "", "x" + letters[:255] + "…"},
		{"letters of three bytes, two off", `{"message":"xx` + letters + `"}`, "", "xx" + letters[:252] + "…"},
		{"what fits", `{"message":"` + words[:254] + `é"}`, "", words[:254] + "é"},
		{"a run that could be a token", strings.Repeat("a", 1<<18), "", "***"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, message, _ := wire.DecodeError([]byte(c.body))
			if code != c.code || message != c.message {
				t.Errorf("expected %q, %q to be %q, %q", code, message, c.code, c.message)
			}
		})
	}
}

func TestDecodeErrorTakesSecretsOut(t *testing.T) {
	t.Parallel()
	const bearer = "eyJ2ZXIiOiIyIn0.eyJzdWIiOiJqZnJ0QDAxIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4"
	const odd = `p"s/s+w\rd%=é`
	for _, c := range []struct{ name, body, code, message string }{
		{"plain", "refused: " + bearer, "", "refused: ***"},
		{"in a message", `{"message":"token ` + bearer + ` is unknown"}`, "", "token *** is unknown"},
		{"as the code", `{"code":"` + bearer + `","message":"a"}`, "***", "a"},
		{"escaped by JSON", `{"message":"password p\"s\/s+w\\rd%=\u00e9 is unknown"}`, "", "password *** is unknown"},
		{"JSON within JSON", `{"message":"{\"password\":\"p\\\"s/s+w\\\\rd%=é\"}"}`, "", `{"password":"***"}`},
		{"escaped for an URL", `{"message":"GET /?p=` + url.QueryEscape(odd) + `"}`, "", "GET /?p=***"},
		{"the signature alone", `{"message":"bad signature c2lnbmF0dXJlLW9mLWEtdG9rZW4"}`, "", "bad signature ***"},
		{"across message and detail", `{"message":"x p\"s/s+w\\r","detail":"d%=é"}`, "", `x p"s/s+w\r (d%=é)`},
		{"at the cut", `{"message":"` + strings.Repeat("w ", 120) + bearer + `"}`, "", strings.Repeat("w ", 120) + "***"},
		{"another's token", `{"message":"cmVmdGtuOjAxOjE3MzQ1Njc4OTA6YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXph is known"}`, "", "*** is known"},
		{"an id, which is none", `{"message":"59e39159-19eb-463d-953d-1d6baf567db6 is unknown"}`, "", "59e39159-19eb-463d-953d-1d6baf567db6 is unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, message, _ := wire.DecodeError([]byte(c.body), secret.New(bearer), secret.New(odd))
			if code != c.code || message != c.message {
				t.Errorf("expected %q, %q to be %q, %q", code, message, c.code, c.message)
			}
		})
	}
}

// Property: a secret that is somewhere in a body is in neither value, and both
// are short, valid UTF-8. A secret is what a header field can carry.
func FuzzDecodeError(f *testing.F) {
	const s = `c3Rvcm"d/dG9r\ZW4`
	f.Add("refused: ", s, " is unknown", uint8(0))
	f.Add(`{"message":"token `, s, ` is unknown","detail":"x"}`, uint8(1))
	f.Add(`{"errors":[{"code":"`, s, `"}]}`, uint8(1))
	f.Add(`{"error":"`, "eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl", `"}`, uint8(2))
	f.Add(strings.Repeat("x ", 126), "abababab", "ababab", uint8(0))
	f.Add("{\"message\":\"\xff", "aaaaaaaaaa", "\xff\"}", uint8(1))
	f.Fuzz(func(t *testing.T, before, s, after string, how uint8) {
		if len(s) < 8 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '*' }) {
			t.Skip()
		}
		quote := func(s string) string { b, _ := json.Marshal(s); return string(b[1 : len(b)-1]) }
		written := s
		for range how % 3 { // plain, in JSON, in JSON within JSON
			written = quote(written)
		}
		for _, body := range []string{before + written + after, `{"message":"` + quote(before+s+after) + `"}`, `{"error":"` + quote(quote(before+s+after)) + `"}`} {
			code, message, _ := wire.DecodeError([]byte(body), secret.New(s))
			for _, got := range []string{code, message} {
				if strings.Contains(got, s) || strings.Contains(got, quote(s)) {
					t.Errorf("%q: expected %q to be %q", body, got, "without "+s)
				}
				if len(strings.TrimSuffix(got, "…")) > 256 || !utf8.ValidString(got) {
					t.Errorf("%q: expected %q to be %q", body, got, "at most 256 bytes of UTF-8")
				}
			}
		}
	})
}

var authority = sync.OnceValue(jfrogtest.NewCA)

func client() *wire.Client {
	return wire.New(wire.Options{Roots: authority().Pool, AllRoots: authority().Pool, UserAgent: "jfrog-token/test"})
}

// serve serves h over TLS under a certificate for the loopback address.
func serve(t *testing.T, h http.HandlerFunc) *url.URL {
	t.Helper()
	certificate := authority().Certificate([]string{"127.0.0.1"}, time.Time{}, time.Time{})
	s, err := jfrogtest.NewServer(h, "", &certificate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return parse(t, s.URL)
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// listen has each connection handled by f, and closes it then.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return l.Addr().String()
}

func readRequest(c net.Conn) {
	if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// request sends what mint would send, and gives the error.
func request(t *testing.T, ctx context.Context, u *url.URL) *wire.Error {
	t.Helper()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	at := *u
	at.Path += "/access/api/v1/tokens"
	at.RawQuery = "q=query-needle"
	_, err := client().Do(ctx, wire.Request{
		Method: http.MethodPost, URL: &at, Bearer: secret.New("bearer-needle"), Body: map[string]string{"subject_token": "body-needle"},
		Secrets: []secret.String{secret.New("body-needle")}, Mints: true,
	}, &answer)
	var e *wire.Error
	if !errors.As(err, &e) {
		t.Fatalf("expected %v to be %q", err, "a *wire.Error")
	}
	for _, text := range []string{e.Error(), e.Reason(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
		if strings.Contains(text, "needle") {
			t.Errorf("expected %q to be %q", text, "without query, header and body")
		}
	}
	return e
}

// What each way to fail, as it really happens, is taken for: whether the same
// request is sent again, whether a certificate or a proxy is to blame, and
// whether the request may have arrived. What that means for a token is decided
// in package jfrog, by what was responded.
func TestRealFailures(t *testing.T) {
	t.Parallel()
	mebibytes := func(n int) string { return strings.Repeat(strings.Repeat(" ", 1<<20), n) }
	answer := func(status int, kind, body string) func(*testing.T) *url.URL {
		return func(t *testing.T) *url.URL {
			return serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", kind)
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			})
		}
	}
	raw := func(scheme string, f func(net.Conn)) func(*testing.T) *url.URL {
		return func(t *testing.T) *url.URL { return parse(t, scheme+"://"+listen(t, f)) }
	}
	withCertificate := func(names []string, notAfter time.Time, ca *jfrogtest.CA) func(*testing.T) *url.URL {
		return func(t *testing.T) *url.URL {
			certificate := ca.Certificate(names, time.Now().Add(-48*time.Hour), notAfter)
			s, err := jfrogtest.NewServer(http.NotFoundHandler(), "", &certificate)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			return parse(t, s.URL)
		}
	}
	for _, c := range []struct {
		name        string
		start       func(*testing.T) *url.URL
		retryable   bool
		certificate bool
		sent        bool
	}{
		{"refused", func(t *testing.T) *url.URL {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			return parse(t, "https://"+l.Addr().String())
		}, true, false, false},
		{"reset before TLS", raw("https", reset), true, false, false},
		{"closed before TLS", raw("https", func(net.Conn) {}), true, false, false},
		{"closed within TLS", raw("https", func(c net.Conn) { _, _ = c.Read(make([]byte, 64)); _, _ = c.Write([]byte{0x16, 3, 3}) }), true, false, false},
		{"reset after the request", raw("http", func(c net.Conn) { readRequest(c); reset(c) }), true, false, true},
		{"closed after the request", raw("http", readRequest), true, false, true},
		{"closed within the header", raw("http", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: appli")
		}), true, false, true},
		// net/http calls half of a status or of a field's name malformed, as it
		// calls garbage: https://github.com/golang/go/blob/master/src/net/textproto/reader.go
		{"closed within the status", raw("http", func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "HTTP/1.1 2") }), false, false, true},
		{"closed within a field's name", raw("http", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-")
		}), false, false, true},
		{"closed within the body", raw("http", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"access_")
		}), true, false, true},
		{"reset within the body", raw("http", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"access_")
			reset(c)
		}), true, false, true},
		{"closed within a refusal", raw("http", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 99\r\n\r\n{")
		}), true, false, true},

		{"TLS 1.1 and older alone", func(t *testing.T) *url.URL {
			certificate := authority().Certificate([]string{"127.0.0.1"}, time.Time{}, time.Time{})
			old := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
			return parse(t, "https://"+listen(t, func(c net.Conn) { _ = tls.Server(c, old).Handshake() }))
		}, false, false, false},
		{"a client certificate is asked for", func(t *testing.T) *url.URL {
			certificate := authority().Certificate([]string{"127.0.0.1"}, time.Time{}, time.Time{})
			mutual := &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
			return parse(t, "https://"+listen(t, func(c net.Conn) { _ = tls.Server(c, mutual).Handshake() }))
		}, false, false, false},
		{"a certificate for another name", withCertificate([]string{"acme.jfrog.io"}, time.Time{}, authority()), false, true, false},
		{"an expired certificate", withCertificate([]string{"127.0.0.1"}, time.Now().Add(-24*time.Hour), authority()), false, true, false},
		{"a certificate of another authority", withCertificate([]string{"127.0.0.1"}, time.Time{}, jfrogtest.NewCA()), false, true, false},
		{"plain HTTP where TLS is expected", raw("https", func(c net.Conn) {
			_, _ = c.Read(make([]byte, 512))
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}), false, false, false},
		{"TLS where plain HTTP is expected", raw("http", func(c net.Conn) { readRequest(c); _, _ = c.Write([]byte{0x15, 3, 1, 0, 2, 2, 0x46}) }), false, false, true},
		{"something else than HTTP", raw("http", func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n") }), false, false, true},

		{"an endless body", func(t *testing.T) *url.URL {
			return serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, `{"access_token":"`)
				for chunk := bytes.Repeat([]byte("a"), 32<<10); r.Context().Err() == nil; {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			})
		}, false, false, true},
		{"a body of 2 MiB", answer(200, "application/json", mebibytes(2)+`{}`), false, false, true},
		{"a refusal of 2 MiB", answer(400, "application/json", mebibytes(2)+`{}`), false, false, true},
		{"a header of 2 MiB", func(t *testing.T) *url.URL {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Big", mebibytes(2)) })
		}, false, false, true},
		{"an answer that is no JSON", answer(200, "text/plain", "OK"), false, false, true},
		{"an answer that is empty", answer(200, "application/json", ""), false, false, true},
		{"a page with status 200", answer(200, "text/html", "<!DOCTYPE html><html>Log in</html>"), false, false, true},
		{"compressed unasked", answer(200, "application/json", "\x1f\x8b\x08\x00\x00"), false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := request(t, t.Context(), c.start(t))
			if got := e.Retryable(); got != c.retryable {
				t.Errorf("%v (%T): expected retryable %t to be %t", e, errors.Unwrap(e), got, c.retryable)
			}
			if got := wire.IsCertificate(e.Err); got != c.certificate {
				t.Errorf("%v: expected certificate %t to be %t", e, got, c.certificate)
			}
			if e.Sent != c.sent {
				t.Errorf("%v: expected sent %t to be %t", e, e.Sent, c.sent)
			}
			if wire.IsProxy(e.Err) || wire.IsUnresolved(e.Err) {
				t.Errorf("expected %v to be %q", e, "the peer's fault")
			}
		})
	}
}

// The statuses that are worth another try. After which of them a token may
// exist is decided in package jfrog: whatever the status, the request arrived.
func TestStatuses(t *testing.T) {
	t.Parallel()
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(strings.Split(r.URL.Path, "/")[1])
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"errors":[{"code":"C","message":"said bearer-needle"}]}`)
	})
	retryable := map[int]bool{408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true}
	for _, status := range []int{300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 415, 418, 421, 422, 423, 424, 425,
		426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 522, 599} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			at := *u
			at.Path = "/" + strconv.Itoa(status)
			e := request(t, t.Context(), &at)
			if e.Status != status || e.Retryable() != retryable[status] || !e.Sent {
				t.Errorf("expected %d, %t, %t to be %d, %t, %t", e.Status, e.Retryable(), e.Sent, status, retryable[status], true)
			}
			want := "said ***"
			if status < 400 { // of a redirect only where it leads is of use
				want = ""
			}
			if e.Message != want || e.JSON != (want != "") {
				t.Errorf("expected %q, %t to be %q, %t", e.Message, e.JSON, want, want != "")
			}
		})
	}
}

// The budget is used up while the other side says nothing: the real reason is
// told, not the context's.
func TestNoAnswerInTime(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"before TLS", "after the request"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			scheme := map[string]string{"before TLS": "https", "after the request": "http"}[where]
			received := make(chan struct{})
			address := listen(t, func(c net.Conn) {
				if scheme == "http" {
					readRequest(c)
				}
				close(received)
				_, _ = io.Copy(io.Discard, c)
			})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			e := request(t, ctx, parse(t, scheme+"://"+address))
			<-received
			if e.Reason() != "no response in time" || !e.Retryable() {
				t.Errorf("expected %q, %t to be %q, %t", e.Reason(), e.Retryable(), "no response in time", true)
			}
			if want := scheme == "http"; e.Sent != want {
				t.Errorf("expected sent %t to be %t", e.Sent, want)
			}
		})
	}
}

type interruption struct{}

func (interruption) Error() string { return "interrupted" }

// A signal ends a request that mints nothing at once; the cause is told.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	address := listen(t, func(c net.Conn) {
		readRequest(c)
		cancel(interruption{})
		_, _ = io.Copy(io.Discard, c)
	})
	_, err := client().Do(ctx, wire.Request{Method: http.MethodDelete, URL: parse(t, "http://"+address+"/x")}, nil)
	var e *wire.Error
	if !errors.As(err, &e) || !e.Sent || !errors.Is(context.Cause(ctx), interruption{}) {
		t.Errorf("expected %v to be %q", err, "an interruption")
	}
	if e.Retryable() {
		t.Errorf("%v: expected retryable %t to be %t", e, true, false)
	}
}

// A request that mints is finished, for a while, after a signal: its token
// would be nobody's otherwise.
func TestMintIsFinishedAfterASignal(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		_, _ = io.WriteString(w, `{"access_token":"x"}`)
	})
	var answer map[string]string
	status, err := client().Do(ctx, wire.Request{Method: http.MethodPost, URL: u, Mints: true}, &answer)
	if err != nil || status != 200 || answer["access_token"] != "x" {
		t.Errorf("expected %d, %v, %v to be %d", status, err, answer, 200)
	}
}

func TestUnresolved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		err        error
		unresolved bool
		retryable  bool
	}{
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "acme.invalid", IsNotFound: true}}, true, false},
		// With cgo, glibc says so of a resolver that answered with a failure.
		{"not found for now", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", IsNotFound: true, IsTemporary: true}}, false, true},
		{"no answer", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", IsTimeout: true, IsTemporary: true}}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := &wire.Error{Err: c.err}
			if wire.IsUnresolved(c.err) != c.unresolved || e.Retryable() != c.retryable {
				t.Errorf("expected %t, %t to be %t, %t", wire.IsUnresolved(c.err), e.Retryable(), c.unresolved, c.retryable)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	base := wire.Error{Method: "POST", Host: "acme.jfrog.io", Path: "/access/api/v1/tokens"}
	for _, c := range []struct {
		name string
		edit func(*wire.Error)
		want string
	}{
		{"no answer", func(e *wire.Error) { e.Err = io.ErrUnexpectedEOF }, "unexpected EOF"},
		{"a status", func(e *wire.Error) { e.Status = 500 }, "HTTP 500"},
		{"a code", func(e *wire.Error) { e.Status, e.Code = 403, "FORBIDDEN" }, "HTTP 403 FORBIDDEN"},
		{"a message", func(e *wire.Error) { e.Status, e.Code, e.Message = 400, "BAD_REQUEST", "Invalid audience" }, "HTTP 400 BAD_REQUEST: Invalid audience"},
		{"a page", func(e *wire.Error) { e.Status, e.HTML = 403, true }, "HTTP 403, got an HTML page instead of JSON"},
		{"a page for JSON", func(e *wire.Error) { e.Status, e.HTML, e.Err = 200, true, wire.ErrNotJSON }, "HTTP 200, got an HTML page instead of JSON"},
		{"a redirect", func(e *wire.Error) { e.Status, e.Location = 302, "https://login.test" }, "HTTP 302, a redirect to https://login.test"},
		{"no JSON", func(e *wire.Error) { e.Status, e.Err = 200, wire.ErrNotJSON }, "HTTP 200, response is not the expected JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := base
			c.edit(&e)
			if got, want := e.Error(), "POST acme.jfrog.io/access/api/v1/tokens: "+c.want; got != want {
				t.Errorf("expected %q to be %q", got, want)
			}
		})
	}
}

// A date in Retry-After is by the clock of whoever says it.
func TestRetryAfterByTheirClock(t *testing.T) {
	t.Parallel()
	theirs := time.Now().Add(4 * time.Hour).UTC().Truncate(time.Second)
	for _, c := range []struct {
		header http.Header
		want   time.Duration
	}{
		{http.Header{"Date": {theirs.Format(http.TimeFormat)}, "Retry-After": {theirs.Add(2 * time.Second).Format(http.TimeFormat)}}, 2 * time.Second},
		{http.Header{"Date": {theirs.Format(http.TimeFormat)}, "Retry-After": {"3"}}, 3 * time.Second},
		{http.Header{"Date": {"tomorrow"}, "Retry-After": {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}}, 0},
		{http.Header{"Date": {theirs.Format(http.TimeFormat)}}, -1},
	} {
		var e wire.Error
		e.Refusal(http.StatusServiceUnavailable, c.header, nil)
		if e.RetryAfter != c.want {
			t.Errorf("%v: expected %s to be %s", c.header, e.RetryAfter, c.want)
		}
	}
}
