package config

import (
	"slices"
	"strings"
)

// suggest returns the input that a name was probably meant to be; "" if none is
// like it. near says that it can hardly be something else: a few letters are
// wrong, words are missing, or it is a name that people use for it.
func suggest(name string) (input string, near bool) {
	if len(name) > 64 {
		return "", false
	}
	name = strings.NewReplacer("_", "-", ".", "-", " ", "-").Replace(strings.ToLower(name))
	if input, near = like(name); near {
		return input, true
	}
	for _, prefix := range []string{"jfrog-", "jf-", "token-"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			if input, near := like(rest); near {
				return input, true
			}
		}
	}
	return withWords(name, func(theirs, ours []string) bool { return subset(ours, theirs) }), false
}

// meant are names that are like several inputs, or like none, and that people
// use.
var meant = map[string]string{
	"token": "access-token", "id": "token-id", "user": "username", "users": "username",
	"expiry": "expires-in", "expires": "expires-in", "expiration": "expires-in", "ttl": "expires-in",
	"lifetime": "expires-in", "duration": "expires-in",
	"permission": "scope", "permissions": "scope", "role": "scope", "roles": "scope",
}

// like returns the input that a name is near to.
func like(name string) (input string, near bool) {
	if i, ok := meant[name]; ok {
		return i, true
	}
	best := len(name)
	for _, i := range Inputs {
		if d := distance(name, i.Name); d < best {
			input, best = i.Name, d
		}
	}
	if input != "" && best <= max(1, len(name)/4) {
		return input, true
	}
	input = withWords(name, func(theirs, ours []string) bool { return subset(theirs, ours) })
	return input, input != ""
}

// withWords returns the shortest input whose words match.
func withWords(name string, match func(theirs, ours []string) bool) (found string) {
	for _, i := range Inputs {
		if match(strings.Split(name, "-"), strings.Split(i.Name, "-")) && (found == "" || len(i.Name) < len(found)) {
			found = i.Name
		}
	}
	return found
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(w string) bool { return !slices.Contains(b, w) })
}

// distance is how many letters have to be inserted, deleted, replaced or swapped
// with the next to turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
