package ci

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// variable is an output with its names in the env file.
type variable struct {
	output string
	names  []string
	secret bool
}

// variables are the outputs that go into the env file. JFrog's own CLI reads
// JF_…, its plugins and Terraform provider JFROG_….
var variables = []variable{
	{"url", []string{"JF_URL", "JFROG_URL"}, false},
	{"token", []string{"JF_ACCESS_TOKEN", "JFROG_ACCESS_TOKEN"}, true},
	{"username", []string{"JF_USER"}, false},
	// Not JFROG_TOKEN_…, which is the prefix of our inputs.
	{"token-id", []string{"JF_TOKEN_ID"}, false},
	{"expires-at", []string{"JF_TOKEN_EXPIRES_AT"}, false},
	{"reference-token", []string{"JF_REFERENCE_TOKEN"}, true},
	{"refresh-token", []string{"JF_REFRESH_TOKEN"}, true},
}

// envHead is the first line of an env file, by which we know our own.
const envHead = "# Written by jfrog-token. jfrog-token revoke removes it.\n"

// isVariable reports whether an env file of ours may set the name.
func isVariable(name string) bool {
	for _, v := range variables {
		if slices.Contains(v.names, name) {
			return true
		}
	}
	return false
}

// Variables returns the names and values of the variables that outputs go into.
func Variables(outputs []Output) [][2]string {
	var pairs [][2]string
	for _, v := range variables {
		for _, o := range outputs {
			for _, name := range v.names {
				if o.Name == v.output {
					pairs = append(pairs, [2]string{name, o.Value})
				}
			}
		}
	}
	return pairs
}

// CarriesCredential reports whether a variable carries a credential to other
// programs: it is one of Variables, or JFrog's own for an ID token.
func CarriesCredential(name string) bool { return isVariable(name) || name == cliVariable }

// envFile writes outputs in the subset of shell and dotenv that means the same
// to both: one NAME=value a line, quoted where needed.
func envFile(outputs []Output) ([]byte, error) {
	var b strings.Builder
	b.WriteString(envHead)
	for _, v := range variables {
		for _, o := range outputs {
			if o.Name != v.output {
				continue
			}
			q, err := quote(o.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", o.Name, err)
			}
			for _, name := range v.names {
				fmt.Fprintf(&b, "%s=%s\n", name, q)
			}
		}
	}
	return []byte(b.String()), nil
}

var errQuote = errors.New("value has a line break, or quotes that shell and dotenv read differently")

// quote writes a value so that a POSIX shell and dotenv readers agree on it.
// Within single quotes both take all but a single quote as it is. Within
// double quotes they agree where there is nothing to expand.
func quote(v string) (string, error) {
	switch {
	case strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", errQuote
	case v != "" && !strings.ContainsFunc(v, func(r rune) bool { return !bare(r) }):
		return v, nil
	case !strings.Contains(v, "'") && !strings.HasSuffix(v, `\`): // godotenv takes \' for a quote within
		return "'" + v + "'", nil
	case !strings.ContainsAny(v, "\"$`\\!"):
		return `"` + v + `"`, nil
	}
	return "", errQuote
}

// bare are the characters that shell and dotenv readers take as they are,
// without quotes.
func bare(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@+=", r)
}
