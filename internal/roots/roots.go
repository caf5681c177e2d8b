// Package roots has the root certificates that servers are verified with: the
// machine's, Mozilla's if it has none, and those that the user adds.
package roots

import (
	"crypto/x509"
	"errors"
	"os"
	"runtime"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Set is the machine's roots and those that the user adds.
type Set struct{ further []byte }

// New returns the machine's roots and those in pem.
func New(pem []byte) (Set, error) {
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return Set{}, errors.New("holds no certificate")
	}
	return Set{pem}, nil
}

// files are where distributions of Linux keep all roots in one file:
// https://go.dev/src/crypto/x509/root_linux.go
var files = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// Usual returns the roots that verify nearly every server. On Linux crypto/x509
// reads, besides that one file, the directory in which Debian has each of the
// same roots once more, twice: a quarter of the CPU time of a run. What is in
// the directory alone, All has.
func (s Set) Usual() *x509.CertPool {
	if runtime.GOOS != "linux" || os.Getenv("SSL_CERT_DIR") != "" {
		return s.All()
	}
	list := files
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		list = []string{file}
	}
	for _, file := range list {
		pem, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if pool := x509.NewCertPool(); pool.AppendCertsFromPEM(pem) {
			return s.add(pool)
		}
		break // crypto/x509 reads no other file either
	}
	return s.All()
}

// All returns every root.
func (s Set) All() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil || pool.Equal(x509.NewCertPool()) { // an image that holds nothing but this program
		pool = mozilla()
	}
	return s.add(pool)
}

func (s Set) add(pool *x509.CertPool) *x509.CertPool {
	pool.AppendCertsFromPEM(s.further)
	return pool
}

// mozilla returns the roots that are embedded in this program. The package
// above bundle would parse them at every start.
func mozilla() *x509.CertPool {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		switch {
		case err != nil: // a test parses them all
		case root.Constraint == nil:
			pool.AddCert(cert)
		default:
			pool.AddCertWithConstraint(cert, root.Constraint)
		}
	}
	return pool
}
