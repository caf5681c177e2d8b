package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// reader turns text into values and gathers what is wrong with it.
type reader struct {
	c        *Config
	problems []string
}

func (r *reader) problem(input, what string) { r.problems = append(r.problems, input+": "+what) }
func (r *reader) warn(what string)           { r.c.Warnings = append(r.c.Warnings, what) }

// credential settles which of the two modes it is.
func (r *reader) credential(lookup Lookuper) {
	c := r.c
	if c.AccessToken.IsZero() && !c.OIDC() {
		if v, ok := lookup.Env("JF_ACCESS_TOKEN"); ok {
			c.AccessToken = secret.New(v)
		}
	}
	switch {
	case c.OIDC() && !c.AccessToken.IsZero():
		r.problem("access-token", "cannot stand beside oidc-provider-name; remove one of the two")
	case !c.OIDC() && c.AccessToken.IsZero():
		r.problem("oidc-provider-name", "nothing says who this job is; set it to the name of the OIDC integration in JFrog, or set access-token (an empty one counts as unset: is the secret there?)")
	}
	if !c.OIDC() {
		for _, i := range []struct {
			name string
			set  bool
		}{
			{"oidc-audience", c.OIDCAudience != ""}, {"id-token", !c.IDToken.IsZero()},
			{"identity-mapping-name", c.IdentityMappingName != ""}, {"application-key", c.ApplicationKey != ""},
		} {
			if i.set {
				r.problem(i.name, "needs oidc-provider-name")
			}
		}
	}
	if v := c.AccessToken.Reveal(); strings.ContainsFunc(v, secret.NotInToken) {
		r.problem("access-token", "holds a blank, a line break or another character that no token has")
	} else if strings.HasPrefix(v, "AKCp") {
		r.problem("access-token", "is an API key, which JFrog Access does not take; make an identity token")
	}
	if v := c.IDToken.Reveal(); v != "" {
		if _, err := jwt.Peek(v); err != nil || strings.ContainsFunc(v, secret.NotInToken) {
			r.problem("id-token", "is not a JWT; is the variable's value given, or only its name?")
		}
		if c.OIDCAudience != "" {
			r.warn("oidc-audience has no effect beside id-token: its audience is already fixed")
		}
	}
	r.text("oidc-provider-name", c.ProviderName, 255)
	r.text("oidc-audience", c.OIDCAudience, 1024)
	r.text("identity-mapping-name", c.IdentityMappingName, 255)
	r.text("application-key", c.ApplicationKey, 255)
}

// text checks a value that is sent as it is.
func (r *reader) text(input, v string, limit int) {
	switch {
	case utf8.RuneCountInString(v) > limit:
		r.problem(input, fmt.Sprintf("is longer than %d characters", limit))
	case strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c == 0x7f }):
		r.problem(input, "must be one line without control characters")
	case !utf8.ValidString(v):
		r.problem(input, "is not UTF-8")
	}
}

// boolean accepts the spellings of YAML 1.2's core schema, as
// core.getBooleanInput of GitHub's toolkit does.
func (r *reader) boolean(input, v string) bool {
	switch v {
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	r.problem(input, "must be true or false")
	return false
}

func (r *reader) duration(input, v string) time.Duration {
	if v == "" {
		return 0
	}
	d, ok := ParseDuration(v)
	if !ok {
		r.problem(input, "must be a time above zero: 15m, 1h30m, or seconds")
	}
	return d
}

// ParseDuration reads "15m", "1h30m" or whole seconds. It accepts what is
// above zero and at most 2³¹-1 seconds, which is what JFrog can count.
func ParseDuration(v string) (time.Duration, bool) {
	d, err := time.ParseDuration(v)
	if n, e := strconv.ParseUint(v, 10, 31); e == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 || d > (1<<31-1)*time.Second {
		return 0, false
	}
	return d, true
}
