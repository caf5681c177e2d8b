package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// tokens reads a value by its tokens, and notes them.
func tokens(into *[]json.Token) func(*json.Decoder) error {
	return func(d *json.Decoder) error {
		for depth := 0; ; {
			t, err := d.Token()
			if err != nil {
				return err
			}
			*into = append(*into, t)
			switch t {
			case json.Delim('['), json.Delim('{'):
				depth++
			case json.Delim(']'), json.Delim('}'):
				depth--
			}
			if depth == 0 {
				return nil
			}
		}
	}
}

// What a response that is decoded as it comes may be, and that its errors are
// those of one that is read whole. None of them says what was in it.
func TestStream(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("needle ", n/7) }
	for _, c := range []struct {
		name   string
		status int
		body   string
		more   int // bytes that Content-Length promises beyond the body
		says   string
		html   bool
		again  bool
	}{
		{name: "an array", body: `["needle",1e999,null,{"a":[]}]` + "\r\n\t "},
		{name: "no content", status: 204},
		{name: "values that are long", body: `["` + long(60<<10) + `","` + long(60<<10) + `"]`},
		{name: "a body that is long", body: `[` + strings.Repeat(`"needle",`, 1<<17) + `1]`},
		{name: "a value that is too long", body: `["` + long(130<<10) + `"]`, says: "response is too large"},
		{name: "a number that is too long", body: `[1` + strings.Repeat("0", 130<<10) + `]`, says: "response is too large"},
		{name: "whitespace that is too long", body: strings.Repeat(" ", 130<<10) + `[]`, says: "response is too large"},
		{name: "whitespace at the end that is too long", body: `[]` + strings.Repeat(" ", 130<<10), says: "response is too large"},
		{name: "nothing", says: "response is not the expected JSON"},
		{name: "no JSON", body: `["needle",needle]`, says: "response is not the expected JSON"},
		{name: "no end", body: `["needle"`, says: "response is not the expected JSON"},
		{name: "a string without an end", body: `["needle`, says: "response is not the expected JSON"},
		{name: "two values", body: `["needle"] "needle"`, says: "response is not the expected JSON"},
		{name: "garbage at the end", body: `["needle"] needle`, says: "response is not the expected JSON"},
		{name: "a comma too many", body: `["needle",]`, says: "response is not the expected JSON"},
		{name: "a page", body: "\ufeff\n<!DOCTYPE html><html>needle", says: "got an HTML page instead of JSON", html: true},
		{name: "a long page", body: "<html>" + long(1<<20), says: "got an HTML page instead of JSON", html: true},
		{name: "a cut", body: `["needle",`, more: 1, says: "connection closed before the whole response arrived", again: true},
		{name: "a cut of a string", body: `["needle`, more: 10, says: "connection closed before the whole response arrived", again: true},
		{name: "a cut after the value", body: `["needle"]`, more: 1, says: "connection closed before the whole response arrived", again: true},
		{name: "a cut of whitespace", body: ` `, more: 1, says: "connection closed before the whole response arrived", again: true},
		{name: "a refusal", status: 403, body: `{"errors":[{"code":"FORBIDDEN","message":"no"}]}`, says: "HTTP 403 FORBIDDEN: no"},
		{name: "an outage", status: 503, body: `[]`, says: "HTTP 503", again: true},
		{name: "a refusal that is too long", status: 403, body: long(300 << 10), says: "response is too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.status == 0 {
				c.status = 200
			}
			u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.status != http.StatusNoContent {
					w.Header().Set("Content-Length", strconv.Itoa(len(c.body)+c.more))
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			var got []json.Token
			status, err := client().Do(t.Context(), wire.Request{Method: http.MethodGet, URL: u, Stream: tokens(&got)}, nil)
			if status != c.status {
				t.Errorf("expected status %d to be %d", status, c.status)
			}
			if c.says == "" {
				if err != nil || (len(got) == 0) != (c.status == http.StatusNoContent) {
					t.Errorf("expected %v, %v to be a value", got, err)
				}
				return
			}
			var e *wire.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.says) || e.HTML != c.html || e.Retryable() != c.again {
				t.Errorf("expected %+v to be %q, %t, %t", err, c.says, c.html, c.again)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), "needle") {
				t.Errorf("%+v repeats the response", err)
			}
		})
	}
}

// What has come is decoded although the rest is still to come.
func TestStreamDoesNotWait(t *testing.T) {
	t.Parallel()
	decoded := make(chan struct{})
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `[["`+strings.Repeat("a", 1024)+`"]`)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-decoded:
			_, _ = io.WriteString(w, `]`)
		case <-r.Context().Done():
		}
	})
	_, err := client().Do(t.Context(), wire.Request{Method: http.MethodGet, URL: u, Stream: func(d *json.Decoder) error {
		var inner []string
		if _, err := d.Token(); err != nil {
			return err
		}
		if err := d.Decode(&inner); err != nil {
			return err
		}
		close(decoded)
		_, err := d.Token()
		return err
	}}, nil)
	if err != nil {
		t.Error(err)
	}
}
