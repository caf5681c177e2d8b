// Package ci is the side of the CI: what it says about the run, where it
// wants secrets, state and outputs, and how its log is written to.
package ci

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sethvargo/go-githubactions"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// stateKey names the one value that is saved for the post step. One value, so
// that it is there whole or not at all: a key that main did not save can be
// given to post by an earlier step's GITHUB_ENV.
const stateKey = "jfrog_token"

// GitHub is GitHub's runner, and those of Forgejo, Gitea and act, which speak
// its protocol.
//
// All output goes to one stream: the runner reads stderr before stdout, so a
// mask on the one could come after what it hides on the other.
type GitHub struct {
	getenv  func(string) string
	out     *log
	action  *githubactions.Action
	secrets []secret.String
}

// NewGitHub gives the runner that getenv describes, with its log at out.
func NewGitHub(getenv func(string) string, out io.Writer) *GitHub {
	l := &log{to: out}
	return &GitHub{getenv: getenv, out: l, action: githubactions.New(
		githubactions.WithGetenv(getenv), githubactions.WithWriter(l))}
}

// log remembers that it could not be written to: go-githubactions panics on
// such an error, and a panic after minting would leave a token behind.
type log struct {
	to  io.Writer
	err error
}

func (l *log) Write(p []byte) (int, error) {
	if _, err := l.to.Write(p); err != nil {
		l.err = fmt.Errorf("write log: %w", plain(err))
	}
	return len(p), nil
}

// LogError reports that the log could not be written to, so that a secret may
// not be masked.
func (g *GitHub) LogError() error { return g.out.err }

// IsGitHub reports whether the environment is that of a runner which speaks
// GitHub's protocol.
func IsGitHub(getenv func(string) string) bool { return getenv("GITHUB_ACTIONS") == "true" }

// Name is the CI's name, for JFrog's records.
func (g *GitHub) Name() string {
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
func (g *GitHub) Prefixes() []string { return []string{"INPUT_"} }

// Debug reports whether debug logging is on for the step.
func (g *GitHub) Debug() bool { return g.getenv("RUNNER_DEBUG") == "1" }

// Mask has the runner hide a secret from here on, in each of its forms.
func (g *GitHub) Mask(s secret.String) {
	forms := s.Forms()
	for _, f := range forms {
		g.action.AddMask(f)
	}
	if forms != nil {
		g.secrets = append(g.secrets, s)
	}
}

// MaskWithUser masks a token, and the base64 of user:token.
func (g *GitHub) MaskWithUser(s secret.String, user string) {
	g.Mask(s)
	if user != "" {
		g.Mask(s.Basic(user))
	}
}

// line prepares one line for the log: no secret, no command.
func (g *GitHub) line(s string) string { return harmless(secret.Redact(s, g.secrets...)) }

// Info writes one line. A log that cannot be written to is no reason to fail.
func (g *GitHub) Info(s string) { _, _ = fmt.Fprintln(g.out, g.line(s)) }

// Warning writes an annotation.
func (g *GitHub) Warning(lines ...string) { g.action.Warningf("%s", g.lines(lines)) }

// Error writes an annotation of what failed and what to do, a line each.
func (g *GitHub) Error(lines ...string) { g.action.Errorf("%s", g.lines(lines)) }

func (g *GitHub) lines(lines []string) string {
	made := make([]string, len(lines))
	for i, l := range lines {
		made[i] = g.line(l)
	}
	return strings.Join(made, "\n") // escaped by the library
}

// Check reports whether the files that mint writes are there and can be
// written. It runs before anything is minted: a token that cannot be handed on
// must not exist.
func (g *GitHub) Check(summary bool) error {
	names := []string{"GITHUB_STATE", "GITHUB_OUTPUT"}
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

// SaveState hands state to the post step. The last one that was saved counts.
func (g *GitHub) SaveState(state string) error {
	if err := appendPairs(g.getenv("GITHUB_STATE"), [][2]string{{stateKey, state}}); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// State gives what main saved; "" where it saved nothing.
func (g *GitHub) State() string { return g.getenv("STATE_" + stateKey) }

// Outputs sets step outputs, all or none.
func (g *GitHub) Outputs(pairs [][2]string) error {
	if err := appendPairs(g.getenv("GITHUB_OUTPUT"), pairs); err != nil {
		return fmt.Errorf("set outputs: %w", err)
	}
	return nil
}

// Summary adds Markdown to the job summary, where there is one.
func (g *GitHub) Summary(markdown string) error {
	path := g.getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	if err := appendText(path, secret.Redact(markdown, g.secrets...)); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// Run is what the CI says about the run, "" where it does not.
type Run struct{ JobID, RunID, Repo, Revision, Branch string }

// Run gives the facts that go with an exchange. Repo is the URL of the
// repository, as JFrog's own CLI sends it.
func (g *GitHub) Run() Run {
	r := Run{JobID: g.getenv("GITHUB_JOB"), RunID: g.getenv("GITHUB_RUN_ID"), Revision: g.getenv("GITHUB_SHA"), Branch: g.getenv("GITHUB_REF_NAME")}
	if repo := g.getenv("GITHUB_REPOSITORY"); repo != "" {
		r.Repo = strings.TrimSuffix(g.getenv("GITHUB_SERVER_URL"), "/") + "/" + repo
	}
	return r
}

// Description says in one line who asked for a token.
func (g *GitHub) Description() string {
	return harmless(fmt.Sprintf("%s %s %s run %s attempt %s job %s", g.Name(), g.getenv("GITHUB_REPOSITORY"), g.getenv("GITHUB_WORKFLOW"),
		g.getenv("GITHUB_RUN_NUMBER"), g.getenv("GITHUB_RUN_ATTEMPT"), g.getenv("GITHUB_JOB")))
}

// FromFork reports whether the run is for a pull request from a fork or from
// Dependabot, which GitHub gives no ID token and no secrets.
func (g *GitHub) FromFork() bool {
	if event := g.getenv("GITHUB_EVENT_NAME"); !strings.HasPrefix(event, "pull_request") {
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
