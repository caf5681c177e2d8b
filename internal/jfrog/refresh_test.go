package jfrog

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// JFrog gives the new token what the old one had, except a reference token.
func TestWhatIsSentToRefresh(t *testing.T) {
	t.Parallel()
	for reference, want := range map[bool]string{
		false: `{"grant_type":"refresh_token","refresh_token":"r"}`,
		true:  `{"grant_type":"refresh_token","refresh_token":"r","include_reference_token":true}`,
	} {
		var got string
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			got = strings.Join([]string{r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(text)}, " ")
			_, _ = io.WriteString(w, `{"access_token":"x","refresh_token":"y"}`)
		})
		token, lost, err := once(u).Refresh(t.Context(), secret.New("b"), RefreshRequest{secret.New("r"), reference})
		if want := "POST /access/api/v1/tokens Bearer b application/json " + want; got != want || err != nil || lost != 0 || token.Access.Reveal() != "x" || token.Refresh.Reveal() != "y" {
			t.Errorf("expected %s, %v to be %s", got, err, want)
		}
	}
}

// The first attempt may have used up the refresh token, whatever the response
// says of coming back: no status makes it sent once more.
func TestRefreshIsSentOnce(t *testing.T) {
	t.Parallel()
	const refusal = `{"errors":[{"code":"C","message":"x"}]}`
	for _, c := range []struct {
		status int
		body   string
		lost   int
	}{
		{400, refusal, 0}, {401, refusal, 0}, {403, refusal, 0}, {404, refusal, 0}, {403, "<html>", 1}, {408, refusal, 1}, {425, refusal, 1},
		{429, refusal, 1}, {500, refusal, 1}, {502, "", 1}, {503, refusal, 1}, {504, "", 1}, {200, "{}", 1},
	} {
		n := 0
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		client := New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 5})
		_, lost, err := client.Refresh(t.Context(), secret.New("b"), RefreshRequest{Refresh: secret.New("r")})
		if n != 1 || lost != c.lost || err == nil {
			t.Errorf("%d %s: expected %d requests, %d lost, %v to be %d, %d", c.status, c.body, n, lost, err, 1, c.lost)
		}
	}
}

// What never left this machine is tried again.
func TestRefreshThatWasNotSentIsRetried(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &url.URL{Scheme: "http", Host: l.Addr().String()}
	l.Close()
	retries := 0
	client := New(wire.New(wire.Options{}), u, wire.Policy{MaxAttempts: 2, Notify: func(wire.Retry) { retries++ }})
	_, lost, err := client.Refresh(t.Context(), secret.New("b"), RefreshRequest{Refresh: secret.New("r")})
	if retries != 1 || lost != 0 || err == nil {
		t.Errorf("expected %d retries, %d lost, %v to be %d, %d", retries, lost, err, 1, 0)
	}
}

func TestRefusalsOfARefresh(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status  int
		message string
		want    Kind
	}{
		{404, "Token matching the provided refresh token was not found.", UsedRefresh}, {404, "HTTP 404 Not Found", NoEndpoint},
		{400, "Token was not issued by this instance", ForeignRefresh}, {400, "Unsupported grant type: refresh_token", NoEndpoint},
		{401, "Invalid token, expired", Expired}, {401, "Invalid token, revoked", Revoked}, {401, "Bad credentials", Unauthenticated},
		{403, "Only ci-bot can refresh this token", Forbidden}, {403, "audience", NarrowAudience},
	} {
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			fmt.Fprintf(w, `{"errors":[{"code":"C","message":%q}]}`, c.message)
		})
		_, _, err := once(u).Refresh(t.Context(), secret.New("b"), RefreshRequest{Refresh: secret.New("r")})
		if got := KindOf(err); got != c.want || !Refused(err) {
			t.Errorf("%d %s: expected %d to be %d", c.status, c.message, got, c.want)
		}
		var e *Error
		if !errors.As(err, &e) || e.Op != OpRefresh {
			t.Errorf("expected %v to be of %q", err, OpRefresh)
		}
	}
}

func TestPeek(t *testing.T) {
	t.Parallel()
	if got := Peek(secret.New("cmVmZXJlbmNl")); got.ID != "" || !got.Expiry.IsZero() || got.Lifetime != 0 {
		t.Errorf("expected %+v to say nothing of a reference token", got)
	}
}
