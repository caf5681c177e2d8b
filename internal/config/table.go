package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Input is one row of the table of inputs. From it come the parsing, the flags,
// the help, action.yml and the README's table; a field of Config has its value.
type Input struct {
	Name, Default, Help string
	Group               string // in the help
	Commands            string // to which it applies, separated by spaces
	NoAction            bool   // of no use to the action, and not in action.yml

	kind   kind
	or     string // another variable, read if the input is not set
	max    int    // characters of a text, or the largest number
	values string // of a choice, separated by spaces
}

// kind is how a value is checked and decoded.
type kind int

const (
	text kind = iota // as it is; one line if it has a limit
	secretText
	address // the platform's URL
	boolean
	duration
	number
	choice
	list // separated by spaces, commas or new lines
)

// group gives inputs a heading in the help, and the commands to which those apply
// that do not name their own.
func group(title, commands string, inputs ...Input) []Input {
	for n := range inputs {
		inputs[n].Group = title
		if inputs[n].Commands == "" {
			inputs[n].Commands = commands
		}
	}
	return inputs
}

// Inputs is the table.
var Inputs = slices.Concat(
	group("JFrog, and who the job is", "mint exec check list sweep revoke",
		Input{Name: "url", kind: address, or: "JF_URL",
			Help: "JFrog Platform URL, such as https://acme.jfrog.io. Default: the variable JF_URL."},
		Input{Name: "oidc-provider-name", max: 255,
			Help: "Name of the OIDC integration in JFrog. Turns OIDC mode on."},
		Input{Name: "oidc-audience", max: 1024,
			Help: "Audience to request for the ID token. Without it, none is requested."},
		Input{Name: "id-token", kind: secretText,
			Help: "ID token that the CI already issued. GitHub and Forgejo need none."},
		Input{Name: "identity-mapping-name", max: 255,
			Help: "Identity mapping to use. Default: the first that matches."},
		Input{Name: "project-key",
			Help: "JFrog project of the identity mapping or of the token."},
		Input{Name: "application-key", max: 255,
			Help: "JFrog application, for the exchange of an ID token."},
		Input{Name: "access-token", kind: secretText, or: "JF_ACCESS_TOKEN",
			Help: "Stored identity, access or reference token. Turns stored mode on. " +
				"Default: the variable JF_ACCESS_TOKEN, which OIDC mode ignores."},
		Input{Name: "refresh-token", kind: secretText, Commands: "mint exec",
			Help: "Refresh token that belongs to access-token. Replaces both by a new pair instead of creating a token."},
		Input{Name: "ca-cert",
			Help: "Further trusted root certificates: PEM text of at most 16 KiB, or the path of a PEM file."},
	),
	group("The token", "mint exec check",
		Input{Name: "scope",
			Help: "Scope of the token: scope tokens separated by spaces or new lines, such as applied-permissions/user."},
		Input{Name: "groups",
			Help: "Group names, one a line or separated by commas: short for one applied-permissions/groups scope."},
		Input{Name: "expires-in", kind: duration,
			Help: "Lifetime of the token: 15m, 1h30m, 2d, or seconds. " +
				"Default: 1h in stored mode, the identity mapping's in OIDC mode."},
		Input{Name: "username", max: 255,
			Help: "User to create the token for. Default: the user of the credential."},
		Input{Name: "audience", max: 255,
			Help: "JFrog services that accept the token, such as jfrt@* jfac@*. Default: JFrog's, which is all."},
		Input{Name: "description", max: MaxDescription - MarkerLength,
			Help: "Description of the token in JFrog. Default: the CI, repository, workflow, run and job. " +
				"A unique marker is added to it."},
		Input{Name: "refreshable", kind: boolean, Default: "false",
			Help: "Request a refresh token as well."},
		Input{Name: "include-reference-token", kind: boolean, Default: "false",
			Help: "Request a reference token as well: short, for tools that limit the length of a password."},
		Input{Name: "force-revocable", kind: boolean,
			Help: "Ask JFrog to keep the token revocable although it expires in under 6 hours. In OIDC mode this " +
				"takes a second token; false makes one request, for a token that may not be revocable. " +
				"Default: true, without failing if JFrog refuses the second token."},
		Input{Name: "verify", kind: list,
			Help: "Services that must accept the token before it is handed on: platform, artifactory, " +
				"connect:shop for the project shop of JFrog Connect; separated by commas or spaces."},
		Input{Name: "connect-url", kind: address, Default: "https://api.connect.jfrog.io",
			Help: "URL of JFrog Connect, which verify sends the token to."},
	),
	group("A pairing token", "mint check",
		Input{Name: "pairing",
			Help: "Create a pairing token instead, for this use case: mission-control, or <service>/<use case>, such as " +
				"artifactory/federated-repo/*. It expires in 5 minutes, and the first pairing spends it."},
	),
	group("When the job ends", "mint check",
		Input{Name: "revoke", kind: boolean, Default: "true",
			Help: "Revoke the token when the job ends."},
		Input{Name: "revoke-failure", kind: choice, values: "warn fail", Default: "warn", Commands: "mint exec check",
			Help: "What a failed revocation does: warn, or fail the job."},
		Input{Name: "token-id", kind: list, Commands: "revoke",
			Help: "Ids of tokens to revoke, with url and a credential, instead of what mint saved."},
	),
	group("Where results go", "mint exec check revoke",
		Input{Name: "summary", kind: boolean, Default: "true", Commands: "mint exec check",
			Help: "GitHub: write the job summary."},
		Input{Name: "export-env", kind: boolean, Default: "false", Commands: "mint",
			Help: "GitHub: also export JF_URL, JF_ACCESS_TOKEN and the like to the job. Every later step then holds the token."},
		Input{Name: "env-file", NoAction: true, Commands: "mint check revoke",
			Help: "File for the variables that the next steps read. Default: env in state-dir."},
		Input{Name: "state-dir", NoAction: true, Default: ".jfrog-token",
			Help: "Directory for what revoke needs to know. In a run: step on GitHub, below RUNNER_TEMP."},
		Input{Name: "mask-output", NoAction: true, kind: boolean, Default: "true", Commands: "exec",
			Help: "Hide secrets in what the command of exec prints."},
	),
	group("Requests", "mint exec check list sweep revoke",
		Input{Name: "timeout", kind: duration, Default: "2m",
			Help: "Limit on all requests together, retries included."},
		Input{Name: "max-attempts", kind: number, max: 100, Default: "10",
			Help: "Attempts for each request, within timeout."},
	),
	group("Tokens of other jobs", "sweep",
		Input{Name: "description-prefix", Commands: "list sweep",
			Help: "How the description of a token begins, in whole words. sweep needs it."},
		Input{Name: "older-than", kind: duration,
			Help: "How long ago a token was issued at least, such as 6h. sweep needs it."},
		Input{Name: "dry-run", kind: boolean, Default: "false",
			Help: "Say what would be revoked, and revoke nothing."},
		Input{Name: "format", kind: choice, values: "table json", Default: "table", Commands: "check list",
			Help: "How check and list print: table, or json."},
	),
	group("The command", "",
		Input{Name: "command", kind: choice, values: "mint revoke check list sweep", Default: "mint",
			Help: "Command to run if none is given as an argument. On a plain command line there is no default."},
	),
)

// key is the input in its variable's name.
func (i Input) key() string { return strings.ToUpper(strings.ReplaceAll(i.Name, "-", "_")) }

// AppliesTo reports whether a command reads the input.
func (i Input) AppliesTo(command string) bool {
	return slices.Contains(strings.Fields(i.Commands), command)
}

// Named returns the input of a name in kebab case.
func Named(name string) (Input, bool) {
	n := slices.IndexFunc(Inputs, func(i Input) bool { return i.Name == name })
	if n < 0 {
		return Input{}, false
	}
	return Inputs[n], true
}

// input returns the one of a name that is in the table.
func input(name string) Input {
	i, ok := Named(name)
	if !ok {
		panic("no such input: " + name)
	}
	return i
}

// Values are those of a choice.
func (i Input) Values() []string { return strings.Fields(i.values) }

// Secret reports whether the value must not be shown, nor stand on a command
// line.
func (i Input) Secret() bool { return i.kind == secretText }

// Boolean reports whether the value is true or false.
func (i Input) Boolean() bool { return i.kind == boolean }

// parse checks a value by its kind, and returns it as envconfig decodes it. What
// is wrong is said without the value.
func (i Input) parse(v string) (value, wrong string) {
	if unexpanded(v) {
		return "", "holds an expression that nothing expanded, such as ${{ … }} or $(…); does the CI expand it there, " +
			"and is its name right?"
	}
	switch i.kind {
	case boolean:
		if !isBoolean(v) {
			return "", "must be true or false"
		}
		return strings.ToLower(v), ""
	case duration:
		d, ok := ParseDuration(v)
		if !ok {
			return "", "must be a time above zero, such as 15m, 1h30m, 2d, or a number of seconds"
		}
		return d.String(), ""
	case number:
		if n, err := strconv.Atoi(v); err != nil || n < 1 || n > i.max {
			return "", fmt.Sprintf("must be a number from 1 to %d", i.max)
		}
	case list:
		elements := strings.FieldsFunc(v, func(r rune) bool { return r <= ' ' || r == ',' })
		if len(elements) == 0 {
			return "", "names nothing"
		}
		return strings.Join(elements, ","), ""
	case address:
		u, wrong := ParseURL(v)
		if wrong != "" {
			return "", wrong
		}
		return u.String(), ""
	case choice:
		if !slices.Contains(i.Values(), v) {
			return "", "must be " + or(i.Values())
		}
	case text:
		if i.max > 0 {
			return v, line(v, i.max)
		}
	}
	return v, ""
}

// isBoolean reports whether v is true or false in a spelling of YAML 1.2's core
// schema, as core.getBooleanInput of GitHub's toolkit has them.
func isBoolean(v string) bool {
	return slices.Contains([]string{"true", "True", "TRUE", "false", "False", "FALSE"}, v)
}

// unexpanded reports whether a value is, or holds, what a CI would have
// replaced: GitHub's and Codefresh's ${{ … }}, Harness' <+…>, Azure's $(name), a
// shell's $name and ${name}.
func unexpanded(v string) bool {
	if strings.Contains(v, "${{") || strings.HasPrefix(v, "<+") && strings.HasSuffix(v, ">") {
		return true
	}
	name, ok := strings.CutPrefix(v, "$")
	if !ok || name == "" {
		return false
	}
	if name[0] == '(' && name[len(name)-1] == ')' || name[0] == '{' && name[len(name)-1] == '}' {
		name = name[1 : len(name)-1]
	}
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '.' && r != '-'
	})
}

// line checks a value that is sent as it is.
func line(v string, limit int) (wrong string) {
	switch {
	case utf8.RuneCountInString(v) > limit:
		return fmt.Sprintf("is longer than %d characters", limit)
	case strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return "must be one line without control characters"
	case !utf8.ValidString(v):
		return "is not UTF-8"
	}
	return ""
}

// or joins words as a sentence does.
func or(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// ParseDuration reads "15m", "1h30m", "2d", "1d12h" or whole seconds. It accepts
// what is above zero and at most 2³¹-1 seconds, which is what JFrog can count.
func ParseDuration(v string) (time.Duration, bool) {
	const most = (1<<31 - 1) * time.Second
	days, rest, ok := strings.Cut(v, "d")
	n, err := strconv.ParseUint(days, 10, 31)
	var d time.Duration
	switch {
	case err != nil:
		d, err = time.ParseDuration(v)
	case !ok: // whole seconds
		d = time.Duration(n) * time.Second
	case n > uint64(most/(24*time.Hour)):
		return 0, false
	default:
		if rest != "" && rest[0] != '-' && rest[0] != '+' {
			d, err = time.ParseDuration(rest)
		} else if rest != "" {
			return 0, false
		}
		d += time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d <= 0 || d > most {
		return 0, false
	}
	return d, true
}
