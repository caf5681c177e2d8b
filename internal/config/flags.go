package config

import (
	"slices"
	"strings"
)

// Args is a command line.
type Args struct {
	Words []string          // what is no flag: the command, and what it takes
	Flags map[string]string // inputs by name
	Help  bool              // -h, -help or --help
}

// ParseArgs reads a command line: --name VALUE, --name=VALUE, and --name alone
// for an input that is true or false. Whatever follows -- is a word, and so is
// whatever follows the command that exec runs. The error
// is an *Error, and repeats nothing of the command line: it may hold a
// credential that somebody put there by mistake.
func ParseArgs(args []string) (Args, error) {
	a := Args{Flags: map[string]string{}}
	var problems []string
	for n := 0; n < len(args); n++ {
		flag, value, hasValue := strings.Cut(args[n], "=")
		switch {
		case args[n] == "--":
			a.Words = append(a.Words, args[n+1:]...)
			n = len(args)
			continue
		case slices.Contains([]string{"-h", "-help", "--help"}, args[n]):
			a.Help = true
			continue
		case !strings.HasPrefix(flag, "-"):
			if a.Words = append(a.Words, args[n]); a.Words[0] == "exec" && len(a.Words) == 2 {
				a.Words = append(a.Words, args[n+1:]...)
				n = len(args)
			}
			continue
		}
		name := strings.TrimLeft(flag, "-")
		i, ok := Named(name)
		if !ok || !strings.HasPrefix(flag, "--") || strings.HasPrefix(flag, "---") {
			problem := "unknown flag; jfrog-token help lists all"
			if probable, _ := suggest(name); probable != "" {
				problem = "unknown flag; probably --" + probable + " is meant"
			}
			problems = append(problems, problem)
			if !hasValue && n+1 < len(args) && !strings.HasPrefix(args[n+1], "-") {
				n++ // most likely its value
			}
			continue
		}
		if !hasValue {
			isLast := n+1 == len(args)
			switch {
			case i.Boolean() && (isLast || !isBoolean(args[n+1])):
				value, hasValue = "true", true
			case !isLast && !strings.HasPrefix(args[n+1], "--"):
				value, hasValue = args[n+1], true
				n++
			}
		}
		switch _, twice := a.Flags[name]; {
		case i.Secret():
			problems = append(problems, "--"+name+": a secret does not belong on a command line, which every "+
				"process of the machine can read; set it in the environment")
		case hasValue && strings.TrimSpace(value) == "":
			problems = append(problems, "--"+name+": is empty")
		case !hasValue:
			problems = append(problems, "--"+name+": has no value; write --"+name+"=VALUE if it begins with --")
		case twice:
			problems = append(problems, "--"+name+": is given twice")
		default:
			a.Flags[name] = value
		}
	}
	if problems != nil {
		return Args{}, &Error{Problems: problems}
	}
	return a, nil
}

// CheckFlags says which flags do not apply to a command. The error is an *Error.
func (a Args) CheckFlags(command string) error {
	var problems []string
	for _, i := range Inputs {
		switch _, ok := a.Flags[i.Name]; {
		case !ok:
		case i.Name == "command" && len(a.Words) > 0:
			problems = append(problems, "--command: the command is given already")
		case i.Name != "command" && !i.AppliesTo(command):
			problems = append(problems, "--"+i.Name+": is not for "+command+", but for "+or(strings.Fields(i.Commands)))
		}
	}
	if problems != nil {
		return &Error{Problems: problems}
	}
	return nil
}
