// Command generate writes the inputs of action.yml and of the README anew, from
// the table of inputs in internal/config.
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/config"
)

// generated are the parts of files that are written here: what stands between
// two lines.
var generated = []struct {
	file, from, to string
	write          func() string
}{
	{"action.yml", "\ninputs:\n", "\noutputs:\n", actionInputs},
	{"README.md", "\n<!-- The inputs are written by go generate. -->\n", "<!-- The end of the inputs. -->\n", readmeInputs},
}

func main() {
	for _, g := range generated {
		text, err := os.ReadFile(g.file)
		if err == nil {
			var made string
			if made, err = replaced(string(text), g.from, g.to, g.write()); err == nil {
				err = os.WriteFile(g.file, []byte(made), 0o644)
			}
		}
		if err != nil {
			log.Fatalf("generate %s: %v", g.file, err)
		}
	}
}

// replaced returns text with what stands between two lines replaced.
func replaced(text, from, to, between string) (string, error) {
	before, rest, ok := strings.Cut(text, from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		return "", fmt.Errorf("%q and %q are not there", from, to)
	}
	return before + from + between + to + after, nil
}

func actionInputs() string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	var b strings.Builder
	for _, i := range config.Inputs {
		if i.NoAction {
			continue
		}
		fmt.Fprintf(&b, "  %s:\n    description: %s\n    required: false\n", i.Name, quote(i.Help))
		if i.Default != "" {
			fmt.Fprintf(&b, "    default: %s\n", quote(i.Default))
		}
	}
	return b.String()
}

func readmeInputs() string {
	var b strings.Builder
	group := ""
	for _, i := range config.Inputs {
		if i.Group != group {
			group = i.Group
			fmt.Fprintf(&b, "\n**%s**\n\n| input | default | |\n|---|---|---|\n", group)
		}
		def := ""
		if i.Default != "" {
			def = "`" + i.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", i.Name, def, i.Help)
	}
	return b.String() + "\n"
}
