package config

import (
	"runtime"
	"slices"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// Source is where the inputs of this run come from: flags first, then the
// variables of the environment.
type Source struct {
	// Prefixes of the variables that carry inputs; the first that is there
	// wins.
	Prefixes []string
	// Variable returns the name under which a user sets an input on this CI.
	Variable func(input string) string
	// Shared is the prefix that variables of others have too, so that an unknown
	// one is misspelt only if it is near to one of ours.
	Shared string

	environ []string
	env     map[string]string
	flags   map[string]string
	anyCase bool
}

// NewSource returns the inputs of an environment, as os.Environ returns it, and
// of flags. Its fields are for the CI to set.
func NewSource(environ []string, flags map[string]string) *Source {
	s := &Source{
		Variable: func(input string) string { return input }, environ: environ, env: map[string]string{}, flags: flags,
		anyCase: runtime.GOOS == "windows",
	}
	for _, e := range environ {
		// cmd.exe has variables whose names begin with '=': to an input without a
		// variable of JFrog's own, that would be its value.
		if name, value, _ := strings.Cut(e, "="); name != "" {
			s.env[s.cased(name)] = value
		}
	}
	return s
}

// cased returns the name of a variable as it is looked up. On Windows, names
// have no case.
func (s *Source) cased(name string) string {
	if s.anyCase {
		return strings.ToUpper(name)
	}
	return name
}

// Getenv returns a variable as it is.
func (s *Source) Getenv(name string) string { return s.env[s.cased(name)] }

const (
	inputPrefix  = "INPUT_" // of GitHub's runner
	pluginPrefix = "PLUGIN_"
	ourPrefix    = "JFROG_TOKEN_"
)

// spellings are the variables that can carry an input. GitHub's runner and Drone
// keep the dashes of an input's name, Woodpecker and people turn them into '_'.
func spellings(prefix string, i Input) []string {
	if prefix == ourPrefix {
		return []string{prefix + i.key()}
	}
	return []string{prefix + strings.ReplaceAll(i.key(), "_", "-"), prefix + i.key()}
}

// Secrets returns the secrets among the inputs, usable or not.
func (s *Source) Secrets() []secret.String {
	var list []secret.String
	for _, i := range Inputs {
		if v, _, ok := s.find(i); ok && i.Secret() {
			list = append(list, secret.New(v))
		}
	}
	return list
}

// Environment returns the environment without the variables that carry a
// credential into this program, wherever it would have looked for them.
func (s *Source) Environment() []string {
	return slices.DeleteFunc(slices.Clone(s.environ), func(e string) bool {
		variable, _, _ := strings.Cut(e, "=")
		for _, i := range Inputs {
			for _, prefix := range []string{inputPrefix, pluginPrefix, ourPrefix} {
				if i.Secret() && slices.Contains(spellings(prefix, i), s.cased(variable)) {
					return true
				}
			}
		}
		return false
	})
}

// find returns the value of an input, trimmed, and the name under which it was
// set. Blank is unset: GitHub's runner sets a variable for every input that
// action.yml declares.
func (s *Source) find(i Input) (value, from string, ok bool) {
	if v := trim(i, s.flags[i.Name]); v != "" {
		return v, "--" + i.Name, true
	}
	for _, prefix := range s.Prefixes {
		for _, name := range spellings(prefix, i) {
			v, set := s.env[name]
			if v = trim(i, v); v != "" {
				return v, s.Variable(i.Name), true
			}
			if set && prefix == inputPrefix {
				break // an earlier step can set the other spelling through GITHUB_ENV
			}
		}
	}
	if i.Name == "access-token" && s.IsSet("oidc-provider-name") {
		return "", "", false // the variable is JFrog's own, and there for other tools
	}
	if v := trim(i, s.env[i.or]); v != "" {
		return v, i.or, true
	}
	return "", "", false
}

// Give sets an input, as a flag does.
func (s *Source) Give(name, value string) {
	if s.flags == nil {
		s.flags = map[string]string{}
	}
	s.flags[name] = value
}

// IsSet reports whether an input is set, usable or not.
func (s *Source) IsSet(name string) bool {
	_, _, ok := s.find(input(name))
	return ok
}

// Name returns the name under which an input is set, or can be.
func (s *Source) Name(name string) string {
	if _, from, ok := s.find(input(name)); ok {
		return from
	}
	return s.Variable(name)
}

// blank returns the variable of an input that exists with nothing in it, "" if
// there is none. On GitHub every one exists.
func (s *Source) blank(name string) string {
	i := input(name)
	for _, prefix := range s.Prefixes {
		for _, variable := range spellings(prefix, i) {
			if v, set := s.env[variable]; set && prefix != inputPrefix && strings.TrimSpace(v) == "" {
				return s.Variable(name)
			}
		}
	}
	if v, set := s.env[i.or]; set && strings.TrimSpace(v) == "" {
		return i.or
	}
	return ""
}

// trim takes whitespace off a value. At the end of description-prefix a space
// counts: it ends the prefix's last word.
func trim(i Input, v string) string {
	trimmed := strings.TrimSpace(v)
	if i.Name == "description-prefix" && trimmed != "" {
		return strings.TrimRight(strings.TrimLeft(v, " \t\r\n"), "\t\r\n")
	}
	return trimmed
}

// Wrong returns an *Error if there is something wrong with inputs that a command
// has no need of: a flag that cannot be read, a misspelt variable.
func (s *Source) Wrong() error {
	var problems []string
	for _, i := range Inputs {
		if v := trim(i, s.flags[i.Name]); v != "" {
			if _, wrong := i.parse(v); wrong != "" {
				problems = append(problems, "--"+i.Name+": "+wrong)
			}
		}
	}
	if problems = append(problems, s.misspelt()...); problems != nil {
		return &Error{Problems: problems}
	}
	return nil
}

// misspelt is a problem for each variable that looks like an input and is none:
// a misspelt scope must not make a token of full scope.
func (s *Source) misspelt() []string {
	var problems []string
	for _, e := range slices.Sorted(slices.Values(s.environ)) {
		variable, _, _ := strings.Cut(e, "=")
		prefix, rest := s.looksLike(variable)
		if prefix == "" || prefix != inputPrefix && rest == "DEBUG" || s.known(variable) {
			continue
		}
		probable, near := suggest(rest)
		switch {
		case prefix == s.Shared && !near:
		case probable == "":
			problems = append(problems, s.shown(variable, prefix)+": no such input; jfrog-token help lists all")
		case prefix == ourPrefix:
			problems = append(problems, variable+": no such input; probably "+ourPrefix+input(probable).key()+" is meant")
		default:
			problems = append(problems, s.shown(variable, prefix)+": no such input; probably "+s.Variable(probable)+" is meant")
		}
	}
	return problems
}

// looksLike returns the prefix that a variable has, or was probably meant to
// have, and the rest of its name.
func (s *Source) looksLike(variable string) (prefix, rest string) {
	name := strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToUpper(variable))
	for _, slip := range []string{"JFROGTOKEN_", "JFROG_TOKENS_"} {
		if rest, ok := strings.CutPrefix(name, slip); ok {
			name = ourPrefix + rest
		}
	}
	for _, p := range s.Prefixes {
		if rest, ok := strings.CutPrefix(name, p); ok {
			return p, rest
		}
	}
	return "", ""
}

// elsewhere is a warning for each variable that carries an input where this run
// does not look: JFROG_TOKEN_… beside an action, INPUT_… in a run: step.
func (s *Source) elsewhere() []string {
	var warnings []string
	for _, e := range slices.Sorted(slices.Values(s.environ)) {
		variable, value, _ := strings.Cut(e, "=")
		for _, prefix := range []string{inputPrefix, ourPrefix} {
			rest, ok := strings.CutPrefix(variable, prefix)
			name := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
			_, isInput := Named(name)
			if ok && isInput && strings.TrimSpace(value) != "" && !slices.Contains(s.Prefixes, prefix) && !s.IsSet(name) {
				warnings = append(warnings, variable+" is not read here; set "+s.Variable(name))
			}
		}
	}
	return warnings
}

// shown is a variable as the user set it: a setting or an input, or the variable
// itself.
func (s *Source) shown(variable, prefix string) string {
	rest, ok := strings.CutPrefix(variable, prefix)
	if !ok || prefix == ourPrefix || rest != strings.ToUpper(rest) {
		return variable
	}
	return strings.ToLower(rest)
}

// known reports whether a variable carries an input.
func (s *Source) known(variable string) bool {
	for _, prefix := range s.Prefixes {
		for _, i := range Inputs {
			for _, name := range spellings(prefix, i) {
				if name == s.cased(variable) {
					return true
				}
			}
		}
	}
	return false
}
