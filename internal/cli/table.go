package cli

import (
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/ephemeral-ci/jfrog-token/internal/lease"
)

// heads are the columns of list.
var heads = []string{"Description", "Subject", "Token ID", "Issued", "Expiry", "Scope"}

const (
	descriptionColumn = 0
	idColumn          = 2
)

// least is how far a column may be narrowed, 0 for one that stays whole: a
// description that shows its marker alone is of no use.
var least = []int{40, 12, 0, 0, 0, 12}

// leastField is that of a field with a line of its own. A marker has 21
// characters.
const leastField = 22

// terminalWidth returns the width of the terminal that w is, 0 if it is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// layout is how rows are shown: in columns, or with a line for each field.
type layout struct {
	terminal int   // its width; 0: none, nothing is cut
	widths   []int // of the columns; nil: there are none
	begun    bool
}

// fit returns the layout in which rows are whole, or fit the terminal. If a line
// for each row is wider than that, even with what may be cut, each field gets one.
func fit(rows iter.Seq[[]string], terminal int) *layout {
	widths := make([]int, len(heads))
	for i, head := range heads {
		widths[i] = columns(head)
	}
	for row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	if terminal > 0 && !narrow(widths, terminal) {
		widths = nil
	}
	return &layout{terminal: terminal, widths: widths}
}

// lines lays out rows that follow those that it was called with before. What is
// wider than its column, but may not be cut, moves the rest of its line.
func (l *layout) lines(rows [][]string) []string {
	var lines []string
	switch {
	case l.widths != nil && !l.begun:
		lines = append(lines, l.line(heads))
	case l.widths == nil && l.begun && len(rows) > 0:
		lines = append(lines, "")
	}
	l.begun = l.widths != nil || l.begun || len(rows) > 0
	if l.widths == nil {
		return append(lines, blocks(rows, l.terminal)...)
	}
	for _, row := range rows {
		lines = append(lines, l.line(row))
	}
	return lines
}

func (l *layout) line(row []string) string {
	var b strings.Builder
	for i, cell := range row {
		if l.terminal > 0 && least[i] > 0 {
			cell = shorten(cell, l.widths[i])
		}
		b.WriteString(cell + strings.Repeat(" ", max(0, l.widths[i]-columns(cell))+len(gap)))
	}
	return strings.TrimRight(b.String(), " ")
}

const gap = "  "

// narrow takes from the widest columns until they all fit, and reports whether
// they do.
func narrow(widths []int, width int) bool {
	total := len(gap) * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > width; total-- {
		widest := -1
		for i, w := range widths {
			if least[i] > 0 && w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
	return true
}

// blocks lays out rows for a narrow terminal: the id of a token, which is never
// cut, and below it what else is known.
func blocks(rows [][]string, width int) []string {
	var lines []string
	label := len(gap + heads[descriptionColumn] + gap)
	for i, row := range rows {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, row[idColumn])
		for k, cell := range row {
			if k != idColumn && cell != "" {
				head := gap + heads[k]
				lines = append(lines, head+strings.Repeat(" ", label-len(head))+shorten(cell, max(width-label, leastField)))
			}
		}
	}
	return lines
}

// shorten cuts s in its middle to at most width columns. A marker at its end
// stays whole.
func shorten(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	end := lease.MarkerIn(s)
	if end == "" || len(end) >= width {
		end = lastColumns(s, (width-1)/2)
	}
	return firstColumns(s, width-1-columns(end)) + "…" + end
}

// firstColumns returns as much of the start of s as fits into n columns.
func firstColumns(s string, n int) string {
	for i, r := range s {
		if n -= runeColumns(r); n < 0 {
			return s[:i]
		}
	}
	return s
}

// lastColumns returns as much of the end of s as fits into n columns.
func lastColumns(s string, n int) string {
	i := len(s)
	for i > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:i])
		if n -= runeColumns(r); n < 0 {
			break
		}
		i -= size
	}
	return s[i:]
}

// columns is how many columns of a terminal s takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// wide are the blocks of East Asian characters and of emoji, which take two
// columns: https://www.cl.cam.ac.uk/~mgk25/ucs/wcwidth.c
var wide = [][2]rune{
	{0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60},
	{0xffe0, 0xffe6}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd},
}

// runeColumns returns 1 for a combining character too, which takes none: too much
// rather than too little.
func runeColumns(r rune) int {
	if slices.ContainsFunc(wide, func(w [2]rune) bool { return w[0] <= r && r <= w[1] }) {
		return 2
	}
	return 1
}

// tame makes a value that may begin a line of no meaning to Buildkite, which takes
// these for the head of a group: https://buildkite.com/docs/pipelines/managing-log-output
func tame(s string) string {
	for _, head := range []string{"---", "+++", "~~~", "^^^"} {
		if strings.HasPrefix(s, head) {
			return " " + s
		}
	}
	return s
}
