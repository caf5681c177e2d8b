package jfrog

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// verifications are the requests that verify a token, and a response to each
// that accepts it.
var verifications = []struct {
	op       Op
	verify   func(c *Client, ctx context.Context, connect *url.URL) error
	uri      string
	accepted string
}{
	{OpVerifyPlatform, func(c *Client, ctx context.Context, _ *url.URL) error {
		return c.VerifyPlatform(ctx, secret.New("b"))
	}, "/access/api/v1/tokens/me", `{"token_id":"a","subject":"jfac@01/users/ci"}`},
	{OpVerifyArtifactory, func(c *Client, ctx context.Context, _ *url.URL) error {
		return c.VerifyArtifactory(ctx, secret.New("b"))
	}, "/artifactory/api/system/version", `{"version":"7.117.14"}`},
	{OpVerifyConnect, func(c *Client, ctx context.Context, connect *url.URL) error {
		return c.VerifyConnect(ctx, secret.New("b"), connect, "shop")
	}, "/connect/api/v2/shop/devices?limit=1", `[]`},
}

// A token is shown to the service that was asked for, and to no other.
func TestVerifySendsTheTokenToTheServiceAlone(t *testing.T) {
	t.Parallel()
	for _, v := range verifications {
		var got, elsewhere string
		record := func(into *string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				*into += r.Method + " " + r.RequestURI + " " + r.Header.Get("Authorization")
				_, _ = io.WriteString(w, v.accepted)
			}
		}
		platform, connect := record(&got), record(&elsewhere)
		if v.op == OpVerifyConnect {
			platform, connect = connect, platform
		}
		err := v.verify(once(serve(t, platform)), t.Context(), serve(t, connect).JoinPath("connect"))
		if want := "GET " + v.uri + " Bearer b"; err != nil || got != want || elsewhere != "" {
			t.Errorf("%s: expected %v, %q and %q to be %q and %q", v.op, err, got, elsewhere, want, "")
		}
	}
}

// Whatever is not known to be an acceptance is none, even with status 200.
func TestVerifyAcceptsNothingElse(t *testing.T) {
	t.Parallel()
	redirected := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	for _, v := range verifications {
		for _, c := range []struct {
			status int
			body   string
			want   Kind
		}{
			{200, fmt.Sprintf(page, "Log in"), Other},
			{200, "", Other},
			{200, `{`, Other},
			{202, v.accepted, Other},
			{204, "", Other},
			{307, "", Other},
			{401, "", Unauthenticated},
			{401, fmt.Sprintf(page, "401"), Other},
			{403, "Not authorized", Forbidden},
			{404, "", NoEndpoint},
			{404, fmt.Sprintf(page, "404"), Other},
			{405, `{"message":"Method Not Allowed"}`, NoEndpoint},
			{418, "", Other},
		} {
			u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.status == http.StatusTemporaryRedirect {
					w.Header().Set("Location", redirected.String())
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			if err := v.verify(once(u), t.Context(), u); err == nil || KindOf(err) != c.want {
				t.Errorf("%s, %d %q: expected %v of kind %d to be of kind %d", v.op, c.status, c.body, err, KindOf(err), c.want)
			}
		}
		if v.op == OpVerifyConnect {
			continue // the form of its response is not documented
		}
		for _, body := range []string{`{}`, `[]`, `17`, `null`, `{"token_id":"","version":""}`, `{"status":"ok"}`} {
			u := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
			if err := v.verify(once(u), t.Context(), u); err == nil {
				t.Errorf("%s, %s: expected %v to be %q", v.op, body, err, "an error")
			}
		}
	}
}
