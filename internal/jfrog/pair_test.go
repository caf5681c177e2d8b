package jfrog

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// A success without a pairing token may have made one all the same.
func TestPairingTokensThatAreMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"another token", `{"access_token":"x"}`, http.StatusOK},
		{"null", `null`, http.StatusOK},
		{"nothing", "", http.StatusNoContent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			token, lost, err := once(u).Pair(t.Context(), secret.New("b"), "mission-control")
			if !errors.As(err, new(*wire.Error)) || lost != 1 || !token.Access.IsZero() {
				t.Errorf("expected %v, %d to be %q", err, lost, "an error, and an unknown outcome")
			}
		})
	}
}
