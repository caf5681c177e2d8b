package ci

import (
	"net/url"
	"strings"
)

// system is a CI that has neither masks nor step outputs, and the variables
// in which it says what runs.
type system struct {
	name   string
	is     func(getenv func(string) string, environ []string) bool
	plugin bool // inputs are settings: PLUGIN_<NAME>

	repo, pipeline, number, attempt, job string // for people
	jobID, runID, revision, branch, url  string // for JFrog; url is the repository's
}

func set(name, value string) func(func(string) string, []string) bool {
	return func(getenv func(string) string, _ []string) bool {
		v := getenv(name)
		return v != "" && (value == "" || v == value)
	}
}

// systems in the order in which they are looked for. Woodpecker sets DRONE_
// variables too, but not DRONE itself; Harness sets DRONE.
var systems = []system{
	{name: "Woodpecker", is: set("CI", "woodpecker"), plugin: true,
		repo: "CI_REPO", pipeline: "CI_WORKFLOW_NAME", number: "CI_PIPELINE_NUMBER", job: "CI_STEP_NAME",
		runID: "CI_PIPELINE_NUMBER", revision: "CI_COMMIT_SHA", branch: "CI_COMMIT_BRANCH", url: "CI_REPO_URL"},
	{name: "Harness", is: isHarness, plugin: true,
		repo: "DRONE_REPO", pipeline: "HARNESS_PIPELINE_ID", number: "HARNESS_BUILD_ID", job: "HARNESS_STEP_ID",
		jobID: "HARNESS_STAGE_ID", runID: "HARNESS_EXECUTION_ID", revision: "DRONE_COMMIT_SHA", branch: "DRONE_COMMIT_BRANCH", url: "DRONE_REPO_LINK"},
	{name: "Drone", is: set("DRONE", "true"), plugin: true,
		repo: "DRONE_REPO", pipeline: "DRONE_STAGE_NAME", number: "DRONE_BUILD_NUMBER", job: "DRONE_STEP_NAME",
		runID: "DRONE_BUILD_NUMBER", revision: "DRONE_COMMIT_SHA", branch: "DRONE_COMMIT_BRANCH", url: "DRONE_REPO_LINK"},
	{name: "GitLab", is: set("GITLAB_CI", "true"),
		repo: "CI_PROJECT_PATH", pipeline: "CI_PIPELINE_NAME", number: "CI_PIPELINE_IID", job: "CI_JOB_NAME",
		jobID: "CI_JOB_ID", runID: "CI_PIPELINE_ID", revision: "CI_COMMIT_SHA", branch: "CI_COMMIT_REF_NAME", url: "CI_PROJECT_URL"},
	{name: "Buildkite", is: set("BUILDKITE", "true"),
		repo: "BUILDKITE_ORGANIZATION_SLUG", pipeline: "BUILDKITE_PIPELINE_SLUG", number: "BUILDKITE_BUILD_NUMBER", attempt: "BUILDKITE_RETRY_COUNT", job: "BUILDKITE_STEP_KEY",
		jobID: "BUILDKITE_JOB_ID", runID: "BUILDKITE_BUILD_ID", revision: "BUILDKITE_COMMIT", branch: "BUILDKITE_BRANCH", url: "BUILDKITE_REPO"},
	{name: "CircleCI", is: set("CIRCLECI", "true"),
		repo: "CIRCLE_PROJECT_REPONAME", number: "CIRCLE_BUILD_NUM", job: "CIRCLE_JOB",
		jobID: "CIRCLE_WORKFLOW_JOB_ID", runID: "CIRCLE_WORKFLOW_ID", revision: "CIRCLE_SHA1", branch: "CIRCLE_BRANCH", url: "CIRCLE_REPOSITORY_URL"},
	{name: "Azure DevOps", is: set("TF_BUILD", ""),
		repo: "BUILD_REPOSITORY_NAME", pipeline: "BUILD_DEFINITIONNAME", number: "BUILD_BUILDNUMBER", attempt: "SYSTEM_JOBATTEMPT", job: "SYSTEM_JOBNAME",
		jobID: "SYSTEM_JOBID", runID: "BUILD_BUILDID", revision: "BUILD_SOURCEVERSION", branch: "BUILD_SOURCEBRANCHNAME", url: "BUILD_REPOSITORY_URI"},
	{name: "Bitbucket", is: set("BITBUCKET_BUILD_NUMBER", ""),
		repo: "BITBUCKET_REPO_FULL_NAME", number: "BITBUCKET_BUILD_NUMBER",
		jobID: "BITBUCKET_STEP_UUID", runID: "BITBUCKET_PIPELINE_UUID", revision: "BITBUCKET_COMMIT", branch: "BITBUCKET_BRANCH", url: "BITBUCKET_GIT_HTTP_ORIGIN"},
	{name: "Codefresh", is: set("CF_BUILD_ID", ""),
		repo: "CF_REPO_NAME", pipeline: "CF_PIPELINE_NAME", job: "CF_STEP_NAME",
		runID: "CF_BUILD_ID", revision: "CF_REVISION", branch: "CF_BRANCH"},
	{name: "Jenkins", is: set("JENKINS_URL", ""),
		pipeline: "JOB_NAME", number: "BUILD_NUMBER", job: "STAGE_NAME",
		runID: "BUILD_TAG", revision: "GIT_COMMIT", branch: "GIT_BRANCH", url: "GIT_URL"},
	{name: "Cloud Build", is: set("BUILDER_OUTPUT", ""), // the rest are substitutions that a step has to ask for
		repo: "REPO_FULL_NAME", pipeline: "TRIGGER_NAME", job: "BUILD_ID",
		runID: "BUILD_ID", revision: "COMMIT_SHA", branch: "BRANCH_NAME"},
}

func isHarness(_ func(string) string, environ []string) bool {
	for _, e := range environ {
		if strings.HasPrefix(e, "HARNESS_") {
			return true
		}
	}
	return false
}

// Plain is the name of no CI at all.
const Plain = "command line"

func findSystem(getenv func(string) string, environ []string) system {
	for _, s := range systems {
		if s.is(getenv, environ) {
			return s
		}
	}
	return system{name: Plain}
}

func (s system) run(getenv func(string) string) Run {
	r := Run{JobID: get(getenv, s.jobID), RunID: get(getenv, s.runID), Revision: get(getenv, s.revision), Branch: get(getenv, s.branch)}
	r.Repo = withoutUser(get(getenv, s.url))
	return r
}

// withoutUser takes user and password out of a repository's URL: Buildkite
// and Jenkins give it as it was configured.
func withoutUser(repo string) string {
	u, err := url.Parse(repo)
	if err != nil || u.User == nil {
		if strings.Contains(repo, "://") && err != nil {
			return "" // not an URL: who knows what is in it
		}
		return repo
	}
	u.User = nil
	return u.String()
}

func get(getenv func(string) string, name string) string {
	if name == "" {
		return ""
	}
	return getenv(name)
}

// describe says in one line who asks for a token. What is not known is left
// out.
func describe(ci, repo, pipeline, number, attempt, job string) string {
	words := []string{ci}
	for _, w := range []struct{ label, value string }{{"", repo}, {"", pipeline}, {"run ", number}, {"attempt ", attempt}, {"job ", job}} {
		if w.value != "" {
			words = append(words, w.label+w.value)
		}
	}
	return strings.Join(words, " ")
}
