package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// fixups replace what differs from run to run.
var fixups = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "<time>"},
	{regexp.MustCompile(`-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----(\\n)*`), "<pem>"},
	{regexp.MustCompile(`command line \S+ \[jt-`), "command line <who> [jt-"},
	{regexp.MustCompile(`\[jt-[A-Z2-7]{16}\]`), "[jt-<mark>]"},
	{regexp.MustCompile(`&#91;jt-[A-Z2-7]{16}&#93;`), "[jt-<mark>]"},
	{regexp.MustCompile(`%5Bjt-[A-Z2-7]{16}%5D`), "[jt-<mark>]"},
	{regexp.MustCompile(`jt-[A-Z2-7]{16}`), "jt-<mark>"},
	{regexp.MustCompile(`expires in \d[0-9hms.]*`), "expires in <span>"},
	{regexp.MustCompile(`; retrying in [0-9hms.µ]+`), "; retrying in <span>"},
	{regexp.MustCompile(`HTTP (\d+) in [0-9.]+m?s`), "HTTP $1 in <span>"},
	{regexp.MustCompile(`expired \d[0-9hms.]* ago`), "expired <span> ago"},
	{regexp.MustCompile(`expired \d[0-9hms.]* before`), "expired <span> before"},
}

// systemErrors replaces what Windows says, in the language of the machine, by what the goldens have.
var systemErrors = strings.NewReplacer(func() []string {
	if runtime.GOOS != "windows" {
		return nil
	}
	const fileNotFound, pathNotFound, refused = syscall.Errno(2), syscall.Errno(3), syscall.Errno(10061)
	return []string{
		fileNotFound.Error(), "no such file or directory", pathNotFound.Error(), "no such file or directory",
		"connectex: " + refused.Error(), "connect: connection refused",
	}
}()...)

// fixed replaces addresses, times and secrets by names.
func (s *scenario) fixed(text string) string {
	for _, k := range s.secrets() {
		text = strings.ReplaceAll(text, k.Value, "<"+k.Name+">")
	}
	text = s.urls.Replace(text)
	text = systemErrors.Replace(text)
	for _, f := range fixups {
		text = f.pattern.ReplaceAllString(text, f.with)
	}
	return text
}

func renderOutputs(outputs map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		fmt.Fprintf(&b, "%s=%s\n", name, outputs[name])
	}
	return b.String()
}

// renderRequests renders what was sent: to the CI, then to JFrog.
func renderRequests(s *Site) string {
	var b strings.Builder
	ci, jfrog := s.Sent()
	if agents := userAgents(append(slices.Clone(ci), jfrog...)); len(agents) > 0 {
		fmt.Fprintf(&b, "User-Agent: %s\n", strings.Join(agents, ", "))
	}
	for _, r := range ci {
		render(&b, "ci", r)
	}
	for _, r := range jfrog {
		render(&b, "jfrog", r)
	}
	return b.String()
}

// userAgents returns the names under which requests were sent, but for that of GitHub, where most scenarios are.
func userAgents(requests []jfrogtest.Request) []string {
	seen := map[string]bool{}
	for _, r := range requests {
		if name := r.Header.Get("User-Agent"); !strings.HasSuffix(name, " (GitHub)") {
			seen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

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

func indent(body []byte) string {
	var b bytes.Buffer
	var v map[string]any
	if json.Unmarshal(body, &v) != nil {
		return string(body)
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	_ = e.Encode(v)
	return strings.TrimSpace(b.String())
}
