package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// list prints the tokens that the credential may see, the newest first.
func (r *run) list(ctx context.Context) error { return r.withBearer(ctx, "list", (*job).list) }

func (j *job) list(bearer secret.String) error {
	show := (&tablePrinter{job: j}).page
	if j.cfg.Format == "json" {
		show = (&jsonPrinter{job: j}).page
	}
	var oldest time.Time // of the page before
	ordered := true
	for page, err := range j.jfrog.List(j.time.Work, bearer, j.query()) {
		if err != nil {
			return err
		}
		slices.SortFunc(page.Tokens, newestFirst)
		if n := len(page.Tokens); n > 0 {
			ordered = ordered && (oldest.IsZero() || !page.Tokens[0].Issued.After(oldest))
			oldest = page.Tokens[n-1].Issued
		}
		show(page)
	}
	if !ordered {
		j.sayUnordered()
	}
	return nil
}

// query is for the tokens with the prefix. An older platform may ignore the filter.
func (j *job) query() jfrog.Query {
	prefix := j.cfg.DescriptionPrefix
	return jfrog.Query{Description: pattern(prefix), NewestFirst: true, Keep: func(t jfrog.Listed, _ time.Time) bool {
		return hasPrefix(t.Description, prefix)
	}}
}

// newestFirst orders a page: JFrog orders by one field alone.
func newestFirst(a, b jfrog.Listed) int {
	return cmp.Or(b.Issued.Compare(a.Issued), cmp.Compare(a.ID, b.ID))
}

// tablePrinter shows a table. Its columns are as wide as the first page needs.
type tablePrinter struct {
	*job
	layout *layout
}

func (p *tablePrinter) page(page jfrog.Page) {
	if p.layout == nil {
		p.layout = fit(p.rows(page.Tokens), terminalWidth(p.out))
		p.show(nil)
	}
	for few := range slices.Chunk(page.Tokens, 3) { // rows take more memory than what they show
		p.show(few)
	}
}

func (p *tablePrinter) show(tokens []jfrog.Listed) {
	if lines := p.layout.lines(slices.Collect(p.rows(tokens))); len(lines) > 0 {
		p.ci.Result(lines...)
	}
}

func (j *job) rows(tokens []jfrog.Listed) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for _, t := range tokens {
			row := []string{t.Description, t.Subject, t.ID, issued(t), expiry(t), t.Scope}
			for i, cell := range row {
				row[i] = tame(j.ci.Clean(cell)) // before it is cut: see secret.Redactor
			}
			if !yield(row) {
				return
			}
		}
	}
}

// jsonPrinter shows an array, which stays open if the list is cut.
type jsonPrinter struct {
	*job
	begun bool
}

func (p *jsonPrinter) page(page jfrog.Page) {
	for _, t := range page.Tokens {
		before := "["
		if p.begun {
			before = "  },"
		}
		p.begun = true
		document, _ := json.MarshalIndent(p.entry(t), "  ", "  ") // text always returns JSON
		lines := strings.Split(before+"\n  "+string(document), "\n")
		p.ci.Result(lines[:len(lines)-1]...)
	}
	switch {
	case page.Last && p.begun:
		p.ci.Result("  }", "]")
	case page.Last:
		p.ci.Result("[]")
	}
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

func (j *job) entry(t jfrog.Listed) entry {
	e := entry{
		Description: j.text(t.Description), Subject: j.text(t.Subject), TokenID: j.text(t.ID), Scope: j.text(t.Scope),
	}
	if !t.Issued.IsZero() {
		e.Issued = issued(t)
	}
	if !t.Expiry.IsZero() {
		e.Expiry = expiry(t)
	}
	return e
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
