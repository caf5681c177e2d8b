// Package app is the story of each command, and the only place that knows in
// which order things happen.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Exit codes. An interruption gives 128 and the signal's number.
const (
	exitDone    = 0
	exitRefused = 1 // JFrog, the CI or the network refused
	exitInput   = 2 // an input is wrong; nothing was sent
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

// Interrupted is the cause of a context that a signal cancelled.
type Interrupted struct{ Signal os.Signal }

func (i Interrupted) Error() string {
	switch i.Signal {
	case os.Interrupt:
		return "stopped by SIGINT"
	case syscall.SIGHUP:
		return "stopped by SIGHUP"
	}
	return "stopped by SIGTERM"
}

// app is one run of the program.
type app struct {
	ci     ci.Platform
	getenv func(string) string
	lookup config.Lookuper
}

// Run runs the command that args or the input command names, in an environment
// as os.Environ gives it, with its log at out, and gives the exit code.
func Run(ctx context.Context, args, environ []string, out io.Writer) (code int) {
	defer func() {
		if recover() != nil { // the value may hold anything: it is not printed
			fmt.Fprintln(out, "jfrog-token: internal error; please report it with the version and the inputs' names")
			code = exitRefused
		}
	}()
	env := map[string]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	getenv := func(name string) string { return env[name] }
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	platform := ci.Detect(getenv, environ, out)
	a := &app{ci: platform, getenv: getenv, lookup: config.NewLookuper(lookup, platform.Prefixes()...)}

	command, err := a.command(args)
	switch {
	case err != nil:
	case command == "version":
		fmt.Fprintf(out, "jfrog-token %s\n", Version())
		return exitDone
	case command == "help":
		fmt.Fprint(out, usage())
		return exitDone
	case command == "mint":
		err = a.mint(ctx)
	case command == "revoke" && !a.named(args):
		err = a.revoke(ctx)
	case command == "revoke" && a.hasSaved(): // both: a job's own token must not stay behind
		err = a.admin(ctx, command)
		if saved := a.revoke(ctx); err == nil {
			err = saved
		}
	default:
		err = a.admin(ctx, command)
	}
	return a.exit(err)
}

func (a *app) command(args []string) (string, error) {
	switch {
	case len(args) == 0:
		return config.Command(a.lookup)
	case len(args) > 1:
		return "", &config.Error{Problems: []string{"one command at a time; inputs are read from the environment"}}
	}
	switch args[0] {
	case "mint", "revoke", "list", "sweep", "version", "help":
		return args[0], nil
	case "--version", "-v":
		return "version", nil
	case "--help", "-h":
		return "help", nil
	}
	// Not quoted: a credential that was put on the command line by mistake
	// would stand in the log.
	return "", &config.Error{Problems: []string{"unknown command; see jfrog-token help"}}
}

// named reports whether revoke is for the tokens that the input token-id
// names. The post step on GitHub is not: it follows what was saved alone.
func (a *app) named(args []string) bool {
	_, ok := a.lookup.Lookup("TOKEN_ID")
	post := len(args) > 0 && a.onGitHub()
	return ok && !post
}

// hasSaved reports whether mint of the same job left something to revoke.
func (a *app) hasSaved() bool {
	places, err := a.places()
	if err != nil {
		return false
	}
	states, err := a.ci.States(places)
	return err == nil && len(states) > 0
}

// onGitHub is for a runner that speaks GitHub's protocol.
func (a *app) onGitHub() bool { return a.getenv("GITHUB_ACTIONS") == "true" }

// exit tells what failed and gives the exit code.
func (a *app) exit(err error) int {
	if err == nil {
		return exitDone
	}
	a.tell(err)
	var interrupted Interrupted
	var input *config.Error
	switch {
	case errors.As(err, &interrupted):
		if s, ok := interrupted.Signal.(syscall.Signal); ok {
			return 128 + int(s)
		}
		return exitRefused
	case errors.As(err, &input):
		return exitInput
	}
	return exitRefused
}

// client gives the transport, under our name.
func (a *app) client(o wire.Options) *wire.Client {
	o.UserAgent = fmt.Sprintf("jfrog-token/%s (%s)", Version(), a.ci.Name())
	if a.ci.Debug() {
		o.Trace = func(e wire.Exchange) {
			a.ci.Info(fmt.Sprintf("debug: %s %s: %s in %s", e.Method, e.Path, status(e.Status), e.Took.Round(time.Millisecond)))
		}
	}
	return wire.New(o)
}

// cleanup gives the context of what has to be done although ctx may have
// ended: limit in all, and lastWord from the moment a signal cancels ctx. The
// runner kills 7.5 s after the first signal, and a request that was under way
// may have taken wire.Grace of that.
func cleanup(ctx context.Context, limit, lastWord time.Duration) (context.Context, context.CancelFunc) {
	c, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(lastWord, cancel)
		context.AfterFunc(c, func() { t.Stop() })
	})
	return c, func() { stop(); cancel() }
}
