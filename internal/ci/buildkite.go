package ci

import (
	"net/http"
	"net/url"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

var buildkite = system{
	name: "Buildkite", docs: "Buildkite",
	known: []string{"BUILDKITE=true"}, debug: "BUILDKITE_AGENT_DEBUG=true",
	facts: facts{
		pipeline: "BUILDKITE_PIPELINE_SLUG", number: "BUILDKITE_BUILD_NUMBER", attempt: "BUILDKITE_RETRY_COUNT",
		job:   "BUILDKITE_STEP_KEY",
		jobID: "BUILDKITE_JOB_ID", runID: "BUILDKITE_BUILD_ID", revision: "BUILDKITE_COMMIT",
		branch: "BUILDKITE_BRANCH", url: "BUILDKITE_REPO",
	},
	endpoint:  buildkiteEndpoint,
	identity:  []string{"organization_slug", "pipeline_slug"},
	noIDToken: always("Buildkite's agent gives these to a job's own process. In a container, pass them on."),
	noSecret: because("Buildkite replaces $NAME when a pipeline is uploaded, not when the job runs: set the " +
		"variable in an environment hook, or as a secret of the job."),
}

// buildkiteEndpoint is the agent's API, which buildkite-agent oidc request-token
// asks: https://github.com/buildkite/agent/blob/main/api/oidc.go
func buildkiteEndpoint(getenv lookup, audience string) (*service, error) {
	if err := missing(getenv, "BUILDKITE_AGENT_ENDPOINT", "BUILDKITE_JOB_ID", "BUILDKITE_AGENT_ACCESS_TOKEN"); err != nil {
		return nil, err
	}
	u, err := secureURL("BUILDKITE_AGENT_ENDPOINT", getenv)
	if err != nil {
		return nil, err
	}
	body := map[string]string{}
	if audience != "" {
		body["audience"] = audience
	}
	return &service{where: "Buildkite's agent API", field: "token", request: wire.Request{
		Method: http.MethodPost, URL: u.JoinPath("jobs", url.PathEscape(getenv("BUILDKITE_JOB_ID")), "oidc", "tokens"),
		Bearer: secret.New(getenv("BUILDKITE_AGENT_ACCESS_TOKEN")), Scheme: "Token", Body: body,
	}}, nil
}
