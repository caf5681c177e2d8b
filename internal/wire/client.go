// Package wire is how this program speaks HTTP: one transport, one attempt,
// one kind of error, one retry policy. It knows nothing of JFrog.
package wire

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// maxBody and maxHeader bound a response, in bytes.
const (
	maxBody   = 256 << 10
	maxHeader = 64 << 10
)

// Options are what differs between two users of the transport.
type Options struct {
	// Roots returns the roots that verify nearly every server, and AllRoots
	// those that are tried if they do not. Each is called when it is needed;
	// nil is for crypto/x509's own.
	Roots, AllRoots func() *x509.CertPool
	UserAgent       string
	Trace           func(Exchange) // may be nil; called once an attempt, for debug logs
}

// Exchange is what may be said of an attempt at debug level: nothing that was
// in a body, a header or a query.
type Exchange struct {
	Method, Path string
	Status       int // 0: no response
	Took         time.Duration
}

// Client sends requests under the rules of this package.
type Client struct {
	http    *http.Client
	usual   func() *http.Transport
	all     func() *http.Transport
	needAll atomic.Bool // a server was met whose authority is not among the usual roots
	options Options
	ahead   *ahead
}

// New returns a Client with a transport of its own. http.DefaultTransport is
// shared by whatever else is linked in, and is left alone (CVE-2024-28110).
func New(o Options) *Client {
	c := &Client{options: o}
	c.usual = sync.OnceValue(func() *http.Transport { return transport(o.Roots) })
	c.all = sync.OnceValue(func() *http.Transport { return transport(o.AllRoots) })
	c.http = &http.Client{
		Transport: c,
		// Go sends the body, and with it our ID token, to wherever a 307 or
		// 308 points: https://github.com/golang/go/issues/79793
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

func transport(roots func() *x509.CertPool) *http.Transport {
	t := &http.Transport{
		Proxy: proxy,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, res *http.Response) error {
			if res.StatusCode != http.StatusOK {
				return &ProxyError{Status: res.StatusCode}
			}
			return nil
		},
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, ControlContext: checkLoopback}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // a body is counted as it comes
		// A cleartext HTTP/2 fault costs more than HTTP/2 gains for three
		// requests: https://github.com/sigstore/cosign/issues/2991
		Protocols: new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if roots != nil {
		t.TLSClientConfig.RootCAs = roots()
	}
	return t
}

// Secure reports whether a credential may be sent to u: https, or http to
// this very machine.
func Secure(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// loopbackOnly is set in the context of a request over plain http: what
// localhost resolves to may be another machine.
type loopbackOnly struct{}

var errNotLoopback = errors.New("http is for this machine alone, and the name resolves to another one")

// checkLoopback sees the address that is dialed.
func checkLoopback(ctx context.Context, _, address string, _ syscall.RawConn) error {
	host, _, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); ctx.Value(loopbackOnly{}) != nil && (ip == nil || !ip.IsLoopback()) {
		return errNotLoopback
	}
	return nil
}

// errProxyURL stands for the library's error, which quotes the proxy's URL
// with its password.
var errProxyURL = errors.New("HTTP_PROXY or HTTPS_PROXY is not a URL that can be used")

// MetadataHost is Google Cloud's, which is reached without a proxy or not at
// all.
const MetadataHost = "metadata.google.internal"

func proxy(r *http.Request) (*url.URL, error) {
	if u, ok := r.Context().Value(connecting{}).(*url.URL); ok {
		r = &http.Request{URL: u}
	}
	if r.URL.Hostname() == MetadataHost {
		return nil, nil
	}
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errProxyURL
	}
	return u, nil
}

// ProxyOf returns the host of the proxy through which requests to u go, "" if
// they go through none.
func ProxyOf(u *url.URL) (string, error) {
	p, err := proxy(&http.Request{URL: u})
	if err != nil || p == nil {
		return "", err
	}
	return p.Host, nil
}

// RoundTrip implements http.RoundTripper. It sets the User-Agent, bounds the
// body, and uses the connection that Connect made.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if r.URL.Scheme == "http" && r.URL.Hostname() != MetadataHost {
		ctx = context.WithValue(ctx, loopbackOnly{}, true)
	}
	r = r.Clone(ctx)
	r.Header.Set("User-Agent", c.options.UserAgent)
	triedAll := c.needAll.Load()
	res, err := c.next(r).RoundTrip(r)
	if !triedAll && unverified(err) && rewind(r) {
		c.needAll.Store(true)
		res, err = c.next(r).RoundTrip(r)
	}
	if err != nil {
		return nil, err
	}
	if _, err := res.Location(); err != nil {
		res.Header.Del("Location") // the client would quote it whole
	}
	limit := maxBody
	if ctx.Value(streamed{}) != nil && good(res.StatusCode) {
		limit = maxStream
	}
	res.Body = &limitedBody{res.Body, limit}
	return res, nil
}

// next returns what sends r.
func (c *Client) next(r *http.Request) http.RoundTripper {
	if conn := c.ahead.take(r); conn != nil {
		return conn
	}
	if c.needAll.Load() {
		return c.all()
	}
	return c.usual()
}

// unverified reports whether no root that was tried verifies a certificate. Of an
// authority that has two, one expired, the usual ones may have that one alone.
func unverified(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) && !errors.As(err, new(x509.HostnameError))
}

// rewind makes r ready to be sent although an attempt failed before it was, and
// reports whether it could.
func rewind(r *http.Request) bool {
	if r.GetBody == nil {
		return r.Body == nil
	}
	body, err := r.GetBody()
	r.Body = body
	return err == nil
}

func good(status int) bool { return status >= 200 && status <= 299 }

// errTooLarge is not io.EOF: a body that was cut by us must not be taken for
// a whole one.
var errTooLarge = errors.New("response is too large")

type limitedBody struct {
	io.ReadCloser
	left int
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		return n + b.left, errTooLarge
	}
	return n, err
}

// Request is one request.
type Request struct {
	Method string
	URL    *url.URL
	Bearer secret.String // sent as Authorization if it is set
	Body   any           // marshalled to JSON; nil: no body
	// Secrets are those in Body, to be taken out of whatever comes back.
	Secrets []secret.String
	// Scheme of Authorization; "" is Bearer.
	Scheme string
	Header http.Header // further fields
	// Received is filled with the header fields of a response, if it is not nil.
	Received http.Header
	// TLS is filled with the state of the connection, if it is not nil and the connection is secured.
	TLS *tls.ConnectionState
	// Stream decodes the JSON of a 2xx as it comes, if it is not nil. The response may
	// have maxStream bytes then, of which maxValue are held.
	Stream func(*json.Decoder) error
	// Mints marks a request that makes something which has to be undone: it
	// is finished, for Grace, even when ctx is canceled.
	Mints bool
}

// Unusable returns the error of a whole response to r that is not what r asked for.
func (r Request) Unusable(status int, why error) *Error {
	return &Error{
		Method: r.Method, Host: r.URL.Host, Path: r.URL.Path, Status: status, RetryAfter: -1, Sent: true, Err: why,
	}
}

// Do sends a request once and decodes the JSON of a 2xx into response, unless
// the request has a Stream. response may be nil, or a *[]byte for a response that
// is not JSON. Every other status and every failure is an *Error.
func (c *Client) Do(ctx context.Context, r Request, response any) (status int, err error) {
	fail := &Error{Method: r.Method, Host: r.URL.Host, Path: r.URL.Path, RetryAfter: -1}
	if ctx.Err() != nil {
		fail.Broken(ctx, ctx.Err())
		return 0, fail
	}
	ctx, limit, cancel := attempt(ctx, r.Mints)
	defer cancel()
	var wrote atomic.Bool
	if r.Stream != nil {
		ctx = context.WithValue(ctx, streamed{}, true)
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { wrote.Store(true) }, // before the last byte leaves
	})
	req, err := r.http(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	res, err := c.http.Do(req)
	defer func() {
		if fail.Sent = wrote.Load(); c.options.Trace != nil {
			c.options.Trace(Exchange{r.Method, r.URL.Path, fail.Status, time.Since(began)})
		}
	}()
	if err != nil {
		fail.Broken(ctx, err)
		return 0, fail
	}
	defer res.Body.Close()
	fail.Status = res.StatusCode
	if r.Received != nil {
		maps.Copy(r.Received, res.Header)
	}
	if r.TLS != nil && res.TLS != nil {
		*r.TLS = *res.TLS
	}
	if r.Stream != nil && good(res.StatusCode) && res.StatusCode != http.StatusNoContent {
		if !fail.stream(ctx, &paced{res.Body, limit}, r.Stream) {
			return res.StatusCode, fail
		}
		return res.StatusCode, nil
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		fail.Broken(ctx, err)
		return res.StatusCode, fail
	}
	if !good(res.StatusCode) {
		fail.Refusal(res.StatusCode, res.Header, text, append(r.Secrets, r.Bearer)...)
		return res.StatusCode, fail
	}
	if response == nil || res.StatusCode == http.StatusNoContent {
		return res.StatusCode, nil
	}
	if raw, ok := response.(*[]byte); ok {
		*raw = text
		return res.StatusCode, nil
	}
	if json.Unmarshal(text, response) != nil {
		fail.notJSON(looksLikeHTML(text))
		return res.StatusCode, fail
	}
	return res.StatusCode, nil
}

// http returns the request as net/http sends it.
func (r Request) http(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	if r.Body != nil {
		text, err := json.Marshal(r.Body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", errors.Unwrap(err))
	}
	req.Header.Set("Accept", "application/json")
	maps.Copy(req.Header, r.Header)
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !r.Bearer.IsZero() {
		req.Header.Set("Authorization", cmp.Or(r.Scheme, "Bearer")+" "+r.Bearer.Reveal())
	}
	return req, nil
}

// attempt derives the context of one attempt. The timer ends it after
// AttemptLimit. Canceling ctx ends it at once, or, if the request mints, after
// Grace; ctx's deadline always does.
func attempt(ctx context.Context, mints bool) (context.Context, *time.Timer, context.CancelFunc) {
	c, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	release := func() {}
	if deadline, ok := ctx.Deadline(); ok {
		c, release = context.WithDeadlineCause(c, deadline, errAttemptLimit)
	}
	limit := time.AfterFunc(AttemptLimit, func() { cancel(errAttemptLimit) })
	grace := time.Duration(0)
	if mints {
		grace = Grace
	}
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			t := time.AfterFunc(grace, func() { cancel(nil) })
			context.AfterFunc(c, func() { t.Stop() })
		}
	})
	return c, limit, func() { stop(); limit.Stop(); release(); cancel(nil) }
}
