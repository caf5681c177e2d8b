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
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

func main() {
	addr := flag.String("serve", "", "keep the embedded JFrog running at this address, such as 127.0.0.1:8099")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *addr != "" {
		err = serve(ctx, *addr)
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
	s, err := start("")
	if err != nil {
		return err
	}
	defer s.close()
	say("   %s knows the OIDC integration %q. Its one identity mapping lets jobs of the", s.platform.URL(), "github")
	say("   repository acme/app be the user ci-bot for 10 minutes. No secret is stored in the CI.")

	say("\n2. The step, as it stands in a workflow")
	with := map[string]string{"url": s.platform.URL(), "oidc-provider-name": "github"}
	say("     - id: jfrog\n       uses: ephemeral-ci/jfrog-token@v1\n       with:")
	say("         url: %s\n         oidc-provider-name: github", with["url"])

	binary := filepath.Join(dir, "jfrog-token")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/ephemeral-ci/jfrog-token")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build jfrog-token: %w", err)
	}
	action, err := os.ReadFile("action.yml")
	if err != nil {
		return fmt.Errorf("read action.yml: %w (run the demo from the top of the repository)", err)
	}
	parsed, err := runnertest.ParseAction(action)
	if err != nil {
		return fmt.Errorf("read action.yml: %w", err)
	}
	step := &runnertest.Step{Action: parsed, With: with}
	runner := &runnertest.Runner{Dir: dir, Env: map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/app", "GITHUB_WORKFLOW": "Build",
		"GITHUB_RUN_ID": "1", "GITHUB_RUN_NUMBER": "1", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "publish",
		"ACTIONS_ID_TOKEN_REQUEST_URL": s.issuer.RequestURL(), "ACTIONS_ID_TOKEN_REQUEST_TOKEN": s.issuer.RequestToken(),
		"SYSTEMROOT": os.Getenv("SYSTEMROOT"),
	}}

	say("\n3. Its log, as the runner shows it")
	if err := show(runner.Command(step, binary).Run()); err != nil {
		return err
	}
	token := step.Outputs["token"]
	say("   The runner was told to hide the token before anything else could print it. `echo` of it shows:")
	say("   | %s", runner.Mask("the token is "+token))

	say("\n4. A later step uses ${{ steps.jfrog.outputs.token }}")
	first, err := use(s, token)
	if err != nil {
		return err
	}

	say("\n5. The job ends: the post step, by itself")
	if err := show(runner.Command(step, binary, "revoke").Run()); err != nil {
		return err
	}

	say("\n6. Somebody who kept the token tries it again")
	second, err := use(s, token)
	if err != nil {
		return err
	}
	alive := len(s.platform.Alive())
	say("\nTokens that JFrog would still accept: %d. Requests in all: %d to the CI, %d to JFrog.", alive, countIDTokens(s), countTokens(s))
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
func use(s *site, token string) (int, error) {
	const path = "/artifactory/api/system/version"
	req, err := http.NewRequest(http.MethodGet, s.platform.URL()+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	say("   GET %s: %s", path, res.Status)
	return res.StatusCode, nil
}

func countIDTokens(s *site) int {
	n := 0
	for _, r := range s.issuer.Requests() {
		if r.Path == "/idtoken" {
			n++
		}
	}
	return n
}

func countTokens(s *site) int {
	n := 0
	for _, r := range s.platform.Requests() {
		if strings.HasPrefix(r.Path, "/access/") {
			n++
		}
	}
	return n
}
