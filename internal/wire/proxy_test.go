package wire_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// net/http reads HTTPS_PROXY and NO_PROXY once a process, so each case is a
// process of its own: this test binary again, as TestInAProcessOfItsOwn.
const (
	childURL   = "WIRE_TEST_URL"
	childRoots = "WIRE_TEST_ROOTS"
)

// outcome is what such a process says of one request.
type outcome struct {
	Status                                  int
	Text                                    string
	Retryable, Proxy, Certificate, Sent, Ok bool
}

func TestInAProcessOfItsOwn(t *testing.T) {
	target := os.Getenv(childURL)
	if target == "" {
		return // in the process of the tests there is nothing to do
	}
	pem, err := os.ReadFile(os.Getenv(childRoots))
	if err != nil {
		t.Fatal(err)
	}
	roots := func() *x509.CertPool {
		pool := authority().Pool()
		pool.AppendCertsFromPEM(pem)
		return pool
	}
	c := wire.New(wire.Options{Roots: roots, AllRoots: roots, UserAgent: "jfrog-token/test"})
	u := parse(t, target)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c.Connect(ctx, u)
	var answer map[string]string
	status, err := c.Do(ctx, wire.Request{Method: http.MethodPost, URL: u, Bearer: secret.New("bearer-needle"), Body: "body-needle", Mints: true}, &answer)
	if err == nil { // and once more: the connection stays
		_, err = c.Do(ctx, wire.Request{Method: http.MethodDelete, URL: u, Bearer: secret.New("bearer-needle")}, nil)
	}
	o := outcome{Status: status, Ok: err == nil && answer["access_token"] == "x", Text: fmt.Sprintf("%v %+v", err, err)}
	var e *wire.Error
	if errors.As(err, &e) {
		o.Retryable, o.Proxy, o.Certificate, o.Sent = e.Retryable(), wire.IsProxy(e.Err), wire.IsCertificate(e.Err), e.Sent
		o.Text += " " + e.Reason() + fmt.Sprintf(" %#v", e)
	}
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		t.Fatal(err)
	}
}

// alone runs TestInAProcessOfItsOwn with variables.
func alone(t *testing.T, roots, target string, variables ...string) outcome {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run=^TestInAProcessOfItsOwn$", "-test.v=false")
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.HasSuffix(strings.ToUpper(name), "_PROXY") && name != "REQUEST_METHOD" && name != "GOCOVERDIR" {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, childURL+"="+target, childRoots+"="+roots), variables...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, stderr.Bytes())
	}
	var o outcome
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&o); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return o
}

// forward is a proxy. It connects every CONNECT to one address, whatever name
// it is for.
type forward struct {
	to     string
	status int    // other than 200: refuses
	body   string // of a refusal

	mu   sync.Mutex
	seen []*http.Request
}

func (f *forward) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r)
	f.mu.Unlock()
	if f.status != 0 {
		w.Header().Set("Proxy-Authenticate", `Basic realm="needle"`)
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, f.body)
		return
	}
	there, err := net.Dial("tcp", f.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		there.Close()
		return
	}
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { _, _ = io.Copy(there, here); there.Close() }()
	go func() { _, _ = io.Copy(here, there); here.Close() }()
}

func (f *forward) requests() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*http.Request(nil), f.seen...)
}

// No name here can be resolved: what arrives came through the proxy. Loopback
// addresses never go through one (golang.org/x/net/http/httpproxy).
func TestProxy(t *testing.T) {
	t.Parallel()
	ca := jfrogtest.NewCA()
	roots := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(roots, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	origin := func(t *testing.T, name string) (*jfrogtest.Server, func() []*http.Request) {
		var mu sync.Mutex
		var seen []*http.Request
		certificate := ca.Certificate([]string{name, "127.0.0.1"}, time.Time{}, time.Time{})
		s, err := jfrogtest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, r)
			_, _ = io.WriteString(w, `{"access_token":"x"}`)
		}), "", &certificate)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s, func() []*http.Request { mu.Lock(); defer mu.Unlock(); return seen }
	}
	const password = "pass-needle"
	for _, c := range []struct {
		name        string
		target      string // its port is the origin's if it is 0
		certificate string // the name in it
		proxy       *forward
		variables   func(proxy string) []string
		connects    int    // that the proxy saw
		arrived     int    // that the origin saw
		credentials string // that the proxy saw
		want        outcome
	}{
		{name: "HTTPS_PROXY", target: "https://jfrog.invalid/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p} },
			connects:  1, arrived: 2, want: outcome{Status: 200, Ok: true}},
		{name: "https_proxy without a scheme", target: "https://jfrog.invalid:8443/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"https_proxy=" + p} },
			connects:  1, arrived: 2, want: outcome{Status: 200, Ok: true}},
		{name: "a proxy with a password", target: "https://jfrog.invalid/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://user-needle:" + password + "@" + p} },
			connects:  1, arrived: 2, credentials: "user-needle:" + password, want: outcome{Status: 200, Ok: true}},
		{name: "HTTP_PROXY is not for https", target: "https://127.0.0.1:0/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTP_PROXY=http://" + p} },
			arrived:   2, want: outcome{Status: 200, Ok: true}},
		{name: "loopback needs no proxy", target: "https://127.0.0.1:0/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p} },
			arrived:   2, want: outcome{Status: 200, Ok: true}},
		{name: "loopback of IPv6 needs no proxy", target: "https://[::1]:1/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p} },
			want:      outcome{Retryable: true}},
		// 0.0.0.0 is no loopback address, but leads to this machine where it
		// leads anywhere; whether it does is not the question.
		{name: "NO_PROXY", target: "https://0.0.0.0:1/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p, "NO_PROXY=0.0.0.0"} },
			want:      outcome{Retryable: true}},
		{name: "NO_PROXY of a network", target: "https://0.0.0.0:1/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p, "no_proxy=acme.test,0.0.0.0/8"} },
			want:      outcome{Retryable: true}},
		{name: "NO_PROXY of all", target: "https://0.0.0.0:1/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p, "NO_PROXY=*"} },
			want:      outcome{Retryable: true}},
		// A port in it counts: Connect and the request must agree on that.
		{name: "NO_PROXY of a host and a port", target: "https://0.0.0.0:0/x", certificate: "0.0.0.0", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p, "NO_PROXY=0.0.0.0:{port}"} },
			arrived:   2, want: outcome{Status: 200, Ok: true}},
		{name: "NO_PROXY of a host and another port", target: "https://jfrog.invalid:8443/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p, "NO_PROXY=jfrog.invalid:443"} },
			connects:  1, arrived: 2, want: outcome{Status: 200, Ok: true}},
		{name: "NO_PROXY of another host", target: "https://jfrog.invalid/x", certificate: "jfrog.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p, "NO_PROXY=frog.invalid,acme.test"} },
			connects:  1, arrived: 2, want: outcome{Status: 200, Ok: true}},

		{name: "407 is final", target: "https://jfrog.invalid/x", certificate: "jfrog.invalid", proxy: &forward{status: 407, body: "needle"},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://user-needle:" + password + "@" + p} },
			connects:  2, credentials: "user-needle:" + password, want: outcome{Proxy: true}},
		{name: "403 is final", target: "https://jfrog.invalid/x", certificate: "jfrog.invalid", proxy: &forward{status: 403, body: "needle"},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p} },
			connects:  2, want: outcome{Proxy: true}},
		{name: "503 is worth another try", target: "https://jfrog.invalid/x", certificate: "jfrog.invalid", proxy: &forward{status: 503, body: "needle"},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p} },
			connects:  2, want: outcome{Proxy: true, Retryable: true}},
		{name: "the certificate behind a proxy is checked", target: "https://jfrog.invalid/x", certificate: "other.invalid", proxy: &forward{},
			variables: func(p string) []string { return []string{"HTTPS_PROXY=http://" + p} },
			connects:  2, want: outcome{Certificate: true}},
		{name: "a proxy that is not there", target: "https://jfrog.invalid/x", certificate: "jfrog.invalid",
			variables: func(string) []string {
				return []string{"HTTPS_PROXY=http://user-needle:" + password + "@127.0.0.1:1"}
			},
			want: outcome{Proxy: true, Retryable: true}},
		{name: "a proxy that is no URL", target: "https://jfrog.invalid/x", certificate: "jfrog.invalid",
			variables: func(string) []string {
				return []string{"HTTPS_PROXY=http://user-needle:" + password + "@proxy.invalid:port"}
			},
			want: outcome{Proxy: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, arrived := origin(t, c.certificate)
			host := parse(t, s.URL).Host
			_, port, _ := strings.Cut(host, ":")
			target := strings.Replace(c.target, "0.0.0.0:0", "0.0.0.0:"+port, 1)
			target = strings.Replace(target, "127.0.0.1:0", host, 1)
			address := ""
			if c.proxy != nil {
				c.proxy.to = host
				p, err := jfrogtest.NewServer(c.proxy, "", nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(p.Close)
				address = strings.TrimPrefix(p.URL, "http://")
			}
			variables := c.variables(address)
			for i := range variables {
				variables[i] = strings.ReplaceAll(variables[i], "{port}", port)
			}
			got := alone(t, roots, target, variables...)
			if strings.Contains(got.Text, "needle") || strings.Contains(got.Text, base64.StdEncoding.EncodeToString([]byte("user-needle:"+password))) {
				t.Errorf("expected %q to be %q", got.Text, "without credentials, header and body")
			}
			text := got.Text
			got.Text = ""
			if got != c.want {
				t.Errorf("%s: expected %+v to be %+v", text, got, c.want)
			}
			if n := len(arrived()); n != c.arrived {
				t.Errorf("%s: expected %d requests to be %d", text, n, c.arrived)
			}
			if c.proxy == nil {
				return
			}
			// One: the request finds the connection that Connect made. Two: what
			// failed there is left for the request to meet.
			seen := c.proxy.requests()
			if len(seen) != c.connects {
				t.Fatalf("%s: expected %d requests to the proxy to be %d", text, len(seen), c.connects)
			}
			for _, r := range seen {
				u := parse(t, target)
				want := u.Hostname() + ":443"
				if p := u.Port(); p != "" {
					want = u.Host
				}
				if r.Method != http.MethodConnect || r.Host != want || r.Header.Get("Authorization") != "" {
					t.Errorf("expected %s %s to be %s %s", r.Method, r.Host, http.MethodConnect, want)
				}
				user, pass, _ := credentials(r)
				if got := strings.Trim(user+":"+pass, ":"); got != c.credentials {
					t.Errorf("expected %q to be %q", got, c.credentials)
				}
			}
			for _, r := range arrived() {
				if r.Header.Get("Proxy-Authorization") != "" || r.Header.Get("Authorization") != "Bearer bearer-needle" {
					t.Errorf("expected %q, %q to be %q, %q", r.Header.Get("Proxy-Authorization"), r.Header.Get("Authorization"), "", "Bearer bearer-needle")
				}
			}
		})
	}
}

func credentials(r *http.Request) (user, password string, ok bool) {
	return (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
}
