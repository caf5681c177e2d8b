package ci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

var azure = system{
	name: "Azure DevOps", docs: "Azure DevOps",
	known: []string{"TF_BUILD=True"}, debug: "SYSTEM_DEBUG=true",
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
	channel: func(w *workspace) channel { return &azureCommands{w: w} },
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
	w   *workspace
	set []string // names of the variables that this run set
}

func (a *azureCommands) hide(forms []string) error {
	for _, f := range forms { // none has a %, which would be escaped
		_, _ = fmt.Fprintf(a.w.out, "##vso[task.setsecret]%s\n", f)
	}
	return nil // Hide returns the error of the log
}

var errLineBreak = errors.New("value has a line break, which no command of Azure DevOps can hold")

// azureRecord is the variable that lists those which mints of this job set, with
// commas. All others are the pipeline's own: a later mint may read its URL and its
// credential from them, so they are neither set nor emptied. No other place knows
// what is whose: a step does not see secret variables, and the state and the env
// file may be gone while the variables are still there.
//
// A secret variable of the pipeline that the step's env does not name cannot be
// told from one that does not exist.
const azureRecord = "JF_TOKEN_VARIABLES"

// recorded are the variables that earlier mints of this job set.
func (a *azureCommands) recorded() []string {
	return slices.DeleteFunc(strings.Split(a.w.getenv(azureRecord), ","), func(name string) bool { return !isVariable(name) })
}

// handOn implements channel.
func (a *azureCommands) handOn(outputs []Output) error {
	var b strings.Builder
	var set, kept []string
	for _, v := range variables {
		for _, o := range outputs {
			if o.Name != v.output {
				continue
			}
			if strings.ContainsAny(o.Value, "\r\n") {
				return fmt.Errorf("set variable for %s: %w", o.Name, errLineBreak)
			}
			for _, name := range v.names {
				switch now := a.w.getenv(name); {
				// The agent leaves $(NAME) as it is if there is no such variable.
				case now == "" || now == "$("+name+")" || slices.Contains(a.recorded(), name):
					b.WriteString(azureVariable(name, o.Value, v.secret))
					set = append(set, name)
				case now != o.Value:
					kept = append(kept, name)
				}
			}
		}
	}
	a.set = set
	all := slices.Compact(slices.Sorted(slices.Values(append(a.recorded(), set...))))
	b.WriteString(azureVariable(azureRecord, strings.Join(all, ","), false))
	_, _ = io.WriteString(a.w.out, b.String())
	if kept != nil {
		a.w.Info("pipeline variables that this step has already were left as they are: " + strings.Join(kept, ", "))
	}
	return a.w.out.err
}

func (a *azureCommands) retract() error {
	a.unset(a.set)
	return a.w.out.err
}

// clear implements channel. The agent puts the variables that are not secret
// into the environment of every later step: whose they are is known by the id.
func (a *azureCommands) clear(envFile []byte) error {
	isAnothers := bytes.Contains(envFile, []byte("JF_TOKEN_ID=")) &&
		!bytes.Contains(envFile, []byte("JF_TOKEN_ID="+a.w.getenv("JF_TOKEN_ID")+"\n"))
	if isAnothers {
		return nil
	}
	a.unset(a.recorded())
	return a.w.out.err
}

// unset empties variables of ours, as none can be removed. The URL stays: a
// variable, even an empty one, wins over what the env of a later step says.
func (a *azureCommands) unset(names []string) {
	var b strings.Builder
	var left []string
	for _, v := range variables {
		for _, name := range v.names {
			switch isSet := slices.Contains(names, name); {
			case isSet && v.output != "url":
				b.WriteString(azureVariable(name, "", v.secret))
			case isSet || slices.Contains(a.recorded(), name):
				left = append(left, name)
			}
		}
	}
	if b.Len() > 0 {
		_, _ = io.WriteString(a.w.out, b.String()+azureVariable(azureRecord, strings.Join(left, ","), false))
	}
}

// azureVariable sets a variable. The agent decodes %AZP25 as % and some other
// escapes before it, in this order:
// https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Sdk/CommandStringConvertor.cs
func azureVariable(name, value string, isSecret bool) string {
	if isSecret {
		name += ";issecret=true"
	}
	return fmt.Sprintf("##vso[task.setvariable variable=%s]%s\n", name, strings.ReplaceAll(value, "%", "%AZP25"))
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
