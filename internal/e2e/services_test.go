package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// The credentials of a job at its CI's own services.
const (
	buildkiteToken = "bkaj_t9vK2mQ7wX4cR8nZ1pL5"
	azureToken     = "azdo_Y3hF6bN0sD8kJ2gV7qT4"
	jobAPIToken    = "bkjob_w5Rz8nB3xQ6vM1kT9cJ4"
)

// ciServices are the endpoints at which Buildkite and Azure DevOps issue ID
// tokens, as their documentation describes them.
func ciServices(issue func(audience string) string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v3/jobs/{job}/oidc/tokens", func(rw http.ResponseWriter, r *http.Request) {
		var body struct{ Audience string }
		if r.Header.Get("Authorization") != "Token "+buildkiteToken || json.NewDecoder(r.Body).Decode(&body) != nil || r.PathValue("job") != "018f-job" {
			http.Error(rw, `{"message":"Unauthorized"}`, http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(rw).Encode(map[string]string{"token": issue(body.Audience)})
	})
	mux.HandleFunc("POST /azure/oidctoken", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+azureToken || r.Header.Get("X-TFS-FedAuthRedirect") != "Suppress" || r.URL.Query().Get("api-version") != "7.1" {
			http.Redirect(rw, r, "https://login.example/", http.StatusFound)
			return
		}
		_ = json.NewEncoder(rw).Encode(map[string]string{"oidcToken": issue("api://AzureADTokenExchange")})
	})
	return mux
}

// metadataServer is Google Cloud's.
func metadataServer(issue func(audience string) string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" || r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/identity" {
			http.Error(rw, "Missing Metadata-Flavor:Google header.", http.StatusForbidden)
			return
		}
		_, _ = rw.Write([]byte(issue(r.URL.Query().Get("audience"))))
	})
}

// cmdServices starts the endpoints at which Buildkite, Azure DevOps and Google
// Cloud issue ID tokens. ${BUILDKITE}, ${AZURE} and ${GCE} are where they are.
func cmdServices(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	s.further = append(s.further, buildkiteToken, azureToken, jobAPIToken)
	issue := func(audience string) string { return s.Issuer.Mint(audience, nil) }

	ca := jfrogtest.NewCA()
	certificate := ca.Certificate([]string{"127.0.0.1"}, time.Time{}, time.Time{})
	secure, err := jfrogtest.NewServer(ciServices(issue), "", &certificate)
	ts.Check(err)
	ts.Defer(secure.Close)

	pem, err := os.ReadFile(filepath.Join(s.Dir, "ca.pem"))
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(s.Dir, "ca.pem"), append(pem, ca.PEM()...), 0o600))

	metadata, err := jfrogtest.NewServer(metadataServer(issue), "", nil)
	ts.Check(err)
	ts.Defer(metadata.Close)

	s.jobAPI, err = runnertest.NewJobAPI(jobAPIToken)
	ts.Check(err)
	ts.Defer(s.jobAPI.Close)

	s.extra = map[string]string{
		"BUILDKITE": secure.URL + "/v3", "AZURE": secure.URL + "/azure/oidctoken", "GCE": metadata.URL[len("http://"):],
		"BUILDKITE_TOKEN": buildkiteToken, "AZURE_TOKEN": azureToken,
		"JOB_API_SOCKET": s.jobAPI.Socket, "JOB_API_TOKEN": jobAPIToken,
	}
}
