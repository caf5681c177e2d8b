package ci

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/sethvargo/go-githubactions"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// stateKey names the one value that is saved for the post step. One value, so
// that it is there whole or not at all: a key that main did not save can be
// given to post by an earlier step's GITHUB_ENV.
const stateKey = "jfrog_token"

// runnerDebug is the debug switch of GitHub's runner and of its kin.
const runnerDebug = "RUNNER_DEBUG=1"

// runnerFacts are the same on all of them.
var runnerFacts = facts{
	repo: "GITHUB_REPOSITORY", pipeline: "GITHUB_WORKFLOW", number: "GITHUB_RUN_NUMBER",
	attempt: "GITHUB_RUN_ATTEMPT", job: "GITHUB_JOB",
	jobID: "GITHUB_JOB", runID: "GITHUB_RUN_ID", revision: "GITHUB_SHA", branch: "GITHUB_REF_NAME",
	server: "GITHUB_SERVER_URL",
}

// runner is GitHub's runner, and those of Forgejo, Gitea and act, which speak
// its protocol.
//
// The runner takes commands on both streams, and may read the one before the
// other, so a mask on the one could come after what it hides on the other. An
// action therefore writes to standard output alone. In a run: step masks and
// messages go to standard error, and results to standard output, which people
// redirect into files. No result can be shown without its mask: a secret that
// is known is hidden in it already (voice.Clean).
type runner struct {
	variant
	voice
	store
	dir    *stateDir // of a run: step, which has no post step; nil for an action
	action *githubactions.Action
	before map[string]int64 // sizes of the files that something was added to
	places Places           // of a run: step
}

func newRunner(v variant, stdout, stderr io.Writer, start Start) *runner {
	r := &runner{variant: v, before: map[string]int64{}}
	if start != Command {
		l := &log{to: stdout}
		r.voice = voice{out: l, results: l}
		r.store = runnerState{v.getenv, start == Post}
	} else {
		r.voice = voice{out: &log{to: stderr}, results: stdout}
		r.dir = &stateDir{}
		r.store = r.dir
	}
	r.action = githubactions.New(githubactions.WithGetenv(v.getenv), githubactions.WithWriter(r.out))
	return r
}

// Prefixes implements Platform.
func (r *runner) Prefixes() (all []string, shared string) {
	if r.dir != nil {
		return []string{"JFROG_TOKEN_"}, ""
	}
	return []string{"INPUT_"}, "INPUT_"
}

// Variable implements Platform.
func (r *runner) Variable(input string) string {
	if r.dir != nil {
		return plainVariable(input)
	}
	return input
}

// IDTokens implements Platform.
func (r *runner) IDTokens(
	given secret.String, audience string, c *wire.Client, p wire.Policy,
) (*IDTokenSource, error) {
	return r.find(given, audience, c, p, r.Hide)
}

// Hide has the runner hide secrets from here on, in each of their forms.
func (r *runner) Hide(secrets ...secret.String) error {
	r.hide(secrets)
	for _, s := range secrets {
		for _, f := range s.Forms() {
			r.action.AddMask(f)
		}
	}
	return r.out.err
}

// Notice writes an annotation.
func (r *runner) Notice(lines ...string) { r.annotate(r.action.Noticef, lines) }

// Warning writes an annotation.
func (r *runner) Warning(lines ...string) { r.annotate(r.action.Warningf, lines) }

// Error writes an annotation of what failed and what to do, a line each.
func (r *runner) Error(lines ...string) { r.annotate(r.action.Errorf, lines) }

// annotate writes an annotation. A runner that shows its line breaks as they
// are escaped, %0A, gets the first line as annotation and the rest as lines.
func (r *runner) annotate(write func(string, ...any), lines []string) {
	var rest []string
	if r.oneLine {
		lines, rest = lines[:1], lines[1:]
	}
	write("%s", r.lines(lines))
	for _, l := range rest {
		r.Info(l)
	}
}

// Check implements Platform.
func (r *runner) Check(w Writes) error {
	var names []string
	if w.Outputs {
		names = append(names, "GITHUB_OUTPUT")
	}
	if w.Export {
		names = append(names, "GITHUB_ENV")
	}
	if r.dir == nil {
		names = append(names, "GITHUB_STATE")
	}
	if w.Summary && r.getenv("GITHUB_STEP_SUMMARY") != "" { // not on GitHub Enterprise Server before 3.6
		names = append(names, "GITHUB_STEP_SUMMARY")
	}
	for _, name := range names {
		path := r.getenv(name)
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
	if r.dir == nil {
		return nil
	}
	if err := r.places.check(); err != nil {
		return err
	}
	if err := r.dir.make(); err != nil {
		return fmt.Errorf("make state-dir: %w", err)
	}
	return nil
}

// Use implements Platform: for a run: step, as the runner has places of its
// own for an action.
func (r *runner) Use(p Places) {
	if r.dir == nil {
		return
	}
	p.EnvFile = filepath.Join(p.StateDir, "env") // there is none
	r.places, r.dir.path = p, filepath.Clean(p.StateDir)
	// Two steps may have two working directories, and actions/checkout empties
	// the workspace.
	if temp := r.getenv("RUNNER_TEMP"); temp != "" && p.StateDir == usualDir {
		r.dir.path = filepath.Join(temp, usualDir)
	}
}

// EnvFile implements Platform: there are step outputs.
func (r *runner) EnvFile() string { return "" }

// runnerState is what an action's main saves for its post. Only post reads it:
// main has no state of its own, and its environment may hold one that an earlier
// step put there by GITHUB_ENV, with a URL of its choice.
type runnerState struct {
	getenv lookup
	isPost bool
}

// Save implements store. The last one that was saved counts.
func (s runnerState) Save(_ string, state []byte) error {
	if err := appendPairs(s.getenv("GITHUB_STATE"), [][2]string{{stateKey, string(state)}}); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// Drop implements store. It saves a state with nothing in it: without one, post
// would read what an earlier step put into its environment.
func (s runnerState) Drop(string) error { return s.Save("", []byte(`{"written_by":"jfrog-token"}`)) }

// States implements store.
func (s runnerState) States() ([]string, error) {
	if _, err := s.Read(""); err != nil {
		return nil, nil
	}
	return []string{stateKey}, nil
}

// Read implements store.
func (s runnerState) Read(string) ([]byte, error) {
	state := s.getenv("STATE_" + stateKey)
	if !s.isPost || state == "" {
		return nil, fs.ErrNotExist
	}
	return []byte(state), nil
}

// Take implements store.
func (s runnerState) Take(string) ([]byte, bool, error) {
	state, err := s.Read("")
	return state, false, err
}

// Outputs implements Platform: step outputs.
func (r *runner) Outputs(outputs []Output) error {
	var pairs [][2]string
	for _, o := range outputs {
		pairs = append(pairs, [2]string{o.Name, o.Value})
	}
	if err := r.handOn("GITHUB_OUTPUT", pairs); err != nil {
		return fmt.Errorf("set outputs: %w", err)
	}
	return nil
}

// Export implements Platform.
func (r *runner) Export(outputs []Output) error {
	if err := r.handOn("GITHUB_ENV", Variables(outputs)); err != nil {
		return fmt.Errorf("export variables: %w", err)
	}
	return nil
}

// handOn adds pairs to one of the files that the runner reads when the step has
// ended, also if it failed.
func (r *runner) handOn(file string, pairs [][2]string) error {
	path := r.getenv(file)
	info, err := os.Stat(path)
	if err == nil {
		err = appendPairs(path, pairs)
	}
	if err != nil {
		return plain(err)
	}
	r.before[file] = info.Size()
	return nil
}

// Retract implements Platform. The runner reads the file when the step has
// ended, also when it failed.
func (r *runner) Retract() error {
	for file, size := range r.before {
		if err := os.Truncate(r.getenv(file), size); err != nil {
			return fmt.Errorf("take back outputs: %w", plain(err))
		}
	}
	return nil
}

// Clear implements Platform. The runner removes its files itself.
func (r *runner) Clear(bool) error {
	if r.dir != nil {
		r.dir.remove()
	}
	return nil
}

// Summary adds Markdown to the job summary, where there is one.
func (r *runner) Summary(markdown string) error {
	path := r.getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	if err := appendText(path, r.redactor.Redact(markdown)); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// runnerEndpoint is the one that GitHub's runner, and Forgejo's, hands to a job.
// Without an audience none is requested: the issuer's default is what a JFrog
// provider without one accepts, and forcing another broke every user of
// setup-jfrog-cli once (https://github.com/jfrog/setup-jfrog-cli/issues/270).
// The bearer is also the job's ACTIONS_RUNTIME_TOKEN, with rights to caches and
// artifacts.
func runnerEndpoint(getenv lookup, audience string) (*service, error) {
	const urlVariable, tokenVariable = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	if err := missing(getenv, urlVariable, tokenVariable); err != nil {
		return nil, err
	}
	u, err := secureURL(urlVariable, getenv)
	if err != nil {
		return nil, err
	}
	if audience != "" { // the URL has a query of its own
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&audience="+url.QueryEscape(audience), "&")
	}
	return &service{field: "value", request: wire.Request{
		Method: http.MethodGet, URL: u, Bearer: secret.New(getenv(tokenVariable)),
	}}, nil
}

// Usage implements Platform. A step without an id has outputs that nobody can
// name. GitHub's runner calls it __run or the like, act and its kin by a number;
// within a composite action, the id follows that of the outer step.
func (r *runner) Usage(revoke bool) (lines []string, lost bool) {
	id := r.getenv("GITHUB_ACTION")
	id = id[strings.LastIndexByte(id, '.')+1:]
	lost = id == "" || strings.HasPrefix(id, "__") || strings.Trim(id, "0123456789") == ""
	if lost {
		lines = []string{"this step has no id, so that no later step can read its outputs; give it one, such as id: jfrog"}
	} else {
		lines = []string{"later steps read the token as ${{ steps." + id + ".outputs.token }}, its user as ${{ steps." + id +
			".outputs.username }}"}
	}
	if r.dir != nil && revoke {
		lines = append(lines, "at the end of the job, in a step with if: always(): jfrog-token revoke"+r.places.flags())
	}
	return lines, lost
}
