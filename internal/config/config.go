// Package config reads the inputs: where they come from, what is allowed, and
// all that is wrong with them in one go.
package config

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/ephemeral-ci/jfrog-token/internal/roots"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// Config is what the inputs amount to, each of which is a row of the table.
type Config struct {
	URL *url.URL `env:"URL, noinit"` // without a trailing slash, /artifactory or /access

	ProviderName        string        `env:"OIDC_PROVIDER_NAME"` // OIDC mode if it is set
	OIDCAudience        string        `env:"OIDC_AUDIENCE"`
	IDToken             secret.String `env:"ID_TOKEN"`
	IdentityMappingName string        `env:"IDENTITY_MAPPING_NAME"`
	ProjectKey          string        `env:"PROJECT_KEY"`
	ApplicationKey      string        `env:"APPLICATION_KEY"`
	AccessToken         secret.String `env:"ACCESS_TOKEN"`  // stored mode if it is set
	RefreshToken        secret.String `env:"REFRESH_TOKEN"` // refresh mode if it is set
	CACert              string        `env:"CA_CERT"`       // PEM text, or an absolute path

	Scope                 string        `env:"SCOPE"` // groups included
	Groups                string        `env:"GROUPS"`
	ExpiresIn             time.Duration `env:"EXPIRES_IN"` // zero: not set
	Username              string        `env:"USERNAME"`
	Audience              string        `env:"AUDIENCE"`
	Description           string        `env:"DESCRIPTION"`
	Refreshable           bool          `env:"REFRESHABLE"`
	IncludeReferenceToken bool          `env:"INCLUDE_REFERENCE_TOKEN"`
	ForceRevocable        *bool         `env:"FORCE_REVOCABLE, noinit"` // nil: not set
	Pairing               string        `env:"PAIRING"`                 // a use case; "" for an access token
	Verify                []string      `env:"VERIFY"`                  // services, each once: see ParseService
	ConnectURL            *url.URL      `env:"CONNECT_URL, noinit"`

	Revoke        bool     `env:"REVOKE"`
	RevokeFailure string   `env:"REVOKE_FAILURE"` // "warn" or "fail"
	TokenIDs      []string `env:"TOKEN_ID"`

	Summary   bool   `env:"SUMMARY"`
	ExportEnv bool   `env:"EXPORT_ENV"`
	EnvFile   string `env:"ENV_FILE"`  // checked here, and read by Files
	StateDir  string `env:"STATE_DIR"` // so is this
	Mask      bool   `env:"MASK_OUTPUT"`

	Timeout     time.Duration `env:"TIMEOUT"`
	MaxAttempts int           `env:"MAX_ATTEMPTS"`

	DescriptionPrefix string        `env:"DESCRIPTION_PREFIX"`
	OlderThan         time.Duration `env:"OLDER_THAN"`
	DryRun            bool          `env:"DRY_RUN"`
	Format            string        `env:"FORMAT"` // "table" or "json"

	Command string `env:"COMMAND"` // checked here, and read by the function Command

	Roots    roots.Set
	Warnings []string
}

// OIDC reports whether an ID token is the proof, not a stored token.
func (c *Config) OIDC() bool { return c.ProviderName != "" }

// Refreshes reports whether the token is the successor of another one.
func (c *Config) Refreshes() bool { return !c.RefreshToken.IsZero() }

// Revocable reports whether JFrog is asked to keep the token revocable.
func (c *Config) Revocable() bool { return c.ForceRevocable == nil || *c.ForceRevocable }

// CreatesSecond reports whether the exchanged token is used to create another
// one, which can be revoked.
func (c *Config) CreatesSecond() bool { return c.OIDC() && (c.Revocable() || c.NeedsSecond()) }

// NeedsSecond reports whether only a second token is what the inputs ask for: an
// exchange itself takes none of these parameters.
func (c *Config) NeedsSecond() bool {
	return c.OIDC() && (c.Pairing != "" || c.Scope != "" || c.ExpiresIn != 0 || c.Username != "" || c.Audience != "" ||
		c.Description != "" || c.Refreshable || c.ForceRevocable != nil && *c.ForceRevocable)
}

// Error is every problem with the inputs, each with the name under which the
// user sets the input, and none with a value that could be secret.
type Error struct {
	Problems []string
	// NoCredential is the name of the stored token, if one of them is that no
	// credential is set: as the user set it, if it is empty.
	NoCredential string
	APIKey       bool // the stored token is one
}

func (e *Error) Error() string { return strings.Join(e.Problems, "; ") }

// ExitCode says that nothing was sent.
func (e *Error) ExitCode() int { return 2 }

// MaxDescription is JFrog's limit, in characters:
// https://jfrog.com/help/r/jfrog-rest-apis/create-token
const MaxDescription = 1024

// MarkerLength is how much of a description the marker takes that tells one
// mint from all others, in characters.
const MarkerLength = 22

// Load reads and checks the inputs of a command. The error is an *Error.
func Load(s *Source, command string) (*Config, error) {
	r := &reader{Source: s, c: &Config{}}
	if err := envconfig.ProcessWith(context.Background(), &envconfig.Config{Target: r.c, Lookuper: r}); err != nil {
		return nil, &Error{Problems: []string{"inputs cannot be read"}} // its text could quote one
	}
	r.check(command)
	if problems := append(r.problems, s.misspelt()...); problems != nil {
		return nil, &Error{problems, r.noCredential, r.apiKey}
	}
	return r.c, nil
}

// Command returns the command that the input names, and whether it does. The
// error is an *Error.
func Command(s *Source) (name string, set bool, err error) {
	i := input("command")
	v, from, ok := s.find(i)
	if !ok {
		return i.Default, false, nil
	}
	if _, wrong := i.parse(v); wrong != "" {
		return "", true, &Error{Problems: []string{from + ": " + wrong}}
	}
	return v, true, nil
}

// Files returns env-file and state-dir. They are there before any input is
// checked: what is wrong with the others must not keep revoke from its work.
func Files(s *Source) (envFile, stateDir string) {
	dir := input("state-dir")
	stateDir, _, ok := s.find(dir)
	if !ok {
		stateDir = dir.Default
	}
	if envFile, _, ok = s.find(input("env-file")); !ok {
		envFile = filepath.Join(stateDir, "env")
	}
	return envFile, stateDir
}

// Summarizes reports whether the job summary is written, as far as the input is
// usable.
func Summarizes(s *Source) bool {
	v, _, _ := s.find(input("summary"))
	return !strings.EqualFold(v, "false")
}

// Credential returns the stored token and the platform's URL, as far as they are
// set and usable.
func Credential(s *Source) (secret.String, *url.URL) {
	if s.IsSet("oidc-provider-name") {
		return secret.String{}, nil
	}
	v, _, _ := s.find(input("url"))
	u, _ := ParseURL(v)
	token, _, _ := s.find(input("access-token"))
	if strings.ContainsFunc(token, secret.NotInToken) {
		token = ""
	}
	return secret.New(token), u
}
