package ci

var jenkins = system{
	name: "Jenkins", docs: "Jenkins",
	known: []string{"JENKINS_URL", "BUILD_TAG"},
	facts: facts{
		pipeline: "JOB_NAME", number: "BUILD_NUMBER", job: "STAGE_NAME",
		runID: "BUILD_TAG", revision: "GIT_COMMIT", branch: "GIT_BRANCH", url: "GIT_URL",
	},
	noIDToken: always("In Jenkins the plugin OpenID Connect Provider makes ID tokens: bind its credential to " +
		"JFROG_TOKEN_ID_TOKEN with withCredentials."),
	noSecret: because("In Jenkins a credential is in the environment only within its withCredentials block, or if " +
		"environment names it with credentials()."),
}
