package ci

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
)

var gitHub = system{
	name: "GitHub", docs: "GitHub Actions",
	// GITHUB_ACTIONS alone is set elsewhere too, to have colors in a log: there the
	// commands that mask would show what they mask.
	known: []string{"GITHUB_ACTIONS=true", "GITHUB_RUN_ID"}, runner: true, debug: runnerDebug,
	facts: runnerFacts, endpoint: runnerEndpoint,
	identity: []string{"repository", "repository_id", "repository_owner_id"},
	holders:  gitHubHolders,
	noIDToken: func(getenv lookup) Advice {
		switch {
		case fromDependabot(getenv):
			return Advice{Dependabot, []string{
				"Dependabot started this run. GitHub gives its runs an ID token only if the job, or the workflow, has the " +
					"permission itself:",
				"  permissions:", "    id-token: write", "    contents: read",
				"To skip the step instead:", "  if: github.actor != 'dependabot[bot]'",
			}}
		case fromFork(getenv):
			return forkAdvice("GitHub", "no ID token")
		}
		return Advice{NoPermission, []string{
			"The job may not request an ID token. Give the job, or the workflow, the permission:",
			"  permissions:", "    id-token: write", "    contents: read",
		}}
	},
	noSecret: func(getenv lookup) Advice {
		switch {
		case fromDependabot(getenv):
			return Advice{Dependabot, []string{
				"Dependabot started this run. GitHub gives its runs no secrets but those of the Dependabot secrets " +
					"store: add it there too.",
			}}
		case fromFork(getenv):
			return forkAdvice("GitHub", "no secrets")
		}
		return Advice{EmptySecret, []string{
			"On GitHub a secret that does not exist is empty: a reusable workflow gets secrets only by secrets: " +
				"inherit or by name, and a job those of an environment only if it names it.",
		}}
	},
}

// gitHubHolders: a fork and any other repository have the same ref, head_ref,
// workflow, environment, event_name or actor, as their owners choose these. Ids
// are never used twice, names are once they are free. job_workflow_ref is that
// of every caller of a reusable workflow:
// https://docs.github.com/en/actions/reference/security/oidc
// https://github.com/google-github-actions/auth/blob/main/docs/SECURITY_CONSIDERATIONS.md
// https://astrix.security/learn/blog/subjugation-hijacking-cloud-identities-by-recycling-namespaces-in-global-oidc-issuers/
var gitHubHolders = map[string]Holders{
	"repository_id":       Nobody,
	"repository_owner_id": Siblings, "enterprise_id": Siblings,
	"repository": NextOfName, "sub": NextOfName, "workflow_ref": NextOfName,
	"repository_owner": Siblings, "enterprise": Siblings,
	"job_workflow_ref": Callers,
}

// forkCondition is that of a step which does not run for a fork.
const forkCondition = "if: github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name " +
	"== github.repository"

func forkAdvice(name, what string) Advice {
	return Advice{Fork, []string{
		"This run is for a pull request from a fork: " + name + " gives it " + what + ", by design. Skip the step:",
		"  " + forkCondition,
	}}
}

// fromDependabot reports whether Dependabot started the run: its token is
// read-only unless the workflow says otherwise, and its secrets are those of
// Dependabot's own store, for these events:
// https://docs.github.com/en/code-security/dependabot/working-with-dependabot/troubleshooting-dependabot-on-github-actions
func fromDependabot(getenv lookup) bool {
	events := []string{
		"pull_request", "pull_request_review", "pull_request_review_comment",
		"push", "create", "deployment", "deployment_status",
	}
	return getenv("GITHUB_ACTOR") == "dependabot[bot]" && slices.Contains(events, getenv("GITHUB_EVENT_NAME"))
}

// fromFork reports whether the run is for a pull request from a fork.
func fromFork(getenv lookup) bool {
	// pull_request_target runs for the base repository, with its secrets.
	if event := getenv("GITHUB_EVENT_NAME"); !strings.HasPrefix(event, "pull_request") || event == "pull_request_target" {
		return false
	}
	type repository struct {
		FullName string `json:"full_name"`
	}
	var event struct {
		PullRequest struct {
			Head, Base struct {
				Repo *repository `json:"repo"` // null if the fork was deleted
			}
		} `json:"pull_request"`
	}
	text, err := os.ReadFile(getenv("GITHUB_EVENT_PATH"))
	if err != nil || json.Unmarshal(text, &event) != nil || event.PullRequest.Base.Repo == nil {
		return false
	}
	head := event.PullRequest.Head.Repo
	return head == nil || head.FullName != event.PullRequest.Base.Repo.FullName
}
