package jfrog

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// What responds with a page, or with more than a line, is not what was asked.
func TestServiceID(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"jfrt@01c9": "jfrt@01c9", " jfrt@01c9\n": "jfrt@01c9", "a\xff": "a\uFFFD",
		"<html><head></head></html>": "", strings.Repeat("x", maxPlain+1): "",
	} {
		var got, accept string
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			got, accept = r.Method+" "+r.RequestURI+" "+r.Header.Get("Authorization"), r.Header.Get("Accept")
			_, _ = io.WriteString(w, body)
		})
		if id, err := once(u).ServiceID(t.Context(), secret.New("b")); id != want || (err == nil) != (want != "") {
			t.Errorf("%q: expected %q, %v to be %q", body, id, err, want)
		}
		if got != "GET /artifactory/api/system/service_id Bearer b" || accept != "*/*" {
			t.Errorf("expected another request than %q, which accepts %q", got, accept)
		}
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	var authorization string
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
		w.Header().Set("Date", "Tue, 24 Nov 2026 14:00:00 GMT")
		_, _ = io.WriteString(w, "OK")
	})
	p, err := once(u).Ping(t.Context())
	if want := time.Date(2026, 11, 24, 14, 0, 0, 0, time.UTC); err != nil || !p.Date.Equal(want) || p.TLS.Version != 0 {
		t.Errorf("expected %v, %v to be of %v", p.Date, err, want)
	}
	if authorization != "" {
		t.Errorf("a ping has a credential")
	}
}
