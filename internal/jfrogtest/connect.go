package jfrogtest

import (
	"net/http"
	"slices"
)

const connectAPI = "/api/v2/"

// connect answers as JFrog Connect, which is a server of its own elsewhere: its API v2 takes tokens of the platform that
// are an administrator's or of a user's scope. Its refusals are not documented.
// https://docs.connect.jfrog.io/developers/rest-api-v2
func (p *Platform) connect(c *call) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, problem := p.lookup(c.bearer())
	switch {
	case !projectKey.MatchString(c.PathValue("project")):
		return p.noConnect(c)
	case problem != "", !accepts(t.Audience, "jfcon", ""): // jfcon@*: as one that was made on Connect's own page
		return connectRefusal(401)
	case !slices.Contains(t.scopes, userScope) && !slices.Contains(t.scopes, adminScope):
		return connectRefusal(403)
	}
	return jsonAnswer(200, []map[string]string{{"uuid": "d-0001", "name": "edge-1", "project": c.PathValue("project")}})
}

func (p *Platform) noConnect(*call) answer { return connectRefusal(404) }

func connectRefusal(status int) answer {
	return jsonAnswer(status, map[string]string{"message": http.StatusText(status)})
}
