package ci

import (
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
)

// A claim is not marked only if no other repository can have its value; what is
// not known is marked.
func TestHolders(t *testing.T) {
	t.Parallel()
	claims := func(sub string) jwt.Claims { return jwt.Claims{"sub": sub, "repository_id": "456"} }
	for _, c := range []struct {
		system *system
		claims jwt.Claims
		name   string
		want   Holders
	}{
		{&gitHub, nil, "ref", Anybody},
		{&gitHub, nil, "head_ref", Anybody},
		{&gitHub, nil, "workflow", Anybody},
		{&gitHub, nil, "environment", Anybody},
		{&gitHub, nil, "actor_id", Anybody},
		{&gitHub, nil, "a claim that comes next year", Anybody},
		{&gitHub, nil, "job_workflow_ref", Callers},
		{&gitHub, nil, "repository", NextOfName},
		{&gitHub, nil, "repository_id", Nobody},
		{&gitHub, nil, "repository_owner_id", Siblings},
		{&gitHub, claims("repo:acme/app:ref:refs/heads/main"), "sub", NextOfName},
		{&gitHub, claims("repo:acme@123/app@456:ref:refs/heads/main"), "sub", Nobody},
		{&gitHub, claims("repo:acme@123/app@456"), "sub", Nobody},
		{&gitHub, claims("repo:acme@123/app@4567:ref:refs/heads/main"), "sub", NextOfName},
		{&gitHub, claims("repo:acme@456/app:ref:refs/heads/main"), "sub", NextOfName},
		{&gitHub, jwt.Claims{"sub": "repo:acme/app@:x"}, "sub", NextOfName},
		{&forgejo, nil, "ref", Anybody},
		{&forgejo, nil, "repository_id", Nobody},
		{&gitLab, nil, "project_id", Nobody},
		{&gitLab, nil, "project_path", NextOfName},
		{&gitLab, nil, "ref_protected", Anybody},
		{&bitbucket, nil, "repositoryUuid", Nobody},
		{&circleCI, nil, "oidc.circleci.com/project-id", Nobody},
		{&circleCI, nil, "aud", Anybody},
		{&buildkite, nil, "pipeline_slug", Anybody},
		{&jenkins, nil, "sub", Anybody},
	} {
		if got := (variant{system: c.system}).Holders(c.claims, c.name); got != c.want {
			t.Errorf("%s, %s of %v: expected %d to be %d", c.system.name, c.name, c.claims, got, c.want)
		}
	}
}

// The claims that a mapping is to match include one that is the repository's
// alone, if the CI has one.
func TestIdentityIsNotAnybodys(t *testing.T) {
	t.Parallel()
	for _, s := range systems {
		if len(s.identity) == 0 || s == &buildkite { // whose ids are optional claims
			continue
		}
		alone := false
		for _, name := range s.identity {
			alone = alone || s.holders[name] == Nobody
		}
		if !alone {
			t.Errorf("%s: no claim of %q is the repository's alone", s.name, s.identity)
		}
	}
}
