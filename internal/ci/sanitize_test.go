package ci

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

func TestSanitize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"text", `Invalid audience: "x" (50% of 日本)`, `Invalid audience: "x" (50% of 日本)`},
		{"nothing", "", ""},
		{"a line break", "a\nb\r\nc", `a\x0ab\x0d\x0ac`},
		{"a command", "::set-output name=token::evil", ": set-output name=token::evil"},
		{"a command after blanks", " \u00a0\u3000::stop-commands::x", ": stop-commands::x"},
		{"a command after a line break", "x\n::add-mask::y", `x\x0a::add-mask::y`},
		{"colons within", "a::b::c", "a::b::c"},
		{"colons alone", ":::::", ": "},
		{"an older command", "x ##[error]y ##[warning]z", "x # #[error]y # #[warning]z"},
		{"a command of Azure's agent", "x ##vso[task.setvariable variable=y]z", "x # #vso[task.setvariable variable=y]z"},
		{"an older command, hidden", "####[[error]]", "# # # #[[error]]"},
		{"a colour", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"C1", "\u009b31m\u0085", `\x9b31m\x85`},
		{"DEL and NUL", "\x7f\x00", `\x7f\x00`},
		// https://trojansource.codes
		{"direction", "\u202eevil\u2066", `\u202eevil\u2066`},
		{"nothing to see", "a\u200bb\ufeffc\u00add", `a\u200bb\ufeffc\u00add`},
		{"line separators", "a\u2028b\u2029c", `a\u2028b\u2029c`},
		{"a tag", "\U000e0001", `\ue0001`},
		{"no UTF-8", "caf\xe9 \xff", `caf\xe9 \xff`},
		{"the replacement character itself", "\ufffd", "\ufffd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := sanitize(c.in); got != c.want {
				t.Errorf("expected %q to be %q", got, c.want)
			}
		})
	}
}

// Property: whatever it was, it is one line that shows as it is, that no
// runner obeys, and that stays the same.
func FuzzSanitize(f *testing.F) {
	for _, in := range []string{
		"::error::x", " \t::add-mask::x", "##[group]x", "###[[x]", "a\r\n::b::c", "\u2028::x::y", "\u202e", "\xff\xfe", "\x1b[2J", ":\x00:x::y", "#\u200b#[x]y", "\u0085::x::y",
	} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := sanitize(in)
		if !utf8.ValidString(got) {
			t.Errorf("%q: expected %q to be %q", in, got, "UTF-8")
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
				t.Errorf("%q: expected %q to be %q", in, got, "without control characters")
			}
		}
		if strings.Contains(got, "##") {
			t.Errorf("%q: expected %q to be %q", in, got, "without ##")
		}
		// A log may put something before a line, and a runner trim it.
		for _, line := range []string{got, strings.TrimSpace(got), " " + got, got + "\r"} {
			if name, _, ok := runnertest.ParseCommand(line); ok {
				t.Errorf("%q: expected %q to be %q", in, line, "no command, not "+name)
			}
		}
		if again := sanitize(got); again != got {
			t.Errorf("%q: expected %q to be %q", in, again, got)
		}
	})
}
