package ci

// drone keeps the dashes of a setting's name in its variable:
// https://github.com/drone-runners/drone-runner-docker/blob/master/engine/compiler/step.go
var drone = system{
	name: "Drone", docs: "Drone",
	known: []string{"DRONE=true"}, settings: true, debug: "DRONE_BUILD_DEBUG=true",
	facts: facts{
		repo: "DRONE_REPO", pipeline: "DRONE_STAGE_NAME", number: "DRONE_BUILD_NUMBER", job: "DRONE_STEP_NAME",
		runID: "DRONE_BUILD_NUMBER", revision: "DRONE_COMMIT_SHA", branch: "DRONE_COMMIT_BRANCH", url: "DRONE_REPO_LINK",
	},
	noIDToken: always("Drone issues no ID tokens. Use access-token, from a secret."),
	noSecret: because("In Drone from_secret of a secret that does not exist is empty, and a pull request gets a " +
		"secret only if the secret allows it."),
}
