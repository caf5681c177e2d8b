package app

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// state is what mint saves for revoke: all that it needs, so that it reads
// no input, which an earlier step could have changed. Every key is always
// there.
type state struct {
	URL           string `json:"url"`
	CACert        string `json:"ca_cert"`
	Revoke        bool   `json:"revoke"`
	RevokeFailure string `json:"revoke_failure"`
	Summary       bool   `json:"summary"`
	// Lost is the description of tokens that an attempt may have left whose
	// answer was lost; "" where there was none.
	Lost   string      `json:"lost"`
	Tokens []heldToken `json:"tokens"`
}

// heldToken is a jfrog.Held in the clear: here, and in the outputs, is where a
// token is written down on purpose.
type heldToken struct {
	Token     string `json:"token"`
	ID        string `json:"token_id"`
	ExpiresAt string `json:"expires_at"` // RFC 3339, by this machine's clock; "" is never
	Revocable bool   `json:"revocable"`
	Exchanged bool   `json:"exchanged"`
	HandedOn  bool   `json:"handed_on"` // the job has it; else it was a means to that one
}

func write(h jfrog.Held) heldToken {
	t := heldToken{Token: h.Bearer.Reveal(), ID: h.ID, Revocable: h.Revocable, Exchanged: h.Exchanged}
	if !h.Expires.IsZero() {
		t.ExpiresAt = h.Expires.UTC().Format(time.RFC3339)
	}
	return t
}

func (t heldToken) held() jfrog.Held {
	expires, _ := time.Parse(time.RFC3339, t.ExpiresAt) // "" and nonsense: never; JFrog will say
	return jfrog.Held{Bearer: secret.New(t.Token), ID: t.ID, Expires: expires, Revocable: t.Revocable, Exchanged: t.Exchanged}
}

func (s state) encode() string {
	b, _ := json.Marshal(s) // strings and booleans always marshal
	return string(b)
}

var errState = errors.New("read state: it is not what mint saved")

func decodeState(text string) (state, error) {
	var s state
	if err := json.Unmarshal([]byte(text), &s); err != nil || s.URL == "" {
		return state{}, errState // the decoder's error may quote the state
	}
	return s, nil
}
