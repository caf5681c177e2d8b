package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
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

// server is what -serve and its flags ask for.
type server struct {
	addr, ciAddr, config string
	tls                  bool
}

// named is a stored token of a platform without settings, and the variables that show it.
type named struct {
	variable, refreshVariable string
	token                     jfrogtest.StoredToken
}

var storedTokens = []named{
	{"JF_ACCESS_TOKEN", "", jfrogtest.StoredToken{User: "ci-bot", Description: "a stored token, for stored mode"}},
	{"JF_ADMIN_TOKEN", "", jfrogtest.StoredToken{User: "admin", Scope: "applied-permissions/admin"}},
	{"JF_REFERENCE_TOKEN", "", jfrogtest.StoredToken{User: "ci-bot", Kind: "reference"}},
	{"JF_REFRESHABLE_TOKEN", "JF_REFRESH_TOKEN",
		jfrogtest.StoredToken{User: "ci-bot", ExpiresIn: 3600, Refreshable: true}},
	{"JF_EXPIRED_TOKEN", "", jfrogtest.StoredToken{User: "ci-bot", ExpiresIn: -60, Age: 3600}},
}

// site describes what is served, and names its stored tokens. What the file of settings leaves out is as without one.
func (s server) site() (e2e.Options, []named, error) {
	o, tokens := options(), storedTokens
	o.JFrog.RefreshGrace = 24 * 60 * 60 // JFrog's CLI refreshes tokens that have expired
	if s.config != "" {
		text, err := os.ReadFile(s.config)
		if err != nil {
			return o, nil, err
		}
		providers := o.JFrog.Providers
		if o.JFrog, err = jfrogtest.DecodeConfig(text); err != nil {
			return o, nil, fmt.Errorf("%s: %w", s.config, err)
		}
		if o.JFrog.Providers == nil {
			o.JFrog.Providers = providers
		}
	}
	if o.JFrog.Tokens != nil {
		tokens = nil
		for i, t := range o.JFrog.Tokens {
			tokens = append(tokens, named{fmt.Sprint("TOKEN_", i), fmt.Sprint("REFRESH_TOKEN_", i), t})
		}
	} else {
		for _, t := range tokens {
			o.JFrog.Tokens = append(o.JFrog.Tokens, t.token)
		}
	}
	host, _, err := net.SplitHostPort(s.addr)
	o.Network = e2e.Network{Plain: !s.tls, Names: []string{"127.0.0.1", "::1", "localhost", host}}
	o.Addr, o.CIAddr, o.Log = s.addr, s.ciAddr, os.Stderr
	return o, tokens, err
}

// run keeps the platform running until ctx ends. The lines that it prints first, NAME=value, can be read by a shell.
func (s server) run(ctx context.Context) error {
	o, tokens, err := s.site()
	if err != nil {
		return err
	}
	site, err := e2e.NewSite(o)
	if err != nil {
		return err
	}
	defer site.Close()
	say("JF_URL=%s", site.Platform.URL())
	for i, t := range tokens {
		if i == 0 {
			say("JF_USER=%s", t.token.User)
			if t.variable != "JF_ACCESS_TOKEN" {
				say("JF_ACCESS_TOKEN=%s", site.Platform.Stored(i))
			}
		}
		say("%s=%s", t.variable, site.Platform.Stored(i))
		if t.token.Refreshable {
			say("%s=%s", t.refreshVariable, site.Platform.StoredRefresh(i))
		}
	}
	say("ACTIONS_ID_TOKEN_REQUEST_URL=%s", site.Issuer.RequestURL())
	say("ACTIONS_ID_TOKEN_REQUEST_TOKEN=%s", site.Issuer.RequestToken())
	say("LEDGER_URL=%s/ledger", site.Platform.URL())
	if s.tls {
		dir, err := os.MkdirTemp("", "jfrog-token-demo")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "ca.pem")
		if err := os.WriteFile(file, site.CA(), 0o600); err != nil {
			return err
		}
		say("CA_CERT_FILE=%s", file)
	}
	say("ready")
	say("%s", strings.TrimSpace(`
# An embedded JFrog Platform, until Ctrl-C. The tokens above are worth nothing
# anywhere else. OIDC mode: oidc-provider-name github, identity-mapping-name ci
# (whose exchanged token its bearer can revoke), plain (nobody can) or groups (it
# names no user). Stored mode: access-token is JF_ACCESS_TOKEN. LEDGER_URL lists
# the tokens alive. Each request is a line on standard error. Try it by hand:
#   curl -H "Authorization: Bearer $JF_ACCESS_TOKEN" $JF_URL/access/api/v1/tokens/me
#   curl -u "$JF_USER:$JF_ACCESS_TOKEN" $JF_URL/artifactory/api/repositories`))
	<-ctx.Done()
	return nil
}
