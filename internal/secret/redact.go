package secret

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// part is the length in bytes from which a part of a secret is hidden like the
// whole: other programs log the first or the last characters of a token.
const part = 12

// Redactor hides secrets in text. Its zero value knows none. Add must not run
// at the same time as another method.
//
// It holds a pointer for the same reason as String; to a pointer, because fmt
// follows a single one to a struct if the verb does not fit, as %s.
type Redactor struct{ p **known }

// known is what Redactor looks for, in squeezed text.
type known struct {
	added map[string]bool
	parts map[[part]byte]bool // of the spellings of each secret of 12 bytes or more: every 12 bytes in a row
	whole [][]byte            // the spellings of the shorter secrets
	stars bool                // whether one of these spellings has a *
}

// Add makes secrets known. Those of less than 8 bytes, whitespace not counted,
// are ignored.
func (r *Redactor) Add(secrets ...String) {
	for _, s := range secrets {
		v := s.Reveal()
		size := len(squeeze(v))
		if size < shortest {
			continue
		}
		if r.p == nil {
			k := &known{added: map[string]bool{}, parts: map[[part]byte]bool{}}
			r.p = &k
		}
		k := *r.p
		if k.added[v] {
			continue
		}
		k.added[v] = true
		for _, f := range spellings(v, size < part) {
			k.add(squeeze(f), size < part)
		}
	}
}

func (k *known) add(spelling []byte, short bool) {
	k.stars = k.stars || bytes.Contains(spelling, []byte(Mask[:1]))
	if short {
		k.whole = append(k.whole, spelling)
		return
	}
	for i := range len(spelling) - part + 1 {
		k.parts[[part]byte(spelling[i:])] = true
	}
}

// spellings returns v, its URL-escaped and JSON-escaped forms, and its base64
// without padding. If something is encoded in front of v, such as "user:", its
// length modulo 3 decides how the base64 of v looks. If something follows, the
// last character differs: a part need not have it, but a short v is looked for
// as a whole, so its base64 is returned without that character as well.
func spellings(v string, short bool) []string {
	list := append(escaped(v), v)
	for before, shared := range []int{0, 2, 3} { // bytes in front of v, and the characters that they change
		data := append(make([]byte, before), v...)
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			s := e.EncodeToString(data)
			list = append(list, s[shared:])
			if short {
				list = append(list, s[shared:len(data)*8/6])
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Redact replaces every known secret in text, in each of its spellings, and
// every part of at least 12 bytes of those that are at least that long, even if
// whitespace or invisible characters split them. Text without any of that comes
// back byte for byte, and so does what Redact returned earlier.
//
// It must run before text is cut: fewer than 12 bytes of a token at the edge
// would not be recognized.
func (r *Redactor) Redact(text string) string {
	if r.p == nil {
		return text
	}
	for {
		redacted := (*r.p).redact(text)
		// Mask itself can complete a part only of a secret that has a star.
		if redacted == text || !(*r.p).stars {
			return redacted
		}
		text = redacted
	}
}

// Scrub is Redact for text from outside: it also replaces whatever has the
// shape of a token, as the other side may know secrets that we do not.
func (r *Redactor) Scrub(text string) string {
	// First, as the parts that a token has in common with ours would break its
	// shape.
	return r.Redact(tokenShaped.ReplaceAllString(text, Mask))
}

// tokenShaped finds JWTs, JFrog's reference tokens and other long runs of
// base64, hex or base64url. A UUID (36) is shorter and stays.
var tokenShaped = regexp.MustCompile(`eyJ[A-Za-z0-9_\-.=+/%]{8,}|[A-Za-z0-9_\-.=+/%]{44,}`)

// Scrub is Redactor.Scrub for a single text.
func Scrub(text string, secrets ...String) string {
	var r Redactor
	r.Add(secrets...)
	return r.Scrub(text)
}

func (k *known) redact(text string) string {
	ends := k.find(squeeze(text))
	if ends == nil {
		return text
	}
	var b strings.Builder
	next := 0 // the index into ends of the next visible byte
	end := 0  // where what was found up to here ends
	hiding := false
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		hide := next < end // also what is invisible, if a secret goes on behind it
		if !invisible(r) {
			for range size {
				end = max(end, ends[next])
				hide = hide || next < end
				next++
			}
		}
		if hide && !hiding {
			b.WriteString(Mask)
		}
		if !hide {
			b.WriteString(text[i : i+size])
		}
		hiding = hide
	}
	return b.String()
}

// find returns, for each byte of squeezed text, where the longest secret or part
// that begins there ends, 0 for none. It returns nil if the text has none at all.
func (k *known) find(squeezed []byte) []int {
	var ends []int
	found := func(i, size int) {
		if ends == nil {
			ends = make([]int, len(squeezed))
		}
		ends[i] = max(ends[i], i+size)
	}
	for i := range len(squeezed) - part + 1 {
		if k.parts[[part]byte(squeezed[i:])] {
			found(i, part)
		}
	}
	for _, w := range k.whole {
		for i := bytes.Index(squeezed, w); i >= 0; {
			found(i, len(w))
			more := bytes.Index(squeezed[i+1:], w)
			if more < 0 {
				break
			}
			i += 1 + more
		}
	}
	return ends
}

// squeeze returns text without its invisible runes.
func squeeze(text string) []byte {
	b := make([]byte, 0, len(text))
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		if !invisible(r) {
			b = append(b, text[i:i+size]...)
		}
	}
	return b
}

// invisible reports whether r can split a secret that a person or a program
// still reads as one: whitespace, control and zero-width characters.
func invisible(r rune) bool {
	if r < utf8.RuneSelf {
		return r <= ' ' || r == 0x7f
	}
	return unicode.IsSpace(r) || unicode.IsControl(r) ||
		unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
