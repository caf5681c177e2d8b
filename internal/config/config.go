// Package config reads the inputs: where they come from, what is allowed, and
// all that is wrong with them in one go.
package config

import (
	"context"
	"crypto/x509"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// Config is the table of inputs, a field each, and what they amount to. From
// its tags and types come the parsing, the flags, the help, action.yml and the
// README's table:
//
//	env    the name, with '_' for '-', and the default
//	help   what it means, in one or two sentences
//	max    how many characters a text may have, which is sent as it is
//	oneof  the values of a choice
//	or     another variable that is read if the input is not set
//	group  starts a group in the help; for, the commands to which an input
//	       applies, holds until the next one
//	only   "files": of no use to GitHub's runner, and not in action.yml
type Config struct {
	URL                 *url.URL      `env:"URL, noinit" or:"JF_URL" group:"JFrog, and who the job is" for:"mint list sweep revoke" help:"JFrog Platform URL, such as https://acme.jfrog.io. Default: the variable JF_URL."`
	ProviderName        string        `env:"OIDC_PROVIDER_NAME" max:"255" help:"Name of the OIDC integration in JFrog. Turns OIDC mode on."`
	OIDCAudience        string        `env:"OIDC_AUDIENCE" max:"1024" help:"Audience to request for the ID token. Without it, none is requested."`
	IDToken             secret.String `env:"ID_TOKEN" help:"ID token that the CI already issued. GitHub and Forgejo need none."`
	IdentityMappingName string        `env:"IDENTITY_MAPPING_NAME" max:"255" help:"Identity mapping to use. Default: the first that matches."`
	ProjectKey          string        `env:"PROJECT_KEY" help:"JFrog project of the identity mapping or of the token."`
	ApplicationKey      string        `env:"APPLICATION_KEY" max:"255" help:"JFrog application, for the exchange of an ID token."`
	AccessToken         secret.String `env:"ACCESS_TOKEN" help:"Stored identity, access or reference token. Turns stored mode on. Default: the variable JF_ACCESS_TOKEN, which OIDC mode ignores."`
	CACert              string        `env:"CA_CERT" help:"Further trusted root certificates: PEM text of at most 16 KiB, or the path of a PEM file."`

	Scope                 string        `env:"SCOPE" group:"The token" for:"mint" help:"Scope of the token: scope tokens separated by spaces or new lines, such as applied-permissions/user."`
	Groups                string        `env:"GROUPS" help:"Group names, one a line or separated by commas: short for one applied-permissions/groups scope."`
	ExpiresIn             time.Duration `env:"EXPIRES_IN" help:"Lifetime of the token: 15m, 1h30m, 2d, or seconds. Default: 1h in stored mode, the identity mapping's in OIDC mode."`
	Username              string        `env:"USERNAME" max:"255" help:"User to create the token for. Default: the user of the credential."`
	Audience              string        `env:"AUDIENCE" max:"255" help:"JFrog services that accept the token, such as jfrt@* jfac@*. Default: JFrog's, which is all."`
	Description           string        `env:"DESCRIPTION" max:"1002" help:"Description of the token in JFrog. Default: the CI, repository, workflow, run and job. A unique marker is added to it."`
	Refreshable           bool          `env:"REFRESHABLE, default=false" help:"Request a refresh token as well."`
	IncludeReferenceToken bool          `env:"INCLUDE_REFERENCE_TOKEN, default=false" help:"Request a reference token as well: short, for tools that limit the length of a password."`
	ForceRevocable        *bool         `env:"FORCE_REVOCABLE, noinit" help:"Ask JFrog to keep the token revocable although it expires in under 6 hours. Default: true in stored mode, false in OIDC mode."`

	Revoke        bool     `env:"REVOKE, default=true" group:"When the job ends" for:"mint" help:"Revoke the token when the job ends."`
	RevokeFailure string   `env:"REVOKE_FAILURE, default=warn" oneof:"warn fail" help:"What a failed revocation does: warn, or fail the job."`
	TokenIDs      []string `env:"TOKEN_ID" for:"revoke" help:"Ids of tokens to revoke, with url and a credential, instead of what mint saved."`

	Summary  bool   `env:"SUMMARY, default=true" group:"Where results go" for:"mint" help:"GitHub: write the job summary."`
	EnvFile  string `env:"ENV_FILE" for:"mint revoke" help:"File for the variables that the next steps read. Default: env in state-dir." only:"files"`
	StateDir string `env:"STATE_DIR, default=.jfrog-token" help:"Directory for what revoke needs to know." only:"files"`

	Timeout     time.Duration `env:"TIMEOUT, default=2m" group:"Requests" for:"mint list sweep revoke" help:"Limit on the whole command, retries included."`
	MaxAttempts int           `env:"MAX_ATTEMPTS, default=10" max:"100" help:"Attempts for each request, within timeout."`

	DescriptionPrefix string        `env:"DESCRIPTION_PREFIX" group:"Tokens of other jobs" for:"list sweep" help:"How the description of a token begins, in whole words. sweep needs it."`
	OlderThan         time.Duration `env:"OLDER_THAN" for:"sweep" help:"How long ago a token was issued at least, such as 6h. sweep needs it."`
	DryRun            bool          `env:"DRY_RUN, default=false" help:"Say what would be revoked, and revoke nothing."`
	Format            string        `env:"FORMAT, default=table" oneof:"table json" for:"list" help:"How list prints: table, or json."`

	Command string `env:"COMMAND, default=mint" oneof:"mint revoke list sweep" group:"The command" for:"" help:"Command to run if none is given as an argument."`

	Roots    *x509.CertPool // nil: the system's
	Warnings []string
}

// OIDC reports whether an ID token is the proof, not a stored token.
func (c *Config) OIDC() bool { return c.ProviderName != "" }

// Revocable reports whether JFrog is asked to keep the token revocable.
func (c *Config) Revocable() bool {
	if c.ForceRevocable != nil {
		return *c.ForceRevocable
	}
	return !c.OIDC()
}

// Narrows reports whether the exchanged token is used to create another one:
// an exchange itself takes none of these parameters.
func (c *Config) Narrows() bool {
	return c.OIDC() && (c.Scope != "" || c.ExpiresIn != 0 || c.Username != "" || c.Audience != "" ||
		c.Description != "" || c.Refreshable || c.Revocable())
}

// Error is every problem with the inputs, each with the name under which the
// user sets the input, and none with a value that could be secret.
type Error struct {
	Problems []string
	// NoCredential says that one of them is that no credential is set.
	NoCredential bool
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
	i := inputOf("COMMAND")
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
	dir := inputOf("STATE_DIR")
	stateDir, _, ok := s.find(dir)
	if !ok {
		stateDir = dir.Default
	}
	if envFile, _, ok = s.find(inputOf("ENV_FILE")); !ok {
		envFile = filepath.Join(stateDir, "env")
	}
	return envFile, stateDir
}

// Summarizes reports whether the job summary is written, as far as the input is
// usable.
func Summarizes(s *Source) bool {
	v, _, _ := s.find(inputOf("SUMMARY"))
	return !strings.EqualFold(v, "false")
}

// Credential returns the stored token and the platform's URL, as far as they are
// set and usable.
func Credential(s *Source) (secret.String, *url.URL) {
	if _, _, oidc := s.find(inputOf("OIDC_PROVIDER_NAME")); oidc {
		return secret.String{}, nil
	}
	v, _, _ := s.find(inputOf("URL"))
	u, _ := ParseURL(v)
	token, _ := s.stored()
	if strings.ContainsFunc(token, secret.NotInToken) {
		token = ""
	}
	return secret.New(token), u
}
