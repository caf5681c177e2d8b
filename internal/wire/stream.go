package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// maxStream bounds a response that is decoded as it comes, in bytes: that is nearly
// a million of JFrog's tokens. maxValue bounds what of it is held at a time, which
// is a token, or a text that nobody reads. JFrog bounds a token's description by
// 1,024 characters, and its scope by 500.
const (
	maxStream = 256 << 20
	maxValue  = 64 << 10
)

// streamed is set in the context of a request whose response is decoded as it
// comes.
type streamed struct{}

// stream decodes a body to its end, and reports whether it could. e says why not.
func (e *Error) stream(ctx context.Context, body io.Reader, decode func(*json.Decoder) error) bool {
	buffered := bufio.NewReader(body)
	beginning, _ := buffered.Peek(512) // its error comes again when the decoder reads
	html := looksLikeHTML(beginning)
	s := &stream{body: buffered}
	s.json = json.NewDecoder(s)
	s.json.UseNumber() // one that no float64 holds is JSON too
	err := decode(s.json)
	if err == nil {
		err = s.end()
	}
	switch {
	case err == nil:
		return true
	case s.broken != nil || ctx.Err() != nil: // a server that sees us go may end its response in good order
		e.Broken(ctx, s.broken)
	default:
		e.notJSON(html)
	}
	return false
}

// paced is a body that is decoded as it comes. AttemptLimit bounds each wait for
// more of it, as a long one takes longer on a slow line, and what is done with what
// has come is not the other side's time.
type paced struct {
	io.Reader
	limit *time.Timer
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	p.limit.Reset(AttemptLimit)
	defer p.limit.Stop()
	return p.Reader.Read(b)
}

// stream is what a decoder reads. It bounds what the decoder holds.
type stream struct {
	body   io.Reader
	json   *json.Decoder
	read   int64
	broken error // why the body could not be read to its end
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (n int, err error) {
	err = errTooLarge
	if s.read-s.json.InputOffset() <= maxValue {
		n, err = s.body.Read(p)
		s.read += int64(n)
	}
	if err != nil && err != io.EOF {
		s.broken = err
	}
	return n, err
}

var errMore = errors.New("more than one value")

// end reads to the end of the body, where nothing but whitespace may be left.
func (s *stream) end() error {
	switch _, err := s.json.Token(); err {
	case io.EOF:
		return nil
	case nil:
		return errMore
	default:
		return err
	}
}
