package config

import (
	"reflect"
	"strings"
)

// Lookuper finds an input in the environment. Blank is unset: GitHub's runner
// sets a variable for every input that action.yml declares.
type Lookuper struct {
	// Env gives a variable that is set and not blank, trimmed.
	Env func(name string) (string, bool)
	// Prefixes of the variables that carry inputs, the first that has one
	// wins.
	Prefixes []string
}

// NewLookuper reads the environment through lookup.
func NewLookuper(lookup func(string) (string, bool), prefixes ...string) Lookuper {
	return Lookuper{Prefixes: prefixes, Env: func(name string) (string, bool) {
		v, ok := lookup(name)
		v = strings.TrimSpace(v)
		return v, ok && v != ""
	}}
}

// Lookup implements envconfig.Lookuper. GitHub and Drone keep the dashes of
// an input in its variable's name, Woodpecker and people turn them into '_';
// go-envconfig takes no dash in a tag.
func (l Lookuper) Lookup(key string) (string, bool) {
	for _, prefix := range l.Prefixes {
		for _, name := range []string{prefix + strings.ReplaceAll(key, "_", "-"), prefix + key} {
			if v, ok := l.Env(name); ok {
				return v, true
			}
		}
	}
	if key == "URL" {
		return l.Env("JF_URL")
	}
	return "", false
}

// Input describes one input, for the help text and for the test that compares
// action.yml and the README with it.
type Input struct {
	Name, Default, Help string
	FilesOnly           bool // has no use on GitHub: not in action.yml
}

// Inputs lists every input.
func Inputs() []Input {
	var list []Input
	for f := range reflect.TypeFor[inputs]().Fields() {
		key, def, _ := strings.Cut(f.Tag.Get("env"), ", default=")
		list = append(list, Input{strings.ReplaceAll(strings.ToLower(key), "_", "-"), def, f.Tag.Get("help"), f.Tag.Get("only") == "files"})
	}
	return list
}
