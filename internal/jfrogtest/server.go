package jfrogtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Server serves a handler until Close. It is not httptest.Server, which adds a flag to the program that imports it.
type Server struct {
	URL string
	srv *http.Server
}

// NewServer serves h on addr ("127.0.0.1:0" if empty), over TLS where a certificate is given.
func NewServer(h http.Handler, addr string, tlsCert *tls.Certificate) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + ln.Addr().String()}
	if tlsCert != nil {
		s.URL = "https://" + ln.Addr().String()
		// HTTP/1.1 only: most faults need to take the connection over.
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{*tlsCert}, NextProtos: []string{"http/1.1"}})
	}
	s.srv = &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	go s.srv.Serve(ln)
	return s, nil
}

// Close cuts all connections.
func (s *Server) Close() { s.srv.Close() }

// CA is a certificate authority in memory.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a certificate authority.
func NewCA() *CA {
	key := newECKey()
	return &CA{cert: authorityCertificate(key, time.Now().AddDate(20, 0, 0)), key: key}
}

func authorityCertificate(key *ecdsa.PrivateKey, notAfter time.Time) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "jfrogtest CA"},
		NotBefore:             time.Now().AddDate(-20, 0, 0),
		NotAfter:              notAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(err)
	cert, err := x509.ParseCertificate(der)
	check(err)
	return cert
}

func newECKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	return key
}

// PEM is the authority's certificate.
func (c *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
}

// Pool holds the authority's certificate alone.
func (c *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return pool
}

// Expired holds an earlier certificate of the authority alone, which has expired.
func (c *CA) Expired() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(authorityCertificate(c.key, time.Now().AddDate(-1, 0, 0)))
	return pool
}

// Certificate makes a server certificate for host names and IP addresses.
// Zero times mean: valid for the last hour and the next day.
func (c *CA) Certificate(names []string, notBefore, notAfter time.Time) tls.Certificate {
	if notBefore.IsZero() {
		notBefore = time.Now().Add(-time.Hour)
	}
	if notAfter.IsZero() {
		notAfter = time.Now().Add(24 * time.Hour)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	check(err)
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "jfrogtest"},
		NotBefore:    notBefore,
		NotAfter:     notAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key := newECKey()
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, &key.PublicKey, c.key)
	check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
