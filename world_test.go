package main_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// settings are what differs between two worlds.
type settings struct {
	issuer  jfrogtest.IssuerConfig
	jfrog   jfrogtest.Config
	network network
}

// network is what lies between a job and JFrog.
type network struct {
	Names   []string `json:"names"`   // of JFrog's certificate; 127.0.0.1 and localhost unless set
	Expired bool     `json:"expired"` // the certificate has
	TLS11   bool     `json:"tls11"`   // JFrog speaks TLS 1.1 and older alone
	Proxy   int      `json:"proxy"`   // the status with which a proxy answers CONNECT; 200 leads to JFrog, 0: there is none
}

func newWorld(dir string, s settings) (*world, error) {
	ca := jfrogtest.NewCA()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca.PEM(), 0o600); err != nil {
		return nil, err
	}
	w := &world{dir: dir, issuer: jfrogtest.NewIssuer(s.issuer)}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	s.jfrog.Sequential = true
	var err error
	if w.platform, err = jfrogtest.New(s.jfrog, w.issuer, client); err != nil {
		return nil, fmt.Errorf("jfrog.json: %w", err)
	}
	local := []string{"127.0.0.1", "localhost"}
	ciAddress, closeCI, err := listen(w.issuer, serverTLS(ca, network{Names: local}))
	if err != nil {
		return nil, err
	}
	if s.network.Names == nil {
		s.network.Names = local
	}
	jfrogAddress, closeJFrog, err := listen(w.platform, serverTLS(ca, s.network))
	if err != nil {
		return nil, err
	}
	w.issuer.SetURL("https://" + ciAddress)
	w.platform.SetURL("https://" + jfrogAddress)
	pairs := []string{jfrogAddress, "jfrog.test", ciAddress, "ci.test", dir, "$WORK"}
	w.close = func() {
		w.platform.Close()
		w.issuer.Close()
		closeJFrog()
		closeCI()
	}
	if s.network.Proxy != 0 {
		w.proxy = &proxy{status: s.network.Proxy, to: jfrogAddress}
		var closeProxy func()
		if w.proxy.address, closeProxy, err = listen(w.proxy, nil); err != nil {
			return nil, err
		}
		pairs = append(pairs, w.proxy.address, "proxy.test")
		closeRest := w.close
		w.close = func() { closeProxy(); closeRest() }
	}
	w.urls = strings.NewReplacer(pairs...)

	text, err := os.ReadFile("action.yml")
	if err != nil {
		return nil, err
	}
	action, err := runnertest.ParseAction(text)
	if err != nil {
		return nil, err
	}
	fileDir := filepath.Join(dir, ".runner")
	if err := os.Mkdir(fileDir, 0o700); err != nil {
		return nil, err
	}
	w.step = &runnertest.Step{Action: action}
	w.runner = &runnertest.Runner{Dir: fileDir, Env: map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/app",
		"GITHUB_WORKFLOW": "Build", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_NUMBER": "42", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "test",
		"GITHUB_SHA": "2f1e6b8c5d4a39e7f60718293a4b5c6d7e8f9012", "GITHUB_REF_NAME": "main", "GITHUB_EVENT_NAME": "push", "GITHUB_ACTOR": "octocat",
		"ACTIONS_ID_TOKEN_REQUEST_URL": w.issuer.RequestURL(), "ACTIONS_ID_TOKEN_REQUEST_TOKEN": w.issuer.RequestToken(),
		"PATH": os.Getenv("PATH"), "HOME": dir, "SYSTEMROOT": os.Getenv("SYSTEMROOT"),
	}}
	return w, nil
}

// inputs reads the with: of the step. It may name what a scenario cannot know:
// ${JF_URL}, ${STORED} (the first stored token), ${ID_TOKEN}. The platform's
// URL and authority are given where it does not.
func (w *world) inputs(text []byte) (map[string]string, error) {
	with := map[string]string{"url": w.platform.URL(), "ca-cert": "ca.pem"}
	var given map[string]string
	if err := yaml.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	for k, v := range given {
		with[k] = os.Expand(v, w.named)
	}
	return with, nil
}

func (w *world) named(name string) string {
	if v, ok := w.extra[name]; ok {
		return v
	}
	switch name {
	case "JF_URL":
		return w.platform.URL()
	case "JF_PORT":
		return w.platform.URL()[strings.LastIndexByte(w.platform.URL(), ':')+1:]
	case "CI_URL":
		return w.issuer.URL()
	case "STORED":
		return w.platform.Stored(0)
	case "ID_TOKEN":
		return w.issuer.Mint("https://github.com/acme", nil)
	case "ID_TOKEN_ENDING":
		return w.issuer.Mint("https://github.com/acme", map[string]any{"exp": time.Now().Add(30 * time.Second).Unix()})
	case "ID_TOKEN_EXPIRED":
		return w.issuer.Mint("https://github.com/acme", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})
	}
	return "${" + name + "}"
}

func serverTLS(ca *jfrogtest.CA, n network) *tls.Config {
	var end time.Time
	if n.Expired {
		end = time.Now().Add(-time.Minute)
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{ca.Certificate(n.Names, time.Time{}, end)},
		// HTTP/1.1 only: most faults need to take the connection over.
		NextProtos: []string{"http/1.1"},
	}
	if n.TLS11 {
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	return c
}

// listen serves h, over TLS where that is configured.
func listen(h http.Handler, config *tls.Config) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	go s.Serve(l)
	return address, func() { s.Close() }, nil
}

// proxy is an HTTP proxy that knows one host, jfrog.example.
type proxy struct {
	address string // its own
	status  int    // of its answer to CONNECT
	to      string // the address of JFrog
	tunnels atomic.Int32
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Host != "jfrog.example:443" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if p.status != http.StatusOK {
		w.Header().Set("Proxy-Authenticate", `Basic realm="::set-output name=token::proxy"`)
		w.WriteHeader(p.status)
		return
	}
	far, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	p.tunnels.Add(1)
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		far.Close()
		return
	}
	io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { io.Copy(far, buffered); far.Close() }()
	io.Copy(near, far)
	near.Close()
}

// run starts a step's program and kills it where it takes longer than limit,
// which nothing may.
func run(p *runnertest.Process, limit time.Duration) (*runnertest.Result, error) {
	if err := p.Start(); err != nil {
		return nil, err
	}
	var killed atomic.Bool
	t := time.AfterFunc(limit, func() { killed.Store(true); p.Cmd.Process.Kill() })
	res, err := p.Wait()
	t.Stop()
	if err == nil && killed.Load() {
		err = fmt.Errorf("it ran for over %v:\n%s", limit, res.Log)
	}
	return res, err
}
