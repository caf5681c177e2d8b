// Package mask hides secrets in a stream, such as what a command prints.
package mask

import (
	"io"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// Writer passes bytes on, with secret.Mask in place of every secret that it
// knows, in each of its spellings, however the bytes are split into writes.
//
// The first 12 bytes of a spelling are hidden, and as much as follows of it:
// also of a secret that is cut short, and of one that goes on in the next lines,
// as the program base64 breaks it at 76 characters. A spelling of less than 12
// bytes is hidden as a whole. Bytes that belong to no secret stay as they are.
//
// What may begin a secret is held back until what follows tells, or Close: at
// most 11 bytes. All else is passed on at once.
type Writer struct {
	to    io.Writer
	known *automaton

	state  state
	broken bool   // a line ended within a secret, right before the next byte
	held   []byte // what may begin a secret
	hidden []bool // whether a byte of held is to be hidden anyway
	hiding bool   // the last byte that was passed on is hidden
	out    []byte // what one Write passes on
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
	for i := 0; i < len(p); {
		if n := w.harmless(p[i:]); n > 0 {
			w.out, w.hiding = append(w.out, p[i:i+n]...), false
			i += n
			continue
		}
		w.step(p[i])
		i++
	}
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

// harmless returns how many of the next bytes cannot begin a secret, as far as
// that is seen at a glance.
func (w *Writer) harmless(p []byte) int {
	if w.state != root {
		return 0
	}
	return w.known.skip(p)
}

// step takes one more byte.
func (w *Writer) step(c byte) {
	a, from := w.known, w.state
	if (c == '\n' || c == '\r') && a.goesOnWithout(from, c) {
		w.show(c, false)
		w.broken = true
		return
	}
	if w.broken && a.child(from, c) == root {
		from = root
	}
	w.broken = false
	w.state = a.next(from, c)
	w.held, w.hidden = append(w.held, c), append(w.hidden, false)
	for i := max(0, len(w.held)-int(a.nodes[w.state].covers)); i < len(w.held); i++ {
		w.hidden[i] = true
	}
	w.pass(len(w.held) - int(a.nodes[w.state].depth))
}

// pass passes on the first n bytes that are held, and what follows them and is
// hidden anyway.
func (w *Writer) pass(n int) {
	i := 0
	for ; i < len(w.held) && (i < n || w.hidden[i]); i++ {
		w.show(w.held[i], w.hidden[i])
	}
	w.held, w.hidden = append(w.held[:0], w.held[i:]...), append(w.hidden[:0], w.hidden[i:]...)
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
