package cli

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// The arguments name the tokens; what mint saved is not looked at.
func TestRevokeTakesIDsFromItsArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	forced := jfrogtest.StoredToken{User: "ci-bot", ExpiresIn: 600, ForceRevocable: true}
	p, err := jfrogtest.New(jfrogtest.Config{
		Sequential: true, Tokens: []jfrogtest.StoredToken{{User: "ci-bot"}, forced, forced},
	}, jfrogtest.NewIssuer(jfrogtest.IssuerConfig{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jfrogtest.NewServer(p, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out bytes.Buffer
	revoke := func(ids ...string) error {
		environ := []string{"JFROG_TOKEN_URL=" + s.URL, "JFROG_TOKEN_ACCESS_TOKEN=" + p.Stored(0)}
		r := &run{inputs: config.NewSource(environ, nil), words: ids, out: &out}
		r.ci = ci.Detect(r.inputs.Getenv, &out, &out, ci.Command)
		r.inputs.Prefixes, r.inputs.Shared = r.ci.Prefixes()
		return r.revoke(context.Background())
	}
	sent := func() (paths []string) {
		for _, r := range p.Requests() {
			paths = append(paths, r.Method+" "+strings.TrimPrefix(r.Path, "/access/api/v1/tokens/"))
		}
		return paths
	}

	for _, id := range []string{"", "me", ".", "../../x", p.Stored(0), strings.Repeat("a", 64), "a b", "a\n"} {
		var wrong *config.Error
		if err := revoke("a", id); !errors.As(err, &wrong) || len(id) > 3 && strings.Contains(err.Error(), id) {
			t.Errorf("%q: expected %v to be a wrong input, unquoted", id, err)
		}
	}
	if got := sent(); got != nil {
		t.Errorf("expected %q not to be sent", got)
	}

	err = revoke(p.StoredID(1), p.StoredID(2))
	want := []string{"DELETE " + p.StoredID(1), "DELETE " + p.StoredID(2)}
	if got := sent(); err != nil || !slices.Equal(got, want) {
		t.Errorf("expected %q, %v to be %q", got, err, want)
	}
}
