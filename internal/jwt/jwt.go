// Package jwt reads the claims of a JSON Web Token without verifying it: who
// receives a token verifies it, this program only carries it there.
package jwt

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"
)

// MaxSize is the longest token that is looked at, in bytes. Parsers without a
// limit have had CVE-2025-30204 and CVE-2025-27144.
const MaxSize = 64 << 10

// ErrNotJWT says that a string has no claims to read. It never carries the
// string.
var ErrNotJWT = errors.New("not a JWT")

// Claims are the payload of a token, as whoever wrote it said.
type Claims map[string]any

// Peek decodes the payload of a compact JWT. The error is ErrNotJWT.
//
// The payload is base64url; padding is accepted because some issuers add it.
// jfrog-client-go decodes it with the standard alphabet and fails on '-' and
// '_'.
func Peek(token string) (Claims, error) {
	if len(token) > MaxSize {
		return nil, ErrNotJWT
	}
	_, rest, ok := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(signature, ".") {
		return nil, ErrNotJWT
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return nil, ErrNotJWT
	}
	var c Claims
	if json.Unmarshal(raw, &c) != nil || c == nil {
		return nil, ErrNotJWT
	}
	return c, nil
}

// String returns a claim that is a string; "" if it is not there or is
// something else.
func (c Claims) String(name string) string {
	s, _ := c[name].(string)
	return s
}

// Strings returns a claim that is a string or a list of strings, as RFC 7519
// has "aud".
func (c Claims) Strings(name string) []string {
	switch v := c[name].(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}

// Time returns a NumericDate claim in whole seconds; the zero time if it is not
// there or is out of reason.
func (c Claims) Time(name string) time.Time {
	f, ok := c[name].(float64)
	if !ok || math.IsNaN(f) || f < 1 || f > 253402300799 { // 9999-12-31, the last that RFC 3339 can write
		return time.Time{}
	}
	return time.Unix(int64(f), 0).UTC()
}
