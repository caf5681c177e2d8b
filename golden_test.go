package main_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// fixups replace what differs from run to run.
var fixups = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "<time>"},
	{regexp.MustCompile(`-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----(\\n)*`), "<pem>"},
	{regexp.MustCompile(`\[jt-[A-Z2-7]{16}\]`), "[jt-<mark>]"},
	{regexp.MustCompile(`&#91;jt-[A-Z2-7]{16}&#93;`), "[jt-<mark>]"},
	{regexp.MustCompile(`%5Bjt-[A-Z2-7]{16}%5D`), "[jt-<mark>]"},
	{regexp.MustCompile(`jt-[A-Z2-7]{16}`), "jt-<mark>"},
	{regexp.MustCompile(`expires in \d[0-9hms.]*`), "expires in <span>"},
	{regexp.MustCompile(`; next in [0-9hms.µ]+`), "; next in <span>"},
	{regexp.MustCompile(`HTTP (\d+) in [0-9.]+m?s`), "HTTP $1 in <span>"},
	{regexp.MustCompile(`expired \d[0-9hms.]* ago`), "expired <span> ago"},
}

func (w *world) fixed(s string) string {
	for _, k := range w.known() {
		s = strings.ReplaceAll(s, k.Value, "<"+k.Name+">")
	}
	s = w.urls.Replace(s)
	for _, f := range fixups {
		s = f.pattern.ReplaceAllString(s, f.with)
	}
	return s
}

// known is every secret of the scenario, by name.
func (w *world) known() []jfrogtest.Secret {
	all := append(w.platform.Secrets(), w.issuer.Secrets()...)
	for i, s := range w.secrets {
		all = append(all, jfrogtest.Secret{Name: fmt.Sprintf("secret %d", i+1), Value: s})
	}
	return all
}

func renderOutputs(outputs map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		fmt.Fprintf(&b, "%s=%s\n", name, outputs[name])
	}
	return b.String()
}

// requests renders what was sent: to the CI, then to JFrog.
func (w *world) requests() string {
	var b strings.Builder
	for _, r := range w.issuer.Requests() {
		if !forKeys(r) {
			render(&b, "ci", r)
		}
	}
	for _, r := range w.platform.Requests() {
		if r.Path != "/artifactory/api/system/version" { // the scenario's own use of the token
			render(&b, "jfrog", r)
		}
	}
	return b.String()
}

func (w *world) issuerRequests() int {
	n := 0
	for _, r := range w.issuer.Requests() {
		if !forKeys(r) {
			n++
		}
	}
	return n
}

// forKeys tells JFrog's requests for the issuer's keys from ours.
func forKeys(r jfrogtest.Request) bool { return strings.HasPrefix(r.Path, "/.well-known/") }

func render(b *strings.Builder, to string, r jfrogtest.Request) {
	fmt.Fprintf(b, "%s: %s %s", to, r.Method, r.Path)
	if r.RawQuery != "" {
		fmt.Fprintf(b, "?%s", r.RawQuery)
	}
	b.WriteString("\n")
	for _, h := range []string{"Authorization", "Content-Type"} {
		if v := r.Header.Get(h); v != "" {
			fmt.Fprintf(b, "  %s: %s\n", h, v)
		}
	}
	if len(r.Body) > 0 {
		fmt.Fprintf(b, "  %s\n", indent(r.Body))
	}
	fmt.Fprintf(b, "  -> %d\n", r.Status)
}

// derived gives the forms in which a secret could stand in a log: itself,
// base64 of it at each offset in both alphabets, base64 of user:secret,
// URL-escaped, JSON-escaped, and a JWT's signature.
func derived(user, secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	if user != "" {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(user+":"+secret)))
	}
	j, _ := json.Marshal(secret)
	return append(forms, string(j[1:len(j)-1]))
}

// traces gives what must be nowhere in printed text for a secret not to be in
// it, however it is wrapped: base64 at any offset contains one of three
// middles.
func traces(secret string) []string {
	forms := derived("", secret)
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range 3 {
			encoded := enc.EncodeToString([]byte(strings.Repeat("x", offset) + secret))
			if len(encoded) > 12 { // the edges depend on what stands beside the secret
				forms = append(forms, encoded[4:len(encoded)-4])
			}
		}
	}
	if parts := strings.Split(secret, "."); len(parts) == 3 && len(parts[2]) > 20 {
		forms = append(forms, parts[2], parts[2][:len(parts[2])/2])
	}
	return forms
}

// leak proves that no secret, in any derived form, is in anything that
// was printed. The one place where a secret stands is its own mask, which the
// runner does not show; what comes before it is checked like the rest.
func (w *world) leak(res *runnertest.Result) error {
	var printed strings.Builder
	for line := range strings.Lines(res.Raw) {
		if !strings.HasPrefix(line, "::add-mask::") {
			printed.WriteString(line)
		}
	}
	printed.WriteString(res.Summary)
	for k, v := range res.Env {
		printed.WriteString(k + "=" + v + "\n")
	}
	for _, k := range w.known() {
		for _, form := range traces(k.Value) {
			if strings.Contains(printed.String(), form) {
				return fmt.Errorf("%s is printed:\n%s", k.Name, printed.String())
			}
			if strings.Contains(res.Log, form) {
				return fmt.Errorf("%s is in the log:\n%s", k.Name, res.Log)
			}
		}
	}
	return nil
}

func newPool(pem []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}
