package jfrogtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Request is one request that was received.
type Request struct {
	Method   string
	Path     string
	RawQuery string
	Header   http.Header
	Body     []byte
	Status   int    // 0: no answer was written
	Fault    string // the kind of the fault that was applied
}

// Secret is a value that must never show up where a client writes.
type Secret struct{ Name, Value string }

// front is what a Platform and an Issuer have in common. Its lock is not held while a request is handled.
type front struct {
	lock    sync.Mutex
	url     string
	log     []*Request
	faults  []*faultState
	hook    func(string)
	secrets []Secret
	counts  map[string]int
	done    chan struct{}
	close   sync.Once
}

func (f *front) init(faults []Fault) {
	f.done = make(chan struct{})
	f.counts = map[string]int{}
	f.SetFaults(faults)
}

// SetURL tells under which URL the handler is served.
func (f *front) SetURL(base string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.url = strings.TrimRight(base, "/")
}

// URL is what SetURL was given.
func (f *front) URL() string {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.url
}

// SetHook sets a function that is called at "<operation>:received", before anything is done, and, for what the platform
// stores, at "<operation>:stored", before the answer.
func (f *front) SetHook(hook func(point string)) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.hook = hook
}

// Close frees the requests that a fault keeps hanging.
func (f *front) Close() { f.close.Do(func() { close(f.done) }) }

// Requests lists what was received, in order.
func (f *front) Requests() []Request {
	f.lock.Lock()
	defer f.lock.Unlock()
	list := make([]Request, len(f.log))
	for i, r := range f.log {
		list[i] = *r
	}
	return list
}

// Secrets lists every secret that was configured or issued, in order.
func (f *front) Secrets() []Secret {
	f.lock.Lock()
	defer f.lock.Unlock()
	return append([]Secret(nil), f.secrets...)
}

func (f *front) addSecret(kind, value string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.counts[kind]++
	f.secrets = append(f.secrets, Secret{fmt.Sprintf("%s %d", kind, f.counts[kind]), value})
}

func (f *front) reach(point string) {
	f.lock.Lock()
	hook := f.hook
	f.lock.Unlock()
	if hook != nil {
		hook(point)
	}
}

// call is a request on its way through a handler.
type call struct {
	*http.Request
	body []byte
	op   string // as in Fault.On
	log  *Request
}

// answer is what a handler returns, so that a fault can still change it.
type answer struct {
	status int
	kind   string // Content-Type
	body   []byte
	stored bool // something changed on the platform

	challenge string // WWW-Authenticate
}

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return answer{status: status, kind: "application/json", body: body}
}

func textAnswer(status int, text string) answer {
	return answer{status: status, kind: contentType(text), body: []byte(text)}
}

func contentType(text string) string {
	switch {
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return "application/json"
	case strings.HasPrefix(text, "<"):
		return "text/html;charset=utf-8"
	}
	return "text/plain"
}

// serve reads the request, records it and answers, through a fault if one applies.
func (f *front) serve(w http.ResponseWriter, r *http.Request, op func(*call) string, handle func(*call) answer) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c := &call{Request: r, body: body, log: &Request{
		Method: r.Method, Path: r.URL.Path, RawQuery: r.URL.RawQuery, Header: r.Header.Clone(), Body: bytes.Clone(body),
	}}
	c.op = op(c)
	f.lock.Lock()
	f.log = append(f.log, c.log)
	f.lock.Unlock()
	f.reach(c.op + ":received")

	work := func() answer {
		a := handle(c)
		if a.stored {
			f.reach(c.op + ":stored")
		}
		return a
	}
	if fault := f.nextFault(c); fault != nil {
		f.misbehave(w, c, *fault, work)
		return
	}
	f.write(w, c, work())
}

// write notes the status before the client can know it.
func (f *front) write(w http.ResponseWriter, c *call, a answer) {
	if a.kind != "" && w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", a.kind)
	}
	if a.challenge != "" {
		w.Header().Set("WWW-Authenticate", a.challenge)
	}
	f.writeHeader(w, c, a.status)
	w.Write(a.body)
}

func (f *front) writeHeader(w http.ResponseWriter, c *call, status int) {
	f.lock.Lock()
	c.log.Status = status
	f.lock.Unlock()
	w.WriteHeader(status)
}

// bearer is the token of an Authorization header.
func (c *call) bearer() string {
	scheme, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
