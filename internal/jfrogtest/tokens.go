package jfrogtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// visible says whether the platform knows the token by its id.
func (p *Platform) visible(t *token) bool { return t.Persisted && t.alive(p.now()) }

func (p *Platform) find(id string) *token {
	i := slices.IndexFunc(p.tokens, func(t *token) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return p.tokens[i]
}

func (p *Platform) notFound() answer { return p.refuse(404, "NOT_FOUND", "Token not found", "") }

func (p *Platform) forbidden() answer { return p.refuse(403, "FORBIDDEN", "Forbidden", "") }

// object is a token as the API shows it, never with a secret in it.
func (p *Platform) object(t *token) map[string]any {
	o := map[string]any{
		"token_id": t.ID, "subject": t.Subject, "issued_at": t.IssuedAt.Unix(), "issuer": p.serviceID,
		"refreshable": t.Refreshable,
	}
	if t.lifetime != 0 {
		o["expiry"] = t.Expiry.Unix()
	}
	if t.Description != "" {
		o["description"] = t.Description
	}
	if !p.cfg.OmitScope {
		o["scope"] = t.Scope
	}
	longLived := t.lifetime == 0 || t.lifetime >= 21600
	if longLived && !t.lastUsed.IsZero() && p.cfg.since("7.108.3") {
		o["last_used"] = t.lastUsed.Unix()
	}
	return o
}

func (p *Platform) list(c *call) answer {
	query := c.URL.Query()
	differs := func(key, value string) bool { return query.Get(key) != "" && query.Get(key) != value }
	var found []*token
	for _, t := range p.tokens {
		description, prefix := strings.CutSuffix(query.Get("description"), "*")
		switch {
		case !p.visible(t),
			!p.mayManage(c.token, t),
			query.Get("username") != "" && !strings.EqualFold(query.Get("username"), t.User),
			differs("token_id", t.ID),
			differs("refreshable", strconv.FormatBool(t.Refreshable)),
			!prefix && differs("description", t.Description),
			!strings.HasPrefix(t.Description, description):
			continue
		}
		found = append(found, t)
	}
	if !p.cfg.IgnoreOrder {
		order(found, query.Get("order_by"), query.Get("descending_order") == "true")
	}
	if p.cfg.ListCap > 0 && len(found) > p.cfg.ListCap {
		found = found[:p.cfg.ListCap]
	}
	objects := []map[string]any{}
	for _, t := range found {
		objects = append(objects, p.object(t))
	}
	return jsonAnswer(200, map[string]any{"tokens": objects})
}

func order(tokens []*token, by string, descending bool) {
	slices.SortStableFunc(tokens, func(a, b *token) int {
		if descending {
			a, b = b, a
		}
		switch by {
		case "token_id":
			return cmp.Compare(a.ID, b.ID)
		case "owner", "subject":
			return cmp.Compare(a.Subject, b.Subject)
		case "expiry":
			return a.Expiry.Compare(b.Expiry)
		}
		return a.IssuedAt.Compare(b.IssuedAt)
	})
}

func (p *Platform) get(c *call) answer {
	t := p.find(c.PathValue("id"))
	switch {
	case t == nil || !p.visible(t):
		return p.notFound()
	case !p.mayManage(c.token, t):
		return p.forbidden()
	}
	return jsonAnswer(200, p.object(t))
}

func (p *Platform) me(c *call) answer {
	if !c.token.Persisted && p.cfg.MeNotPersisted == 404 {
		return p.notFound()
	}
	return jsonAnswer(200, p.object(c.token))
}

// mayManage reports whether a bearer may see and revoke a token.
func (p *Platform) mayManage(bearer, t *token) bool {
	return p.isAdmin(bearer) || strings.EqualFold(bearer.User, t.User)
}

// revoke answers DELETE tokens/{id} and DELETE tokens/me.
func (p *Platform) revoke(c *call) answer {
	t := c.token
	if id := c.PathValue("id"); id != "" {
		t = p.find(id)
	}
	self := t == c.token
	switch {
	case t == nil, !t.alive(p.now()):
		return p.gone(p.cfg.DeleteUnknown, nil)
	case !p.mayManage(c.token, t) && !t.Persisted: // whose it is cannot be known
		return p.notFound()
	case !p.mayManage(c.token, t) && !self:
		return p.forbidden()
	case t.selfRevocable && self:
	case !t.Persisted:
		return p.gone(p.cfg.DeleteNotPersisted, t)
	case !t.Revocable:
		return p.gone(400, t)
	}
	t.Revoked = true
	return answer{status: 200, stored: true}
}

// gone is a revocation that revoked nothing.
func (p *Platform) gone(status int, t *token) answer {
	switch status {
	case 204:
		return answer{status: 204}
	case 404:
		return p.notFound()
	}
	return p.refuse(400, "BAD_REQUEST", "Token not revocable", fmt.Sprintf(
		"expirationTimeMillis: %d, issuedAtMillis: %d, revocableExpiryThresholdMillis: %d",
		t.Expiry.UnixMilli(), t.IssuedAt.UnixMilli(), *p.cfg.RevocableThreshold*1000))
}

func (p *Platform) revokeByValue(c *call) answer {
	if !p.isAdmin(c.token) {
		return p.forbidden()
	}
	var req struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(c.body, &req) != nil || req.Token == "" {
		return p.refuse(400, "BAD_REQUEST", "token must not be blank", "")
	}
	t, problem := p.lookup(req.Token)
	if problem != "" || !t.Persisted || !t.Revocable {
		return p.refuse(404, "NOT_FOUND", "Token not found or not revocable", "")
	}
	t.Revoked = true
	a := jsonAnswer(200, map[string]string{"revoked-token-id": t.ID})
	a.stored = true
	return a
}
