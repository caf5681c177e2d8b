package config

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// roots adds the given certificates to the system's. It returns them as text
// too, for revoke: by then the file may be gone. Of a file that is too long for
// that it returns the absolute path.
func (r *reader) roots(v string) (string, *x509.CertPool) {
	if v == "" {
		return "", nil
	}
	pem, err := readPEM(v)
	var pool *x509.CertPool
	if err == nil {
		pool, err = withSystem(pem)
	}
	if err != nil {
		r.problem("ca-cert", err.Error())
		return "", nil
	}
	if len(pem) <= maxSavedPEM {
		return string(pem), pool
	}
	if isText(v) {
		r.problem("ca-cert", "is longer than 16 KiB; write it to a file, and give the path of that")
	}
	abs, _ := filepath.Abs(v)
	return abs, pool
}

// isText tells PEM text from a path.
func isText(v string) bool { return strings.Contains(v, "-----BEGIN") }

const (
	maxPEM      = 1 << 20
	maxSavedPEM = 16 << 10 // the state is one variable; Windows takes 32 KiB
)

// readPEM returns v if it is PEM text, else what is in the file v.
func readPEM(v string) ([]byte, error) {
	if isText(v) {
		return []byte(v), nil
	}
	info, err := os.Stat(v)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPEM {
		return nil, errors.New("is neither PEM text nor a file that can be read")
	}
	return os.ReadFile(v)
}

// Roots returns the system's roots and those in v, which is PEM text or the
// path of a PEM file; nil if v is empty.
func Roots(v string) (*x509.CertPool, error) {
	if v == "" {
		return nil, nil
	}
	pem, err := readPEM(v)
	if err != nil {
		return nil, err
	}
	return withSystem(pem)
}

func withSystem(pem []byte) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("holds no certificate")
	}
	return pool, nil
}
