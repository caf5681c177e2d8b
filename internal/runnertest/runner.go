// Package runnertest is a model of GitHub's runner, as far as an action or a
// run: step meets it: inputs to variables, command files, commands in the log,
// masks, the post step. It follows the source of actions/runner 2.336; where the model is
// stricter than the runner, a comment says so.
package runnertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Runner runs the steps of one job.
type Runner struct {
	Dir string            // for the command files
	Env map[string]string // of the job
	// Debug is the job's step debug logging.
	Debug bool

	masker masker
	files  int
}

// Action is what action.yml says, as far as a step or a test needs it.
type Action struct {
	Description string
	Inputs      map[string]struct{ Default string }
	Outputs     map[string]struct{ Description string }
}

// ParseAction reads an action.yml.
func ParseAction(text []byte) (*Action, error) {
	var a Action
	d := yaml.NewDecoder(bytes.NewReader(text))
	return &a, d.Decode(&a)
}

// Step is one use of an action: what its with: says, and what main left for
// post.
type Step struct {
	Action  *Action
	With    map[string]string
	State   map[string]string
	Outputs map[string]string
}

// Result is what one run of a step's program did.
type Result struct {
	Code    int
	Raw     string // what was printed, stderr before stdout as the runner reads them
	Log     string // what the runner shows
	Stdout  string // but for an action: what was printed there
	Stderr  string
	Summary string
	Env     map[string]string // what was exported to the job
	Err     error             // a command file that the runner would refuse
}

// inputs gives the variables of the inputs. Every declared one is set, to its
// default or to nothing; only blanks change in a name (Handler.cs).
func (s *Step) inputs() (map[string]string, string) {
	env := map[string]string{}
	for name, input := range s.Action.Inputs {
		env[inputName(name)] = input.Default
	}
	var unexpected strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.With)) {
		if _, ok := s.Action.Inputs[name]; !ok {
			fmt.Fprintf(&unexpected, "Warning: Unexpected input(s) '%s'\n", name)
		}
		env[inputName(name)] = s.With[name]
	}
	return env, unexpected.String()
}

func inputName(name string) string {
	return "INPUT_" + strings.ToUpper(strings.ReplaceAll(name, " ", "_"))
}

// Command prepares a program for Run: its environment is the job's, the
// inputs, the state of main and the command files.
func (r *Runner) Command(s *Step, name string, args ...string) *Process {
	env, unexpected := s.inputs()
	for k, v := range s.State {
		env["STATE_"+k] = v
	}
	p := r.prepare(s, env, name, args...)
	p.log.WriteString(unexpected)
	return p
}

// Script prepares a command of a run: step. Its environment is the job's, what
// the step's env: says, and command files of its own: it has no inputs, no state
// and no post step.
func (r *Runner) Script(s *Step, env map[string]string, name string, args ...string) *Process {
	p := r.prepare(s, env, name, args...)
	p.script = true
	return p
}

func (r *Runner) prepare(s *Step, own map[string]string, name string, args ...string) *Process {
	p := &Process{runner: r, step: s, Cmd: exec.Command(name, args...), files: map[string]string{}}
	env := maps.Clone(r.Env)
	maps.Copy(env, own)
	if r.Debug {
		env["RUNNER_DEBUG"] = "1"
	}
	for _, file := range []string{"GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"} {
		if _, set := env[file]; set {
			continue // a test's own, to break it
		}
		r.files++
		path := filepath.Join(r.Dir, fmt.Sprintf("%s_%d", strings.ToLower(file), r.files))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			p.err = err
		}
		env[file], p.files[file] = path, path
	}
	for _, k := range slices.Sorted(maps.Keys(env)) {
		p.Cmd.Env = append(p.Cmd.Env, k+"="+env[k])
	}
	p.Cmd.Stdout, p.Cmd.Stderr = &p.stdout, &p.stderr
	return p
}

// Process is a step's program.
type Process struct {
	Cmd    *exec.Cmd
	runner *Runner
	step   *Step
	script bool // of a run: step
	files  map[string]string
	stdout buffer
	stderr buffer
	log    strings.Builder
	err    error
}

// Start starts the program.
func (p *Process) Start() error {
	if p.err != nil {
		return p.err
	}
	return p.Cmd.Start()
}

// Wait waits for its end and does what the runner does then: shows the log and
// reads the command files, however the program ended (ActionRunner.cs).
func (p *Process) Wait() (*Result, error) {
	err := p.Cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	res := &Result{Code: p.Cmd.ProcessState.ExitCode(), Raw: p.stderr.String() + p.stdout.String(), Env: map[string]string{}}
	show := func(line string) { p.log.WriteString(p.runner.masker.mask(line) + "\n") }
	for line := range strings.Lines(res.Raw) {
		p.runner.process(strings.TrimRight(line, "\r\n"), show)
	}
	if p.script {
		res.Stdout, res.Stderr = p.stdout.String(), p.stderr.String()
	}
	res.Err = p.readFiles(res, show)
	res.Log = p.log.String()
	return res, nil
}

// Run is Start and Wait.
func (p *Process) Run() (*Result, error) {
	if err := p.Start(); err != nil {
		return nil, err
	}
	return p.Wait()
}

func (p *Process) readFiles(res *Result, show func(string)) error {
	if p.step.Outputs == nil {
		p.step.Outputs = map[string]string{}
	}
	if p.step.State == nil {
		p.step.State = map[string]string{}
	}
	var errs []error
	for _, f := range []struct {
		name string
		into map[string]string
		says string
	}{{"GITHUB_OUTPUT", p.step.Outputs, "Set output %s = %s"}, {"GITHUB_STATE", p.step.State, "Save intra-action state %s = %s"}, {"GITHUB_ENV", res.Env, "%s=%s"}} {
		if p.files[f.name] == "" {
			continue
		}
		text, err := os.ReadFile(p.files[f.name])
		errs = append(errs, err)
		pairs, err := ParseFileCommand(string(text))
		if err != nil {
			show("Error: Unable to process file command successfully.")
			show("Error: " + err.Error())
			errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
		}
		if f.name == "GITHUB_STATE" && p.script && len(pairs) > 0 { // the runner does not mind
			errs = append(errs, errors.New("a run: step saves state, which nobody will read"))
		}
		if f.name == "GITHUB_OUTPUT" && p.runner.withoutID() {
			continue
		}
		for _, kv := range pairs {
			f.into[kv[0]] = kv[1]
			if p.runner.Debug {
				show("##[debug]" + fmt.Sprintf(f.says, kv[0], kv[1]))
			}
		}
	}
	if path := p.files["GITHUB_STEP_SUMMARY"]; path != "" {
		text, err := os.ReadFile(path)
		errs = append(errs, err)
		for line := range strings.Lines(string(text)) { // masked by the line before it is uploaded
			res.Summary += p.runner.masker.mask(line)
		}
	}
	return errors.Join(errs...)
}

// withoutID reports whether the step has no id: its outputs are dropped (ExecutionContext.cs, SetOutput).
func (r *Runner) withoutID() bool {
	name := r.Env["GITHUB_ACTION"]
	return strings.HasPrefix(name[strings.LastIndexByte(name, '.')+1:], "__")
}

// buffer is written to by a process and read by a test at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var _ io.Writer = (*buffer)(nil)
