package jfrogtest

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// legacyCreate is the token API that Artifactory had before Access: a form, an hour unless asked for more, no token id.
// https://jfrog.com/help/r/jfrog-rest-apis/create-token-deprecated
func (p *Platform) legacyCreate(c *call) answer {
	refuse := func(status int, message string) answer {
		return jsonAnswer(status, map[string]string{"error": "invalid_request", "error_description": message})
	}
	req, err := parseForm(string(c.body))
	if err != nil {
		return refuse(400, err.Error())
	}
	if req.GrantType == "refresh_token" {
		return withoutID(p.refresh(c.token, req))
	}
	req.Scope = legacyScope(req.Scope)
	if req.ExpiresIn == nil {
		req.ExpiresIn = new(3600)
	}
	t, refused := p.grant(c.token, req)
	if refused != nil {
		return refuse(refused.status, refused.message)
	}
	return withoutID(p.created(t))
}

func withoutID(a answer) answer {
	a.body = edit(a.body, Fault{Drop: []string{"token_id"}}, nil)
	return a
}

// legacyScope translates a scope of the older API.
func legacyScope(scope string) string {
	var tokens []string
	for _, s := range strings.Fields(scope) {
		groups, isGroups := strings.CutPrefix(s, "member-of-groups:")
		switch {
		case s == "api:*":
		case strings.HasPrefix(s, "jfrt@") && strings.HasSuffix(s, ":admin"):
			tokens = append(tokens, adminScope)
		case isGroups && groups != "*":
			tokens = append(tokens, groupsPrefix+groups)
		case !isGroups:
			tokens = append(tokens, s)
		}
	}
	return cmp.Or(strings.Join(tokens, " "), userScope)
}

// https://jfrog.com/help/r/jfrog-rest-apis/get-tokens-deprecated
func (p *Platform) legacyList(c *call) answer {
	if !p.isAdmin(c.token) {
		return artifactoryError(403, "Forbidden")
	}
	return p.list(c)
}

// legacyRevoke succeeds whether there was such a token or not.
func (p *Platform) legacyRevoke(c *call) answer {
	if !p.isAdmin(c.token) {
		return artifactoryError(403, "Forbidden")
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil || form.Get("token") == "" && form.Get("token_id") == "" {
		return artifactoryError(400, "token or token_id is required")
	}
	i := slices.IndexFunc(p.tokens, func(t *token) bool {
		return t.Persisted && t.Revocable && (t.ID == form.Get("token_id") || t.access == form.Get("token"))
	})
	if i < 0 {
		return textAnswer(200, "Token not found")
	}
	p.tokens[i].Revoked = true
	a := textAnswer(200, "Token revoked")
	a.stored = true
	return a
}
