package runnertest

import (
	"fmt"
	"strings"
)

// process does what the runner does with one line of output: a command is
// carried out, anything else is shown (ActionCommand.cs, OutputManager.cs).
func (r *Runner) process(line string, show func(string)) {
	name, data, ok := ParseCommand(line)
	if !ok {
		show(line)
		return
	}
	switch name {
	case "add-mask":
		if strings.TrimSpace(data) == "" {
			show("Warning: Can't add secret mask for empty string in ##[add-mask] command.")
			return
		}
		r.masker.add(data)
		for part := range strings.FieldsFuncSeq(data, func(c rune) bool { return c == '\r' || c == '\n' }) {
			r.masker.add(strings.TrimSpace(part))
		}
	case "error", "warning", "notice":
		if r.showsEscapes() {
			data = strings.ReplaceAll(data, "\n", "%0A")
		}
		show(strings.ToUpper(name[:1]) + name[1:] + ": " + data)
	case "debug":
		if r.Debug {
			show("##[debug]" + data)
		}
	case "group", "endgroup":
		show("##[" + name + "]" + data)
	default:
		// set-output, save-state and stop-commands are still obeyed by the
		// runner. Nothing that this program prints may be one.
		show("RUNNER OBEYED THE COMMAND " + name)
	}
}

// showsEscapes reports whether the runner is one of those that show an annotation
// as it was written, in one line.
func (r *Runner) showsEscapes() bool {
	return r.Env["FORGEJO_ACTIONS"] == "true" || r.Env["GITEA_ACTIONS"] == "true" || r.Env["ACT"] == "true"
}

// ParseCommand reads the command that the runner finds in one line of a log:
// "::name k=v::data" at its start, after whitespace, and the older
// "##[name k=v;]data" anywhere in it.
func ParseCommand(line string) (name, data string, ok bool) {
	if rest, found := strings.CutPrefix(strings.TrimSpace(line), "::"); found {
		if head, data, found := strings.Cut(rest, "::"); found {
			name, _, _ = strings.Cut(head, " ")
			return strings.ToLower(name), unescape(data), name != ""
		}
	}
	if _, rest, found := strings.Cut(line, "##["); found {
		if head, data, found := strings.Cut(rest, "]"); found {
			name, _, _ = strings.Cut(head, " ")
			return strings.ToLower(name), unescape(data), name != ""
		}
	}
	return "", "", false
}

func unescape(s string) string {
	return strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(s)
}

// ParseFileCommand reads the text of a command file as the runner does
// (FileCommandManager.cs): the pairs that come before an error are already
// set when it is met.
func ParseFileCommand(text string) (pairs [][2]string, err error) {
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if line == "" {
			continue
		}
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case equals >= 0 && (heredoc < 0 || equals < heredoc):
			if equals == 0 {
				return pairs, fmt.Errorf("invalid format '%s'", line)
			}
			pairs = append(pairs, [2]string{line[:equals], line[equals+1:]})
		case heredoc >= 0:
			name, delimiter := line[:heredoc], line[heredoc+2:]
			if name == "" || delimiter == "" {
				return pairs, fmt.Errorf("invalid format '%s': name must not be empty and delimiter must not be empty", line)
			}
			var value []string
			for {
				if text == "" {
					return pairs, fmt.Errorf("invalid value: matching delimiter not found '%s'", delimiter)
				}
				rest := text
				line, text, _ = strings.Cut(text, "\n")
				if line == delimiter {
					break
				}
				if !strings.Contains(rest, "\n") {
					return pairs, fmt.Errorf("invalid value: EOF marker missing new line")
				}
				value = append(value, line)
			}
			pairs = append(pairs, [2]string{name, strings.Join(value, "\n")})
		default:
			return pairs, fmt.Errorf("invalid format '%s'", line)
		}
	}
	return pairs, nil
}
