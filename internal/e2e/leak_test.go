package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// derived gives the forms in which a secret could stand in a log: itself,
// base64 of it at each offset in both alphabets, base64 of user:secret,
// URL-escaped, JSON-escaped, and a JWT's signature.
func derived(user, secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	if user != "" {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(user+":"+secret)))
	}
	j, _ := json.Marshal(secret)
	return append(forms, string(j[1:len(j)-1]))
}

// traces gives what must be nowhere in printed text for a secret not to be in
// it, however it is wrapped: base64 at any offset contains one of three
// middles.
func traces(secret string) []string {
	forms := derived("", secret)
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range 3 {
			encoded := enc.EncodeToString([]byte(strings.Repeat("x", offset) + secret))
			if len(encoded) > 12 { // the edges depend on what stands beside the secret
				forms = append(forms, encoded[4:len(encoded)-4])
			}
		}
	}
	if parts := strings.Split(secret, "."); len(parts) == 3 && len(parts[2]) > 20 {
		forms = append(forms, parts[2], parts[2][:len(parts[2])/2])
	}
	return forms
}

// leak proves that no secret, in any derived form, is in anything that
// was printed. The one place where a secret stands is its own mask, which the
// runner does not show; what comes before it is checked like the rest.
func leak(res *runnertest.Result, secrets []jfrogtest.Secret) error {
	var printed strings.Builder
	for line := range strings.Lines(res.Raw) {
		if !strings.HasPrefix(line, "::add-mask::") {
			printed.WriteString(line)
		}
	}
	printed.WriteString(res.Summary)
	for k, v := range res.Env {
		printed.WriteString(k + "=" + v + "\n")
	}
	for _, k := range secrets {
		for _, form := range traces(k.Value) {
			if strings.Contains(printed.String(), form) {
				return fmt.Errorf("%s is printed:\n%s", k.Name, printed.String())
			}
			if strings.Contains(res.Log, form) {
				return fmt.Errorf("%s is in the log:\n%s", k.Name, res.Log)
			}
		}
	}
	return nil
}
