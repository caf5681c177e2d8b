package ci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// files is every CI whose steps share nothing but a directory. None of them can
// hide a secret that was made while the job runs: nothing secret is printed,
// it goes to files that only the job's user can read.
type files struct {
	voice
	stateDir
	system  system
	getenv  func(string) string
	envFile string
	written []byte           // the env file of this run
	sizes   map[string]int64 // of Harness' files, before this run
}

func newFiles(getenv func(string) string, environ []string, stdout, stderr io.Writer) *files {
	return &files{voice: voice{out: &log{to: stderr}, results: stdout}, system: findSystem(getenv, environ), getenv: getenv, sizes: map[string]int64{}}
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

// Hide implements Platform: this process at least never prints s.
func (f *files) Hide(s ...secret.String) error {
	f.redactor.Add(s...)
	return f.out.err
}

// Warning implements Platform.
func (f *files) Warning(lines ...string) { fmt.Fprintln(f.out, "warning: "+f.lines(lines)) }

// Error implements Platform.
func (f *files) Error(lines ...string) { fmt.Fprintln(f.out, "error: "+f.lines(lines)) }

// Use implements Platform. The system goes through a symbolic link before it
// takes a .. after it, so that the paths are checked and used without any.
func (f *files) Use(p Places) {
	f.stateDir.path, f.envFile = filepath.Clean(p.StateDir), filepath.Clean(p.EnvFile)
}

// EnvFile implements Platform.
func (f *files) EnvFile() string {
	dir, err := filepath.Abs(f.stateDir.path)
	env, err2 := filepath.Abs(f.envFile)
	rel, err3 := filepath.Rel(dir, env)
	if errors.Join(err, err2, err3) != nil {
		return f.envFile
	}
	return filepath.ToSlash(rel)
}

// Check implements Platform.
func (f *files) Check(bool) error { return again(f.check) }

func (f *files) check() error {
	if err := f.make(); err != nil {
		return fmt.Errorf("make state-dir: %w", err)
	}
	if rel := f.EnvFile(); !strings.Contains(rel, "/") && (rel == ".gitignore" || filepath.Ext(rel) == ".json" || filepath.Ext(rel) == ".tmp") {
		return fmt.Errorf("check env-file: %s in state-dir is reserved", rel)
	}
	err := replaceable(f.envFile, envHead)
	if err == nil {
		err = writable(filepath.Dir(f.envFile))
	}
	if err != nil {
		return fmt.Errorf("check env-file: %w", plain(err))
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

// Outputs implements Platform: the env file and, in Harness, its output
// files.
func (f *files) Outputs(outputs []Output) error {
	text, err := envFile(outputs)
	if err == nil {
		f.written = text
		err = f.writeEnv(text)
	}
	if err != nil {
		return fmt.Errorf("write env-file: %w", err)
	}
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

// writeEnv writes beside the state first, which git ignores and revoke cleans
// up, and elsewhere only if that is on another file system.
func (f *files) writeEnv(text []byte) error {
	t, err := writeNew(f.tmp("env"), text)
	if err != nil {
		return err
	}
	err = errors.Join(t.Close(), place(t.Name(), f.envFile, envHead))
	if errors.Is(err, errOtherDevice) {
		if t, err = writeNew(f.envFile+"."+f.marker+".tmp", text); err == nil {
			err = errors.Join(t.Close(), place(t.Name(), f.envFile, envHead))
		}
	}
	return err
}

// harnessFile returns one of Harness' output files; "" if there is none.
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
	// Another mint with the same env file may have replaced it.
	if now, err := readOwn(f.envFile); f.written != nil && (err != nil || bytes.Contains(now, f.written)) {
		errs = append(errs, removeEnv(f.envFile))
	}
	for path, size := range f.sizes {
		errs = append(errs, os.Truncate(path, size))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take back outputs: %w", plain(err))
	}
	return nil
}

// removeEnv removes an env file. Of one that somebody wrote before our part,
// it takes our part out.
func removeEnv(path string) error {
	text, err := readOwn(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Contains(text, []byte(envHead)) {
		return nil
	}
	if err != nil {
		return err
	}
	before, after, _ := strings.Cut(string(text), envHead)
	for name, _, _ := strings.Cut(after, "="); isVariable(name); name, _, _ = strings.Cut(after, "=") {
		_, after, _ = strings.Cut(after, "\n")
	}
	if before+after == "" {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) { // another revoke removed it
			return plain(err)
		}
		return nil
	}
	return plain(os.WriteFile(path, []byte(before+after), 0o600))
}

// Clear implements Platform.
func (f *files) Clear(keepEnv bool) error {
	var err error
	if !keepEnv {
		err = removeEnv(f.envFile)
		left, _ := filepath.Glob(f.envFile + ".jt-*.tmp") // of a process that was killed
		for _, tmp := range left {
			_ = os.Remove(tmp)
		}
	}
	f.stateDir.remove()
	if err != nil {
		return fmt.Errorf("remove env-file: %w", err)
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
	return sanitize(describe(s.name, get(g, s.repo), get(g, s.pipeline), get(g, s.number), get(g, s.attempt), get(g, s.job)))
}

// FromFork implements Platform.
func (f *files) FromFork() bool { return false }
