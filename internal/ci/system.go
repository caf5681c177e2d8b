package ci

import (
	"net/url"
	"slices"
	"strings"
)

// systems are all CIs, in the order in which they are looked for.
//
// Forgejo sets Gitea's variables too, and all of GitHub's kin set GitHub's.
// Woodpecker sets DRONE_ variables, but not DRONE itself; Harness sets DRONE.
var systems = []*system{
	&forgejo, &gitea, &act, &gitHub,
	&woodpecker, &harness, &drone,
	&gitLab, &buildkite, &circleCI, &azure, &bitbucket, &codefresh, &jenkins, &cloudBuild,
	&commandLine,
}

// system is what is particular to one CI. Each has a file of its own, a section
// in docs/ci.md, and a line in the table above.
type system struct {
	name string
	// docs is the heading of its section in docs/ci.md.
	docs string
	// known are the conditions by which it is known; all must hold. Each is met in
	// every job, and nowhere else: what a client of the CI reads on a laptop, such
	// as JENKINS_URL, is not enough.
	known []string
	// runner says that it speaks the protocol of GitHub's runner.
	runner bool
	// oneLine says that its runner shows an annotation of several lines as one.
	oneLine bool
	// settings says that inputs are settings of a plugin: PLUGIN_<NAME>.
	settings bool
	// ownSettings says that there are such variables of its own, and of other
	// plugins.
	ownSettings bool
	// debug is the condition of its own debug switch, if it has one.
	debug string

	facts facts
	// who names the user and the machine, if no repository is known.
	who func(getenv lookup) string

	// idTokens are the variables in which it hands out an ID token, the best
	// first. Each has an audience that was fixed where it was configured.
	idTokens []string
	// identity are the claims of its ID tokens by which an identity mapping knows
	// the repository, and nobody else's; none if only sub does.
	identity []string
	// holders are who else can have the value of a claim, if that is not anybody.
	holders map[string]Holders
	// endpoint is where it issues ID tokens, if it does.
	endpoint func(getenv lookup, audience string) (*service, error)

	// noIDToken says what to do if no ID token can be had.
	noIDToken func(getenv lookup) Advice
	// noSecret says why a secret may be empty.
	noSecret func(getenv lookup) Advice

	// channel is its own way to hide values and to hand them on, if it has one.
	channel func(*workspace) channel
}

// lookup returns the value of a variable.
type lookup = func(name string) string

// facts are the variables in which a CI says what runs, "" if there is none.
type facts struct {
	// For people. Several variables joined by a slash are parts of one name; the
	// repository's is the path of its URL if there is no variable for it.
	repo, pipeline, number, attempt, job string
	// For JFrog. url is the repository's; server is that of which it is the repo.
	jobID, runID, revision, branch, url, server string
}

// findSystem returns the CI that the environment is of.
func findSystem(getenv lookup) *system {
	for _, s := range systems {
		if !slices.ContainsFunc(s.known, func(condition string) bool { return !holds(condition, getenv) }) {
			return s
		}
	}
	return &commandLine
}

// holds reports whether a condition is met: NAME is set, or NAME=VALUE has that
// value whatever its case.
func holds(condition string, getenv lookup) bool {
	name, want, ok := strings.Cut(condition, "=")
	got := getenv(name)
	return got != "" && (!ok || strings.EqualFold(got, want))
}

// always is advice that does not depend on the run.
func always(lines ...string) func(lookup) Advice {
	return func(lookup) Advice { return Advice{NoIDToken, lines} }
}

// because is a reason that does not depend on the run.
func because(sentence string) func(lookup) Advice {
	return func(lookup) Advice { return Advice{EmptySecret, []string{sentence}} }
}

// variant is a system in one environment: what every platform knows of its CI.
type variant struct {
	*system
	getenv lookup
}

// Name implements Platform.
func (v variant) Name() string { return v.name }

// Debug implements Platform.
func (v variant) Debug() bool {
	return holds("JFROG_TOKEN_DEBUG=true", v.getenv) || v.settings && holds("PLUGIN_DEBUG=true", v.getenv) ||
		v.debug != "" && holds(v.debug, v.getenv)
}

// Run implements Platform.
func (v variant) Run() Run {
	f := v.facts
	r := Run{JobID: v.get(f.jobID), RunID: v.get(f.runID), Revision: v.get(f.revision), Branch: v.get(f.branch)}
	r.Repo = withoutUser(v.get(f.url))
	if repo := v.get(f.repo); f.server != "" && repo != "" {
		r.Repo = strings.TrimSuffix(v.get(f.server), "/") + "/" + repo
	}
	return r
}

// Description implements Platform: what is not known is left out.
func (v variant) Description() string {
	f := v.facts
	repo := v.get(f.repo)
	if v.who != nil {
		repo = v.who(v.getenv)
	}
	if repo == "" {
		repo = repositoryOf(v.get(f.url))
	}
	words := []string{v.name}
	for _, w := range []struct{ label, value string }{
		{"", repo}, {"", v.get(f.pipeline)},
		{"run ", v.get(f.number)}, {"attempt ", v.get(f.attempt)}, {"job ", v.get(f.job)},
	} {
		if w.value != "" {
			words = append(words, w.label+w.value)
		}
	}
	return sanitize(strings.Join(words, " "))
}

// Identity implements Platform.
func (v variant) Identity() []string { return v.identity }

// IDTokenAdvice implements Platform.
func (v variant) IDTokenAdvice() Advice {
	if v.noIDToken == nil {
		return Advice{Topic: NoIDToken}
	}
	return v.noIDToken(v.getenv)
}

// SecretAdvice implements Platform.
func (v variant) SecretAdvice() Advice {
	if v.noSecret == nil {
		return Advice{Topic: EmptySecret}
	}
	return v.noSecret(v.getenv)
}

// get returns the values of variables that are joined by slashes.
func (v variant) get(names string) string {
	var values []string
	for name := range strings.SplitSeq(names, "/") {
		if value := v.getenv(name); name != "" && value != "" {
			values = append(values, value)
		}
	}
	return strings.Join(values, "/")
}

// plainVariable is the name of an input's variable where no CI makes one.
func plainVariable(input string) string {
	return "JFROG_TOKEN_" + strings.ToUpper(strings.ReplaceAll(input, "-", "_"))
}

// withoutUser takes user and password out of a repository's URL: Buildkite
// and Jenkins give it as it was configured.
func withoutUser(repo string) string {
	u, err := url.Parse(repo)
	if err != nil || u.User == nil {
		if strings.Contains(repo, "://") && err != nil {
			return "" // not a URL: who knows what is in it
		}
		return repo
	}
	u.User = nil
	return u.String()
}

// repositoryOf returns the path of a repository's URL, which may be written as
// SSH takes it: git@github.com:acme/app.git.
func repositoryOf(repo string) string {
	repo = withoutUser(repo)
	_, path, ok := strings.Cut(repo, ":")
	if u, err := url.Parse(repo); err == nil && u.Host != "" {
		path = u.Path
	} else if !ok {
		return ""
	}
	return strings.TrimSuffix(strings.Trim(path, "/"), ".git")
}
