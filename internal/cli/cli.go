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
	name, words, help string
	run               func(*run, context.Context) error
}

func commands() []command {
	return []command{
		{"mint", "", "gets a token, masks it, saves what revoke needs, hands it on", (*run).mint},
		{"exec", "-- COMMAND", "mints, runs the command with the token, then revokes", (*run).exec},
		{"revoke", "[ID...]", "revokes what mint of the same job saved, or the tokens named", (*run).revoke},
		{"check", "", "says whether mint would work, and what to change if not", (*run).check},
		{"list", "", "shows the tokens that the credential may see", (*run).list},
		{"sweep", "", "revokes tokens that canceled jobs left behind", (*run).sweep},
		{"version", "", "shows the version", (*run).version},
		{"help", "[COMMAND]", "shows this text, or the inputs of a command", (*run).help},
	}
}

// run is one run of the program.
type run struct {
	ci     ci.Platform
	inputs *config.Source
	words  []string  // of the command line, after the command
	out    io.Writer // standard output
	err    io.Writer // standard error
	action bool      // started by the action's launcher
	post   bool      // as its post step
}

// Interrupted is the cause of a context that a signal canceled.
type Interrupted struct {
	Signal os.Signal
	More   <-chan os.Signal // those that come after it
}

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
	r := &run{out: stdout, err: stderr, post: slices.Equal(args, []string{"action", "post"})}
	r.action = r.post || slices.Equal(args, []string{"action", "main"})
	var line config.Args
	var err error
	if !r.action {
		line, err = config.ParseArgs(args)
	}
	r.inputs = config.NewSource(environ, line.Flags)
	start := ci.Command
	switch {
	case r.post:
		start = ci.Post
	case r.action:
		start = ci.Main
	}
	r.ci = ci.Detect(r.inputs.Getenv, stdout, stderr, start)
	r.inputs.Prefixes, r.inputs.Shared = r.ci.Prefixes()
	r.inputs.Variable = r.ci.Variable
	if err == nil {
		err = r.do(ctx, line)
	}
	if err == nil {
		return 0
	}
	var exited exited
	if errors.As(err, &exited) {
		return int(exited)
	}
	r.sayError(err)
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

// do runs the command.
func (r *run) do(ctx context.Context, line config.Args) error {
	envFile, stateDir := config.Files(r.inputs)
	r.ci.Use(ci.Places{EnvFile: envFile, StateDir: stateDir})
	if r.post {
		return r.revokeSaved(ctx)
	}
	if r.action {
		_ = r.ci.Drop("") // whatever becomes of main, post finds a state of this step
	}
	name, err := r.named(line)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(commands(), func(c command) bool { return c.name == name })
	if n < 0 {
		// Not quoted: a credential that was put on the command line by mistake
		// would stand in the log.
		return problem("unknown command; jfrog-token help lists all")
	}
	c := commands()[n]
	if len(r.words) > 0 && c.words == "" || len(r.words) > 1 && c.name == "help" {
		return problem(c.name + " takes no arguments but flags, and one command runs at a time")
	}
	if err := line.CheckFlags(c.name); err != nil {
		return err
	}
	return c.run(r, ctx)
}

// named returns the command that the command line names, else the input command.
func (r *run) named(line config.Args) (string, error) {
	if len(line.Words) > 0 {
		r.words = line.Words[1:]
	}
	switch {
	case line.Help:
		r.words = line.Words
		return "help", nil
	case len(line.Words) > 0:
		return line.Words[0], nil
	}
	name, set, err := config.Command(r.inputs)
	if !set && r.ci.Name() == ci.CommandLine {
		fmt.Fprint(r.err, r.usage())
		return "", problem("no command is given") // on a laptop nothing is minted by accident
	}
	return name, err
}

// problem is a command line that is wrong.
func problem(what string) error { return &config.Error{Problems: []string{what}} }

func (r *run) version(context.Context) error {
	fmt.Fprintf(r.out, "jfrog-token %s\n", Version())
	return nil
}

func (r *run) help(context.Context) error {
	if len(r.words) == 0 {
		fmt.Fprint(r.out, r.usage())
		return nil
	}
	for _, c := range commands() {
		if c.name == r.words[0] {
			fmt.Fprint(r.out, r.usageOf(c))
			return nil
		}
	}
	return problem("unknown command; jfrog-token help lists all")
}

// client returns the transport, under our name.
func (r *run) client(o wire.Options) *wire.Client {
	o.UserAgent = fmt.Sprintf("jfrog-token/%s (%s)", Version(), r.ci.Name())
	if r.ci.Debug() {
		o.Trace = r.sayExchange
	}
	return wire.New(o)
}
