package runnertest

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// JobAPI is the job API of Buildkite's agent, as far as redactions go. It follows
// the agent's source (jobapi/redactions.go, internal/socket/middleware.go), and
// is stricter: it knows no other path.
type JobAPI struct {
	Socket string
	Token  string

	dir      string
	server   *http.Server
	mu       sync.Mutex
	redacted []string
}

// NewJobAPI starts one. Its socket is not below a test's directory, whose path
// may be longer than the 104 bytes that a socket's may have.
func NewJobAPI(token string) (*JobAPI, error) {
	dir, err := os.MkdirTemp("", "job-api")
	if err != nil {
		return nil, err
	}
	j := &JobAPI{Socket: filepath.Join(dir, "1.sock"), Token: token, dir: dir}
	listener, err := net.Listen("unix", j.Socket)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/current-job/v0/redactions", j.create)
	j.server = &http.Server{Handler: j.authorized(mux)}
	go func() { _ = j.server.Serve(listener) }()
	return j, nil
}

// Close stops it.
func (j *JobAPI) Close() {
	_ = j.server.Close()
	_ = os.RemoveAll(j.dir)
}

func (j *JobAPI) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		kind, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
		switch {
		case !found:
			refuse(w, http.StatusUnauthorized, "invalid authorization header: must be in the form `Bearer <token>`")
		case kind != "Bearer":
			refuse(w, http.StatusUnauthorized, "invalid authorization header: type must be Bearer")
		case token != j.Token:
			refuse(w, http.StatusUnauthorized, "invalid authorization token")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (j *JobAPI) create(w http.ResponseWriter, r *http.Request) {
	var payload struct {
		Redact string `json:"redact"`
	}
	if err := json.NewDecoder(r.Body).Decode(&payload); err != nil {
		refuse(w, http.StatusBadRequest, "failed to decode request body: "+err.Error())
		return
	}
	j.mu.Lock()
	j.redacted = append(j.redacted, payload.Redact)
	slices.SortStableFunc(j.redacted, func(a, b string) int { return len(b) - len(a) })
	j.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]string{"redacted": payload.Redact})
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why})
}

// Mask shows text as the job's log would.
func (j *JobAPI) Mask(text string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, v := range j.redacted {
		if v != "" {
			text = strings.ReplaceAll(text, v, "[REDACTED]")
		}
	}
	return text
}
