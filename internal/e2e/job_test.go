package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// jobs are ways to get a token.
var jobs = map[string]struct {
	with  string
	jfrog jfrogtest.Config
}{
	// One request, whose token nobody can revoke: so JFrog's defaults have it.
	"exchanged": {with: "oidc-provider-name: github\nforce-revocable: false\n"},
	// Two requests; where JFrog refuses the second, the first token will do.
	"oidc": {with: "oidc-provider-name: github\n"},
	// Two requests, and both tokens can be revoked.
	"narrow": {with: "oidc-provider-name: github\nexpires-in: 15m\nforce-revocable: true\n", jfrog: jfrogtest.Config{
		Providers: []jfrogtest.Provider{{Name: "github", Mappings: []jfrogtest.Mapping{{
			Name: "ci", Claims: map[string]any{"repository": "acme/app"},
			TokenSpec: jfrogtest.TokenSpec{Username: "ci-bot", Scope: "applied-permissions/user", ExpiresIn: 600, SelfRevocable: true},
		}}}},
	}},
	"stored":   {with: "access-token: ${STORED}\n", jfrog: usual()},
	"verified": {with: "access-token: ${STORED}\nverify: platform artifactory connect:shop\nconnect-url: ${JF_URL}\n", jfrog: usual()},
	"refresh": {with: "access-token: ${STORED}\nrefresh-token: ${STORED_REFRESH}\n", jfrog: jfrogtest.Config{
		Tokens: []jfrogtest.StoredToken{{User: "ci-bot", ExpiresIn: 3600, Refreshable: true, ForceRevocable: true}},
	}},
}

// job is a site with one of the jobs in it.
type job struct {
	*Site
	before string // the state that post was given
}

// Post prepares the post step for Start. What post itself saves is read by nobody.
func (j *job) Post() *runnertest.Process {
	j.before = j.Step.State[stateKey]
	return j.Site.Post()
}

// newJob makes one. Debug logging is on: a secret must not be printed then either.
func newJob(t *testing.T, name, timeout string) *job {
	t.Helper()
	config := jobs[name].jfrog
	config.Sequential = true
	site, err := NewSite(Options{JFrog: config, Dir: t.TempDir(), Action: action, Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	if site.Step.With, err = inputs(site, []byte(jobs[name].with), site.named); err != nil {
		t.Fatal(err)
	}
	site.Step.With["max-attempts"], site.Step.With["timeout"] = "2", timeout
	site.Runner.Debug = true
	return &job{Site: site}
}

// run runs a step's program and checks what holds for every run.
func (j *job) run(t *testing.T, p *runnertest.Process) *runnertest.Result {
	t.Helper()
	res, err := run(p, tooLong)
	if err != nil {
		t.Fatal(err)
	}
	j.checkRun(t, res)
	return res
}

// checkRun: what was printed holds no secret and no command that the runner obeys but masks and annotations; the command
// files hold what is ours alone. Afterwards JFrog is done with all requests.
func (j *job) checkRun(t *testing.T, res *runnertest.Result) {
	t.Helper()
	j.Settle()
	if res.Err != nil {
		t.Errorf("command files: %v", res.Err)
	}
	if err := leak(res, j.Secrets(), hiddenLines(j.Runner.Env)); err != nil {
		t.Error(err)
	}
	if strings.Contains(res.Log, "RUNNER OBEYED") {
		t.Errorf("the runner obeyed a command:\n%s", res.Log)
	}
	for name := range j.Step.Outputs {
		if _, ok := j.Step.Action.Outputs[name]; !ok {
			t.Errorf("the output %q is not declared", name)
		}
	}
	for key := range j.Step.State {
		if key != stateKey {
			t.Errorf("the state has the key %q", key)
		}
	}
	if len(res.Env) > 0 {
		t.Errorf("exported to the job: %q", res.Env)
	}
}

const stateKey = "jfrog_token"

// state is what main saved for post, as far as it says which tokens may exist.
type state struct {
	WrittenBy string    `json:"written_by"`
	Marker    string    `json:"marker"`
	Pending   string    `json:"pending"`
	Until     time.Time `json:"until"`
	Tokens    []struct {
		ID string `json:"token_id"`
	} `json:"tokens"`
}

func (j *job) saved(t *testing.T) state {
	t.Helper()
	return j.decode(t, j.Step.State[stateKey])
}

func (j *job) decode(t *testing.T, text string) state {
	t.Helper()
	var s state
	if text == "" {
		return s
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("the state is no JSON: %v", err)
	}
	if s.WrittenBy == "jfrog-token" && s.Marker == "" && s.Pending == "" && len(s.Tokens) == 0 {
		return s // nothing is left to do
	}
	if s.WrittenBy != "jfrog-token" || !regexp.MustCompile(`^jt-[A-Z2-7]{16}$`).MatchString(s.Marker) ||
		!slices.Contains([]string{"", "create", "exchange", "refresh"}, s.Pending) {
		t.Errorf("the state says it is written by %q, marker %q, pending %q", s.WrittenBy, s.Marker, s.Pending)
	}
	return s
}

// names reports whether the state names the token.
func (s state) names(token jfrogtest.Token) bool {
	return slices.ContainsFunc(s.Tokens, func(t struct {
		ID string `json:"token_id"`
	}) bool {
		return t.ID == token.ID
	})
}

// finds reports whether a look-up by the state's marker finds the token.
func (s state) finds(token jfrogtest.Token) bool {
	return s.Pending == "create" && s.Marker != "" && strings.HasSuffix(token.Description, "["+s.Marker+"]")
}

// checkMain: however main ended, post will find every token that is alive. With exit code 0 the output token is one of
// them; with another there is no output.
func (j *job) checkMain(t *testing.T, res *runnertest.Result) {
	t.Helper()
	saved := j.saved(t)
	id := j.Step.Outputs["token-id"]
	switch alive := slices.ContainsFunc(j.Platform.Alive(), func(t jfrogtest.Token) bool { return t.ID == id }); {
	case res.Code == 0 && !alive:
		t.Errorf("the output token %q is not alive\n%s", id, res.Log)
	case res.Code > 0 && len(j.Step.Outputs) > 0:
		t.Errorf("it failed with exit code %d, and set outputs\n%s", res.Code, res.Log)
	}
	for _, token := range j.Platform.Alive() {
		switch {
		case saved.names(token):
		case saved.finds(token):
			if late := token.Expiry.Sub(saved.Until); late > time.Minute {
				t.Errorf("%s lives %v longer than the state says", token.ID, late)
			}
		case j.refusedToRevoke(token):
		case j.lostExchange(token, saved, res.Code == 0), saved.lostRefresh(token):
		default:
			t.Errorf("a token is alive that post will not find: %+v\nmarker %q, pending %q, tokens %+v\n%s",
				token, saved.Marker, saved.Pending, saved.Tokens, res.Log)
		}
	}
}

// refusedToRevoke reports whether JFrog was asked to revoke the token, and cannot: there is nothing left to do for post.
func (j *job) refusedToRevoke(token jfrogtest.Token) bool {
	return !token.Revocable && slices.ContainsFunc(j.Platform.Requests(), func(r jfrogtest.Request) bool {
		var claims struct {
			ID string `json:"jti"`
		}
		if parts := strings.Split(r.Header.Get("Authorization"), "."); len(parts) == 3 {
			payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
			_ = json.Unmarshal(payload, &claims)
		}
		return r.Method == http.MethodDelete && r.Status != 0 && claims.ID == token.ID
	})
}

// lostRefresh reports whether the token is the successor of one that the state names, from a refresh whose answer nobody
// has: it has another mint's description, and nobody is left who could look it up.
func (s state) lostRefresh(token jfrogtest.Token) bool {
	return s.Pending == "refresh" && s.names(jfrogtest.Token{ID: token.Parent})
}

// lostExchange reports whether the token is of an exchange whose answer nobody has: it has no description to look it up
// by. Where main went on with another, it may have forgotten about it, as there is nothing to do.
func (j *job) lostExchange(token jfrogtest.Token, saved state, wentOn bool) bool {
	if token.Mapping == "" || saved.names(token) {
		return false
	}
	spoiled := slices.ContainsFunc(j.Platform.Requests(), func(r jfrogtest.Request) bool {
		return r.Path == kinds["exchange"].path && r.Fault != ""
	})
	return saved.Pending == "exchange" || wentOn && spoiled
}

// checkPost: no token is alive but those that nobody can revoke.
func (j *job) checkPost(t *testing.T, res *runnertest.Result) {
	t.Helper()
	if res.Code != 0 {
		t.Errorf("post failed with %d:\n%s", res.Code, res.Log)
	}
	saved := j.decode(t, j.before)
	for _, token := range j.Platform.Alive() {
		if token.Revocable && !j.lostExchange(token, saved, true) && !saved.lostRefresh(token) {
			t.Errorf("a token is alive after post: %+v\n%s", token, res.Log)
		}
	}
	if saved.Pending == "refresh" {
		if status, err := j.Use("", j.Platform.Stored(0)); err != nil || status != http.StatusUnauthorized {
			t.Errorf("the token that was to be refreshed is alive after post: %d, %v\n%s", status, err, res.Log)
		}
	}
}

// kinds are the kinds of requests that the binary sends.
var kinds = map[string]struct{ method, path string }{
	"idtoken":  {http.MethodGet, "/idtoken"},
	"exchange": {http.MethodPost, "/access/api/v1/oidc/token"},
	"create":   {http.MethodPost, "/access/api/v1/tokens"},
	"refresh":  {http.MethodPost, "/access/api/v1/tokens"},
	"list":     {http.MethodGet, "/access/api/v1/tokens"},
	"revoke":   {http.MethodDelete, "/access/api/v1/tokens/"},
	"me":       {http.MethodGet, "/access/api/v1/tokens/me"},
	"version":  {http.MethodGet, VersionPath},
	"connect":  {http.MethodGet, "/api/v2/shop/devices"},
}

// sent counts the requests of a kind so far.
func (j *job) sent(on string) int {
	kind, ok := kinds[on]
	if !ok {
		panic("no such request: " + on)
	}
	n := 0
	ci, jfrog := j.Sent()
	for _, r := range append(ci, jfrog...) {
		if r.Method == kind.method && (r.Path == kind.path || on == "revoke" && strings.HasPrefix(r.Path, kind.path)) {
			n++
		}
	}
	return n
}

// attempts counts the requests for a token so far.
func (j *job) attempts() int { return j.sent("idtoken") + j.sent("exchange") + j.sent("create") }
