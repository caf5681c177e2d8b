// Package secret holds credentials in a type that cannot be printed by
// accident, and takes them out of text that comes from elsewhere.
package secret

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"sort"
	"strings"
)

// Mask is what stands wherever a secret would.
const Mask = "***"

// String is a credential. Every verb of fmt, and every text encoding, gives
// Mask.
//
// It holds a pointer, not a string: fmt never calls methods on unexported
// fields, so a string kind would show in the %v of a struct that has it in
// one. A pointer shows as an address there.
type String struct{ p *string }

// New wraps a credential; an empty one gives the zero String.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{p: &s}
}

// Reveal gives the credential in clear. Every call is a place to review.
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

// NotInToken reports whether no token holds r: a blank, a control character or
// what is not ASCII could break a header field, a line or a mask.
func NotInToken(r rune) bool { return r <= ' ' || r > '~' }

// shortest is the length below which a value is not masked or redacted: to
// replace every "a" in a log would hide the log, not the secret.
const shortest = 8

// Forms gives the spellings of s that a log mask has to know: s itself and,
// where they differ, its URL-escaped and JSON-escaped forms. GitHub's runner
// derives these and base64 for itself; Forgejo's, Gitea's and act do not:
// https://github.com/actions/runner/blob/main/src/Runner.Common/HostContext.cs
func (s String) Forms() []string {
	v := s.Reveal()
	if len(v) < shortest {
		return nil
	}
	forms := []string{v}
	for _, f := range []string{url.QueryEscape(v), url.PathEscape(v), jsonEscape(v)} {
		if f != v {
			forms = append(forms, f)
		}
	}
	return forms
}

// Basic is the base64 of user:s as it stands in an Authorization header, in
// .npmrc and in Docker's config.json.
func (s String) Basic(user string) String {
	if s.IsZero() {
		return String{}
	}
	return New(base64.StdEncoding.EncodeToString([]byte(user + ":" + s.Reveal())))
}

func jsonEscape(v string) string {
	b, _ := json.Marshal(v) // a string always marshals
	return string(b[1 : len(b)-1])
}

// tokenShaped finds JWTs, JFrog's reference tokens and other long runs of
// base64, hex or base64url. A UUID (36) is shorter and stays.
var tokenShaped = regexp.MustCompile(`eyJ[A-Za-z0-9_\-.=+/%]{8,}|[A-Za-z0-9_\-.=+/%]{44,}`)

// Redact replaces the given secrets, in each of their forms, and the parts of
// a JWT among them. It must run before text is cut: half a token at the edge
// would no longer be recognised.
func Redact(text string, secrets ...String) string {
	var forms []string
	for _, s := range secrets {
		forms = append(forms, s.Forms()...)
		for part := range strings.SplitSeq(s.Reveal(), ".") {
			if len(part) >= 2*shortest {
				forms = append(forms, part)
			}
		}
	}
	sort.Slice(forms, func(i, j int) bool { return len(forms[i]) > len(forms[j]) })
	for _, f := range forms {
		text = strings.ReplaceAll(text, f, Mask)
	}
	return text
}

// Scrub is Redact for text from outside: it also replaces whatever has the
// shape of a token, as the other side may know secrets that we do not.
func Scrub(text string, secrets ...String) string {
	return tokenShaped.ReplaceAllString(Redact(text, secrets...), Mask)
}
