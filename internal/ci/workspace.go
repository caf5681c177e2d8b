package ci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// workspace is every CI whose steps share nothing but a directory. Nothing
// secret is printed there: it goes to files that only the job's user can read.
type workspace struct {
	variant
	voice
	stateDir
	channel channel
	envFile string
	written []byte // the env file of this run
	places  Places
}

func newWorkspace(v variant, stdout, stderr io.Writer) *workspace {
	w := &workspace{variant: v, voice: voice{out: &log{to: stderr}, results: stdout}, channel: noChannel{}}
	if v.system.channel != nil {
		w.channel = v.system.channel(w)
	}
	return w
}

// channel is a way of one CI to hide values and to hand them on, beside the
// files that all have.
type channel interface {
	// hide hides the forms of secrets from here on.
	hide(forms []string) error
	// check reports whether handOn can work.
	check() error
	handOn([]Output) error
	// retract takes back what handOn did in this run.
	retract() error
	// clear takes back what handOn did in the run whose env file this was; nil if
	// that is gone.
	clear(envFile []byte) error
}

// noChannel does nothing.
type noChannel struct{}

func (noChannel) hide([]string) error   { return nil }
func (noChannel) check() error          { return nil }
func (noChannel) handOn([]Output) error { return nil }
func (noChannel) retract() error        { return nil }
func (noChannel) clear([]byte) error    { return nil }

// Prefixes implements Platform. A setting of a plugin may be given by hand
// too.
func (w *workspace) Prefixes() (all []string, shared string) {
	if !w.settings {
		return []string{"JFROG_TOKEN_"}, ""
	}
	if w.ownSettings {
		shared = "PLUGIN_"
	}
	return []string{"PLUGIN_", "JFROG_TOKEN_"}, shared
}

// Variable implements Platform.
func (w *workspace) Variable(input string) string {
	if w.settings {
		return input
	}
	return plainVariable(input)
}

// IDTokens implements Platform.
func (w *workspace) IDTokens(
	given secret.String, audience string, c *wire.Client, p wire.Policy,
) (*IDTokenSource, error) {
	return w.find(given, audience, c, p, w.Hide)
}

// Hide implements Platform: this process at least never prints them.
func (w *workspace) Hide(secrets ...secret.String) error {
	w.hide(secrets)
	var forms []string
	for _, s := range secrets {
		forms = append(forms, s.Forms()...)
	}
	return errors.Join(w.channel.hide(forms), w.out.err)
}

// Notice implements Platform.
func (w *workspace) Notice(lines ...string) { fmt.Fprintln(w.out, "notice: "+w.lines(lines)) }

// Warning implements Platform.
func (w *workspace) Warning(lines ...string) { fmt.Fprintln(w.out, "warning: "+w.lines(lines)) }

// Error implements Platform.
func (w *workspace) Error(lines ...string) { fmt.Fprintln(w.out, "error: "+w.lines(lines)) }

// Use implements Platform. The system goes through a symbolic link before it
// takes a .. after it, so that the paths are checked and used without any.
func (w *workspace) Use(p Places) {
	w.places, w.stateDir.path, w.envFile = p, filepath.Clean(p.StateDir), filepath.Clean(p.EnvFile)
}

// EnvFile implements Platform.
func (w *workspace) EnvFile() string {
	dir, err := filepath.Abs(w.stateDir.path)
	env, err2 := filepath.Abs(w.envFile)
	rel, err3 := filepath.Rel(dir, env)
	if errors.Join(err, err2, err3) != nil {
		return w.envFile
	}
	return filepath.ToSlash(rel)
}

// Check implements Platform.
func (w *workspace) Check(what Writes) error {
	return again(func() error { return w.check(what.Outputs) })
}

// Export implements Platform: the env file is there.
func (w *workspace) Export([]Output) error { return nil }

func (w *workspace) check(outputs bool) error {
	if err := w.places.check(); err != nil {
		return err
	}
	if err := w.make(); err != nil {
		return fmt.Errorf("make state-dir: %w", err)
	}
	if !outputs {
		return nil
	}
	rel, reserved := w.EnvFile(), []string{".json", ".tmp"}
	if !strings.Contains(rel, "/") && (rel == ".gitignore" || slices.Contains(reserved, filepath.Ext(rel))) {
		return fmt.Errorf("check env-file: %s in state-dir is reserved", rel)
	}
	err := replaceable(w.envFile, envHead)
	if err == nil {
		err = writable(filepath.Dir(w.envFile))
	}
	if err != nil {
		return fmt.Errorf("check env-file: %w", plain(err))
	}
	return w.channel.check()
}

// Outputs implements Platform: the env file, and what else the CI has.
func (w *workspace) Outputs(outputs []Output) error {
	text, err := envFile(outputs)
	if err == nil {
		w.written = text
		err = w.writeEnv(text)
	}
	if err != nil {
		return fmt.Errorf("write env-file: %w", err)
	}
	return w.channel.handOn(outputs)
}

// writeEnv writes beside the state first, which git ignores and revoke cleans
// up, and elsewhere only if that is on another file system.
func (w *workspace) writeEnv(text []byte) error {
	t, err := writeNew(w.tmp("env"), text)
	if err != nil {
		return err
	}
	err = errors.Join(t.Close(), place(t.Name(), w.envFile, envHead))
	if errors.Is(err, errOtherDevice) {
		if t, err = writeNew(w.envFile+"."+w.marker+".tmp", text); err == nil {
			err = errors.Join(t.Close(), place(t.Name(), w.envFile, envHead))
		}
	}
	return err
}

// Retract implements Platform.
func (w *workspace) Retract() error {
	var errs []error
	// Another mint with the same env file may have replaced it.
	if now, err := readOwn(w.envFile); w.written != nil && (err != nil || bytes.Contains(now, w.written)) {
		errs = append(errs, removeEnv(w.envFile))
	}
	errs = append(errs, w.channel.retract())
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
func (w *workspace) Clear(keepEnv bool) error {
	var err error
	if !keepEnv {
		text, _ := readOwn(w.envFile)
		if err = removeEnv(w.envFile); err != nil {
			err = fmt.Errorf("remove env-file: %w", err)
		}
		left, _ := filepath.Glob(w.envFile + ".jt-*.tmp") // of a process that was killed
		for _, tmp := range left {
			_ = os.Remove(tmp)
		}
		err = errors.Join(err, w.channel.clear(text))
	}
	w.stateDir.remove()
	return err
}

// Summary implements Platform: there is none.
func (w *workspace) Summary(string) error { return nil }

// Usage implements Platform. revoke removes the env file in any case. What a
// shell traces stands in the log, and Jenkins traces every one:
// https://github.com/jenkinsci/durable-task-plugin
func (w *workspace) Usage(revoke bool) (lines []string, lost bool) {
	path := w.envFile
	if !filepath.IsAbs(path) {
		path = "./" + filepath.ToSlash(path) // without a slash, a shell looks for it in PATH
	}
	path, _ = quote(path) // check refuses what cannot be
	end := "at the end of the job"
	if !revoke {
		end += ", to remove that file"
	}
	end += ": jfrog-token revoke" + w.places.flags()
	if w.settings {
		end = "at the end of the pipeline: a step of this plugin with command: revoke"
		if w.places.flags() != "" {
			end += ", and with the same state-dir and env-file"
		}
	}
	return []string{"later commands read the token with: set +x; set -a; . " + path + "; set +a", end}, false
}
