package ci

var bitbucket = system{
	name: "Bitbucket", docs: "Bitbucket Pipelines",
	known: []string{"BITBUCKET_BUILD_NUMBER"},
	facts: facts{
		repo: "BITBUCKET_REPO_FULL_NAME", number: "BITBUCKET_BUILD_NUMBER",
		jobID: "BITBUCKET_STEP_UUID", runID: "BITBUCKET_PIPELINE_UUID", revision: "BITBUCKET_COMMIT",
		branch: "BITBUCKET_BRANCH", url: "BITBUCKET_GIT_HTTP_ORIGIN",
	},
	idTokens: []string{"BITBUCKET_STEP_OIDC_TOKEN"},
	identity: []string{"workspaceUuid", "repositoryUuid"},
	// https://support.atlassian.com/bitbucket-cloud/docs/integrate-pipelines-with-resource-servers-using-oidc/
	holders:   map[string]Holders{"repositoryUuid": Nobody, "sub": Nobody, "workspaceUuid": Siblings},
	noIDToken: always("In Bitbucket a step has BITBUCKET_STEP_OIDC_TOKEN if it says oidc: true."),
	noSecret:  because("In Bitbucket the variables of a deployment exist only in a step that names it under deployment."),
}
