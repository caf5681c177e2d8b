package ci

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

var harness = system{
	name: "Harness", docs: "Harness",
	known: []string{"HARNESS_BUILD_ID"}, settings: true, ownSettings: true,
	facts: facts{
		repo: "DRONE_REPO", pipeline: "HARNESS_PIPELINE_ID", number: "HARNESS_BUILD_ID", job: "HARNESS_STEP_ID",
		jobID: "HARNESS_STAGE_ID", runID: "HARNESS_EXECUTION_ID", revision: "DRONE_COMMIT_SHA",
		branch: "DRONE_COMMIT_BRANCH", url: "DRONE_REPO_LINK",
	},
	idTokens: []string{"PLUGIN_OIDC_TOKEN_ID"},
	noIDToken: always("In Harness the ID token is in PLUGIN_OIDC_TOKEN_ID if the step uses an OIDC connector, or " +
		"the stage sets it."),
	noSecret: because(`In Harness a setting takes a secret by an expression: <+secrets.getValue("name")>.`),
	channel: func(w *workspace) channel {
		return &harnessFiles{getenv: w.getenv, sizes: map[string]int64{}}
	},
}

// harnessFiles are those in which a step hands on its outputs. Drone itself has
// none.
type harnessFiles struct {
	noChannel
	getenv lookup
	sizes  map[string]int64 // before this run
}

// The variables that name the files: of plain and of secret outputs.
var harnessOutputs = []string{"DRONE_OUTPUT", "HARNESS_OUTPUT_SECRET_FILE"}

func (h *harnessFiles) check() error {
	for _, name := range harnessOutputs {
		if path := h.getenv(name); path != "" {
			size, err := appendHarness(path, nil)
			if err != nil {
				return fmt.Errorf("open the file of %s: %w", name, err)
			}
			h.sizes[path] = size
		}
	}
	return nil
}

func (h *harnessFiles) handOn(outputs []Output) error {
	for _, name := range harnessOutputs {
		path := h.getenv(name)
		if path == "" {
			continue
		}
		var mine []Output
		for _, o := range outputs {
			if o.Secret == (name == "HARNESS_OUTPUT_SECRET_FILE") {
				mine = append(mine, o)
			}
		}
		if _, err := appendHarness(path, mine); err != nil {
			return fmt.Errorf("write the file of %s: %w", name, err)
		}
	}
	return nil
}

func (h *harnessFiles) retract() error {
	var errs []error
	for path, size := range h.sizes {
		errs = append(errs, os.Truncate(path, size))
	}
	return errors.Join(errs...)
}

// appendHarness adds outputs to one of Harness' files, under their names with
// '_'. Its reader is a dotenv reader that decodes a value which begins with
// __B64__ and takes no line over 64 KiB; on an error it logs the whole file
// (https://github.com/harness/lite-engine/blob/main/pipeline/runtime/common.go).
//
// before is the file's size without them, in bytes.
func appendHarness(path string, outputs []Output) (before int64, err error) {
	var b strings.Builder
	for _, o := range outputs {
		q, err := quote(o.Value)
		if err == nil && (strings.HasPrefix(o.Value, "__B64__") || len(q) > 60<<10) {
			err = errQuote
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", o.Name, err)
		}
		fmt.Fprintf(&b, "%s=%s\n", strings.ReplaceAll(o.Name, "-", "_"), q)
	}
	return appendTo(path, os.O_CREATE, b.String())
}
