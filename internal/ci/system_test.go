package ci

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// set returns the variables of "A=1 B=2".
func set(text string) map[string]string {
	variables := map[string]string{}
	for _, v := range strings.Fields(text) {
		name, value, _ := strings.Cut(v, "=")
		variables[name] = value
	}
	return variables
}

// variantOf returns the CI that the environment is of.
func variantOf(variables map[string]string) variant {
	return variant{findSystem(env(variables)), env(variables)}
}

// A CI sets variables of others too: who comes first counts.
func TestWhichCI(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"GitHub":       "GITHUB_ACTIONS=true GITHUB_RUN_ID=1 CI=true ACT=false",
		"Forgejo":      "GITHUB_ACTIONS=true FORGEJO_ACTIONS=true GITEA_ACTIONS=true",
		"Gitea":        "GITHUB_ACTIONS=true GITEA_ACTIONS=true",
		"act":          "GITHUB_ACTIONS=true ACT=true",
		"Woodpecker":   "CI=woodpecker DRONE_REPO=acme/app",
		"Harness":      "DRONE=true CI=true HARNESS_BUILD_ID=31",
		"Drone":        "DRONE=true CI=true",
		"GitLab":       "GITLAB_CI=true CI=true",
		"Buildkite":    "BUILDKITE=true CI=true",
		"CircleCI":     "CIRCLECI=true CI=true",
		"Azure DevOps": "TF_BUILD=True",
		"Bitbucket":    "BITBUCKET_BUILD_NUMBER=7 CI=true",
		"Codefresh":    "CF_BUILD_ID=66",
		"Jenkins":      "JENKINS_URL=https://jenkins.example/ BUILD_TAG=jenkins-app-5",
		"Cloud Build":  "BUILDER_OUTPUT=/builder/outputs",
		"command line": "CI=true ACT=true GITEA_ACTIONS=true",
	} {
		if got := variantOf(set(text)).Name(); got != want {
			t.Errorf("%s: expected %q to be %q", text, got, want)
		}
	}
	// What clients of a CI read on a laptop, and other tools, is not the CI: Perl's
	// test harness sets HARNESS_ACTIVE.
	for text, want := range map[string]string{
		"HARNESS_API_KEY=x HARNESS_ACCOUNT_ID=x":      "command line",
		"HARNESS_ACTIVE=1 HARNESS_VERSION=3.50":       "command line",
		"GITLAB_CI=true HARNESS_ACTIVE=1":             "GitLab",
		"GITLAB_CI=true GITHUB_ACTIONS=true":          "GitLab",
		"GITHUB_ACTIONS=true":                         "command line",
		"DRONE=true HARNESS_ACTIVE=1":                 "Drone",
		"JENKINS_URL=https://jenkins.example/":        "command line",
		"BUILD_TAG=v1":                                "command line",
		"BUILDER_OUTPUT=out":                          "command line",
		"TF_BUILD=cpu":                                "command line",
		"CI=woodpecker HARNESS_BUILD_ID=1":            "Woodpecker",
		"BUILDKITE_AGENT_TOKEN=x CIRCLECI_TOKEN=x":    "command line",
		"GITLAB_TOKEN=x DRONE_SERVER=x DRONE_TOKEN=x": "command line",
	} {
		if got := variantOf(set(text)).Name(); got != want {
			t.Errorf("%s: expected %q to be %q", text, got, want)
		}
	}
}

// What the documentation of sweep says: a description begins with the CI and
// the repository.
func TestDescriptionBeginsWithTheRepository(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"CircleCI acme/app run 8":          "CIRCLECI=true CIRCLE_PROJECT_USERNAME=acme CIRCLE_PROJECT_REPONAME=app CIRCLE_BUILD_NUM=8",
		"CircleCI app job token":           "CIRCLECI=true CIRCLE_PROJECT_REPONAME=app CIRCLE_JOB=token",
		"Codefresh acme/app a/b":           "CF_BUILD_ID=66 CF_REPO_OWNER=acme CF_REPO_NAME=app CF_PIPELINE_NAME=a/b",
		"Buildkite acme/app run 3":         "BUILDKITE=true BUILDKITE_REPO=git@git.example:acme/app.git BUILDKITE_BUILD_NUMBER=3",
		"Buildkite a/b":                    "BUILDKITE=true BUILDKITE_REPO=https://bot:hunter2@git.example/a/b.git",
		"Buildkite build":                  "BUILDKITE=true BUILDKITE_REPO=/srv/git/app BUILDKITE_PIPELINE_SLUG=build",
		"Jenkins a/b a/b/main run 5":       "JENKINS_URL=x BUILD_TAG=x GIT_URL=ssh://git@git.example:22/a/b JOB_NAME=a/b/main BUILD_NUMBER=5",
		"Harness build run 4 job x":        "HARNESS_PIPELINE_ID=build HARNESS_BUILD_ID=4 HARNESS_STEP_ID=x",
		"Azure DevOps a/b run 1 attempt 2": "TF_BUILD=True BUILD_REPOSITORY_NAME=a/b BUILD_BUILDNUMBER=1 SYSTEM_JOBATTEMPT=2",
	} {
		if got := variantOf(set(text)).Description(); got != want {
			t.Errorf("%s: expected %q to be %q", text, got, want)
		}
	}
	// Anyone who may push a branch names the step.
	evil := map[string]string{"BUILDKITE": "true", "BUILDKITE_STEP_KEY": "a\n##vso[x]b"}
	if got, want := variantOf(evil).Description(), `Buildkite job a\x0a# #vso[x]b`; got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
}

func TestRepositoryWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for repo, want := range map[string]string{
		"https://bot:hunter2@git.example/acme/app.git": "https://git.example/acme/app.git",
		"https://git.example/acme/app":                 "https://git.example/acme/app",
		"git@git.example:acme/app.git":                 "git@git.example:acme/app.git",
		"https://bot:hunter2@git.example:x/acme":       "",
		"":                                             "",
	} {
		if got := variantOf(map[string]string{"BUILDKITE": "true", "BUILDKITE_REPO": repo}).Run().Repo; got != want {
			t.Errorf("%q: expected %q to be %q", repo, got, want)
		}
	}
}

// The CI's own switch, and one that works on each.
func TestDebug(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		variables string
		want      bool
	}{
		{"GITHUB_ACTIONS=true GITHUB_RUN_ID=1 RUNNER_DEBUG=1", true}, {"GITHUB_ACTIONS=true GITHUB_RUN_ID=1", false}, {"GITHUB_ACTIONS=true GITHUB_RUN_ID=1 " +
			"GITEA_ACTIONS=true RUNNER_DEBUG=1", true},
		{"GITLAB_CI=true CI_DEBUG_TRACE=true", true}, {"GITLAB_CI=true " +
			"CI_DEBUG_TRACE=false", false}, {"GITLAB_CI=true RUNNER_DEBUG=1", false},
		{"TF_BUILD=True SYSTEM_DEBUG=True", true}, {"TF_BUILD=True SYSTEM_DEBUG=true", true}, {"TF_BUILD=True " +
			"SYSTEM_DEBUG=false", false},
		{"BUILDKITE=true BUILDKITE_AGENT_DEBUG=true", true}, {"DRONE=true " +
			"DRONE_BUILD_DEBUG=true", true}, {"DRONE=true DRONE_BUILD_DEBUG=false", false},
		{"JENKINS_URL=x BUILD_TAG=x", false}, {"JENKINS_URL=x BUILD_TAG=x JFROG_TOKEN_DEBUG=true", true}, {"JFROG_TOKEN_DEBUG=true", true}, {"JFROG_TOKEN_DEBUG=false", false},
		{"GITHUB_ACTIONS=true GITHUB_RUN_ID=1 JFROG_TOKEN_DEBUG=true", true},
	} {
		if got := variantOf(set(c.variables)).Debug(); got != c.want {
			t.Errorf("%s: expected %t to be %t", c.variables, got, c.want)
		}
	}
}

// Each input has the name under which its user sets it.
func TestVariable(t *testing.T) {
	t.Parallel()
	const input = "oidc-provider-name"
	variable := func(p Platform) string { return p.Variable(input) }
	for _, c := range []struct{ name, got, want string }{
		{"action", variable(runnerOf(env(nil), nil, Main)), input},
		{"run: step on GitHub", variable(runnerOf(env(nil), nil, Command)), "JFROG_TOKEN_OIDC_PROVIDER_NAME"},
		{"Drone", variable(workspaceOf(map[string]string{"DRONE": "true"}, nil, nil)), input},
		{"Woodpecker", variable(workspaceOf(map[string]string{"CI": "woodpecker"}, nil, nil)), input},
		{"Harness", variable(workspaceOf(map[string]string{"HARNESS_BUILD_ID": "31"}, nil, nil)), input},
		{"GitLab", variable(workspaceOf(map[string]string{"GITLAB_CI": "true"}, nil, nil)), "JFROG_TOKEN_OIDC_PROVIDER_NAME"},
		{"command line", variable(workspaceOf(nil, nil, nil)), "JFROG_TOKEN_OIDC_PROVIDER_NAME"},
	} {
		if c.got != c.want {
			t.Errorf("%s: expected %q to be %q", c.name, c.got, c.want)
		}
	}
}

// Each CI is known by something, but for the last. Each has a section in
// docs/ci.md and a row of its descriptions, and a scenario in which a token is
// handed on and revoked there.
func TestSystems(t *testing.T) {
	t.Parallel()
	docs := textOf(t, "../../docs/ci.md")
	files, err := filepath.Glob("../../testdata/ci/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("expected %q, %v to be scenarios", files, err)
	}
	var scenarios []string
	for _, f := range files {
		if text := textOf(t, f); strings.Contains(text, "\nuse 200\n") && strings.Contains(text, "\nalive 0\n") {
			scenarios = append(scenarios, text)
		}
	}
	for i, s := range systems {
		if (len(s.known) == 0) != (i == len(systems)-1) || s.runner && s.settings {
			t.Errorf("%s: expected %q, %t, %t to fit", s.name, s.known, s.runner, s.settings)
		}
		if !strings.Contains(docs, "\n## "+s.docs+"\n") {
			t.Errorf("%s: expected docs/ci.md to have the section %q", s.name, s.docs)
		}
		if !regexp.MustCompile("(?m)^\\| .* \\| `" + s.name + "[ `]").MatchString(docs) {
			t.Errorf("%s: expected docs/ci.md to say how a description begins", s.name)
		}
		on := regexp.MustCompile(`(?m)^User-Agent: .*\(` + s.name + `\)`)
		if !slices.ContainsFunc(scenarios, on.MatchString) && s != &gitHub { // most of the others are there
			t.Errorf("%s: expected a scenario in testdata/ci", s.name)
		}
	}
}
