// Package ci is the side of the CI: what it says about the run, where it
// wants secrets, state and outputs, and how its log is written to.
package ci

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Platform is one kind of CI.
type Platform interface {
	// Name is the CI's name, for people and for JFrog's records.
	Name() string
	// Prefixes are those of the variables that carry inputs; others have
	// variables with the prefix shared too.
	Prefixes() (all []string, shared string)
	// Variable is the name under which a user sets an input: that of the input
	// itself in the action and in a plugin's settings, else an environment
	// variable's.
	Variable(input string) string
	// Debug reports whether debug logging is on.
	Debug() bool

	// Hide hides secrets from here on, as far as the CI can. The error says
	// that the log cannot be written to, so that they may not be hidden.
	Hide(...secret.String) error
	// Hidden returns the secrets that were hidden so far.
	Hidden() []secret.String
	// Clean makes text one line without a secret or a command, as the log has
	// it.
	Clean(string) string
	// Info writes one line to the log.
	Info(string)
	// Result writes lines of what a command was asked for, at once: to standard
	// output, which has nothing else but in an action.
	Result(...string)
	// Notice writes what is worth a look, and is no fault of the job's.
	Notice(...string)
	// Warning and Error write what happened, and what to do.
	Warning(...string)
	Error(...string)
	// Use says where files go, on a CI without step outputs.
	Use(Places)
	// EnvFile names the file in which outputs are handed on, relative to the
	// state directory; "" if there are step outputs.
	EnvFile() string
	// Check reports whether what is to be written can be. It runs before
	// anything is minted: a token that cannot be handed on must not exist.
	Check(Writes) error
	store
	// Outputs hands values to the next steps, all or none.
	Outputs([]Output) error
	// Export sets the variables of the env file for every later step, if the CI
	// has outputs instead of that file.
	Export([]Output) error
	// Usage says, once Outputs has handed values on, how a later step gets them,
	// and what is left to do at the end of the job if the token is to be revoked.
	// lost says that no step can get them.
	Usage(revoke bool) (lines []string, lost bool)
	// Retract takes back what Outputs handed on, after a failure.
	Retract() error
	// Clear removes the files that a mint left, but for states.
	Clear(keepEnv bool) error
	// Summary adds Markdown to the summary of the job, where there is one.
	Summary(markdown string) error

	// Run returns the facts that go with an exchange.
	Run() Run
	// Description says in one line who asks for a token.
	Description() string
	// IDTokens returns where ID tokens come from: the one that was given, a
	// variable of the CI, its endpoint.
	IDTokens(given secret.String, audience string, c *wire.Client, p wire.Policy) (*IDTokenSource, error)
	// Identity are the claims by which an identity mapping knows the repository;
	// none if only sub does.
	Identity() []string
	// Holders says who else can have an ID token with the same value of a claim.
	Holders(claims jwt.Claims, name string) Holders
	// IDTokenAdvice says what to do if no ID token can be had.
	IDTokenAdvice() Advice
	// SecretAdvice says why a secret may be empty.
	SecretAdvice() Advice
}

// Advice is what to do: lines, each a sentence or, indented, a line of a
// snippet; none if nothing is known.
type Advice struct {
	Topic string // the anchor of a heading in docs/troubleshooting.md
	Lines []string
}

// Topics of advice.
const (
	NoIDToken    = "no-id-token"
	NoPermission = "no-permission-for-an-id-token"
	EmptySecret  = "an-empty-secret"
	Fork         = "a-pull-request-from-a-fork"
	Dependabot   = "a-run-of-dependabot"
)

// store keeps the states of mints for revoke: a directory, or the runner's own.
type store interface {
	// Save keeps the state of one mint, in place of an earlier one with the
	// same marker.
	Save(marker string, state []byte) error
	// Drop forgets a state.
	Drop(marker string) error
	// States returns the markers of the states that were saved and not
	// dropped, the newest first.
	States() ([]string, error)
	// Read returns a state as it is now. It is fs.ErrNotExist if it was dropped
	// meanwhile.
	Read(marker string) (state []byte, err error)
	// Take locks a state until this process ends, and returns it. busy says that
	// its mint is still running, or that another revoke ends it.
	Take(marker string) (state []byte, busy bool, err error)
}

// Writes is what a command writes beside its state and the log.
type Writes struct {
	Outputs, Summary bool
	Export           bool // the variables of Export, if the CI has outputs
}

// Places is where files go on a CI without step outputs.
type Places struct{ EnvFile, StateDir string }

// usualDir is the state directory unless the input says otherwise.
const usualDir = ".jfrog-token"

var errUnquotable = errors.New("no shell snippet can name this path: use one without line breaks and quotes")

// check reports whether the advice at the end can name the places.
func (p Places) check() error {
	if _, err := quote(p.StateDir); err != nil {
		return fmt.Errorf("check state-dir: %w", errUnquotable)
	}
	if _, err := quote(p.EnvFile); err != nil {
		return fmt.Errorf("check env-file: %w", errUnquotable)
	}
	return nil
}

// flags are what revoke needs to find the files, beside its name; "" if they
// are where they usually are.
func (p Places) flags() string {
	text := ""
	add := func(flag, path string) {
		quoted, _ := quote(path) // check refuses what cannot be
		text += " " + flag + " " + quoted
	}
	if p.StateDir != usualDir {
		add("--state-dir", p.StateDir)
	}
	if p.EnvFile != filepath.Join(p.StateDir, "env") {
		add("--env-file", p.EnvFile)
	}
	return text
}

// Output is one value for the next steps.
type Output struct {
	Name   string // of the step output
	Value  string
	Secret bool
}

// Run is what the CI says about the run, "" if it does not. Repo is the
// URL of the repository, as JFrog's own CLI sends it.
type Run struct{ JobID, RunID, Repo, Revision, Branch string }

// Start is how this program was started.
type Start int

const (
	// Command is a command line: a person's, a run: step's, a plugin's.
	Command Start = iota
	// Main and Post are the steps of an action, started by its launcher.
	Main
	Post
)

// Detect returns the platform that the environment is of.
func Detect(getenv func(string) string, stdout, stderr io.Writer, start Start) Platform {
	known := getenv
	if start != Command { // GitHub's runner, or one like it, runs this
		known = func(name string) string {
			if name == "GITHUB_ACTIONS" {
				return "true"
			}
			return getenv(name)
		}
	}
	v := variant{findSystem(known), getenv}
	if v.runner {
		return newRunner(v, stdout, stderr, start)
	}
	return newWorkspace(v, stdout, stderr)
}

// voice is the log, as every platform writes it.
type voice struct {
	out      *log
	results  io.Writer
	redactor secret.Redactor
	hidden   []secret.String
}

// hide hides secrets in the log of this process.
func (v *voice) hide(secrets []secret.String) {
	v.redactor.Add(secrets...)
	v.hidden = append(v.hidden, secrets...)
}

// Hidden implements Platform.
func (v *voice) Hidden() []secret.String { return v.hidden }

// Clean implements Platform.
func (v *voice) Clean(s string) string { return sanitize(v.redactor.Redact(s)) }

func (v *voice) lines(lines []string) string {
	made := make([]string, len(lines))
	for i, l := range lines {
		made[i] = v.Clean(l)
	}
	return strings.Join(made, "\n")
}

// Info implements Platform. A log that cannot be written to is no reason to
// fail.
func (v *voice) Info(s string) { _, _ = fmt.Fprintln(v.out, v.Clean(s)) }

// Result implements Platform.
func (v *voice) Result(lines ...string) { _, _ = fmt.Fprintln(v.results, v.lines(lines)) }

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
