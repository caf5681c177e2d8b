// Package e2e is the house of everything that runs the real binary: scenarios, matrices of faults and signals, benchmarks,
// and the demo. Site is the world that all of them run it in.
package e2e

import (
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// The arguments that the action's launcher passes to the binary, in the main step and in the post step.
var (
	mainArgs = []string{"action", "main"}
	postArgs = []string{"action", "post"}
)

// Options describes a Site.
type Options struct {
	JFrog   jfrogtest.Config
	Issuer  jfrogtest.IssuerConfig
	Network Network
	Addr    string    // of the platform; a free port unless set
	CIAddr  string    // of the CI; a free port unless set
	Log     io.Writer // gets a line for each request

	// Dir is the directory in which the steps run, and holds ca.pem and the command files. Without it there is no runner.
	Dir    string
	Action string // the path of action.yml
	Binary string // the path of jfrog-token
}

// Site is what a job has around it: a JFrog Platform, a CI, the network between them, and a runner with one step.
type Site struct {
	Platform *jfrogtest.Platform
	Issuer   *jfrogtest.Issuer
	Proxy    *Proxy // nil: none
	Dir      string

	Runner *runnertest.Runner
	Step   *runnertest.Step
	// MainCommand and PostCommand are how the runner starts the step's two programs.
	MainCommand, PostCommand []string

	ca      *jfrogtest.CA // nil: plain HTTP
	open    atomic.Int32  // connections to the servers
	closers []func()
}

// NewSite starts a platform, a CI and, where Options ask for one, a proxy.
func NewSite(o Options) (_ *Site, err error) {
	s := &Site{Dir: o.Dir, Issuer: jfrogtest.NewIssuer(o.Issuer)}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	s.onClose(s.Issuer.Close)
	if !o.Network.Plain {
		s.ca = jfrogtest.NewCA()
	}
	if s.Platform, err = jfrogtest.New(o.JFrog, s.Issuer, s.Client()); err != nil {
		return nil, err
	}
	s.onClose(s.Platform.Close)
	wrap := func(h http.Handler) http.Handler { return h }
	if o.Log != nil {
		wrap = (&requestLog{to: o.Log, site: s}).wrap
	}
	ciAddress, err := s.listen(o.CIAddr, wrap(s.Issuer), Network{})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.Platform)
	mux.HandleFunc("GET /ledger", s.ledger)
	jfrogAddress, err := s.listen(o.Addr, wrap(mux), o.Network)
	if err != nil {
		return nil, err
	}
	scheme := "https://"
	if s.ca == nil {
		scheme = "http://"
	}
	s.Issuer.SetURL(scheme + ciAddress)
	s.Platform.SetURL(scheme + jfrogAddress)
	if o.Network.Proxy != 0 {
		s.Proxy = &Proxy{status: o.Network.Proxy, to: jfrogAddress}
		if s.Proxy.Address, err = s.serve("", s.Proxy, nil); err != nil {
			return nil, err
		}
	}
	if o.Dir != "" {
		err = s.newRunner(o)
	}
	return s, err
}

// quick are variables without which a run of the binary takes long for nothing. The directory of certificates has some
// 300 files, beside the one that has them all: to read them is half of what a run costs. And the race detector waits for a
// second at the exit: https://go.dev/doc/articles/race_detector#Options
var quick = map[string]string{"SSL_CERT_DIR": "/nonexistent", "GORACE": "atexit_sleep_ms=20"}

func (s *Site) newRunner(o Options) error {
	text, err := os.ReadFile(o.Action)
	if err != nil {
		return err
	}
	action, err := runnertest.ParseAction(text)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Action, err)
	}
	s.Step = &runnertest.Step{Action: action, With: s.Inputs()}
	if s.ca != nil {
		if err := os.WriteFile(filepath.Join(s.Dir, "ca.pem"), s.ca.PEM(), 0o600); err != nil {
			return err
		}
	}
	files := filepath.Join(s.Dir, ".runner")
	if err := os.Mkdir(files, 0o700); err != nil {
		return err
	}
	s.Runner = &runnertest.Runner{Dir: files, Env: map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/app",
		"GITHUB_WORKFLOW": "Build", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_NUMBER": "42", "GITHUB_RUN_ATTEMPT": "1",
		"GITHUB_JOB": "test", "GITHUB_ACTION": "jfrog", "GITHUB_SHA": "2f1e6b8c5d4a39e7f60718293a4b5c6d7e8f9012", "GITHUB_REF_NAME": "main",
		"GITHUB_EVENT_NAME": "push", "GITHUB_ACTOR": "octocat",
		"ACTIONS_ID_TOKEN_REQUEST_URL":   s.Issuer.RequestURL(),
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": s.Issuer.RequestToken(),
		"PATH":                           os.Getenv("PATH"), "HOME": s.Dir, "SYSTEMROOT": os.Getenv("SYSTEMROOT"),
	}}
	maps.Copy(s.Runner.Env, quick)
	s.MainCommand = append([]string{o.Binary}, mainArgs...)
	s.PostCommand = append([]string{o.Binary}, postArgs...)
	return nil
}

// CA returns the certificate authority of the site's servers in PEM, and nothing on a plain site.
func (s *Site) CA() []byte {
	if s.ca == nil {
		return nil
	}
	return s.ca.PEM()
}

// Inputs returns the inputs that every step needs here.
func (s *Site) Inputs() map[string]string {
	with := map[string]string{"url": s.Platform.URL()}
	if s.ca != nil {
		with["ca-cert"] = "ca.pem"
	}
	return with
}

func (s *Site) onClose(f func()) { s.closers = append(s.closers, f) }

// Close stops all servers and the requests that they keep hanging.
func (s *Site) Close() {
	for i := range s.closers {
		s.closers[len(s.closers)-1-i]()
	}
	s.closers = nil
}

// Main prepares the main step for Start.
func (s *Site) Main() *runnertest.Process { return s.process(s.MainCommand) }

// Post prepares the post step for Start.
func (s *Site) Post() *runnertest.Process { return s.process(s.PostCommand) }

// process holds a pipe on the program's standard input open until the program ends, as the action's launcher does.
func (s *Site) process(command []string) *runnertest.Process {
	p := s.Runner.Command(s.Step, command[0], command[1:]...)
	p.Cmd.Dir = s.Dir
	if _, err := p.Cmd.StdinPipe(); err != nil {
		panic(err) // it has no standard input yet
	}
	return p
}

// agent marks requests that are not the binary's.
const agent = "e2e"

// Client returns a client that trusts the site's servers.
func (s *Site) Client() *http.Client {
	t := &http.Transport{DisableKeepAlives: true}
	if s.ca != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: s.ca.Pool()}
	}
	return &http.Client{Transport: t, Timeout: 10 * time.Second}
}

// VersionPath is what Use asks Artifactory for.
const VersionPath = "/artifactory/api/system/version"

// Use sends one request to Artifactory with a token, as a later step would, and returns the status. Where user is set,
// the token is its password.
func (s *Site) Use(user, token string) (int, error) {
	authorization := "Bearer " + token
	if user != "" {
		authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+token))
	}
	return s.Send(http.MethodGet, VersionPath, authorization)
}

// Send sends a request to the platform that Sent does not count, and returns the status.
func (s *Site) Send(method, path, authorization string) (int, error) {
	req, err := http.NewRequest(method, s.Platform.URL()+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Authorization", authorization)
	res, err := s.Client().Do(req)
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	return res.StatusCode, nil
}

// Sent lists the requests of the binary so far, to the CI and to the platform.
func (s *Site) Sent() (ci, jfrog []jfrogtest.Request) {
	for _, r := range s.Issuer.Requests() {
		if !strings.HasPrefix(r.Path, "/.well-known/") { // JFrog reads the issuer's keys there
			ci = append(ci, r)
		}
	}
	for _, r := range s.Platform.Requests() {
		if r.Header.Get("User-Agent") != agent {
			jfrog = append(jfrog, r)
		}
	}
	return ci, jfrog
}

// SetFaults makes the platform and the CI misbehave from here on.
func (s *Site) SetFaults(faults []jfrogtest.Fault) {
	s.Platform.SetFaults(faults)
	s.Issuer.SetFaults(faults)
}

// SetHook sets the hook of the platform and of the CI.
func (s *Site) SetHook(hook func(point string)) {
	s.Platform.SetHook(hook)
	s.Issuer.SetHook(hook)
}

// Settle waits until the servers are done with what a client that has gone asked for.
func (s *Site) Settle() {
	for s.open.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// Secrets lists every secret of the platform and of the CI.
func (s *Site) Secrets() []jfrogtest.Secret {
	return append(s.Platform.Secrets(), s.Issuer.Secrets()...)
}

// ledger lists every token that was issued since the start and would still be accepted, which JFrog's own list does not:
// it leaves out what it does not store. It says how many requests the platform got, too.
func (s *Site) ledger(w http.ResponseWriter, _ *http.Request) {
	type line struct {
		ID        string `json:"id"`
		User      string `json:"user"`
		Scope     string `json:"scope"`
		Expiry    string `json:"expiry"`
		Revocable bool   `json:"revocable"`
	}
	answer := struct {
		Requests int    `json:"requests"`
		Alive    []line `json:"alive"`
	}{len(s.Platform.Requests()), []line{}}
	for _, t := range s.Platform.Alive() {
		answer.Alive = append(answer.Alive, line{t.ID, t.User, t.Scope, t.Expiry.UTC().Format(time.RFC3339), t.Revocable})
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(answer)
}

// listen serves h over TLS, or over HTTP on a plain site.
func (s *Site) listen(addr string, h http.Handler, n Network) (string, error) {
	if s.ca == nil {
		return s.serve(addr, h, nil)
	}
	return s.serve(addr, h, n.tls(s.ca))
}

// serve serves h at addr, over TLS where that is configured, and returns the address.
func (s *Site) serve(addr string, h http.Handler, config *tls.Config) (string, error) {
	address, stop, err := serve(cmp.Or(addr, "127.0.0.1:0"), h, config, &s.open)
	if err == nil {
		s.onClose(stop)
	}
	return address, err
}
