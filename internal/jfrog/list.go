package jfrog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Listed is a token as JFrog lists it. It lists stored tokens alone, and to a
// user only the user's own.
type Listed struct {
	ID          string
	Description string
	Subject     string
	Scope       string // "" if the platform does not say
	Issued      time.Time
	Expiry      time.Time // zero: never
}

type listed struct {
	TokenID     string `json:"token_id"`
	Description string `json:"description"`
	Subject     string `json:"subject"`
	Scope       string `json:"scope"`
	IssuedAt    int64  `json:"issued_at"`
	Expiry      int64  `json:"expiry"`
}

// MayRefuse reports whether JFrog may refuse to revoke the token. A list does not
// say whether force_revocable was requested
// (https://jfrog.com/help/r/jfrog-rest-apis/get-tokens). From six hours on nothing
// is needed, and under three JFrog would not have stored the token without it, by
// the thresholds that a platform has unless somebody changed them.
func (t Listed) MayRefuse() bool {
	lifetime := t.Expiry.Sub(t.Issued)
	return !t.Expiry.IsZero() && lifetime >= StoredLifetime && lifetime < RevocableLifetime
}

// Query is what is wanted of a list.
type Query struct {
	// Description is JFrog's filter, which may end in '*'; "": none.
	Description string
	// NewestFirst requests this order. A platform may ignore it.
	NewestFirst bool
	// Keep picks from what JFrog returns; nil: all. date is that of Page.
	Keep func(t Listed, date time.Time) bool
}

func (q Query) encode() string {
	values := url.Values{}
	if q.Description != "" {
		values.Set("description", q.Description)
	}
	if q.NewestFirst {
		values.Set("order_by", "created")
		values.Set("descending_order", "true")
	}
	return strings.ReplaceAll(values.Encode(), "+", "%20") // as JFrog's examples write a space
}

// List returns the tokens that the bearer may see, in JFrog's order, by the page:
// JFrog returns all of them at once. What fails is attempted again until the first
// page is complete, and then no more: no token is returned twice.
func (c *Client) List(ctx context.Context, bearer secret.String, q Query) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		p := &pager{keep: q.Keep, yield: yield}
		u := c.url(tokensPath)
		u.RawQuery = q.encode()
		var cut error
		err := c.retry(ctx, OpList, func() error {
			p.page.Tokens, p.size = p.page.Tokens[:0], 0
			received := http.Header{}
			_, err := c.wire.Do(ctx, wire.Request{
				Method: http.MethodGet, URL: u, Bearer: bearer, Received: received, Stream: func(d *json.Decoder) error {
					p.page.Date = parseDate(received.Get("Date"))
					return eachToken(d, p.add)
				},
			}, nil)
			if err != nil && p.passed > 0 {
				cut = &CutError{p.passed, err}
				return nil
			}
			return err
		})
		p.page.Last = true
		switch err = cmp.Or(err, cut); {
		case p.stopped:
		case err != nil:
			yield(Page{}, wrap(OpList, err))
		default:
			yield(p.page, nil)
		}
	}
}

// CutError is a list whose end did not come, although its beginning did.
type CutError struct {
	After int // tokens
	Err   error
}

func (e *CutError) Error() string {
	return fmt.Sprintf("list was cut after %d tokens: %v", e.After, e.Err)
}

func (e *CutError) Unwrap() error { return e.Err }

// Page is a part of a list.
type Page struct {
	Tokens []Listed  // until the next page
	Date   time.Time // when JFrog responded, by its own clock; zero if it does not say
	Last   bool      // no page follows
}

// PageSize is how many tokens a page has at most: 2,000 leave the program below 17
// MiB of memory, 5,000 took 20. A page has fewer if their texts are longer than
// most: maxPage bounds these, in bytes.
const (
	PageSize = 2000
	maxPage  = 1 << 19
)

// pager makes the pages of a list.
type pager struct {
	keep    func(Listed, time.Time) bool
	yield   func(Page, error) bool
	page    Page
	size    int // of its texts
	passed  int // tokens in the pages before
	stopped bool
}

var errStopped = errors.New("no more tokens are wanted")

// add adds a token to the page, or to the next one if the page is full.
func (p *pager) add(l listed) error {
	t := Listed{l.TokenID, l.Description, l.Subject, l.Scope, epoch(l.IssuedAt), epoch(l.Expiry)}
	if p.keep != nil && !p.keep(t, p.page.Date) {
		return nil
	}
	if len(p.page.Tokens) == PageSize || p.size >= maxPage {
		p.passed += len(p.page.Tokens)
		if p.stopped = !p.yield(p.page, nil); p.stopped {
			return errStopped
		}
		p.page.Tokens, p.size = p.page.Tokens[:0], 0
	}
	p.page.Tokens = append(p.page.Tokens, t)
	p.size += len(t.ID) + len(t.Description) + len(t.Subject) + len(t.Scope)
	return nil
}

// maxDepth is how deep JSON may be nested, as in encoding/json.
const maxDepth = 10000

var errNotList = errors.New("not a list of tokens")

// eachToken reads {"tokens":[...]}. It accepts what encoding/json does: names in
// any case, null for what is absent, and other fields, which it does not hold.
func eachToken(d *json.Decoder, each func(listed) error) error {
	null, err := enter(d, '{')
	if null || err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if s, _ := name.(string); strings.EqualFold(s, "tokens") {
			err = elements(d, each)
		} else {
			err = skip(d)
		}
		if err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// elements reads the array of the tokens.
func elements(d *json.Decoder, each func(listed) error) error {
	null, err := enter(d, '[')
	if null || err != nil {
		return err
	}
	for d.More() {
		var l listed
		if err := d.Decode(&l); err != nil {
			return err
		}
		if err := each(l); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// enter reads the beginning of an object or an array, for which there may be null.
func enter(d *json.Decoder, want json.Delim) (null bool, err error) {
	t, err := d.Token()
	if err == nil && t != nil && t != want {
		err = errNotList
	}
	return t == nil, err
}

// skip reads a value of any shape.
func skip(d *json.Decoder) error {
	for depth := 0; depth < maxDepth; {
		switch t, err := d.Token(); {
		case err != nil:
			return err
		case t == json.Delim('{') || t == json.Delim('['):
			depth++
		case t == json.Delim('}') || t == json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
	return errNotList
}

// parseDate reads a Date header, in the forms of RFC 9110 and a few near to
// them; zero if it is none. http.ParseTime is not used: it takes a time zone that
// it does not know, such as JST, for UTC.
func parseDate(s string) time.Time {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutSuffix(s, " UTC"); ok {
		s = rest + " GMT"
	}
	for _, layout := range []string{
		"Mon, 2 Jan 2006 15:04:05 GMT", "Monday, 2-Jan-06 15:04:05 GMT", time.ANSIC,
		"Mon, 2 Jan 2006 15:04:05 -0700", time.RFC3339,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

func epoch(s int64) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// errNoID: without its id, a credential could not be told from those that it
// is to revoke.
var errNoID = errors.New("response has no token_id")

// Me returns the id of the token that bearer is. A reference token does not show
// its own.
func (c *Client) Me(ctx context.Context, bearer secret.String) (string, error) {
	var response listed
	r := wire.Request{Method: http.MethodGet, URL: c.url(tokensPath, "me"), Bearer: bearer}
	err := c.retry(ctx, OpList, func() error {
		status, err := c.wire.Do(ctx, r, &response)
		if err == nil && response.TokenID == "" {
			err = r.Unusable(status, errNoID)
		}
		return err
	})
	return response.TokenID, wrap(OpList, err)
}

// Marked returns the tokens whose description carries the marker of a mint.
// JFrog can only filter by how a description begins, and the platform may have
// changed whitespace in it: the filter is its first plain word, the match is
// the marker, which no other job's token has.
func (c *Client) Marked(ctx context.Context, bearer secret.String, description, marker string) ([]Listed, error) {
	word := description
	if i := strings.IndexFunc(word, func(r rune) bool { return !strings.ContainsRune(plain, r) }); i >= 0 {
		word = word[:i]
	}
	if word != "" {
		word += "*"
	}
	marked := func(t Listed, _ time.Time) bool { return t.ID != "" && strings.Contains(t.Description, marker) }
	for page, err := range c.List(ctx, bearer, Query{Description: word, Keep: marked}) {
		return page.Tokens, err // no mint makes more than a page
	}
	return nil, nil
}

const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
