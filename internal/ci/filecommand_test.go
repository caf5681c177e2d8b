package ci

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

func fileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAppendPairs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		pairs [][2]string
		ok    bool
	}{
		{"one", [][2]string{{"token", "eyJ.x.y"}}, true},
		{"several", [][2]string{{"token", "a"}, {"username", "team/ci bot"}, {"scope", `applied-permissions/groups:"a b",c`}}, true},
		{"none", nil, true},
		{"an empty value", [][2]string{{"token", ""}}, true},
		{"what looks like a pair", [][2]string{{"a", "b=c"}, {"d", "e<<f"}, {"g", "<<"}, {"h", "ghadelimiter_"}}, true},
		// The fixed delimiter that @actions/core dropped:
		// https://github.com/advisories/GHSA-7r3h-m5j6-3q42
		{"the library's delimiter", [][2]string{{"a", "_GitHubActionsFileCommandDelimeter_"}}, true},
		{"the same name twice", [][2]string{{"a", "1"}, {"a", "2"}}, true},
		{"a line break in a value", [][2]string{{"a", "b\nc"}}, false},
		{"a carriage return in a value", [][2]string{{"a", "b\rc"}}, false},
		{"a zero byte in a value", [][2]string{{"a", "b\x00c"}}, false},
		{"a second pair in a value", [][2]string{{"username", "x\nEOF\ntoken<<EOF\nevil\nEOF"}}, false},
		{"a wrong one after a good one", [][2]string{{"a", "b"}, {"c", "\n"}}, false},
		{"no name", [][2]string{{"", "b"}}, false},
		{"an equals sign in a name", [][2]string{{"a=b", "c"}}, false},
		{"a heredoc in a name", [][2]string{{"a<<b", "c"}}, false},
		{"a line break in a name", [][2]string{{"a\nb", "c"}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const before = "earlier=1\n"
			path := fileWith(t, before)
			err := appendPairs(path, c.pairs)
			if (err == nil) != c.ok {
				t.Fatalf("expected %v to be %t", err, c.ok)
			}
			text := textOf(t, path)
			if err != nil {
				if text != before {
					t.Errorf("expected %q to be %q", text, before)
				}
				for _, p := range c.pairs {
					if len(p[1]) > 3 && strings.Contains(err.Error(), p[1]) {
						t.Errorf("expected %q to be %q", err, "without the value")
					}
				}
				return
			}
			got, err := runnertest.ParseFileCommand(text)
			if want := append([][2]string{{"earlier", "1"}}, c.pairs...); err != nil || !slices.Equal(got, want) {
				t.Errorf("expected %q, %v to be %q", got, err, want)
			}
		})
	}
}

// Each delimiter is new: what saw one cannot use it.
func TestDelimitersDiffer(t *testing.T) {
	t.Parallel()
	path := fileWith(t, "")
	seen := map[string]bool{}
	for range 3 {
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		if err := appendPairs(path, [][2]string{{"a", "b"}}); err != nil {
			t.Fatal(err)
		}
		_, delimiter, _ := strings.Cut(strings.SplitN(textOf(t, path), "\n", 2)[0], "<<")
		if len(delimiter) < 32 || seen[delimiter] {
			t.Errorf("expected %q to be %q", delimiter, "long and new")
		}
		seen[delimiter] = true
	}
}

func TestAppendToNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, path := range map[string]string{"absent": filepath.Join(dir, "absent"), "a folder": dir, "no name": ""} {
		err := appendPairs(path, [][2]string{{"token", "needle"}})
		if err == nil || strings.Contains(err.Error(), "needle") || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: expected %v to be %q", name, err, "an error without value and path")
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "absent")); !os.IsNotExist(err) { // the runner makes the file, with its own mode
		t.Errorf("expected %v to be %v", err, os.ErrNotExist)
	}
}

// Property: an error and the file as it was, or the pairs that were there and
// exactly ours after them, as the runner reads them.
func FuzzFileCommand(f *testing.F) {
	f.Add("token", "eyJ.x.y", "username", "ci bot")
	f.Add("a", "b\nghadelimiter_\ntoken<<x\ny\nx", "c", "d")
	f.Add("a=b", "c", "", "d")
	f.Add("a<", "<b", "c\x00", "d\r")
	f.Add("\ufeffa", "\u2028", " c ", " d ")
	f.Add("a", "", "a", "=")
	path := filepath.Join(f.TempDir(), "file")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		const before = "earlier=1\nheredoc<<EOF\n2\n3\nEOF\n"
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		ours := [][2]string{{k1, v1}, {k2, v2}}
		err := appendPairs(path, ours)
		text := textOf(t, path)
		if err != nil {
			if text != before {
				t.Errorf("%q: expected %q to be %q", ours, text, before)
			}
			return
		}
		want := append([][2]string{{"earlier", "1"}, {"heredoc", "2\n3"}}, ours...)
		if got, err := runnertest.ParseFileCommand(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: expected %q, %v to be %q", text, got, err, want)
		}
	})
}
