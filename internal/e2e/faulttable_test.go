package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// request is one of the program's requests, in a job that sends it.
type request struct {
	name string
	on   string // as in jfrogtest.Fault
	job  string // name of a job
	post bool   // the post step sends it
	// before are faults without which the job would not send it.
	before  []jfrogtest.Fault
	fatal   bool // without an answer to it there is no token to hand on
	cleanup bool // the step has its token, or none any more, by then
	mints   bool
	// resent: it is a GET on a connection that was used before. Where that is closed, net/http itself sends it once more:
	// https://pkg.go.dev/net/http#Transport
	resent bool
	again  bool // another of the table is alike, and meets the answers that differ in their text or number alone
	once   bool // it is never repeated, whatever the answer
	// only are the names of the faults that it meets; nil: of all.
	only []string
}

// likeVerify are what tells whether a service's verification goes the way of the
// platform's, which meets every fault.
var likeVerify = []string{
	"401 Unauthorized", "403 Forbidden", "503 Service Unavailable", "503 Service Unavailable, for ever",
	"close", "close, for ever", "hang, for ever", "a login page with 200", "301 to another host",
}

var requests = []request{
	{name: "revoke", on: "revoke", job: "stored", post: true},
	{name: "look-up", on: "list", job: "stored", cleanup: true, again: true,
		before: []jfrogtest.Fault{{On: "create", Times: 1, Kind: "truncate"}}},
	{name: "revoke the exchanged", on: "revoke", job: "narrow", cleanup: true, again: true},
	{name: "ID token", on: "idtoken", job: "exchanged", fatal: true},
	{name: "exchange", on: "exchange", job: "exchanged", fatal: true, mints: true},
	{name: "exchange, to create", on: "exchange", job: "narrow", fatal: true, mints: true,
		only: []string{"close, after the work", "hang, after the work, for ever", "a page with 403, after the work", late.name + ", for ever"}},
	{name: "create", on: "create", job: "stored", fatal: true, mints: true},
	{name: "create the second, if JFrog likes", on: "create", job: "oidc", fatal: true, mints: true,
		only: []string{"close, after the work", "hang, after the work, for ever", "a page with 403, after the work", late.name + ", for ever"}},
	{name: "verify platform", on: "me", job: "verified", fatal: true, resent: true, again: true},
	{name: "verify artifactory", on: "version", job: "verified", fatal: true, resent: true, only: likeVerify},
	{name: "verify connect", on: "connect", job: "verified", fatal: true, resent: true, only: likeVerify},
	{name: "create the narrower", on: "create", job: "narrow", fatal: true, mints: true, again: true},
	{name: "refresh", on: "refresh", job: "refresh", fatal: true, mints: true, once: true, again: true},
}

// class is what section "Requests" of the contract says about an answer.
type class string

const (
	retried class = "tried again"
	refused class = "not tried again"
	renewed class = "tried once more with a fresh ID token"
	silent  class = "waited for until the time is over"
	used    class = "as good as any"
	held    class = "odd, and the token in it is known"
)

// cell is a request and what becomes of its answer.
type cell struct {
	request
	fault jfrogtest.Fault
	class class
	name  string
}

// statuses and their class. Every other one is an answer.
var statuses = map[int]class{
	400: refused, 401: refused, 403: refused, 404: refused, 405: refused, 409: refused, 422: refused, 501: refused, 505: refused,
	408: retried, 425: retried, 429: retried, 500: retried, 502: retried, 503: retried, 504: retried,
}

// others are all other faults: of a request that wants JSON, and, where it
// differs, of a DELETE, whose 200 needs no body.
var others = []struct {
	name         string
	fault        jfrogtest.Fault
	class, other class
}{
	{"close", jfrogtest.Fault{Kind: "close"}, retried, ""},
	{"reset", jfrogtest.Fault{Kind: "reset"}, retried, ""},
	{"truncate", jfrogtest.Fault{Kind: "truncate"}, retried, used},
	{"delay", jfrogtest.Fault{Kind: "delay", DelayMS: 300}, used, ""},
	{"hang", jfrogtest.Fault{Kind: "hang"}, silent, ""},
	{"slow", jfrogtest.Fault{Kind: "slow"}, silent, used},

	{"429 without Retry-After", jfrogtest.Fault{Status: 429}, retried, ""},
	{"429, Retry-After of a second", after(429, "1"), retried, ""},
	{"503, Retry-After of a second", after(503, "1"), retried, ""},
	{"429, Retry-After that is past", after(429, "Sat, 21 Nov 2020 00:00:00 GMT"), retried, ""},
	{"503, Retry-After below zero", after(503, "-5"), retried, ""},
	{"429, Retry-After that is no number", after(429, "soon\u00a0"), retried, ""},
	{"429, Retry-After of a day", after(429, "86400"), refused, ""},
	{"503, Retry-After in a hundred years", after(503, "Thu, 21 Nov 2126 00:00:00 GMT"), refused, ""},
	{"503, Retry-After beyond what a duration holds", after(503, "9999999999"), refused, ""},

	{"no HTTP", jfrogtest.Fault{Kind: "garbage"}, refused, ""},
	{"endless", jfrogtest.Fault{Kind: "endless"}, refused, ""},
	{"4 MiB of a refusal", jfrogtest.Fault{Kind: "huge"}, refused, ""},
	{"2 MiB of a header", jfrogtest.Fault{Kind: "bigheader"}, refused, ""},
	{"a gzip bomb", jfrogtest.Fault{Kind: "gzip"}, refused, ""},
	{"a login page with 200", jfrogtest.Fault{Kind: "html"}, refused, ""},
	{"a page with 403", jfrogtest.Fault{Kind: "html", Status: 403}, refused, ""},
	{"a page with 502", jfrogtest.Fault{Kind: "html", Status: 502, Headers: map[string]string{"Retry-After": "0"}}, retried, ""},
	{"301 to another host", to(301, "https://evil.example/x?y=z"), refused, ""},
	{"302 to http", to(302, "http://127.0.0.1:1/"), refused, ""},
	{"303 to the login", to(303, ""), refused, ""},
	{"307 to another host", to(307, "https://evil.example/x?y=z"), refused, ""},
	{"308 to itself over http", to(308, "http://127.0.0.1/access/api/v1/tokens"), refused, ""},
	{"307 to a command", to(307, "https://x/##[set-output name=token]evil"), refused, ""},

	{"200 without a body", jfrogtest.Fault{Kind: "body"}, refused, used},
	{"a number", jfrogtest.Fault{Kind: "body", Body: `17`}, refused, used},
	{"a list", jfrogtest.Fault{Kind: "body", Body: `[{"access_token":"x","value":"x","tokens":[]}]`}, refused, used},
	{"numbers for texts", jfrogtest.Fault{Kind: "body", Body: `{"access_token":1,"value":1,"tokens":1}`}, refused, used},
	{"nested objects", jfrogtest.Fault{Kind: "body", Body: `{"access_token":{"access_token":"x"},"value":{"value":"x"},"tokens":{"tokens":[]}}`}, refused, used},
	{"deep nesting", jfrogtest.Fault{Kind: "body", Body: strings.Repeat("[", 20000)}, refused, used},
	{"JSON and more", jfrogtest.Fault{Kind: "body", Body: `{"access_token":"eyJ.x.y","value":"x","tokens":[]}{}`}, refused, used},

	{"a refusal that is a command", says(`{"errors":[{"code":"::add-mask::o","message":"\n::set-output name=token::evil\r\n##[add-mask]token\u2028::stop-commands::x"}]}`), refused, ""},
	{"a refusal of plain commands", says("::set-output name=token::evil\n##[save-state name=jfrog_token]{}\n::error::no"), refused, ""},
	{"a refusal that is no UTF-8", says("{\"errors\":[{\"code\":\"X\",\"message\":\"\xff\xfe\x00\x1b[31m\xe2\x80\xae\"}]}"), refused, ""},
	{"a refusal of other types", says(`{"errors":{"code":1,"message":["x"]},"error":null}`), refused, ""},
	{"our secrets said back at us", says(`{"errors":[{"code":"{{bearer}}","message":"no: {{subject_token}} {{access_token}}","detail":"{{bearer}}"}]}`), refused, ""},
	{"our secrets said back as text", says("Bearer {{bearer}} {{subject_token}} is no good"), refused, ""},
	{"our secrets in a redirect", to(302, "https://{{bearer}}.example/{{subject_token}}"), refused, ""},
}

type lostAnswer struct {
	name  string
	fault jfrogtest.Fault
	class class
}

// lost are answers that do not tell whether something was done, after it was. Those that only a request for a token meets
// come second.
var lost = []lostAnswer{
	{"close", jfrogtest.Fault{Kind: "close"}, retried},
	{"reset", jfrogtest.Fault{Kind: "reset"}, retried},
	{"hang", jfrogtest.Fault{Kind: "hang"}, silent},
	{"500", after(500, "0"), retried},
	{"502", after(502, "0"), retried},
	{"504", after(504, "0"), retried},
	{"503 without Retry-After", jfrogtest.Fault{Status: 503}, retried},
	{"524 of a gateway", jfrogtest.Fault{Status: 524}, refused},
	{"500 with the token in it", jfrogtest.Fault{Status: 500, Headers: map[string]string{"Retry-After": "0"}, Body: `{"message":"stored {{access_token}}, then failed"}`}, retried},
	{"no HTTP", jfrogtest.Fault{Kind: "garbage"}, refused},
	{"endless", jfrogtest.Fault{Kind: "endless"}, refused},
	{"2 MiB of a header", jfrogtest.Fault{Kind: "bigheader"}, refused},
}

var lostToken = append(slices.Clone(lost), []lostAnswer{
	{"302 to the login", to(302, ""), refused},
	{"408", after(408, "0"), retried},
	{"425", after(425, "0"), retried},
	{"429 without Retry-After", jfrogtest.Fault{Status: 429}, retried},
	{"429, Retry-After of a second", after(429, "1"), retried},
	{"503, Retry-After of a second", after(503, "1"), retried},
	{"a login page with 200", jfrogtest.Fault{Kind: "html"}, refused},
	{"a page with 403", jfrogtest.Fault{Kind: "html", Status: 403}, refused},
}...)

// late is a token that is stored after its request was given up.
var late = lostAnswer{"stored a second after the client has gone", jfrogtest.Fault{Kind: "late"}, silent}

// issuedWrong are answers with a token in them that must not be handed on.
var issuedWrong = []struct {
	name  string
	set   map[string]any
	drop  []string
	class class // "": refused
}{
	{name: "no access_token", drop: []string{"access_token"}},
	{name: "an empty access_token", set: map[string]any{"access_token": ""}},
	{name: "null for access_token", set: map[string]any{"access_token": nil}},
	{name: "a line break in access_token", set: map[string]any{"access_token": "eyJ\n::set-output name=token::evil"}},
	{name: "no UTF-8 in access_token", set: map[string]any{"access_token": "\ufffd\ufffd"}},
	{name: "a text for expires_in", set: map[string]any{"expires_in": "600"}, class: held},
	{name: "an overflowing expires_in", set: map[string]any{"expires_in": 1e300}, class: held},
	{name: "a delimiter in the user name", set: map[string]any{"username": "ci-bot\nghadelimiter_x\ntoken<<E\nevil\nE"}, class: held},
	{name: "a pair in the scope", set: map[string]any{"scope": "a\r\ntoken=evil"}, class: held},
	{name: "a command in the token id", set: map[string]any{"token_id": "x\n::set-output name=token::evil"}, class: used}, // the token itself says it
}

func after(status int, wait string) jfrogtest.Fault {
	return jfrogtest.Fault{Status: status, Headers: map[string]string{"Retry-After": wait}}
}

func to(status int, location string) jfrogtest.Fault {
	f := jfrogtest.Fault{Kind: "redirect", Status: status}
	if location != "" {
		f.Headers = map[string]string{"Location": location}
	}
	return f
}

func says(body string) jfrogtest.Fault { return jfrogtest.Fault{Status: 403, Body: body} }

// cells makes every request meet every fault: once, and, where another attempt
// meets it again, for ever.
func cells(requests []request) []cell {
	var all []cell
	add := func(r request, name string, f jfrogtest.Fault, c class) {
		f.On = r.on
		if r.once && c == retried {
			c = refused
		}
		wanted := func(name string) bool { return r.only == nil || slices.Contains(r.only, name) }
		takesAll := r.post && c == retried && f.Status != 503 && f.Kind != "close" // of 15 s: two are enough
		if c == renewed || c == silent || c == retried && !takesAll {
			if name := name + ", for ever"; wanted(name) {
				all = append(all, cell{r, f, c, name})
			}
		}
		if c != silent && wanted(name) { // one takes all the time there is
			f.Times = 1
			all = append(all, cell{r, f, c, name})
		}
	}
	for _, r := range requests {
		for _, status := range slices.Sorted(maps.Keys(statuses)) {
			c := statuses[status]
			if alike := []int{404, 405, 409, 422, 501, 505, 425, 502, 504}; r.again && slices.Contains(alike, status) {
				continue
			}
			f := jfrogtest.Fault{Status: status}
			switch {
			case c == retried:
				f.Headers = map[string]string{"Retry-After": "0"}
			case status == 401 && r.on == "exchange":
				c = renewed
			case r.on == "me" && (status == 404 || status == 405):
				c = used // an old platform, which does not refuse the token
			case status == 404 && r.on == "revoke":
				f.After = true // it is believed
			}
			name := fmt.Sprint(status, " ", http.StatusText(status))
			add(r, name, f, c)
			if r.only != nil && c == refused { // whoever wants it by this name
				f.Body = `{"errors":[{"code":"NO","message":"No"}]}`
				add(r, name+", as JSON", f, c)
			}
		}
		for _, k := range others {
			if text := k.fault.Kind == "body" || k.fault.Body != "" || k.fault.Kind == "redirect"; r.again && text {
				continue
			}
			if r.on == "revoke" && k.other != "" {
				k.class = k.other
			}
			if r.on == "revoke" && k.fault.Kind == "gzip" {
				k.fault.After, k.class = true, used // a 200 is believed but for pages
			}
			add(r, k.name, k.fault, k.class)
		}
		answers := lostToken
		if !r.mints {
			answers = lost
		}
		if r.mints || r.on == "revoke" {
			for _, l := range answers {
				l.fault.After = true
				add(r, l.name+", after the work", l.fault, l.class)
			}
		}
		if r.mints {
			add(r, late.name, late.fault, late.class)
		}
		if r.mints {
			for _, e := range issuedWrong {
				add(r, e.name, jfrogtest.Fault{Kind: "edit", Set: e.set, Drop: e.drop}, cmp.Or(e.class, refused))
			}
		}
		if r.on == "idtoken" {
			add(r, "no UTF-8 in the value", jfrogtest.Fault{Kind: "body", Body: "{\"value\":\"\xff\xfe\"}"}, refused)
			add(r, "a command in the value", jfrogtest.Fault{Kind: "body", Body: `{"value":"not-an-ID-token\n::set-output name=token::evil"}`}, refused)
			add(r, "an empty value", jfrogtest.Fault{Kind: "body", Body: `{"value":""}`}, refused)
			add(r, "null for the value", jfrogtest.Fault{Kind: "body", Body: `{"value":null}`}, refused)
		}
	}
	return all
}
