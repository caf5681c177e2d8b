package jfrogtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFaultOrder(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored(), Faults: []Fault{
		{On: "create", Skip: 1, Times: 2, Status: 503, Headers: map[string]string{"Retry-After": "1"}, Body: "busy"},
		{On: "any", Skip: 2, Times: 1, Kind: "redirect"},
	}}, IssuerConfig{})
	var got []int
	for range 6 {
		got = append(got, w.create(w.Stored(bot), `{}`).status)
	}
	// The second fault sees the requests 1, 4 and 5.
	want := []int{200, 503, 503, 200, 302, 200}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if r := w.Requests(); r[1].Fault != "status" || r[1].Status != 503 || r[4].Fault != "redirect" || r[5].Fault != "" {
		t.Errorf("requests: %+v", r)
	}
	if n := len(w.Issued()); n != 3 {
		t.Errorf("%d issued", n)
	}
}

func TestFaultAnswers(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored(), MaxExpiry: 100}, IssuerConfig{})
	bearer := w.Stored(bot)
	fault := func(f Fault) reply {
		t.Helper()
		f.On = "create"
		w.SetFaults([]Fault{f})
		return w.create(bearer, `{"subject_token": "subject"}`)
	}
	w.want(fault(Fault{Status: 401, Body: "you sent {{bearer}} {{subject_token}} {{access_token}}"}), 401, "you sent "+bearer+" subject "+bearer)
	w.want(fault(Fault{Status: 401, Body: "{{bearer:first}} {{bearer:rest}} {{bearer:last}} {{subject_token:first}}"}), 401,
		bearer[:40]+" "+bearer[40:]+" "+bearer[len(bearer)-40:]+" subject")
	w.want(fault(Fault{Kind: "html"}), 200, "<html>")
	r := fault(Fault{Kind: "redirect", Status: 307, Headers: map[string]string{"Location": "https://evil.test/{{bearer}}"}})
	if r.status != 307 || r.header.Get("Location") != "https://evil.test/"+bearer {
		t.Errorf("redirect: %d %v", r.status, r.header)
	}
	r = w.want(fault(Fault{Kind: "edit", Drop: []string{"token_id"}, Set: map[string]any{"scope": "{{access_token}}", "expires_in": "soon"}}), 200, `"expires_in":"soon"`)
	if r.str("scope") != r.str("access_token") || r.str("token_id") != "" {
		t.Errorf("edit: %s", r.text)
	}
	w.want(fault(Fault{Kind: "body", Body: `{"access_token": `}), 200, `{"access_token": `)
	if r := fault(Fault{Kind: "huge"}); r.status != 400 || len(r.text) < 4<<20 {
		t.Errorf("huge: %d, %d bytes", r.status, len(r.text))
	}
	w.SetFaults([]Fault{{On: "ping", Kind: "gzip"}})
	resp, err := w.client.Get(w.URL() + api + "system/ping")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := io.Copy(io.Discard, resp.Body); n != 50<<20 || !resp.Uncompressed {
		t.Errorf("gzip: %d bytes", n)
	}
	resp.Body.Close()
	if r := fault(Fault{Kind: "bigheader"}); len(r.header.Get("X-Big")) != 2<<20 {
		t.Errorf("bigheader: %d bytes", len(r.header.Get("X-Big")))
	}
	start := time.Now()
	w.want(fault(Fault{Kind: "delay", DelayMS: 50}), 200, "access_token")
	if time.Since(start) < 50*time.Millisecond {
		t.Error("no delay")
	}
	if n := len(w.Issued()); n != 3 { // edit, body, delay
		t.Errorf("%d issued", n)
	}
}

func TestFaultConnections(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	fault := func(f Fault) error {
		t.Helper()
		f.On, f.After = "create", true
		w.SetFaults([]Fault{f})
		ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "POST", w.URL()+api+"tokens", strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+w.Stored(bot))
		_, err := w.send(req)
		return err
	}
	reset := syscall.ECONNRESET
	if runtime.GOOS == "windows" {
		reset = 10054 // WSAECONNRESET
	}
	for _, test := range []struct {
		kind string
		want error
	}{
		{"close", io.EOF}, {"reset", reset}, {"truncate", io.ErrUnexpectedEOF}, {"garbage", nil},
		{"hang", context.DeadlineExceeded}, {"slow", context.DeadlineExceeded}, {"endless", context.DeadlineExceeded},
	} {
		err := fault(Fault{Kind: test.kind})
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.kind, err)
		}
	}
	if n := len(w.Alive()); n != 7 {
		t.Errorf("%d alive: the work comes first", n)
	}
	for _, r := range w.Requests() {
		answered := r.Fault == "truncate" || r.Fault == "slow" || r.Fault == "endless"
		if answered != (r.Status == 200) {
			t.Errorf("%s: status %d", r.Fault, r.Status)
		}
	}
	w.SetFaults([]Fault{{On: "create", Kind: "hang"}})
	time.AfterFunc(20*time.Millisecond, w.Close)
	if _, err := w.try("POST", api+"tokens", w.Stored(bot), "{}"); err == nil {
		t.Error("Close answered a hanging request")
	}
}

func TestArtifactFaults(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	for _, path := range []string{"/artifactory/generic-local/hello.txt", "/v2/docker-local/acme-hello/manifests/1.0.0", art + "repositories/npm-local"} {
		w.SetFaults([]Fault{{On: "artifact", Status: 503, Times: 1}, {On: "artifact", Kind: "truncate", Times: 1}})
		w.want(w.do("GET", path, w.Stored(bot), nil), 503, "")
		if _, err := w.try("GET", path, w.Stored(bot), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", path, err)
		}
		w.want(w.do("GET", path, w.Stored(bot), nil), 200, "")
	}
}

func TestOverrun(t *testing.T) {
	w := newWorld(t, Config{Faults: []Fault{{On: "ping", Kind: "overrun", Body: "and more"}}}, IssuerConfig{})
	conn, err := tls.Dial("tcp", strings.TrimPrefix(w.URL(), "https://"), &tls.Config{RootCAs: testCA().Pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET "+api+"system/ping HTTP/1.1\r\nHost: x\r\n\r\n")
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(text), "\r\nContent-Length: 2\r\n\r\nOKand more") {
		t.Errorf("%q, %v", text, err)
	}
	if r := w.Requests(); r[0].Status != 200 || r[0].Fault != "overrun" {
		t.Errorf("requests: %+v", r)
	}
}

func TestLateFault(t *testing.T) {
	w := newWorld(t, Config{Faults: []Fault{{On: "exchange", Kind: "late", DelayMS: 50}}}, IssuerConfig{})
	stored := make(chan time.Time, 1)
	w.SetHook(func(point string) {
		if point == "exchange:stored" {
			stored <- time.Now()
		}
	})
	body, _ := json.Marshal(map[string]string{
		"grant_type": grantExchange, "subject_token_type": typeIDToken, "provider_name": "github", "subject_token": w.issuer.Mint("", nil),
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "POST", w.URL()+api+"oidc/token", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	if _, err := w.send(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	gone := time.Now()
	if n := len(w.Issued()); n != 0 {
		t.Errorf("%d issued while the client was there", n)
	}
	if at := <-stored; at.Sub(gone) < 20*time.Millisecond {
		t.Errorf("stored %v after the client had gone", at.Sub(gone))
	}
	if n := len(w.Alive()); n != 1 {
		t.Errorf("%d alive", n)
	}
}

func TestHook(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	var points []string
	w.SetHook(func(point string) {
		points = append(points, point)
		if point == "create:stored" && len(w.Alive()) != 1 {
			t.Error("nothing stored")
		}
	})
	r := w.create(w.Stored(bot), `{}`)
	w.do("DELETE", api+"tokens/"+r.str("token_id"), r.str("access_token"), nil)
	w.create("", `{"grant_type": "refresh_token"}`)
	if got := strings.Join(points, " "); got != "create:received create:stored revoke:received revoke:stored refresh:received" {
		t.Errorf("points: %s", got)
	}
}

func TestCertificates(t *testing.T) {
	ca := testCA()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})
	past := time.Now().Add(-time.Hour)
	for name, test := range map[string]struct {
		cert tls.Certificate
		want string
	}{
		"good":     {ca.Certificate([]string{"127.0.0.1", "acme.jfrog.test"}, time.Time{}, time.Time{}), ""},
		"expired":  {ca.Certificate([]string{"127.0.0.1"}, past.Add(-time.Hour), past), "expired"},
		"name":     {ca.Certificate([]string{"acme.jfrog.test"}, time.Time{}, time.Time{}), "127.0.0.1"},
		"stranger": {NewCA().Certificate([]string{"127.0.0.1"}, time.Time{}, time.Time{}), "x509"},
	} {
		srv, err := NewServer(handler, "", &test.cert)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
		_, err = client.Get(srv.URL)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		client.CloseIdleConnections()
		srv.Close()
	}
	if !strings.HasPrefix(string(ca.PEM()), "-----BEGIN CERTIFICATE-----") {
		t.Error("no PEM")
	}
}

// Without a connection to take over, a cut is an aborted handler.
func TestCutWithoutConnection(t *testing.T) {
	p, err := New(Config{Faults: []Fault{{On: "ping", Kind: "close"}}}, NewIssuer(IssuerConfig{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("not aborted")
		}
	}()
	p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", api+"system/ping", nil))
}
