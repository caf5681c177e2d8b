package ci

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// runnerOf returns the platform of a run on GitHub or its kin, with both of its
// streams in one.
func runnerOf(getenv lookup, out io.Writer, start Start) *runner {
	known := func(name string) string {
		return cmp.Or(getenv(name), map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1"}[name])
	}
	return newRunner(variant{findSystem(known), getenv}, out, out, start)
}

func env(v map[string]string) func(string) string {
	return func(name string) string { return v[name] }
}

// Whatever cannot be written is found before anything is minted, and named by
// its variable, not by its path.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		spoil   map[string]string // "" unsets; "absent" and "directory" are such
		summary bool
		says    string // "": nothing is wrong
	}{
		{"all there", nil, true, ""},
		{"no summary file, as on older servers", map[string]string{"GITHUB_STEP_SUMMARY": ""}, true, ""},
		{"a broken summary file that is not wanted", map[string]string{"GITHUB_STEP_SUMMARY": "absent"}, false, ""},
		{"no output file", map[string]string{"GITHUB_OUTPUT": ""}, true, "GITHUB_OUTPUT is not set"},
		{"no state file", map[string]string{"GITHUB_STATE": ""}, true, "GITHUB_STATE is not set"},
		{"an absent output file", map[string]string{"GITHUB_OUTPUT": "absent"}, true, "GITHUB_OUTPUT: " + fs.ErrNotExist.Error()},
		{"an absent state file", map[string]string{"GITHUB_STATE": "absent"}, false, "GITHUB_STATE: " + fs.ErrNotExist.Error()},
		{"an absent summary file", map[string]string{"GITHUB_STEP_SUMMARY": "absent"}, true, "GITHUB_STEP_SUMMARY: " + fs.ErrNotExist.Error()},
		{"a directory for the output file", map[string]string{"GITHUB_OUTPUT": "directory"}, true, "GITHUB_OUTPUT: "},
		{"a directory for the state file", map[string]string{"GITHUB_STATE": "directory"}, true, "GITHUB_STATE: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			files := map[string]string{}
			for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"} {
				files[name] = fileWith(t, "earlier=1\n")
			}
			for name, how := range c.spoil {
				files[name] = map[string]string{"": "", "absent": filepath.Join(dir, "absent"), "directory": dir}[how]
			}
			err := runnerOf(env(files), io.Discard, Main).Check(Writes{Outputs: true, Summary: c.summary})
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(notFound(err), c.says)) {
				t.Errorf("expected %v to be %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), dir) {
				t.Errorf("expected %q to be %q", err, "without the path")
			}
			if _, err := os.Stat(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("expected %v to be %v", err, fs.ErrNotExist)
			}
			for _, path := range files {
				if b, err := os.ReadFile(path); err == nil && string(b) != "earlier=1\n" {
					t.Errorf("expected %q to be %q", b, "earlier=1\n")
				}
			}
		})
	}
}

// notFound says it in the same words on every system.
func notFound(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		text, _, _ := strings.Cut(err.Error(), ": ")
		return text + ": " + fs.ErrNotExist.Error()
	}
	return err.Error()
}

func TestName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "GitHub"},
		{map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1"}, "GitHub"},
		{map[string]string{"FORGEJO_ACTIONS": "true", "GITEA_ACTIONS": "true"}, "Forgejo"}, // Forgejo's runner sets both
		{map[string]string{"GITEA_ACTIONS": "true"}, "Gitea"},
		{map[string]string{"ACT": "true"}, "act"},
		{map[string]string{"ACT": "false", "GITEA_ACTIONS": "", "FORGEJO_ACTIONS": "1"}, "GitHub"},
	} {
		if got := runnerOf(env(c.env), io.Discard, Main).Name(); got != c.want {
			t.Errorf("%v: expected %q to be %q", c.env, got, c.want)
		}
	}
}

var run = map[string]string{
	"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/app", "GITHUB_WORKFLOW": "Build & test", "GITHUB_RUN_ID": "4711",
	"GITHUB_RUN_NUMBER": "42", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_JOB": "publish", "GITHUB_SHA": "2f1e6b8c", "GITHUB_REF_NAME": "main",
}

func with(env map[string]string, name, value string) map[string]string {
	all := maps.Clone(env)
	all[name] = value
	return all
}

func TestRun(t *testing.T) {
	t.Parallel()
	full := Run{JobID: "publish", RunID: "4711", Repo: "https://github.com/acme/app", Revision: "2f1e6b8c", Branch: "main"}
	noRepo := full
	noRepo.Repo = ""
	for _, c := range []struct {
		name string
		env  map[string]string
		want Run
	}{
		{"all there", run, full},
		{"a slash at the server's end", with(run, "GITHUB_SERVER_URL", "https://github.com/"), full},
		{"no repository", with(run, "GITHUB_REPOSITORY", ""), noRepo},
		{"nothing", nil, Run{}},
	} {
		if got := runnerOf(env(c.env), io.Discard, Main).Run(); got != c.want {
			t.Errorf("%s: expected %+v to be %+v", c.name, got, c.want)
		}
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"all there", run, "GitHub acme/app Build & test run 42 attempt 2 job publish"},
		{"Forgejo", with(run, "FORGEJO_ACTIONS", "true"), "Forgejo acme/app Build & test run 42 attempt 2 job publish"},
		// Anyone who may push a branch names the workflow.
		{"a workflow name with a line break", with(run, "GITHUB_WORKFLOW", "a\n::error::b\u202e"), `GitHub acme/app a\x0a::error::b\u202e run 42 attempt 2 job publish`},
	} {
		if got := runnerOf(env(c.env), io.Discard, Main).Description(); got != c.want {
			t.Errorf("%s: expected %q to be %q", c.name, got, c.want)
		}
	}
}

// masks returns what the runner would hide from here on, and what else was
// printed.
func masks(text string) (list []string, rest string) {
	for line := range strings.Lines(text) {
		if name, data, ok := runnertest.ParseCommand(strings.TrimSuffix(line, "\n")); ok && name == "add-mask" {
			list = append(list, data)
		} else {
			rest += line
		}
	}
	return list, rest
}

// GitHub's runner derives the escaped forms of a mask for itself. A value with a
// percent sign is none: Forgejo and Gitea register it as the command escapes it.
func TestHide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, secret string
		want         []string
	}{
		{"a token", "eyJ2ZXIiOiIyIn0.e30.c2ln", []string{"eyJ2ZXIiOiIyIn0.e30.c2ln"}},
		{"base64", "c3Rv/cm+Vk==", []string{"c3Rv/cm+Vk=="}},
		{"what JSON escapes", `pass"word`, []string{`pass"word`, `pass\"word`}},
		{"percent signs", "100%25%0Apure", nil},
		{"what looks like a command", "::stop-commands::x", []string{"::stop-commands::x"}},
		{"nothing", "", nil},
		{"too short to be one", "a", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			g := runnerOf(env(nil), &out, Main)
			if err := g.Hide(secret.New(c.secret)); err != nil {
				t.Fatal(err)
			}
			got, rest := masks(out.String())
			for _, form := range c.want {
				if !slices.Contains(got, form) {
					t.Errorf("expected %q to be %q", got, "with "+form)
				}
			}
			for _, form := range got {
				if !slices.Contains(c.want, form) {
					t.Errorf("expected %q to be %q", got, c.want)
				}
			}
			if rest != "" {
				t.Errorf("expected %q to be %q", rest, "")
			}
			out.Reset()
			if g.Info("before " + c.secret + " after"); len(c.want) > 0 && strings.Contains(out.String(), c.secret) {
				t.Errorf("expected %q to be %q", out.String(), "without the secret")
			}
		})
	}
}

// Text from outside neither starts a command nor breaks a line, in each of the
// three ways to print it.
func TestTextFromOutside(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	g := runnerOf(env(nil), &out, Main)
	const evil = "x\n::add-mask::y\r\n##[error]z %0A::set-output name=a::b"
	g.Info(evil)
	g.Info("::stop-commands::x")
	g.Warning(evil, "::debug::y")
	g.Error(evil, evil)
	want := []string{"", "", "warning", "error"}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("expected %q to be %d lines", lines, len(want))
	}
	for i, line := range lines {
		name, data, _ := runnertest.ParseCommand(line)
		if name != want[i] {
			t.Errorf("%q: expected %q to be %q", line, name, want[i])
		}
		for part := range strings.SplitSeq(data, "\n") { // the runner prints an annotation's lines
			if name, _, ok := runnertest.ParseCommand(part); ok {
				t.Errorf("%q: expected %q to be %q", line, part, "no command, not "+name)
			}
		}
	}
}

// Forgejo, Gitea and act show an annotation in one line, its line breaks as %0A:
// there what follows the first line is plain.
func TestAnnotationInOneLine(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"FORGEJO_ACTIONS", "GITEA_ACTIONS", "ACT"} {
		var out bytes.Buffer
		r := runnerOf(env(map[string]string{name: "true"}), &out, Main)
		r.Error("what failed", "what to do", "::add-mask::x\n##[error]y")
		r.Warning("one line")
		want := "::error::what failed\nwhat to do\n: add-mask::x\\x0a# #[error]y\n::warning::one line\n"
		if got := strings.ReplaceAll(out.String(), "\r\n", "\n"); got != want {
			t.Errorf("%s: expected %q to be %q", name, got, want)
		}
	}
}

// broken is a log that cannot be written to, as when the runner is gone.
type broken struct{ path string }

func (b broken) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: b.path, Err: errors.New("broken pipe")}
}

// go-githubactions panics where it cannot write; after minting, a panic would
// leave a token behind.
func TestLogThatCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*runner){
		"Hide":    func(g *runner) { _ = g.Hide(secret.New("secret-needle")) },
		"Info":    func(g *runner) { g.Info("x") },
		"Warning": func(g *runner) { g.Warning("x") },
		"Error":   func(g *runner) { g.Error("x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := runnerOf(env(nil), broken{"path-needle"}, Main)
			if err := g.Hide(); err != nil {
				t.Errorf("expected %v to be %v", err, nil)
			}
			write(g)
			if err := g.Hide(); err == nil || err.Error() != "write log: broken pipe" {
				t.Errorf("expected %v to be %q", err, "write log: broken pipe")
			}
		})
	}
}

// One short write is remembered although later ones succeed: the mask that it
// was for is not set.
func TestLogErrorIsNotForgotten(t *testing.T) {
	t.Parallel()
	times := 0
	g := runnerOf(env(nil), writer(func(p []byte) (int, error) {
		if times++; times == 1 {
			return 1, io.ErrShortWrite
		}
		return len(p), nil
	}), Main)
	first := g.Hide(secret.New("secret-needle"))
	g.Info("x")
	if err := g.Hide(); !errors.Is(err, io.ErrShortWrite) || !errors.Is(first, io.ErrShortWrite) {
		t.Errorf("expected %v to be %v", err, io.ErrShortWrite)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// A run: step has no post step: its state goes to state-dir, its inputs come
// from variables that no action has.
func TestRunStepIsNoAction(t *testing.T) {
	t.Parallel()
	action, step := runnerOf(env(nil), io.Discard, Main), runnerOf(env(nil), io.Discard, Command)
	if got, shared := action.Prefixes(); shared != "INPUT_" || !slices.Equal(got, []string{"INPUT_"}) {
		t.Errorf("expected %q to be %q", got, []string{"INPUT_"})
	}
	if got, shared := step.Prefixes(); shared != "" || !slices.Equal(got, []string{"JFROG_TOKEN_"}) {
		t.Errorf("expected %q to be %q", got, []string{"JFROG_TOKEN_"})
	}
	dir := filepath.Join(t.TempDir(), ".jfrog-token")
	output := fileWith(t, "")
	for _, g := range []*runner{runnerOf(env(map[string]string{"GITHUB_STATE": output, "GITHUB_OUTPUT": output}), io.Discard, Main), runnerOf(env(map[string]string{"GITHUB_OUTPUT": output}), io.Discard, Command)} {
		g.Use(Places{StateDir: dir, EnvFile: "unused"})
		if err := errors.Join(g.Check(Writes{Outputs: true}), g.Save(markerA, []byte(stateOf(1)))); err != nil {
			t.Fatal(err)
		}
		if g.EnvFile() != "" {
			t.Errorf("expected %q to be %q", g.EnvFile(), "")
		}
	}
	if got := textOf(t, filepath.Join(dir, markerA+".json")); got != stateOf(1) {
		t.Errorf("expected %q to be %q", got, stateOf(1))
	}
	if got := textOf(t, output); strings.Count(got, stateOf(1)) != 1 {
		t.Errorf("expected %q to have the state of the action alone", got)
	}
}

// What main saved is one value: of several, the runner keeps the last. A state
// that is dropped is one with nothing in it, as post would read what an earlier
// step put into its environment otherwise.
func TestStateOfTheRunner(t *testing.T) {
	t.Parallel()
	path := fileWith(t, "")
	main := runnerOf(env(map[string]string{"GITHUB_STATE": path}), io.Discard, Main)
	for _, s := range []string{stateOf(1), stateOf(2)} {
		if err := main.Save(markerA, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	last := func() string {
		t.Helper()
		saved, err := runnertest.ParseFileCommand(textOf(t, path))
		if err != nil || len(saved) == 0 || slices.ContainsFunc(saved, func(p [2]string) bool { return p[0] != stateKey }) {
			t.Fatalf("expected %v, %v to be values of one name", saved, err)
		}
		return saved[len(saved)-1][1]
	}
	if got := last(); got != stateOf(2) {
		t.Errorf("expected %q to be %q", got, stateOf(2))
	}
	if err := main.Drop(markerA); err != nil {
		t.Fatal(err)
	}
	if got := last(); got != `{"written_by":"jfrog-token"}` {
		t.Errorf("expected %q to hold nothing", got)
	}
	none := runnerOf(env(nil), io.Discard, Main)
	if got, err := none.States(); got != nil || err != nil {
		t.Errorf("expected %q, %v to be %v", got, err, nil)
	}
	planted := env(map[string]string{"STATE_" + stateKey: stateOf(2)})
	post := runnerOf(planted, io.Discard, Post)
	markers, err := post.States()
	if err != nil || len(markers) != 1 {
		t.Fatalf("expected %q, %v to be one state", markers, err)
	}
	if text, busy, err := post.Take(markers[0]); string(text) != stateOf(2) || busy || err != nil {
		t.Errorf("expected %q, %t, %v to be %q", text, busy, err, stateOf(2))
	}
	main = runnerOf(planted, io.Discard, Main) // an earlier step put it there
	markers, err = main.States()
	text, _, notTaken := main.Take(stateKey)
	again, notRead := main.Read(stateKey)
	if markers != nil || err != nil || text != nil || again != nil || notTaken == nil || notRead == nil {
		t.Errorf("expected %q, %q, %q to be %v", markers, text, again, nil)
	}
}

// Outputs of a token that the job does not get are taken back, and nothing
// else: the runner reads the file when the step has ended, also if it failed.
func TestRetractLeavesEarlierOutputs(t *testing.T) {
	t.Parallel()
	path := fileWith(t, "earlier=1\n")
	g := runnerOf(env(map[string]string{"GITHUB_OUTPUT": path}), io.Discard, Main)
	for _, handOn := range []bool{false, true} {
		if handOn {
			if err := g.Outputs([]Output{{Name: "token", Value: "s3cr3t", Secret: true}}); err != nil || !strings.Contains(textOf(t, path), "s3cr3t") {
				t.Fatalf("expected %q, %v to have the token", textOf(t, path), err)
			}
		}
		if err := g.Retract(); err != nil || textOf(t, path) != "earlier=1\n" {
			t.Errorf("expected %q, %v to be %q", textOf(t, path), err, "earlier=1\n")
		}
	}
}
