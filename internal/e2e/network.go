package e2e

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// Network is what lies between a job and JFrog.
type Network struct {
	Plain   bool     `json:"plain"`   // HTTP on loopback, without TLS
	Names   []string `json:"names"`   // of JFrog's certificate; 127.0.0.1 and localhost unless set
	Expired bool     `json:"expired"` // the certificate has
	TLS11   bool     `json:"tls11"`   // JFrog speaks TLS 1.1 and older alone
	Proxy   int      `json:"proxy"`   // the status with which a proxy answers CONNECT; 200 leads to JFrog, 0: there is none
}

func (n Network) tls(ca *jfrogtest.CA) *tls.Config {
	names := n.Names
	if names == nil {
		names = []string{"127.0.0.1", "localhost"}
	}
	var end time.Time
	if n.Expired {
		end = time.Now().Add(-time.Minute)
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{ca.Certificate(names, time.Time{}, end)},
		// HTTP/1.1 only: most faults need to take the connection over.
		NextProtos: []string{"http/1.1"},
	}
	if n.TLS11 {
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	return c
}

// serve serves h, over TLS where that is configured. It counts the connections that are open: one is for as long as a
// handler works, also when the client has gone.
func serve(addr string, h http.Handler, config *tls.Config, open *atomic.Int32) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	go s.Serve(l)
	return address, func() { s.Close() }, nil
}

// Proxy is an HTTP proxy that knows one host, jfrog.example.
type Proxy struct {
	Address string // its own
	Tunnels atomic.Int32

	status int    // of its answer to CONNECT
	to     string // the address of JFrog
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Host != "jfrog.example:443" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if p.status != http.StatusOK {
		w.Header().Set("Proxy-Authenticate", `Basic realm="::set-output name=token::proxy"`)
		w.WriteHeader(p.status)
		return
	}
	far, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	p.Tunnels.Add(1)
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		far.Close()
		return
	}
	io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { io.Copy(far, buffered); far.Close() }()
	io.Copy(near, far)
	near.Close()
}
