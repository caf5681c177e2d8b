package jfrogtest

import "strings"

// spendPath is where a service that is to be paired spends a pairing token; the token names it in its ext claim.
const spendPath = "/access/api/v1/service_trust/exchange"

// pair issues a pairing token, which lives 5 minutes and is spent by the first pairing:
// https://jfrog.com/help/r/jfrog-rest-apis/create-pairing-token
func (p *Platform) pair(c *call) answer {
	service, useCase, bearer := strings.Split(c.URL.Path, "/")[1], c.PathValue("useCase"), c.token
	switch {
	case !p.cfg.since("7.29.7") || !knownUseCase(service, useCase):
		return p.refuse(404, "NOT_FOUND", "Unknown use case: "+useCase, "")
	case !p.isAdmin(bearer):
		return p.forbidden()
	}
	t := &token{
		Token: Token{
			Kind: "access", User: bearer.User, Subject: p.serviceID + "/users/" + bearer.User,
			Scope: "internal:service-trust/pairing/" + useCase + ":x", Audience: p.issuerOf(service), IssuedAt: p.now(), Parent: bearer.ID,
		},
		lifetime: 300, forced: true,
	}
	p.issue(t)
	a := jsonAnswer(200, map[string]string{"pairing_token": t.access})
	a.stored = true
	return a
}

// issuerOf is the service id of one of the platform's services.
func (p *Platform) issuerOf(service string) string {
	_, id, _ := strings.Cut(p.serviceID, "@")
	return map[string]string{"access": "jfac@", "artifactory": "jfrt@"}[service] + id
}

func isPairing(t *token) bool { return strings.HasPrefix(t.Scope, "internal:service-trust/pairing/") }

func knownUseCase(service, useCase string) bool {
	switch service {
	case "access":
		return useCase == "mission-control"
	case "artifactory":
		return useCase == "federated-repo/*" || useCase == "artifactory-cold" || strings.HasPrefix(useCase, "artifactory-cold/")
	}
	return false
}

// spend pairs a service: the token that it shows is used up.
func (p *Platform) spend(c *call) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, problem := p.lookup(c.bearer())
	if problem != "" || !isPairing(t) {
		return p.refuse(401, "UNAUTHORIZED", "Invalid pairing token", "")
	}
	t.Revoked = true
	return jsonAnswer(200, map[string]string{"paired": "true"})
}
