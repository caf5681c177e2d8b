package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// list prints the tokens that the credential may see, the newest first.
func (r *run) list(ctx context.Context) error { return r.withBearer(ctx, "list", (*job).list) }

func (j *job) list(bearer secret.String) error {
	tokens, _, err := j.jfrog.List(j.time.Work, bearer, pattern(j.cfg.DescriptionPrefix))
	if err != nil {
		return err
	}
	// An older platform may ignore the filter, and none orders by two fields.
	tokens = slices.DeleteFunc(tokens, func(t jfrog.Listed) bool {
		return !hasPrefix(t.Description, j.cfg.DescriptionPrefix)
	})
	slices.SortFunc(tokens, func(a, b jfrog.Listed) int {
		return cmp.Or(b.Issued.Compare(a.Issued), cmp.Compare(a.ID, b.ID))
	})
	lines := j.table(tokens)
	if j.cfg.Format == "json" {
		lines, err = j.json(tokens)
	}
	for _, l := range lines {
		j.ci.Result(l)
	}
	return err
}

func (j *job) table(tokens []jfrog.Listed) []string {
	rows := make([][]string, len(tokens))
	for i, t := range tokens {
		rows[i] = []string{t.Description, t.Subject, t.ID, issued(t), expiry(t), t.Scope}
		for k, cell := range rows[i] {
			rows[i][k] = tame(j.ci.Clean(cell)) // before it is cut: see secret.Redactor
		}
	}
	return table(rows, terminalWidth(j.out))
}

// entry is a token in the output for programs.
type entry struct {
	Description json.RawMessage `json:"description"`
	Subject     json.RawMessage `json:"subject"`
	TokenID     json.RawMessage `json:"token_id"`
	Issued      string          `json:"issued,omitempty"`
	Expiry      string          `json:"expiry,omitempty"`
	Scope       json.RawMessage `json:"scope"`
}

func (j *job) json(tokens []jfrog.Listed) ([]string, error) {
	entries := make([]entry, len(tokens))
	for i, t := range tokens {
		e := entry{
			Description: j.text(t.Description), Subject: j.text(t.Subject), TokenID: j.text(t.ID), Scope: j.text(t.Scope),
		}
		if !t.Issued.IsZero() {
			e.Issued = issued(t)
		}
		if !t.Expiry.IsZero() {
			e.Expiry = expiry(t)
		}
		entries[i] = e
	}
	document, err := json.MarshalIndent(entries, "", "  ")
	return strings.Split(string(document), "\n"), err
}

// text returns v, a string or what JSON was decoded to, in JSON that the log
// leaves as it is, but for secrets: what it would replace is escaped.
func (j *job) text(v any) json.RawMessage {
	quoted, _ := json.Marshal(v) // such a value always marshals
	var escaped strings.Builder
	for _, r := range strings.ReplaceAll(string(quoted), "##", `#\u0023`) {
		switch {
		case !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r):
			escaped.WriteRune(r)
		case r > 0xffff:
			first, second := utf16.EncodeRune(r)
			fmt.Fprintf(&escaped, `\u%04x\u%04x`, first, second)
		default:
			fmt.Fprintf(&escaped, `\u%04x`, r)
		}
	}
	clean := []byte(j.ci.Clean(escaped.String()))
	if !json.Valid(clean) { // a secret took half an escape with it
		return json.RawMessage(`"` + secret.Mask + `"`)
	}
	return clean
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
