package wire_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// A herd is many jobs that start within a second, as a nightly schedule starts
// them, against one platform that limits requests. It runs in virtual time,
// with the defaults of the inputs timeout and max-attempts.
const (
	herdTimeout  = 2 * time.Minute
	herdAttempts = 10
	herdLatency  = 50 * time.Millisecond
)

// manners are what a platform says to the requests that it refuses, and when
// it refuses all of them, with 503.
type manners struct {
	tooMany    retryAfter // with 429
	outOfOrder retryAfter // with 503
	down, up   time.Duration
}

// retryAfter gives the field of one answer; nil: there is none.
type retryAfter func(*busyPlatform) time.Duration

func saysAlways(d time.Duration) retryAfter {
	return func(*busyPlatform) time.Duration { return d }
}

// whenFree is what a platform says that counts whom it refuses: the seconds
// after which it could have served as many.
func whenFree(p *busyPlatform) time.Duration {
	return time.Duration(math.Ceil(p.owed/p.rate)) * time.Second
}

// sameDate is what a platform says that counts in windows: when the next one
// begins, and so the same date to everyone.
func sameDate(p *busyPlatform) time.Duration {
	const window = 10 * time.Second
	return window - time.Since(p.start)%window
}

// whenUp is what a platform says that knows when its maintenance ends.
func whenUp(p *busyPlatform) time.Duration {
	return time.Duration(math.Ceil((p.up - time.Since(p.start)).Seconds())) * time.Second
}

// busyPlatform serves rate requests a second, out of a bucket that holds a few, and
// answers 429 to the others.
type busyPlatform struct {
	manners
	rate     float64
	mu       sync.Mutex
	start    time.Time
	last     time.Time
	bucket   float64
	owed     float64 // requests that were refused, less those that could have been served since
	requests []int   // in each second
}

const herdBurst = 20

func (p *busyPlatform) answer() error {
	time.Sleep(herdLatency)
	p.mu.Lock()
	defer p.mu.Unlock()
	could := time.Since(p.last).Seconds() * p.rate
	p.last = time.Now()
	p.bucket = min(p.bucket+could, herdBurst)
	p.owed = max(p.owed-could, 0)
	at := time.Since(p.start)
	for len(p.requests) <= int(at.Seconds()) {
		p.requests = append(p.requests, 0)
	}
	p.requests[int(at.Seconds())]++
	switch {
	case at >= p.down && at < p.up:
		return p.refuse(http.StatusServiceUnavailable, p.outOfOrder)
	case p.bucket < 1:
		p.owed++
		return p.refuse(http.StatusTooManyRequests, p.tooMany)
	}
	p.bucket--
	return nil
}

func (p *busyPlatform) refuse(status int, after retryAfter) error {
	e := &wire.Error{Method: http.MethodPost, Host: "jfrog.test", Path: "/", Status: status, RetryAfter: -1}
	if after != nil {
		e.RetryAfter = after(p)
	}
	return e
}

// waves tells how far the requests after the first five seconds come in waves.
// peak is the busiest second against the mean of all; wave is the busiest
// second against the mean of the eleven around it, where it is more than the
// platform can serve: 1 is an even stream, 11 is all of them in one second.
func (p *busyPlatform) waves() (peak, wave float64) {
	mean := func(seconds []int) float64 {
		sum := 0
		for _, n := range seconds {
			sum += n
		}
		return float64(sum) / float64(len(seconds))
	}
	for i := 5; i < len(p.requests); i++ {
		n := float64(p.requests[i])
		peak = max(peak, n/mean(p.requests[5:]))
		if n > p.rate {
			around := make([]int, 11)
			copy(around, p.requests[i-5:])
			wave = max(wave, n/mean(around))
		}
	}
	return peak, wave
}

type herdResult struct {
	tokens, requests, most int
	last                   time.Duration
	peak, wave             float64
	gaveUp                 map[string]int // why, by how many
}

// herd must run in a bubble of its own.
func herd(jobs int, rate float64, m manners) herdResult {
	p := &busyPlatform{manners: m, rate: rate, bucket: herdBurst, start: time.Now(), last: time.Now()}
	r := herdResult{gaveUp: map[string]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range jobs {
		wg.Go(func() {
			time.Sleep(rand.N(time.Second))
			ctx, cancel := context.WithTimeout(context.Background(), herdTimeout)
			defer cancel()
			requests := 0
			err := wire.Policy{MaxAttempts: herdAttempts}.Retry(ctx, func() error {
				requests++
				return p.answer()
			})
			mu.Lock()
			defer mu.Unlock()
			r.requests += requests
			r.most = max(r.most, requests)
			if err == nil {
				r.tokens++
				r.last = time.Since(p.start)
				return
			}
			why := err.Error()
			var over *wire.GaveUp
			if errors.As(err, &over) {
				why = over.Why
			}
			r.gaveUp[why]++
		})
	}
	wg.Wait()
	r.peak, r.wave = p.waves()
	return r
}

const outageFrom, outageUntil = 10 * time.Second, 70 * time.Second

// The aim is three requests a job where there is a Retry-After that helps.
var herds = []struct {
	name string
	most float64 // requests a job, when every job gets a token; 0: that is not promised
	manners
}{
	{"retry-after=1", 3, manners{tooMany: saysAlways(time.Second)}},
	{"retry-after=30", 3, manners{tooMany: saysAlways(30 * time.Second)}},
	{"retry-after=60", 0, manners{tooMany: saysAlways(time.Minute)}},
	{"retry-after=when-free", 3, manners{tooMany: whenFree}},
	{"retry-after=same-date", 3, manners{tooMany: sameDate}},
	{"retry-after=0", 7, manners{tooMany: saysAlways(0)}},
	{"retry-after=none", 7, manners{}},
	{"outage/retry-after=when-up", 0, manners{whenFree, whenUp, outageFrom, outageUntil}},
	{"outage/retry-after=30", 0, manners{saysAlways(30 * time.Second), saysAlways(30 * time.Second), outageFrom, outageUntil}},
	{"outage/retry-after=none", 0, manners{nil, nil, outageFrom, outageUntil}},
}

// BenchmarkHerd measures ten thousand jobs against 200 requests a second, which
// could all be served in 50 s; with the outage, in 110 s of a timeout of 120 s.
func BenchmarkHerd(b *testing.B) {
	for _, h := range herds {
		b.Run(h.name, func(b *testing.B) { measureHerd(b, 10_000, 200, h.manners) })
		if h.up > 0 { // and as many jobs as are not the platform's limit
			b.Run(h.name+"/2000-jobs", func(b *testing.B) { measureHerd(b, 2_000, 200, h.manners) })
		}
	}
}

func measureHerd(b *testing.B, jobs int, rate float64, m manners) {
	var r herdResult
	for b.Loop() {
		inBubble(b, func() { r = herd(jobs, rate, m) })
	}
	b.ReportMetric(float64(r.tokens), "tokens")
	b.ReportMetric(float64(r.requests)/float64(jobs), "requests/job")
	b.ReportMetric(float64(r.most), "most-requests")
	b.ReportMetric(r.last.Seconds(), "s-to-last")
	b.ReportMetric(r.peak, "peak/mean")
	b.ReportMetric(r.wave, "wave")
	b.ReportMetric(0, "ns/op") // real time, of virtual seconds
}

// inBubble lends a benchmark the testing.T that synctest wants.
func inBubble(b *testing.B, f func()) {
	all := func(_, _ string) (bool, error) { return true, nil }
	bubble := func(t *testing.T) { synctest.Test(t, func(*testing.T) { f() }) }
	if !testing.RunTests(all, []testing.InternalTest{{Name: b.Name(), F: bubble}}) {
		b.Fatal("the bubble failed")
	}
}

// TestHerd keeps what BenchmarkHerd measures, at a fifth of its size: the race
// detector has room for 8128 goroutines.
func TestHerd(t *testing.T) {
	const jobs, rate = 2_000, 40
	for _, h := range herds {
		if h.most == 0 {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := herd(jobs, rate, h.manners)
				if r.tokens != jobs {
					t.Errorf("%d of %d jobs got a token; the others: %v", r.tokens, jobs, r.gaveUp)
				}
				if each := float64(r.requests) / jobs; each > h.most {
					t.Errorf("%.2f requests a job, more than %.0f", each, h.most)
				}
				if r.wave > 3 {
					t.Errorf("one second has %.1f times the requests of the seconds around it", r.wave)
				}
			})
		})
	}
}
