package main

import (
	"context"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/e2e"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// options describes the demo's site. Everything is plain HTTP on loopback, which every client here takes.
func options() e2e.Options {
	return e2e.Options{
		Network: e2e.Network{Plain: true},
		JFrog: jfrogtest.Config{
			SelfRevocableStored: true, SelfRevocableExt: true,
			Tokens: []jfrogtest.StoredToken{{User: "ci-bot", Description: "a stored token, for stored mode"}},
			Providers: []jfrogtest.Provider{{Name: "github", Mappings: []jfrogtest.Mapping{
				mapping("ci", 0, jfrogtest.TokenSpec{Username: "ci-bot", Scope: "applied-permissions/user", SelfRevocable: true}),
				mapping("plain", 1, jfrogtest.TokenSpec{Username: "ci-bot", Scope: "applied-permissions/user"}),
				mapping("groups", 2, jfrogtest.TokenSpec{Scope: "applied-permissions/groups:readers"}),
			}}},
		},
	}
}

// mapping is one for jobs of acme/app. The first one counts, unless identity-mapping-name names another.
func mapping(name string, priority int, spec jfrogtest.TokenSpec) jfrogtest.Mapping {
	spec.ExpiresIn = 600
	return jfrogtest.Mapping{Name: name, Priority: priority, Claims: map[string]any{"repository": "acme/app"}, TokenSpec: spec}
}

// serve keeps the platform running until ctx ends. What it prints first can be read by a shell.
func serve(ctx context.Context, addr string) error {
	o := options()
	o.Addr = addr
	s, err := e2e.NewSite(o)
	if err != nil {
		return err
	}
	defer s.Close()
	say("JF_URL=%s", s.Platform.URL())
	say("JF_ACCESS_TOKEN=%s", s.Platform.Stored(0))
	say("ACTIONS_ID_TOKEN_REQUEST_URL=%s", s.Issuer.RequestURL())
	say("ACTIONS_ID_TOKEN_REQUEST_TOKEN=%s", s.Issuer.RequestToken())
	say("LEDGER_URL=%s/ledger", s.Platform.URL())
	say("ready")
	say("%s", strings.TrimSpace(`
# An embedded JFrog Platform, until Ctrl-C. The tokens above are worth nothing
# anywhere else. OIDC mode: oidc-provider-name github, identity-mapping-name ci
# (whose exchanged token its bearer can revoke), plain (nobody can) or groups (it
# names no user). Stored mode: access-token is JF_ACCESS_TOKEN. LEDGER_URL lists
# the tokens alive. Try it by hand:
#   curl -H "Authorization: Bearer $JF_ACCESS_TOKEN" $JF_URL/access/api/v1/tokens/me`))
	<-ctx.Done()
	return nil
}
