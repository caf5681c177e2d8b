package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// requestLog writes a line for each request: its method, its path and the status, never a query, a header or a body.
type requestLog struct {
	mu   sync.Mutex
	to   io.Writer
	site *Site
}

func (l *requestLog) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := "-" // no response was written
		write := sync.OnceFunc(func() {
			path := r.URL.EscapedPath()
			for _, secret := range l.site.Secrets() {
				path = strings.ReplaceAll(path, secret.Value, "***")
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			fmt.Fprintln(l.to, r.Method, path, status)
		})
		defer write() // also when the handler cuts the connection
		h.ServeHTTP(logged{w, func(code int) { status = fmt.Sprint(code); write() }}, r)
	})
}

// logged reports the status before the client can know it.
type logged struct {
	http.ResponseWriter
	report func(status int)
}

func (l logged) WriteHeader(status int) {
	l.report(status)
	l.ResponseWriter.WriteHeader(status)
}

func (l logged) Write(p []byte) (int, error) {
	l.report(http.StatusOK) // which counts unless there was a WriteHeader
	return l.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (l logged) Unwrap() http.ResponseWriter { return l.ResponseWriter }
