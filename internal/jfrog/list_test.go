package jfrog

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

func TestList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, query, body string
		want                 []Listed
	}{
		{"", "", `{"tokens":[]}`, []Listed{}},
		{"", "", `{}`, []Listed{}},
		// JFrog's examples write whitespace as %20.
		{"GitHub acme/app&x+*", "description=GitHub%20acme%2Fapp%26x%2B%2A",
			`{"tokens":[{"token_id":"a","description":"d","subject":"s","scope":"c","issued_at":1767323045,"expiry":1767326645,"refreshable":true},{"token_id":"b","issued_at":0}]}`,
			[]Listed{{"a", "d", "s", "c", time.Unix(1767323045, 0).UTC(), time.Unix(1767326645, 0).UTC()}, {ID: "b"}}},
	} {
		var got string
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			got = r.Method + " " + r.RequestURI + " " + r.Header.Get("Authorization")
			_, _ = io.WriteString(w, c.body)
		})
		list, _, err := once(u).List(t.Context(), secret.New("b"), c.pattern)
		if err != nil || !slices.Equal(list, c.want) || list == nil {
			t.Errorf("%q: expected %v, %v to be %v", c.pattern, list, err, c.want)
		}
		uri := "/access/api/v1/tokens"
		if c.query != "" {
			uri += "?" + c.query
		}
		if want := "GET " + uri + " Bearer b"; got != want {
			t.Errorf("%q: expected %q to be %q", c.pattern, got, want)
		}
	}
}

// A credential without an id could not be told from those that it is to
// revoke.
func TestMe(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{`{"token_id":"a"}`: "a", `{"token_id":""}`: "", `{}`: "", `null`: ""} {
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		if got, err := once(u).Me(t.Context(), secret.New("b")); got != want || (err == nil) != (want != "") || want == "" && !errors.Is(err, errNoID) {
			t.Errorf("%s: expected %q, %v to be %q", body, got, err, want)
		}
	}
}

// What a request may have left is found by its marker, although the platform
// changed whitespace in the description; what belongs to another job, however
// near its description is, is not.
func TestMarked(t *testing.T) {
	t.Parallel()
	const marker = "[jt-AAAAAAAAAAAAAAAA]"
	tokens := []jfrogtest.StoredToken{
		{User: "admin", Description: "the credential"},
		{User: "ci-bot", Description: "GitHub acme/app Build & test run 7 " + marker},
		{User: "ci-bot", Description: "GitHub  acme/app\tBuild & test run 7\n" + marker},
		{User: "ci-bot", Description: "GitHub acme/app Build & test run 7 [jt-BBBBBBBBBBBBBBBB]"},
		{User: "ci-bot", Description: "GitHub acme/app Build & test run 7 jt-AAAAAAAAAAAAAAAA"},
		{User: "ci-bot", Description: "GitHub acme/app Build & test run 7 [jt-AAAAAAAAAAAAAAAB]"},
		{User: "ci-bot", Description: "GitHub acme/app Build & test run 7"},
		{User: "ci-bot", Description: "GitHub acme/app Build & test run 7 " + marker, Revoked: true},
		{User: "ci-bot", Description: "  (nightly) run 7 " + marker},
	}
	p, err := jfrogtest.New(jfrogtest.Config{Tokens: tokens}, jfrogtest.NewIssuer(jfrogtest.IssuerConfig{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	client := once(serve(t, p.ServeHTTP))
	for _, c := range []struct {
		description string
		want        []int
	}{
		{"GitHub acme/app Build & test run 7 " + marker, []int{1, 2}},
		{"GitHub " + marker, []int{1, 2}},
		// Nothing plain to filter by: all that the bearer may see is looked through.
		{"(nightly) run 7 " + marker, []int{1, 2, 8}},
		{" " + marker, []int{1, 2, 8}},
		{"Jenkins " + marker, nil},
	} {
		found, err := client.Marked(t.Context(), secret.New(p.Stored(0)), c.description, marker)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, f := range found {
			got = append(got, f.ID)
		}
		for _, i := range c.want {
			want = append(want, p.StoredID(i))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: expected %q to be %q", c.description, got, want)
		}
	}
	if _, err := client.Marked(t.Context(), secret.New("nobody's"), "x "+marker, marker); KindOf(err) != Unauthenticated {
		t.Errorf("expected %v to be kind %d", err, Unauthenticated)
	}
}

// A token without an id could not be revoked: a DELETE with none is a 405.
func TestMarkedWithoutAnID(t *testing.T) {
	t.Parallel()
	const marker = "[jt-AAAAAAAAAAAAAAAA]"
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"tokens":[{"token_id":"","description":"x %s"},{"token_id":"a","description":"x %s"}]}`, marker, marker)
	})
	if got, err := once(u).Marked(t.Context(), secret.New("b"), "x "+marker, marker); err != nil || len(got) != 1 || got[0].ID != "a" {
		t.Errorf("expected %v, %v to be %q alone", got, err, "a")
	}
}

// The age of a token is by JFrog's clock, which only the response tells.
func TestListReturnsTheDate(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Time{
		"Tue, 24 Nov 2026 13:08:04 GMT": time.Date(2026, 11, 24, 13, 8, 4, 0, time.UTC),
		"yesterday":                     {},
		"":                              {},
	} {
		calls := 0
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if calls++; calls == 1 { // what an attempt that failed said does not count
				w.Header().Set("Date", "Tue, 24 Nov 2099 13:08:04 GMT")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			w.Header()["Date"] = nil
			if header != "" {
				w.Header().Set("Date", header)
			}
			_, _ = io.WriteString(w, `{"tokens":[]}`)
		})
		c := New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 2})
		if _, got, err := c.List(t.Context(), secret.New("b"), ""); err != nil || !got.Equal(want) {
			t.Errorf("%q: expected %v, %v to be %v", header, got, err, want)
		}
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 11, 4, 13, 8, 4, 0, time.UTC)
	for _, s := range []string{
		"Wed, 04 Nov 2026 13:08:04 GMT", "Wed, 4 Nov 2026 13:08:04 GMT", " wed, 04 nov 2026 13:08:04 GMT ",
		"Wed, 04 Nov 2026 13:08:04 UTC", "Wed, 04 Nov 2026 13:08:04 +0000", "Wed, 04 Nov 2026 22:08:04 +0900",
		"Wednesday, 04-Nov-26 13:08:04 GMT", "Wed Nov  4 13:08:04 2026", "2026-11-04T13:08:04Z", "2026-11-04T14:08:04+01:00",
	} {
		if got := parseDate(s); got != want {
			t.Errorf("%q: expected %v to be %v", s, got, want)
		}
	}
	for _, s := range []string{
		"", "0", "1793797684", "Wed, 04 Nov 2026 13:08:04", "Wed, 04 Nov 2026 13:08:04 JST", "Wed, 04 Nov 2026 13:08:04 CET",
		"Wednesday, 04-Nov-26 13:08:04 JST", "Wed, 31 Feb 2026 13:08:04 GMT", "04/11/2026 13:08", "Wed, 04 Nov 2026 13:08:04 GMT, x",
	} {
		if got := parseDate(s); !got.IsZero() {
			t.Errorf("%q: expected %v to be zero", s, got)
		}
	}
}

// What was read is the same time wherever this runs, and reads the same again.
func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"Wed, 04 Nov 2026 13:08:04 GMT", "Wed, 04 Nov 2026 13:08:04 +0900", "Wed Nov  4 13:08:04 2026", "2026-11-04T14:08:04.5+01:00", "Wed, 04 Nov 2026 13:08:04 JST"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := parseDate(s)
		if got.Location() != time.UTC {
			t.Errorf("%q: expected %v to be in UTC", s, got)
		}
		if y := got.Year(); y < 0 || y > 9999 || got.IsZero() {
			return
		}
		if again := parseDate(got.Format(http.TimeFormat)); !again.Equal(got.Truncate(time.Second)) {
			t.Errorf("%q: expected %v to be %v", s, again, got)
		}
	})
}

func TestMayRefuse(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for lifetime, want := range map[time.Duration]bool{
		0: false, time.Minute: false, 3*time.Hour - time.Second: false, 3 * time.Hour: true, 6*time.Hour - time.Second: true, 6 * time.Hour: false,
	} {
		l := Listed{Issued: now}
		if lifetime > 0 {
			l.Expiry = now.Add(lifetime)
		}
		if got := l.MayRefuse(); got != want {
			t.Errorf("%s: expected %t to be %t", lifetime, got, want)
		}
	}
}
