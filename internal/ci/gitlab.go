package ci

var gitLab = system{
	name: "GitLab", docs: "GitLab",
	known: []string{"GITLAB_CI=true"}, debug: "CI_DEBUG_TRACE=true",
	facts: facts{
		repo: "CI_PROJECT_PATH", pipeline: "CI_PIPELINE_NAME", number: "CI_PIPELINE_IID", job: "CI_JOB_NAME",
		jobID: "CI_JOB_ID", runID: "CI_PIPELINE_ID", revision: "CI_COMMIT_SHA", branch: "CI_COMMIT_REF_NAME",
		url: "CI_PROJECT_URL",
	},
	// For a fork's merge request they name the fork:
	// https://gitlab.com/gitlab-org/gitlab/-/issues/563038
	identity: []string{"project_path", "project_id", "namespace_id"},
	// A protected ref, an environment and a user are in every project that wants
	// them; paths are free again after a rename:
	// https://docs.gitlab.com/ci/secrets/id_token_authentication/
	holders: map[string]Holders{
		"project_id": Nobody, "namespace_id": Siblings, "namespace_path": Siblings,
		"project_path": NextOfName, "sub": NextOfName,
		"ci_config_ref_uri": Callers,
	},
	// The user names the variable: https://docs.gitlab.com/ci/secrets/id_token_authentication/
	noIDToken: always("In GitLab a job declares it: id_tokens, with JFROG_TOKEN_ID_TOKEN as its name and the " +
		"integration's audience as aud."),
	noSecret: because("In GitLab a protected variable exists only in pipelines of protected branches and tags, " +
		"and a variable with an environment scope only in jobs of that environment."),
}
