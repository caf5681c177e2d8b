package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// token has the shape of JFrog's access tokens.
const token = "eyJ2ZXIiOiIyIiwidHlwIjoiSldUIn0.eyJzdWIiOiJqZmFjQDAxL3VzZXJzL2RlcGxveSJ9." +
	"9yV0bGVzcy1Db3J2aWRzLXZleC16b21iaWVz"

func redact(text string, secrets ...secret.String) string {
	var r secret.Redactor
	r.Add(secrets...)
	return r.Redact(text)
}

func TestRedact(t *testing.T) {
	const short, twelve = "s3cr3t!x", "twelve_bytes"
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		name, text, want string
		secrets          []string
	}{
		{"the whole", "token " + token + " is unknown", "token *** is unknown", []string{token}},
		{"twice", token + "\n" + token, "***\n***", []string{token}},
		{"twice in a row", token + token + ".", "***.", []string{token}},
		{"one in another", "a " + token + " b", "a *** b", []string{token, token[:20], token[10:50]}},
		{"two", token + " " + twelve, "*** ***", []string{token, twelve}},

		{"the first 40", token[:40] + "…", "***…", []string{token}},
		{"the last 40", "…" + token[len(token)-40:], "…***", []string{token}},
		{"a middle of 12", "at <" + token[30:42] + ">", "at <***>", []string{token}},
		{"a middle of 11", "at <" + token[30:41] + ">", "at <" + token[30:41] + ">", []string{token}},
		{"both ends", token[:12] + "..." + token[len(token)-12:], "***...***", []string{token}},
		{"a part of the one that is long enough", twelve + " " + twelve[:11], "*** " + twelve[:11], []string{twelve}},

		{"split by a line break", token[:5] + "\r\n" + token[5:], "***", []string{token}},
		{"split into lines", " " + token[:40] + "\n " + token[40:80] + "\n " + token[80:] + "\n", " ***\n", []string{token}},
		{"split by a blank", "x " + token[:50] + " " + token[50:], "x ***", []string{token}},
		{"split by U+200B", token[:50] + "\u200b" + token[50:] + "\u200b.", "***\u200b.", []string{token}},
		{"spaced", strings.Join(strings.Split(token, ""), "\u00a0"), "***", []string{token}},
		{"split by other invisible runes", "t\tw\x00e\x7fl\u009bv\u00ade\u034f_\u2028b\u2060y\u3164t\ufe0fe\ufeffs", "***",
			[]string{twelve}},
		{"whitespace in the secret", "x correct horse\nbattery.", "x ***.", []string{"correct horse battery"}},
		{"split by what is visible", "twelve__bytes twelve_\xffbytes twelve_\ufffdbytes",
			"twelve__bytes twelve_\xffbytes twelve_\ufffdbytes", []string{twelve}},

		{"eight", "pass " + short + ".", "pass ***.", []string{short}},
		{"eight, split", "pass s3cr \n3t!x.", "pass ***.", []string{short}},
		{"eight, overlapping", "aXaXaXaXaXaXa", "***a", []string{"aXaXaXaX"}},
		{"parts of eleven stay", "abcdefghij bcdefghijk abcdefghijk", "abcdefghij bcdefghijk ***", []string{"abcdefghijk"}},
		{"one that begins another", "abcdefghij", "***", []string{"abcdefghij", "abcdefgh"}},
		{"seven is none", "1234567", "1234567", []string{"1234567"}},
		{"seven and whitespace is none", "12345678", "12345678", []string{"123 4567\n"}},
		{"empty is none", "a", "a", []string{""}},
		{"none", token, token, nil},

		{"escaped for a URL", "?p=" + url.QueryEscape(clear) + "&q", "?p=***&q", []string{clear}},
		{"escaped for a path", "/" + url.PathEscape(clear) + "/q", "/***/q", []string{clear}},
		{"escaped by JSON", `{"p":"` + `s3cret\"value/with+signs=and%` + `"}`, `{"p":"***"}`, []string{clear}},
		{"base64", b64(twelve + "3"), "***==", []string{twelve + "3"}},
		{"base64 after one byte", b64(":" + twelve), "On***==", []string{twelve}},
		{"base64 after two bytes", b64("a:" + twelve), "YTp***=", []string{twelve}},
		{"base64 with more behind", b64("xyz" + twelve + "xyz"), "eHl6***eHl6", []string{twelve}},
		{"base64url", base64.URLEncoding.EncodeToString([]byte("a?b>c?d>e?f>g?h>")), "***==", []string{"a?b>c?d>e?f>g?h>"}},
		{"base64 of eight with more behind", b64(short + "x"), "***h4", []string{short}},
		{"base64 of eight", b64("user:" + short), "dXNlcjp***==", []string{short}},

		{"a rune that begins as the part does", "<é123456789à>", "<***>", []string{"é123456789é"}},
		{"a star", "a*b*c*d*e*f*g", "***", []string{"a*b*c*d*e*f*g"}},
		{"completed by the mask", "abcdefghi" + token, "***", []string{token, "abcdefghi***"}},
		{"Markdown", "| a | `" + token + "` |\n|---|---|\n", "| a | `***` |\n|---|---|\n", []string{token}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := redact(c.text, secrets(c.secrets)...)
			if got != c.want {
				t.Errorf("expected %q to be %q", got, c.want)
			}
			if again := redact(got, secrets(c.secrets)...); again != got {
				t.Errorf("again: expected %q to be %q", again, got)
			}
		})
	}
}

func TestRedactorLearns(t *testing.T) {
	var r secret.Redactor
	check := func(want string) {
		t.Helper()
		if got := r.Redact("one_secret two_secrets"); got != want {
			t.Errorf("expected %q to be %q", got, want)
		}
	}
	check("one_secret two_secrets")
	r.Add()
	r.Add(secret.String{}, secret.New("short"))
	check("one_secret two_secrets")
	r.Add(secret.New("one_secret"))
	check("*** two_secrets")
	r.Add(secret.New("two_secrets"), secret.New("two_secrets"))
	check("*** ***")
}

func TestScrub(t *testing.T) {
	const reference = "cmVmdGtuOjAxOjE3MzQ1Njc4OTA6YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXph"
	const text = "twelve_bytes " + reference + " " + token + " 59e39159-19eb-463d-953d-1d6baf567db6"
	const want = "*** *** *** 59e39159-19eb-463d-953d-1d6baf567db6"
	if got := secret.Scrub(text, secret.New("twelve_bytes")); got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
}

// Property: neither Redact's result nor what is left of it without whitespace
// and invisible characters holds a secret, or 12 characters in a row of a
// longer one, in any spelling; text that held none comes back as it was; and
// to redact again changes nothing.
func FuzzRedact(f *testing.F) {
	f.Add("before ", token, " after", uint8(0), uint8(40), "\n", uint8(0))
	f.Add("", token, "", uint8(80), uint8(120), "\u200b", uint8(0))
	f.Add("user:", token, "", uint8(0), uint8(255), "", uint8(1))
	f.Add("u:", "abcdefgh", "", uint8(0), uint8(255), "", uint8(2))
	f.Add("?p=", `p"s/s+w\rd%=`, "&", uint8(0), uint8(255), " ", uint8(3))
	f.Add(`{"p":"`, `p"s/s+w\rd%=<>`, `"}`, uint8(0), uint8(255), "", uint8(4))
	f.Add("\xff", "a**b****c***", "\xe2\x80", uint8(0), uint8(11), "***", uint8(0))
	f.Add("no part of it at all", token, "é", uint8(0), uint8(0), "", uint8(0))
	f.Fuzz(func(t *testing.T, before, s, after string, from, to uint8, gap string, how uint8) {
		if len(s) < 8 || len(s) > 200 || strings.ContainsFunc(s, secret.NotInToken) {
			t.Skip()
		}
		from, to = min(from, uint8(len(s))), min(to, uint8(len(s)))
		text := s[min(from, to):to]
		text = before + text[:len(text)/2] + gap + text[len(text)/2:] + after
		switch how % 5 {
		case 1:
			text = base64.StdEncoding.EncodeToString([]byte(text))
		case 2:
			text = base64.RawURLEncoding.EncodeToString([]byte(text))
		case 3:
			text = url.QueryEscape(text)
		case 4:
			b, _ := json.Marshal(text)
			text = string(b)
		}
		got := redact(text, secret.New(s))
		parts := partsOf(s)
		for _, shown := range []string{got, visible(got)} {
			if i := slices.IndexFunc(parts, func(p string) bool { return strings.Contains(shown, p) }); i >= 0 {
				t.Errorf("%q became %q, which has %q", text, got, parts[i])
			}
		}
		had := slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(visible(text), p) })
		if !had && got != text {
			t.Errorf("%q, which has no part of %q, became %q", text, s, got)
		}
		if again := redact(got, secret.New(s)); again != got {
			t.Errorf("%q became %q, and that %q", text, got, again)
		}
		if scrubbed := secret.Scrub(text, secret.New(s)); strings.Contains(scrubbed, s) {
			t.Errorf("%q scrubbed is %q, which has the secret", text, scrubbed)
		}
	})
}

// partsOf returns what must not be shown of s.
func partsOf(s string) (list []string) {
	j, _ := json.Marshal(s)
	spellings := []string{s, url.QueryEscape(s), url.PathEscape(s), string(j[1 : len(j)-1])}
	for before := range 3 {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			// What stays the same whatever surrounds s, and the same with s at the end.
			x, y := strings.Repeat("\x00", before), strings.Repeat("\xff", before)
			a, b := e.EncodeToString([]byte(x+s+"\x00")), e.EncodeToString([]byte(y+s+"\xff"))
			first, last := 0, len(a)
			for a[first] != b[first] {
				first++
			}
			for a[last-1] != b[last-1] {
				last--
			}
			spellings = append(spellings, a[first:last], e.EncodeToString([]byte(x + s))[first:])
		}
	}
	if len(s) < 12 {
		return spellings
	}
	for _, p := range spellings {
		for i := range len(p) - 11 {
			list = append(list, p[i:i+12])
		}
	}
	return list
}

// visible returns s without whitespace and invisible characters.
func visible(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.In(r, unicode.White_Space, unicode.Cc, unicode.Cf,
			unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			continue
		}
		if r == unicode.ReplacementChar {
			b.WriteByte(s[i]) // of one byte that is no UTF-8, and no part of a token either way
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func secrets(values []string) (list []secret.String) {
	for _, v := range values {
		list = append(list, secret.New(v))
	}
	return list
}

func BenchmarkRedactor(b *testing.B) {
	random := make([]byte, 768)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	long := secret.New(base64.URLEncoding.EncodeToString(random)) // 1 kB, as an access token has
	b.Run("Add", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var r secret.Redactor
			r.Add(long)
		}
	})
	b.Run("Redact", func(b *testing.B) {
		var r secret.Redactor
		r.Add(long)
		text := strings.Repeat("2026-11-24T10:04:00Z GET /artifactory/api/npm/npm-local 200 OK\n", 1000)
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			r.Redact(text)
		}
	})
}
