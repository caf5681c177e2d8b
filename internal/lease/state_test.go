package lease

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// On a machine whose clock is off, JFrog's own time would make a live token
// look expired: https://github.com/actions/create-github-app-token/issues/140
func TestHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, c := range []struct {
			name  string
			token jfrog.Token
			want  time.Time
		}{
			{"a lifetime", jfrog.Token{Lifetime: time.Hour, Expiry: now.Add(-24 * time.Hour)}, now.Add(time.Hour)},
			{"an expiry alone", jfrog.Token{Expiry: now.Add(time.Hour)}, now.Add(time.Hour)},
			{"never", jfrog.Token{}, time.Time{}},
		} {
			c.token.Access, c.token.ID, c.token.Revocable, c.token.Exchanged = secret.New("a"), "id", true, true
			got := held(c.token)
			if !got.Expires.Equal(c.want) {
				t.Errorf("%s: expected %s to be %s", c.name, got.Expires, c.want)
			}
			got.Expires = time.Time{}
			if want := (Held{Token: written{c.token.Access}, ID: "id", Lifetime: c.token.Lifetime, Revocable: true, Exchanged: true}); got != want {
				t.Errorf("%s: expected %+v to be %+v", c.name, got, want)
			}
		}
		if !held(jfrog.Token{Refresh: secret.New("r")}).Refreshable {
			t.Error("expected a token with a refresh token to be refreshable")
		}
	})
}

// A state is dropped only when nothing is left to revoke or to look up; one
// that is over is anybody's to drop.
func TestSettledAndOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		live, dead, never := Held{Expires: now.Add(time.Second)}, Held{Expires: now}, Held{}
		handedOn := Held{Expires: now.Add(time.Second), HandedOn: true}
		for _, c := range []struct {
			name          string
			state         State
			settled, over bool
		}{
			{"nothing", State{Revoke: true}, true, true},
			{"a token", State{Revoke: true, Tokens: []Held{live}}, false, false},
			{"a token that was handed on", State{Revoke: true, Tokens: []Held{handedOn}}, false, false},
			{"a token that was handed on, and nobody revokes", State{Tokens: []Held{handedOn}}, true, false},
			{"a token that was not, and nobody revokes", State{Tokens: []Held{live}}, false, false},
			{"one of each, and nobody revokes", State{Tokens: []Held{live, handedOn}}, false, false},
			{"an expired token", State{Revoke: true, Tokens: []Held{dead}}, false, true},
			{"an expired token and a live one", State{Revoke: true, Tokens: []Held{dead, live}}, false, false},
			{"a token that never expires", State{Revoke: true, Tokens: []Held{never}}, false, false},
			{"a request", State{Revoke: true, Pending: pendingCreate, Until: now.Add(time.Second)}, false, false},
			{"a request whose token is over", State{Revoke: true, Pending: pendingCreate, Until: now.Add(-time.Second)}, false, true},
			{"a request of no known end", State{Revoke: true, Pending: pendingCreate}, false, false},
			{"a request whose token is over, beside a live one", State{Revoke: true, Pending: pendingCreate, Until: now.Add(-time.Second), Tokens: []Held{live}}, false, false},
			{"an exchange", State{Revoke: true, Pending: pendingExchange}, false, true},
		} {
			if settled, over := c.state.settled(), c.state.Over(); settled != c.settled || over != c.over {
				t.Errorf("%s: expected %t, %t to be %t, %t", c.name, settled, over, c.settled, c.over)
			}
		}
	})
}

const marker = "jt-ABCDEFGHIJKLMN27"

// A state is not a secret store for others: it prints as ***, and is whole in
// the one place that it is written to.
func TestStateIsWrittenOnPurposeAlone(t *testing.T) {
	t.Parallel()
	s := State{WrittenBy: writtenBy, Marker: marker, Revoke: true, Tokens: []Held{{Token: written{secret.New("s3cr3t-s3cr3t")}}}}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%v", s.Tokens[0]), fmt.Sprintf("%q", s.Tokens[0].Token)} {
		if strings.Contains(text, "s3cr3t") {
			t.Errorf("expected %q to be without the secret", text)
		}
	}
	if !strings.Contains(string(s.encode()), "s3cr3t-s3cr3t") {
		t.Errorf("expected %s to have the secret", s.encode())
	}
	if s.Revoke = false; strings.Contains(string(s.encode()), "s3cr3t") || s.Tokens[0].Token.IsZero() {
		t.Errorf("expected %s to be without the secret, and the lease to keep it", s.encode())
	}
	// The state's file is known by how it begins.
	if !strings.HasPrefix(string(s.encode()), `{"written_by":"jfrog-token",`) {
		t.Errorf("expected %s to begin with who wrote it", s.encode())
	}
}

// What somebody else wrote is not taken for a state. A marker is a file name:
// it must not lead elsewhere.
func TestDecode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"a state with nothing in it", `{"written_by":"jfrog-token"}`, true},
		{"a marker", `{"written_by":"jfrog-token","marker":"` + marker + `"}`, true},
		{"fields of a later release", `{"written_by":"jfrog-token","later":{"a":[1]}}`, true},
		{"a marker that leads elsewhere", `{"written_by":"jfrog-token","marker":"../../package"}`, false},
		{"a marker that leads elsewhere at its end", `{"written_by":"jfrog-token","marker":"` + marker + `/x"}`, false},
		{"a marker in lower case", `{"written_by":"jfrog-token","marker":"` + strings.ToLower(marker) + `"}`, false},
		{"a marker with a line break", `{"written_by":"jfrog-token","marker":"` + marker + `\n"}`, false},
		{"somebody else's", `{"written_by":"another","token":"s3cr3t"}`, false},
		{"nobody's", `{}`, false}, {"null", `null`, false}, {"nothing", ``, false}, {"a list", `[{"written_by":"jfrog-token"}]`, false},
		{"half of one", `{"written_by":"jfrog-token","tokens":[{"token":"s3cr3t`, false},
		{"two", `{"written_by":"jfrog-token"}{"written_by":"jfrog-token"}`, false},
		{"a number for the token", `{"written_by":"jfrog-token","tokens":[{"token":7}]}`, false},
		{"a time that is none", `{"written_by":"jfrog-token","tokens":[{"expires_at":"s3cr3t"}]}`, false},
	} {
		s, err := Decode("jfrog_token", []byte(c.text))
		if c.ok != (err == nil) || err != nil && (err != ErrState || !reflect.DeepEqual(s, State{})) || err == nil && s.WrittenBy != writtenBy {
			t.Errorf("%s: expected %+v, %v to be %t", c.name, s, err, c.ok)
		}
	}
}

// Where a file's name is a marker, it is that of the state in it. A runner has a name of its own for its one state.
func TestDecodeOfAName(t *testing.T) {
	t.Parallel()
	const other = "jt-VVVVVVVVVVVVVVVV"
	for _, c := range []struct {
		name, marker string
		ok           bool
	}{
		{marker, marker, true}, {marker, other, false}, {marker, "", false}, {"jfrog_token", marker, true}, {"jfrog_token", "", true},
	} {
		_, err := Decode(c.name, State{WrittenBy: writtenBy, Marker: c.marker}.encode())
		if c.ok != (err == nil) {
			t.Errorf("%s in %s: expected %v to be %t", c.marker, c.name, err, c.ok)
		}
	}
}

// Property: what is not ours is an error that says nothing of it; what is can
// be saved again, and says the same then.
func FuzzDecode(f *testing.F) {
	f.Add(`{"written_by":"jfrog-token"}`)
	f.Add(`{"written_by":"jfrog-token","url":"https://acme.jfrog.io","revoke":true,"marker":"` + marker + `","pending":"create","until":"2026-01-02T03:04:05Z","tokens":[{"token":"t","token_id":"i","expires_at":"2026-01-02T03:04:05Z","lifetime":1,"handed_on":true}]}`)
	f.Add(`{"written_by":"jfrog-token","until":"9999-12-31T23:59:59-23:59","tokens":[{"expires_at":"0000-01-01T00:00:00+14:00"}]}`)
	f.Add(`{"WRITTEN_BY":"jfrog-token","tokens":[null,{"token":null}],"revoke":true}`)
	f.Add(`{"written_by":"jfrog-token","marker":"../x"}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Decode("jfrog_token", []byte(text))
		if err != nil {
			if err != ErrState || !reflect.DeepEqual(s, State{}) {
				t.Errorf("expected %+v, %v to be %v alone", s, err, ErrState)
			}
			return
		}
		if s.WrittenBy != writtenBy || s.Marker != "" && !strings.HasPrefix(s.Marker, "jt-") || strings.ContainsAny(s.Marker, `/\.`) {
			t.Errorf("expected %+v to be ours", s)
		}
		s.settled()
		s.Over()
		again, err := Decode(cmp.Or(s.Marker, "jfrog_token"), s.encode())
		if err != nil {
			t.Fatalf("expected %s, %v to be read again", s.encode(), err)
		}
		if got, want := again.encode(), s.encode(); string(got) != string(want) {
			t.Errorf("expected %s to be %s", got, want)
		}
	})
}

// Property: what is saved is what is read, but for the secrets of a state that
// nobody revokes with.
func FuzzEncode(f *testing.F) {
	f.Add("https://acme.jfrog.io", "pem", "warn", "GitHub acme/app [jt-x]", "token", "id", int64(1767323045), int64(3600), uint8(0xff))
	f.Add("", "", "", "", "", "", int64(0), int64(0), uint8(0))
	f.Add("\u2028", "<&>", "\"", "\\", "a", "\x00", int64(-62135596800), int64(-1), uint8(2))
	f.Add("", "", "", "", "t", "", int64(253402300799), int64(1<<62), uint8(1))
	f.Fuzz(func(t *testing.T, url, ca, failure, description, token, id string, unix, lifetime int64, bits uint8) {
		for _, s := range []string{url, ca, failure, description, token, id} {
			if !utf8.ValidString(s) { // JSON has no others, and no input or response of ours does
				t.Skip()
			}
		}
		if unix < -62135596800 || unix > 253402300799 { // years 1 to 9999
			t.Skip()
		}
		at, is := time.Unix(unix, 0).UTC(), func(bit int) bool { return bits>>bit&1 == 1 }
		want := State{
			WrittenBy: writtenBy, URL: url, CACert: ca, Revoke: is(0), RevokeFailure: failure, Summary: is(1), EnvFile: id, Marker: marker,
			Pending: failure, Until: at, Description: description, Listed: is(2),
			Tokens: []Held{{Token: written{secret.New(token)}, ID: id, Expires: at, Lifetime: time.Duration(lifetime), Revocable: is(3), Exchanged: is(4), HandedOn: is(5), Refreshable: is(6)}},
		}
		text := want.encode()
		if !json.Valid(text) {
			t.Fatalf("expected %q to be JSON", text)
		}
		got, err := Decode(marker, text)
		if err != nil {
			t.Fatalf("expected %s, %v to be read", text, err)
		}
		secretOf := func(s State) string { return s.Tokens[0].Token.Reveal() }
		if kept := map[bool]string{true: token, false: ""}[want.Revoke]; secretOf(got) != kept {
			t.Errorf("expected %q to be %q", secretOf(got), kept)
		}
		got.Tokens[0].Token, want.Tokens[0].Token = written{}, written{}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("expected %+v to be %+v", got, want)
		}
	})
}

// The post step on Windows has 32 KiB for one variable: with a ca-cert text of
// the longest, and tokens as long as JFrog's are, a state stays below.
func TestStateFitsIntoOneVariable(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 4000)
	s := State{
		WrittenBy: writtenBy, URL: "https://" + strings.Repeat("a", 253), Revoke: true, RevokeFailure: "warn", Summary: true, EnvFile: ".jfrog-token/env",
		CACert: strings.Repeat(strings.Repeat("a", 64)+"\n", (16<<10)/65), Marker: marker, Pending: pendingCreate, Until: time.Now(), Description: strings.Repeat("a", 1024), Listed: true,
		Tokens: []Held{{Token: written{secret.New(long)}, ID: marker, Expires: time.Now(), Exchanged: true}, {Token: written{secret.New(long)}, ID: marker, Expires: time.Now()}},
	}
	if n := len(s.encode()); n >= 32<<10 {
		t.Errorf("expected %d bytes to be below %d", n, 32<<10)
	}
}

// sweep revokes by this alone: what is near to a marker is none.
func TestMarkerIn(t *testing.T) {
	t.Parallel()
	const marker = "[jt-ABCDEFGHIJKLMN27]"
	for description, want := range map[string]string{
		"GitHub acme/app " + marker:                        marker,
		marker:                                             marker,
		"GitHub [jt-AAAAAAAAAAAAAAAA] " + marker:           marker,
		"":                                                 "",
		"GitHub acme/app " + marker + " ":                  "",
		"GitHub acme/app " + marker + "\n":                 "",
		"GitHub acme/app jt-ABCDEFGHIJKLMN27":              "",
		"GitHub acme/app [jt-ABCDEFGHIJKLMN2]":             "",
		"GitHub acme/app [jt-ABCDEFGHIJKLMN277]":           "",
		"GitHub acme/app [jt-ABCDEFGHIJKLMN18]":            "",
		"GitHub acme/app [jt-abcdefghijklmn27]":            "",
		"GitHub acme/app " + marker + " kept by an admin":  "",
		"GitHub acme/app [jt-ABCDEFGHIJKLMN27] jt-ABCD...": "",
	} {
		if got := MarkerIn(description); got != want {
			t.Errorf("%q: expected %q to be %q", description, got, want)
		}
	}
	if got := (&Lease{state: State{Marker: "jt-ABCDEFGHIJKLMN27"}}).Marker(); MarkerIn("x "+got) != got {
		t.Errorf("expected %q to be found", got)
	}
}
