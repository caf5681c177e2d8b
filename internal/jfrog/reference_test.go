package jfrog

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

func TestExpiryOf(t *testing.T) {
	t.Parallel()
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		token string
		want  int64 // 0: none
	}{
		{encode("reftkn:01:1797000000:abcdefghijklmnopqrstuvwxyz0"), 1797000000},
		{encode("reftkn:01:0000000000:abcdefghijklmnopqrstuvwxyz0"), 0}, // never
		{encode("reftkn:01:soon:x"), 0}, {encode("reftkn:01:99999999999999:x"), 0}, {encode("reftkn:01:-5:x"), 0},
		{encode("other:01:1797000000:x"), 0}, {encode("reftkn:1797000000"), 0}, {"", 0}, {"AKCp8abc", 0}, {"%%%", 0},
		{"e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1797000000}`)) + ".c2ln", 1797000000},
	} {
		got := ExpiryOf(secret.New(c.token))
		if c.want == 0 && !got.IsZero() || c.want != 0 && !got.Equal(time.Unix(c.want, 0)) {
			t.Errorf("%s: expected %s to be %d", c.token, got, c.want)
		}
	}
}

// Property: whatever it is, its expiry is none, or one that can be written.
func FuzzExpiryOf(f *testing.F) {
	f.Add(base64.StdEncoding.EncodeToString([]byte("reftkn:01:1797000000:abc")))
	f.Add("cmVmdGtuOjAx")
	f.Fuzz(func(t *testing.T, s string) {
		if got := ExpiryOf(secret.New(s)); got.Year() > 9999 {
			t.Errorf("%q: expected %s to have a year that RFC 3339 can write", s, got)
		}
	})
}
