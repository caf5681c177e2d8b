package jfrogtest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is a way to misbehave. The first fault in the list that matches a request and has Times left is applied.
type Fault struct {
	// On is "idtoken", "keys" (issuer); "exchange", "create", "refresh", "revoke", "list", "me", "get", "ping",
	// "version", "service_id", "repositories", "artifact", "pair", "connect", "other" (platform); or "any".
	On    string `json:"on"`
	Skip  int    `json:"skip"`  // let so many matches pass that no earlier fault took
	Times int    `json:"times"` // then apply so many times; 0: for ever
	After bool   `json:"after"` // do what was asked for first, then misbehave
	// Kind is "status" (default), "close", "reset", "hang", "slow", "endless", "truncate", "garbage", "html",
	// "redirect", "delay", "late", "body", "edit", "overrun", "bigheader", "gzip" or "huge". With "late" nothing happens
	// until the client has gone; what it asked for is done DelayMS (1000) after that, as by a platform that was only slow.
	// "overrun" sends Body after the real answer, beyond what Content-Length says.
	Kind    string            `json:"kind"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	// In Body, Headers and the strings of Set, {{access_token}} (the token just issued, else the bearer), {{bearer}} and
	// {{subject_token}} are filled in: a server may echo our own secrets at us. {{bearer:first}} and {{bearer:last}} are
	// 40 characters of it, {{bearer:rest}} is what follows the first; so with the other two.
	Body    string         `json:"body"`
	DelayMS int            `json:"delay_ms"`
	Drop    []string       `json:"drop"`
	Set     map[string]any `json:"set"`
}

type faultState struct {
	Fault
	skipped, used int
}

var (
	faultOps = []string{"any", "idtoken", "keys", "exchange", "create", "refresh", "revoke", "list", "me", "get", "ping",
		"version", "service_id", "repositories", "artifact", "pair", "connect", "other"}
	faultKinds = []string{"", "status", "close", "reset", "hang", "slow", "endless", "truncate", "garbage", "html",
		"redirect", "delay", "late", "body", "edit", "overrun", "bigheader", "gzip", "huge"}
	// These change the real answer, so the work is done whether After is set or not.
	realAnswer = []string{"slow", "truncate", "delay", "body", "edit", "overrun"}
)

func checkFaults(faults []Fault) error {
	for i, fault := range faults {
		if !slices.Contains(faultOps, fault.On) {
			return fmt.Errorf("faults[%d]: unknown operation %q", i, fault.On)
		}
		if !slices.Contains(faultKinds, fault.Kind) {
			return fmt.Errorf("faults[%d]: unknown kind %q", i, fault.Kind)
		}
	}
	return nil
}

// SetFaults replaces all faults. It panics on an unknown operation or kind.
func (f *front) SetFaults(faults []Fault) {
	if err := checkFaults(faults); err != nil {
		panic(err)
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	f.faults = nil
	for _, fault := range faults {
		f.faults = append(f.faults, &faultState{Fault: fault})
	}
}

func (f *front) nextFault(c *call) *Fault {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, s := range f.faults {
		if s.On != "any" && s.On != c.op || s.Times > 0 && s.used == s.Times {
			continue
		}
		if s.skipped < s.Skip {
			s.skipped++
			continue
		}
		s.used++
		c.log.Fault = cmp.Or(s.Kind, "status")
		return &s.Fault
	}
	return nil
}

func (f *front) misbehave(w http.ResponseWriter, c *call, fault Fault, work func() answer) {
	switch {
	case fault.Kind == "delay" && !fault.After:
		f.sleep(c, fault.DelayMS)
	case fault.Kind == "late":
		f.late(c, cmp.Or(fault.DelayMS, 1000), work)
		panic(http.ErrAbortHandler)
	}
	a := textAnswer(200, "{}")
	if fault.After || slices.Contains(realAnswer, fault.Kind) {
		a = work()
		a.modified = time.Time{} // http.ServeContent would repair the body
	}
	fill := c.placeholders(a.body)
	text := func(status int, body string) {
		a = textAnswer(cmp.Or(fault.Status, status), fill.Replace(body))
	}
	for name, value := range fault.Headers {
		w.Header().Set(name, fill.Replace(value))
	}

	switch fault.Kind {
	case "", "status":
		text(500, fault.Body)
	case "html":
		text(200, cmp.Or(fault.Body, "<!DOCTYPE html><html><head><title>JFrog</title></head><body>Log in</body></html>"))
	case "redirect":
		text(302, fault.Body)
		if w.Header().Get("Location") == "" {
			w.Header().Set("Location", f.URL()+"/ui/login")
		}
	case "huge":
		a = textAnswer(cmp.Or(fault.Status, 400),
			`{"errors":[{"code":"BAD_REQUEST","message":"`+strings.Repeat("0123456789abcdef", 1<<18)+`"}]}`)
	case "body":
		text(a.status, fault.Body)
	case "edit":
		a.status, a.body = cmp.Or(fault.Status, a.status), edit(a.body, fault, fill)
	case "delay":
		if fault.After {
			f.sleep(c, fault.DelayMS)
		}
	case "bigheader":
		a.status = cmp.Or(fault.Status, a.status)
		w.Header().Set("X-Big", strings.Repeat("0123456789abcdef", 1<<17))
	case "gzip":
		a.status, a.body = cmp.Or(fault.Status, a.status), gzipBomb()
		w.Header().Set("Content-Encoding", "gzip")
	case "truncate":
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		a.body = a.body[:len(a.body)/2]
		a.write(w, c.Request)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "overrun":
		f.overrun(w, c, a, fill.Replace(fault.Body))
		return
	case "slow":
		f.trickle(w, c, a, 100*time.Millisecond, false)
		return
	case "endless":
		a = textAnswer(cmp.Or(fault.Status, 200), `{"access_token":"`)
		f.trickle(w, c, a, 0, true)
		return
	case "hang":
		select {
		case <-c.Context().Done():
		case <-f.done:
		}
		panic(http.ErrAbortHandler)
	case "close", "reset", "garbage":
		cut(w, fault.Kind)
		return
	}
	a.write(w, c.Request)
}

func (f *front) sleep(c *call, ms int) {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-c.Context().Done():
	case <-f.done:
	}
}

// late does the work after the client has gone. The connection counts as open until then.
func (f *front) late(c *call, ms int, work func() answer) {
	select {
	case <-c.Context().Done():
	case <-f.done:
		return
	}
	c.Request = c.WithContext(context.WithoutCancel(c.Context()))
	f.sleep(c, ms)
	work()
}

// trickle writes the body a byte per pause, then, if asked, something more for ever. When the client goes it aborts: a
// clean end could still reach a client that is just closing, and look like a whole answer.
func (f *front) trickle(w http.ResponseWriter, c *call, a answer, pause time.Duration, endless bool) {
	body := a.body
	a.body = nil
	a.write(w, c.Request)
	filler := bytes.Repeat([]byte("a"), 32<<10)
	for {
		chunk := filler
		if len(body) > 0 {
			chunk, body = body[:1], body[1:]
		} else if !endless {
			return
		}
		if _, err := w.Write(chunk); err != nil {
			panic(http.ErrAbortHandler)
		}
		http.NewResponseController(w).Flush()
		select {
		case <-time.After(pause):
		case <-c.Context().Done():
			panic(http.ErrAbortHandler)
		case <-f.done:
			panic(http.ErrAbortHandler)
		}
	}
}

// overrun writes the answer, and more, in one go: what follows is there before the client is done with the answer.
func (f *front) overrun(w http.ResponseWriter, c *call, a answer, more string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	f.lock.Lock()
	c.log.Status = a.status
	f.lock.Unlock()
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s%s", a.status,
		http.StatusText(a.status), a.kind, len(a.body), a.body, more)
}

// cut takes the connection over and ends it.
func cut(w http.ResponseWriter, kind string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or no connection at all
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	raw := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		raw = t.NetConn()
	}
	switch kind {
	case "garbage":
		conn.Write([]byte("\x15\x03\x01 SSH-2.0-what?\r\n\r\n"))
	case "reset":
		if tcp, ok := raw.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		raw.Close() // without TLS's closing message, which would be data before the reset
	}
}

func (c *call) placeholders(realBody []byte) *strings.Replacer {
	var issued struct {
		AccessToken string `json:"access_token"`
	}
	json.Unmarshal(realBody, &issued)
	var sent struct {
		SubjectToken string `json:"subject_token"`
	}
	json.Unmarshal(c.body, &sent)
	var pairs []string
	for name, v := range map[string]string{
		"access_token": cmp.Or(issued.AccessToken, c.bearer()), "bearer": c.bearer(), "subject_token": sent.SubjectToken,
	} {
		n := min(40, len(v))
		pairs = append(pairs, "{{"+name+"}}", v, "{{"+name+":first}}", v[:n], "{{"+name+":rest}}", v[n:],
			"{{"+name+":last}}", v[len(v)-n:])
	}
	return strings.NewReplacer(pairs...)
}

func edit(body []byte, fault Fault, fill *strings.Replacer) []byte {
	object := map[string]any{}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if dec.Decode(&object) != nil {
		return body
	}
	for _, key := range fault.Drop {
		delete(object, key)
	}
	for key, value := range fault.Set {
		if s, ok := value.(string); ok {
			value = fill.Replace(s)
		}
		object[key] = value
	}
	return jsonAnswer(200, object).body
}

// gzipBomb holds 50 MiB of blanks: JSON readers skip those without complaint.
var gzipBomb = sync.OnceValue(func() []byte {
	var mebibyte bytes.Buffer
	z := gzip.NewWriter(&mebibyte)
	z.Write(bytes.Repeat([]byte(" "), 1<<20))
	z.Close()
	return bytes.Repeat(mebibyte.Bytes(), 50) // a gzip file may have many members
})
