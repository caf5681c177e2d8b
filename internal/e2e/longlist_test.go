package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// many is how many tokens the platform of big has, beside the one that sees them.
const many = 100_000

// big is a site whose platform has many tokens, of jobs that were canceled long ago.
func big(tb testing.TB, config jfrogtest.Config, n int) *Site {
	tb.Helper()
	config.Tokens = []jfrogtest.StoredToken{{User: "admin", Scope: "applied-permissions/admin"}}
	config.Many = jfrogtest.ManyTokens{Count: n, StoredToken: jfrogtest.StoredToken{
		User: "ci-bot", Age: 40_000, ExpiresIn: 36_000,
		Description: "GitHub acme/app Build and test run 4711 attempt 1 job integration [jt-AAAAAAAAAAAAAAAA]",
	}}
	site, err := NewSite(Options{JFrog: config, Dir: tb.TempDir(), Action: action, Binary: binary})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(site.Close)
	return site
}

// onCommandLine prepares the program with inputs, and with the stored token, where there is no CI.
func onCommandLine(s *Site, with map[string]string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = s.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "JFROG_TOKEN_ACCESS_TOKEN=" + s.Platform.Stored(0)}
	for name, value := range quick {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	inputs := s.Inputs()
	maps.Copy(inputs, with)
	for name, value := range inputs {
		cmd.Env = append(cmd.Env, naming["plain"](name)+"="+value)
	}
	return cmd
}

// sweeps are the inputs of a sweep that takes all tokens of big.
func sweeps(dryRun string) map[string]string {
	return map[string]string{
		"description-prefix": "GitHub acme/app", "older-than": "6h", "dry-run": dryRun, "timeout": "10m",
	}
}

// TestLongLists: what list and sweep say of more tokens than a page has, and when a list is cut.
func TestLongLists(t *testing.T) {
	t.Parallel()
	const long, short = 2*jfrog.PageSize + 500, 500
	unordered := fmt.Sprintf("JFrog did not list the newest tokens first: they are in that order only within each %d", jfrog.PageSize)
	truncate := jfrogtest.Fault{On: "list", Kind: "truncate", Times: 1}
	cut := fmt.Sprintf("list was cut after %d tokens: GET ", jfrog.PageSize)
	for _, c := range []struct {
		name     string
		config   jfrogtest.Config
		tokens   int
		with     map[string]string
		args     string
		code     int
		lines    int // on standard output
		messages []string
		sent     int
		alive    int
	}{
		{"a list", jfrogtest.Config{}, long, nil, "list", 0, long + 2, nil, 1, long},
		{"a list from the oldest", jfrogtest.Config{IgnoreOrder: true}, long, nil, "list", 0, long + 2, []string{unordered}, 1, long},
		{"a short list from the oldest", jfrogtest.Config{IgnoreOrder: true}, short, nil, "list", 0, short + 2, nil, 1, short},
		{"a list that is cut before the first page", jfrogtest.Config{Faults: []jfrogtest.Fault{truncate}}, short, nil, "list", 0, short + 2,
			[]string{"list tokens: attempt 1 of 10 failed: connection closed before the whole response arrived; retrying in "}, 2, short},
		{"a list that is cut after the first page", jfrogtest.Config{Faults: []jfrogtest.Fault{truncate}}, long, nil, "list", 1, jfrog.PageSize + 1,
			[]string{cut}, 1, long},
		{"JSON that is cut", jfrogtest.Config{Faults: []jfrogtest.Fault{truncate}}, long, map[string]string{"format": "json"}, "list", 1, -1,
			[]string{cut}, 1, long},
		{"a dry run that is cut", jfrogtest.Config{Faults: []jfrogtest.Fault{truncate}}, long, sweeps("true"), "sweep", 1, 0,
			[]string{cut, fmt.Sprintf("sweep, dry run: %d tokens would be revoked", jfrog.PageSize)}, 1, long},
		// A page is revoked, and the rest listed again, until nothing is left.
		{"a sweep", jfrogtest.Config{}, long, sweeps("false"), "sweep", 0, 0,
			[]string{fmt.Sprintf("sweep: %d tokens revoked, 0 already gone, 0 not revocable, 0 failed", long)}, long + 4, 0},
		{"a sweep of a list that is cut after the first page", jfrogtest.Config{Faults: []jfrogtest.Fault{truncate}}, long, sweeps("false"), "sweep", 0, 0,
			[]string{fmt.Sprintf("sweep: %d tokens revoked, 0 already gone, 0 not revocable, 0 failed", long)}, long + 4, 0},
		// What JFrog does not revoke is tried once.
		{"a sweep of what is not revocable", jfrogtest.Config{RevocableThreshold: new(-1)}, long, sweeps("false"), "sweep", 0, 0,
			[]string{fmt.Sprintf("sweep: 0 tokens revoked, 0 already gone, %d not revocable, 0 failed", long)}, long + 3, long},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			site := big(t, c.config, c.tokens)
			cmd := onCommandLine(site, c.with, c.args)
			var out, messages strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &messages
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			said := messages.String()
			if cmd.ProcessState.ExitCode() != c.code {
				t.Errorf("expected exit code %d to be %d: %.2000s", cmd.ProcessState.ExitCode(), c.code, said)
			}
			if got := strings.Count(out.String(), "\n"); c.lines >= 0 && got != c.lines {
				t.Errorf("expected %d lines to be %d", got, c.lines)
			}
			if c.code != 0 && json.Valid([]byte(out.String())) {
				t.Error("what was cut is JSON")
			}
			for _, m := range c.messages {
				if !strings.Contains(said, m) {
					t.Errorf("expected %q in %.2000s", m, said)
				}
			}
			if c.messages == nil && strings.Contains(said, unordered) {
				t.Errorf("expected no order to be missed: %s", said)
			}
			if _, sent := site.Sent(); len(sent) != c.sent {
				t.Errorf("expected %d requests to be %d", len(sent), c.sent)
			}
			if alive := len(site.Platform.Alive()); alive != c.alive {
				t.Errorf("expected %d tokens alive to be %d", alive, c.alive)
			}
		})
	}
}
