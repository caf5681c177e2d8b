package jfrogtest

import (
	"net/http"
	"slices"
	"strings"
)

const connectAPI = "/api/v2/"

// connect answers as JFrog Connect, which is a server of its own elsewhere: its API v2 takes tokens of the platform that
// are an administrator's or of a user's scope. Its refusals are not documented.
// https://docs.connect.jfrog.io/developers/rest-api-v2
func (p *Platform) connect(c *call) answer {
	refuse := func(status int) answer {
		return jsonAnswer(status, map[string]string{"message": http.StatusText(status)})
	}
	project, resource, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, connectAPI), "/")
	if !projectKey.MatchString(project) || resource != "devices" {
		return refuse(404)
	}
	if c.Method != http.MethodGet {
		return refuse(405)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t, problem := p.lookup(c.bearer())
	switch {
	case problem != "", !accepts(t.Audience, "jfcon", ""): // jfcon@*: as one that was made on Connect's own page
		return refuse(401)
	case !slices.Contains(t.scopes, userScope) && !slices.Contains(t.scopes, adminScope):
		return refuse(403)
	}
	return jsonAnswer(200, []map[string]string{{"uuid": "d-0001", "name": "edge-1", "project": project}})
}
