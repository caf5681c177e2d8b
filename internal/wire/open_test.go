package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// held is a connection that tells whether it was used or closed.
type held struct {
	net.Conn
	written, closed atomic.Bool
}

func (h *held) Write(p []byte) (int, error) { h.written.Store(true); return h.Conn.Write(p) }
func (h *held) Close() error                { h.closed.Store(true); return h.Conn.Close() }

// A connection that was opened long ago may have been closed by the other
// side, which would look like a lost answer: it is not used.
func TestStaleConnectionIsNotUsed(t *testing.T) {
	t.Parallel()
	ca := jfrogtest.NewCA()
	certificate := ca.Certificate([]string{"127.0.0.1"}, time.Time{}, time.Time{})
	s, err := jfrogtest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), "", &certificate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		age  time.Duration
		used bool
	}{
		{"fresh", 0, true}, {"almost too old", openedLife - time.Second, true}, {"too old", openedLife, false}, {"of a clock that was set back", -time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client := New(Options{Roots: ca.Pool()})
			raw, err := tls.Dial("tcp", u.Host, client.tlsConfig("127.0.0.1"))
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			conn := &held{Conn: raw}
			o := &opened{address: u.Host, ready: make(chan struct{}), conn: conn, at: time.Now().Add(-c.age)}
			close(o.ready)
			client.opened.Store(o)
			if _, err := client.Do(t.Context(), Request{Method: http.MethodDelete, URL: u}, nil); err != nil {
				t.Fatalf("expected %v to be %v", err, nil)
			}
			if conn.written.Load() != c.used || conn.closed.Load() == c.used {
				t.Errorf("expected used %t, closed %t to be %t, %t", conn.written.Load(), conn.closed.Load(), c.used, !c.used)
			}
		})
	}
}

// The attempt ends in time although what was opened is not ready.
func TestOpenedThatNeverGetsReady(t *testing.T) {
	t.Parallel()
	client := New(Options{})
	client.opened.Store(&opened{address: "127.0.0.1:1", ready: make(chan struct{})})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Do(ctx, Request{Method: http.MethodDelete, URL: &url.URL{Scheme: "https", Host: "127.0.0.1:1"}}, nil)
	var e *Error
	if !errors.As(err, &e) || !errors.Is(e.Err, errAttemptLimit) {
		t.Errorf("expected %v to be %v", err, errAttemptLimit)
	}
}
