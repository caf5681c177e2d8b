// Package secret holds credentials in a type that cannot be printed by
// accident, and hides them in text that comes from elsewhere.
package secret

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Mask is printed in place of a secret.
const Mask = "***"

// String is a credential. Every verb of fmt, and every text encoding, prints
// Mask.
//
// It holds a pointer, not a string: fmt never calls methods on unexported
// fields, so %v of a struct that has a string in one would show it. A pointer
// shows as an address there.
type String struct{ p *string }

// New wraps a credential; for an empty one it returns the zero String.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{p: &s}
}

// Reveal returns the credential in clear. Every call is a place to review.
func (s String) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// IsZero reports whether there is no credential.
func (s String) IsZero() bool { return s.p == nil }

// Format implements fmt.Formatter for every verb.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Mask) }

// MarshalText implements encoding.TextMarshaler, which JSON, XML and slog use.
func (s String) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *String) UnmarshalText(b []byte) error {
	*s = New(string(b))
	return nil
}

// EnvDecode implements envconfig's decoder.
func (s *String) EnvDecode(v string) error {
	*s = New(v)
	return nil
}

// NotInToken reports whether no token holds r: whitespace, a control character
// or what is not ASCII could break a header field, a line or a mask.
func NotInToken(r rune) bool { return r <= ' ' || r > '~' }

// shortest is the length below which a value is neither masked nor redacted:
// replacing every "a" in a log would hide the log, not the secret.
const shortest = 8

// Forms returns the spellings of s that a runner has to mask: s itself and its
// URL-escaped and JSON-escaped forms if they differ. GitHub's runner derives
// these and base64 by itself; Forgejo's, Gitea's and act do not:
// https://github.com/actions/runner/blob/main/src/Runner.Common/HostContext.cs
//
// No form holds a %, CR or LF, which a workflow command escapes: the exec of
// Forgejo's and Gitea's runner prints the command as it was written, and their
// daemons register the value still escaped. Such a value is masked in pieces.
func (s String) Forms() []string {
	v := s.Reveal()
	isEscaped := func(r rune) bool { return r == '%' || r == '\r' || r == '\n' }
	list := strings.FieldsFunc(v, isEscaped) // v alone if it has none of these
	for _, f := range escaped(v) {
		if !strings.ContainsFunc(f, isEscaped) && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return slices.DeleteFunc(list, func(f string) bool { return len(f) < shortest })
}

// Basic returns the base64 of user:s, as it stands in an Authorization header,
// in .npmrc and in Docker's config.json; if that ends in padding, also without
// it, as URLs escape a = and this is how the escaped form begins.
func (s String) Basic(user string) []String {
	if s.IsZero() {
		return nil
	}
	padded := base64.StdEncoding.EncodeToString([]byte(user + ":" + s.Reveal()))
	list := []String{New(padded)}
	if bare := strings.TrimRight(padded, "="); bare != padded {
		list = append(list, New(bare))
	}
	return list
}

// Spellings returns what s may look like in what a program prints: itself,
// escaped for a URL and for JSON, and within base64 at any offset, without
// padding; and the same of the signature of a JWT, which is a secret of its own:
// the rest can be guessed. A secret of less than 8 bytes has none, nor has a
// spelling that is so short.
func (s String) Spellings() []string {
	v := s.Reveal()
	if len(squeeze(v)) < shortest {
		return nil
	}
	list := append(spellings(v, true), variants(v)...)
	if parts := strings.Split(v, "."); len(parts) == 3 && len(parts[2]) >= shortest {
		list = append(list, spellings(parts[2], true)...)
	}
	return slices.DeleteFunc(list, func(f string) bool { return len(f) < shortest })
}

// variants are what other programs write for what escaped returns: JSON with < > &
// as they are, as jq and Python do, or with \/, as PHP does, and URLs with %2f, as
// .NET does.
func variants(v string) []string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a string always marshals
	plain := b.String()[1 : b.Len()-len("\"\n")]
	list := []string{plain, strings.ReplaceAll(plain, "/", `\/`)}
	for _, escaped := range []string{url.QueryEscape(v), url.PathEscape(v)} {
		list = append(list, escapes.ReplaceAllStringFunc(escaped, strings.ToLower))
	}
	return list
}

var escapes = regexp.MustCompile(`%[0-9A-F]{2}`)

// escaped returns v as it stands in URLs and in JSON.
func escaped(v string) []string {
	j, _ := json.Marshal(v) // a string always marshals
	return []string{url.QueryEscape(v), url.PathEscape(v), string(j[1 : len(j)-1])}
}
