package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

const (
	marker  = "[jt-ABCDEFGHIJKLMN27]"
	tokenA  = "00000000-0000-4000-8000-00000000000a"
	tokenB  = "00000000-0000-4000-8000-00000000000b"
	instant = "2026-11-24T13:08:04Z"
)

var rows = [][]string{
	{
		"GitHub acme/app Build run 4711 attempt 1 job test " + marker, "jfac@01hx0000000000000000000000/users/ci-bot",
		tokenA, instant, "never", "applied-permissions/user",
	},
	{"", "", tokenB, "unknown", instant, ""},
	{
		strings.Repeat("漢字", 200) + marker, strings.Repeat("x", 300), tokenA, instant, instant,
		strings.Repeat("applied-permissions/groups:a ", 17),
	},
	{strings.Repeat("🚀", 50), "me", tokenB, instant, "never", "é"},
}

// In a pipe nothing is cut.
func TestTableIsWholeWithoutATerminal(t *testing.T) {
	t.Parallel()
	lines := fit(slices.Values(rows), 0).lines(rows)
	for i, row := range rows {
		for _, cell := range row {
			if !strings.Contains(lines[i+1], strings.TrimRight(cell, " ")) {
				t.Errorf("%q is not in %q", cell, lines[i+1])
			}
		}
	}
	if want := strings.Index(lines[0], "Token ID"); strings.Index(lines[2], tokenB) != want {
		t.Errorf("%q is not in column %d", lines[2], want)
	}
}

// No line is longer than the terminal is wide; the ids are whole, and so is the
// marker of each description.
func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for width := 40; width <= 400; width++ {
		for n := range len(rows) + 1 {
			lines := fit(slices.Values(rows[:n]), width).lines(rows[:n])
			text := strings.Join(lines, "\n")
			for _, l := range lines {
				if got := columns(l); got > width {
					t.Fatalf("%d: expected %d columns to be at most that: %q", width, got, l)
				}
			}
			for _, row := range rows[:n] {
				if !strings.Contains(text, row[2]) || strings.HasSuffix(row[0], marker) && !strings.Contains(text, marker) {
					t.Fatalf("%d: the id or the marker is missing: %s", width, text)
				}
			}
		}
	}
}

func TestTableHasALineForEachFieldIfTheTerminalIsNarrow(t *testing.T) {
	t.Parallel()
	want := tokenA + `
  Description  GitHub acme/app Build run 4711 attemp…[jt-ABCDEFGHIJKLMN27]
  Subject      jfac@01hx0000000000000000000000/users/ci-bot
  Issued       2026-11-24T13:08:04Z
  Expiry       never
  Scope        applied-permissions/user

` + tokenB + `
  Issued       unknown
  Expiry       2026-11-24T13:08:04Z`
	if got := strings.Join(fit(slices.Values(rows[:2]), 74).lines(rows[:2]), "\n"); got != want {
		t.Errorf("expected\n%s\nto be\n%s", got, want)
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s     string
		width int
		want  string
	}{
		{"abcdefgh", 8, "abcdefgh"},
		{"abcdefghi", 8, "abcd…ghi"},
		{"GitHub acme/app " + marker, 30, "GitHub a…" + marker},
		{"GitHub acme/app " + marker, 22, "…" + marker},
		{"GitHub acme/app " + marker, 21, "GitHub acm…HIJKLMN27]"},
		{"漢字漢字漢字", 8, "漢字…字"},
		{"", 1, ""},
		{"ab", 1, "…"},
	} {
		if got := shorten(c.s, c.width); got != c.want {
			t.Errorf("%q, %d: expected %q to be %q", c.s, c.width, got, c.want)
		}
	}
}

func FuzzShorten(f *testing.F) {
	f.Add("GitHub acme/app Build run 1 "+marker, 30)
	f.Add(strings.Repeat("漢", 40)+"e\u0301🚀", 11)
	f.Add("\xff\xfe"+marker, 22)
	f.Fuzz(func(t *testing.T, s string, width int) {
		if width < 1 {
			return
		}
		got := shorten(s, width)
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("%q, %d: %q is not UTF-8", s, width, got)
		}
		if columns(got) > width {
			t.Errorf("%q, %d: %q is too wide", s, width, got)
		}
		if width > len(marker) && strings.HasSuffix(s, marker) && !strings.HasSuffix(got, marker) {
			t.Errorf("%q, %d: %q has lost the marker", s, width, got)
		}
	})
}

// logged returns a job whose log is that of GitHub, or of no CI.
func logged(gitHub bool, secrets ...string) (*job, *bytes.Buffer) {
	var out bytes.Buffer
	getenv := func(name string) string {
		if (name == "GITHUB_ACTIONS" || name == "GITHUB_RUN_ID") && gitHub {
			return "true"
		}
		return ""
	}
	p := ci.Detect(getenv, &out, io.Discard, ci.Command)
	for _, s := range secrets {
		_ = p.Hide(secret.New(s))
	}
	out.Reset() // of the masks
	return &job{run: &run{ci: p, out: &out}}, &out
}

// What a program reads is JSON with what JFrog said, whatever the log replaces.
func TestJSONSurvivesTheLog(t *testing.T) {
	t.Parallel()
	for _, gitHub := range []bool{false, true} {
		j, out := logged(gitHub)
		want := []string{
			"", "GitHub acme/app [jt-A]", "::add-mask::x", "\n::set-output name=x::y", "##[error]x", "###vso[x] ## #",
			`"\` + "\t\r\n\x00\x1b\x7f\u0085\u200b\u202e\u2028\ufeff",
			"\U000e0001\U0001f680", "<script>&", "--- x", "漢字", `\u0023#`,
		}
		tokens := make([]jfrog.Listed, len(want))
		for i, s := range want {
			tokens[i] = jfrog.Listed{ID: s, Description: s, Subject: s, Scope: s}
		}
		(&jsonPrinter{job: j}).page(jfrog.Page{Tokens: tokens, Last: true})
		for l := range strings.Lines(out.String()) {
			if strings.Contains(l, "##") || strings.HasPrefix(strings.TrimSpace(l), "::") || l != strings.ToValidUTF8(l, "") {
				t.Errorf("a command in %q", l)
			}
		}
		var got []struct {
			Description, Subject, Scope string
			TokenID                     string `json:"token_id"`
			Issued, Expiry              *string
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		for i, e := range got {
			w := want[i]
			if e.Description != w || e.Subject != w || e.Scope != w || e.TokenID != w || e.Issued != nil || e.Expiry != nil {
				t.Errorf("expected %+v to be %q", e, w)
			}
		}
	}
}

// Secrets are taken out, and what is left is JSON even where a secret takes a
// part of an escape with it.
func TestJSONHasNoSecret(t *testing.T) {
	t.Parallel()
	j, out := logged(true, "nABCDEFGHIJKLMNOPQRS")
	(&jsonPrinter{job: j}).page(jfrog.Page{Last: true, Tokens: []jfrog.Listed{{
		ID: "a", Description: "x nABCDEFGHIJKLMNOPQRS y", Subject: "\nABCDEFGHIJKLMNOPQRS",
		Issued: time.Unix(1767323045, 0).UTC(), Expiry: time.Unix(1<<40, 0).UTC(), // beyond what time.Time marshals
	}}})
	want := `[
  {
    "description": "x *** y",
    "subject": "***",
    "token_id": "a",
    "issued": "2026-01-02T03:04:05Z",
    "expiry": "36812-02-20T00:36:16Z",
    "scope": ""
  }
]
`
	if out.String() != want {
		t.Errorf("expected %s to be %s", out, want)
	}
}

// An array is one, however many pages it comes in.
func TestJSONByThePage(t *testing.T) {
	t.Parallel()
	all := []jfrog.Listed{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	whole, err := json.MarshalIndent(func() (entries []entry) {
		j, _ := logged(false)
		for _, l := range all {
			entries = append(entries, j.entry(l))
		}
		return entries
	}(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pages []jfrog.Page
		want  string
	}{
		{[]jfrog.Page{{Last: true}}, "[]"},
		{[]jfrog.Page{{Tokens: all, Last: true}}, string(whole)},
		{[]jfrog.Page{{Tokens: all[:1]}, {Tokens: all[1:], Last: true}}, string(whole)},
		{[]jfrog.Page{{Tokens: all[:2]}, {Tokens: all[2:]}, {Last: true}}, string(whole)},
	} {
		j, out := logged(false)
		p := &jsonPrinter{job: j}
		for _, page := range c.pages {
			p.page(page)
		}
		if got := out.String(); got != c.want+"\n" {
			t.Errorf("expected %s to be %s", got, c.want)
		}
	}
	j, out := logged(false)
	(&jsonPrinter{job: j}).page(jfrog.Page{Tokens: all})
	if json.Valid(out.Bytes()) {
		t.Errorf("%s is a whole array, although the list was cut", out)
	}
}

// What is wider than its column, on a later page, is whole; but on a terminal
// what may be cut is.
func TestTableByThePage(t *testing.T) {
	t.Parallel()
	row := func(description, id, expiry string) []string {
		return []string{description, "me", id, instant, expiry, "s"}
	}
	first, next := [][]string{row("run 1", "a", "never")}, [][]string{row("the run after that", "bb", instant)}
	for _, c := range []struct {
		terminal int
		want     string
	}{
		{0, `
Description  Subject  Token ID  Issued                Expiry  Scope
run 1        me       a         2026-11-24T13:08:04Z  never   s
the run after that  me       bb        2026-11-24T13:08:04Z  2026-11-24T13:08:04Z  s`},
		{200, `
Description  Subject  Token ID  Issued                Expiry  Scope
run 1        me       a         2026-11-24T13:08:04Z  never   s
the r… that  me       bb        2026-11-24T13:08:04Z  2026-11-24T13:08:04Z  s`},
		{40, `
a
  Description  run 1
  Subject      me
  Issued       2026-11-24T13:08:04Z
  Expiry       never
  Scope        s

bb
  Description  the run after that
  Subject      me
  Issued       2026-11-24T13:08:04Z
  Expiry       2026-11-24T13:08:04Z
  Scope        s`},
	} {
		l := fit(slices.Values(first), c.terminal)
		if got := "\n" + strings.Join(slices.Concat(l.lines(nil), l.lines(first), l.lines(nil), l.lines(next)), "\n"); got != c.want {
			t.Errorf("%d: expected %s\nto be %s", c.terminal, got, c.want)
		}
	}
}

// A line of the table is no command of a CI, and a description stays as wide as
// its column when the log has replaced what it does not print.
func TestTableLinesAreNoCommands(t *testing.T) {
	t.Parallel()
	j, out := logged(true)
	for _, head := range []string{"--- ", "+++ ", "~~~ ", "^^^ +++", "::", " ::", "\n::", "##", "##[", "##vso["} {
		rows := slices.Collect(j.rows([]jfrog.Listed{
			{ID: head + "id", Description: head + "x", Subject: "s"}, {ID: head + "id", Subject: head + "x"},
		}))
		for _, l := range fit(slices.Values(rows), 0).lines(rows) {
			j.ci.Result(l)
			if strings.HasPrefix(l, strings.TrimSpace(head)) || strings.HasPrefix(strings.TrimSpace(l), "::") {
				t.Errorf("%q begins with a command", l)
			}
		}
		for l := range strings.Lines(out.String()) {
			if strings.Contains(l, "##") || strings.HasPrefix(strings.TrimSpace(l), "::") {
				t.Errorf("a command in %q", l)
			}
		}
		for _, row := range blocks([][]string{{"x", "", tame(j.ci.Clean(head + "id")), "", "", ""}}, 40) {
			if strings.HasPrefix(row, head) {
				t.Errorf("%q begins with a command", row)
			}
		}
	}
}
