package ci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

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
	channel: func(w *workspace) channel { return &azureCommands{out: w.out, getenv: w.getenv} },
}

// azureCommands are lines in the log that the agent obeys, and does not show: it
// hides values, and sets variables for the later steps of the job.
// https://learn.microsoft.com/en-us/azure/devops/pipelines/scripts/logging-commands
//
// They go to standard error, as the rest of the log does: standard output is for
// results, and ends in files. The agent obeys both streams (OnDataReceived), and
// shows of standard error first what it has of both (ProcessOutput):
// https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Worker/Handlers/NodeHandler.cs
// https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Sdk/ProcessInvoker.cs
// The tasks that run scripts pass it on as it is:
// https://github.com/microsoft/azure-pipelines-tasks/blob/master/Tasks/BashV3/bash.ts
type azureCommands struct {
	noChannel
	out    *log
	getenv lookup
	set    bool // variables were set in this run
}

func (a *azureCommands) hide(forms []string) error {
	for _, f := range forms { // none has a %, which would be escaped
		_, _ = fmt.Fprintf(a.out, "##vso[task.setsecret]%s\n", f)
	}
	return nil // Hide returns the error of the log
}

var errLineBreak = errors.New("value has a line break, which no command of Azure DevOps can hold")

func (a *azureCommands) handOn(outputs []Output) error {
	var b strings.Builder
	for _, v := range variables {
		for _, o := range outputs {
			if o.Name != v.output {
				continue
			}
			if strings.ContainsAny(o.Value, "\r\n") {
				return fmt.Errorf("set variable for %s: %w", o.Name, errLineBreak)
			}
			b.WriteString(azureVariables(v, o.Value))
		}
	}
	a.set = true
	_, _ = io.WriteString(a.out, b.String())
	return a.out.err
}

func (a *azureCommands) retract() error {
	if !a.set {
		return nil
	}
	return a.unset()
}

// clear implements channel. The agent puts the variables that are not secret
// into the environment of every later step: whose they are is known by the id.
func (a *azureCommands) clear(envFile []byte) error {
	id, expiry := a.getenv("JF_TOKEN_ID"), a.getenv("JF_TOKEN_EXPIRES_AT")
	isAnothers := bytes.Contains(envFile, []byte("JF_TOKEN_ID=")) &&
		!bytes.Contains(envFile, []byte("JF_TOKEN_ID="+id+"\n"))
	if id == "" && expiry == "" || isAnothers {
		return nil
	}
	return a.unset()
}

// unset empties the variables, as none can be removed. The URL stays: it may be
// the pipeline's own, which a later mint reads.
func (a *azureCommands) unset() error {
	for _, v := range variables {
		if v.output != "url" {
			_, _ = io.WriteString(a.out, azureVariables(v, ""))
		}
	}
	return a.out.err
}

// azureVariables sets the variables of one output. The agent decodes %AZP25 as %
// and some other escapes before it, in this order:
// https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Sdk/CommandStringConvertor.cs
func azureVariables(v variable, value string) string {
	var b strings.Builder
	for _, name := range v.names {
		if v.secret {
			name += ";issecret=true"
		}
		fmt.Fprintf(&b, "##vso[task.setvariable variable=%s]%s\n", name, strings.ReplaceAll(value, "%", "%AZP25"))
	}
	return b.String()
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
