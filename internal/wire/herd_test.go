package wire_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// A herd is a number of jobs that start within one second, as a nightly
// schedule starts them, against one platform that limits requests. It runs in
// virtual time, with the default values of timeout and max-attempts.
const (
	herdTimeout  = 2 * time.Minute
	herdAttempts = 10
	herdLatency  = 50 * time.Millisecond
)

// manners are what a platform says in the responses that refuse a request, and
// when it refuses all requests, with 503.
type manners struct {
	tooMany    retryAfter // with 429
	outOfOrder retryAfter // with 503
	down, up   time.Duration
}

// retryAfter returns the Retry-After of one response; nil: there is none.
type retryAfter func(*busyPlatform) time.Duration

func saysAlways(d time.Duration) retryAfter {
	return func(*busyPlatform) time.Duration { return d }
}

// whenFree is the Retry-After of a platform that counts the requests that it
// refuses: the seconds after which it could have served as many.
func whenFree(p *busyPlatform) time.Duration {
	return time.Duration(math.Ceil(p.owed/p.rate)) * time.Second
}

// sameDate is the Retry-After of a platform that counts in windows: the start
// of the next one, and so the same date for everyone.
func sameDate(p *busyPlatform) time.Duration {
	const window = 10 * time.Second
	return window - time.Since(p.start)%window
}

// whenUp is the Retry-After of a platform that knows when its maintenance ends.
func whenUp(p *busyPlatform) time.Duration {
	return time.Duration(math.Ceil((p.up - time.Since(p.start)).Seconds())) * time.Second
}

// busyPlatform serves rate requests a second, out of a bucket that holds a few,
// and responds with 429 to the others. Others have used up the first second, so
// that even a lone job meets Retry-After.
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

// capacity is the rate at which a herd of so many jobs is measured: 200 requests
// a second serve ten thousand jobs in 50 s, and 500 in 2.5 s. They would serve
// fewer than 200 jobs at once; these get a request a second each, so that some
// of a small herd are refused a second and a third time as well.
func capacity(jobs int) float64 { return float64(min(200, jobs)) }

func (p *busyPlatform) respond() error {
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

// wave reports how far the requests after the first five seconds come in waves:
// the busiest second against the mean of the eleven around it, if it is more
// than the platform can serve. 1 is an even stream, 11 is all of them in one
// second.
func (p *busyPlatform) wave() (most float64) {
	for i := 5; i < len(p.requests); i++ {
		around := 0
		for _, n := range p.requests[i-5 : min(i+6, len(p.requests))] {
			around += n
		}
		if n := float64(p.requests[i]); n > p.rate {
			most = max(most, n*11/float64(around))
		}
	}
	return most
}

// herdResult is what became of the jobs of one or more herds.
type herdResult struct {
	jobs, requests int
	most           int             // requests of one job
	times          []time.Duration // from a job's start to its token
	wave           float64
	gaveUp         map[string]int // why, by how many
}

// run must be called in a bubble.
func (r *herdResult) run(jobs int, rate float64, m manners) {
	p := &busyPlatform{manners: m, rate: rate, bucket: -rate, owed: rate, start: time.Now(), last: time.Now()}
	if r.gaveUp == nil {
		r.gaveUp = map[string]int{}
	}
	r.jobs += jobs
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range jobs {
		wg.Go(func() {
			time.Sleep(rand.N(time.Second))
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), herdTimeout)
			defer cancel()
			requests := 0
			err := wire.Policy{MaxAttempts: herdAttempts}.Retry(ctx, func() error {
				requests++
				return p.respond()
			})
			mu.Lock()
			defer mu.Unlock()
			r.requests += requests
			r.most = max(r.most, requests)
			if err == nil {
				r.times = append(r.times, time.Since(start))
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
	r.wave = max(r.wave, p.wave())
}

func (r *herdResult) each() float64 { return float64(r.requests) / float64(r.jobs) }

// seconds returns the time within which a share of all jobs had a token.
func (r *herdResult) seconds(share float64) float64 {
	slices.Sort(r.times)
	i := int(math.Ceil(share*float64(r.jobs))) - 1
	if i >= len(r.times) {
		return math.Inf(1)
	}
	return r.times[i].Seconds()
}

const outageFrom, outageUntil = 10 * time.Second, 70 * time.Second

var says30 = saysAlways(30 * time.Second)

// herds are the cases of BenchmarkHerd. In those that have limits, TestHerd
// requires that every job gets a token.
var herds = []struct {
	name string
	each float64       // at most so many requests a job in a large herd; 0: not in TestHerd
	soon time.Duration // at most so long for 95 of 100 jobs of a small herd
	manners
}{
	{"retry-after=1", 7, 3 * time.Second, manners{tooMany: saysAlways(time.Second)}},
	{"retry-after=30", 3.5, 61 * time.Second, manners{tooMany: says30}},
	{"retry-after=60", 0, 0, manners{tooMany: saysAlways(time.Minute)}},
	{"retry-after=when-free", 3.5, 5 * time.Second, manners{tooMany: whenFree}},
	{"retry-after=same-date", 4, 20 * time.Second, manners{tooMany: sameDate}},
	{"retry-after=0", 7.5, 12 * time.Second, manners{tooMany: saysAlways(0)}},
	{"retry-after=none", 7.5, 8 * time.Second, manners{}},
	{"outage/retry-after=when-up", 0, 0, manners{whenFree, whenUp, outageFrom, outageUntil}},
	{"outage/retry-after=30", 0, 0, manners{says30, says30, outageFrom, outageUntil}},
	{"outage/retry-after=none", 0, 0, manners{nil, nil, outageFrom, outageUntil}},
}

// BenchmarkHerd measures herds of several sizes (see capacity); a small one so
// often that every line is about ten thousand jobs. The outages leave 50 s of
// the timeout, which ten thousand jobs need whole, and 2,000 do not.
//
//	go test -run '^$' -bench Herd -benchtime 1x ./internal/wire
func BenchmarkHerd(b *testing.B) {
	for _, h := range herds {
		sizes := []int{1, 50, 500, 10_000}
		if h.up > 0 {
			sizes = []int{2_000, 10_000}
		}
		for _, jobs := range sizes {
			b.Run(h.name+"/jobs="+strconv.Itoa(jobs), func(b *testing.B) { measureHerd(b, jobs, h.manners) })
		}
	}
}

func measureHerd(b *testing.B, jobs int, m manners) {
	var r herdResult
	for b.Loop() {
		for range 10_000 / jobs {
			inBubble(b, func() { r.run(jobs, capacity(jobs), m) })
		}
	}
	b.ReportMetric(float64(len(r.times))/float64(b.N), "served")
	b.ReportMetric(r.each(), "requests/job")
	b.ReportMetric(float64(r.most), "most-requests")
	b.ReportMetric(r.seconds(0.5), "s-median")
	b.ReportMetric(r.seconds(0.95), "s-p95")
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

// TestHerd keeps what BenchmarkHerd measures: of a large herd, at a fifth of its
// size (the race detector has room for 8128 goroutines), and of a small one.
func TestHerd(t *testing.T) {
	const large, small = 2_000, 100
	for _, h := range herds {
		if h.each == 0 {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r herdResult
				r.run(large, large/50, h.manners)
				if len(r.times) != large {
					t.Errorf("%d of %d jobs got a token; the others: %v", len(r.times), large, r.gaveUp)
				}
				if r.each() > h.each {
					t.Errorf("%.2f requests a job, more than %.1f", r.each(), h.each)
				}
				if r.wave > 3 {
					t.Errorf("one second has %.1f times the requests of the seconds around it", r.wave)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				var r herdResult
				r.run(small, capacity(small), h.manners)
				if s := r.seconds(0.95); s > h.soon.Seconds() {
					t.Errorf("of a small herd, 95%% have a token after %.1f s, later than %s", s, h.soon)
				}
			})
		})
	}
}
