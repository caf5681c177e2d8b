package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// site is a JFrog Platform and a CI.
type site struct {
	platform *jfrogtest.Platform
	issuer   *jfrogtest.Issuer
	servers  []*jfrogtest.Server
}

// start serves the platform at addr, or at a free port where that is empty,
// and the CI's token endpoint at a free port. Both are plain http on loopback,
// which every client here takes.
func start(addr string) (*site, error) {
	s := &site{issuer: jfrogtest.NewIssuer(jfrogtest.IssuerConfig{})}
	var err error
	s.platform, err = jfrogtest.New(jfrogtest.Config{
		SelfRevocableStored: true, SelfRevocableExt: true,
		Tokens: []jfrogtest.StoredToken{{User: "ci-bot", Description: "a stored token, for stored mode"}},
		Providers: []jfrogtest.Provider{{Name: "github", Mappings: []jfrogtest.Mapping{{
			Name: "ci", Claims: map[string]any{"repository": "acme/app"},
			TokenSpec: jfrogtest.TokenSpec{Username: "ci-bot", Scope: "applied-permissions/user", ExpiresIn: 600, SelfRevocable: true},
		}}}},
	}, s.issuer, http.DefaultClient)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.platform)
	mux.HandleFunc("GET /ledger", s.ledger)
	platform, err := jfrogtest.NewServer(mux, addr, nil)
	if err != nil {
		return nil, err
	}
	s.servers = append(s.servers, platform)
	ci, err := jfrogtest.NewServer(s.issuer, "", nil)
	if err != nil {
		s.close()
		return nil, err
	}
	s.servers = append(s.servers, ci)
	s.platform.SetURL(platform.URL)
	s.issuer.SetURL(ci.URL)
	return s, nil
}

func (s *site) close() {
	s.platform.Close()
	s.issuer.Close()
	for _, server := range s.servers {
		server.Close()
	}
}

// ledger lists every token that was issued since the start and would still be
// accepted, which JFrog's own list does not: it leaves out what it does not
// store.
func (s *site) ledger(w http.ResponseWriter, _ *http.Request) {
	type line struct {
		ID        string `json:"id"`
		User      string `json:"user"`
		Scope     string `json:"scope"`
		Expiry    string `json:"expiry"`
		Revocable bool   `json:"revocable"`
	}
	answer := struct {
		Alive []line `json:"alive"`
	}{[]line{}}
	for _, t := range s.platform.Alive() {
		answer.Alive = append(answer.Alive, line{t.ID, t.User, t.Scope, t.Expiry.UTC().Format("2006-01-02T15:04:05Z"), t.Revocable})
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(answer)
}

// serve keeps the platform running until ctx ends. What it prints first can be
// read by a shell.
func serve(ctx context.Context, addr string) error {
	s, err := start(addr)
	if err != nil {
		return err
	}
	defer s.close()
	say("JF_URL=%s", s.platform.URL())
	say("JF_ACCESS_TOKEN=%s", s.platform.Stored(0))
	say("ACTIONS_ID_TOKEN_REQUEST_URL=%s", s.issuer.RequestURL())
	say("ACTIONS_ID_TOKEN_REQUEST_TOKEN=%s", s.issuer.RequestToken())
	say("LEDGER_URL=%s/ledger", s.platform.URL())
	say("ready")
	say("%s", strings.TrimSpace(`
# An embedded JFrog Platform, until Ctrl-C. The tokens above are worth nothing
# anywhere else. OIDC mode: oidc-provider-name github. Stored mode: access-token
# is JF_ACCESS_TOKEN. LEDGER_URL lists the tokens alive. Try it by hand:
#   curl -H "Authorization: Bearer $JF_ACCESS_TOKEN" $JF_URL/access/api/v1/tokens/me`))
	<-ctx.Done()
	return nil
}
