// Package cli has a file for each command, which tells its story in the order
// in which things happen.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// version is set by the linker in a release.
var version string

// Version is the release, or what the Go toolchain knows of the build.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// command is one that a person can type.
type command struct {
	name, help string
	run        func(*run, context.Context) error
}

func commands() []command {
	return []command{
		{"mint", "gets a token, masks it, saves what revoke needs, hands it on", (*run).mint},
		{"revoke", "revokes what mint of the same job saved, or the tokens of token-id", (*run).revoke},
		{"list", "shows the tokens that the credential may see", (*run).list},
		{"sweep", "revokes tokens that canceled jobs left behind", (*run).sweep},
		{"version", "shows the version", (*run).version},
		{"help", "shows this text", (*run).help},
	}
}

// run is one run of the program.
type run struct {
	ci     ci.Platform
	getenv func(string) string
	lookup config.Lookuper
	out    io.Writer // standard output
	action bool      // started by the action's launcher
	post   bool      // as its post step
}

// Interrupted is the cause of a context that a signal canceled.
type Interrupted struct{ Signal os.Signal }

func (i Interrupted) Error() string { return "interrupted by " + i.name() }

func (i Interrupted) name() string {
	switch i.Signal {
	case os.Interrupt:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGHUP:
		return "SIGHUP"
	case syscall.SIGQUIT:
		return "SIGQUIT"
	}
	return "a signal"
}

// ExitCode is what a shell makes of the signal.
func (i Interrupted) ExitCode() int {
	if s, ok := i.Signal.(syscall.Signal); ok {
		return 128 + int(s)
	}
	return 1
}

// Run runs the command that args or the input command names, in an environment
// as os.Environ returns it, and returns the exit code: 0, or that of the error,
// which is 1 unless it says otherwise.
func Run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if recover() != nil { // the value may hold anything: it is not printed
			fmt.Fprintln(stderr, "jfrog-token: internal error; please report it with the version and the names of the inputs")
			code = 1
		}
	}()
	env := map[string]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	getenv := func(name string) string { return env[name] }
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	r := &run{getenv: getenv, out: stdout, action: slices.Equal(args, []string{"action", "main"}), post: slices.Equal(args, []string{"action", "post"})}
	r.action = r.action || r.post
	r.ci = ci.Detect(getenv, environ, stdout, stderr, r.action)
	r.lookup = config.NewLookuper(lookup, r.ci.Prefixes()...)
	err := r.do(ctx, args)
	if err == nil {
		return 0
	}
	r.sayError(err)
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

// do runs the command.
func (r *run) do(ctx context.Context, args []string) error {
	if err := r.files(); err != nil {
		return err
	}
	name, err := "", error(nil)
	switch {
	case r.post:
		return r.revokeSaved(ctx)
	case r.action:
		_ = r.ci.Drop("") // whatever becomes of main, post finds a state of this step
		name, err = config.Command(r.lookup)
	case len(args) == 0:
		name, err = config.Command(r.lookup)
	case len(args) > 1:
		err = &config.Error{Problems: []string{"one command at a time; inputs are read from the environment"}}
	default:
		name = strings.TrimLeft(args[0], "-")
	}
	if err != nil {
		return err
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(r, ctx)
		}
	}
	// Not quoted: a credential that was put on the command line by mistake
	// would stand in the log.
	return &config.Error{Problems: []string{"unknown command; see jfrog-token help"}}
}

// files says where files go on this CI.
func (r *run) files() error {
	envFile, stateDir, err := config.Files(r.lookup)
	r.ci.Use(ci.Places{EnvFile: envFile, StateDir: stateDir})
	return err
}

func (r *run) version(context.Context) error {
	fmt.Fprintf(r.out, "jfrog-token %s\n", Version())
	return nil
}

func (r *run) help(context.Context) error {
	fmt.Fprint(r.out, usage())
	return nil
}

// client returns the transport, under our name.
func (r *run) client(o wire.Options) *wire.Client {
	o.UserAgent = fmt.Sprintf("jfrog-token/%s (%s)", Version(), r.ci.Name())
	if r.ci.Debug() {
		o.Trace = r.sayExchange
	}
	return wire.New(o)
}
