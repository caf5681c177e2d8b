package jfrog

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// ExpiryOf returns when a token expires by what stands in it: the claim of a
// JWT, or the third part of a reference token, which is the base64 of
// "reftkn:01:<seconds>:…". It is zero if the token never expires or does not
// say.
func ExpiryOf(token secret.String) time.Time {
	if claims, err := jwt.Peek(token.Reveal()); err == nil {
		return claims.Time("exp")
	}
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(token.Reveal(), "="))
	if err != nil {
		return time.Time{}
	}
	parts := strings.Split(string(text), ":")
	if len(parts) != 4 || parts[0] != "reftkn" {
		return time.Time{}
	}
	seconds, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || seconds > 253402300799 { // the last that RFC 3339 can write
		return time.Time{}
	}
	return epoch(seconds)
}
