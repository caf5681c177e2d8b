// Package ci is the side of the CI: what it says about the run, where it
// wants secrets, state and outputs, and how its log is written to.
package ci

import (
	"fmt"
	"io"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// Platform is one kind of CI.
type Platform interface {
	// Name is the CI's name, for people and for JFrog's records.
	Name() string
	// Prefixes are those of the variables that carry inputs.
	Prefixes() []string
	// Debug reports whether debug logging is on.
	Debug() bool

	// Mask hides a secret from here on, as far as the CI can.
	Mask(secret.String)
	// Clean makes text one line without a secret or a command, as the log has
	// it.
	Clean(string) string
	// Info writes one line to the log.
	Info(string)
	// Warning and Error write what happened, and what to do.
	Warning(...string)
	Error(...string)
	// LogError reports that the log could not be written to, so that a
	// secret may not be masked.
	LogError() error

	// Check reports whether what mint writes can be written. It runs before
	// anything is minted: a token that cannot be handed on must not exist.
	Check(Places) error
	// SaveState keeps state for revoke. The last one of a run counts; "" is
	// that there is none.
	SaveState(state string) error
	// States gives what was kept and not cleared: one for each mint.
	States(Places) ([]string, error)
	// Outputs hands values to the next steps, all or none.
	Outputs([]Output) error
	// Retract takes back what Outputs handed on, after a failure.
	Retract() error
	// Clear removes the files that a mint left for revoke.
	Clear(Places) error
	// Summary adds Markdown to the summary of the job, where there is one.
	Summary(markdown string) error

	// Run gives the facts that go with an exchange.
	Run() Run
	// Description says in one line who asks for a token.
	Description() string
	// FromFork reports whether the run is for a pull request from a fork or
	// from Dependabot, which gets no ID token and no secrets.
	FromFork() bool
}

// Places is where a CI without step outputs wants files, and whether a
// summary is wanted.
type Places struct {
	EnvFile  string
	StateDir string
	Summary  bool
}

// Output is one value for the next steps.
type Output struct {
	Name   string // of the step output
	Value  string
	Secret bool
}

// Run is what the CI says about the run, "" where it does not. Repo is the
// URL of the repository, as JFrog's own CLI sends it.
type Run struct{ JobID, RunID, Repo, Revision, Branch string }

// Detect gives the platform that the environment is of.
func Detect(getenv func(string) string, environ []string, out io.Writer) Platform {
	if getenv("GITHUB_ACTIONS") == "true" {
		return newGitHub(getenv, out)
	}
	return newFiles(getenv, environ, out)
}

// voice is the log, as every platform writes it.
type voice struct {
	out     *log
	secrets []secret.String
}

// remember has line hide a secret. It reports whether that is worth it.
func (v *voice) remember(s secret.String) bool {
	if s.Forms() == nil {
		return false
	}
	v.secrets = append(v.secrets, s)
	return true
}

// Clean implements Platform.
func (v *voice) Clean(s string) string { return harmless(secret.Redact(s, v.secrets...)) }

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

// LogError implements Platform.
func (v *voice) LogError() error { return v.out.err }

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
