package ci

import (
	"net/http"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

var azure = system{
	name: "Azure DevOps", docs: "Azure DevOps",
	known: []string{"TF_BUILD"}, debug: "SYSTEM_DEBUG=true",
	facts: facts{
		repo: "BUILD_REPOSITORY_NAME", pipeline: "BUILD_DEFINITIONNAME", number: "BUILD_BUILDNUMBER",
		attempt: "SYSTEM_JOBATTEMPT", job: "SYSTEM_JOBNAME",
		jobID: "SYSTEM_JOBID", runID: "BUILD_BUILDID", revision: "BUILD_SOURCEVERSION",
		branch: "BUILD_SOURCEBRANCHNAME", url: "BUILD_REPOSITORY_URI",
	},
	endpoint: azureEndpoint,
	noIDToken: always("Azure DevOps gives the job's own token to a step that asks for it, in the step's env:",
		"  SYSTEM_ACCESSTOKEN: $(System.AccessToken)"),
	noSecret: because("In Azure DevOps a secret variable is not in the environment of a step unless its env names " +
		"it, and builds of forks have none unless the pipeline allows it."),
}

// azureEndpoint is the pipeline's. Without a service connection the token is
// the pipeline's own; its audience cannot be chosen.
func azureEndpoint(getenv lookup, _ string) (*service, error) {
	if err := missing(getenv, "SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"); err != nil {
		return nil, err
	}
	u, err := secureURL("SYSTEM_OIDCREQUESTURI", getenv)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	q.Set("api-version", "7.1")
	u.RawQuery = q.Encode()
	return &service{where: "SYSTEM_OIDCREQUESTURI", fixed: true, field: "oidcToken", request: wire.Request{
		Method: http.MethodPost, URL: u, Bearer: secret.New(getenv("SYSTEM_ACCESSTOKEN")), Body: struct{}{},
		Header: http.Header{"X-Tfs-Fedauthredirect": {"Suppress"}}, // 401 instead of a redirect to a login page
	}}, nil
}
