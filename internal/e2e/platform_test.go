package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/joho/godotenv"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// naming is how a CI names the variable of an input.
var naming = map[string]func(string) string{
	// drone-runner-docker, engine/compiler/step.go: dashes stay
	"drone": func(name string) string { return "PLUGIN_" + strings.ToUpper(name) },
	// woodpecker, pipeline/frontend/yaml/compiler/settings/params.go
	"woodpecker": func(name string) string {
		return "PLUGIN_" + strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToUpper(name))
	},
	"plain": func(name string) string {
		return "JFROG_TOKEN_" + strings.ReplaceAll(strings.ToUpper(name), "-", "_")
	},
}

// cmdPlatform leaves GitHub: "platform drone env.txt". The steps run in the
// folder workspace.
func cmdPlatform(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	env, err := godotenv.Parse(strings.NewReader(os.Expand(ts.ReadFile(args[1]), s.named)))
	ts.Check(err)
	env["PATH"], env["SYSTEMROOT"] = os.Getenv("PATH"), os.Getenv("SYSTEMROOT")
	maps.Copy(env, quick)
	s.Runner.Env = env
	s.azure, s.buildkite = nil, nil
	switch {
	case env["TF_BUILD"] != "":
		s.azure = runnertest.NewAzureAgent()
	case env["BUILDKITE"] != "":
		s.buildkite = s.jobAPI
	}
	s.platformInput = naming[args[0]]
	if s.platformInput == nil {
		ts.Fatalf("no such naming: %s", args[0])
	}
	ts.Check(os.MkdirAll(filepath.Join(s.Dir, "workspace"), 0o755))
}

// cmdRun runs the binary as a step of such a CI: "run mint", with with.yml, or
// "run mint other.yml".
func cmdRun(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	c := s.command(ts, args)
	ts.Check(c.Start())
	res, err := c.Wait()
	ts.Check(err)
	s.finish(ts, neg, res)
}

// command is a run of the binary on another CI than GitHub.
type command struct {
	cmd    *exec.Cmd
	mu     sync.Mutex
	all    bytes.Buffer // both streams, in order
	stdout bytes.Buffer
	stderr bytes.Buffer
	shown  func(string) string // what the CI makes of the output
}

// stream is one of the two.
type stream struct {
	c  *command
	to io.Writer
}

func (s stream) Write(p []byte) (int, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.to.Write(p)
}

// cmdCall runs the binary with arguments, as a person types them, and without
// the variables of with.yml: "call mint --expires-in 5m".
func cmdCall(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	c := s.process(maps.Clone(s.Runner.Env), args...)
	ts.Check(c.Start())
	res, err := c.Wait()
	ts.Check(err)
	s.finish(ts, neg, res)
}

func (s *scenario) command(ts *testscript.TestScript, args []string) *command {
	file := "with.yml"
	if len(args) > 1 {
		file = args[1]
	}
	env := s.environ(ts, file)
	if args[0] != "-" {
		env[s.platformInput("command")] = args[0]
	}
	return s.process(env)
}

// environ is the job's environment there, with the inputs of a file.
func (s *scenario) environ(ts *testscript.TestScript, file string) map[string]string {
	env := maps.Clone(s.Runner.Env)
	maps.Copy(env, s.inputVariables(s.with(ts, file), s.platformInput))
	return env
}

// process is the binary with arguments in an environment.
func (s *scenario) process(env map[string]string, args ...string) *command {
	c := &command{cmd: exec.Command(binary, args...), shown: func(text string) string { return text }}
	switch {
	case s.azure != nil:
		for name, value := range env {
			env[name] = s.azure.Expand(value)
		}
		maps.Copy(env, s.azure.Environment()) // wins over a step's env (Handler.cs, AddVariablesToEnvironment)
		c.shown = s.azure.Read
	case s.buildkite != nil:
		c.shown = s.buildkite.Mask
	}
	c.cmd.Dir = filepath.Join(s.Dir, "workspace")
	for _, k := range slices.Sorted(maps.Keys(env)) {
		c.cmd.Env = append(c.cmd.Env, k+"="+env[k])
	}
	c.cmd.Stdout, c.cmd.Stderr = stream{c, io.MultiWriter(&c.all, &c.stdout)}, stream{c, io.MultiWriter(&c.all, &c.stderr)}
	return c
}

// inputVariables returns the variables of inputs, for a program that runs in the directory workspace.
func (s *scenario) inputVariables(with map[string]string, name func(string) string) map[string]string {
	env := map[string]string{}
	for input, value := range with {
		if input == "ca-cert" && value == "ca.pem" {
			value = filepath.Join(s.Dir, value)
		}
		env[name(input)] = value
	}
	return env
}

// Start starts the program.
func (c *command) Start() error { return c.cmd.Start() }

// Wait waits for its end.
func (c *command) Wait() (*runnertest.Result, error) {
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	text := c.all.String()
	if strings.Contains(text, "::add-mask::") {
		return nil, fmt.Errorf("a mask is printed where nothing masks:\n%s", text)
	}
	return &runnertest.Result{
		Code: c.cmd.ProcessState.ExitCode(), Raw: text, Log: c.shown(text), Stdout: c.stdout.String(), Stderr: c.stderr.String(),
	}, nil
}

// cmdSource reads the env file with a POSIX shell and with a dotenv reader,
// which must agree, and takes what is in it for the outputs.
func cmdSource(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	path := ".jfrog-token/env"
	if len(args) > 0 {
		path = args[0]
	}
	file := filepath.Join(s.Dir, "workspace", path)
	dotenv, err := godotenv.Read(file)
	ts.Check(err)
	s.checkOwnFile(ts, file)

	shell := map[string]string{}
	cmd := exec.Command("sh", "-c", `set -a; . "$0"; env -0`, file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	ts.Check(err)
	for pair := range strings.SplitSeq(string(out), "\x00") {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, "JF") {
			shell[name] = value
		}
	}
	if !maps.Equal(shell, dotenv) {
		ts.Fatalf("expected a shell's %v to be a dotenv reader's %v", shell, dotenv)
	}
	s.Step.Outputs = map[string]string{
		"token": dotenv["JF_ACCESS_TOKEN"], "username": dotenv["JF_USER"], "url": dotenv["JF_URL"], "token-id": dotenv["JFROG_TOKEN_ID"],
		"refresh-token": dotenv["JF_REFRESH_TOKEN"],
	}
	s.write(ts, "env", renderOutputs(dotenv))
}

// cmdVariables takes the variables that Azure DevOps has for later steps for the outputs, and writes them for comparison.
// With arguments, NAME=VALUE or -NAME=VALUE for a secret one, it gives the pipeline variables of its own.
func cmdVariables(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	for _, a := range args {
		name, value, _ := strings.Cut(strings.TrimPrefix(a, "-"), "=")
		s.azure.Set(name, value, strings.HasPrefix(a, "-"))
	}
	shown := map[string]string{}
	for name, value := range s.azure.Variables {
		if s.azure.Secret[name] {
			name += " (secret)"
		}
		shown[name] = value
	}
	s.Step.Outputs = map[string]string{"token": s.azure.Variables["JF_ACCESS_TOKEN"], "username": s.azure.Variables["JF_USER"]}
	s.write(ts, "variables", renderOutputs(shown))
}

// checkOwnFile compares a file's mode, and that of the state directory.
func (s *scenario) checkOwnFile(ts *testscript.TestScript, file string) {
	info, err := os.Stat(file)
	ts.Check(err)
	if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" { // there are access control lists instead
		ts.Fatalf("expected mode %v to be 0600", info.Mode())
	}
}

// cmdMode compares a mode: "mode 0700 workspace/.jfrog-token".
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("expected one file to match %s: %v", args[1], found)
	}
	info, err := os.Lstat(found[0])
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] && runtime.GOOS != "windows" {
		ts.Fatalf("expected mode %s to be %s", got, args[0])
	}
}

// cmdDotenv reads a file of Harness with a dotenv reader, for comparison.
func cmdDotenv(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	values, err := godotenv.Read(ts.MkAbs(args[0]))
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if len(line) > 64<<10 {
			ts.Fatalf("a line of %d bytes: Harness takes 64 KiB", len(line))
		}
	}
	s.write(ts, args[1], renderOutputs(values))
}

// cmdNothingLeft checks that no file holds a secret, once all is over.
func cmdNothingLeft(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	ts.Check(filepath.WalkDir(filepath.Join(s.Dir, "workspace"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, k := range s.secrets() {
			if strings.Contains(string(text), k.Value) {
				ts.Fatalf("%s is left in %s", k.Name, path)
			}
		}
		return err
	}))
}
