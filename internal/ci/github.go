package ci

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sethvargo/go-githubactions"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// stateKey names the one value that is saved for the post step. One value, so
// that it is there whole or not at all: a key that main did not save can be
// given to post by an earlier step's GITHUB_ENV.
const stateKey = "jfrog_token"

// gitHub is GitHub's runner, and those of Forgejo, Gitea and act, which speak
// its protocol.
//
// All output goes to one stream: the runner reads stderr before stdout, so a
// mask on the one could come after what it hides on the other.
type gitHub struct {
	voice
	store
	dir    *stateDir // of a run: step, which has no post step; nil for an action
	getenv func(string) string
	action *githubactions.Action
	before int64 // size of the output file; below zero: nothing was added
}

func newGitHub(getenv func(string) string, out io.Writer, action bool) *gitHub {
	l := &log{to: out}
	g := &gitHub{voice: voice{out: l, results: l}, getenv: getenv, before: -1, action: githubactions.New(
		githubactions.WithGetenv(getenv), githubactions.WithWriter(l))}
	if action {
		g.store = runnerState{getenv}
	} else {
		g.dir = &stateDir{}
		g.store = g.dir
	}
	return g
}

// Name is the CI's name, for JFrog's records.
func (g *gitHub) Name() string {
	switch {
	case g.getenv("FORGEJO_ACTIONS") == "true":
		return "Forgejo"
	case g.getenv("GITEA_ACTIONS") == "true":
		return "Gitea"
	case g.getenv("ACT") == "true":
		return "act"
	}
	return "GitHub"
}

// Prefixes are those of the variables that carry inputs.
func (g *gitHub) Prefixes() []string {
	if g.dir != nil {
		return []string{"JFROG_TOKEN_"}
	}
	return []string{"INPUT_"}
}

// Debug reports whether debug logging is on for the step.
func (g *gitHub) Debug() bool { return g.getenv("RUNNER_DEBUG") == "1" }

// Hide has the runner hide secrets from here on, in each of their forms.
func (g *gitHub) Hide(secrets ...secret.String) error {
	g.redactor.Add(secrets...)
	for _, s := range secrets {
		for _, f := range s.Forms() {
			g.action.AddMask(f)
		}
	}
	return g.out.err
}

// Warning writes an annotation.
func (g *gitHub) Warning(lines ...string) { g.action.Warningf("%s", g.lines(lines)) }

// Error writes an annotation of what failed and what to do, a line each.
func (g *gitHub) Error(lines ...string) { g.action.Errorf("%s", g.lines(lines)) }

// Check implements Platform.
func (g *gitHub) Check(summary bool) error {
	names := []string{"GITHUB_OUTPUT"}
	if g.dir == nil {
		names = append(names, "GITHUB_STATE")
	}
	if summary && g.getenv("GITHUB_STEP_SUMMARY") != "" { // not on GitHub Enterprise Server before 3.6
		names = append(names, "GITHUB_STEP_SUMMARY")
	}
	for _, name := range names {
		path := g.getenv(name)
		if path == "" {
			return fmt.Errorf("%s is not set", name)
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("open the file of %s: %w", name, plain(err))
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("close the file of %s: %w", name, plain(err))
		}
	}
	return nil
}

// Use implements Platform: for a run: step, as the runner has places of its
// own for an action.
func (g *gitHub) Use(p Places) {
	if g.dir != nil {
		g.dir.path = filepath.Clean(p.StateDir)
	}
}

// EnvFile implements Platform: there are step outputs.
func (g *gitHub) EnvFile() string { return "" }

// runnerState is what an action's main saves for its post.
type runnerState struct{ getenv func(string) string }

// Save implements store. The last one that was saved counts.
func (r runnerState) Save(_ string, state []byte) error {
	if err := appendPairs(r.getenv("GITHUB_STATE"), [][2]string{{stateKey, string(state)}}); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// Drop implements store. It saves a state with nothing in it: without one, post
// would read what an earlier step put into its environment.
func (r runnerState) Drop(string) error { return r.Save("", []byte(`{"written_by":"jfrog-token"}`)) }

// States implements store.
func (r runnerState) States() ([]string, error) {
	if r.getenv("STATE_"+stateKey) == "" {
		return nil, nil
	}
	return []string{stateKey}, nil
}

// Read implements store.
func (r runnerState) Read(string) ([]byte, error) { return []byte(r.getenv("STATE_" + stateKey)), nil }

// Take implements store.
func (r runnerState) Take(string) ([]byte, bool, error) {
	state, err := r.Read("")
	return state, false, err
}

// Outputs implements Platform: step outputs.
func (g *gitHub) Outputs(outputs []Output) error {
	var pairs [][2]string
	for _, o := range outputs {
		pairs = append(pairs, [2]string{o.Name, o.Value})
	}
	path := g.getenv("GITHUB_OUTPUT")
	info, err := os.Stat(path)
	if err == nil {
		err = appendPairs(path, pairs)
	}
	if err != nil {
		return fmt.Errorf("set outputs: %w", plain(err))
	}
	g.before = info.Size()
	return nil
}

// Retract implements Platform. The runner reads the file when the step has
// ended, also when it failed.
func (g *gitHub) Retract() error {
	if g.before < 0 {
		return nil
	}
	if err := os.Truncate(g.getenv("GITHUB_OUTPUT"), g.before); err != nil {
		return fmt.Errorf("take back outputs: %w", plain(err))
	}
	return nil
}

// Clear implements Platform. The runner removes its files itself.
func (g *gitHub) Clear(bool) error {
	if g.dir != nil {
		g.dir.remove()
	}
	return nil
}

// Summary adds Markdown to the job summary, where there is one.
func (g *gitHub) Summary(markdown string) error {
	path := g.getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	if err := appendText(path, g.redactor.Redact(markdown)); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// Run implements Platform.
func (g *gitHub) Run() Run {
	r := Run{JobID: g.getenv("GITHUB_JOB"), RunID: g.getenv("GITHUB_RUN_ID"), Revision: g.getenv("GITHUB_SHA"), Branch: g.getenv("GITHUB_REF_NAME")}
	if repo := g.getenv("GITHUB_REPOSITORY"); repo != "" {
		r.Repo = strings.TrimSuffix(g.getenv("GITHUB_SERVER_URL"), "/") + "/" + repo
	}
	return r
}

// Description implements Platform.
func (g *gitHub) Description() string {
	return sanitize(describe(g.Name(), g.getenv("GITHUB_REPOSITORY"), g.getenv("GITHUB_WORKFLOW"),
		g.getenv("GITHUB_RUN_NUMBER"), g.getenv("GITHUB_RUN_ATTEMPT"), g.getenv("GITHUB_JOB")))
}

// FromFork implements Platform.
func (g *gitHub) FromFork() bool {
	// pull_request_target runs for the base repository, with its secrets.
	if event := g.getenv("GITHUB_EVENT_NAME"); !strings.HasPrefix(event, "pull_request") || event == "pull_request_target" {
		return false
	}
	if g.getenv("GITHUB_ACTOR") == "dependabot[bot]" {
		return true
	}
	type repository struct {
		Fork     bool   `json:"fork"`
		FullName string `json:"full_name"`
	}
	var event struct {
		PullRequest struct {
			Head, Base struct {
				Repo *repository `json:"repo"` // null when the fork was deleted
			}
		} `json:"pull_request"`
	}
	text, err := os.ReadFile(g.getenv("GITHUB_EVENT_PATH"))
	if err != nil || json.Unmarshal(text, &event) != nil || event.PullRequest.Base.Repo == nil {
		return false
	}
	head := event.PullRequest.Head.Repo
	return head == nil || head.FullName != event.PullRequest.Base.Repo.FullName
}
