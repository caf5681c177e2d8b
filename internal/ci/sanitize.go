package ci

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sanitize makes one line of s that a log shows as it is and that no runner
// takes for a command. GitHub's knows `::name ::` at the start of a line, after
// whitespace, and the older `##[name]` anywhere in it; Azure's agent knows
// `##vso[name]` anywhere, TeamCity's `##teamcity[name]`:
// https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
// https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Microsoft.VisualStudio.Services.Agent/Command.cs
func sanitize(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r < ' ' || r >= 0x7f && r <= 0x9f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
			fmt.Fprintf(&b, `\u%04x`, r) // turns the direction of the text, or breaks its line
		case r == '#' && strings.HasSuffix(b.String(), "#"):
			b.WriteString(" #")
		default:
			b.WriteRune(r)
		}
		i += size
	}
	line := b.String()
	if rest := strings.TrimLeftFunc(line, unicode.IsSpace); strings.HasPrefix(rest, "::") {
		line = ": " + strings.TrimLeft(rest, ":")
	}
	return line
}
