package ci

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

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
	channel:  func(w *workspace) channel { return &buildkiteJob{w: w} },
	endpoint: buildkiteEndpoint,
	identity: []string{"organization_slug", "pipeline_slug"},
	// https://buildkite.com/docs/pipelines/security/oidc
	holders: map[string]Holders{
		"pipeline_id": Nobody, "organization_id": Siblings, "organization_slug": Siblings,
		"pipeline_slug": Anybody, // other organizations have a pipeline of that name
		"sub":           NextOfName,
	},
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

// buildkiteJob is the agent's job API, which buildkite-agent redactor add asks:
// https://github.com/buildkite/agent/tree/main/jobapi
type buildkiteJob struct {
	noChannel
	w       *workspace
	pending []string // what the agent does not hide yet
	warned  bool
	unable  bool // it can hide nothing
}

// errUnable says that another request would fare no better.
var errUnable = errors.New("HTTP 404") // from an agent before 3.66

// hide implements channel. An agent that cannot hide is no reason to fail, as
// this program prints no secret: it is said once. What failed is tried again with
// the next secrets: the one that is minted comes last.
func (b *buildkiteJob) hide(forms []string) error {
	if b.unable || len(forms) == 0 {
		return nil
	}
	b.pending = append(b.pending, forms...)
	err := b.redact()
	var missing *MissingError
	b.unable = errors.As(err, &missing) || errors.Is(err, errUnable) || errors.Is(err, fs.ErrNotExist)
	if err != nil && !b.warned {
		b.warned = true
		b.w.Warning("Buildkite's agent does not hide this job's secrets in the log: " + err.Error())
	}
	return nil
}

// redactTimeout bounds all requests for the secrets of one call.
const redactTimeout = 2 * time.Second

// redact has the agent hide what is pending. Its socket is a Unix one on Windows
// too. The error is the first.
func (b *buildkiteJob) redact() (first error) {
	const socketVariable, tokenVariable = "BUILDKITE_AGENT_JOB_API_SOCKET", "BUILDKITE_AGENT_JOB_API_TOKEN"
	if err := missing(b.w.getenv, socketVariable, tokenVariable); err != nil {
		return err
	}
	token := secret.New(b.w.getenv(tokenVariable))
	b.w.redactor.Add(token)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", b.w.getenv(socketVariable))
	}
	client := &http.Client{
		Transport:     &http.Transport{DialContext: dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), redactTimeout)
	defer cancel()
	var failed []string
	for i, f := range b.pending {
		err := redactOne(ctx, client, token, f)
		if err != nil {
			first = cmp.Or(first, err)
			failed = append(failed, f)
		}
		if errors.Is(err, errUnable) || ctx.Err() != nil {
			failed = append(failed, b.pending[i+1:]...)
			break
		}
	}
	b.pending = failed
	return first
}

func redactOne(ctx context.Context, client *http.Client, token secret.String, value string) error {
	body, err := json.Marshal(map[string]string{"redact": value})
	if err != nil {
		return errors.New("a value is no text")
	}
	const redactions = "http://job/api/current-job/v0/redactions"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, redactions, bytes.NewReader(body))
	if err != nil {
		return errors.New("no request can be made")
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Err // without the path
	case ctx.Err() != nil:
		return fmt.Errorf("no response within %s", redactTimeout)
	case err != nil:
		return errors.New("malformed HTTP response")
	}
	_ = res.Body.Close()
	switch res.StatusCode {
	case http.StatusCreated:
		return nil
	case http.StatusNotFound:
		return errUnable
	}
	return fmt.Errorf("HTTP %d", res.StatusCode)
}
