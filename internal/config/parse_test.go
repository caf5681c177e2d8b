package config

import (
	"math"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"https://acme.jfrog.io", "https://acme.jfrog.io"},
		{"https://acme.jfrog.io/", "https://acme.jfrog.io"},
		{"https://acme.jfrog.io///", "https://acme.jfrog.io"},
		{"https://acme.jfrog.io/artifactory", "https://acme.jfrog.io"},
		{"https://acme.jfrog.io/artifactory/", "https://acme.jfrog.io"},
		{"https://acme.jfrog.io/access", "https://acme.jfrog.io"},
		{"https://acme.jfrog.io//access//", "https://acme.jfrog.io"},
		{"https://acme.test/jfrog/artifactory", "https://acme.test/jfrog"},
		{"https://acme.test/jfrog/myartifactory", "https://acme.test/jfrog/myartifactory"},
		{"https://acme.test/jfrog//x", "https://acme.test/jfrog/x"},
		{"HTTPS://Acme.JFrog.IO:8443", "https://acme.jfrog.io:8443"},
		{"https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"},
		{"http://127.0.0.1:8082", "http://127.0.0.1:8082"},
		{"http://127.9.9.9", "http://127.9.9.9"},
		{"http://[::1]:8082/artifactory", "http://[::1]:8082"},
		{"http://localhost:8082", "http://localhost:8082"},
	} {
		if u, wrong := ParseURL(c.in); wrong != "" || u.String() != c.want {
			t.Errorf("%q: expected %q to be %q", c.in, wrong+u.String(), c.want)
		}
	}
}

// What mint accepts goes into the state as u.String(), and revoke reads it
// with ParseURL again: a value that changes there leads revoke elsewhere, and
// one that is refused there leaves a live token behind.
func TestParseURLAcceptsWhatItGave(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"https://acme.jfrog.io", "https://acme.test/jfrog", "http://[::1]:8082/x",
		"https://acme.test/artifactory/access", "https://acme.test/access/artifactory", "https://acme.test/artifactory/artifactory",
		"https://acme.test/access/access/access", "https://acme.test/artifactory//access/",
		`https://acme.test/a"b`, "https://acme.test/<a>", "https://acme.test/a^b", "https://acme.test/{a|b}", "https://acme.test/a`b",
		"https://acme.test//a", "https://acme.test/a:b;c,d=e@f!$&'()*+",
		"https://artifactory", "https://access/", "https://acme.test:", "https://a,b", "https://a<b>", `https://a"b`,
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			if u, wrong := ParseURL(in); wrong == "" {
				mustBeClean(t, u)
			}
		})
	}
}

// refused holds one URL for each reason to refuse.
var refused = []string{
	"", "acme.jfrog.io", "https://", "https://[", "https://:443", "ftp://acme.test", "http://acme.test", "http://10.0.0.1", "http://127.0.0.1.acme.test",
	"http://localhost.acme.test", "http://0.0.0.0", "https://user:password@acme.test", "https://user@acme.test", "https://@acme.test",
	"https://acme.test?", "https://acme.test/?a=b", "https://acme.test#", "https://acme.test/#a", "https://acme.test/a/../b", "https://acme.test/./a",
	"https://acme.test/..", "https://acme.test/%2e%2e", "https://acme.test/a b", "https://acme.test/a\tb", "https://acme.test/a\nb", "https://acme.test\\a",
	"https://acmé.test", "https://acme.test:port", "https://acme.test/\x7f", "file:///etc/passwd", "javascript://acme.test/%0aalert(1)", "//acme.test", "https:/acme.test", `"https://acme.test"`, "https://acme.test/ui", "https://localhost/access/x",
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range refused {
		if u, wrong := ParseURL(in); wrong == "" || u != nil {
			t.Errorf("%q: expected %q to be %q", in, u, "refused")
		}
	}
}

func mustBeClean(t *testing.T, u *url.URL) {
	t.Helper()
	s := u.String()
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && (u.Hostname() == "localhost" || ip.IsLoopback())) {
		t.Errorf("expected %q to be %q", s, "https, or http to loopback")
	}
	if u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsAny(s, "?#\\% \r\n\t") {
		t.Errorf("expected %q to be %q", s, "a host and a path")
	}
	if slices.Contains(strings.Split(u.Path, "/"), "..") || slices.Contains(strings.Split(u.Path, "/"), ".") {
		t.Errorf("expected %q to be %q", s, "without . and ..")
	}
	for _, end := range []string{"/", "/artifactory", "/access"} {
		if strings.HasSuffix(u.Path, end) { // a host may be called so
			t.Errorf("expected %q to be %q", s, "without "+end+" at its end")
		}
	}
	again, wrong := ParseURL(s)
	if wrong != "" {
		t.Errorf("expected %q to be %q", wrong, "accepted again: "+s)
	} else if again.String() != s || *again != *u {
		t.Errorf("expected %q to be %q", again, s)
	}
}

// Property: what is accepted is clean and stays as it is; what is refused is
// refused with one of the known sentences, so with nothing of its own.
func FuzzParseURL(f *testing.F) {
	var reasons []string
	for _, in := range refused {
		f.Add(in)
		_, wrong := ParseURL(in)
		reasons = append(reasons, wrong)
	}
	f.Add("https://acme.jfrog.io/artifactory/")
	f.Add("http://[::1]:8082/x//access/")
	f.Fuzz(func(t *testing.T, in string) {
		u, wrong := ParseURL(in)
		if wrong == "" {
			mustBeClean(t, u)
			return
		}
		if u != nil {
			t.Errorf("expected %q to be %v", u, nil)
		}
		if reason, probable, ok := strings.Cut(wrong, "; probably "); ok {
			meant, wrong := ParseURL(strings.TrimSuffix(probable, " is meant"))
			if wrong != "" {
				t.Errorf("expected %q to be %q", probable, "a URL that is accepted")
				return
			}
			mustBeClean(t, meant)
			if reason != "must begin with https://" && reason != "is not the platform's own, but of something in it" {
				t.Errorf("expected %q to be %q", reason, reasons)
			}
		} else if !slices.Contains(reasons, wrong) {
			t.Errorf("expected %q to be %q", wrong, reasons)
		}
	})
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want time.Duration // 0: refused
	}{
		{"15m", 15 * time.Minute}, {"1h30m", 90 * time.Minute}, {"90", 90 * time.Second}, {"1", time.Second}, {"0090", 90 * time.Second},
		{"1.5h", 90 * time.Minute}, {"2147483647", math.MaxInt32 * time.Second}, {"2147483647s", math.MaxInt32 * time.Second}, {"1ns", 1},
		{"", 0}, {"0", 0}, {"0s", 0}, {"-1", 0}, {"-15m", 0}, {"2147483648", 0}, {"2147483648s", 0}, {"9223372036854775807", 0},
		{"2d", 48 * time.Hour}, {"1d12h", 36 * time.Hour}, {"01d", 24 * time.Hour}, {"24855d", 24855 * 24 * time.Hour},
		{"99999999999999999999", 0}, {"9999999999h", 0}, {"1y", 0}, {"0d", 0}, {"-1d", 0}, {"1d-1h", 0}, {"1d+1h", 0}, {"1.5d", 0}, {"24856d", 0}, {"9999999999d", 0}, {"1d1d", 0}, {"d", 0}, {"1 h", 0}, {"1h 30m", 0}, {"h", 0}, {"1e3", 0}, {"0x10", 0}, {"1_000", 0}, {"٣", 0},
		{"15 minutes", 0}, {"never", 0}, {"+90", 0},
	} {
		if got, ok := ParseDuration(c.in); got != c.want || ok != (c.want != 0) {
			t.Errorf("%q: expected %s, %t to be %s", c.in, got, ok, c.want)
		}
	}
}

// Property: what is accepted is above zero and no more than JFrog can count;
// as Go writes it, it is accepted again, as the same.
func FuzzParseDuration(f *testing.F) {
	for _, in := range []string{"15m", "1h30m", "90", "2147483647", "2147483648", "-1s", "0", "1.5h", "596523h14m7s", "1µs", ".5s", "1e9", "2d", "1d12h", "24855d3h"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		d, ok := ParseDuration(in)
		if !ok {
			if d != 0 {
				t.Errorf("expected %s to be %s", d, time.Duration(0))
			}
			return
		}
		if d <= 0 || d > math.MaxInt32*time.Second {
			t.Errorf("%q: expected %s to be %q", in, d, "above zero, and at most 2147483647 s")
		}
		if again, ok := ParseDuration(d.String()); again != d || !ok {
			t.Errorf("%q: expected %s, %t to be %s", in, again, ok, d)
		}
	})
}

func TestScope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, scope, groups, want string }{
		{"nothing", "", "", ""},
		{"blanks alone", " \n\t", " ,\n,", ""},
		{"one", "applied-permissions/user", "", "applied-permissions/user"},
		{"line breaks", "artifact:a:r\n\r\n  artifact:b:w\t", "", "artifact:a:r artifact:b:w"},
		{"quotes keep a blank", `applied-permissions/groups:"a b",c x`, "", `applied-permissions/groups:"a b",c x`},
		{"one group", "", "readers", "applied-permissions/groups:readers"},
		{"groups by comma", "", "a, b ,c,", "applied-permissions/groups:a,b,c"},
		{"groups by line", "", "a\nb\r\nc", "applied-permissions/groups:a,b,c"},
		// https://github.com/jfrog/terraform-provider-artifactory/issues/903
		{"a group with a blank", "", "Release Managers\nb", `applied-permissions/groups:"Release Managers",b`},
		{"a group with a comma", "", `"a,b", c`, `applied-permissions/groups:"a,b",c`},
		{"a quoted group that needs none", "", `"a"`, "applied-permissions/groups:a"},
		{"an empty quoted group", "", `"",a`, "applied-permissions/groups:a"},
		{"both", "applied-permissions/user", "a", "applied-permissions/user applied-permissions/groups:a"},
		{"letters", "", "Entwickler Süd,開発", `applied-permissions/groups:"Entwickler Süd",開発`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &reader{c: &Config{}}
			if got := r.scope(c.scope, c.groups); got != c.want || r.problems != nil {
				t.Errorf("expected %q, %q to be %q", got, r.problems, c.want)
			}
		})
	}
}

// Property: however group names are written, they become one scope token that
// holds exactly these names; and scope tokens joined by a blank stay as they
// are.
func FuzzScopeAndGroups(f *testing.F) {
	f.Add("readers, deployers\nRelease Managers", "applied-permissions/user")
	f.Add(`"a,b","c d",e`, `applied-permissions/groups:"a b",c  artifact:x/**:r`)
	f.Add(`" x "`, `a"b c"d`)
	f.Add("\u00a0x\u00a0y\u00a0", "\u2003")
	f.Add(`""""`, `""`)
	f.Fuzz(func(t *testing.T, groups, scope string) {
		if names, err := splitGroups(groups); err == nil && len(names) > 0 {
			one := groupsScope(names)
			tokens, err := splitScope(one)
			if err != nil || !slices.Equal(tokens, []string{one}) {
				t.Errorf("%q: expected %q, %v to be %q", groups, tokens, err, []string{one})
			}
			again, err := splitGroups(strings.TrimPrefix(one, groupsPrefix))
			if err != nil || !slices.Equal(again, names) {
				t.Errorf("%q: expected %q, %v to be %q", groups, again, err, names)
			}
		}
		if tokens, err := splitScope(scope); err == nil {
			joined := strings.Join(tokens, " ")
			again, err := splitScope(joined)
			if err != nil || !slices.Equal(again, tokens) {
				t.Errorf("%q: expected %q, %v to be %q", scope, again, err, tokens)
			}
		}
	})
}
