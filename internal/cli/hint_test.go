package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
)

// topics are the anchors that messages link to: the string literals in hint.go
// that are one, and those of package ci.
func topics(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "hint.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	anchor := regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	list := []string{ci.NoIDToken, ci.NoPermission, ci.EmptySecret, ci.Fork, ci.Dependabot}
	add := func(e ast.Expr) {
		if l, ok := e.(*ast.BasicLit); ok {
			if s, err := strconv.Unquote(l.Value); err == nil && anchor.MatchString(s) {
				list = append(list, s)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "say" {
				add(n.Args[0])
			}
		case *ast.CompositeLit:
			if f, ok := n.Type.(*ast.Ident); ok && f.Name == "hint" && len(n.Elts) > 0 {
				if kv, ok := n.Elts[0].(*ast.KeyValueExpr); ok {
					add(kv.Value)
				} else {
					add(n.Elts[0])
				}
			}
		}
		return true
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// slug is the anchor that GitHub gives a heading.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

// Every message links to a heading, and every heading is that of a message. A
// golden of a scenario has each.
func TestEveryHintHasItsHeadingAndItsScenario(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(string(text), -1) {
		headings = append(headings, slug(m[1]))
	}
	slices.Sort(headings)
	if got := topics(t); !slices.Equal(got, headings) {
		t.Errorf("expected the messages' %q to be the headings' %q", got, headings)
	}
	scenarios, err := filepath.Glob(filepath.Join(root, "testdata", "*", "*.txtar"))
	if err != nil || len(scenarios) < 100 {
		t.Fatalf("%d scenarios, %v", len(scenarios), err)
	}
	var all strings.Builder
	for _, s := range scenarios {
		text, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, h := range headings {
		if !regexp.MustCompile(regexp.QuoteMeta(troubleshooting+h) + `\b[^-]`).MatchString(all.String()) {
			t.Errorf("no scenario has the hint %s in its golden", h)
		}
	}
}
