package jfrogtest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

var testCA = sync.OnceValue(NewCA)

// world is a platform and an issuer, both served over TLS.
type world struct {
	*testing.T
	*Platform
	issuer *Issuer
	client *http.Client
}

func newWorld(t *testing.T, cfg Config, issuerCfg IssuerConfig) *world {
	t.Helper()
	cert := testCA().Certificate([]string{"127.0.0.1"}, time.Time{}, time.Time{})
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: testCA().Pool()}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       5 * time.Second,
	}
	issuer := NewIssuer(issuerCfg)
	p, err := New(cfg, issuer, client)
	if err != nil {
		t.Fatal(err)
	}
	for h, setURL := range map[http.Handler]func(string){issuer: issuer.SetURL, p: p.SetURL} {
		srv, err := NewServer(h, "", &cert)
		if err != nil {
			t.Fatal(err)
		}
		setURL(srv.URL)
		t.Cleanup(srv.Close)
	}
	t.Cleanup(func() { p.Close(); issuer.Close(); client.CloseIdleConnections() })
	return &world{T: t, Platform: p, issuer: issuer, client: client}
}

type reply struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func (r reply) str(key string) string { s, _ := r.json[key].(string); return s }

// try sends a request; body is a string, or anything to be marshalled.
func (w *world) try(method, path, bearer string, body any) (reply, error) {
	var raw []byte
	kind := "application/json"
	switch body := body.(type) {
	case nil:
	case string:
		raw = []byte(body)
		if !strings.HasPrefix(body, "{") {
			kind = "application/x-www-form-urlencoded"
		}
	default:
		raw, _ = json.Marshal(body)
	}
	req, err := http.NewRequest(method, w.URL()+path, bytes.NewReader(raw))
	if err != nil {
		return reply{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return w.send(req)
}

func (w *world) send(req *http.Request) (reply, error) {
	resp, err := w.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	json.Unmarshal(text, &r.json)
	return r, err
}

func (w *world) do(method, path, bearer string, body any) reply {
	w.Helper()
	r, err := w.try(method, path, bearer, body)
	if err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// want checks the status and a part of the body.
func (w *world) want(r reply, status int, part string) reply {
	w.Helper()
	if r.status != status || !strings.Contains(r.text, part) {
		w.Errorf("got %d %.300s, want %d and %q", r.status, r.text, status, part)
	}
	return r
}

func (w *world) create(bearer string, body any) reply {
	w.Helper()
	return w.do("POST", api+"tokens", bearer, body)
}

func (w *world) exchange(idToken string, extra map[string]any) reply {
	w.Helper()
	body := map[string]any{"grant_type": grantExchange, "subject_token_type": typeIDToken, "subject_token": idToken,
		"provider_name": "github", "project_key": "", "gh_job_id": "x", "provider_type": "GitHub"}
	for k, v := range extra {
		body[k] = v
	}
	return w.do("POST", api+"oidc/token", "", body)
}

func (w *world) requestIDToken(query, bearer string) reply {
	w.Helper()
	req, _ := http.NewRequest("GET", w.issuer.RequestURL()+query, nil)
	req.Header.Set("Authorization", "Bearer "+bearer)
	r, err := w.send(req)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// Tokens to begin with, for most tests.
const (
	admin = iota
	bot
	reference
	expired
	revoked
)

func stored() []StoredToken {
	return []StoredToken{
		admin:     {User: "admin", Scope: adminScope},
		bot:       {User: "ci-bot"},
		reference: {User: "ci-bot", Kind: "reference", ExpiresIn: 30000},
		expired:   {User: "ci-bot", ExpiresIn: -5, Age: 3600},
		revoked:   {User: "ci-bot", Revoked: true},
	}
}
