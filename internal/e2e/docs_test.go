package e2e

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

func readAction(t *testing.T) *runnertest.Action {
	t.Helper()
	text, err := os.ReadFile(action)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := runnertest.ParseAction(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// The Marketplace takes a description of under 125 characters.
func TestActionIsDescribedInShort(t *testing.T) {
	if d := readAction(t).Description; len(d) >= 125 || d == "" {
		t.Errorf("%d characters: %s", len(d), d)
	}
}

// rows gives the tables' rows that begin with a name in the README, each once.
func rows(t *testing.T, pattern string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1)
}

func TestReadmeHasTheOutputsOfTheAction(t *testing.T) {
	got := map[string]string{}
	for _, r := range rows(t, "(?m)^\\| `([a-z-]+)` \\| ([^|`]*) \\|$") {
		got[r[1]] = r[2]
	}
	want := map[string]string{}
	for name, o := range readAction(t).Outputs {
		want[name] = o.Description
	}
	if !maps.Equal(got, want) {
		t.Errorf("expected %v to be %v", got, want)
	}
}

// Every input that a snippet of the documentation sets is one.
func TestSnippetsSetInputsThatExist(t *testing.T) {
	inputs := map[string]bool{}
	for _, i := range config.Inputs {
		inputs[i.Name] = true
	}
	fence := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	variable := regexp.MustCompile(`\bJFROG_TOKEN_([A-Z_]+)=?:?`)
	snippets := 0
	for _, file := range []string{
		"README.md", "docs.md", "docs/ci.md", "docs/connect.md", "docs/drone.md", "docs/recipes.md", "docs/refresh.md",
		"docs/migrate.md", "docs/security.md", "docs/setup.md",
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range variable.FindAllStringSubmatch(string(text), -1) {
			name := strings.ToLower(strings.ReplaceAll(m[1], "_", "-"))
			if name != "debug" && !inputs[name] { // the debug switch is no input
				t.Errorf("%s: %s is no input", file, m[0])
			}
		}
		for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
			var snippet any
			if err := yaml.Unmarshal([]byte(m[1]), &snippet); err != nil {
				t.Errorf("%s: %v in\n%s", file, err, m[1])
			}
			ourSettings(snippet, func(name string) {
				snippets++
				if !inputs[name] {
					t.Errorf("%s: %s is no input", file, name)
				}
			})
		}
	}
	if snippets < 20 {
		t.Errorf("expected %d settings to be 20 or more: the snippets are not found", snippets)
	}
}

// documents are what people read, by the path from the repository's root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "testdata/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, _ := filepath.Rel(root, file)
			texts[filepath.ToSlash(name)] = string(text)
		}
	}
	return texts
}

// A link within the repository leads to a file, and to a heading if it names one.
func TestLinksLeadSomewhere(t *testing.T) {
	const blob, home = "https://" + module + "/blob/main/", "https://" + module + "#"
	texts := documents(t)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading := regexp.MustCompile("(?m)^#+ (.*)$")
	fence := regexp.MustCompile("(?ms)^```.*?^```$")
	mark := regexp.MustCompile(`[^\w\- ]`)
	headings := map[string]bool{}
	for name, text := range texts {
		for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			headings[name+"#"+strings.ReplaceAll(mark.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
		}
	}
	links := 0
	for name, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to := strings.Replace(strings.Replace(m[1], blob, "/", 1), home, "/README.md#", 1)
			if strings.Contains(to, "://") {
				continue
			}
			links++
			switch to[0] {
			case '#':
				to = "/" + name + to
			case '/':
			default:
				to = path.Join("/", path.Dir(name), to)
			}
			file, anchor, _ := strings.Cut(to[1:], "#")
			if _, err := os.Stat(filepath.Join(root, file)); err != nil || anchor != "" && !headings[file+"#"+anchor] {
				t.Errorf("%s: %s leads nowhere", name, m[1])
			}
		}
	}
	if links < 15 {
		t.Errorf("%d links are found", links)
	}
}

// Both sides of every diff in docs/migrate.md are YAML, and what is there after the change sets inputs that exist.
func TestMigrationDiffs(t *testing.T) {
	diffs := regexp.MustCompile("(?ms)^```diff\n(.*?)^```$").FindAllStringSubmatch(documents(t)["docs/migrate.md"], -1)
	settings := 0
	for _, m := range diffs {
		var before, after strings.Builder
		for line := range strings.Lines(m[1]) {
			switch line[0] {
			case '-':
				before.WriteString(line[1:])
			case '+':
				after.WriteString(line[1:])
			case ' ':
				before.WriteString(line[1:])
				after.WriteString(line[1:])
			default:
				t.Errorf("a line of a diff begins with neither +, - nor a space: %q", line)
			}
		}
		var old, changed any
		if err := yaml.Unmarshal([]byte(before.String()), &old); err != nil {
			t.Errorf("before: %v in\n%s", err, m[1])
		}
		if err := yaml.Unmarshal([]byte(after.String()), &changed); err != nil {
			t.Errorf("after: %v in\n%s", err, m[1])
		}
		ourSettings(old, func(name string) { t.Errorf("before: %s is set already in\n%s", name, m[1]) })
		ourSettings(changed, func(name string) {
			settings++
			if i, ok := config.Named(name); !ok || i.NoAction {
				t.Errorf("%s is no input of the action", name)
			}
		})
	}
	if len(diffs) < 4 || settings < 6 {
		t.Errorf("%d diffs with %d settings are found", len(diffs), settings)
	}
}

// The tests that docs/security.md names are there.
func TestSecurityNamesTestsThatExist(t *testing.T) {
	text := documents(t)["docs/security.md"]
	tests := regexp.MustCompile("`((?:testdata|internal|launch)/[^`]+)`").FindAllStringSubmatch(text, -1)
	for _, m := range tests {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("%s does not exist", m[1])
		}
	}
	if len(tests) < 20 {
		t.Errorf("%d tests are found", len(tests))
	}
}

// ourSettings calls each for the inputs of every step of ours within v.
func ourSettings(v any, each func(string)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			ourSettings(e, each)
		}
	case map[string]any:
		for _, where := range []struct{ names, inputs string }{{"uses", "with"}, {"image", "settings"}} {
			name, _ := v[where.names].(string)
			if with, ok := v[where.inputs].(map[string]any); ok && strings.Contains(name, "ephemeral-ci/jfrog-token") {
				for input := range with {
					each(input)
				}
			}
		}
		for _, e := range v {
			ourSettings(e, each)
		}
	}
}
