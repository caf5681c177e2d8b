package lease

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

const (
	writtenBy       = "jfrog-token"
	pendingExchange = "exchange"
	pendingCreate   = "create"
	pendingPairing  = "pairing"
	pendingRefresh  = "refresh"
)

// State is what mint saves for revoke: all that it needs, so that revoke reads
// no input that an earlier step could have changed.
type State struct {
	WrittenBy     string `json:"written_by"`
	URL           string `json:"url"`
	CACert        string `json:"ca_cert"`
	Revoke        bool   `json:"revoke"`
	RevokeFailure string `json:"revoke_failure"`
	Summary       bool   `json:"summary"`
	// EnvFile is where the token is handed on in a file, relative to the state
	// directory: a revoke for another env file leaves this state alone.
	EnvFile string `json:"env_file"`

	Marker string `json:"marker"`
	// Seal proves that the mint had the stored token: a state that a commit brings
	// into the workspace must not be able to use it.
	Seal string `json:"seal,omitempty"`
	// Pending is "create", "exchange", "pairing" or "refresh" if such a request is
	// under way, or its outcome is unknown.
	Pending string `json:"pending"`
	// Of the token that may exist: when it expires at the latest, how it is
	// described, and whether JFrog lists it.
	Until       time.Time `json:"until"`
	Description string    `json:"description"`
	Listed      bool      `json:"listed"`

	// Refreshed says that the token comes from a refresh: JFrog describes it as
	// the one that it replaced, with the marker of another mint or with none.
	Refreshed bool `json:"refreshed,omitempty"`
	// Replaces is the id of the token that was refreshed, as far as it is known.
	Replaces string `json:"replaces,omitempty"`

	Tokens []Held `json:"tokens"`
}

// Held is a token that is to be revoked.
type Held struct {
	Token written `json:"token"` // empty if the job's token outlives it: nothing secret is saved then
	ID    string  `json:"token_id"`
	// Expires is by this machine's clock, counted from the response: with a
	// clock that is off, JFrog's own time would make a live token look expired
	// (https://github.com/actions/create-github-app-token/issues/140).
	Expires     time.Time     `json:"expires_at,omitzero"` // zero: never
	Lifetime    time.Duration `json:"lifetime"`            // nanoseconds; zero: it never expires
	Revocable   bool          `json:"revocable"`           // as far as the token itself says
	Exchanged   bool          `json:"exchanged"`
	HandedOn    bool          `json:"handed_on"`
	Refreshable bool          `json:"refreshable"`
	Replaced    bool          `json:"replaced,omitempty"` // by a refresh whose outcome is unknown
}

// written is a secret that is written down on purpose: here, and in the
// outputs, nowhere else.
type written struct{ secret.String }

// MarshalText implements encoding.TextMarshaler.
func (w written) MarshalText() ([]byte, error) { return []byte(w.Reveal()), nil }

func held(t jfrog.Token) Held {
	h := Held{
		Token: written{t.Access}, ID: t.ID, Expires: t.Expiry, Lifetime: t.Lifetime, Revocable: t.Revocable,
		Exchanged: t.Exchanged, Refreshable: !t.Refresh.IsZero(),
	}
	if t.Lifetime > 0 {
		h.Expires = after(t.Lifetime)
	}
	return h
}

// after returns when a lifetime that begins now is over, by this machine's clock.
func after(lifetime time.Duration) time.Time {
	return time.Now().Add(lifetime).UTC().Truncate(time.Second)
}

// replaced is the token that a refresh is about to replace. JFrog stores every
// refreshable token, and revokes it.
func replaced(t jfrog.Token) Held {
	return Held{Token: written{t.Access}, ID: t.ID, Expires: t.Expiry, Lifetime: t.Lifetime, Revocable: true, Replaced: true}
}

func (h Held) expired() bool { return !h.Expires.IsZero() && !time.Now().Before(h.Expires) }

func (s State) encode() []byte {
	if !s.Revoke {
		s.Tokens = slices.Clone(s.Tokens)
		for i := range s.Tokens {
			s.Tokens[i].Token = written{}
		}
	}
	b, _ := json.Marshal(s) // strings, booleans and times always marshal
	return b
}

// ErrState says that a state is not one that mint saved.
var ErrState = errors.New("read state: not saved by jfrog-token")

// form is that of a marker, which is a file name too. A state with nothing in
// it may have none.
var form = regexp.MustCompile(`^(jt-[A-Z2-7]{16})?$`)

var markerAtEnd = regexp.MustCompile(`\[jt-[A-Z2-7]{16}\]$`)

// MarkerIn returns the marker at the end of a token's description, "" if no
// mint made that token.
func MarkerIn(description string) string { return markerAtEnd.FindString(description) }

// Decode reads the state of that name. A name that is a marker is the state's own:
// what a commit brings could have that of another mint. The error is ErrState: the
// decoder's own may quote the text.
func Decode(name string, text []byte) (State, error) {
	var s State
	if json.Unmarshal(text, &s) != nil || s.WrittenBy != writtenBy || !form.MatchString(s.Marker) ||
		form.MatchString(name) && s.Marker != name || s.Pending == pendingRefresh && len(s.Tokens) == 0 {
		return State{}, ErrState
	}
	return s, nil
}

// seal is what only who has the stored token can make of a state. It covers what
// never changes.
func (s State) seal(credential secret.String) string {
	if credential.IsZero() {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(credential.Reveal()))
	_, _ = mac.Write([]byte(s.URL + "\n" + s.Marker)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// SealedWith reports whether a mint with that stored token saved the state.
func (s State) SealedWith(credential secret.String) bool {
	return !credential.IsZero() && hmac.Equal([]byte(s.Seal), []byte(s.seal(credential)))
}

// Expiry is when the job's token expires, by this machine's clock; zero if it
// never does.
func (s State) Expiry() time.Time {
	if len(s.Tokens) == 0 {
		return time.Time{}
	}
	return s.Tokens[len(s.Tokens)-1].Expires
}

// settled reports whether nothing is left to revoke or to look up.
func (s State) settled() bool {
	return s.Pending == "" && !slices.ContainsFunc(s.Tokens, func(h Held) bool { return s.Revoke || !h.HandedOn })
}

// Over reports whether everything that the state names has expired.
func (s State) Over() bool {
	return !slices.ContainsFunc(s.Tokens, func(h Held) bool { return !h.expired() }) &&
		(s.Pending != pendingCreate && s.Pending != pendingRefresh || s.past())
}

// past reports whether the token that may exist has expired, if it ever does.
func (s State) past() bool { return !s.Until.IsZero() && time.Now().After(s.Until) }
