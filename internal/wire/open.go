package wire

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"
)

// opened is a connection that was made ahead of its use.
type opened struct {
	address string
	ready   chan struct{}
	conn    net.Conn
	at      time.Time
}

// openedLife is how long a connection that was opened ahead is trusted: a
// server that closes an idle one looks, after the request is written, like a
// lost answer.
const openedLife = 5 * time.Second

// Open starts to connect to the host of u, TLS included, so that a request
// that is sent a little later finds the connection there. A failure is left
// for that request to meet. It does nothing for http and where a proxy is
// used.
func (c *Client) Open(ctx context.Context, u *url.URL) {
	if u.Scheme != "https" {
		return
	}
	if p, err := proxy(&http.Request{URL: u}); err != nil || p != nil {
		return
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	o := &opened{address: net.JoinHostPort(u.Hostname(), port), ready: make(chan struct{})}
	c.opened.Store(o)
	go func() {
		defer close(o.ready)
		if conn, err := c.dial(ctx, "tcp", o.address); err == nil {
			o.conn, o.at = conn, time.Now()
		}
	}()
}

// dialTLS serves the transport's requests to hosts that need no proxy.
func (c *Client) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	if o := c.opened.Load(); o != nil && o.address == address && c.opened.CompareAndSwap(o, nil) {
		select {
		case <-o.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if o.conn != nil {
			if time.Since(o.at) < openedLife {
				return o.conn, nil
			}
			o.conn.Close()
		}
	}
	return c.dial(ctx, network, address)
}

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: c.tlsConfig(host)}
	return d.DialContext(ctx, network, address)
}
