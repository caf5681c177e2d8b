package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// peer is a server that tells over which of its connections a request came.
type peer struct {
	url     *url.URL
	roots   *jfrogtest.CA // nil: plain http
	accepts atomic.Int32

	mu    sync.Mutex
	conns []net.Conn
	came  []int // the connection of each request, counted from 0
}

// newPeer serves on address, over TLS if it is to be secure.
func newPeer(t *testing.T, address string, secure bool) *peer {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Skipf("this machine has no %s: %v", address, err)
	}
	p := &peer{url: &url.URL{Scheme: "http", Host: l.Addr().String()}}
	s := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0), ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.conns = append(p.conns, c)
		return context.WithValue(ctx, p, len(p.conns)-1)
	}}
	listener := net.Listener(accepting{l, p})
	if secure {
		p.roots, p.url.Scheme = jfrogtest.NewCA(), "https"
		certificate := p.roots.Certificate([]string{address}, time.Time{}, time.Time{})
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { s.Close() })
	return p
}

type accepting struct {
	net.Listener
	p *peer
}

func (a accepting) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	if err == nil {
		a.p.accepts.Add(1)
	}
	return c, err
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.came = append(p.came, r.Context().Value(p).(int))
	p.mu.Unlock()
	if r.URL.Path == "/last" {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(http.StatusNoContent)
}

func (p *peer) client() *Client {
	if p.roots == nil {
		return New(Options{})
	}
	return New(Options{Roots: p.roots.Pool, AllRoots: p.roots.Pool})
}

// ask sends requests one after the other.
func (p *peer) ask(t *testing.T, c *Client, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := c.Do(t.Context(), Request{Method: http.MethodDelete, URL: p.url.JoinPath(path)}, nil); err != nil {
			t.Fatalf("expected %v to be %v", err, nil)
		}
	}
}

// requests returns over which connection each request came.
func (p *peer) requests() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.came)
}

// connected waits until Connect has done what it does.
func connected(c *Client) *ahead {
	<-c.ahead.ready
	return c.ahead
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 500 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("expected %s", what)
}

// The connection that is made while the ID token is fetched is the one that
// the requests go over: the first of them and those after it.
func TestConnectionIsUsedByTheRequestsAfterIt(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		for _, c := range []struct {
			name    string
			connect bool
			paths   []string
			want    []int
			accepts int32
		}{
			{"one request", true, []string{"a"}, []int{0}, 1},
			{"three requests", true, []string{"a", "b", "c"}, []int{0, 0, 0}, 1},
			{"none was made", false, []string{"a", "b"}, []int{0, 0}, 1},
			{"the server wants it to end", true, []string{"last", "b", "c"}, []int{0, 1, 1}, 2},
		} {
			t.Run(map[bool]string{true: "https", false: "http"}[secure]+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				p := newPeer(t, "127.0.0.1", secure)
				client := p.client()
				if c.connect {
					client.Connect(t.Context(), p.url) // the request does not wait: it comes while this goes on
				}
				p.ask(t, client, c.paths...)
				if got := p.requests(); !slices.Equal(got, c.want) || p.accepts.Load() != c.accepts {
					t.Errorf("expected %v of %d connections to be %v of %d", got, p.accepts.Load(), c.want, c.accepts)
				}
			})
		}
	}
}

// A connection that was not used for long may have been closed by the other
// side, which would look like an unknown outcome: it is not used. One that is
// in use is.
func TestIdleConnectionIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		age  time.Duration
		used bool // before
		want []int
	}{
		{"fresh", 0, false, []int{0}}, {"almost too old", aheadLife - time.Second, false, []int{0}}, {"too old", aheadLife + time.Millisecond, false, []int{1}},
		{"old, and was used", time.Minute, true, []int{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "127.0.0.1", true)
			client := p.client()
			client.Connect(t.Context(), p.url)
			a := connected(client)
			if a.conn == nil {
				t.Fatal("expected a connection")
			}
			if c.used {
				p.ask(t, client, "before")
			}
			a.made = a.made.Add(-c.age)
			p.ask(t, client, "a")
			if got := p.requests(); !slices.Equal(got, c.want) {
				t.Errorf("expected %v to be %v", got, c.want)
			}
		})
	}
}

// What the other side closed before the request, or between two, is not used:
// a request on it would have an unknown outcome.
func TestClosedConnectionIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, before := range []int{0, 2} {
		p := newPeer(t, "127.0.0.1", true)
		client := p.client()
		client.Connect(t.Context(), p.url)
		a := connected(client)
		var want []int
		for range before {
			p.ask(t, client, "a")
			want = append(want, 0)
		}
		eventually(t, "the server to have the connection", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.conns) == 1
		})
		p.mu.Lock()
		p.conns[0].Close()
		p.mu.Unlock()
		eventually(t, "the client to notice the end of the connection", func() bool { return a.conn.Available() == 0 })
		p.ask(t, client, "b", "c")
		if got := p.requests(); !slices.Equal(got, append(want, 1, 1)) {
			t.Errorf("expected %v to be %v", got, append(want, 1, 1))
		}
	}
}

// A connection to one host is none to another.
func TestConnectionIsForItsHostAlone(t *testing.T) {
	t.Parallel()
	a, b := newPeer(t, "127.0.0.1", false), newPeer(t, "127.0.0.1", false)
	client := a.client()
	client.Connect(t.Context(), a.url)
	b.ask(t, client, "x")
	a.ask(t, client, "x")
	if a.accepts.Load() != 1 || b.accepts.Load() != 1 {
		t.Errorf("expected %d, %d connections to be %d, %d", a.accepts.Load(), b.accepts.Load(), 1, 1)
	}
}

// A failure to connect is left for the request to meet, once.
func TestConnectedInVain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var accepts atomic.Int32
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			accepts.Add(1)
			c.Close()
		}
	}()
	u := &url.URL{Scheme: "https", Host: l.Addr().String()}
	client := New(Options{})
	client.Connect(t.Context(), u)
	_, err = client.Do(t.Context(), Request{Method: http.MethodDelete, URL: u}, nil)
	var e *Error
	if !errors.As(err, &e) || !e.Retryable() || e.Sent || accepts.Load() != 2 {
		t.Errorf("expected %v after %d connections to be %q", err, accepts.Load(), "a broken connection after 2")
	}
}

// After a signal nothing is connected to.
func TestEndedContextConnectsToNothing(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1", true)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	client := p.client()
	client.Connect(ended, p.url)
	if a := connected(client); a.conn != nil || p.accepts.Load() != 0 {
		t.Errorf("expected %v after %d connections to be %v", a.conn, p.accepts.Load(), nil)
	}
	if _, err := client.Do(ended, Request{Method: http.MethodDelete, URL: p.url}, nil); err == nil || p.accepts.Load() != 0 {
		t.Errorf("expected %v after %d connections to be %q", err, p.accepts.Load(), "an error without any")
	}
}

// The attempt ends in time although the connection does not get ready.
func TestConnectionThatNeverGetsReady(t *testing.T) {
	t.Parallel()
	client := New(Options{})
	client.ahead = &ahead{host: "127.0.0.1:1", ready: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Do(ctx, Request{Method: http.MethodDelete, URL: &url.URL{Scheme: "https", Host: "127.0.0.1:1"}}, nil)
	var e *Error
	if !errors.As(err, &e) || !errors.Is(e.Err, errAttemptLimit) || e.Sent {
		t.Errorf("expected %v to be %v", err, errAttemptLimit)
	}
}

// elsewhere returns an address of this machine that is none of its loopback
// addresses.
func elsewhere(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Skip(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has loopback addresses alone")
	return ""
}

// Plain http is for this very machine, whatever was checked about the URL
// before: what counts is the address that is dialed, as a name may lead
// anywhere by then. TLS proves the other side, and may go everywhere.
func TestPlainHTTPStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		host   func(*testing.T) string
		listen func(*testing.T) string
		secure bool
		ok     bool
	}{
		{"loopback", func(*testing.T) string { return "127.0.0.1" }, nil, false, true},
		{"another loopback", func(*testing.T) string { return "127.0.0.2" }, nil, false, true},
		{"IPv6 loopback", func(*testing.T) string { return "::1" }, nil, false, true},
		{"localhost", func(*testing.T) string { return "localhost" }, func(*testing.T) string { return "127.0.0.1" }, false, true},
		// On Windows net itself makes it 127.0.0.1: https://github.com/golang/go/blob/go1.26.0/src/net/ipsock_posix.go
		{"no address", func(*testing.T) string { return "0.0.0.0" }, nil, false, runtime.GOOS == "windows"},
		{"another address", elsewhere, nil, false, false},
		{"TLS", elsewhere, nil, true, true},
	} {
		for _, ahead := range []bool{false, true} {
			t.Run(c.name+map[bool]string{true: ", connected ahead", false: ""}[ahead], func(t *testing.T) {
				t.Parallel()
				host := c.host(t)
				listen := host
				if c.listen != nil {
					listen = c.listen(t)
				}
				p := newPeer(t, listen, c.secure)
				p.url.Host = net.JoinHostPort(host, p.url.Port())
				client := p.client()
				if ahead {
					client.Connect(t.Context(), p.url)
					if got := connected(client).conn != nil; got != c.ok {
						t.Errorf("expected connected %t to be %t", got, c.ok)
					}
				}
				_, err := client.Do(t.Context(), Request{Method: http.MethodDelete, URL: p.url}, nil)
				if c.ok {
					if err != nil || len(p.requests()) != 1 {
						t.Errorf("expected %v after %d requests to be %v after %d", err, len(p.requests()), nil, 1)
					}
					return
				}
				var e *Error
				if !errors.As(err, &e) || !errors.Is(err, errNotLoopback) || e.Retryable() || e.Sent || p.accepts.Load() != 0 {
					t.Errorf("expected %v after %d connections to be %v after %d", err, p.accepts.Load(), errNotLoopback, 0)
				}
			})
		}
	}
}
