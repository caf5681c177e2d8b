package jfrogtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
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
	body  []byte
	op    string // as in Fault.On
	log   *Request
	token *token // of the user, once authenticated
}

// base is the URL under which the client sees the server.
func (c *call) base() string {
	if c.TLS == nil {
		return "http://" + c.Host
	}
	return "https://" + c.Host
}

// answer is what a handler returns, so that a fault can still change it.
type answer struct {
	status   int
	kind     string // Content-Type
	body     []byte
	stored   bool // something changed on the platform
	header   map[string]string
	modified time.Time // of a file: it is served by http.ServeContent
}

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	check(err)
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

// noting notes the status before the client can know it.
type noting struct {
	http.ResponseWriter
	note func(status int)
}

func (n noting) WriteHeader(status int) {
	n.note(status)
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (n noting) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// serve reads the request, records it and answers, through a fault if one applies.
func (f *front) serve(w http.ResponseWriter, r *http.Request, op func(*call) string, handle func(*call) answer) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c := &call{Request: r, body: body, log: &Request{
		Method: r.Method, Path: r.URL.Path, RawQuery: r.URL.RawQuery, Header: r.Header.Clone(), Body: body,
	}}
	c.op = op(c)
	w = noting{w, func(status int) {
		f.lock.Lock()
		defer f.lock.Unlock()
		c.log.Status = status
	}}
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
	a := work()
	a.write(w, r)
}

// write leaves alone the headers that a fault has set.
func (a answer) write(w http.ResponseWriter, r *http.Request) {
	for name, value := range a.header {
		setDefaultHeader(w, name, value)
	}
	setDefaultHeader(w, "Content-Type", a.kind)
	if !a.modified.IsZero() && a.status == http.StatusOK {
		http.ServeContent(w, r, "", a.modified, bytes.NewReader(a.body))
		return
	}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

func setDefaultHeader(w http.ResponseWriter, name, value string) {
	if value != "" && w.Header().Get(name) == "" {
		w.Header().Set(name, value)
	}
}

// bearer is the token of an Authorization header.
func (c *call) bearer() string {
	scheme, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
