package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

const clear = `s3cret"value/with+signs=and%`

type nested struct {
	Exported   secret.String
	unexported secret.String
	deep       struct{ inner []secret.String }
	pointer    *secret.String
	m          map[string]secret.String
}

func holders() map[string]any {
	s := secret.New(clear)
	n := nested{Exported: s, unexported: s, pointer: &s, m: map[string]secret.String{"k": s}}
	n.deep.inner = []secret.String{s}
	return map[string]any{
		"value": s, "pointer": &s, "slice": []secret.String{s}, "struct": n, "struct pointer": &n,
		"redactor": *redactor(s), "redactor pointer": redactor(s),
		"redactor in a struct": struct{ r *secret.Redactor }{redactor(s)},
		"map":                  map[string]any{"k": n}, "any": any(s), "error": errors.Join(fmt.Errorf("x: %v", s)),
	}
}

func redactor(s secret.String) *secret.Redactor {
	var r secret.Redactor
	r.Add(s)
	return &r
}

// The type prints *** in every verb, in every holder.
func TestNoVerbPrintsTheSecret(t *testing.T) {
	for name, h := range holders() {
		for _, verb := range []string{
			"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%p", "%T", "%e", "%w", "%08.3f", "%U", "%b", "%o",
			"%!",
		} {
			mustNotShow(t, name+" "+verb, fmt.Sprintf(verb, h))
		}
		mustNotShow(t, name+" Sprint", fmt.Sprint(h))
		mustNotShow(t, name+" Sprintln", fmt.Sprintln(h))
	}
}

func TestNoEncodingCarriesTheSecret(t *testing.T) {
	for name, h := range holders() {
		if b, err := json.Marshal(h); err == nil {
			mustNotShow(t, name+" json", string(b))
		}
		if b, err := xml.Marshal(h); err == nil {
			mustNotShow(t, name+" xml", string(b))
		}
		var b bytes.Buffer
		_ = gob.NewEncoder(&b).Encode(h)
		mustNotShow(t, name+" gob", b.String())
		b.Reset()
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "h", h)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "h", h)
		mustNotShow(t, name+" slog", b.String())
	}
	if got := fmt.Sprint(secret.New("x")); got != "***" {
		t.Errorf("expected %q to be %q", got, "***")
	}
}

func TestRevealAndZero(t *testing.T) {
	if got := secret.New(clear).Reveal(); got != clear {
		t.Errorf("expected %q to be %q", got, clear)
	}
	if !secret.New("").IsZero() || secret.New("").Reveal() != "" {
		t.Error("an empty secret is not zero")
	}
}

func mustNotShow(t *testing.T, what, got string) {
	t.Helper()
	hex, b64 := fmt.Sprintf("%x", clear), base64.StdEncoding.EncodeToString([]byte(clear))
	for _, f := range []string{clear, "s3cret", hex, b64} {
		if strings.Contains(strings.ToLower(got), strings.ToLower(f)) {
			t.Errorf("%s shows the secret: %s", what, got)
		}
	}
}

func TestForms(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        []string
	}{
		{"none", "", nil},
		{"too short", "1234567", nil},
		{"one spelling", "eyJ2ZXIiOiIyIn0.e30.c2ln", []string{"eyJ2ZXIiOiIyIn0.e30.c2ln"}},
		{"base64, whose URL-escaped form has a %", "dXNlcjp0b2tlbg==", []string{"dXNlcjp0b2tlbg=="}},
		{"escaped by JSON", `abcd"efgh`, []string{`abcd"efgh`, `abcd\"efgh`}},
		{"a blank", "abcd efgh", []string{"abcd efgh", "abcd+efgh"}},
		{"a %", "12345678%short%87654321", []string{"12345678", "87654321"}},
		{"lines", "12345678\r\n87654321\n", []string{"12345678", "87654321", `12345678\r\n87654321\n`}},
		{"nothing long enough between them", "1234%5678", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := secret.New(c.value).Forms(); !slices.Equal(got, c.want) {
				t.Errorf("expected %q to be %q", got, c.want)
			}
		})
	}
}

// Property: a form is a line of 8 bytes or more that no workflow command escapes.
func FuzzForms(f *testing.F) {
	f.Add(clear)
	f.Add("12345678\r87654321")
	f.Fuzz(func(t *testing.T, s string) {
		for _, form := range secret.New(s).Forms() {
			if len(form) < 8 || strings.ContainsAny(form, "%\r\n") {
				t.Errorf("%q has the form %q", s, form)
			}
		}
	})
}

func TestBasic(t *testing.T) {
	for _, c := range []struct {
		user, value string
		want        []string
	}{
		{"", "", nil},
		{"user", "", nil},
		{"user", "token", []string{"dXNlcjp0b2tlbg==", "dXNlcjp0b2tlbg"}},
		{"me", "token9", []string{"bWU6dG9rZW45"}},
		{"", "to", []string{"OnRv"}},
	} {
		var got []string
		for _, s := range secret.New(c.value).Basic(c.user) {
			got = append(got, s.Reveal())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:%s: expected %q to be %q", c.user, c.value, got, c.want)
		}
	}
}
