// Package config reads the inputs: where they come from, what is allowed, and
// all that is wrong with them in one go.
package config

import (
	"context"
	"crypto/x509"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// inputs are the inputs as they were written. All are text here: envconfig's
// own conversions quote what they cannot convert, and it may be a secret. The
// help texts stand in action.yml and in the README too, and a test compares
// the three.
type inputs struct {
	URL                   string        `env:"URL" help:"JFrog Platform URL, such as https://acme.jfrog.io. Default: the variable JF_URL."`
	OIDCProviderName      string        `env:"OIDC_PROVIDER_NAME" help:"Name of the OIDC integration in JFrog. Turns OIDC mode on."`
	OIDCAudience          string        `env:"OIDC_AUDIENCE" help:"Audience to ask for in the ID token. Without it none is asked for."`
	IDToken               secret.String `env:"ID_TOKEN" help:"ID token that the CI already handed out. GitHub and Forgejo need none."`
	IdentityMappingName   string        `env:"IDENTITY_MAPPING_NAME" help:"Identity mapping to use."`
	AccessToken           secret.String `env:"ACCESS_TOKEN" help:"Stored identity, access or reference token. Turns stored mode on. Default: the variable JF_ACCESS_TOKEN, which OIDC mode ignores."`
	Scope                 string        `env:"SCOPE" help:"Scopes of the token, separated by spaces or new lines, such as applied-permissions/user."`
	Groups                string        `env:"GROUPS" help:"Group names, one a line or separated by commas: short for one applied-permissions/groups scope."`
	ExpiresIn             string        `env:"EXPIRES_IN" help:"Life of the token: 15m, 1h30m, or seconds. Default: 1h in stored mode, the identity mapping's in OIDC mode."`
	Username              string        `env:"USERNAME" help:"User to create the token for. Default: the user of the credential."`
	Audience              string        `env:"AUDIENCE" help:"JFrog services that accept the token, such as jfrt@* jfac@*. Default: JFrog's, which is all."`
	ProjectKey            string        `env:"PROJECT_KEY" help:"JFrog project of the identity mapping or of the token."`
	ApplicationKey        string        `env:"APPLICATION_KEY" help:"JFrog application, for the exchange of an ID token."`
	Description           string        `env:"DESCRIPTION" help:"Description of the token in JFrog. Default: the CI, repository, workflow, run and job. A unique marker is added to it."`
	Refreshable           string        `env:"REFRESHABLE, default=false" help:"Ask for a refresh token as well."`
	IncludeReferenceToken string        `env:"INCLUDE_REFERENCE_TOKEN, default=false" help:"Ask for a reference token as well: short, for tools that limit the length of a password."`
	ForceRevocable        string        `env:"FORCE_REVOCABLE" help:"Ask JFrog to keep the token revocable although it lives under 6 hours. Default: true in stored mode, false in OIDC mode."`
	Revoke                string        `env:"REVOKE, default=true" help:"Revoke the token when the job ends."`
	RevokeFailure         string        `env:"REVOKE_FAILURE, default=warn" help:"What a failed revocation does: warn, or fail the job."`
	Summary               string        `env:"SUMMARY, default=true" help:"Write the job summary."`
	Timeout               string        `env:"TIMEOUT, default=2m" help:"Bound on the whole of mint, list or sweep, retries included."`
	MaxAttempts           string        `env:"MAX_ATTEMPTS, default=10" help:"Attempts for each request, within timeout."`
	EnvFile               string        `env:"ENV_FILE" help:"File for the variables that the next steps read. Default: env in state-dir." only:"files"`
	StateDir              string        `env:"STATE_DIR, default=.jfrog-token" help:"Folder for what revoke needs to know." only:"files"`
	CACert                string        `env:"CA_CERT" help:"Further trusted root certificates: PEM text, or the path of a PEM file."`
	DescriptionPrefix     string        `env:"DESCRIPTION_PREFIX" help:"For list and sweep: how the description of a token begins. sweep needs it."`
	OlderThan             string        `env:"OLDER_THAN" help:"For sweep: how long ago a token was issued at least, such as 6h. sweep needs it."`
	DryRun                string        `env:"DRY_RUN, default=false" help:"For sweep: say what would be revoked, and revoke nothing."`
	Format                string        `env:"FORMAT, default=table" help:"For list: table, or json."`
	TokenID               string        `env:"TOKEN_ID" help:"For revoke outside of a post step: ids of tokens to revoke, with url and a credential."`
	Command               string        `env:"COMMAND, default=mint" help:"Command to run: mint, revoke, list or sweep."`
}

// Commands are those that the input command may name.
var Commands = []string{"mint", "revoke", "list", "sweep"}

// Config is what the inputs of mint amount to.
type Config struct {
	URL *url.URL // without a trailing slash, /artifactory or /access

	ProviderName        string // OIDC mode where it is set
	OIDCAudience        string
	IDToken             secret.String
	IdentityMappingName string
	AccessToken         secret.String // stored mode where it is set

	Scope                 string        // scope and groups
	ExpiresIn             time.Duration // zero: not given
	Username              string
	Audience              string
	ProjectKey            string
	ApplicationKey        string
	Description           string
	Refreshable           bool
	IncludeReferenceToken bool
	ForceRevocable        bool

	Revoke        bool
	RevokeFailure string // "warn" or "fail"
	Summary       bool
	Timeout       time.Duration
	MaxAttempts   int
	CACert        string         // PEM text, or an absolute path
	Roots         *x509.CertPool // nil: the system's

	EnvFile  string
	StateDir string

	DescriptionPrefix string        // of list and sweep
	OlderThan         time.Duration // of sweep
	DryRun            bool          // of sweep
	Format            string        // of list: "table" or "json"
	TokenIDs          []string      // of revoke

	Warnings []string
}

// OIDC reports whether an ID token is the proof, not a stored token.
func (c *Config) OIDC() bool { return c.ProviderName != "" }

// Narrows reports whether the exchanged token is used to create another one:
// an exchange itself takes none of these wishes.
func (c *Config) Narrows() bool {
	return c.OIDC() && (c.Scope != "" || c.ExpiresIn != 0 || c.Username != "" || c.Audience != "" ||
		c.Description != "" || c.Refreshable || c.ForceRevocable)
}

// Error is every problem with the inputs, each with the input's name and none
// with a value that could be secret.
type Error struct{ Problems []string }

func (e *Error) Error() string { return strings.Join(e.Problems, "; ") }

// ExitCode says that nothing was sent.
func (e *Error) ExitCode() int { return 2 }

// Limits of JFrog's API, in characters:
// https://jfrog.com/help/r/jfrog-rest-apis/create-token
const (
	maxScope       = 500
	maxUsername    = 255
	maxAudience    = 255
	MaxDescription = 1024
)

// MarkerLength is how much of a description the marker takes that tells one
// mint from all others, in characters.
const MarkerLength = 22

var (
	projectKey = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)
	tokenID    = regexp.MustCompile(`^[0-9A-Za-z-]+$`)
)

func read(lookup Lookuper) (in inputs, err error) {
	if err := envconfig.ProcessWith(context.Background(), &envconfig.Config{Target: &in, Lookuper: lookup}); err != nil {
		return in, &Error{[]string{"inputs cannot be read"}} // its text could quote one
	}
	if in.EnvFile == "" {
		in.EnvFile = filepath.Join(in.StateDir, "env")
	}
	return in, nil
}

// Credential returns the stored token and the platform's URL, as far as they are
// set and usable.
func Credential(lookup Lookuper) (secret.String, *url.URL) {
	in, err := read(lookup)
	if err != nil || in.OIDCProviderName != "" {
		return secret.String{}, nil
	}
	if v, ok := lookup.Env("JF_ACCESS_TOKEN"); ok && in.AccessToken.IsZero() {
		in.AccessToken = secret.New(v)
	}
	u, _ := ParseURL(in.URL)
	if strings.ContainsFunc(in.AccessToken.Reveal(), secret.NotInToken) {
		return secret.String{}, u
	}
	return in.AccessToken, u
}

// Files returns env-file and state-dir. The error is an *Error.
func Files(lookup Lookuper) (envFile, stateDir string, err error) {
	in, err := read(lookup)
	return in.EnvFile, in.StateDir, err
}

// Load reads and checks the inputs of a command. The error is an *Error.
func Load(lookup Lookuper, command string) (*Config, error) {
	in, err := read(lookup)
	if err != nil {
		return nil, err
	}
	r := &reader{c: &Config{
		ProviderName: in.OIDCProviderName, OIDCAudience: in.OIDCAudience, IdentityMappingName: in.IdentityMappingName,
		IDToken: in.IDToken, AccessToken: in.AccessToken, Username: in.Username, Audience: in.Audience,
		ProjectKey: in.ProjectKey, ApplicationKey: in.ApplicationKey, Description: in.Description,
		RevokeFailure: in.RevokeFailure, EnvFile: in.EnvFile, StateDir: in.StateDir, DescriptionPrefix: in.DescriptionPrefix, Format: in.Format,
	}}
	c := r.c
	c.URL = r.url("url", in.URL)
	r.credential(lookup)

	c.Scope = r.scope(in.Scope, in.Groups)
	c.ExpiresIn = r.duration("expires-in", in.ExpiresIn)
	if c.ExpiresIn%time.Second != 0 {
		r.problem("expires-in", "must be whole seconds")
	}
	if c.ExpiresIn > 24*time.Hour {
		r.warn("expires-in is more than 24 hours: a credential for one job rarely needs that")
	}
	r.text("username", c.Username, maxUsername)
	r.text("audience", c.Audience, maxAudience)
	r.text("description", c.Description, MaxDescription-MarkerLength)
	if c.ProjectKey != "" && !projectKey.MatchString(c.ProjectKey) {
		r.problem("project-key", "must be 2 to 32 of a-z, 0-9 and -, the first a letter")
	}
	c.Refreshable = r.boolean("refreshable", in.Refreshable)
	c.IncludeReferenceToken = r.boolean("include-reference-token", in.IncludeReferenceToken)
	if c.ForceRevocable = !c.OIDC(); in.ForceRevocable != "" {
		c.ForceRevocable = r.boolean("force-revocable", in.ForceRevocable)
	}
	c.Revoke = r.boolean("revoke", in.Revoke)
	c.Summary = r.boolean("summary", in.Summary)
	if c.RevokeFailure != "warn" && c.RevokeFailure != "fail" {
		r.problem("revoke-failure", "must be warn or fail")
	}
	if c.Format != "table" && c.Format != "json" {
		r.problem("format", "must be table or json")
	}
	c.Timeout = r.duration("timeout", in.Timeout)
	if c.MaxAttempts, err = strconv.Atoi(in.MaxAttempts); err != nil || c.MaxAttempts < 1 || c.MaxAttempts > 100 {
		r.problem("max-attempts", "must be a number from 1 to 100")
	}
	c.CACert, c.Roots = r.roots(in.CACert)
	c.OlderThan = r.duration("older-than", in.OlderThan)
	c.DryRun = r.boolean("dry-run", in.DryRun)
	c.TokenIDs = strings.FieldsFunc(in.TokenID, func(r rune) bool { return r <= ' ' || r == ',' })
	r.admin(command, in)
	if r.problems != nil {
		return nil, &Error{r.problems}
	}
	return c, nil
}

// Command returns the command that the input names. The error is an *Error.
func Command(lookup Lookuper) (string, error) {
	name, ok := lookup.Lookup("COMMAND")
	if !ok {
		return "mint", nil
	}
	for _, c := range Commands {
		if name == c {
			return name, nil
		}
	}
	return "", &Error{[]string{"command: must be mint, revoke, list or sweep"}}
}

// admin checks what list, sweep and revoke by id need.
func (r *reader) admin(command string, in inputs) {
	c := r.c
	r.text("description-prefix", c.DescriptionPrefix, MaxDescription)
	if strings.Contains(c.DescriptionPrefix, "*") {
		r.problem("description-prefix", "must not hold *, which JFrog takes for a wildcard")
	}
	for _, id := range c.TokenIDs {
		if !tokenID.MatchString(id) || id == "me" {
			r.problem("token-id", "must be ids as JFrog shows them: letters, digits and dashes")
			break
		}
	}
	if command == "sweep" {
		if c.DescriptionPrefix == "" {
			r.problem("description-prefix", "is not set: without it sweep would revoke every token")
		}
		if in.OlderThan == "" {
			r.problem("older-than", "is not set: without it sweep would revoke the tokens of jobs that are running")
		}
	}
}
