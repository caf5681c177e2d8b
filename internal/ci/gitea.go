package ci

// gitea is Gitea Actions. It issues no ID tokens:
// https://github.com/go-gitea/gitea/issues/26383
var gitea = system{
	name: "Gitea", docs: "Gitea Actions",
	known: []string{"GITHUB_ACTIONS=true", "GITEA_ACTIONS=true"}, runner: true, oneLine: true, debug: runnerDebug,
	facts: runnerFacts, endpoint: runnerEndpoint,
	noIDToken: always("Gitea issues no ID tokens yet. Use access-token, from a secret."),
	noSecret: func(getenv lookup) Advice {
		if fromFork(getenv) {
			return forkAdvice("Gitea", "no secrets")
		}
		return Advice{EmptySecret, []string{"In Gitea a secret that does not exist is empty."}}
	},
}
