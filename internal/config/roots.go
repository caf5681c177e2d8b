package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/roots"
)

// roots reads ca-cert. It returns the certificates as text too, for revoke: by
// then the file may be gone. Of a file that is too long for that it returns the
// absolute path.
func (r *reader) roots(v string) (string, roots.Set) {
	if v == "" {
		return "", roots.Set{}
	}
	pem, err := readPEM(v)
	var set roots.Set
	if err == nil {
		set, err = roots.New(pem)
	}
	if err != nil {
		r.problem("ca-cert", err.Error())
		return "", roots.Set{}
	}
	if len(pem) <= maxSavedPEM {
		return string(pem), set
	}
	if isText(v) {
		r.problem("ca-cert", "is longer than 16 KiB; write it to a file, and give the path of that")
	}
	abs, _ := filepath.Abs(v)
	return abs, set
}

// CACert returns the input ca-cert as mint saves it; "" if it is not set, or
// cannot be read.
func CACert(s *Source) string {
	v, _, _ := s.find(input("ca-cert"))
	text, _ := (&reader{Source: s}).roots(v)
	return text
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
// path of a PEM file, or empty.
func Roots(v string) (roots.Set, error) {
	if v == "" {
		return roots.Set{}, nil
	}
	pem, err := readPEM(v)
	if err != nil {
		return roots.Set{}, err
	}
	return roots.New(pem)
}
