package config

import (
	"strings"
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
}

// NewSource returns the inputs of an environment, as os.Environ returns it, and
// of flags. Its fields are for the CI to set.
func NewSource(environ []string, flags map[string]string) *Source {
	s := &Source{
		Variable: func(input string) string { return input }, environ: environ, env: map[string]string{}, flags: flags,
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		s.env[name] = value
	}
	return s
}

// Getenv returns a variable as it is.
func (s *Source) Getenv(name string) string { return s.env[name] }

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

// stored returns the stored token: the input, else the variable that JFrog's own
// tools read.
func (s *Source) stored() (token string, ok bool) {
	i := input("access-token")
	if v, _, ok := s.find(i); ok {
		return v, true
	}
	v := trim(i, s.env["JF_ACCESS_TOKEN"])
	return v, v != ""
}

// isBlank reports whether the variable of an input exists, with nothing in it.
// On GitHub every one exists.
func (s *Source) isBlank(name string) bool {
	i := input(name)
	for _, prefix := range s.Prefixes {
		for _, variable := range spellings(prefix, i) {
			if v, set := s.env[variable]; set && prefix != inputPrefix && strings.TrimSpace(v) == "" {
				return true
			}
		}
	}
	return false
}

// trim takes whitespace off a value. At the end of description-prefix a blank
// counts: it ends the prefix's last word.
func trim(i Input, v string) string {
	trimmed := strings.TrimSpace(v)
	if i.Name == "description-prefix" && trimmed != "" {
		return strings.TrimRight(strings.TrimLeft(v, " \t\r\n"), "\t\r\n")
	}
	return trimmed
}

// Misspelt returns an *Error if a variable looks like an input and is none: a
// misspelt scope must not make a token of full scope.
func (s *Source) Misspelt() error {
	if problems := s.misspelt(); problems != nil {
		return &Error{Problems: problems}
	}
	return nil
}

func (s *Source) misspelt() []string {
	var problems []string
	for _, e := range s.environ {
		variable, _, _ := strings.Cut(e, "=")
		for _, prefix := range s.Prefixes {
			rest, ok := strings.CutPrefix(variable, prefix)
			if !ok || prefix != inputPrefix && rest == "DEBUG" || s.known(variable) {
				continue
			}
			probable, near := suggest(rest)
			switch {
			case prefix == s.Shared && !near:
			case probable != "":
				problems = append(problems, s.shown(variable, prefix)+": no such input; probably "+s.Variable(probable)+" is meant")
			default:
				problems = append(problems, s.shown(variable, prefix)+": no such input; jfrog-token help lists all")
			}
		}
	}
	return problems
}

// shown is a variable as the user set it: a setting or an input, or the variable
// itself.
func (s *Source) shown(variable, prefix string) string {
	if prefix == ourPrefix {
		return variable
	}
	return strings.ToLower(strings.TrimPrefix(variable, prefix))
}

// known reports whether a variable carries an input.
func (s *Source) known(variable string) bool {
	for _, prefix := range s.Prefixes {
		for _, i := range Inputs {
			for _, name := range spellings(prefix, i) {
				if name == variable {
					return true
				}
			}
		}
	}
	return false
}
