package config

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// reader fills a Config and gathers what is wrong with the inputs.
type reader struct {
	*Source
	c            *Config
	problems     []string
	noCredential string
	apiKey       bool // is set instead of a token
}

// Lookup implements envconfig.Lookuper. It returns only what envconfig can
// decode: envconfig stops at the first value that it cannot, and quotes it.
func (r *reader) Lookup(key string) (string, bool) {
	i := input(strings.ReplaceAll(strings.ToLower(key), "_", "-"))
	v, from, ok := r.find(i)
	if !ok {
		return i.Default, i.Default != ""
	}
	v, wrong := i.parse(v)
	if wrong != "" {
		r.problems = append(r.problems, from+": "+wrong)
		return i.Default, i.Default != ""
	}
	return v, true
}

// problem is about an input that is set, or missing.
func (r *reader) problem(name, what string) {
	r.problems = append(r.problems, r.Name(name)+": "+what)
}

func (r *reader) warn(name, what string) {
	r.c.Warnings = append(r.c.Warnings, r.Name(name)+" "+what)
}

var (
	projectKey = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)
	tokenID    = regexp.MustCompile(`^[0-9A-Za-z-]+$`)
)

const aProjectKey = "2 to 32 of a-z, 0-9 and -, the first a letter"

// maxScope is JFrog's limit, in characters.
const maxScope = 500

// check checks what no input can tell alone.
func (r *reader) check(command string) {
	c := r.c
	if !r.IsSet("url") {
		r.problem("url", "is not set; set it, or the variable JF_URL, to the platform's URL, such as "+
			"https://acme.jfrog.io")
	}
	r.proxy()
	c.Warnings = append(c.Warnings, r.elsewhere()...)
	r.credential()
	if c.ExportEnv {
		r.warn("export-env", "is on: every later step of the job holds the token, whatever it runs")
	}
	if command == "mint" || command == "exec" {
		r.refresh()
	}
	c.Scope = r.scope(c.Scope, c.Groups)
	if c.ExpiresIn%time.Second != 0 {
		r.problem("expires-in", "must be whole seconds")
	}
	if c.ExpiresIn > 24*time.Hour {
		r.warn("expires-in", "is more than 24 hours: a credential for one job rarely needs that")
	}
	if c.ProjectKey != "" && !projectKey.MatchString(c.ProjectKey) {
		r.problem("project-key", "must be "+aProjectKey)
	}
	r.pairing()
	r.services()
	c.CACert, c.Roots = r.roots(c.CACert)
	for _, id := range c.TokenIDs {
		if wrong := CheckTokenID(id); wrong != "" {
			r.problem("token-id", wrong)
			break
		}
	}
	if wrong := line(c.DescriptionPrefix, MaxDescription); wrong != "" {
		r.problem("description-prefix", wrong)
	}
	if strings.Contains(c.DescriptionPrefix, "*") {
		r.problem("description-prefix", "must not hold *, which JFrog takes for a wildcard")
	}
	if command == "sweep" {
		if !r.IsSet("description-prefix") {
			r.problem("description-prefix", "is not set: without it sweep would revoke every token")
		}
		if !r.IsSet("older-than") {
			r.problem("older-than", "is not set: without it sweep would revoke the tokens of jobs that are running")
		}
	}
}

var useCase = regexp.MustCompile(`^(mission-control|[a-z][a-z0-9-]*(/[0-9A-Za-z*][0-9A-Za-z_.*-]*)+)$`)

// pairing checks the use case, and that nothing is set that only an access token
// has.
func (r *reader) pairing() {
	if r.c.Pairing == "" {
		return
	}
	if !useCase.MatchString(r.c.Pairing) || strings.Contains(r.c.Pairing, "..") {
		r.problem("pairing", "must be mission-control or <service>/<use case>, such as artifactory/federated-repo/*")
	}
	for _, name := range []string{
		"scope", "groups", "expires-in", "username", "audience", "description", "refreshable", "include-reference-token", "refresh-token", "verify",
	} {
		if v, _, ok := r.find(input(name)); ok && !strings.EqualFold(v, "false") {
			r.problem(name, "has no place beside "+r.Name("pairing"))
		}
	}
}

// The services that can verify a token.
const (
	Platform    = "platform"
	Artifactory = "artifactory"
	Connect     = "connect"
)

// services leaves each service in the input verify once.
func (r *reader) services() {
	var list []string
	for _, v := range r.c.Verify {
		if _, _, wrong := ParseService(v); wrong != "" {
			r.problem("verify", wrong)
			return
		}
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	r.c.Verify = list
}

// ParseService reads a service of the input verify. project is the key of a
// project of Connect. What is wrong is said without the value.
func ParseService(v string) (name, project, wrong string) {
	name, project, more := strings.Cut(v, ":")
	switch {
	case name == Connect && !projectKey.MatchString(project):
		return "", "", "must name the project of Connect, as in connect:shop; a project key is " + aProjectKey
	case name == Connect, (name == Platform || name == Artifactory) && !more:
		return name, project, ""
	}
	return "", "", "must be of platform, artifactory and connect:<project-key>, separated by commas or spaces"
}

// CheckTokenID says what is wrong with the id of a token. A token itself, which
// would stand in the request's path, has a dot, or 64 characters if it is a
// reference token.
func CheckTokenID(id string) (wrong string) {
	if !tokenID.MatchString(id) || id == "me" || len(id) > 50 {
		return "must be ids as JFrog shows them: letters, digits and dashes, 50 at most"
	}
	return ""
}

// credential settles which of the two modes it is.
func (r *reader) credential() {
	c := r.c
	oidc := r.IsSet("oidc-provider-name")
	switch {
	case oidc && r.IsSet("access-token"):
		r.problem("access-token", "cannot stand beside oidc-provider-name; remove one of the two")
	case !oidc && !r.IsSet("access-token") && r.IsSet("refresh-token"):
		r.problem("refresh-token", "needs "+r.Variable("access-token")+", the access token that it came with")
	case !oidc && !r.IsSet("access-token"):
		r.missing()
	}
	if !oidc {
		for _, name := range []string{"oidc-audience", "id-token", "identity-mapping-name", "application-key"} {
			if r.IsSet(name) {
				r.problem(name, "needs "+r.Variable("oidc-provider-name"))
			}
		}
	}
	if v := c.AccessToken.Reveal(); quoted(v) {
		r.problem("access-token", "is in quotes; remove them")
	} else if strings.ContainsFunc(v, secret.NotInToken) {
		r.problem("access-token", "holds whitespace or another character that no token has")
	} else if r.apiKey = strings.HasPrefix(v, "AKCp"); r.apiKey {
		r.problem("access-token", "is an API key, which JFrog Access does not accept; make an identity token")
	}
	if v := c.IDToken.Reveal(); v != "" {
		if _, err := jwt.Peek(v); err != nil || strings.ContainsFunc(v, secret.NotInToken) {
			r.problem("id-token", "is not a JWT; is the variable's value given, or only its name?")
		}
		if c.OIDCAudience != "" {
			r.warn("oidc-audience", "has no effect beside id-token: its audience is already fixed")
		}
	}
}

// refresh checks refresh mode. A refresh returns a token with what the old one
// had: an input that asks for something else would have no effect.
func (r *reader) refresh() {
	c := r.c
	if !r.IsSet("refresh-token") {
		return
	}
	if r.IsSet("oidc-provider-name") {
		r.problem("refresh-token", "cannot stand beside oidc-provider-name; remove one of the two")
	}
	if v := c.RefreshToken.Reveal(); quoted(v) {
		r.problem("refresh-token", "is in quotes; remove them")
	} else if strings.ContainsFunc(v, secret.NotInToken) {
		r.problem("refresh-token", "holds whitespace or another character that no token has")
	}
	for _, name := range []string{
		"scope", "groups", "expires-in", "username", "audience", "description", "project-key", "refreshable", "force-revocable",
	} {
		set := r.IsSet(name)
		switch name { // false asks for nothing
		case "refreshable":
			set = c.Refreshable
		case "force-revocable":
			set = c.ForceRevocable != nil && *c.ForceRevocable
		}
		if set {
			r.problem(name, "has no effect beside "+r.Name("refresh-token")+": the new token has what the old one had; "+
				"remove it")
		}
	}
}

// missing is the problem of a job that says neither who it is nor what
// token it has. A secret that is not there is a blank input in most CIs.
func (r *reader) missing() {
	if variable := r.blank("access-token"); variable != "" {
		r.noCredential = variable
		r.problems = append(r.problems, variable+": is empty")
		return
	}
	r.noCredential = r.Name("access-token")
	r.problems = append(r.problems, r.Variable("access-token")+" or "+r.Variable("oidc-provider-name")+": neither is set; "+
		"set the one to a stored token, or the other to the name of the OIDC integration in JFrog")
}

// quoted reports whether a value is in quotes that were meant for a shell or
// for YAML.
func quoted(v string) bool {
	return len(v) > 1 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0]
}
