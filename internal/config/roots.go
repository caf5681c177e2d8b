package config

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// roots adds the given certificates to the system's. It gives them as text
// too, for revoke: by then the file may be gone. A text that is too long for
// that is given as the absolute path it came from.
func (r *reader) roots(v string) (string, *x509.CertPool) {
	pool, err := Roots(v)
	if err != nil {
		r.problem("ca-cert", err.Error())
		return "", nil
	}
	if text, err := readPEM(v); err == nil && len(text) <= maxSavedPEM {
		return string(text), pool
	}
	abs, _ := filepath.Abs(v)
	return abs, pool
}

const (
	maxPEM      = 1 << 20
	maxSavedPEM = 16 << 10 // the state is one variable; Windows takes 32 KiB
)

// readPEM gives v where it is PEM text, else what is in the file v.
func readPEM(v string) ([]byte, error) {
	if v == "" || strings.Contains(v, "-----BEGIN") {
		return []byte(v), nil
	}
	info, err := os.Stat(v)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPEM {
		return nil, errors.New("is neither PEM text nor a file that can be read")
	}
	return os.ReadFile(v)
}

// Roots gives the system's roots and those in v, which is PEM text or the
// path of a PEM file; nil where v is empty.
func Roots(v string) (*x509.CertPool, error) {
	if v == "" {
		return nil, nil
	}
	pem, err := readPEM(v)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("holds no certificate")
	}
	return pool, nil
}
