package ci

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

const jobToken = "job-token-needle"

// onBuildkite returns the platform of a run on Buildkite, and its log.
func onBuildkite(socket, token string) (*workspace, *strings.Builder) {
	var log strings.Builder
	return workspaceOf(map[string]string{
		"BUILDKITE": "true", "BUILDKITE_AGENT_JOB_API_SOCKET": socket, "BUILDKITE_AGENT_JOB_API_TOKEN": token,
	}, io.Discard, &log), &log
}

func TestBuildkiteAgentRedacts(t *testing.T) {
	t.Parallel()
	api, err := runnertest.NewJobAPI(jobToken)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	w, log := onBuildkite(api.Socket, jobToken)
	err = w.Hide(secret.New(`pass"word;]`), secret.New("s3cr3t-s3cr3t"), secret.String{})
	if err != nil || log.Len() > 0 {
		t.Fatalf("expected %v, %q to be %v", err, log, nil)
	}
	for _, text := range []string{`pass"word;]`, `pass\"word;]`, "s3cr3t-s3cr3t"} {
		if got := api.Mask("a " + text); got != "a [REDACTED]" {
			t.Errorf("expected %q to be %q", got, "a [REDACTED]")
		}
	}
	w.Info("the agent's own " + jobToken)
	if strings.Contains(log.String(), "needle") {
		t.Errorf("expected %q to be %q", log, "without the token of the job API")
	}
}

// One request that fails is said, and no reason not to hide what comes later:
// what is minted comes last. An agent that cannot hide is not asked again.
func TestBuildkiteAgentIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int // of the first response; 0 hangs up
		want   []string
	}{
		{"an error", http.StatusInternalServerError, []string{"first-needle", "second-needle", "first-needle", "third-needle"}},
		{"no response", 0, []string{"first-needle", "second-needle", "first-needle", "third-needle"}},
		{"an old agent", http.StatusNotFound, []string{"first-needle"}},
	} {
		dir, err := os.MkdirTemp("", "ci") // a socket's path may have 104 bytes
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		socket := filepath.Join(dir, "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		var mu sync.Mutex
		var asked []string
		go func() {
			_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				var body struct{ Redact string }
				_ = json.NewDecoder(r.Body).Decode(&body)
				asked = append(asked, body.Redact)
				switch {
				case len(asked) > 1:
					w.WriteHeader(http.StatusCreated)
				case c.status == 0:
					panic(http.ErrAbortHandler)
				default:
					w.WriteHeader(c.status)
				}
			}))
		}()
		w, log := onBuildkite(socket, jobToken)
		_ = w.Hide(secret.New("first-needle"), secret.New("second-needle"))
		_ = w.Hide(secret.New("third-needle"))
		mu.Lock()
		if !slices.Equal(asked, c.want) || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("%s: expected %q, %q to be %q", c.name, asked, log, c.want)
		}
		mu.Unlock()
	}
}

// An agent that cannot hide is said once, and no reason to fail: nothing secret
// is printed anyway.
func TestBuildkiteAgentThatCannotRedact(t *testing.T) {
	t.Parallel()
	api, err := runnertest.NewJobAPI("another")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	dir, err := os.MkdirTemp("", "ci") // a socket's path may have 104 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listen := func(name string) (net.Listener, string) {
		path := filepath.Join(dir, name)
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l, path
	}
	serve := func(name string, h http.Handler) string {
		l, path := listen(name)
		go func() { _ = http.Serve(l, h) }()
		return path
	}
	old := serve("old", http.NotFoundHandler())
	away := serve("away", http.RedirectHandler("http://elsewhere.example/needle", http.StatusTemporaryRedirect))
	_, silent := listen("silent")
	for _, c := range []struct{ name, socket, token, says string }{
		{"no job API", "", "", "not set: BUILDKITE_AGENT_JOB_API_SOCKET, BUILDKITE_AGENT_JOB_API_TOKEN"},
		{"no token", api.Socket, "", "not set: BUILDKITE_AGENT_JOB_API_TOKEN"},
		{"a wrong token", api.Socket, jobToken, "HTTP 401"},
		{"an old agent", old, jobToken, "HTTP 404"},
		{"a redirect", away, jobToken, "HTTP 307"},
		{"a silent agent", silent, jobToken, "no response within 2s"},
		{"no socket", filepath.Join(dir, "absent"), jobToken, "connect"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, log := onBuildkite(c.socket, c.token)
			start := time.Now()
			for range 2 {
				if err := w.Hide(secret.New("s3cr3t-s3cr3t-needle")); err != nil {
					t.Errorf("expected %v to be %v", err, nil)
				}
			}
			want := "warning: Buildkite's agent does not hide this job's secrets in the log: " + c.says
			once := strings.HasPrefix(log.String(), want) && strings.Count(log.String(), "\n") == 1
			if !once || time.Since(start) > 10*time.Second {
				t.Errorf("expected %q to be %q", log, want)
			}
		})
	}
}
