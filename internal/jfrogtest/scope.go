package jfrogtest

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

const (
	userScope    = "applied-permissions/user"
	adminScope   = "applied-permissions/admin"
	groupsPrefix = "applied-permissions/groups:"
	rolesPrefix  = "applied-permissions/roles:"
	allAudiences = "*@*"
)

// The grammar is the one of JFrog's Terraform provider, artifactory_scoped_token.
const actions = `(?:[rwdamxs*]+|[rwdamxs]+(?:,[rwdamxs]+)+)$`

var (
	scopeTokens = []*regexp.Regexp{
		regexp.MustCompile(`^applied-permissions/(?:user|admin)$`),
		regexp.MustCompile(`^applied-permissions/groups:.+$`),
		regexp.MustCompile(`^applied-permissions/roles:.+:.+$`),
		regexp.MustCompile(`^artifact:.+:` + actions),
		regexp.MustCompile(`^system:(?:metrics|livelogs|identities|permissions|info|storage):` + actions),
	}
	mappingScope  = regexp.MustCompile(`^applied-permissions/(?:user|admin|groups:.+|roles:.+:.+)$`)
	audienceToken = regexp.MustCompile(`^(?:jfrt|jfxr|jfpip|jfds|jfmc|jfac|jfevt|jfmd|jfcon|jfxfer|jflnk|jfint|jfwks|jffe|\*)@.+$`)
)

//lint:ignore ST1005 JFrog says it so
var errScope = errors.New("Invalid scope")

// parseScope splits a scope into its tokens. A blank between quotes does not separate.
func parseScope(scope string) ([]string, error) {
	tokens, err := splitQuoted(scope, ' ')
	if err != nil {
		return nil, err
	}
	for _, token := range tokens {
		if !slices.ContainsFunc(scopeTokens, func(re *regexp.Regexp) bool { return re.MatchString(token) }) {
			return nil, errScope
		}
	}
	return tokens, nil
}

func splitQuoted(s string, sep rune) ([]string, error) {
	quoted := false
	parts := strings.FieldsFunc(s, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == sep && !quoted
	})
	if quoted {
		return nil, errScope
	}
	return parts, nil
}

// members are the group or role names of a scope token, without their quotes.
func members(list string) []string {
	parts, _ := splitQuoted(list, ',')
	for i := range parts {
		parts[i] = strings.Trim(parts[i], `"`)
	}
	return parts
}

func countGroups(scope []string) int {
	n := 0
	for _, token := range scope {
		if strings.HasPrefix(token, groupsPrefix) {
			n++
		}
	}
	return n
}

// within says whether a token that has the scope have may hand out the scope token want.
func within(want string, have []string) bool {
	return slices.ContainsFunc(have, func(h string) bool {
		if h == want {
			return true
		}
		if w, ok := strings.CutPrefix(want, groupsPrefix); ok && strings.HasPrefix(h, groupsPrefix) {
			return subset(members(w), members(h[len(groupsPrefix):]))
		}
		if w, ok := strings.CutPrefix(want, rolesPrefix); ok && strings.HasPrefix(h, rolesPrefix) {
			project, roles, _ := strings.Cut(w, ":")
			haveProject, haveRoles, _ := strings.Cut(h[len(rolesPrefix):], ":")
			return project == haveProject && subset(members(roles), members(haveRoles))
		}
		return false
	})
}

func subset(small, big []string) bool {
	return !slices.ContainsFunc(small, func(s string) bool { return !slices.Contains(big, s) })
}

// accepts says whether a token's audience includes a service of the given type.
func accepts(audience, service, serviceID string) bool {
	for _, a := range strings.Fields(audience) {
		if a == allAudiences || a == service+"@*" || a == serviceID {
			return true
		}
	}
	return false
}
