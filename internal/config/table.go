package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// Input is one row of the table.
type Input struct {
	Name, Default, Help string
	Group               string   // in the help
	Commands            []string // to which it applies
	Secret              bool
	FilesOnly           bool // of no use to GitHub's runner, and not in action.yml

	key    string // in its variable's name: upper case, with '_'
	or     string // another variable, read if the input is not set
	kind   reflect.Type
	max    int
	values []string // of a choice
}

// Inputs is every input, in the order of the table.
var Inputs = readTable()

func readTable() []Input {
	var list []Input
	var group, commands string
	for f := range reflect.TypeFor[Config]().Fields() {
		tag, ok := f.Tag.Lookup("env")
		if !ok {
			continue
		}
		key, options, _ := strings.Cut(tag, ", ")
		def, _ := strings.CutPrefix(options, "default=")
		if def == "noinit" {
			def = ""
		}
		if g := f.Tag.Get("group"); g != "" {
			group = g
		}
		if c, ok := f.Tag.Lookup("for"); ok {
			commands = c
		}
		limit, _ := strconv.Atoi(f.Tag.Get("max"))
		list = append(list, Input{
			Name: strings.ReplaceAll(strings.ToLower(key), "_", "-"), Default: def, Help: f.Tag.Get("help"),
			Group: group, Commands: strings.Fields(commands), Secret: f.Type == reflect.TypeFor[secret.String](), FilesOnly: f.Tag.Get("only") == "files",
			key: key, or: f.Tag.Get("or"), kind: f.Type, max: limit, values: strings.Fields(f.Tag.Get("oneof")),
		})
	}
	return list
}

// Named returns the input of a name in kebab case.
func Named(name string) (Input, bool) {
	n := slices.IndexFunc(Inputs, func(i Input) bool { return i.Name == name })
	if n < 0 {
		return Input{}, false
	}
	return Inputs[n], true
}

// inputOf returns the input of a key that is in the table.
func inputOf(key string) Input {
	return Inputs[slices.IndexFunc(Inputs, func(i Input) bool { return i.key == key })]
}

// Values are those of a choice.
func (i Input) Values() []string { return i.values }

// Boolean reports whether the input is true or false.
func (i Input) Boolean() bool {
	return i.kind == reflect.TypeFor[bool]() || i.kind == reflect.TypeFor[*bool]()
}

// parse checks a value by its kind, and returns it as envconfig decodes it. What
// is wrong is said without the value.
func (i Input) parse(v string) (value, wrong string) {
	if unexpanded(v) {
		return "", "holds an expression that nothing expanded, such as ${{ … }} or $(…); does the CI expand it there, and is its name right?"
	}
	switch {
	case i.Boolean():
		// The spellings of YAML 1.2's core schema, as core.getBooleanInput of
		// GitHub's toolkit has them.
		switch v {
		case "true", "True", "TRUE", "false", "False", "FALSE":
			return strings.ToLower(v), ""
		}
		return "", "must be true or false"
	case i.kind == reflect.TypeFor[time.Duration]():
		d, ok := ParseDuration(v)
		if !ok {
			return "", "must be a time above zero, such as 15m, 1h30m, 2d, or a number of seconds"
		}
		return d.String(), ""
	case i.kind == reflect.TypeFor[int]():
		if n, err := strconv.Atoi(v); err != nil || n < 1 || n > i.max {
			return "", fmt.Sprintf("must be a number from 1 to %d", i.max)
		}
	case i.kind == reflect.TypeFor[[]string]():
		return strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r <= ' ' || r == ',' }), ","), ""
	case i.key == "URL":
		u, wrong := ParseURL(v)
		if wrong != "" {
			return "", wrong
		}
		return u.String(), ""
	case len(i.values) > 0:
		if !slices.Contains(i.values, v) {
			return "", "must be " + or(i.values)
		}
	case i.max > 0:
		return v, text(v, i.max)
	}
	return v, ""
}

// unexpanded reports whether a value is, or holds, what a CI would have
// replaced: GitHub's and Codefresh's ${{ … }}, Azure's $(name), a shell's $name
// and ${name}.
func unexpanded(v string) bool {
	if strings.Contains(v, "${{") {
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

// text checks a value that is sent as it is.
func text(v string, limit int) (wrong string) {
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
