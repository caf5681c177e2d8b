// Command demo shows the whole life of a token in one minute: the real binary,
// run as GitHub's runner runs an action, against an embedded JFrog Platform.
// With -serve ADDR it keeps that platform running, for real clients.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/ephemeral-ci/jfrog-token/internal/e2e"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

func main() {
	var server server
	flag.StringVar(&server.addr, "serve", "", "keep the embedded JFrog running at this `address`, such as 127.0.0.1:8099")
	flag.StringVar(&server.ciAddr, "ci", "", "with -serve: the `address` of the CI (a free port unless set)")
	flag.StringVar(&server.config, "config", "", "with -serve: a JSON `file` of settings, as jfrogtest.Config")
	flag.BoolVar(&server.tls, "tls", false, "with -serve: HTTPS; CA_CERT_FILE is printed, its certificate authority")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if server.addr != "" {
		err = server.run(ctx)
	} else {
		err = tour(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// tour is the newcomer's first minute.
func tour(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "jfrog-token-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	say("1. A JFrog Platform and a CI, both on this machine")
	o := options()
	o.Dir, o.Action, o.Binary = dir, "action.yml", filepath.Join(dir, "jfrog-token")
	if runtime.GOOS == "windows" {
		o.Binary += ".exe"
	}
	s, err := e2e.NewSite(o)
	if err != nil {
		return fmt.Errorf("%w (run the demo from the top of the repository)", err)
	}
	defer s.Close()
	say("   %s knows the OIDC integration %q. Its one identity mapping lets jobs of the", s.Platform.URL(), "github")
	say("   repository acme/app be the user ci-bot for 10 minutes. No secret is stored in the CI.")

	say("\n2. The step, as it stands in a workflow")
	s.Step.With["oidc-provider-name"] = "github"
	say("     - id: jfrog\n       uses: ephemeral-ci/jfrog-token@v1\n       with:")
	say("         url: %s\n         oidc-provider-name: github", s.Step.With["url"])

	build := exec.CommandContext(ctx, "go", "build", "-o", o.Binary, "github.com/ephemeral-ci/jfrog-token")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build jfrog-token: %w", err)
	}

	say("\n3. Its log, as the runner shows it")
	if err := show(s.Main().Run()); err != nil {
		return err
	}
	token := s.Step.Outputs["token"]
	say("   The runner was told to hide the token before anything else could print it. `echo` of it shows:")
	say("   | %s", s.Runner.Mask("the token is "+token))

	say("\n4. A later step uses ${{ steps.jfrog.outputs.token }}")
	first, err := use(s, token)
	if err != nil {
		return err
	}

	say("\n5. The job ends: the post step, by itself")
	if err := show(s.Post().Run()); err != nil {
		return err
	}

	say("\n6. Somebody who kept the token tries it again")
	second, err := use(s, token)
	if err != nil {
		return err
	}
	alive := len(s.Platform.Alive())
	ci, jfrog := s.Sent()
	say("\nTokens that JFrog would still accept: %d. Requests in all: %d to the CI, %d to JFrog.", alive, len(ci), len(jfrog))
	if first != http.StatusOK || second != http.StatusUnauthorized || alive != 0 {
		return fmt.Errorf("that is not what should have happened: %d, then %d, and %d tokens alive", first, second, alive)
	}
	return nil
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func show(res *runnertest.Result, err error) error {
	if err != nil {
		return err
	}
	for line := range strings.Lines(res.Log) {
		fmt.Print("   | ", line)
	}
	if res.Err != nil {
		return res.Err
	}
	if res.Code != 0 {
		return fmt.Errorf("jfrog-token ended with exit code %d", res.Code)
	}
	return nil
}

// use sends one request to Artifactory with the token.
func use(s *e2e.Site, token string) (int, error) {
	status, err := s.Use("", token)
	if err != nil {
		return 0, err
	}
	say("   GET %s: %d %s", e2e.VersionPath, status, http.StatusText(status))
	return status, nil
}
