// Command jfrog-token gives one CI job one JFrog access token that lives as
// long as the job.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	// Mozilla's roots, for an image that has none. Where the system has some,
	// those count alone.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/ephemeral-ci/jfrog-token/internal/app"
)

func main() {
	// A log that is closed early must not kill us between a token and its
	// state.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-signals
		cancel(app.Interrupted{Signal: s})
	}()
	os.Exit(app.Run(ctx, os.Args[1:], os.Environ(), os.Stdout))
}
