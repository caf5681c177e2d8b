package jfrog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// JFrog ignores force_revocable in a form, its default lifetime is a year, and
// whether a token can be revoked is its administrator's choice: these fields
// are sent whatever they are, and as JSON.
func TestWhatIsSentToCreate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		request CreateRequest
		want    string
	}{
		{"little", CreateRequest{ExpiresIn: 60}, `{"expires_in":60,"force_revocable":false}`},
		{"all", CreateRequest{
			Username: "u", Scope: "s", ExpiresIn: 60, Refreshable: true, Description: "d", Audience: "a", ProjectKey: "p",
			IncludeReferenceToken: true, ForceRevocable: true,
		}, `{"username":"u","scope":"s","expires_in":60,"refreshable":true,"description":"d","audience":"a","project_key":"p","include_reference_token":true,"force_revocable":true}`},
	} {
		var got string
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			got = strings.Join([]string{r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(text)}, " ")
			_, _ = io.WriteString(w, `{"access_token":"x"}`)
		})
		token, lost, err := once(u).Create(t.Context(), secret.New("b"), c.request)
		if want := "POST /access/api/v1/tokens Bearer b application/json " + c.want; got != want || err != nil || lost != 0 || token.Access.Reveal() != "x" || token.Exchanged {
			t.Errorf("%s: expected %s, %v to be %s", c.name, got, err, want)
		}
	}
}

// What came with status 200 and cannot be handed on is an error that names no
// part of it, and may have left a token. What is wrong beside a good token is
// left out: that token exists.
func TestUnusableTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		usable     bool
	}{
		{"no token", `{"token_id":"needle"}`, false},
		{"an empty token", `{"access_token":"","token_id":"needle"}`, false},
		{"null", `null`, false},
		{"a blank in it", `{"access_token":"needle x"}`, false},
		{"a line break in it", `{"access_token":"needle\nx"}`, false},
		{"another letter in it", `{"access_token":"needlé"}`, false},
		{"9 KiB of it", `{"access_token":"` + strings.Repeat("needle", 1536) + `"}`, false},
		{"a line break in the reference token", `{"access_token":"x","reference_token":"needle\n"}`, true},
		{"a zero byte in the refresh token", `{"access_token":"x","refresh_token":"\u0000needle"}`, true},
		{"a number for the token", `{"access_token":1234567890,"needle":1}`, false},
		{"a list", `[{"access_token":"needle"}]`, false},
		{"half of it", `{"access_token":"needle`, false},
		{"a page", `<!DOCTYPE html><html>needle</html>`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.body) })
			token, lost, err := once(u).Create(t.Context(), secret.New("b"), CreateRequest{})
			if c.usable {
				if err != nil || lost != 0 || token.Access.Reveal() != "x" || len(token.Secrets()) != 1 {
					t.Errorf("expected %v, %d to be %q", err, lost, "one token")
				}
				return
			}
			var e *wire.Error
			if !errors.As(err, &e) || lost != 1 || !token.Access.IsZero() {
				t.Errorf("expected %v, %d to be %q", err, lost, "an error, and an unknown outcome")
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err, e); strings.Contains(text, "needl") {
				t.Errorf("expected %q to be %q", text, "without the response")
			}
		})
	}
}

// idTokens is a CI that issues ID tokens, each another one.
type idTokens struct {
	err     error
	final   bool // the CI issues one alone
	issued  int
	renewed int
}

func (i *idTokens) Token(context.Context) (secret.String, error) {
	i.issued++
	return secret.New(fmt.Sprintf("id-token-%d", i.renewed)), i.err
}

func (i *idTokens) Renew() bool {
	if i.final {
		return false
	}
	i.renewed++
	return true
}

func TestWhatIsSentToExchange(t *testing.T) {
	t.Parallel()
	var got map[string]any
	var field []string
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		field = r.Header["Authorization"]
		_, _ = io.WriteString(w, `{"access_token":"x"}`)
	})
	token, lost, err := once(u).Exchange(t.Context(), &idTokens{}, ExchangeRequest{ProviderName: "github", RunID: "7"})
	want := map[string]any{
		"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
		"subject_token": "id-token-0", "provider_name": "github", "run_id": "7",
	}
	if err != nil || lost != 0 || !token.Exchanged || fmt.Sprint(got) != fmt.Sprint(want) || field != nil {
		t.Errorf("expected %v, %v, %q to be %v, without Authorization", got, err, field, want)
	}
}

// 401 may be a clock that is behind the CI's: it gets one more try with a
// fresh ID token, after a pause, and one alone.
func TestExchangeIsTriedOnceMoreWithAFreshIDToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		refusals int
		final    bool
		want     string // the ID tokens that arrived
		ok       bool
	}{
		{"refused once", 1, false, "id-token-0 id-token-1", true},
		{"refused twice", 2, false, "id-token-0 id-token-1", false},
		{"refused, and there is no other", 1, true, "id-token-0", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var came []string
			var at []time.Time
			u := serve(t, func(w http.ResponseWriter, r *http.Request) {
				var request struct {
					Token string `json:"subject_token"`
				}
				_ = json.NewDecoder(r.Body).Decode(&request)
				came, at = append(came, request.Token), append(at, time.Now())
				if len(came) <= c.refusals {
					w.WriteHeader(http.StatusUnauthorized)
					_, _ = fmt.Fprintf(w, forms["Access"], "ID token not valid yet")
					return
				}
				_, _ = io.WriteString(w, `{"access_token":"x"}`)
			})
			// What the retry adds to the pause is bounded by the time left.
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			client := New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 5})
			_, lost, err := client.Exchange(ctx, &idTokens{final: c.final}, ExchangeRequest{ProviderName: "github"})
			if got := strings.Join(came, " "); got != c.want || (err == nil) != c.ok || lost != 0 {
				t.Fatalf("expected %q, %v to be %q, %t", got, err, c.want, c.ok)
			}
			if len(at) == 2 && at[1].Sub(at[0]) < skewWait {
				t.Errorf("expected a pause of %s to be at least %s", at[1].Sub(at[0]), skewWait)
			}
			if !c.ok && KindOf(err) != IDTokenExpired {
				t.Errorf("expected kind %d to be %d", KindOf(err), IDTokenExpired)
			}
		})
	}
}

// That the CI has no ID token is not JFrog's refusal, and nothing was sent.
func TestNoIDToken(t *testing.T) {
	t.Parallel()
	u := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("expected no request") })
	why := errors.New("no ID token")
	_, lost, err := once(u).Exchange(t.Context(), &idTokens{err: why}, ExchangeRequest{})
	if err != why || lost != 0 || errors.As(err, new(*Error)) {
		t.Errorf("expected %v, %d to be %v, %d", err, lost, why, 0)
	}
}
