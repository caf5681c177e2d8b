package jfrogtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// createRequest has the fields of POST tokens. Unknown ones and empty strings are tolerated.
type createRequest struct {
	GrantType        string `json:"grant_type"`
	Username         string `json:"username"`
	Scope            string `json:"scope"`
	ExpiresIn        *int   `json:"expires_in"`
	Refreshable      bool   `json:"refreshable"`
	RefreshToken     string `json:"refresh_token"`
	Description      string `json:"description"`
	Audience         string `json:"audience"`
	IncludeReference bool   `json:"include_reference_token"`
	ForceRevocable   bool   `json:"force_revocable"`
	ProjectKey       string `json:"project_key"`
}

var (
	errMediaType = errors.New("HTTP 415 Unsupported Media Type")
	errBody      = badRequest("Invalid request body")
)

func parseCreate(c *call) (req createRequest, err error) {
	mediaType, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type"))
	switch mediaType {
	case "application/json":
		return req, jsonError(json.Unmarshal(c.body, &req))
	case "application/x-www-form-urlencoded":
		return parseForm(string(c.body))
	}
	return req, errMediaType
}

// parseForm leaves out force_revocable, as JFrog does, silently:
// https://github.com/jfrog/vault-plugin-secrets-artifactory/issues/50
func parseForm(body string) (createRequest, error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return createRequest{}, errBody
	}
	req := createRequest{
		GrantType:    form.Get("grant_type"),
		Username:     form.Get("username"),
		Scope:        form.Get("scope"),
		RefreshToken: form.Get("refresh_token"),
		Description:  form.Get("description"),
		Audience:     form.Get("audience"),
		ProjectKey:   form.Get("project_key"),
	}
	if s := form.Get("expires_in"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return req, badField("expires_in")
		}
		req.ExpiresIn = &n
	}
	for name, field := range map[string]*bool{
		"refreshable": &req.Refreshable, "include_reference_token": &req.IncludeReference,
	} {
		if s := form.Get(name); s != "" {
			if *field, err = strconv.ParseBool(s); err != nil {
				return req, badField(name)
			}
		}
	}
	return req, nil
}

// badRequest describes what is wrong with a request, as JFrog would.
type badRequest string

func (b badRequest) Error() string { return string(b) }

func badField(name string) error { return badRequest("Invalid value of field: " + name) }

// jsonError describes what the decoder found wrong in other words than Go's.
func jsonError(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return badField(wrong.Field)
	}
	if err != nil {
		return errBody
	}
	return nil
}

var projectKey = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)

// invalid says which limit of the API the request breaks.
func (r *createRequest) invalid() string {
	for _, limit := range []struct {
		name, value string
		max         int
	}{
		{"username", r.Username, 255}, {"scope", r.Scope, 500},
		{"description", r.Description, 1024}, {"audience", r.Audience, 255},
	} {
		if utf8.RuneCountInString(limit.value) > limit.max {
			return fmt.Sprintf("%s must not be longer than %d characters", limit.name, limit.max)
		}
	}
	if r.ExpiresIn != nil && *r.ExpiresIn < 0 {
		return "expires_in must not be negative"
	}
	if r.ProjectKey != "" && !projectKey.MatchString(r.ProjectKey) {
		return "Invalid project key"
	}
	for _, a := range strings.Fields(r.Audience) {
		if !audienceToken.MatchString(a) {
			return "Illegal audience: " + a
		}
	}
	return ""
}

func (p *Platform) create(c *call) answer {
	req, err := parseCreate(c)
	switch {
	case err == errMediaType:
		return p.refuse(415, "UNSUPPORTED_MEDIA_TYPE", err.Error(), "")
	case err != nil:
		return p.refuse(400, "BAD_REQUEST", err.Error(), "")
	case req.GrantType == "refresh_token":
		return p.refresh(c.token, req)
	}
	t, refused := p.grant(c.token, req)
	if refused != nil {
		return p.refuse(refused.status, refused.code, refused.message, "")
	}
	return p.created(t)
}

// grant issues what a bearer asks for.
func (p *Platform) grant(bearer *token, req createRequest) (*token, *refusal) {
	bad := func(message string) (*token, *refusal) { return nil, &refusal{400, "BAD_REQUEST", message} }
	forbid := func(message string) (*token, *refusal) { return nil, &refusal{403, "FORBIDDEN", message} }

	if req.GrantType != "" && req.GrantType != "client_credentials" {
		return bad("Unsupported grant type: " + req.GrantType)
	}
	if message := req.invalid(); message != "" {
		return bad(message)
	}
	scope := cmp.Or(strings.TrimSpace(req.Scope), userScope)
	scopes, err := parseScope(scope)
	if err != nil {
		return bad(err.Error())
	}

	user := cmp.Or(req.Username, bearer.User)
	if bearer.nameless && user == bearer.User {
		// The subject of a mapping without username is <provider>/<mapping>, which is no user name:
		// https://github.com/jfrog/terraform-provider-artifactory/issues/1246
		return bad("Invalid formatted name: " + user)
	}
	user = p.user(strings.TrimPrefix(user, p.serviceID+"/users/")).Name
	admin := p.isAdmin(bearer)
	if !admin && !strings.EqualFold(user, bearer.User) {
		return forbid("User " + bearer.User + " can only create user token(s) for themselves")
	}
	for _, s := range scopes {
		if !p.mayGrant(bearer, s) {
			return forbid("Logged in user cannot request token with scope: " + s)
		}
	}

	lifetime, refusal := p.lifetime(req.ExpiresIn, admin)
	switch {
	case refusal != "":
		return forbid(refusal)
	case req.Refreshable && p.cfg.NoRefreshable:
		return forbid("Refreshable tokens are not allowed")
	case req.Refreshable && lifetime == 0:
		return bad("A token that never expires cannot be refreshable")
	}
	if space := p.cfg.DescriptionSpace; space != "" {
		req.Description = strings.Join(strings.Fields(req.Description), space)
	}
	t := &token{
		Token: Token{
			Kind: "access", User: user, Subject: p.serviceID + "/users/" + user, Scope: scope,
			Audience: cmp.Or(req.Audience, allAudiences), Description: req.Description, IssuedAt: p.now(),
			Refreshable: req.Refreshable, Parent: bearer.ID,
			Reference: req.IncludeReference && p.cfg.since("7.38.10"),
		},
		scopes: scopes, lifetime: lifetime, nameless: bearer.nameless && user == bearer.User,
		forced: req.ForceRevocable && p.cfg.since("7.50.3"),
	}
	p.issue(t)
	return t, nil
}

// mayGrant is the ceiling: nobody hands out more than they have.
func (p *Platform) mayGrant(bearer *token, scope string) bool {
	if p.isAdmin(bearer) {
		return true
	}
	groups, isGroups := strings.CutPrefix(scope, groupsPrefix)
	if isGroups && !*p.cfg.NonAdminGroups {
		return false
	}
	if isGroups && slices.Contains(bearer.scopes, userScope) && subset(members(groups), p.user(bearer.User).Groups) {
		return true
	}
	return within(scope, bearer.scopes)
}

func (p *Platform) lifetime(requested *int, admin bool) (seconds int, refusal string) {
	limit := p.cfg.MaxExpiry
	switch {
	case requested == nil, *requested == 0 && !p.cfg.since("7.42.1"):
		if !admin && limit > 0 {
			return min(p.cfg.DefaultExpiry, limit), ""
		}
		return p.cfg.DefaultExpiry, ""
	case admin:
		return *requested, ""
	case *requested == 0:
		return 0, "User can only create user token with expires in larger than 0"
	case limit > 0 && *requested > limit:
		return 0, fmt.Sprintf("User can only create user token with expires in smaller than %d seconds", limit)
	}
	return *requested, ""
}

func (p *Platform) created(t *token) answer {
	body := map[string]any{
		"token_id": t.ID, "access_token": t.access, "scope": t.Scope, "token_type": "Bearer",
	}
	if t.lifetime != 0 {
		body["expires_in"] = t.lifetime
	}
	if t.refresh != "" {
		body["refresh_token"] = t.refresh
	}
	if t.reference != "" {
		body["reference_token"] = t.reference
	}
	a := jsonAnswer(200, body)
	a.stored = true
	return a
}

// refreshable reports whether a token can still be refreshed.
func (p *Platform) refreshable(t *token) bool {
	grace := time.Duration(p.cfg.RefreshGrace) * time.Second
	return !t.Revoked && t.refresh != "" && (t.alive(p.now()) || !p.now().After(t.Expiry.Add(grace)))
}

// refresh rotates: the old pair is gone as soon as the new one exists, whether the answer arrives or not.
func (p *Platform) refresh(bearer *token, req createRequest) answer {
	i := slices.IndexFunc(p.tokens, func(t *token) bool { return p.refreshable(t) && t.refresh == req.RefreshToken })
	now := p.now()
	switch {
	case !p.cfg.since("7.37.9"):
		return p.refuse(400, "BAD_REQUEST", "Unsupported grant type: refresh_token", "")
	case req.RefreshToken == "":
		return p.refuse(400, "BAD_REQUEST", "refresh_token is required", "")
	case i < 0 || bearer.expired(now) && bearer != p.tokens[i]:
		return p.refuse(404, "NOT_FOUND", "Token matching the provided refresh token was not found.", "")
	case bearer.User != p.tokens[i].User:
		return p.refuse(403, "FORBIDDEN", "Only "+p.tokens[i].User+" can refresh this token", "")
	}
	old := p.tokens[i]
	next := &token{
		Token: Token{
			Kind: "access", User: old.User, Subject: old.Subject, Scope: old.Scope, Audience: old.Audience,
			Description: old.Description, IssuedAt: now, Refreshable: true, Provider: old.Provider,
			Mapping: old.Mapping, Parent: old.ID,
			Reference: req.IncludeReference, // not inherited
		},
		scopes: old.scopes, lifetime: old.lifetime, forced: old.forced, selfRevocable: old.selfRevocable,
		nameless: old.nameless,
	}
	if req.ExpiresIn != nil {
		lifetime, refusal := p.lifetime(req.ExpiresIn, p.isAdmin(bearer))
		if refusal != "" || lifetime <= 0 {
			return p.refuse(403, "FORBIDDEN", cmp.Or(refusal, "expires_in must be larger than 0"), "")
		}
		next.lifetime = lifetime
	}
	old.Revoked = true
	p.issue(next)
	return p.created(next)
}
