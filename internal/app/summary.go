package app

import (
	"fmt"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
)

// summaryOf is the row of the job summary, in Markdown. go-githubactions'
// template would link html/template and keep the linker from dropping unused
// methods: 1.7 MB.
func summaryOf(t jfrog.Token, cfg *config.Config, description string, clean func(string) string) string {
	if t.Exchanged {
		description = "" // JFrog takes none with an exchange
	}
	issued, expiry := time.Now().UTC().Truncate(time.Second), "never"
	if !t.Expiry.IsZero() {
		expiry = t.Expiry.Format(time.RFC3339)
		if t.Life > 0 {
			issued = t.Expiry.Add(-t.Life)
		}
	}
	row := []string{markdown(clean(description)), markdown(clean(t.Username)), markdown(clean(t.ID)), issued.Format(time.RFC3339), expiry, markdown(clean(t.Scope)), revocableCell(t)}
	return fmt.Sprintf("### JFrog token for %s\n\n| Description | Subject | Token ID | Issued | Expiry | Scope | Revocable |\n|---|---|---|---|---|---|---|\n| %s |\n",
		cfg.URL.Host, strings.Join(row, " | "))
}

func revocableCell(t jfrog.Token) string {
	if t.Revocable {
		return "yes"
	}
	return "no"
}

// markdown writes text from outside so that it is text: neither Markdown nor
// HTML, and within its cell. What is to be redacted must be gone by then.
func markdown(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
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
