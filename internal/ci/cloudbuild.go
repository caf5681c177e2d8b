package ci

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// cloudBuild is Google Cloud Build. Most of its facts are substitutions that a
// step has to ask for.
var cloudBuild = system{
	name: "Cloud Build", docs: "Google Cloud Build",
	known: []string{"BUILDER_OUTPUT=/builder/outputs"},
	facts: facts{
		repo: "REPO_FULL_NAME", pipeline: "TRIGGER_NAME", job: "BUILD_ID",
		runID: "BUILD_ID", revision: "COMMIT_SHA", branch: "BRANCH_NAME",
	},
	endpoint: cloudBuildEndpoint,
	noSecret: because("In Cloud Build a step has a secret only if it names it under secretEnv, and the build under " +
		"availableSecrets."),
}

// ErrAudience says that the CI's issuer has no default audience.
var ErrAudience = errors.New("oidc-audience is not set, and Google Cloud issues an ID token for a named audience only")

// cloudBuildEndpoint is the metadata server, which every Google client asks over
// http: it is reached within the machine alone. GCE_METADATA_HOST is the name
// under which their clients, too, look for another one.
func cloudBuildEndpoint(getenv lookup, audience string) (*service, error) {
	if audience == "" {
		return nil, ErrAudience
	}
	host := getenv("GCE_METADATA_HOST")
	if host == "" {
		host = wire.MetadataHost
	}
	u := &url.URL{
		Scheme: "http", Host: host, Path: "/computeMetadata/v1/instance/service-accounts/default/identity",
		RawQuery: url.Values{"audience": {audience}}.Encode(),
	}
	return &service{where: "Google Cloud's metadata server", request: wire.Request{
		Method: http.MethodGet, URL: u, Header: http.Header{"Metadata-Flavor": {"Google"}},
	}}, nil
}
