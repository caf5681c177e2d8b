package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/ci"
	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
)

func newCheck(format string) (*check, *bytes.Buffer) {
	environ := []string{"X=y"}
	var out bytes.Buffer
	r := &run{inputs: config.NewSource(environ, nil), out: &out}
	r.ci = ci.Detect(r.inputs.Getenv, &out, &out, ci.Command)
	return &check{job: &job{run: r, cfg: &config.Config{Format: format}}}, &out
}

// Text from outside breaks neither the document nor the log, whatever it is.
func TestCheckPrintsJSON(t *testing.T) {
	t.Parallel()
	c, out := newCheck("json")
	hostile := "a\n::add-mask::b ##[error]c \u202e\"}"
	c.add(row{name: "inputs", detail: hostile, lines: []string{hostile}})
	c.add(row{name: "version", outcome: skipped, detail: "x"})
	c.add(row{name: "exchange", token: &jfrog.Token{ID: hostile, Scope: hostile}})
	c.fail("token", errors.New(hostile))
	c.add(row{name: "second_token", outcome: noticed})
	if err := c.print(); err != nil {
		t.Fatal(err)
	}
	var got struct {
		OK   bool
		Rows []struct {
			Name, Outcome, Detail string
			Lines                 []string
			Token                 *struct{ Scope string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var order []string
	for _, r := range got.Rows {
		order = append(order, r.Name+" "+r.Outcome)
	}
	want := []string{"token failed", "second_token notice", "inputs ok", "version skipped", "exchange ok"}
	if !slices.Equal(order, want) {
		t.Errorf("expected rows %q to be %q", order, want)
	}
	if got.OK || got.Rows[2].Detail != hostile || got.Rows[2].Lines[0] != hostile || got.Rows[4].Token.Scope != hostile {
		t.Errorf("expected %+v to have %q", got, hostile)
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") ||
			strings.Contains(line, "##[") || strings.Contains(line, "\u202e") {
			t.Errorf("a line starts a command, or turns the text: %q", line)
		}
	}
}

// On a terminal the details are folded beside their names; what is to be copied
// stays whole.
func TestCheckFoldsDetails(t *testing.T) {
	t.Parallel()
	c, out := newCheck("table")
	long := strings.TrimSpace(strings.Repeat("word ", 20))
	link := "https://acme.test/" + strings.Repeat("x", 100)
	object := `{"sub": "` + long + `"}`
	c.printTable([]row{{name: "inputs", detail: long, lines: []string{object, "  " + long, "See " + link}}}, 60)
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, link) || strings.Contains(line, object) || strings.Contains(line, "  "+long) {
			continue
		}
		if columns(strings.TrimSpace(line)) > 60 {
			t.Errorf("expected at most 60 columns: %q", line)
		}
	}
	for _, whole := range []string{link, object, "  " + long} {
		if !strings.Contains(out.String(), whole) {
			t.Errorf("%q is not whole in\n%s", whole, out)
		}
	}
	for _, width := range []int{-1, 0, leastDetail - 1, columns(long)} {
		if got := fold(long, width); len(got) != 1 {
			t.Errorf("width %d: expected one line: %q", width, got)
		}
	}
}
