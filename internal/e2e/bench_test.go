package e2e

import (
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// far is a site whose platform and CI are each at the far end of a line. They reach each other, for the issuer's keys,
// without one.
type far struct {
	*Site
	lines []*farAway
}

func newFar(b *testing.B, with map[string]string) *far {
	b.Helper()
	site, err := NewSite(Options{JFrog: usual(), Dir: b.TempDir(), Action: action, Binary: binary})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(site.Close)
	s := &far{Site: site, lines: []*farAway{newFarAway(b, site.Platform.URL()), newFarAway(b, site.Issuer.URL())}}
	maps.Copy(s.Step.With, with)
	s.Step.With["url"] = s.lines[0].URL()
	const request = "ACTIONS_ID_TOKEN_REQUEST_URL"
	s.Runner.Env[request] = strings.Replace(s.Runner.Env[request], s.Issuer.URL(), s.lines[1].URL(), 1)
	return s
}

func (s *far) set(delay, setUp bool) {
	for _, l := range s.lines {
		l.delay.Store(delay)
		l.setUp.Store(setUp)
	}
}

// run runs a step's program as the runner does, and returns how long it took.
func (s *far) run(b *testing.B, p *runnertest.Process) time.Duration {
	b.Helper()
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

// roundTrips reports how many round trips a run waits for: what it takes longer over a slow line than over none. The
// fastest of a few runs counts: whatever else this machine does only adds to one.
func roundTrips(b *testing.B, s *far, prepare func() *runnertest.Process) {
	s.run(b, prepare()) // the embedded platform makes its keys
	const long = time.Hour
	near, away, awayWithSetUp := long, long, long
	for b.Loop() {
		for range rounds {
			for _, m := range []struct {
				delay, setUp bool
				fastest      *time.Duration
			}{{false, false, &near}, {true, false, &away}, {true, true, &awayWithSetUp}} {
				s.set(false, false)
				p := prepare()
				s.set(m.delay, m.setUp)
				*m.fastest = min(*m.fastest, s.run(b, p))
			}
		}
	}
	trips := func(with time.Duration) float64 { return float64(with-near) / float64(2*oneWay) }
	b.ReportMetric(trips(awayWithSetUp), "rtts")
	b.ReportMetric(trips(away), "rtts-without-tcp")
	b.ReportMetric(float64(near)/float64(time.Millisecond), "ms-of-its-own")
	b.ReportMetric(0, "ns/op")
}

// OIDC mode with one request: TLS and a request to the CI, and a request to JFrog over the connection that was opened
// meanwhile.
func BenchmarkOIDCRoundTrips(b *testing.B) {
	s := newFar(b, map[string]string{"oidc-provider-name": "github", "force-revocable": "false"})
	roundTrips(b, s, s.Main)
}

// OIDC mode by default: one request more creates the token that is handed on,
// and another revokes the exchanged one.
func BenchmarkSecondTokenRoundTrips(b *testing.B) {
	s := newFar(b, map[string]string{"oidc-provider-name": "github"})
	roundTrips(b, s, s.Main)
}

// The post step of OIDC mode by default: the exchanged token is no longer in the state.
func BenchmarkSecondTokenRevokeRoundTrips(b *testing.B) {
	s := newFar(b, map[string]string{"oidc-provider-name": "github"})
	roundTrips(b, s, func() *runnertest.Process {
		s.Step.State = nil
		s.run(b, s.Main())
		return s.Post()
	})
}

// Stored mode: TLS and a request.
func BenchmarkStoredRoundTrips(b *testing.B) {
	s := newFar(b, nil)
	s.Step.With["access-token"] = s.Platform.Stored(0)
	roundTrips(b, s, s.Main)
}

// The post step: TLS and a request.
func BenchmarkRevokeRoundTrips(b *testing.B) {
	s := newFar(b, nil)
	s.Step.With["access-token"] = s.Platform.Stored(0)
	roundTrips(b, s, func() *runnertest.Process {
		s.Step.State = nil
		s.run(b, s.Main())
		return s.Post()
	})
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

// released builds the program as .ci/dist builds a release, for goos and goarch.
func released(b *testing.B, goos, goarch string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "jfrog-token")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "nethttpomithttp2", "-gcflags=all=-l",
		"-gcflags="+module+"/internal/mask=", "-ldflags", "-s -w -buildid=", "-o", path, module)
	build.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return path
}

// BenchmarkSize reports the size of the binary as it is released for linux on
// amd64: every user's job downloads it.
func BenchmarkSize(b *testing.B) {
	var path string
	for b.Loop() {
		path = released(b, "linux", "amd64")
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size()), "bytes")
	b.ReportMetric(0, "ns/op")
}
