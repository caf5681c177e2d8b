package ci

// act runs GitHub's workflows on a laptop: https://github.com/nektos/act
var act = system{
	name: "act", docs: "GitHub Actions",
	known: []string{"GITHUB_ACTIONS=true", "ACT=true"}, runner: true, oneLine: true, debug: runnerDebug,
	facts: runnerFacts, endpoint: runnerEndpoint,
	noIDToken: always("act issues no ID tokens. Use access-token, or set ACTIONS_ID_TOKEN_REQUEST_URL and " +
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN for an issuer of your own."),
	noSecret: because("act knows only the secrets that it is given, by --secret NAME or --secret-file."),
}
