package ci

// woodpecker sets variables of Drone too, of which DRONE_BUILD_STATUS is
// always success.
var woodpecker = system{
	name: "Woodpecker", docs: "Woodpecker",
	known: []string{"CI=woodpecker"}, settings: true,
	facts: facts{
		repo: "CI_REPO", pipeline: "CI_WORKFLOW_NAME", number: "CI_PIPELINE_NUMBER", job: "CI_STEP_NAME",
		runID: "CI_PIPELINE_NUMBER", revision: "CI_COMMIT_SHA", branch: "CI_COMMIT_BRANCH", url: "CI_REPO_URL",
	},
	// https://github.com/woodpecker-ci/woodpecker/issues/4837
	noIDToken: always("Woodpecker issues no ID tokens. Use access-token, from a secret."),
	// https://github.com/woodpecker-ci/woodpecker/pull/2749
	noSecret: because("In Woodpecker a secret that does not exist, or that the event or the image may not have, fails " +
		"the pipeline: here the setting is missing, or the secret itself is empty."),
}
