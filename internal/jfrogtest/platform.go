package jfrogtest

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Platform is a JFrog Platform as far as tokens go. It is an http.Handler and safe for concurrent use.
type Platform struct {
	front
	cfg       Config
	issuer    *Issuer
	client    *http.Client
	serviceID string

	mu      sync.Mutex // guards what follows
	tokens  []*token   // in order of issue, the configured ones first
	lastJTI int
}

// New makes a platform. The client fetches the OIDC issuers' keys.
func New(cfg Config, issuer *Issuer, client *http.Client) (*Platform, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if issuer == nil && slices.ContainsFunc(cfg.Providers, func(p Provider) bool { return p.IssuerURL == "" }) {
		return nil, errors.New("a provider without issuer_url needs an Issuer")
	}
	if client == nil {
		client = http.DefaultClient
	}
	p := &Platform{cfg: cfg, issuer: issuer, client: client}
	p.init(cfg.Faults)
	p.serviceID = "jfac@01" + strings.ToLower(randomText("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24))
	if cfg.Sequential {
		p.serviceID = "jfac@01hx0000000000000000000000"
	}
	now := p.now()
	for _, stored := range cfg.Tokens {
		p.issueStored(stored, now)
	}
	return p, nil
}

func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch p.cfg.Date {
	case "":
		w.Header().Set("Date", p.now().UTC().Format(http.TimeFormat))
	case "none":
		w.Header()["Date"] = nil
	default:
		w.Header().Set("Date", p.cfg.Date)
	}
	p.serve(w, r, platformOp, p.handle)
}

// now is the time by the platform's own clock.
func (p *Platform) now() time.Time { return time.Now().Add(time.Duration(p.cfg.Clock) * time.Second) }

const api = "/access/api/v1/"

// platformOp names the operation before it is known whether it will be allowed.
func platformOp(c *call) string {
	path, _ := strings.CutPrefix(c.URL.EscapedPath(), api)
	get := c.Method == http.MethodGet
	switch {
	case c.URL.Path == api+"system/ping", c.URL.Path == "/artifactory/api/system/ping":
		return "ping"
	case c.URL.Path == "/artifactory/api/system/version":
		return "version"
	case c.URL.Path == "/artifactory/api/system/service_id":
		return "service_id"
	case c.URL.Path == "/artifactory/api/repositories":
		return "repositories"
	case strings.HasPrefix(c.URL.Path, connectAPI):
		return "connect"
	case path == "oidc/token":
		return "exchange"
	case strings.Contains(c.URL.Path, pairingPath):
		return "pair"
	case path == "tokens" && c.Method == http.MethodPost:
		if req, err := parseCreate(c); err == nil && req.GrantType == "refresh_token" {
			return "refresh"
		}
		return "create"
	case path == "tokens" && get:
		return "list"
	case strings.HasPrefix(path, "tokens/") && c.Method == http.MethodDelete:
		return "revoke"
	case path == "tokens/me" && get:
		return "me"
	case strings.HasPrefix(path, "tokens/") && get:
		return "get"
	}
	return "other"
}

func (p *Platform) handle(c *call) answer {
	switch {
	case strings.Contains(c.URL.Path, pairingPath):
		return p.pair(c)
	case c.URL.Path == spendPath:
		return p.spend(c)
	case strings.HasPrefix(c.URL.Path, "/artifactory/"):
		return p.artifactory(c)
	}
	if strings.HasPrefix(c.URL.Path, connectAPI) {
		return p.connect(c)
	}
	path, access := strings.CutPrefix(c.URL.EscapedPath(), api)
	if !access {
		return htmlPage(404)
	}
	id, err := url.PathUnescape(strings.TrimPrefix(path, "tokens/"))
	switch {
	case path == "system/ping":
		return textAnswer(200, "OK")
	case path == "oidc/token" && p.cfg.since("7.73.1"):
		if c.Method != http.MethodPost {
			return p.methodNotAllowed()
		}
		return p.exchange(c)
	case path != "tokens" && !strings.HasPrefix(path, "tokens/"),
		strings.Count(path, "/") > 1,
		err != nil,
		!p.cfg.since("7.21.1"),
		path == "tokens/me" && !p.cfg.since("7.53.1"),
		path == "tokens/revoke" && !p.cfg.since("7.68.0"):
		return p.refuse(404, "NOT_FOUND", "HTTP 404 Not Found", "")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch c.Method + " " + path {
	case "POST tokens":
		return p.create(c)
	case "GET tokens":
		return p.list(c)
	case "GET tokens/me":
		return p.me(c)
	case "DELETE tokens/me":
		return p.revoke(c, "")
	case "DELETE tokens/revoke":
		return p.revokeByValue(c)
	}
	if id != "" && path != "tokens" {
		switch c.Method {
		case http.MethodGet:
			return p.get(c, id)
		case http.MethodDelete:
			return p.revoke(c, id)
		}
	}
	return p.methodNotAllowed()
}

func (p *Platform) methodNotAllowed() answer {
	return p.refuse(405, "METHOD_NOT_ALLOWED", "HTTP 405 Method Not Allowed", "")
}

// refuse answers in one of the shapes that JFrog's services and the proxies before them use.
func (p *Platform) refuse(status int, code, message, detail string) answer {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  string `json:"detail,omitempty"`
	}
	switch p.cfg.ErrorShape {
	case "flat":
		return jsonAnswer(status, entry{code, message, detail})
	case "artifactory":
		return artifactoryError(status, message)
	case "oauth":
		return jsonAnswer(status, map[string]string{"error": "invalid_request", "error_description": message})
	case "html":
		return htmlPage(status)
	}
	return jsonAnswer(status, map[string]any{"errors": []entry{{code, message, detail}}})
}

func artifactoryError(status int, message string) answer {
	return jsonAnswer(status, map[string]any{"errors": []any{map[string]any{"status": status, "message": message}}})
}

func htmlPage(status int) answer {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	return textAnswer(status, "<!DOCTYPE html>\n<html><head><title>"+title+"</title></head><body><h1>"+title+
		"</h1><hr>nginx</body></html>\n")
}

// artifactory answers the few requests that tell whether a token works outside Access.
func (p *Platform) artifactory(c *call) answer {
	switch c.URL.Path {
	case "/artifactory/api/system/ping":
		return textAnswer(200, "OK") // whatever the credentials: https://github.com/jfrog/jfrog-cli-artifactory/issues/170
	case "/artifactory/api/system/version", "/artifactory/api/system/service_id", "/artifactory/api/repositories":
	default:
		return htmlPage(404)
	}
	refuse := func(message string) answer {
		if p.cfg.ErrorShape != "modern" {
			return p.refuse(401, "UNAUTHORIZED", message, "")
		}
		a := artifactoryError(401, message)
		a.challenge = `Basic realm="Artifactory Realm"`
		return a
	}
	secret := c.bearer()
	user, password, basic := c.BasicAuth()
	if basic {
		secret = password
	}
	if key := c.Header.Get("X-JFrog-Art-Api"); secret == "" {
		secret = key
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t, problem := p.lookup(secret)
	switch {
	case problem == "expired" || problem == "revoked":
		return refuse("Token failed verification: " + problem)
	case problem != "":
		return refuse("Bad credentials")
	case basic && user != t.User:
		return refuse("Wrong username was used")
	case !accepts(t.Audience, "jfrt", strings.Replace(p.serviceID, "jfac", "jfrt", 1)):
		return refuse("Token failed verification: audience")
	case countGroups(t.scopes) > 1:
		return artifactoryError(403, "Forbidden")
	}
	if c.URL.Path == "/artifactory/api/system/service_id" {
		// https://jfrog.com/help/r/jfrog-rest-apis/get-service-id
		if !p.isAdmin(t) {
			return artifactoryError(403, "Forbidden")
		}
		return textAnswer(200, strings.Replace(p.serviceID, "jfac", "jfrt", 1))
	}
	if c.URL.Path == "/artifactory/api/repositories" {
		return jsonAnswer(200, []map[string]string{{
			"key": "generic-local", "type": "LOCAL", "url": p.URL() + "/artifactory/generic-local", "packageType": "Generic",
		}})
	}
	return jsonAnswer(200, map[string]string{"version": p.cfg.Version, "revision": "71714900", "license": "demo"})
}
