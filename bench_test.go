package main_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// oneWay is what the lines of the benchmarks take for each direction. A round
// trip is long against what a run costs by itself, so that counting is safe.
const oneWay = 40 * time.Millisecond

// farAway is a line to a server: every flight takes oneWay in each direction.
// Where setUp is on, a connection is usable a round trip after it was asked
// for, as with TCP; on loopback it is at once.
type farAway struct {
	listener net.Listener
	to       string
	delay    atomic.Bool
	setUp    atomic.Bool
}

func newFarAway(b *testing.B, url string) *farAway {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	f := &farAway{listener: l, to: strings.TrimPrefix(url, "https://")}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			usable := time.Now()
			if f.delay.Load() && f.setUp.Load() {
				usable = usable.Add(2 * oneWay)
			}
			there, err := net.Dial("tcp", f.to)
			if err != nil {
				here.Close()
				continue
			}
			go f.carry(there, here, usable)
			go f.carry(here, there, usable)
		}
	}()
	return f
}

// URL is where the line begins.
func (f *farAway) URL() string { return "https://" + f.listener.Addr().String() }

// carry takes what is sent from one end to the other. What was sent before the
// connection was usable leaves then.
func (f *farAway) carry(to, from net.Conn, usable time.Time) {
	type flight struct {
		bytes   []byte
		arrives time.Time
	}
	flights := make(chan flight, 1024)
	go func() {
		defer to.Close()
		for fl := range flights {
			time.Sleep(time.Until(fl.arrives))
			if _, err := to.Write(fl.bytes); err != nil {
				from.Close()
			}
		}
	}()
	defer close(flights)
	for {
		p := make([]byte, 32<<10)
		n, err := from.Read(p)
		arrives := time.Now()
		if usable.After(arrives) {
			arrives = usable
		}
		if f.delay.Load() {
			arrives = arrives.Add(oneWay)
		}
		if n > 0 {
			flights <- flight{p[:n], arrives}
		}
		if err != nil {
			return
		}
	}
}

// site is a JFrog Platform and a CI over TLS, each at the far end of a line.
// They reach each other, for the issuer's keys, without one.
type site struct {
	runner *runnertest.Runner
	action *runnertest.Action
	with   map[string]string
	token  string // stored
	lines  []*farAway
}

func newSite(b *testing.B) *site {
	b.Helper()
	ca := jfrogtest.NewCA()
	certificate := ca.Certificate([]string{"127.0.0.1"}, time.Time{}, time.Time{})
	issuer := jfrogtest.NewIssuer(jfrogtest.IssuerConfig{})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	platform, err := jfrogtest.New(jfrogtest.Config{Tokens: []jfrogtest.StoredToken{{User: "ci-bot"}}}, issuer, client)
	if err != nil {
		b.Fatal(err)
	}
	s := &site{token: platform.Stored(0)}
	for _, h := range []struct {
		http.Handler
		setURL func(string)
	}{{platform, platform.SetURL}, {issuer, issuer.SetURL}} {
		server, err := jfrogtest.NewServer(h, "", &certificate)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(server.Close)
		h.setURL(server.URL)
		s.lines = append(s.lines, newFarAway(b, server.URL))
	}
	b.Cleanup(func() { platform.Close(); issuer.Close(); client.CloseIdleConnections() })
	dir := b.TempDir()
	roots := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(roots, ca.PEM(), 0o600); err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile("action.yml")
	if err != nil {
		b.Fatal(err)
	}
	if s.action, err = runnertest.ParseAction(text); err != nil {
		b.Fatal(err)
	}
	s.with = map[string]string{"url": s.lines[0].URL(), "ca-cert": roots}
	s.runner = &runnertest.Runner{Dir: dir, Env: map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/app", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_WORKFLOW": "Build", "GITHUB_JOB": "test",
		"ACTIONS_ID_TOKEN_REQUEST_URL":   strings.Replace(issuer.RequestURL(), issuer.URL(), s.lines[1].URL(), 1),
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": issuer.RequestToken(), "SYSTEMROOT": os.Getenv("SYSTEMROOT"),
	}}
	return s
}

func (s *site) set(delay, setUp bool) {
	for _, l := range s.lines {
		l.delay.Store(delay)
		l.setUp.Store(setUp)
	}
}

// run runs the binary as the runner does, and gives what it took.
func (s *site) run(b *testing.B, step *runnertest.Step, args ...string) time.Duration {
	b.Helper()
	p := s.runner.Command(step, binary, args...)
	began := time.Now()
	res, err := p.Run()
	took := time.Since(began)
	if err != nil {
		b.Fatal(err)
	}
	if res.Code != 0 || res.Err != nil {
		b.Fatalf("exit code %d, %v\n%s", res.Code, res.Err, res.Log)
	}
	return took
}

// rounds is how often each kind of run is done, at least.
const rounds = 7

// roundTrips reports how many round trips a run waits for: what it takes
// longer over a slow line than over none. The fastest of a few runs counts:
// whatever else this machine does only adds to one.
func roundTrips(b *testing.B, s *site, prepare func() *runnertest.Step, args ...string) {
	s.run(b, prepare(), args...) // the embedded platform makes its keys
	const long = time.Hour
	near, far, farWithSetUp := long, long, long
	for b.Loop() {
		for range rounds {
			for _, m := range []struct {
				delay, setUp bool
				fastest      *time.Duration
			}{{false, false, &near}, {true, false, &far}, {true, true, &farWithSetUp}} {
				s.set(false, false)
				step := prepare()
				s.set(m.delay, m.setUp)
				*m.fastest = min(*m.fastest, s.run(b, step, args...))
			}
		}
	}
	trips := func(with time.Duration) float64 { return float64(with-near) / float64(2*oneWay) }
	b.ReportMetric(trips(farWithSetUp), "rtts")
	b.ReportMetric(trips(far), "rtts-without-tcp")
	b.ReportMetric(float64(near)/float64(time.Millisecond), "ms-of-its-own")
	b.ReportMetric(0, "ns/op")
}

// OIDC mode: TLS and a request to the CI, and a request to JFrog over the
// connection that was opened meanwhile.
func BenchmarkOIDCRoundTrips(b *testing.B) {
	s := newSite(b)
	s.with["oidc-provider-name"] = "github"
	roundTrips(b, s, func() *runnertest.Step { return &runnertest.Step{Action: s.action, With: s.with} })
}

// Stored mode: TLS and a request.
func BenchmarkStoredRoundTrips(b *testing.B) {
	s := newSite(b)
	s.with["access-token"] = s.token
	roundTrips(b, s, func() *runnertest.Step { return &runnertest.Step{Action: s.action, With: s.with} })
}

// The post step: TLS and a request.
func BenchmarkRevokeRoundTrips(b *testing.B) {
	s := newSite(b)
	s.with["access-token"] = s.token
	roundTrips(b, s, func() *runnertest.Step {
		step := &runnertest.Step{Action: s.action, With: s.with}
		s.run(b, step)
		return step
	}, "revoke")
}

// BenchmarkStart reports what a run costs that does nothing, at its fastest.
func BenchmarkStart(b *testing.B) {
	fastest := time.Hour
	for b.Loop() {
		began := time.Now()
		if out, err := exec.Command(binary, "version").CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		fastest = min(fastest, time.Since(began))
	}
	b.ReportMetric(float64(fastest)/float64(time.Millisecond), "ms/op")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSize reports the size of the binary as it is released for linux on
// amd64: every user's job downloads it.
func BenchmarkSize(b *testing.B) {
	path := filepath.Join(b.TempDir(), "jfrog-token")
	for b.Loop() {
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "nethttpomithttp2", "-ldflags", "-s -w -buildid=", "-o", path, ".")
		build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size()), "bytes")
	b.ReportMetric(0, "ns/op")
}
