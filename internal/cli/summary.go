package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
)

// summary is the row of the job summary, in Markdown. go-githubactions'
// template would link html/template and keep the linker from dropping unused
// methods: 1.7 MB.
func (j *job) summary(t jfrog.Token) string {
	issued, expiry, revocable, description := time.Now().UTC().Truncate(time.Second), "never", "no",
		j.asked.Description
	if !t.Expiry.IsZero() {
		if expiry = t.Expiry.Format(time.RFC3339); t.Lifetime > 0 {
			issued = t.Expiry.Add(-t.Lifetime)
		}
	}
	if t.Revocable {
		revocable = "yes"
	}
	outside := func(s string) string { return markdown(cut(j.ci.Clean(s), config.MaxDescription)) }
	row := []string{outside(description), outside(t.Username), outside(t.ID), issued.Format(time.RFC3339), expiry,
		outside(t.Scope), revocable}
	return fmt.Sprintf("### JFrog token for %s\n\n| Description | Subject | Token ID | Issued | Expiry | "+
		"Scope | Revocable |\n|---|---|---|---|---|---|---|\n| %s |\n",
		j.cfg.URL.Host, strings.Join(row, " | "))
}

// failure is what the job summary says of an error: its lines, the snippets among
// them, which are indented, as text to copy, and a link to the topic.
func (r *run) failure(lines []string, topic string) string {
	var b strings.Builder
	b.WriteString("### jfrog-token failed\n\n")
	for _, l := range lines {
		text := markdown(r.ci.Clean(l))
		if strings.HasPrefix(l, "  ") {
			text = "<code>" + strings.ReplaceAll(text, " ", "&nbsp;") + "</code>"
		}
		b.WriteString(text + "<br>\n")
	}
	if topic != "" {
		b.WriteString("See <" + troubleshooting + topic + ">\n")
	}
	return b.String()
}

// markdown writes text from outside so that it is text: neither Markdown nor
// HTML, and within its cell. What is to be redacted must be gone by then.
func markdown(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"): // GitHub makes a link of it
			b.WriteString("&#46;")
		case r < ' ' || r == 0x7f:
			b.WriteByte(' ')
		case strings.ContainsRune("\\`*_{}[]<>()#+!|~&\"'$:@", r):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
