package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
)

// notShown are claims that no mapping matches on: they are new with each token
// or run, or about a person.
var notShown = []string{
	"jti", "exp", "iat", "nbf", "nonce", "auth_time", "at_hash", "c_hash", "sid", "name",
	"sha", "workflow_sha", "job_workflow_sha", "run_id", "run_number", "run_attempt", "check_run_id",
	"job_id", "build_number", "build_commit",
}

// Of a hostile or a very large token, no more is shown than a reader can use.
const (
	maxClaims  = 60
	maxClaim   = 200 // characters
	maxMapping = 2000
	maxScope   = 500 // which is JFrog's own limit
)

// claimLines lists the claims of an ID token, whoever issued it.
func claimLines(c jwt.Claims) []string {
	var lines []string
	for _, name := range shownClaims(c) {
		lines = append(lines, "  "+claimLine(c, name))
	}
	return lines
}

func claimLine(c jwt.Claims, name string) string {
	return fmt.Sprintf("%s: %s", cut(name, maxClaim), cut(claimText(c[name]), maxClaim))
}

// shownClaims returns the names of the claims that are shown, in order.
func shownClaims(c jwt.Claims) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if slices.Contains(notShown, name) || strings.HasSuffix(name, "email") || len(names) == maxClaims {
			continue
		}
		value, _ := c[name].(string)
		isText := value != ""
		if !isText {
			value = claimText(c[name])
		}
		_, err := jwt.Peek(value)
		if value == "" || value == "null" || err == nil || !isText && strings.Contains(value, "@") {
			continue // nothing, a token of another, or somebody's address
		}
		names = append(names, name)
	}
	return names
}

func claimText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// mapping is the JSON of the claims by which a mapping knows this repository:
// those that nobody else can have, as the CI's file in internal/ci names them,
// else sub. It is "" if there are none: a mapping with no claims lets anyone in.
func (j *job) mapping(c jwt.Claims) string {
	match := j.matching(c)
	text, _ := json.Marshal(match)
	if len(match) == 0 || len(text) > maxMapping {
		return ""
	}
	return string(text)
}

func (j *job) matching(c jwt.Claims) map[string]any {
	match := map[string]any{}
	for _, name := range j.ci.Identity() {
		if v, ok := c[name]; ok {
			match[name] = v
		}
	}
	if sub := c.String("sub"); len(match) == 0 && sub != "" {
		match["sub"] = sub
	}
	return match
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
