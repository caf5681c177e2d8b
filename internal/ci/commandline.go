package ci

import (
	"cmp"
	"os"
	"strings"
)

// CommandLine is the name of no CI.
const CommandLine = "command line"

// commandLine is a laptop, or a CI that is not known.
var commandLine = system{
	name: CommandLine, docs: "Anywhere else",
	who: func(getenv lookup) string {
		host, _ := os.Hostname()
		return strings.Trim(cmp.Or(getenv("USER"), getenv("LOGNAME"), getenv("USERNAME"))+"@"+host, "@")
	},
	noIDToken: always("Hand it in with id-token, from wherever the CI keeps it, or use access-token."),
}
