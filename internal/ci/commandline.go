package ci

// CommandLine is the name of no CI.
const CommandLine = "command line"

// commandLine is a laptop, or a CI that is not known.
var commandLine = system{
	name: CommandLine, docs: "Anywhere else",
	noIDToken: always("Hand it in with id-token, from wherever the CI keeps it, or use access-token."),
}
