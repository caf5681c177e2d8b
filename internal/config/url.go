package config

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

func (r *reader) url(input, v string) *url.URL {
	u, wrong := ParseURL(v)
	if wrong != "" {
		r.problem(input, wrong)
	}
	return u
}

// host is a name, an IPv4 or an IPv6 address, and a port. net/url takes more,
// Go 1.26.0 even https://evil.example[::1]:1.
var host = regexp.MustCompile(`^(?:[0-9A-Za-z](?:[0-9A-Za-z._-]*[0-9A-Za-z])?|\[[0-9A-Fa-f:.]+\])(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$`)

// ParseURL checks and cleans the platform's URL. What is wrong with it is said
// without its value: it may hold a password, and url.Parse's error does.
func ParseURL(v string) (u *url.URL, wrong string) {
	if v == "" {
		return nil, "is not set; set it, or the variable JF_URL, to the platform's URL, such as https://acme.jfrog.io"
	}
	if strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' || r == '%' }) {
		return nil, "holds a character that does not belong in a platform's URL"
	}
	if !strings.Contains(v, "://") {
		return nil, "must begin with https://"
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
	}
	path := strings.TrimRight(u.Path, "/")
	for cut := true; cut; path = strings.TrimRight(path, "/") { // all of them: revoke reads what is left once more
		var artifactory, access bool
		path, artifactory = strings.CutSuffix(path, "/artifactory")
		path, access = strings.CutSuffix(path, "/access")
		cut = artifactory || access
	}
	if (&url.URL{Path: path}).EscapedPath() != path {
		return nil, "holds a character that does not belong in a platform's URL"
	}
	for _, part := range strings.Split(path, "/") {
		if part == "." || part == ".." {
			return nil, "must not hold . or .. in its path"
		}
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: path}, ""
}
