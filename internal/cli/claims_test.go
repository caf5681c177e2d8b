package cli

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
)

// A mapping with no claims lets anyone in: none is printed for want of a claim.
func TestMappingToPaste(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name   string
		ci     string // a variable by which it is known
		claims jwt.Claims
		want   string
	}{
		{"the claims of the CI", "GITLAB_CI=true", jwt.Claims{"project_path": "acme/app", "project_id": "7", "namespace_id": "3", "sub": "x"},
			`{"namespace_id":"3","project_id":"7","project_path":"acme/app"}`},
		{"those of them that are there", "GITLAB_CI=true", jwt.Claims{"project_id": "7", "sub": "x"}, `{"project_id":"7"}`},
		{"sub, if there is none of them", "GITLAB_CI=true", jwt.Claims{"sub": "x"}, `{"sub":"x"}`},
		{"a long sub, whole", "X=y", jwt.Claims{"sub": long}, `{"sub":"` + long + `"}`},
		{"nothing", "X=y", jwt.Claims{"aud": "x"}, ""},
		{"a sub that is no text", "X=y", jwt.Claims{"sub": 7.0}, ""},
		{"more than a line can show", "X=y", jwt.Claims{"sub": strings.Repeat("x", 3000)}, ""},
	} {
		environ := []string{c.ci}
		r := &run{inputs: config.NewSource(environ, nil)}
		r.ci = ci.Detect(r.inputs.Getenv, nil, nil, ci.Command)
		if got := (&job{run: r}).mapping(c.claims); got != c.want {
			t.Errorf("%s: expected %q to be %q", c.name, got, c.want)
		}
	}
}

// What is new with each token, somebody's address or a token is not shown, and
// what is shown is cut.
func TestClaimLines(t *testing.T) {
	t.Parallel()
	token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"a":"b"}`)) + ".c2ln"
	c := jwt.Claims{
		"jti": "1", "exp": 2.0, "iat": 3.0, "run_id": "4", "user_email": "me@acme.test", "nested": map[string]any{"email": "me@acme.test"},
		"token": token, "empty": "", "null": nil, "list": []any{"a", "b"}, "long": strings.Repeat("é", 300), "number": 7.0, "sub": "repo:acme/app",
	}
	got := strings.Join(claimLines(c), "\n")
	want := "  list: [\"a\",\"b\"]\n  long: " + strings.Repeat("é", maxClaim) + "…\n  number: 7\n  sub: repo:acme/app"
	if got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
	for n := range 1000 {
		c[strings.Repeat("a", n+1)] = "x"
	}
	if got := len(claimLines(c)); got != maxClaims {
		t.Errorf("expected %d to be %d", got, maxClaims)
	}
}

// A www. of whatever case would be a link.
func TestMarkdownMakesNoLink(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"www.evil.test", "WWW.evil.test", "a wWw.evil.test"} {
		if got := markdown(s); strings.Contains(strings.ToLower(got), "www.") || !strings.Contains(got, "&#46;evil.test") {
			t.Errorf("%q: expected %q to be no link", s, got)
		}
	}
}
