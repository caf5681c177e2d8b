package jfrogtest

import (
	"errors"
	"net/http"
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
	mux       *http.ServeMux

	mu      sync.Mutex // guards what follows
	tokens  []*token   // in order of issue, the configured ones first
	lastJTI int
	repos   []*repository
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
	p := &Platform{cfg: cfg, issuer: issuer, client: client, mux: http.NewServeMux(), repos: repositories()}
	p.init(cfg.Faults)
	p.serviceID = "jfac@01" + strings.ToLower(randomText("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24))
	if cfg.Sequential {
		p.serviceID = "jfac@01hx0000000000000000000000"
	}
	now := p.now()
	for _, stored := range cfg.Tokens {
		p.issue(p.newStored(stored, now))
	}
	p.seed(cfg.Many, now)
	for _, r := range p.routes() {
		p.route(r)
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
	p.mux.ServeHTTP(w, r)
}

// now is the time by the platform's own clock.
func (p *Platform) now() time.Time { return time.Now().Add(time.Duration(p.cfg.Clock) * time.Second) }

const (
	api = "/access/api/v1/"
	art = "/artifactory/api/"
)

// route is a kind of request: a pattern of http.ServeMux, the version that brought it, and its name in Fault.On.
type route struct {
	pattern, since, op string
	handle             func(*call) answer
}

func (p *Platform) routes() []route {
	return []route{
		{"GET " + api + "system/ping", "", "ping", p.ping},
		{"POST " + api + "oidc/token", "7.73.1", "exchange", p.exchange},
		{"GET " + api + "oidc/token", "7.73.1", "other", p.methodNotAllowed},
		{"GET " + api + "oidc", "7.73.1", "other", p.access(p.providers)},
		{"GET " + api + "oidc/{provider}", "7.73.1", "other", p.access(p.provider)},
		{"GET " + api + "oidc/{provider}/identity_mappings", "7.73.1", "other", p.access(p.mappings)},
		{"POST " + api + "tokens", "7.21.1", "create", p.access(p.create)},
		{"GET " + api + "tokens", "7.21.1", "list", p.access(p.list)},
		{api + "tokens", "7.21.1", "other", p.methodNotAllowed},
		{api + "tokens/{$}", "7.21.1", "other", p.methodNotAllowed},
		{"GET " + api + "tokens/me", "7.53.1", "me", p.access(p.me)},
		{"DELETE " + api + "tokens/me", "7.53.1", "revoke", p.access(p.revoke)},
		{"DELETE " + api + "tokens/revoke", "7.68.0", "revoke", p.access(p.revokeByValue)},
		{"GET " + api + "tokens/{id}", "7.21.1", "get", p.access(p.get)},
		{"DELETE " + api + "tokens/{id}", "7.21.1", "revoke", p.access(p.revoke)},
		{api + "tokens/{id}", "7.21.1", "other", p.methodNotAllowed},
		{"POST " + api + "service_trust/pairing/{useCase...}", "", "pair", p.access(p.pair)},
		{"POST " + spendPath, "", "other", p.spend},
		{"GET " + api + "cert/root", "7.12.0", "other", p.access(p.rootCertificate)},
		{"GET " + api + "config/token/default_expiry", "7.62.0", "other", p.access(p.defaultExpiry)},
		{"GET " + api + "projects", "", "other", p.access(p.projects)},
		{api, "", "other", p.unknown},

		// Whatever the credentials: https://github.com/jfrog/jfrog-cli-artifactory/issues/170
		{"GET " + art + "system/ping", "", "ping", p.ping},
		{"GET " + art + "system/version", "", "version", p.artifactory(p.version)},
		{"GET " + art + "system/service_id", "", "service_id", p.artifactory(p.artifactoryID)},
		{"GET " + art + "v1/system/readiness", "", "other", healthy},
		{"GET " + art + "v1/system/liveness", "", "other", healthy},
		{"POST " + art + "system/usage", "", "other", p.artifactory(emptyObject)},
		{"POST " + art + "security/token", "", "other", p.artifactory(p.legacyCreate)},
		{"GET " + art + "security/token", "", "other", p.artifactory(p.legacyList)},
		{"POST " + art + "security/token/revoke", "", "other", p.artifactory(p.legacyRevoke)},
		{"POST " + art + "v1/service_trust/pairing/{useCase...}", "", "pair", p.access(p.pair)},
		{"GET " + art + "repositories", "", "repositories", p.artifactory(p.listRepositories)},
		{"GET " + art + "repositories/{repo}", "", "artifact", p.artifactory(p.getRepository)},
		{"GET " + art + "storage/{repo}", "", "artifact", p.artifactory(p.storage)},
		{"GET " + art + "storage/{repo}/{path...}", "", "artifact", p.artifactory(p.storage)},
		{"GET " + art + "npm/{repo}/-/ping", "", "artifact", p.artifactory(emptyObject)},
		{"GET " + art + "npm/{repo}/-/whoami", "", "artifact", p.artifactory(p.npmWhoami)},
		{"POST " + art + "search/aql", "", "artifact", p.artifactory(p.search)},
		{"POST " + art + "search/aql/{$}", "", "artifact", p.artifactory(p.search)},
		{"GET /.well-known/terraform.json", "", "other", terraformServices},
		{"GET " + terraformModules + "{namespace}/{name}/{system}/versions", "", "artifact", p.artifactory(p.terraformVersions)},
		{"GET " + terraformModules + "{namespace}/{name}/{system}/{version}/download", "", "artifact",
			p.artifactory(terraformModule)},
		{"GET " + terraformArchives + "{key}/{repo}/{path...}", "", "artifact", p.terraformArchive},
		{art + "{kind}/{repo}/{path...}", "", "artifact", p.artifactory(p.packageFile)},
		{"/artifactory/{repo}/{path...}", "", "artifact", p.artifactory(p.file)},
		{"/artifactory/{repo}", "", "artifact", p.artifactory(p.noFile)},
		{"/artifactory/", "", "artifact", p.artifactory(p.noFile)},

		{"/v2/token", "", "artifact", p.artifactory(p.dockerToken)},
		{art + "docker/{repo}/v2/token", "", "artifact", p.artifactory(p.dockerToken)},
		{"GET /v2/{$}", "", "artifact", p.docker(p.dockerPing)},
		{"GET " + art + "docker/{repo}/v2/{$}", "", "artifact", p.docker(p.dockerPing)},
		{"/v2/{repo}/{path...}", "", "artifact", p.docker(p.dockerFile)},
		{art + "docker/{repo}/v2/{path...}", "", "artifact", p.docker(p.dockerFile)},

		{"GET " + connectAPI + "{project}/devices", "", "connect", p.connect},
		{connectAPI, "", "connect", p.noConnect},
		{"/", "", "other", func(*call) answer { return htmlPage(404) }},
	}
}

func (p *Platform) route(r route) {
	if r.since != "" && !p.cfg.since(r.since) {
		r.handle = p.unknown
	}
	op := func(c *call) string {
		if req, err := parseCreate(c); r.op == "create" && err == nil && req.GrantType == "refresh_token" {
			return "refresh"
		}
		return r.op
	}
	p.mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) { p.serve(w, req, op, r.handle) })
}

func (p *Platform) ping(*call) answer { return textAnswer(200, "OK") }

func healthy(*call) answer { return jsonAnswer(200, map[string]string{"code": "OK"}) }

func emptyObject(*call) answer { return jsonAnswer(200, struct{}{}) }

func (p *Platform) unknown(*call) answer { return p.refuse(404, "NOT_FOUND", "HTTP 404 Not Found", "") }

func (p *Platform) methodNotAllowed(*call) answer {
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
	type entry struct {
		Status  int    `json:"status"`
		Message string `json:"message"`
	}
	return jsonAnswer(status, map[string]any{"errors": []entry{{status, message}}})
}

func htmlPage(status int) answer {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	return textAnswer(status, "<!DOCTYPE html>\n<html><head><title>"+title+"</title></head><body><h1>"+title+
		"</h1><hr>nginx</body></html>\n")
}
