package cli

import (
	"fmt"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/config"
)

// width is that of the help, in columns.
const width = 80

// usage is the help.
func (r *run) usage() string {
	var b strings.Builder
	b.WriteString(wrap("", "jfrog-token gives one CI job one JFrog access token that expires with the job, "+
		"and revokes it when the job ends."))
	b.WriteString("\nUsage: jfrog-token COMMAND [--INPUT VALUE...]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-17s %s\n", strings.TrimSpace(c.name+" "+c.words), c.help)
	}
	b.WriteString("\n" + wrap("", "Inputs are flags, or variables of the environment, whose names follow the "+
		"flags below."))
	b.WriteString(r.inputsFor(""))
	b.WriteString(`
Exit codes: 0 done; 1 JFrog, the CI or the network refused; 2 an input is
wrong; 128 and the signal's number after SIGHUP, SIGINT, SIGQUIT and SIGTERM.

Documentation: https://github.com/ephemeral-ci/jfrog-token
`)
	return b.String()
}

// usageOf is the help of one command.
func (r *run) usageOf(c command) string {
	line := "jfrog-token " + c.name
	inputs := r.inputsFor(c.name)
	if inputs != "" {
		line += " [--INPUT VALUE...]"
	}
	line = strings.TrimSpace(line + " " + c.words)
	return "Usage: " + line + "\n\n" + wrap("", c.name+" "+c.help+".") + inputs
}

// inputsFor lists the inputs of a command, or all of them, by group.
func (r *run) inputsFor(command string) string {
	var b strings.Builder
	group := ""
	for _, i := range config.Inputs {
		if command != "" && !i.AppliesTo(command) {
			continue
		}
		if i.Group != group {
			group = i.Group
			b.WriteString("\n" + group + "\n")
		}
		name := "--" + i.Name
		if i.Secret() {
			name = i.Name + " (secret)"
		}
		fmt.Fprintf(&b, "  %-26s %s\n", name, r.inputs.Variable(i.Name))
		help := i.Help
		if i.Default != "" {
			help += " Default: " + i.Default + "."
		}
		b.WriteString(wrap("      ", help))
	}
	return b.String()
}

// wrap breaks a text into lines that begin with an indent.
func wrap(indent, text string) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word)+1 > width && line != indent {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}
