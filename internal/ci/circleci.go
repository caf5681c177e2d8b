package ci

var circleCI = system{
	name: "CircleCI", docs: "CircleCI",
	known: []string{"CIRCLECI=true"},
	facts: facts{
		repo: "CIRCLE_PROJECT_USERNAME/CIRCLE_PROJECT_REPONAME", number: "CIRCLE_BUILD_NUM", job: "CIRCLE_JOB",
		jobID: "CIRCLE_WORKFLOW_JOB_ID", runID: "CIRCLE_WORKFLOW_ID", revision: "CIRCLE_SHA1",
		branch: "CIRCLE_BRANCH", url: "CIRCLE_REPOSITORY_URL",
	},
	idTokens: []string{
		"CIRCLE_OIDC_TOKEN_V2", // its sub names the project's VCS; that of V1 does not
		"CIRCLE_OIDC_TOKEN",
	},
	identity: []string{"oidc.circleci.com/project-id"},
	// https://circleci.com/docs/openid-connect-tokens/
	holders: map[string]Holders{
		"oidc.circleci.com/project-id": Nobody, "sub": Nobody, "oidc.circleci.com/org-id": Siblings,
	},
	noIDToken: always("In CircleCI a job has CIRCLE_OIDC_TOKEN_V2 if it uses at least one context."),
	noSecret: because("In CircleCI a job has the variables of a context only if the workflow names it under " +
		"context, and pull requests from forks have none unless the project allows it."),
}
