package ci

// forgejo is Forgejo Actions, with ID tokens since Forgejo 15 and its runner
// 12.5: https://forgejo.org/docs/next/user/actions/security-openid-connect/
var forgejo = system{
	name: "Forgejo", docs: "Forgejo Actions",
	known: []string{"GITHUB_ACTIONS=true", "FORGEJO_ACTIONS=true"}, runner: true, oneLine: true, debug: runnerDebug,
	facts: runnerFacts, endpoint: runnerEndpoint,
	identity: []string{"repository", "repository_id", "repository_owner_id"},
	holders:  gitHubHolders,
	noIDToken: func(getenv lookup) Advice {
		if fromFork(getenv) {
			return forkAdvice("Forgejo", "no ID token")
		}
		return Advice{NoPermission, []string{
			"Forgejo gives a job an ID token only if the workflow or the job requests it:",
			"  enable-openid-connect: true",
		}}
	},
	noSecret: func(getenv lookup) Advice {
		if fromFork(getenv) {
			return forkAdvice("Forgejo", "no secrets")
		}
		return Advice{EmptySecret, []string{"In Forgejo a secret that does not exist is empty."}}
	},
}
