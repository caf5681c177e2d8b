package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// list prints the tokens that the credential may see.
func (r *run) list(ctx context.Context) error { return r.withBearer(ctx, "list", (*job).list) }

func (j *job) list(bearer secret.String) error {
	tokens, _, err := j.jfrog.List(j.time.Work, bearer, pattern(j.cfg.DescriptionPrefix))
	if err != nil {
		return err
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Description\tSubject\tToken ID\tIssued\tExpiry\tScope")
	for _, t := range tokens {
		if hasPrefix(t.Description, j.cfg.DescriptionPrefix) { // an older platform may ignore the filter
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", cell(t.Description), cell(t.Subject), cell(t.ID), date(t.Issued), date(t.Expiry), cell(t.Scope))
		}
	}
	_ = w.Flush() // to a strings.Builder
	for line := range strings.Lines(b.String()) {
		j.ci.Result(strings.TrimRight(line, " \n"))
	}
	return nil
}

// hasPrefix reports whether a description begins with the prefix and then ends,
// or goes on with whitespace: "GitHub acme/app" is not the beginning of "GitHub
// acme/app-legacy", which is another repository.
func hasPrefix(description, prefix string) bool {
	rest, ok := strings.CutPrefix(description, prefix)
	last, _ := utf8.DecodeLastRuneInString(prefix)
	next, _ := utf8.DecodeRuneInString(rest)
	return ok && (prefix == "" || rest == "" || unicode.IsSpace(last) || unicode.IsSpace(next))
}

// pattern is JFrog's for a prefix.
func pattern(prefix string) string {
	if prefix == "" {
		return ""
	}
	return prefix + "*"
}
