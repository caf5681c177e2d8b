package ci

var codefresh = system{
	name: "Codefresh", docs: "Codefresh",
	known: []string{"CF_BUILD_ID"},
	facts: facts{
		repo: "CF_REPO_OWNER/CF_REPO_NAME", pipeline: "CF_PIPELINE_NAME", job: "CF_STEP_NAME",
		runID: "CF_BUILD_ID", revision: "CF_REVISION", branch: "CF_BRANCH",
	},
	idTokens:  []string{"ID_TOKEN"},
	noIDToken: always("In Codefresh the step obtain-oidc-id-token makes ID_TOKEN."),
}
