package jfrogtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestCreate(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	tests := map[string]struct {
		bearer int
		body   any
		status int
		part   string
	}{
		"defaults":               {bot, map[string]any{}, 200, `"expires_in":31536000`},
		"form":                   {bot, "grant_type=client_credentials&expires_in=60&refreshable=false", 200, `"expires_in":60`},
		"form, bad number":       {bot, "expires_in=1h", 400, "Invalid value of field: expires_in"},
		"form, bad boolean":      {bot, "refreshable=maybe", 400, "Invalid value of field: refreshable"},
		"JSON, bad number":       {bot, map[string]any{"expires_in": "3600"}, 400, `{"errors":[{"code":"BAD_REQUEST","message":"Invalid value of field: expires_in"}]}`},
		"not JSON":               {bot, `{"expires_in":`, 400, `"Invalid request body"`},
		"negative":               {bot, map[string]any{"expires_in": -1}, 400, "negative"},
		"by reference token":     {reference, map[string]any{"expires_in": 60}, 200, "token_id"},
		"unknown fields":         {bot, map[string]any{"project_key": "", "subject": "x", "audience": ""}, 200, "token_id"},
		"reference":              {bot, map[string]any{"include_reference_token": true}, 200, `"reference_token":"cmVmdGtuOjAx`},
		"refreshable":            {bot, map[string]any{"refreshable": true, "expires_in": 1}, 200, `"refresh_token":"`},
		"refreshable for ever":   {admin, map[string]any{"refreshable": true, "expires_in": 0}, 400, "never expires"},
		"grant type":             {bot, map[string]any{"grant_type": "password"}, 400, "grant type"},
		"never, admin":           {admin, map[string]any{"expires_in": 0}, 200, `"token_type":"Bearer"`},
		"never, bot":             {bot, map[string]any{"expires_in": 0}, 403, "FORBIDDEN"},
		"own groups":             {bot, map[string]any{"scope": groupsPrefix + "readers"}, 200, `"scope":"applied-permissions/groups:readers"`},
		"other groups":           {bot, map[string]any{"scope": groupsPrefix + "readers,root"}, 403, "scope"},
		"admin scope":            {bot, map[string]any{"scope": adminScope}, 403, "scope"},
		"artifact scope":         {bot, map[string]any{"scope": "artifact:repo/**:r"}, 403, "scope"},
		"artifact, admin":        {admin, map[string]any{"scope": userScope + " artifact:repo/**:r,w system:metrics:r"}, 200, "artifact:repo/**:r,w"},
		"quoted groups":          {admin, map[string]any{"scope": groupsPrefix + `"a b",c,`}, 200, `groups:\"a b\",c,`},
		"open quote":             {admin, map[string]any{"scope": groupsPrefix + `"a b`}, 400, "Invalid scope"},
		"unknown scope":          {admin, map[string]any{"scope": "api:*"}, 400, "Invalid scope"},
		"artifact action":        {admin, map[string]any{"scope": "artifact:repo:q"}, 400, "Invalid scope"},
		"roles":                  {admin, map[string]any{"scope": rolesPrefix + `pay:"Release Manager",dev`}, 200, "roles"},
		"another user":           {bot, map[string]any{"username": "admin"}, 403, "themselves"},
		"oneself, upper case":    {bot, map[string]any{"username": "CI-BOT"}, 200, "token_id"},
		"another user, by admin": {admin, map[string]any{"username": "nobody-yet"}, 200, "token_id"},
		"long scope":             {admin, map[string]any{"scope": groupsPrefix + long(500)}, 400, "scope must not"},
		"long username":          {admin, map[string]any{"username": long(256)}, 400, "username must not"},
		"long description":       {bot, map[string]any{"description": long(1025)}, 400, "description must not"},
		"1024 characters":        {bot, map[string]any{"description": strings.Repeat("é", 1024)}, 200, "token_id"},
		"long audience":          {bot, map[string]any{"audience": "jfrt@" + long(255)}, 400, "audience must not"},
		"illegal audience":       {bot, map[string]any{"audience": "nonsense"}, 400, "Illegal audience"},
		"project key":            {bot, map[string]any{"project_key": "Bad Key"}, 400, "project key"},
		"expired bearer":         {expired, map[string]any{}, 401, "Invalid token, expired"},
		"revoked bearer":         {revoked, map[string]any{}, 401, "Invalid token, revoked"},
	}
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, Platform: w.Platform, client: w.client}
			r := w.want(w.create(w.Stored(test.bearer), test.body), test.status, test.part)
			if _, ok := r.json["expires_in"]; test.status == 200 && ok == (name == "never, admin") {
				t.Errorf("expires_in: %s", r.text)
			}
		})
	}
	w.want(w.create("", map[string]any{}), 401, "Bad credentials")
	w.want(w.create(w.Stored(bot)+"x", map[string]any{}), 401, "Bad credentials")
	w.want(w.do("POST", api+"tokens", w.Stored(bot), nil), 415, "")
}

func TestCreateSwitches(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored(), Version: "7.38.9",
		MaxExpiry: 7200, NoRefreshable: true, NonAdminGroups: new(false), ErrorShape: "flat",
		DescriptionSpace: "_"}, IssuerConfig{})
	r := w.want(w.create(w.Stored(bot), map[string]any{"force_revocable": true, "include_reference_token": true, "description": "a \t b"}), 200, `"expires_in":7200`)
	if got := w.Issued()[0].Description; got != "a_b" {
		t.Errorf("description %q", got)
	}
	_, claims := claimsOf(t, r.str("access_token"))
	if r.str("reference_token") != "" || claims["ext"] != nil {
		t.Errorf("an old platform answered %s", r.text)
	}
	w.want(w.create(w.Stored(bot), "force_revocable=true&expires_in=60"), 200, "access_token")
	if last := w.Issued()[1]; last.Revocable {
		t.Error("force_revocable of a form was honoured")
	}
	w.want(w.create(w.Stored(bot), map[string]any{"expires_in": 7201}), 403, `{"code":"FORBIDDEN"`)
	w.want(w.create(w.Stored(bot), map[string]any{"refreshable": true}), 403, "Refreshable")
	w.want(w.create(w.Stored(bot), map[string]any{"scope": groupsPrefix + "readers"}), 403, "scope")
	w.want(w.create(w.Stored(admin), map[string]any{"expires_in": 0}), 200, `"expires_in":31536000`) // before 7.42.1
	w.want(w.do("GET", api+"tokens/me", w.Stored(bot), nil), 404, "NOT_FOUND")

	older := newWorld(t, Config{Tokens: stored(), Version: "7.20.0"}, IssuerConfig{})
	older.want(older.create(older.Stored(bot), map[string]any{}), 404, "NOT_FOUND")
}

func TestCeilingAndAudience(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	token := func(body map[string]any) string {
		t.Helper()
		return w.want(w.create(w.Stored(admin), body), 200, "").str("access_token")
	}
	groups := token(map[string]any{"username": "ci-bot", "scope": groupsPrefix + "readers,deployers"})
	w.want(w.create(groups, map[string]any{"scope": groupsPrefix + "readers"}), 200, "")
	w.want(w.create(groups, map[string]any{}), 403, "scope") // the default scope is wider
	twice := token(map[string]any{"scope": groupsPrefix + "readers " + groupsPrefix + "deployers"})
	w.want(w.do("GET", api+"tokens/me", twice, nil), 403, "FORBIDDEN")
	onlyRT := token(map[string]any{"audience": "jfrt@* jfxr@*"})
	w.want(w.do("DELETE", api+"tokens/me", onlyRT, nil), 403, "audience")
	w.want(w.do("GET", api+"tokens/me", onlyRT, nil), 200, "admin")
	w.want(w.do("GET", "/artifactory/api/system/version", onlyRT, nil), 200, "7.117.14")
	if _, claims := claimsOf(t, onlyRT); len(claims["aud"].([]any)) != 2 {
		t.Errorf("aud: %v", claims["aud"])
	}
}

// TestRevoke goes through the thresholds: a lifetime under 3 h is not stored, under 6 h not revocable.
func TestRevoke(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	for _, test := range []struct {
		body              string
		get, status, next int
	}{
		{`{"expires_in": 10799}`, 404, 400, 400},
		{`{"expires_in": 10800}`, 200, 400, 400},
		{`{"expires_in": 21599}`, 200, 400, 400},
		{`{"expires_in": 21600}`, 200, 200, 204},
		{`{"expires_in": 60, "force_revocable": true}`, 200, 200, 204},
		{`{"expires_in": 60, "refreshable": true}`, 200, 200, 204},
		{`{"expires_in": 60, "include_reference_token": true}`, 200, 200, 204},
	} {
		r := w.create(w.Stored(bot), test.body)
		path := api + "tokens/" + r.str("token_id")
		_, claims := claimsOf(t, r.str("access_token"))
		if forced := strings.Contains(test.body, "force"); forced != (claims["ext"] == `{"revocable":"true"}`) {
			t.Errorf("%s: ext %v", test.body, claims["ext"])
		}
		w.want(w.do("GET", path, w.Stored(bot), nil), test.get, "")
		w.want(w.do("DELETE", path, r.str("access_token"), nil), test.status, "")
		w.want(w.do("DELETE", path, w.Stored(admin), nil), test.next, "")
	}
	if len(w.Alive()) != 3 {
		t.Errorf("alive: %+v", w.Alive())
	}
	r := w.create(w.Stored(bot), `{"expires_in": 60}`)
	w.want(w.do("DELETE", api+"tokens/me", r.str("access_token"), nil), 400, "revocableExpiryThresholdMillis: 21600000")
	w.want(w.do("DELETE", api+"tokens/", w.Stored(bot), nil), 405, "HTTP 405 Method Not Allowed")
	w.want(w.do("DELETE", api+"tokens/00000000-none", w.Stored(bot), nil), 204, "")
	w.want(w.do("DELETE", api+"tokens/me", "", nil), 401, "")
	w.want(w.do("DELETE", api+"tokens/me", w.Stored(expired), nil), 401, "Invalid token, expired")
	w.want(w.do("DELETE", api+"tokens/"+w.StoredID(admin), w.Stored(bot), nil), 403, "FORBIDDEN")

	// Nobody else can be told whose a token is that was not stored.
	other := w.create(w.Stored(admin), `{"expires_in": 60, "username": "someone"}`)
	w.want(w.do("DELETE", api+"tokens/"+other.str("token_id"), w.Stored(bot), nil), 404, "NOT_FOUND")
	w.want(w.do("GET", api+"tokens/"+other.str("token_id"), w.Stored(bot), nil), 404, "NOT_FOUND")
	w.want(w.do("DELETE", api+"tokens/"+other.str("token_id"), other.str("access_token"), nil), 400, "Token not revocable")

	value := w.create(w.Stored(bot), `{"force_revocable": true}`)
	byValue := map[string]any{"token": value.str("access_token")}
	w.want(w.do("DELETE", api+"tokens/revoke", w.Stored(bot), byValue), 403, "")
	w.want(w.do("DELETE", api+"tokens/revoke", w.Stored(admin), byValue), 200, `{"revoked-token-id":"`+value.str("token_id"))
	w.want(w.do("DELETE", api+"tokens/revoke", w.Stored(admin), byValue), 404, "")

	w = newWorld(t, Config{Tokens: stored(), DeleteUnknown: 404, DeleteNotPersisted: 204, MeNotPersisted: 404,
		RevocableThreshold: new(-1), PersistentThreshold: new(0)}, IssuerConfig{})
	r = w.create(w.Stored(bot), `{"expires_in": 90000}`)
	w.want(w.do("DELETE", api+"tokens/"+r.str("token_id"), w.Stored(bot), nil), 400, "Token not revocable")
	w.want(w.do("DELETE", api+"tokens/none", w.Stored(bot), nil), 404, "")
	w = newWorld(t, Config{Tokens: stored(), DeleteNotPersisted: 204, MeNotPersisted: 404}, IssuerConfig{})
	r = w.create(w.Stored(bot), `{"expires_in": 60}`)
	w.want(w.do("GET", api+"tokens/me", r.str("access_token"), nil), 404, "")
	w.want(w.do("DELETE", api+"tokens/me", r.str("access_token"), nil), 204, "")
	if len(w.Alive()) != 1 {
		t.Error("204 for a token that is not stored revoked it")
	}
}

func TestRefresh(t *testing.T) {
	tokens := append(stored(), StoredToken{User: "ci-bot", Refreshable: true, ExpiresIn: -5, Age: 60})
	w := newWorld(t, Config{Tokens: tokens}, IssuerConfig{})
	first := w.create(w.Stored(bot), `{"refreshable": true, "expires_in": 600, "include_reference_token": true}`)
	body := map[string]any{"grant_type": "refresh_token", "refresh_token": first.str("refresh_token"), "access_token": "x", "refreshable": true}
	w.want(w.create(w.Stored(admin), body), 403, "") // the token's own user only
	second := w.want(w.create(first.str("access_token"), body), 200, `"expires_in":600`)
	if second.str("token_id") == first.str("token_id") || second.str("refresh_token") == first.str("refresh_token") || second.str("reference_token") != "" {
		t.Errorf("rotated: %s", second.text)
	}
	w.want(w.do("GET", api+"tokens/me", first.str("access_token"), nil), 401, "revoked")
	w.want(w.create(second.str("access_token"), body), 404, "Token matching the provided refresh token was not found.")
	if alive := w.Alive(); len(alive) != 1 || alive[0].Parent != first.str("token_id") {
		t.Errorf("alive: %+v", alive)
	}
	last := len(tokens) - 1
	stale := map[string]any{"grant_type": "refresh_token", "refresh_token": w.StoredRefresh(last)}
	w.want(w.create(w.Stored(last), stale), 401, "expired")
	w.want(w.create(w.Stored(bot), stale), 404, "")

	for _, bearer := range []int{last, bot} {
		w = newWorld(t, Config{Tokens: tokens, RefreshGrace: 3600}, IssuerConfig{})
		stale["refresh_token"] = w.StoredRefresh(last)
		w.want(w.create(w.Stored(expired), stale), 401, "expired") // it has no refresh token itself
		w.want(w.create(w.Stored(bearer), stale), 200, "refresh_token")
		w.want(w.create(w.Stored(last), stale), 401, "revoked")
	}
}

func TestUserNamesInAnyCase(t *testing.T) {
	w := newWorld(t, Config{Tokens: append(stored(), StoredToken{User: "CI-Bot"}), Sequential: true}, IssuerConfig{})
	upper := len(stored())
	w.want(w.do("GET", api+"tokens?username=Ci-Bot&order_by=token_id", w.Stored(bot), nil), 200, w.StoredID(upper))
	w.want(w.create(w.Stored(upper), map[string]any{"scope": groupsPrefix + "readers"}), 200, "readers")
	w.want(w.do("DELETE", api+"tokens/"+w.StoredID(bot), w.Stored(upper), nil), 200, "")
	_, claims := claimsOf(t, w.create(w.Stored(upper), map[string]any{"username": "ci-BOT"}).str("access_token"))
	if claims["sub"] != w.serviceID+"/users/ci-bot" {
		t.Errorf("sub: %v", claims["sub"])
	}
}

func TestAccessCredentials(t *testing.T) {
	for _, anywhere := range []bool{false, true} {
		w := newWorld(t, Config{Tokens: stored(), ReferenceAnywhere: anywhere}, IssuerConfig{})
		status := map[bool]int{true: 200, false: 401}
		me := func(header, value string) reply { return w.request("GET", api+"tokens/me", "", header, value) }
		w.want(me("Authorization", "Bearer "+w.Stored(reference)), 200, "ci-bot")
		w.want(me("Authorization", basic("CI-bot", w.Stored(reference))), status[anywhere], "")
		w.want(me("X-JFrog-Art-Api", w.Stored(reference)), status[anywhere], "")
		w.want(me("Authorization", basic("admin", w.Stored(reference))), 401, "Bad credentials")
		w.want(me("Authorization", basic("ci-bot", w.Stored(bot))), 401, "Bad credentials")
		w.want(me("X-JFrog-Art-Api", w.Stored(bot)), 401, "Bad credentials")
		w.want(me("X-JFrog-Art-Api", ""), 401, "Bad credentials")
	}
}

func TestList(t *testing.T) {
	tokens := append(stored(),
		StoredToken{User: "ci-bot", Description: "ci run 1", Age: 100, ExpiresIn: 3600, ForceRevocable: true},
		StoredToken{User: "ci-bot", Description: "ci run 2", Age: 50, ExpiresIn: 60})
	w := newWorld(t, Config{Tokens: tokens, Sequential: true}, IssuerConfig{})
	count := func(bearer int, query string, want ...int) {
		t.Helper()
		r := w.want(w.do("GET", api+"tokens"+query, w.Stored(bearer), nil), 200, `"tokens":[`)
		var got, ids []string
		for _, o := range r.json["tokens"].([]any) {
			got = append(got, o.(map[string]any)["token_id"].(string))
		}
		for _, i := range want {
			ids = append(ids, w.StoredID(i))
		}
		if fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("%s: got %v, want %v", query, got, ids)
		}
	}
	count(admin, "?order_by=token_id", admin, bot, reference, 5) // the last one is not stored
	count(bot, "?order_by=token_id&descending_order=true", 5, reference, bot)
	count(bot, "?order_by=created", 5, bot, reference)
	count(bot, "?order_by=created&descending_order=true", bot, reference, 5)
	count(bot, "?description=ci+run*", 5)
	count(bot, "?description=ci+run")
	count(bot, "?username=admin")
	count(admin, "?username=admin", admin)
	count(bot, "?token_id="+w.StoredID(reference)+"&refreshable=false", reference)
	count(bot, "?refreshable=true")
	r := w.do("GET", api+"tokens/"+w.StoredID(bot), w.Stored(bot), nil)
	if _, ok := r.json["expiry"]; ok || r.str("subject") != w.serviceID+"/users/ci-bot" {
		t.Errorf("object: %s", r.text)
	}
	w.want(w.do("GET", api+"tokens/"+w.StoredID(admin), w.Stored(bot), nil), 403, "")
	for _, s := range w.Secrets() {
		if strings.Contains(r.text, s.Value) {
			t.Errorf("%s in a token object", s.Name)
		}
	}
	w = newWorld(t, Config{Tokens: tokens, Sequential: true, IgnoreOrder: true}, IssuerConfig{})
	count(bot, "?order_by=created", bot, reference, 5)
	count(bot, "?order_by=created&descending_order=true", bot, reference, 5)
	many := ManyTokens{2, StoredToken{User: "ci-bot", Description: "seeded"}}
	w = newWorld(t, Config{Tokens: tokens, Sequential: true, Many: many}, IssuerConfig{})
	w.want(w.do("GET", api+"tokens?description=seeded", w.Stored(bot), nil), 200, "000000000008")
	if alive := w.Alive(); len(alive) != 2 || !alive[0].IssuedAt.Before(alive[1].IssuedAt) {
		t.Errorf("alive: %+v", alive)
	}
}

func TestArtifactoryAndPaths(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	version := func(user, password string) reply {
		req, _ := http.NewRequest("GET", w.URL()+"/artifactory/api/system/version", nil)
		req.SetBasicAuth(user, password)
		r, err := w.send(req)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	w.want(version("ci-bot", w.Stored(reference)), 200, "revision")
	w.want(version("someone", w.Stored(bot)), 401, "Wrong username was used")
	const path = "/artifactory/api/system/version"
	w.want(w.do("GET", path, "", nil), 401, `{"errors":[{"status":401,"message":"Bad credentials"}]}`)
	w.want(w.do("GET", path, w.Stored(expired), nil), 401, "Token failed verification: expired")
	w.want(w.do("GET", path, w.Stored(revoked), nil), 401, "Token failed verification: revoked")
	const repositories = "/artifactory/api/repositories"
	w.want(w.do("GET", repositories, w.Stored(bot), nil), 200, `[{"key":"generic-local"`)
	if r := w.do("GET", repositories, "", nil); r.status != 401 || r.header.Get("WWW-Authenticate") != `Basic realm="Artifactory Realm"` {
		t.Errorf("without credentials: %d, %v", r.status, r.header)
	}
	w.want(w.do("GET", "/artifactory/api/system/ping", "nonsense", nil), 200, "OK")
	w.want(w.do("GET", api+"system/ping", "", nil), 200, "OK")
	w.want(w.do("GET", "/ui/login", "", nil), 404, "<html>")
	w.want(w.do("GET", api+"nothing", "", nil), 404, `{"errors":[{"code":"NOT_FOUND"`)
	w.want(w.do("PUT", api+"tokens", w.Stored(bot), nil), 405, "")
}

func TestLedger(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { w.try("POST", api+"tokens", w.Stored(bot), `{"include_reference_token": true}`) })
		wg.Go(func() { w.Alive(); w.Requests(); w.Secrets(); w.Stored(bot) })
	}
	wg.Wait()
	w.create(w.Stored(bot), `{"refreshable": true, "description": "x"}`)
	if n := len(w.Issued()); n != 5 {
		t.Errorf("%d issued", n)
	}
	names := map[string]bool{}
	for _, s := range w.Secrets() {
		names[s.Name] = s.Value != ""
	}
	if !names["access-token 9"] || !names["reference-token 5"] || !names["refresh-token 1"] || len(names) != 15 {
		t.Errorf("secrets: %v", names)
	}
	requests := w.Requests()
	last := requests[len(requests)-1]
	if len(requests) != 5 || last.Status != 200 || last.Method != "POST" || !strings.Contains(string(last.Body), "refreshable") ||
		last.Header.Get("Authorization") != "Bearer "+w.Stored(bot) {
		t.Errorf("last request: %+v", last)
	}
	raw, err := base64.StdEncoding.DecodeString(w.Stored(reference))
	if err != nil || len(raw) != 48 || !strings.HasPrefix(string(raw), "reftkn:01:") {
		t.Errorf("reference token %q: %v", raw, err)
	}
}
