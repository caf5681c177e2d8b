package jfrog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

func TestList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query     Query
		raw, body string
		want      []Listed
	}{
		{Query{}, "", `{"tokens":[]}`, nil},
		{Query{}, "", `{}`, nil},
		{Query{NewestFirst: true}, "descending_order=true&order_by=created", `{"tokens":[]}`, nil},
		{Query{Keep: func(t Listed, _ time.Time) bool { return t.ID == "b" }}, "", `{"tokens":[{"token_id":"a"},{"token_id":"b"}]}`,
			[]Listed{{ID: "b"}}},
		// JFrog's examples write whitespace as %20.
		{Query{Description: "GitHub acme/app&x+*"}, "description=GitHub%20acme%2Fapp%26x%2B%2A",
			`{"tokens":[{"token_id":"a","description":"d","subject":"s","scope":"c","issued_at":1767323045,"expiry":1767326645,"refreshable":true},{"token_id":"b","issued_at":0}]}`,
			[]Listed{{"a", "d", "s", "c", time.Unix(1767323045, 0).UTC(), time.Unix(1767326645, 0).UTC()}, {ID: "b"}}},
	} {
		var got string
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			got = r.Method + " " + r.RequestURI + " " + r.Header.Get("Authorization")
			_, _ = io.WriteString(w, c.body)
		})
		pages, err := list(once(u), c.query)
		if err != nil || len(pages) != 1 || !pages[0].Last || !slices.Equal(pages[0].Tokens, c.want) {
			t.Errorf("%+v: expected %v, %v to be %v", c.query, pages, err, c.want)
		}
		uri := "/access/api/v1/tokens"
		if c.raw != "" {
			uri += "?" + c.raw
		}
		if want := "GET " + uri + " Bearer b"; got != want {
			t.Errorf("%+v: expected %q to be %q", c.query, got, want)
		}
	}
}

// list returns copies of all pages until an error.
func list(c *Client, q Query) (pages []Page, err error) {
	for page, err := range c.List(context.Background(), secret.New("b"), q) {
		if err != nil {
			return pages, err
		}
		page.Tokens = slices.Clone(page.Tokens)
		pages = append(pages, page)
	}
	return pages, nil
}

// document is a list of tokens from..to, whose ids are their numbers.
func document(from, to int) string {
	var b strings.Builder
	b.WriteString(`{"last":[{"x":["y"]}],"tokens":[`)
	for i := from; i < to; i++ {
		if i > from {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"token_id":"%d","description":"d","issued_at":1767323045}`, i)
	}
	return b.String() + `],"next":{"a":1e999}}`
}

// Pages have PageSize tokens but for the last, and every token is on one of them
// in the order of the response.
func TestListByThePage(t *testing.T) {
	t.Parallel()
	for n, want := range map[int][]int{
		0: {0}, 1: {1}, PageSize: {PageSize}, PageSize + 1: {PageSize, 1}, 2*PageSize + 7: {PageSize, PageSize, 7},
	} {
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, document(0, n)) })
		pages, err := list(once(u), Query{})
		if err != nil || len(pages) != len(want) {
			t.Fatalf("%d: expected %d pages, %v to be %d", n, len(pages), err, len(want))
		}
		next := 0
		for i, page := range pages {
			if len(page.Tokens) != want[i] || page.Last != (i == len(want)-1) {
				t.Errorf("%d: expected %d tokens on page %d, %t to be %d", n, len(page.Tokens), i, page.Last, want[i])
			}
			for _, l := range page.Tokens {
				if l.ID != fmt.Sprint(next) {
					t.Fatalf("%d: expected %q to be %d", n, l.ID, next)
				}
				next++
			}
		}
	}
}

// A page of tokens with long texts has fewer of them.
func TestAPageIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		long := `{"token_id":"a","description":"` + strings.Repeat("d", 60<<10) + `"}`
		_, _ = io.WriteString(w, `{"tokens":[`+strings.Repeat(long+",", 99)+long+`]}`)
	})
	pages, err := list(once(u), Query{})
	n := 0
	for _, page := range pages {
		n += len(page.Tokens)
	}
	if err != nil || n != 100 || len(pages) != 12 {
		t.Errorf("expected %d tokens on %d pages, %v to be 100 on 12", n, len(pages), err)
	}
}

// Whoever stops early gets nothing more, no error either, and the request is not
// sent again.
func TestListStops(t *testing.T) {
	t.Parallel()
	calls := 0
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = io.WriteString(w, document(0, 3*PageSize))
	})
	pages := 0
	for page, err := range New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 3}).List(t.Context(), secret.New("b"), Query{}) {
		if pages++; err != nil || page.Last {
			t.Errorf("expected %v, %t to be a page before the last", err, page.Last)
		}
		break
	}
	if pages != 1 || calls != 1 {
		t.Errorf("expected %d pages and %d requests to be 1 and 1", pages, calls)
	}
}

// A response that is cut is attempted again until a page was handed on; then no
// token may come twice, and the error says how far the list came.
func TestACutList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tokens, calls, pages int
		says                 string
	}{
		{PageSize, 2, 1, ""},
		{PageSize + 1, 1, 1, fmt.Sprintf("list tokens: list was cut after %d tokens: GET ", PageSize)},
		{3*PageSize + 1, 1, 3, fmt.Sprintf("list tokens: list was cut after %d tokens: GET ", 3*PageSize)},
	} {
		calls := 0
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			text := document(0, c.tokens)
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			if calls++; calls == 1 {
				text = text[:len(text)-10] // after the array, and before the end
			}
			_, _ = io.WriteString(w, text)
		})
		pages, err := list(New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 3}), Query{})
		if calls != c.calls || len(pages) != c.pages || (err == nil) != (c.says == "") || err != nil && !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%d: expected %d requests, %d pages, %v to be %d, %d, %q", c.tokens, calls, len(pages), err, c.calls, c.pages, c.says)
		}
	}
}

// whole is what a list was decoded into while it was read whole. Of several
// arrays, all count.
type whole []listed

func (w *whole) UnmarshalJSON(text []byte) error {
	var tokens []listed
	err := json.Unmarshal(text, &tokens)
	*w = append(*w, tokens...)
	return err
}

// Properties: what comes by and by is the list that comes whole, however it is
// cut into pieces, or it is refused as that is, without a word of it.
func FuzzList(f *testing.F) {
	for _, s := range []string{
		document(0, 3), `{"Tokens":[{"TOKEN_ID":"a"},null,{"expiry":0}],"tokens":null,"toKens":[{"scope":"s","x":{"y":[1e999]}}]}`,
		`null`, ` {"tokens" : [ ] , "a":"\ud800\u0000"} `, `{"tokens":[{"issued_at":1.5}]}`, `{"tokens":{}}`, `{"tokens":[{}],}`, `{"tokens":[{},]}`,
		`[{"token_id":"a"}]`, `{"tokens":[]} {}`, "\ufeff<html>", `{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `,"tokens":["a"]}`,
		`{"tokens":[{"token_id":"a"}],"a"}`, `{"tokens":[{"description":"` + strings.Repeat("x", 2000) + `"}]}`, "{\"\xff\":1}", `{"tokens":[1]}`,
	} {
		f.Add([]byte(s), uint16(7))
	}
	var text []byte
	var piece int
	client := once(serve(f, func(w http.ResponseWriter, _ *http.Request) {
		for part := range slices.Chunk(text, piece) {
			_, _ = w.Write(part)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	f.Fuzz(func(t *testing.T, body []byte, size uint16) {
		text, piece = body, max(1, int(size), len(body)/8)
		var want struct{ Tokens whole }
		invalid := json.Unmarshal(body, &want)
		pages, err := list(client, Query{})
		if err != nil {
			long := strings.Contains(err.Error(), "response is too large") && len(body) > 64<<10
			if invalid == nil && !long {
				t.Errorf("%q: expected %v to be %d tokens", body, err, len(want.Tokens))
			}
			said := regexp.MustCompile(`^list tokens: GET [0-9.:]+/access/api/v1/tokens: HTTP 200, ` +
				`(response is not the expected JSON|got an HTML page instead of JSON|response is too large)$`)
			if !said.MatchString(err.Error()) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if invalid != nil {
			t.Errorf("%q: expected %v to be refused: %v", body, pages, invalid)
		}
		var got []Listed
		for _, page := range pages {
			got = append(got, page.Tokens...)
		}
		equal := slices.EqualFunc(got, want.Tokens, func(l Listed, w listed) bool {
			return l == Listed{w.TokenID, w.Description, w.Subject, w.Scope, epoch(w.IssuedAt), epoch(w.Expiry)}
		})
		if !equal {
			t.Errorf("%q: expected %v to be %v", body, got, want.Tokens)
		}
	})
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
		if got, err := list(c, Query{}); err != nil || len(got) != 1 || !got[0].Date.Equal(want) {
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
