package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const groupsPrefix = "applied-permissions/groups:"

// scope joins the inputs scope and groups.
func (r *reader) scope(scope, groups string) string {
	tokens, err := splitScope(scope)
	if err != nil {
		r.problem("scope", err.Error())
	}
	names, err := splitGroups(groups)
	if err != nil {
		r.problem("groups", err.Error())
	}
	if len(names) > 0 {
		tokens = append(tokens, groupsScope(names))
	}
	several := 0
	for _, t := range tokens {
		if strings.HasPrefix(t, groupsPrefix) {
			several++
		}
	}
	if several > 1 {
		// https://github.com/jfrog/terraform-provider-artifactory/issues/1233
		r.warn("scope", "has more than one "+groupsPrefix+"…; JFrog creates such a token and refuses it with 403 "+
			"later; put all groups into one")
	}
	joined := strings.Join(tokens, " ")
	if utf8.RuneCountInString(joined) > maxScope {
		r.problem("scope", fmt.Sprintf("is longer than %d characters, groups included", maxScope))
	}
	return joined
}

// splitScope returns the scope tokens of s. Whitespace within double quotes does
// not separate two.
func splitScope(s string) ([]string, error) {
	return split(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

// splitGroups returns the names in s, separated by commas or line breaks.
// Quotes around a name are taken off.
func splitGroups(s string) ([]string, error) {
	names, err := split(s, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' })
	if err != nil {
		return nil, err
	}
	var list []string
	for _, n := range names {
		if n = strings.TrimSpace(n); len(n) > 1 && n[0] == '"' && n[len(n)-1] == '"' {
			n = strings.TrimSpace(n[1 : len(n)-1])
		}
		switch {
		case strings.Contains(n, `"`):
			return nil, errors.New("a quote stands within a name")
		case n != "":
			list = append(list, n)
		}
	}
	return list, nil
}

// groupsScope writes one scope for all names: two such scopes in a token do
// not work together. A name with a space or a comma is quoted
// (https://github.com/jfrog/terraform-provider-artifactory/issues/903).
func groupsScope(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		if quoted[i] = n; strings.ContainsAny(n, " ,") {
			quoted[i] = `"` + n + `"`
		}
	}
	return groupsPrefix + strings.Join(quoted, ",")
}

// split cuts s at separators outside double quotes.
func split(s string, separator func(rune) bool) ([]string, error) {
	var parts []string
	var part strings.Builder
	inQuotes := false
	flush := func() {
		if part.Len() > 0 {
			parts = append(parts, part.String())
			part.Reset()
		}
	}
	for _, r := range s {
		switch {
		case r == '"':
			inQuotes = !inQuotes
			part.WriteRune(r)
		case separator(r) && !inQuotes:
			flush()
		case r == utf8.RuneError || r < ' ' || r == 0x7f:
			return nil, errors.New("holds a control character, or a line break within quotes")
		default:
			part.WriteRune(r)
		}
	}
	if flush(); inQuotes {
		return nil, errors.New("a double quote is not closed")
	}
	return parts, nil
}
