// Command jfrog-token gives one CI job one JFrog access token that lives as
// long as the job.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/ephemeral-ci/jfrog-token/internal/cli"
)

//go:generate go run ./internal/generate

func main() {
	// net/http logs what a peer sends unasked, a token or a workflow command.
	log.SetOutput(io.Discard)
	// A log that is closed early must not kill us between a token and its
	// state. What is ignored here would be ignored by the command of exec too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGABRT)
	if !signal.Ignored(syscall.SIGHUP) { // by nohup, for us and for what we run
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() { cancel(cli.Interrupted{Signal: <-signals, More: signals}) }()
	if len(os.Args) > 1 && os.Args[1] == "action" {
		// The launcher holds this pipe open: its end is the launcher's death.
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			signals <- syscall.SIGHUP
		}()
	}
	os.Exit(cli.Run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
