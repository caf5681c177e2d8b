package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/cli"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// A lock on a state ends with its process, so that a step is one: this test
// binary again, with the variable that says so.
const asStep = "CLI_TEST_AS_STEP"

func TestMain(m *testing.M) {
	if os.Getenv(asStep) == "" {
		os.Exit(m.Run())
	}
	environ := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, asStep+"=") || strings.HasPrefix(e, "GOCOVERDIR=") })
	os.Exit(cli.Run(context.Background(), os.Args[1:], environ, os.Stdout, os.Stderr))
}

// fragile panics once, with a secret in what it panics with.
type fragile struct {
	bytes.Buffer
	broken bool
}

func (f *fragile) Write(p []byte) (int, error) {
	if !f.broken {
		f.broken = true
		panic("the token is hunter2-hunter2")
	}
	return f.Buffer.Write(p)
}

// A panic's value may hold anything, and its stack is of no use in a build log.
func TestAPanicPrintsAFixedSentence(t *testing.T) {
	var out fragile
	code := cli.Run(context.Background(), []string{"version"}, nil, &out, &out)
	if code != 1 {
		t.Errorf("expected %d to be %d", code, 1)
	}
	if got, want := out.String(), "jfrog-token: internal error; please report it with the version and the names of the inputs\n"; got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
}

// Nobody types a credential into a command, and if somebody does it is not
// repeated.
func TestArgumentsAreNotRepeated(t *testing.T) {
	for _, args := range [][]string{{"hunter2"}, {"--hunter2"}, {"mint", "hunter2"}, {"--access-token", "hunter2"}, {"--access-token=hunter2"}, {"action", "main", "hunter2"}, {"hunter2\n::add-mask::x"}} {
		var out bytes.Buffer
		if code := cli.Run(context.Background(), args, nil, &out, &out); code != 2 {
			t.Errorf("%q: expected %d to be %d", args, code, 2)
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("the argument is printed: %s", out.String())
		}
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-help"}, {"--help"}, {"-h"}} {
		var out bytes.Buffer
		if code := cli.Run(context.Background(), args, nil, &out, nil); code != 0 {
			t.Errorf("%s: expected %d to be %d", args, code, 0)
		}
		for _, command := range []string{"mint", "revoke", "list", "sweep", "version", "help"} {
			if !regexp.MustCompile(`(?m)^  ` + command + ` +\S.*$`).MatchString(out.String()) {
				t.Errorf("%s: expected %q to name %q", args, out.String(), command)
			}
		}
		for _, i := range config.Inputs {
			if !strings.Contains(out.String(), i.Name) {
				t.Errorf("%s: expected %q to name %q", args, out.String(), i.Name)
			}
		}
	}
}

// A terminal has 80 columns at least; and a command's help has its inputs, and
// no other.
func TestHelpFitsATerminal(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"help", "mint"}, {"revoke", "--help"}, {"help", "list"}, {"sweep", "-h"}, {"help", "version"}, {"help", "help"}} {
		for _, environ := range [][]string{nil, {"CI=woodpecker"}, {"GITLAB_CI=true"}, {"GITHUB_ACTIONS=true", "GITHUB_RUN_ID=1"}} {
			var out bytes.Buffer
			if code := cli.Run(context.Background(), args, environ, &out, nil); code != 0 {
				t.Errorf("%s: expected %d to be %d", args, code, 0)
			}
			for line := range strings.Lines(out.String()) {
				if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
					t.Errorf("%s: expected %d columns to be %d at most: %s", args, n, 80, line)
				}
			}
			for _, i := range config.Inputs {
				applies := len(args) == 1 || i.AppliesTo(args[0]) || i.AppliesTo(args[1])
				if strings.Contains(out.String(), "  "+map[bool]string{true: "", false: "--"}[i.Secret()]+i.Name+" ") != applies {
					t.Errorf("%s: expected %s to be there: %t\n%s", args, i.Name, applies, out.String())
				}
			}
		}
	}
}

// C4: on a laptop with the variables of the JFrog CLI, a bare call made a
// token. In a CI it is a plugin's way to mint.
func TestABareCall(t *testing.T) {
	t.Chdir(t.TempDir())
	laptop := []string{"JF_URL=https://acme.jfrog.io", "JF_ACCESS_TOKEN=c3RvcmVkLXRva2Vu"}
	var out, err bytes.Buffer
	if code := cli.Run(context.Background(), nil, laptop, &out, &err); code != 2 || out.Len() != 0 || !strings.Contains(err.String(), "Usage: jfrog-token COMMAND") {
		t.Errorf("expected %d, %q, %q to be %d, nothing, and the help", code, out.String(), err.String(), 2)
	}
	out.Reset()
	err.Reset()
	if code := cli.Run(context.Background(), nil, []string{"DRONE=true"}, &out, &err); code != 2 || strings.Contains(err.String(), "Usage:") || !strings.Contains(err.String(), "url: is not set") {
		t.Errorf("expected %d, %q to be %d, about url", code, err.String(), 2)
	}
}

// What the input command may name, the program can run: alone, and as an
// argument.
func TestEveryCommandOfTheInputIsOne(t *testing.T) {
	t.Chdir(t.TempDir())
	command, _ := config.Named("command")
	for _, name := range command.Values() {
		for _, by := range []string{"argument", "input"} {
			var args, environ []string
			if by == "argument" {
				args = []string{name}
			} else {
				environ = []string{"JFROG_TOKEN_COMMAND=" + name}
			}
			var out bytes.Buffer
			code := cli.Run(t.Context(), args, environ, &out, &out)
			if strings.Contains(out.String(), "unknown command") || code != 2 && name != "revoke" || code != 0 && name == "revoke" {
				t.Errorf("%s as %s: expected %d, %q to be a command without its inputs", name, by, code, out.String())
			}
		}
	}
}

// job is a job on a CI whose steps share a directory, in which it runs.
type job struct {
	*testing.T
	*jfrogtest.Platform
	env map[string]string
}

// newJob starts a platform on which ci-bot has the stored token of the job.
func newJob(t *testing.T) *job {
	t.Helper()
	t.Chdir(t.TempDir())
	p, err := jfrogtest.New(jfrogtest.Config{Tokens: []jfrogtest.StoredToken{{User: "ci-bot"}}}, jfrogtest.NewIssuer(jfrogtest.IssuerConfig{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	s, err := jfrogtest.NewServer(p, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	p.SetURL(s.URL)
	return &job{t, p, map[string]string{
		"JFROG_TOKEN_URL": s.URL, "JFROG_TOKEN_ACCESS_TOKEN": p.Stored(0), "JFROG_TOKEN_MAX_ATTEMPTS": "1", "JFROG_TOKEN_TIMEOUT": "10s",
	}}
}

// step runs one step, with variables of its own, and returns its log.
func (j *job) step(command string, variables ...string) (code int, log string) {
	j.Helper()
	binary, err := os.Executable()
	if err != nil {
		j.Fatal(err)
	}
	cmd := exec.Command(binary, command)
	cmd.Env = append(j.environ(variables...), asStep+"=1", "GOCOVERDIR="+os.TempDir(), "GORACE=atexit_sleep_ms=20")
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		j.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), j.log(out)
}

// run is step in this process, so that a signal can come at a known point.
func (j *job) run(ctx context.Context, command string) (code int, log string) {
	j.Helper()
	var out bytes.Buffer
	code = cli.Run(ctx, []string{command}, j.environ(), &out, &out)
	return code, j.log(out.Bytes())
}

func (j *job) environ(variables ...string) []string {
	for name, value := range j.env {
		variables = append(variables, name+"="+value)
	}
	return variables
}

func (j *job) log(out []byte) string {
	j.Helper()
	for _, s := range j.Secrets() {
		if bytes.Contains(out, []byte(s.Value)) {
			j.Errorf("expected %s not to be printed", s.Name)
		}
	}
	return string(out)
}

func (j *job) mint() {
	j.Helper()
	if code, log := j.step("mint"); code != 0 {
		j.Fatalf("expected %d to be %d: %s", code, 0, log)
	}
}

func TestExitCodes(t *testing.T) {
	closed := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		return "http://" + l.Addr().String()
	}
	refuse := jfrogtest.Fault{On: "revoke", Status: 403, Body: `{"errors":[{"code":"FORBIDDEN","message":"x"}]}`}
	for _, c := range []struct {
		name    string
		command string
		before  func(j *job)
		want    int
		says    string
	}{
		{"done", "mint", nil, 0, "token "},
		{"an input is wrong", "mint", func(j *job) { j.env["JFROG_TOKEN_TIMEOUT"] = "soon" }, 2, "JFROG_TOKEN_TIMEOUT"},
		{"an input is missing", "sweep", nil, 2, "JFROG_TOKEN_OLDER_THAN"},
		{"an unknown command", "mnt", nil, 2, "unknown command"},
		{"JFrog refuses", "mint", func(j *job) { j.env["JFROG_TOKEN_ACCESS_TOKEN"] = "nobodys-token" }, 1, "HTTP 401"},
		{"the network refuses", "mint", func(j *job) { j.env["JFROG_TOKEN_URL"] = closed(j.T) }, 1, "dial tcp 127.0.0.1:"},
		{"the CI refuses", "mint", func(j *job) {
			if err := os.WriteFile("theirs", []byte("theirs\n"), 0o600); err != nil {
				j.Fatal(err)
			}
			j.env["JFROG_TOKEN_ENV_FILE"] = "theirs"
		}, 1, "check env-file"},
		{"nothing to revoke", "revoke", nil, 0, "nothing to revoke"},
		{"revoked", "revoke", (*job).mint, 0, "revoked"},
		{"a revocation failed", "revoke", func(j *job) { j.mint(); j.SetFaults([]jfrogtest.Fault{refuse}) }, 0, "failed"},
		{"a revocation failed, and is to fail the step", "revoke", func(j *job) {
			j.env["JFROG_TOKEN_REVOKE_FAILURE"] = "fail"
			j.mint()
			j.SetFaults([]jfrogtest.Fault{refuse})
		}, 1, "not every token was revoked"},
		{"a state that is not ours", "revoke", func(j *job) {
			if err := errors.Join(os.Mkdir(".jfrog-token", 0o700), os.WriteFile(".jfrog-token/jt-AAAAAAAAAAAAAAAA.json", []byte("{}"), 0o600)); err != nil {
				j.Fatal(err)
			}
		}, 1, "not saved by jfrog-token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJob(t)
			if c.before != nil {
				c.before(j)
			}
			if code, log := j.step(c.command); code != c.want || !strings.Contains(log, c.says) {
				t.Errorf("expected %d to be %d, and %q to say %q", code, c.want, log, c.says)
			}
			if c.want == 2 && len(j.Requests()) != 0 {
				t.Errorf("expected %d requests to be %d", len(j.Requests()), 0)
			}
		})
	}
}

// 128 and the signal's number, whatever was under way; what was made by then is
// gone.
func TestExitCodesOfSignals(t *testing.T) {
	for s, want := range map[os.Signal]int{syscall.SIGHUP: 129, os.Interrupt: 130, syscall.SIGQUIT: 131, syscall.SIGTERM: 143} {
		for _, command := range []string{"mint", "revoke", "list"} {
			for _, at := range []string{"", "create:received", "create:stored", "revoke:received", "list:received"} {
				j := newJob(t)
				if command == "revoke" {
					j.mint()
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				came := at == ""
				if came {
					cancel(cli.Interrupted{Signal: s})
				}
				j.SetHook(func(point string) {
					if point == at {
						came = true
						cancel(cli.Interrupted{Signal: s})
					}
				})
				code, log := j.run(ctx, command)
				if !came {
					continue // it does not come there
				}
				if code != want || strings.Count(log, "interrupted by ") != 1 {
					t.Errorf("%s, %s at %q: expected %d to be %d: %s", command, s, at, code, want, log)
				}
				if alive := j.Alive(); command == "mint" && len(alive) != 0 {
					t.Errorf("%s, %s at %q: expected %v to be nothing: %s", command, s, at, alive, log)
				}
			}
		}
	}
	if got := (cli.Interrupted{}).ExitCode(); got != 1 {
		t.Errorf("expected %d to be %d", got, 1)
	}
}

// That only its creator can revoke a token is said while that can be changed.
func TestAnAudienceWithoutAccessIsWarnedOf(t *testing.T) {
	for audience, want := range map[string]bool{"": false, "*@*": false, "jfrt@* jfac@01abc": false, "jfrt@*": true, "jfrt@* jfxr@*": true} {
		j := newJob(t)
		code, log := j.step("mint", "JFROG_TOKEN_AUDIENCE="+audience)
		if got := strings.Contains(log, "warning: audience "); got != want || code != 0 {
			t.Errorf("%q: expected %d, %q to be %t", audience, code, log, want)
		}
	}
}

func left(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, pattern := range []string{"*", ".jfrog-token/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, names...)
	}
	return slices.DeleteFunc(list, func(name string) bool { return name == ".jfrog-token" })
}

// A revoke beside a running mint takes neither its state nor its env file.
func TestRevokeLeavesARunningMintAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no locks")
	}
	j := newJob(t)
	if code, log := j.step("mint", "JFROG_TOKEN_REVOKE=false"); code != 0 { // there is an env file now, and no state
		t.Fatalf("expected %d to be %d: %s", code, 0, log)
	}
	code, log := -1, ""
	j.SetHook(func(point string) {
		if point == "create:received" {
			code, log = j.step("revoke")
			if _, err := os.Stat(".jfrog-token/env"); err != nil {
				t.Errorf("expected the env file to stay while a mint runs: %v", err)
			}
		}
	})
	j.mint()
	if code != 0 || !strings.HasPrefix(log, "left for a later revoke: ") || strings.Count(log, "\n") != 1 {
		t.Errorf("expected %d, %q to leave the state", code, log)
	}
	j.SetHook(nil)
	if code, log := j.step("revoke"); code != 0 || len(j.Alive()) != 1 || len(left(t)) != 0 {
		t.Errorf("expected %d, %v, %q to be the first token alone: %s", code, j.Alive(), left(t), log)
	}
}

// A revoke beside a running mint ends what is its own: the mint, which looks
// for states that are over, keeps it from none.
func TestRevokeBesideAMint(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no locks")
	}
	j := newJob(t)
	j.mint()
	first := j.Alive()
	beside := ""
	j.SetHook(func(point string) {
		if point == "create:received" {
			j.SetHook(nil)
			if code, log := j.step("revoke"); code != 0 {
				t.Errorf("expected %d to be %d: %s", code, 0, log)
			} else {
				beside = log
			}
			if _, err := os.Stat(".jfrog-token/env"); err != nil {
				t.Errorf("expected the env file to stay while a mint runs: %v", err)
			}
		}
	})
	j.mint()
	if !strings.Contains(beside, "token "+first[0].ID+": revoked") || strings.Contains(beside, "left for its own revoke") || strings.Contains(beside, "nothing to revoke") {
		t.Errorf("expected %q to end the token %s alone", beside, first[0].ID)
	}
	if alive := j.Alive(); len(alive) != 1 || alive[0].ID == first[0].ID {
		t.Errorf("expected %v to be the second token", alive)
	}
	if code, log := j.step("revoke"); code != 0 || len(j.Alive()) != 0 || len(left(t)) != 0 {
		t.Errorf("expected %d, %v, %q to be nothing: %s", code, j.Alive(), left(t), log)
	}
}

// Whoever passes by drops the states of tokens that have expired, and no other.
func TestExpiredStatesAreDropped(t *testing.T) {
	j := newJob(t)
	const state = `{"written_by":"jfrog-token","url":"https://acme.jfrog.io","revoke":true,"env_file":"env","marker":"jt-%s","tokens":[{"token_id":"x","expires_at":"%s"}]}`
	write := func(name, text string) {
		if err := os.WriteFile(".jfrog-token/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(".jfrog-token", 0o700); err != nil {
		t.Fatal(err)
	}
	write("jt-AAAAAAAAAAAAAAAA.json", fmt.Sprintf(state, "AAAAAAAAAAAAAAAA", "2020-01-02T03:04:05Z"))
	write("jt-BBBBBBBBBBBBBBBB.json", fmt.Sprintf(state, "BBBBBBBBBBBBBBBB", "2220-01-02T03:04:05Z"))
	write("jt-CCCCCCCCCCCCCCCC.json", "{}")
	j.mint()
	got := strings.Join(left(t), " ")
	if strings.Contains(got, "AAAA") || !strings.Contains(got, "BBBB") || !strings.Contains(got, "CCCC") {
		t.Errorf("expected %q to be without the first", got)
	}
}

// A token that a platform lists twice is revoked once, and counted once.
func TestSweepOfATokenThatIsListedTwice(t *testing.T) {
	const token = `{"token_id":"a","description":"GitHub acme/app [jt-ABCDEFGHIJKLMNOP]","issued_at":1}`
	revoked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete:
			revoked++
		case strings.HasSuffix(r.URL.Path, "/me"):
			fmt.Fprint(w, `{"token_id":"own"}`)
		case revoked > 0:
			fmt.Fprint(w, `{"tokens":[]}`)
		default:
			fmt.Fprintf(w, `{"tokens":[%s,%s]}`, token, token)
		}
	}))
	defer server.Close()
	var out bytes.Buffer
	code := cli.Run(t.Context(), []string{"sweep", "--description-prefix", "GitHub acme/app", "--older-than", "1h"},
		[]string{"JFROG_TOKEN_URL=" + server.URL, "JFROG_TOKEN_ACCESS_TOKEN=an-opaque-credential"}, &out, &out)
	if code != 0 || revoked != 1 || !strings.Contains(out.String(), "sweep: 1 token revoked, ") {
		t.Errorf("expected %d, %d to be 0, 1: %s", code, revoked, out.String())
	}
}
