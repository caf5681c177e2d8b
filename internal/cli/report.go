package cli

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
)

// rank is how a step of check went, what is broken first.
type rank int

const (
	passed rank = iota
	failed
	noticed // mint works nevertheless
	skipped
)

func (r rank) String() string { return []string{"ok", "failed", "notice", "skipped"}[r] }

// row is one step of check.
type row struct {
	name    string // in snake case, and stable
	outcome rank
	detail  string
	lines   []string // more of it
	change  hint     // what to change
	err     error    // of a step that failed
	token   *jfrog.Token
}

func (c *check) add(r row) { c.rows = append(c.rows, r) }

func (c *check) fail(name string, err error) {
	c.add(row{name: name, outcome: failed, detail: err.Error(), err: err, change: c.hint(err, c.job)})
}

func (c *check) notice(name string, err error) {
	c.add(row{name: name, outcome: noticed, detail: err.Error(), change: c.hint(err, c.job)})
}

func (c *check) skip(name, why string) { c.add(row{name: name, outcome: skipped, detail: why}) }

// failed reports whether a step did.
func (c *check) failed(name string) bool {
	return slices.ContainsFunc(c.rows, func(r row) bool { return r.name == name && r.outcome == failed })
}

// print prints the rows, those first that somebody has to look at.
func (c *check) print() error {
	rows := slices.Clone(c.rows)
	order := map[rank]int{failed: -2, noticed: -1}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(order[a.outcome], order[b.outcome]) })
	if c.cfg.Format == "json" {
		return c.printJSON(rows)
	}
	c.printTable(rows, terminalWidth(c.out))
	return nil
}

// leastDetail is how wide a terminal must leave the details for them to be
// folded there.
const leastDetail = 30

func (c *check) printTable(rows []row, width int) {
	cells := [][2]string{{"Outcome", "Check"}}
	details := [][]string{{"Detail"}}
	for _, r := range rows {
		cells = append(cells, [2]string{r.outcome.String(), r.name})
		details = append(details, slices.Concat([]string{r.detail}, r.lines, r.change.all()))
	}
	var widths [2]int
	for _, cell := range cells {
		widths[0], widths[1] = max(widths[0], len(cell[0])), max(widths[1], len(cell[1]))
	}
	indent := widths[0] + widths[1] + 2*len(gap)
	for i, cell := range cells {
		head := cell[0] + strings.Repeat(" ", widths[0]-len(cell[0])) + gap + cell[1]
		for _, detail := range details[i] {
			for _, line := range fold(c.ci.Clean(detail), width-indent) { // clean before it is cut: see secret.Redactor
				c.ci.Result(head + strings.Repeat(" ", indent-len(head)) + line)
				head = ""
			}
		}
	}
}

// fold breaks text at its spaces into lines of so many columns, unless it is to
// be copied: a snippet, JSON or a link.
func fold(text string, width int) []string {
	if width < leastDetail || columns(text) <= width || strings.HasPrefix(text, "  ") || strings.HasPrefix(text, "{") {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && columns(line)+1+columns(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// The document for programs.
type (
	report struct {
		OK      bool            `json:"ok"` // mint would work
		Rows    []reportRow     `json:"rows"`
		Claims  []reportClaim   `json:"claims,omitempty"`
		Mapping json.RawMessage `json:"mapping,omitempty"` // claims for an identity mapping
	}
	reportRow struct {
		Name    string            `json:"name"`
		Outcome string            `json:"outcome"` // "ok", "failed", "notice" or "skipped"
		Detail  json.RawMessage   `json:"detail"`
		Lines   []json.RawMessage `json:"lines,omitempty"`
		Change  []json.RawMessage `json:"change,omitempty"`
		Token   *reportToken      `json:"token,omitempty"`
	}
	reportToken struct {
		TokenID   json.RawMessage `json:"token_id"`
		Username  json.RawMessage `json:"username"`
		Scope     json.RawMessage `json:"scope"`
		Audience  json.RawMessage `json:"audience"`
		ExpiresAt string          `json:"expires_at,omitempty"`
		ExpiresIn int64           `json:"expires_in,omitempty"` // seconds
		Revocable bool            `json:"revocable"`
	}
	reportClaim struct {
		Name    json.RawMessage `json:"name"`
		Value   json.RawMessage `json:"value"`
		Holders string          `json:"holders"` // who else can have the value
	}
)

func (c *check) printJSON(rows []row) error {
	d := report{OK: c.failure() == nil}
	for _, r := range rows {
		made := reportRow{
			Name: r.name, Outcome: r.outcome.String(), Detail: c.text(r.detail), Lines: c.texts(r.lines),
			Change: c.texts(r.change.all()), Token: c.reportToken(r.token),
		}
		switch r.name {
		case "claims":
			made.Detail, made.Lines = c.text("holders says who else can have the value of a claim"), nil
		case "mapping":
			made.Detail, made.Lines = c.text("the claims that say which repository this is"), nil
		}
		d.Rows = append(d.Rows, made)
	}
	if c.ids != nil {
		claims := c.ids.Claims()
		for _, name := range shownClaims(claims) {
			value := c.text(claims[name])
			if len(value) > maxMapping {
				value = c.text(cut(claimText(claims[name]), maxClaim))
			}
			d.Claims = append(d.Claims, reportClaim{
				c.text(cut(name, maxClaim)), value, holderNames[c.ci.Holders(claims, name)].key,
			})
		}
		if c.mapping(claims) != "" {
			d.Mapping = c.text(c.matching(claims))
		}
	}
	document, err := json.MarshalIndent(d, "", "  ")
	for line := range strings.SplitSeq(string(document), "\n") {
		c.ci.Result(line)
	}
	return err
}

func (c *check) texts(lines []string) []json.RawMessage {
	var list []json.RawMessage
	for _, l := range lines {
		list = append(list, c.text(l))
	}
	return list
}

func (c *check) reportToken(t *jfrog.Token) *reportToken {
	if t == nil {
		return nil
	}
	r := &reportToken{
		TokenID: c.text(t.ID), Username: c.text(t.Username), Scope: c.text(t.Scope), Audience: c.text(t.Audience),
		ExpiresIn: int64(t.Lifetime / time.Second), Revocable: t.Revocable,
	}
	if !t.Expiry.IsZero() {
		r.ExpiresAt = t.Expiry.Format(time.RFC3339)
	}
	return r
}
