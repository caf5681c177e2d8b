// Package mask hides secrets in a stream, such as what a command prints.
package mask

import (
	"bytes"
	"io"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// Writer passes bytes on, with secret.Mask in place of every secret that it
// knows, in each of its spellings, however the bytes are split into writes.
//
// The first 12 bytes of a spelling are hidden, and as much as follows of it:
// also of a secret that is cut short, and of one that goes on in the next lines,
// as the program base64 breaks it. So is the beginning of another JWT that has
// it in common with a secret one. A spelling of less than 12 bytes is hidden as a
// whole.
//
// What may begin a secret is held back until what follows tells, or Close: at
// most 11 bytes, and the line break among them. All else is passed on at once.
type Writer struct {
	to    io.Writer
	known *automaton

	state  state
	broken bool   // a line ended within a secret, right before the next byte
	held   []held // what may begin a secret
	hiding bool   // the last byte that was passed on is hidden
	before []byte // the last bytes that were written, as many as foldable looks at
	out    []byte // what one Write passes on
}

// held is a byte that is held back.
type held struct {
	c       byte
	isBreak bool // within a spelling, and not a part of it
	hidden  bool // it belongs to a secret, whatever follows
}

// New returns a Writer to another one, for secrets in each of their
// secret.String.Spellings.
func New(to io.Writer, secrets ...secret.String) *Writer {
	var spellings []string
	for _, s := range secrets {
		spellings = append(spellings, s.Spellings()...)
	}
	return &Writer{to: to, known: newAutomaton(spellings)}
}

// Write implements io.Writer. The error is that of the other Writer.
func (w *Writer) Write(p []byte) (int, error) {
	fold := -1
	for i := 0; i < len(p); {
		if w.state == root {
			if fold < i {
				fold = w.nextFold(p, i)
			}
			// A beginning that is folded cannot be seen at a glance.
			if n := w.known.skip(p[i:max(i, min(len(p), fold-enough+1))]); n > 0 {
				w.out, w.hiding = append(w.out, p[i:i+n]...), false
				i += n
				continue
			}
		}
		w.step(p[i], p[:i])
		i++
	}
	w.before = append(w.before, p[max(0, len(p)-foldable):]...)
	w.before = append(w.before[:0], w.before[max(0, len(w.before)-foldable):]...)
	if err := w.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close passes on what was held back. It does not close the other Writer.
func (w *Writer) Close() error {
	w.pass(len(w.held))
	w.state = root
	return w.flush()
}

func (w *Writer) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.to.Write(w.out)
	w.out = w.out[:0]
	return err
}

// step takes one more byte, which comes after others of the same Write.
func (w *Writer) step(c byte, others []byte) {
	a, from := w.known, w.state
	if (c == '\n' || c == '\r') && a.child(from, c) == root {
		switch n := len(w.held); {
		case a.goesOn(from):
			w.show(c, false)
			w.broken = true
			return
		case n > 0 && (w.held[n-1].isBreak || w.folds(others)):
			w.held = append(w.held, held{c: c, isBreak: true})
			return
		}
	}
	if w.broken && a.child(from, c) == root {
		from = root
	}
	w.broken = false
	w.state = a.next(from, c)
	w.held = append(w.held, held{c: c})
	covers, depth := int(a.nodes[w.state].covers), int(a.nodes[w.state].depth)
	keep := len(w.held) // where the beginning of a spelling begins
	for depth > 0 && keep > 0 {
		keep--
		if h := &w.held[keep]; !h.isBreak {
			h.hidden = h.hidden || covers > 0
			covers, depth = covers-1, depth-1
		}
	}
	w.pass(keep)
}

// foldable is the length from which a line of nothing but base64 may be one of
// many: tools fold base64 at 64 or 76 characters.
const foldable = 60

// nextFold returns where the first line from i on ends that may be one of many,
// or some place behind p.
func (w *Writer) nextFold(p []byte, i int) int {
	feed := -1 // the next line feed, which is looked for once however many carriage returns come before it
	for ; i < len(p); i++ {
		if feed < i {
			feed = i + until(p[i:], '\n')
		}
		if i += until(p[i:feed], '\r'); i < len(p) && w.folds(p[:i]) {
			return i
		}
	}
	return len(p) + enough
}

// until returns how many bytes of p come before the first c.
func until(p []byte, c byte) int {
	if n := bytes.IndexByte(p, c); n >= 0 {
		return n
	}
	return len(p)
}

// folds reports whether a line that ends behind others may be one of many.
func (w *Writer) folds(others []byte) bool {
	for n := range foldable {
		var c byte
		switch i := len(others) - 1 - n; {
		case i >= 0:
			c = others[i]
		case len(w.before)+i >= 0:
			c = w.before[len(w.before)+i]
		default:
			return false
		}
		if !isBase64(c) {
			return false
		}
	}
	return true
}

func isBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

// pass passes on the first n bytes that are held, and what follows them up to
// what may still begin a secret.
func (w *Writer) pass(n int) {
	i, within := 0, w.hiding
	for ; i < len(w.held); i++ {
		h := w.held[i]
		if within = h.hidden || h.isBreak && within; i >= n && !within {
			break
		}
		w.show(h.c, h.hidden)
	}
	w.held = append(w.held[:0], w.held[i:]...)
}

// show passes on a byte, or the mask for it and those hidden beside it.
func (w *Writer) show(c byte, hidden bool) {
	switch {
	case !hidden:
		w.out = append(w.out, c)
	case !w.hiding:
		w.out = append(w.out, secret.Mask...)
	}
	w.hiding = hidden
}
