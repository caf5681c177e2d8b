package ci

import (
	"path/filepath"
	"strings"
	"testing"
)

// A run that gets neither an ID token nor secrets, by GitHub's design, is told
// so; any other run only lacks a permission. pull_request_target runs in the
// base repository and gets both, whoever opened the pull request:
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request_target
func TestRunsWithoutCredentials(t *testing.T) {
	t.Parallel()
	const (
		fork      = `{"pull_request":{"head":{"repo":{"fork":true,"full_name":"mallory/app"}},"base":{"repo":{"full_name":"acme/app"}}}}`
		same      = `{"pull_request":{"head":{"repo":{"fork":false,"full_name":"acme/app"}},"base":{"repo":{"full_name":"acme/app"}}}}`
		fromAFork = `{"pull_request":{"head":{"repo":{"fork":true,"full_name":"acme/fork"}},"base":{"repo":{"full_name":"acme/fork"}}}}`
		deleted   = `{"pull_request":{"head":{"repo":null},"base":{"repo":{"full_name":"acme/app"}}}}`
		none      = "none"
	)
	for _, c := range []struct {
		name, event, actor, file string
		want                     string // whose run it is; "" if it only lacks a permission
	}{
		{"a fork", "pull_request", "mallory", fork, "fork"},
		{"a branch of the same repository", "pull_request", "octocat", same, ""},
		{"within a repository that is a fork itself", "pull_request", "octocat", fromAFork, ""},
		{"a fork that was deleted", "pull_request", "mallory", deleted, "fork"},
		{"Dependabot", "pull_request", "dependabot[bot]", same, "Dependabot"},
		{"Dependabot, without an event file", "pull_request", "dependabot[bot]", none, "Dependabot"},
		{"Dependabot's push", "push", "dependabot[bot]", none, "Dependabot"},
		{"Dependabot, with pull_request_target", "pull_request_target", "dependabot[bot]", same, ""},
		{"somebody called alike", "pull_request", "dependabot", same, ""},
		{"a review of a fork's pull request", "pull_request_review", "octocat", fork, "fork"},
		{"a review comment on a fork's pull request", "pull_request_review_comment", "octocat", fork, "fork"},
		{"a push", "push", "octocat", `{"ref":"refs/heads/main","repository":{"full_name":"acme/app","fork":true}}`, ""},
		{"no event", "", "octocat", fork, ""},
		{"pull_request_target of a fork", "pull_request_target", "mallory", fork, ""},
		{"pull_request_target of the same repository", "pull_request_target", "octocat", same, ""},
		{"a comment", "issue_comment", "mallory", `{"issue":{"pull_request":{}}}`, ""},
		{"no event file", "pull_request", "mallory", none, ""},
		{"an empty event file", "pull_request", "mallory", "", ""},
		{"half of an event file", "pull_request", "mallory", fork[:40], ""},
		{"an event file of another kind", "pull_request", "mallory", `{"pull_request":"x"}`, ""},
		{"an event file without a pull request", "pull_request", "mallory", `{}`, ""},
		{"a list", "pull_request", "mallory", `[]`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "absent")
			if c.file != none {
				path = fileWith(t, c.file)
			}
			v := variantOf(map[string]string{
				"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "GITHUB_EVENT_NAME": c.event, "GITHUB_ACTOR": c.actor, "GITHUB_EVENT_PATH": path,
			})
			for _, advice := range []string{strings.Join(v.IDTokenAdvice().Lines, "\n"), strings.Join(v.SecretAdvice().Lines, "\n")} {
				for who, words := range map[string]string{"fork": "a pull request from a fork", "Dependabot": "Dependabot " +
					"started this run"} {
					if got := strings.Contains(advice, words); got != (c.want == who) {
						t.Errorf("expected %q to be that of %q", advice, c.want)
					}
				}
			}
		})
	}
}
