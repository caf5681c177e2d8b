package mask_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/mask"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// token has the shape of JFrog's access tokens.
const (
	signature = "9yV0bGVzcy1Db3J2aWRzLXZleC16b21iaWVz"
	token     = "eyJ2ZXIiOiIyIiwidHlwIjoiSldUIn0.eyJzdWIiOiJqZmFjQDAxL3VzZXJzL2RlcGxveSJ9." + signature
)

// masked passes text on in writes of so many bytes.
func masked(t *testing.T, text string, size int, secrets ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := mask.New(&b, wrapped(secrets)...)
	for rest := []byte(text); len(rest) > 0; {
		n := min(size, len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wrapped(secrets []string) []secret.String {
	var list []secret.String
	for _, s := range secrets {
		list = append(list, secret.New(s))
	}
	return list
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// lines breaks text as the program base64 does.
func lines(text, end string) string { return folded(text, 76, end) }

func folded(text string, width int, end string) string {
	var b strings.Builder
	for len(text) > width {
		b.WriteString(text[:width] + end)
		text = text[width:]
	}
	return b.String() + text + end
}

// TestFoldedBase64: wherever in its lines a secret begins, no more than 11 bytes of it are shown, and the lines stay.
func TestFoldedBase64(t *testing.T) {
	const reference = "cmVmdGtuOjAxOjAwMDAwMDAwMDA6WDVuMW1NeklPYlVrcW9lUkRLOHVFRzhwTndn"
	for _, width := range []int{64, 76} {
		for _, end := range []string{"\n", "\r\n"} {
			for _, secret := range []string{token, reference, "twelve_bytes"} {
				for offset := range 3 * width {
					text := folded(b64(strings.Repeat("a", offset)+secret+strings.Repeat("b", offset%7)), width, end)
					got := masked(t, text, 1+offset, secret)
					if strings.Count(got, end) != strings.Count(text, end) {
						t.Fatalf("%d, %q, at %d: %q has other lines:\n%s", width, end, offset, text, got)
					}
					shown := strings.ReplaceAll(strings.ReplaceAll(got, end, ""), "***", "")
					for _, spelling := range wrapped([]string{secret})[0].Spellings() {
						for i := range len(spelling) - 11 {
							if strings.Contains(shown, spelling[i:i+12]) {
								t.Fatalf("%d, %q, at %d: %s is shown:\n%s", width, end, offset, spelling[i:i+12], got)
							}
						}
					}
				}
			}
		}
	}
}

func TestWriter(t *testing.T) {
	const short, eleven = "s3cr3t!x", "abcdefghijk"
	const odd = `s3cret"value/with+signs=and%`
	for _, c := range []struct {
		name, text, want string
		secrets          []string
	}{
		{"the whole", "token " + token + " is known\n", "token *** is known\n", []string{token}},
		{"within a word", "a" + token + "b", "a***b", []string{token}},
		{"twice in a row", token + token + ".", "***.", []string{token}},
		{"two", token + " " + short, "*** ***", []string{token, short}},
		{"the first 40", token[:40] + "...", "***...", []string{token}},
		{"the first 11", token[:11] + "...", token[:11] + "...", []string{token}},
		{"begun twice", token[:8] + token, token[:8] + "***", []string{token}},
		{"begun in another", token[:30] + token, "***", []string{token}},
		{"the signature alone", "<" + signature + ">", "<***>", []string{token}},
		{"a JWT without its signature", token[:strings.LastIndexByte(token, '.')], "***", []string{token}},

		{"base64", b64(token), "***==", []string{token}},
		{"base64 of user:token", b64("ci-bot:" + token), "Y2ktYm90Om***=", []string{token}},
		{"base64 with more behind", b64("ab" + token + "\n"), "YWJ***Cg==", []string{token}},
		{"base64 in lines", lines(b64(token), "\n"), "***\n***==\n", []string{token}},
		{"base64 in lines of Windows", lines(b64("u:"+token), "\r\n"), "dTp***\r\n***\r\n", []string{token}},
		{"a line that goes on otherwise", token[:20] + "\nnext\n", "***\nnext\n", []string{token}},
		{"a line that ends where the secret does", token + "\n" + token[:5] + "\n", "***\n" + token[:5] + "\n", []string{token}},
		{"a line that ends too early", token[:11] + "\n" + token[11:50], token[:11] + "\n" + token[11:50], []string{token}},
		{"escaped for a URL", "?p=" + url.QueryEscape(odd) + "&q", "?p=***&q", []string{odd}},
		{"escaped by JSON", `{"p":"s3cret\"value/with+signs=and%"}`, `{"p":"***"}`, []string{odd}},

		{"eight", "pass " + short + ".", "pass ***.", []string{short}},
		{"eight in eleven that is cut", "xyzabcdefgh", "xyz***", []string{"yzabcdefghi", "abcdefgh"}},
		{"eleven", eleven + eleven[:10], "***" + eleven[:10], []string{eleven}},
		{"eight, overlapping", "aXaXaXaXaXaXa", "***a", []string{"aXaXaXaX"}},
		{"seven is none", "1234567", "1234567", []string{"1234567"}},
		{"a secret with a line break", "x first line\nsecond y", "x *** y", []string{"first line\nsecond"}},
		{"none", token, token, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 5, 11, 12, 13, 1 << 16} {
				if got := masked(t, c.text, size, c.secrets...); got != c.want {
					t.Errorf("in writes of %d: expected %q to be %q", size, got, c.want)
				}
			}
		})
	}
}

// TestNothingElseIsHeldBack: only what may begin a secret waits for what follows.
func TestNothingElseIsHeldBack(t *testing.T) {
	for _, c := range []struct{ text, now string }{
		{"Password: ", "Password: "},
		{"waiting", "waiting"},
		{"...", "..."},
		{"what begins as one: ey", "what begins as one: "},
		{"eyJ2ZXIiOiI", ""},
		{"eyJ2ZXIiOiIy", "***"},
		{"eyJ2ZXIiOiIz", "eyJ2ZXIiOiIz"},
		{"eyJ2ZXIiOiIyeyJ2", "***"},
		{token, "***"},
		{token + "\n", "***\n"},
		{token[:40] + "\n", "***\n"},
		{"eyeyJ", "ey"},
		{"a line that ends with e\n", "a line that ends with e\n"},
		{strings.Repeat("A", 59) + "e\n", strings.Repeat("A", 59)},
		{strings.Repeat("A", 58) + "e\n", strings.Repeat("A", 58) + "e\n"},
		{strings.Repeat("A", 59) + "e\nyJ2 ", strings.Repeat("A", 59) + "e\nyJ2 "},
	} {
		var b bytes.Buffer
		w := mask.New(&b, secret.New(token))
		if _, err := io.WriteString(w, c.text); err != nil || b.String() != c.now {
			t.Errorf("%q: expected %q to be passed on at once, not %q: %v", c.text, c.now, b.String(), err)
		}
		before := b.Len()
		if err := w.Close(); err != nil || b.Len()-before > 12 {
			t.Errorf("%q: Close passes on %q: %v", c.text, b.String()[before:], err)
		}
	}
}

// TestBinaryPassesByteForByte: what holds no secret comes out as it went in.
func TestBinaryPassesByteForByte(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 1<<20)
	_, _ = random.Read(data)
	for _, size := range []int{1, 1000, 1 << 16, 1 << 20} {
		if masked(t, string(data), size, token, "s3cr3t!x") != string(data) {
			t.Errorf("in writes of %d: changed", size)
		}
	}
}

func TestWriteReturnsTheErrorOfTheOtherWriter(t *testing.T) {
	broken := errors.New("broken pipe")
	w := mask.New(failing{broken}, secret.New(token))
	if _, err := w.Write([]byte("text")); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// naive is the definition: of every text at every place, what begins a spelling
// is hidden if it is long enough. It knows no lines.
func naive(text string, secrets ...secret.String) string {
	hidden := make([]bool, len(text))
	for _, s := range secrets {
		for _, spelling := range s.Spellings() {
			for i := range len(text) {
				n := 0
				for n < len(spelling) && i+n < len(text) && text[i+n] == spelling[n] {
					n++
				}
				if n < min(len(spelling), 12) {
					continue
				}
				for k := range n {
					hidden[i+k] = true
				}
			}
		}
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			b.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(secret.Mask)
		}
	}
	return b.String()
}

// FuzzWriter: the result is the same however the text is split; it is that of
// the definition if the text has no line breaks, and hides no less if it has
// some.
func FuzzWriter(f *testing.F) {
	f.Add(token, "s3cr3t!x", "a "+token+" b "+b64("u:"+token)+" s3cr3t!x", uint64(1))
	f.Add(token, "", lines(b64("u:"+token), "\n")+token[:20]+"\r\n"+token[20:], uint64(2))
	f.Add(token, "", folded(b64(strings.Repeat("a", 46)+token), 64, "\r\n"), uint64(5))
	f.Add("abababababababababab", "babababa", "xabababababababababababababab\nabababababababab", uint64(3))
	f.Add("12345678", "123456789012", "1234567812345678901123456789012", uint64(4))
	f.Fuzz(func(t *testing.T, one, two, text string, seed uint64) {
		if len(one) > 500 || len(two) > 500 || len(text) > 5000 {
			return
		}
		whole := masked(t, text, len(text)+1, one, two)
		random := rand.New(rand.NewPCG(seed, 0))
		var b bytes.Buffer
		w := mask.New(&b, wrapped([]string{one, two})...)
		for rest := text; rest != ""; {
			n := 1 + random.IntN(min(len(rest), 1+random.IntN(40)))
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil || b.String() != whole {
			t.Fatalf("split, it is %q, as a whole %q: %v", b.String(), whole, err)
		}
		if masked(t, text, 1, one, two) != whole {
			t.Fatalf("byte for byte it is another than %q", whole)
		}
		want := naive(text, wrapped([]string{one, two})...)
		if !strings.ContainsAny(text, "\r\n") && whole != want {
			t.Fatalf("expected %q to be %q", whole, want)
		}
		if len(whole) > len(text)+3 && !strings.Contains(want, secret.Mask) {
			t.Fatalf("%q became %q", text, whole)
		}
		if !strings.Contains(want, secret.Mask) && whole != text {
			t.Fatalf("%q has no secret, and became %q", text, whole)
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 1<<20)
	_, _ = random.Read(data)
	log := []byte(strings.Repeat("2026-11-24T10:00:00Z The push refers to repository [acme.jfrog.io/docker-local/app] 7d3f1\n", 1<<20/88))
	secrets := wrapped([]string{token + strings.Repeat("x", 700), "ID" + token + strings.Repeat("y", 900), "s3cr3t!x"})
	for _, c := range []struct {
		name string
		data []byte
	}{{"binary", data}, {"log", log}, {"base64", []byte(b64(string(data)))}, {"returns", bytes.Repeat([]byte("\r"), 1<<20)}, {"secrets", []byte(strings.Repeat(token+" ", 8000))}} {
		b.Run(c.name, func(b *testing.B) {
			w := mask.New(io.Discard, secrets...)
			b.SetBytes(int64(len(c.data)))
			for b.Loop() {
				for rest := c.data; len(rest) > 0; {
					n := min(1<<16, len(rest))
					_, _ = w.Write(rest[:n])
					rest = rest[n:]
				}
			}
		})
	}
}
