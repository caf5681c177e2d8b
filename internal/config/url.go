package config

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// host is a name, an IPv4 or an IPv6 address, and a port. net/url takes more,
// Go 1.26.0 even https://evil.example[::1]:1.
var host = regexp.MustCompile(`^(?:[0-9A-Za-z](?:[0-9A-Za-z._-]*[0-9A-Za-z])?|\[[0-9A-Fa-f:.]+\])(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$`)

// ParseURL checks and cleans the platform's URL. What is wrong with it is said
// without its value: it may hold a password, and url.Parse's error does. A URL
// that was probably meant is said: it is host and path alone.
func ParseURL(v string) (u *url.URL, wrong string) {
	if quoted(v) {
		return nil, "is in quotes; remove them"
	}
	if strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' || r == '%' }) {
		return nil, "holds a character that does not belong in a platform's URL"
	}
	if !strings.Contains(v, "://") {
		u, _ := ParseURL("https://" + v)
		return nil, "must begin with https://" + probably(u)
	}
	u, err := url.Parse(v)
	switch {
	case err != nil || !host.MatchString(u.Host):
		return nil, "is not a URL with the name or address of a host"
	case u.User != nil:
		return nil, "must not hold a user or a password"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(v, "#"):
		return nil, "must not hold a query or a fragment"
	case !wire.Secure(u):
		return nil, "must begin with https:// (http is for loopback addresses alone)"
	case (&url.URL{Path: u.Path}).EscapedPath() != u.Path:
		return nil, "holds a character that does not belong in a platform's URL"
	}
	platform := &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}
	parts := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	for n, part := range parts {
		switch part {
		case ".", "..":
			return nil, "must not hold . or .. in its path"
		case "artifactory", "access", "ui": // the platform's own, below its URL
			if n == len(parts)-1 && part != "ui" {
				return platform, ""
			}
			return nil, "is not the platform's own, but of something in it" + probably(platform)
		}
		platform.Path += "/" + part
	}
	return platform, ""
}

// proxy checks the variable of the proxy. net/http ignores one that it cannot
// parse, and goes to JFrog directly:
// https://github.com/golang/net/blob/master/http/httpproxy/proxy.go
func (r *reader) proxy() {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		v := r.env[name]
		if v == "" {
			continue
		}
		if !usableProxy(v) && (r.c.URL == nil || r.c.URL.Scheme == "https") {
			r.problems = append(r.problems, name+": is not the URL of a proxy, such as "+
				"http://proxy.acme.test:3128; correct or unset it")
		}
		return // the first that is set counts
	}
}

// usableProxy reports whether net/http can use v: a URL, or a host and a port.
func usableProxy(v string) bool {
	u, err := url.Parse(v)
	if err != nil || u.Scheme == "" || u.Host == "" {
		u, err = url.Parse("http://" + v)
	}
	if err != nil || !host.MatchString(u.Host) {
		return false
	}
	return u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "socks5" || u.Scheme == "socks5h"
}

// shown is a URL that may be said although nobody accepted it: a host with a
// domain, which no token looks like, and a short path.
var shown = regexp.MustCompile(`^https?://([0-9a-z-]{1,63}\.)+[a-z]{2,24}(:[0-9]+)?(/[0-9A-Za-z_-]{1,20}){0,2}$`)

func probably(u *url.URL) string {
	if u == nil || !shown.MatchString(u.String()) {
		return ""
	}
	return "; probably " + u.String() + " is meant"
}
