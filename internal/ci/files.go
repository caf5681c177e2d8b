package ci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// files is every CI whose steps share nothing but a folder. None of them can
// hide a secret that was made while the job runs: nothing secret is printed,
// it goes to files that only the job's user can read.
type files struct {
	voice
	system  system
	getenv  func(string) string
	places  Places
	own     string           // the state that this run saved last
	written bool             // the env file is of this run
	sizes   map[string]int64 // of Harness' files, before this run
}

func newFiles(getenv func(string) string, environ []string, out io.Writer) *files {
	return &files{voice: voice{out: &log{to: out}}, system: findSystem(getenv, environ), getenv: getenv}
}

// Name implements Platform.
func (f *files) Name() string { return f.system.name }

// Prefixes implements Platform. A setting of a plugin may be given by hand
// too.
func (f *files) Prefixes() []string {
	if f.system.plugin {
		return []string{"PLUGIN_", "JFROG_TOKEN_"}
	}
	return []string{"JFROG_TOKEN_"}
}

// Debug implements Platform.
func (f *files) Debug() bool { return false }

// Mask implements Platform: this process at least never prints s.
func (f *files) Mask(s secret.String) { f.remember(s) }

// Warning implements Platform.
func (f *files) Warning(lines ...string) { fmt.Fprintln(f.out, "warning: "+f.lines(lines)) }

// Error implements Platform.
func (f *files) Error(lines ...string) { fmt.Fprintln(f.out, "error: "+f.lines(lines)) }

// stateFile is within the state directory.
const stateFile = "state.json"

// envHead is the first line of an env file, by which we know our own.
const envHead = "# Written by jfrog-token. jfrog-token revoke removes it.\n"

// saved is the state file: one state for each mint that was not revoked, so
// that a second mint does not forget the first one's token.
type saved struct {
	WrittenBy string            `json:"written_by"`
	Mints     []json.RawMessage `json:"mints"`
}

const writtenBy = "jfrog-token"

// Check implements Platform.
func (f *files) Check(p Places) error {
	f.places, f.sizes = p, map[string]int64{}
	if err := makeDir(p.StateDir); err != nil {
		return fmt.Errorf("make state-dir: %w", err)
	}
	if _, err := readState(p.StateDir); err != nil {
		return err
	}
	if err := ours(p.EnvFile, envHead); err != nil {
		return fmt.Errorf("check env-file: %w", err)
	}
	for _, dir := range []string{p.StateDir, filepath.Dir(p.EnvFile)} {
		if err := tryWrite(dir); err != nil {
			return fmt.Errorf("write to %s: %w", dir, err)
		}
	}
	for _, name := range []string{"DRONE_OUTPUT", "HARNESS_OUTPUT_SECRET_FILE"} {
		if path := f.harnessFile(name); path != "" {
			size, err := appendHarness(path, nil)
			if err != nil {
				return fmt.Errorf("open the file of %s: %w", name, err)
			}
			f.sizes[path] = size
		}
	}
	return nil
}

// SaveState implements Platform. What other mints saved stays: an earlier one
// of this job, one that runs beside it, one of a build that was cancelled on a
// machine that keeps the workspace.
func (f *files) SaveState(state string) error {
	left, err := f.replaceOwn(state)
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if left == 0 {
		removeDir(f.places.StateDir)
	}
	return nil
}

// replaceOwn puts state where this run's last one is, under the lock, and
// gives the number of states that there are then.
func (f *files) replaceOwn(state string) (left int, err error) {
	unlock, err := lock(f.places.StateDir)
	if err != nil {
		return 0, err
	}
	defer unlock()
	mints, err := readState(f.places.StateDir)
	if err != nil {
		return 0, err
	}
	mints = slices.DeleteFunc(mints, func(m json.RawMessage) bool { return f.own != "" && string(m) == f.own })
	if state != "" {
		mints = append(mints, json.RawMessage(state))
	}
	path := filepath.Join(f.places.StateDir, stateFile)
	if len(mints) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, plain(err)
		}
		return 0, nil
	}
	text, err := json.Marshal(saved{writtenBy, mints})
	if err == nil {
		err = writeWhole(path, append(text, '\n'))
	}
	if err != nil {
		return 0, err
	}
	f.own = state
	return len(mints), nil
}

// States implements Platform.
func (f *files) States(p Places) ([]string, error) {
	mints, err := readState(p.StateDir)
	var list []string
	for _, m := range mints {
		list = append(list, string(m))
	}
	return list, err
}

// readState gives the states in a state file of ours; none where there is no
// such file.
func readState(dir string) ([]json.RawMessage, error) {
	path := filepath.Join(dir, stateFile)
	text, err := readOwn(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var s saved
	if err == nil && (json.Unmarshal(text, &s) != nil || s.WrittenBy != writtenBy) {
		err = errStranger
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s.Mints, nil
}

// Outputs implements Platform: the env file and, in Harness, its output
// files.
func (f *files) Outputs(outputs []Output) error {
	text, err := envFile(outputs)
	if err != nil {
		return fmt.Errorf("write env-file: %w", err)
	}
	if err := writeWhole(f.places.EnvFile, text); err != nil {
		return fmt.Errorf("write env-file: %w", err)
	}
	f.written = true
	for _, name := range []string{"DRONE_OUTPUT", "HARNESS_OUTPUT_SECRET_FILE"} {
		path := f.harnessFile(name)
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

// harnessFile gives one of Harness' output files; "" where there is none.
// Drone itself has none.
func (f *files) harnessFile(variable string) string {
	if f.system.name != "Harness" {
		return ""
	}
	return f.getenv(variable)
}

// Retract implements Platform.
func (f *files) Retract() error {
	var errs []error
	if f.written {
		errs = append(errs, os.Remove(f.places.EnvFile))
	}
	for path, size := range f.sizes {
		errs = append(errs, os.Truncate(path, size))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take back outputs: %w", plain(err))
	}
	return nil
}

// Clear implements Platform.
func (f *files) Clear(p Places) error {
	var errs []error
	if ours(p.EnvFile, envHead) == nil {
		errs = append(errs, os.Remove(p.EnvFile))
	}
	if _, err := readState(p.StateDir); err == nil {
		errs = append(errs, os.Remove(filepath.Join(p.StateDir, stateFile)))
	}
	removeDir(p.StateDir)
	for i, err := range errs {
		if errors.Is(err, fs.ErrNotExist) {
			errs[i] = nil
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove files: %w", err)
	}
	return nil
}

// Summary implements Platform: there is none.
func (f *files) Summary(string) error { return nil }

// Run implements Platform.
func (f *files) Run() Run { return f.system.run(f.getenv) }

// Description implements Platform.
func (f *files) Description() string {
	s, g := f.system, f.getenv
	return harmless(describe(s.name, get(g, s.repo), get(g, s.pipeline), get(g, s.number), get(g, s.attempt), get(g, s.job)))
}

// FromFork implements Platform.
func (f *files) FromFork() bool { return false }
