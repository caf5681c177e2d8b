package wire

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"
)

// aheadLife is how long an unused connection is trusted: a server that closes
// an idle one looks, once the request is written, like an unknown outcome.
const aheadLife = 5 * time.Second

// ahead is a connection that is made before its first request.
type ahead struct {
	host  string
	ready chan struct{}
	conn  *http.ClientConn // nil if it failed: the request will meet the cause
	made  time.Time
	used  bool
}

// Connect starts to connect to the host of u, TLS and proxy included, so that
// the requests that follow find the connection there.
func (c *Client) Connect(ctx context.Context, u *url.URL) {
	a := &ahead{host: u.Host, ready: make(chan struct{})}
	c.ahead = a
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	// Of the host and port to connect to, net/http shows our proxy function
	// the host alone.
	ctx = context.WithValue(ctx, connecting{}, u)
	go func() {
		defer close(a.ready)
		if u.Scheme == "http" {
			ctx = context.WithValue(ctx, loopbackOnly{}, true)
		}
		if conn, err := c.usual().NewClientConn(ctx, u.Scheme, net.JoinHostPort(u.Hostname(), port)); err == nil {
			a.conn, a.made = conn, time.Now()
		}
	}()
}

// connecting holds, in the context of Connect, the URL that it is for.
type connecting struct{}

// take returns the connection for r; nil if there is none that can be used.
func (a *ahead) take(r *http.Request) *http.ClientConn {
	if a == nil || a.host != r.URL.Host {
		return nil
	}
	select {
	case <-a.ready:
	case <-r.Context().Done():
		return nil
	}
	if a.conn == nil || a.conn.Available() == 0 || !a.used && time.Since(a.made) > aheadLife {
		return nil
	}
	a.used = true
	return a.conn
}
