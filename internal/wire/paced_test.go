package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// body writes to a response a piece at a time, and ends with the request as net/http's does.
func body(ctx context.Context, every time.Duration, pieces ...string) io.ReadCloser {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	go func() {
		for _, piece := range pieces {
			select {
			case <-time.After(every):
			case <-ctx.Done():
			}
			if _, err := io.WriteString(w, piece); err != nil {
				return
			}
		}
		_ = w.Close()
	}()
	return r
}

type responder func(*http.Request) (*http.Response, error)

func (f responder) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A response that is decoded as it comes may take as long as it goes on to come, within timeout; what is done with it, as
// long as it likes.
func TestStreamIsBoundedByItsWaits(t *testing.T) {
	long := strings.Split("["+strings.Repeat("1,", 99)+"1]", ",")
	for i := range long[:len(long)-1] {
		long[i] += ","
	}
	for _, c := range []struct {
		name           string
		timeout, every time.Duration
		work           time.Duration // with each value
		want           time.Duration // 0: it is read to its end
	}{
		{name: "at once", timeout: time.Minute},
		{name: "a slow line", timeout: time.Hour, every: AttemptLimit - time.Second},
		{name: "a slow line, and timeout", timeout: time.Minute, every: AttemptLimit - time.Second, want: time.Minute},
		{name: "a line that is too slow", timeout: time.Hour, every: AttemptLimit + time.Second, want: AttemptLimit},
		{name: "a slow reader", timeout: time.Hour * 2, work: time.Minute},
		{name: "a slow line and a slow reader", timeout: time.Hour, every: AttemptLimit - time.Second, work: 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer synctest.Wait()
				defer cancel()
				client := New(Options{})
				client.http.Transport = responder(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Body: body(r.Context(), c.every, long...)}, nil
				})
				read := 0
				_, err := client.Do(ctx, Request{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "a.test"}, Stream: func(d *json.Decoder) error {
					if _, err := d.Token(); err != nil {
						return err
					}
					for d.More() {
						if _, err := d.Token(); err != nil {
							return err
						}
						read++
						time.Sleep(c.work)
					}
					_, err := d.Token()
					return err
				}}, nil)
				took := time.Since(began)
				if c.want == 0 {
					if err != nil || read != 100 {
						t.Errorf("read %d of 100 in %s: %v", read, took, err)
					}
					return
				}
				var e *Error
				if !errors.As(err, &e) || !errors.Is(e.Err, errAttemptLimit) {
					t.Errorf("expected %v to be %v", err, errAttemptLimit)
				}
				if took < c.want || took > c.want+c.work {
					t.Errorf("expected %s to be %s", took, c.want)
				}
			})
		})
	}
}
