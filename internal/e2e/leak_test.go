package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// derived returns the forms of a secret that stand in logs and files of their own: itself, URL-escaped, JSON-escaped, and
// base64 of user:secret where there is a user.
func derived(user, secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	if user != "" {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(user+":"+secret)))
	}
	j, _ := json.Marshal(secret)
	return append(forms, string(j[1:len(j)-1]))
}

// encoded returns what base64 of any text with the secret in it contains: one of three middles, in each alphabet. Its
// edges depend on what stands beside the secret.
func encoded(secret string) []string {
	var forms []string
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range 3 {
			if e := enc.EncodeToString([]byte(strings.Repeat("x", offset) + secret)); len(e) > 12 {
				forms = append(forms, e[4:len(e)-4])
			}
		}
	}
	return forms
}

// partLength is how much of a secret is too much of it.
const partLength = 12

// parts returns every part of s that is partLength bytes long.
func parts(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 0; i+partLength <= len(s); i++ {
			if !yield(s[i : i+partLength]) {
				return
			}
		}
	}
}

// squeezed is the text without what a reader does not see, or would take out: whitespace, control and format characters.
func squeezed(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text)
}

var githubHidden = regexp.MustCompile(`^::add-mask::`)

// hiddenLines returns what a line begins with that the CI does not show, in an environment as that of a job, or nil.
func hiddenLines(env map[string]string) *regexp.Regexp {
	switch {
	case env["GITHUB_ACTIONS"] != "":
		return githubHidden
	case env["TF_BUILD"] != "":
		return runnertest.AzureHidden
	}
	return nil
}

// leak proves that no secret, and no part of one, is in anything that was printed, in the summary or in an exported
// variable, in any derived form. The one place for a secret is its own mask, which the runner does not show; everything
// around that line is checked.
func leak(res *runnertest.Result, secrets []jfrogtest.Secret, hidden *regexp.Regexp) error {
	var printed strings.Builder
	for line := range strings.Lines(res.Raw) {
		if hidden == nil || !hidden.MatchString(line) {
			printed.WriteString(line)
		}
	}
	printed.WriteString(res.Summary)
	for k, v := range res.Env {
		if exportable[k] {
			continue // by export-env
		}
		printed.WriteString(k + "=" + v + "\n")
	}
	for _, text := range []string{printed.String(), squeezed(printed.String()), res.Log, squeezed(res.Log)} {
		shown := map[string]bool{}
		for part := range parts(text) {
			shown[part] = true
		}
		for _, s := range secrets {
			for _, form := range derived("", s.Value) {
				if strings.Contains(text, form) {
					return fmt.Errorf("%s is printed:\n%s", s.Name, text)
				}
			}
			for _, form := range append(encoded(s.Value), s.Value) {
				for part := range parts(form) {
					if shown[part] {
						return fmt.Errorf("a part of %s is printed, %q:\n%s", s.Name, part, text)
					}
				}
			}
		}
	}
	return nil
}

func TestLeak(t *testing.T) {
	const (
		token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjaS1ib3QifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
		mask  = "::add-mask::"
	)
	secrets := []jfrogtest.Secret{{Name: "token", Value: token}}
	for line, want := range map[string]bool{
		"##vso[task.setsecret]": false, "##vso[task.setvariable variable=A;issecret=true]": false,
		"##vso[task.setvariable variable=A]": true, "##vso[task.setvariable variable=A;issecret=false]": true,
	} {
		if err := leak(&runnertest.Result{Raw: line + token + "\n"}, secrets, runnertest.AzureHidden); (err != nil) != want {
			t.Errorf("%s: expected an error to be %t: %v", line, want, err)
		}
	}
	for name, test := range map[string]struct {
		raw  string
		want bool
	}{
		"nothing":                    {"jfrog-token v1\n", false},
		"a mask":                     {mask + token + "\n", false},
		"a mask that is no line":     {"x " + mask + token + "\n", true},
		"whole":                      {"it is " + token + "\n", true},
		"12 bytes":                   {"it is " + token[30:42] + "!\n", true},
		"11 bytes":                   {"it is " + token[30:41] + "!\n", false},
		"spread over lines":          {token[30:38] + "\n" + token[38:46] + "\n", true},
		"with zero width spaces":     {token[30:36] + "\u200b" + token[36:42] + "\u00ad\n", true},
		"base64 of user and token":   {base64.StdEncoding.EncodeToString([]byte("ci-bot:"+token)) + "\n", true},
		"a part of such base64":      {base64.StdEncoding.EncodeToString([]byte("ci-bot:" + token))[40:54] + "\n", true},
		"URL-safe base64, an offset": {base64.URLEncoding.EncodeToString([]byte("a?>" + token))[30:60] + "\n", true},
	} {
		if err := leak(&runnertest.Result{Raw: test.raw}, secrets, githubHidden); (err != nil) != test.want {
			t.Errorf("%s: expected an error to be %t: %v", name, test.want, err)
		}
	}
	if leak(&runnertest.Result{Summary: token}, secrets, githubHidden) == nil || leak(&runnertest.Result{Env: map[string]string{"A": token}}, secrets, githubHidden) == nil {
		t.Error("the summary or an exported variable is not looked at")
	}
}

// exportable are the variables that export-env is for.
var exportable = map[string]bool{
	"JF_ACCESS_TOKEN": true, "JFROG_ACCESS_TOKEN": true, "JF_REFERENCE_TOKEN": true, "JF_REFRESH_TOKEN": true,
}
