package ci

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// newTestFiles returns the platform of a run in dir, with its places checked.
func newTestFiles(t *testing.T, dir string, env map[string]string) *workspace {
	t.Helper()
	f := filesOf(filepath.Join(dir, ".jfrog-token"), filepath.Join(dir, ".jfrog-token", "env"), env)
	if err := f.Check(Writes{Outputs: true}); err != nil {
		t.Fatal(err)
	}
	return f
}

// workspaceOf returns the platform of a run on another CI than GitHub's kin.
func workspaceOf(variables map[string]string, stdout, stderr io.Writer) *workspace {
	return newWorkspace(variantOf(variables), stdout, stderr)
}

func filesOf(stateDir, envFile string, variables map[string]string) *workspace {
	f := workspaceOf(variables, io.Discard, io.Discard)
	f.Use(Places{StateDir: stateDir, EnvFile: envFile})
	return f
}

var outputs = []Output{{Name: "url", Value: "https://acme.jfrog.io"}, {Name: "token", Value: "s3cr3t-s3cr3t", Secret: true}, {Name: "scope", Value: "x"}}

const ourEnv = envHead + "JF_URL=https://acme.jfrog.io\nJFROG_URL=https://acme.jfrog.io\nJF_ACCESS_TOKEN=s3cr3t-s3cr3t\nJFROG_ACCESS_TOKEN=s3cr3t-s3cr3t\n"

// Steps of one pipeline may run beside each other in one workspace: none may
// fail for another, or lose its state, or its token is never revoked.
func TestParallelMintsKeepEachOthersState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const mints = 8
	marker := func(i int) string { return fmt.Sprintf("jt-AAAAAAAAAAAAAAA%c", 'A'+i) }
	all := make([]*workspace, mints) // a lock ends with its file
	var wg sync.WaitGroup
	for i := range mints {
		all[i] = filesOf(filepath.Join(dir, ".jfrog-token"), filepath.Join(dir, ".jfrog-token", fmt.Sprintf("env%d", i)), nil)
		wg.Go(func() {
			if err := all[i].Check(Writes{Outputs: true}); err != nil {
				t.Error(err)
			}
			for round := range 3 { // the last of each counts
				if err := all[i].Save(marker(i), []byte(fmt.Sprintf(`{"written_by":"jfrog-token","mint":%d,"round":%d}`, i, round))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := newTestFiles(t, dir, nil).States()
	if err != nil || len(got) != mints {
		t.Fatalf("expected %q, %v to be %d states", got, err, mints)
	}
	for i := range mints {
		if got, want := textOf(t, filepath.Join(dir, ".jfrog-token", marker(i)+".json")), fmt.Sprintf(`{"written_by":"jfrog-token","mint":%d,"round":2}`, i); got != want {
			t.Errorf("expected %q to be %q", got, want)
		}
	}
	if got := textOf(t, filepath.Join(dir, ".jfrog-token", ".gitignore")); got != ignoreHead+"*\n" {
		t.Errorf("expected %q to be %q", got, ignoreHead+"*\n")
	}
}

// A token that is not handed on must not stay in an output file.
func TestRetractLeavesHarnessFilesAsTheyWere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"DRONE_OUTPUT": filepath.Join(dir, "plain"), "HARNESS_OUTPUT_SECRET_FILE": filepath.Join(dir, "secret"), "HARNESS_BUILD_ID": "31"}
	write(t, env["DRONE_OUTPUT"], "before=1\n")
	f := newTestFiles(t, dir, env)
	if err := f.Save(markerA, []byte(stateOf(1))); err != nil {
		t.Fatal(err)
	}
	if err := f.Outputs(outputs); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"DRONE_OUTPUT": "before=1\nurl=https://acme.jfrog.io\nscope=x\n", "HARNESS_OUTPUT_SECRET_FILE": "token=s3cr3t-s3cr3t\n"} {
		if got := textOf(t, env[name]); got != want {
			t.Errorf("expected %q to be %q", got, want)
		}
	}
	if err := f.Retract(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"DRONE_OUTPUT": "before=1\n", "HARNESS_OUTPUT_SECRET_FILE": ""} {
		if got := textOf(t, env[name]); got != want {
			t.Errorf("expected %q to be %q", got, want)
		}
	}
	if isThere(f.envFile) {
		t.Error("expected the env file to be gone")
	}
}

// What was there before this run, Retract leaves: it may be that of a mint
// beside this one.
func TestRetractLeavesTheEnvFileOfAnotherRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newTestFiles(t, dir, nil)
	write(t, f.envFile, ourEnv)
	if err := f.Retract(); err != nil || textOf(t, f.envFile) != ourEnv {
		t.Errorf("expected %q, %v to be %q", textOf(t, f.envFile), err, ourEnv)
	}
}

// The env file: beside the state or elsewhere, over nothing or over one of
// ours, whole and for this user alone.
func TestEnvFileIsWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, envFile, before string
	}{
		{"in state-dir", filepath.Join(".jfrog-token", "env"), ""},
		{"elsewhere", "jfrog.env", ""},
		{"over one of ours", filepath.Join(".jfrog-token", "env"), envHead + "JF_URL=old\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			f := filesOf(filepath.Join(dir, ".jfrog-token"), filepath.Join(dir, c.envFile), nil)
			if err := f.Check(Writes{Outputs: true}); err != nil {
				t.Fatal(err)
			}
			if c.before != "" {
				write(t, f.envFile, c.before)
			}
			if err := errors.Join(f.Save(markerA, []byte(stateOf(1))), f.Outputs(outputs)); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(f.envFile)
			if err != nil || textOf(t, f.envFile) != ourEnv || runtime.GOOS != "windows" && info.Mode() != 0o600 {
				t.Errorf("expected %q, %v, %v to be %q", textOf(t, f.envFile), info.Mode(), err, ourEnv)
			}
			if err := errors.Join(f.Drop(markerA), f.Clear(false)); err != nil {
				t.Fatal(err)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
				t.Errorf("expected %v, %v to be nothing", entries, err)
			}
		})
	}
}

// A directory on another file system cannot take a link.
func TestEnvFileOnAnotherFileSystem(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), "/dev/shm"
	probe := filepath.Join(dir, "probe")
	write(t, probe, "")
	elsewhere, err := os.MkdirTemp(other, "")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(elsewhere) })
	if err := os.Link(probe, filepath.Join(elsewhere, "probe")); !errors.Is(err, errOtherDevice) {
		t.Skipf("%s is on no other file system: %v", other, err)
	}
	f := filesOf(filepath.Join(dir, ".jfrog-token"), filepath.Join(elsewhere, "env"), nil)
	if err := errors.Join(f.Check(Writes{Outputs: true}), f.Save(markerA, []byte(stateOf(1))), f.Outputs(outputs)); err != nil {
		t.Fatal(err)
	}
	if got := textOf(t, f.envFile); got != ourEnv {
		t.Errorf("expected %q to be %q", got, ourEnv)
	}
	if err := f.Outputs(outputs[:1]); err != nil { // over ours
		t.Fatal(err)
	}
	if got, want := textOf(t, f.envFile), envHead+"JF_URL=https://acme.jfrog.io\nJFROG_URL=https://acme.jfrog.io\n"; got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
	write(t, f.envFile, "theirs\n")
	if err := f.Outputs(outputs); !errors.Is(err, errForeign) || textOf(t, f.envFile) != "theirs\n" {
		t.Errorf("expected %q, %v to be %v", textOf(t, f.envFile), err, errForeign)
	}
	if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) != 1 {
		t.Errorf("expected %v, %v to be the env file alone", entries, err)
	}
}

// What appears between the check and the writing is somebody's: it is not
// written over, and the secret is nowhere.
func TestEnvFileThatAppears(t *testing.T) {
	for _, c := range []struct {
		name   string
		appear func(t *testing.T, path string)
		want   error
	}{
		{"a file", func(t *testing.T, path string) { write(t, path, "theirs\n") }, errForeign},
		{"a link", func(t *testing.T, path string) { link(t, filepath.Join(filepath.Dir(path), "to"), path) }, errSymlink},
		{"a directory", func(t *testing.T, path string) { _ = os.Mkdir(path, 0o700) }, errForeign},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			f := newTestFiles(t, "", nil)
			if err := f.Save(markerA, []byte(stateOf(1))); err != nil {
				t.Fatal(err)
			}
			c.appear(t, f.envFile)
			if err := f.Outputs(outputs); !errors.Is(err, c.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("expected %v to be %v", err, c.want)
			}
			_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if d.Type().IsRegular() && strings.Contains(textOf(t, path), "s3cr3t") {
					t.Errorf("expected %s to be without the secret", path)
				}
				return err
			})
			_ = f.Retract()
			if c.name == "a file" && textOf(t, f.envFile) != "theirs\n" {
				t.Errorf("expected %q to be %q", textOf(t, f.envFile), "theirs\n")
			}
			if isThere(filepath.Join(dir, ".jfrog-token", "to")) {
				t.Error("expected nothing to be written through the link")
			}
		})
	}
}

// No file of a mint is written, read or removed through a symbolic link of the
// workspace, however the input spells it.
func TestNoFileThroughASymbolicLink(t *testing.T) {
	work, outside := inWorkspace(t)
	sep := string(filepath.Separator)
	before := tree(t, outside)
	for _, places := range []Places{
		{StateDir: "link", EnvFile: "env"},
		{StateDir: "link" + sep + "state", EnvFile: "env"},
		{StateDir: filepath.Join(work, "link", "state"), EnvFile: "env"},
		{StateDir: ".jfrog-token", EnvFile: "link" + sep + "env"},
		{StateDir: ".jfrog-token", EnvFile: "dangling"},
		{StateDir: ".jfrog-token", EnvFile: filepath.Join(filepath.Dir(work), "alias", "link", "env")},
		// To the system, the directory above a link is the one above its
		// target; to whoever reads the path, it is not.
		{StateDir: ".jfrog-token", EnvFile: "link" + sep + ".." + sep + "env"},
		{StateDir: "link" + sep + ".." + sep + "state", EnvFile: "env"},
	} {
		f := filesOf(places.StateDir, places.EnvFile, nil)
		err := f.Check(Writes{Outputs: true})
		if err == nil { // then it is a place within the workspace
			err = errors.Join(f.Save(markerA, []byte(stateOf(1))), f.Outputs(outputs))
			if got := tree(t, outside); got != before {
				t.Errorf("%+v: expected %q to be %q", places, got, before)
			}
			err = errors.Join(err, f.Drop(markerA), f.Clear(false))
		}
		if err != nil && !errors.Is(err, errSymlink) {
			t.Errorf("%+v: expected %v to be %v", places, err, errSymlink)
		}
		if got := tree(t, outside); got != before {
			t.Fatalf("%+v: expected %q to be %q", places, got, before)
		}
	}
	// A link that comes after the check.
	f := newTestFiles(t, "", nil)
	if err := f.Save(markerA, []byte(stateOf(1))); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(".jfrog-token", filepath.Join(outside, "moved")); err != nil {
		t.Fatal(err)
	}
	link(t, filepath.Join(outside, "moved"), ".jfrog-token")
	before = tree(t, outside)
	_, _, taken := f.Take(markerA)
	_, listed := f.States()
	for name, err := range map[string]error{"Save": f.Save(markerA, []byte(stateOf(2))), "Outputs": f.Outputs(outputs), "Take": taken, "States": listed} {
		if !errors.Is(err, errSymlink) {
			t.Errorf("%s: expected %v to be %v", name, err, errSymlink)
		}
	}
	if got := tree(t, outside); got != before {
		t.Errorf("expected %q to be %q", got, before)
	}
}

// tree lists all files below a directory, with what is in them.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		b.WriteString(path + "\n")
		if err == nil && d.Type().IsRegular() {
			b.WriteString(textOf(t, path) + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEnvFileIsNamedRelativeToTheStateDirectory(t *testing.T) {
	work, _ := inWorkspace(t)
	for _, c := range []struct{ stateDir, envFile, want string }{
		{".jfrog-token", filepath.Join(".jfrog-token", "env"), "env"},
		{".jfrog-token", filepath.Join(".jfrog-token", "sub", "env"), "sub/env"},
		{".jfrog-token", "env", "../env"},
		{filepath.Join("a", "b"), filepath.Join("a", "c", "env"), "../c/env"},
		{filepath.Join(work, "a"), filepath.Join("a", "env"), "env"},
		{"a", filepath.Join(work, "a", "env"), "env"},
		{"." + string(filepath.Separator) + "a", filepath.Join("b", "..", "a", "env"), "env"},
		{".jfrog-token", filepath.Join("..", "env"), "../../env"},
	} {
		if got := filesOf(c.stateDir, c.envFile, nil).EnvFile(); got != c.want {
			t.Errorf("%+v: expected %q to be %q", c, got, c.want)
		}
	}
}

// In state-dir some names are ours: an env file under one of them would be
// taken for something else, or removed with it.
func TestReservedNamesOfTheEnvFile(t *testing.T) {
	for _, c := range []struct {
		stateDir, envFile string
		reserved          bool
	}{
		{"a", filepath.Join("a", ".gitignore"), true}, {"a", filepath.Join("a", markerA+".json"), true}, {"a", filepath.Join("a", "env.json"), true},
		{"a", filepath.Join("a", "env.tmp"), true}, {"a", "a" + string(filepath.Separator) + ".." + string(filepath.Separator) + filepath.Join("a", "x.json"), true},
		{".", "x.json", true},
		{"a", filepath.Join("a", "env"), false}, {"a", filepath.Join("a", "jfrog.env"), false}, {"a", "env.json", false}, {"a", ".gitignore", false},
	} {
		t.Run(c.envFile, func(t *testing.T) {
			t.Chdir(t.TempDir())
			err := filesOf(c.stateDir, c.envFile, nil).Check(Writes{Outputs: true})
			if got := err != nil && strings.Contains(err.Error(), "reserved"); got != c.reserved || !c.reserved && err != nil {
				t.Errorf("%s in %s: expected %v to be %t", c.envFile, c.stateDir, err, c.reserved)
			}
		})
	}
}

// What cannot be written is found before anything is minted, is named by its
// input, and nothing is left of the check.
func TestCheckOfFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		make func(t *testing.T) Places
		says string // "": nothing is wrong
	}{
		{"a fresh workspace", nil, func(*testing.T) Places { return Places{".jfrog-token/env", ".jfrog-token"} }, ""},
		{"somebody's env file", nil, func(t *testing.T) Places { write(t, "env", "theirs\n"); return Places{"env", ".jfrog-token"} }, "check env-file: " + errForeign.Error()},
		{"an env file in no directory", nil, func(*testing.T) Places { return Places{"absent/env", ".jfrog-token"} }, "check env-file: "},
		{"an env file that no snippet can name", nil, func(*testing.T) Places { return Places{"it's $HOME", ".jfrog-token"} }, "check env-file: " + errUnquotable.Error()},
		{"a state directory that no snippet can name", nil, func(*testing.T) Places { return Places{"env", "it's `x`"} }, "check state-dir: " + errUnquotable.Error()},
		{"a file for the state directory", nil, func(t *testing.T) Places { write(t, "a", ""); return Places{"env", "a"} }, "make state-dir: " + errNotDir.Error()},
		{"a state directory in none", nil, func(*testing.T) Places { return Places{"env", "absent/a"} }, "make state-dir: "},
		{"a file of Harness that is a directory", map[string]string{"HARNESS_BUILD_ID": "31", "DRONE_OUTPUT": "."},
			func(*testing.T) Places { return Places{".jfrog-token/env", ".jfrog-token"} }, "open the file of DRONE_OUTPUT: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			places := c.make(t)
			err := filesOf(places.StateDir, places.EnvFile, c.env).Check(Writes{Outputs: true})
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.HasPrefix(err.Error(), c.says)) {
				t.Errorf("expected %v to be %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), dir) {
				t.Errorf("expected %v to be without the path", err)
			}
			for path := range strings.Lines(tree(t, dir)) {
				if name := filepath.Base(strings.TrimSpace(path)); strings.HasPrefix(name, ".jfrog-token-") || strings.HasSuffix(name, ".tmp") {
					t.Errorf("expected %q to be gone", name)
				}
			}
		})
	}
}

// What a snippet names is quoted for the shell that will read it.
func TestUsageQuotesPaths(t *testing.T) {
	t.Parallel()
	w := filesOf("my state", "it's/env", nil)
	lines, _ := w.Usage(true)
	want := []string{
		`later commands read the token with: set +x; set -a; . "./it's/env"; set +a`,
		`at the end of the job: jfrog-token revoke --state-dir 'my state' --env-file "it's/env"`,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("expected %q to be %q", lines, want)
	}
	step := runnerOf(env(map[string]string{"GITHUB_ACTION": "jfrog"}), io.Discard, Command)
	step.Use(Places{StateDir: "my state"})
	lines, _ = step.Usage(true)
	if want := "jfrog-token revoke --state-dir 'my state'"; !strings.HasSuffix(lines[1], want) {
		t.Errorf("expected %q to end with %q", lines[1], want)
	}
}

// Of a file that somebody else wrote to as well, our part goes, and theirs
// stays byte for byte.
func TestRemoveEnv(t *testing.T) {
	t.Parallel()
	const gone = "gone"
	for _, c := range []struct{ name, text, want string }{
		{"ours", ourEnv, gone},
		{"ours, without the last line break", strings.TrimSuffix(ourEnv, "\n"), gone},
		{"the head alone", envHead, gone},
		{"ours with every variable and quotes", envHead + "JF_USER='a b'\nJF_TOKEN_ID=x\nJF_TOKEN_EXPIRES_AT=x\nJF_REFERENCE_TOKEN=x\nJF_REFRESH_TOKEN=\"it's\"\n", gone},
		{"a line before", "A=1\n" + ourEnv, "A=1\n"},
		{"lines after", ourEnv + "B=2\nJF_URL=theirs\n", "B=2\nJF_URL=theirs\n"},
		{"lines before and after", "# theirs\nA=1\n" + ourEnv + "# more\nexport B=2\n", "# theirs\nA=1\n# more\nexport B=2\n"},
		{"a line after without a line break", ourEnv + "B=2", "B=2"},
		{"nothing of ours", "A=1\nJF_URL=x\n", "A=1\nJF_URL=x\n"},
		{"half of our head", strings.TrimSuffix(envHead, ".\n"), strings.TrimSuffix(envHead, ".\n")},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := fileWith(t, c.text)
			if err := removeEnv(path); err != nil {
				t.Fatal(err)
			}
			if c.want == gone {
				if isThere(path) {
					t.Errorf("expected %q to be gone", textOf(t, path))
				}
				return
			}
			if got := textOf(t, path); got != c.want {
				t.Errorf("expected %q to be %q", got, c.want)
			}
		})
	}
	if err := removeEnv(filepath.Join(t.TempDir(), "absent")); err != nil {
		t.Errorf("expected %v to be %v", err, nil)
	}
}

// The log of a CI that can hide nothing has no secret in it, in any form that
// this program prints.
func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	f := workspaceOf(nil, io.Discard, &out)
	if err := f.Hide(secret.New("s3cr3t-s3cr3t")); err != nil {
		t.Fatal(err)
	}
	f.Info("a s3cr3t-s3cr3t")
	f.Warning("b s3cr3t-s3cr3t", "c s3cr3t-s3cr3t")
	f.Error("d s3cr3t-s3cr3t")
	if got, want := out.String(), "a ***\nwarning: b ***\nc ***\nerror: d ***\n"; got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
}
