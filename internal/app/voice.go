package app

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
)

// Every sentence that a person reads stands in this file and in hint.go. The
// voice: lower case after the first word that names a thing, no exclamation,
// what happened before what to do, times both absolute and as a distance. What
// comes from outside is made harmless by the log that prints it.

func (a *app) sayStart(cfg *config.Config) {
	if cfg.OIDC() {
		a.ci.Info(fmt.Sprintf("jfrog-token %s: an ID token for the provider %s at %s", Version(), cfg.ProviderName, cfg.URL))
	} else {
		a.ci.Info(fmt.Sprintf("jfrog-token %s: a stored token at %s", Version(), cfg.URL))
	}
	for _, w := range cfg.Warnings {
		a.ci.Warning(w)
	}
}

// sayIDToken tells where the ID token comes from, where that is not the one
// way of the CI, and that a wish for an audience cannot be met.
func (m *minting) sayIDToken() {
	if !m.onGitHub() {
		m.ci.Info("ID token from " + m.ids.Where)
	}
	if m.cfg.OIDCAudience != "" && m.ids.Fixed && m.cfg.IDToken.IsZero() {
		m.ci.Warning("oidc-audience has no effect: the audience of an ID token from " + m.ids.Where + " is fixed in the CI")
	}
}

func (a *app) sayRetry(attempt int, reason string, wait time.Duration) {
	a.ci.Info(fmt.Sprintf("attempt %d: %s; next in %s", attempt, reason, span(wait)))
}

func (m *minting) sayToken(t jfrog.Token) {
	m.ci.Info(fmt.Sprintf("token %s for %s, scope %s, %s, %s", orNone(t.ID), orNone(t.Username), orNone(t.Scope), expiry(t), revocability(t)))
}

func expiry(t jfrog.Token) string {
	if t.Expiry.IsZero() {
		return "never expires"
	}
	return fmt.Sprintf("expires %s (in %s)", t.Expiry.Format(time.RFC3339), span(t.Life))
}

func revocability(t jfrog.Token) string {
	if t.Revocable {
		return "revocable"
	}
	return "not revocable"
}

// whyNot is the reason that goes with every "not revocable".
const whyNot = "JFrog revokes a token that lives under 6 hours only where that was asked for, by force-revocable or by self_revocable in the identity mapping"

func (a *app) sayRevoked(t heldToken, outcome jfrog.Outcome, err error, onFailure string) string {
	h := t.held()
	line := "token " + orNone(h.ID) + ": "
	switch outcome {
	case jfrog.Expired:
		line += "expired"
		if !h.Expires.IsZero() {
			line += " " + span(max(0, time.Since(h.Expires))) + " ago"
		}
	case jfrog.NotRevocable:
		line += "not revocable, " + ends(h) + ": " + whyNot
	case jfrog.Failed:
		line += "failed: " + err.Error() + "; " + ends(h)
		if onFailure == "fail" {
			a.ci.Error(append([]string{line}, hint(doing(revoking, err), nil)...)...)
		} else {
			a.ci.Warning(append([]string{line}, hint(doing(revoking, err), nil)...)...)
		}
		return line
	default:
		line += string(outcome)
	}
	a.ci.Info(line)
	return line
}

func (a *app) sayNothing(s state) {
	if !s.Revoke {
		a.ci.Info("nothing to revoke: the input revoke is false")
		return
	}
	a.ci.Info("nothing to revoke: no token is left")
}

func (m *minting) sayDiscarded(h jfrog.Held, outcome jfrog.Outcome, err error) {
	what := "exchanged token " + orNone(h.ID) + ", no longer needed: "
	switch outcome {
	case jfrog.Failed:
		m.ci.Warning(what+"not revoked: "+err.Error(), "revoke tries again when the job ends; "+ends(h)+".")
	case jfrog.NotRevocable:
		m.ci.Info(what + "not revocable, " + ends(h))
	default:
		m.ci.Info(what + string(outcome))
	}
}

func (m *minting) sayUndone(h jfrog.Held, outcome jfrog.Outcome, err error) {
	what := "token " + orNone(h.ID) + ", not handed on: "
	if !m.handsOn {
		what = "exchanged token " + orNone(h.ID) + ", no longer needed: "
	}
	switch outcome {
	case jfrog.Failed:
		m.ci.Warning(what+"not revoked: "+err.Error(), "revoke tries again when the job ends; "+ends(h)+".")
	case jfrog.NotRevocable:
		m.ci.Warning(what + "not revocable, " + ends(h) + ": " + whyNot)
	default:
		m.ci.Info(what + string(outcome))
	}
}

func (m *minting) sayLostExchange(lost int, t jfrog.Token) {
	life := "as long as the identity mapping says"
	if t.Life > 0 {
		life = "at most " + span(t.Life)
	}
	m.ci.Warning(fmt.Sprintf("%s without an answer: JFrog may have issued as many tokens that nobody received; each lives %s", plural(lost, "exchange ended", "exchanges ended"), life))
}

func (a *app) sayStray(h jfrog.Held, outcome jfrog.Outcome, err error) {
	what := "token " + h.ID + ", of an attempt whose answer was lost: "
	switch {
	case err != nil:
		a.ci.Warning(what + "not revoked: " + err.Error() + "; " + ends(h))
	case outcome == jfrog.NotRevocable:
		a.ci.Warning(what + "not revocable, " + ends(h))
	default:
		a.ci.Info(what + string(outcome))
	}
}

func (m *minting) sayStraysUnknown(r jfrog.CreateRequest, err error) {
	m.ci.Warning(fmt.Sprintf("an answer was lost, and JFrog could not be asked what it left: %v", err),
		fmt.Sprintf("If there is a token with %q in its description besides the one handed on, it expires by %s.", m.mark, by(r)))
}

func (m *minting) sayStraysUnlisted(r jfrog.CreateRequest) {
	why := "JFrog may still be storing it"
	if !r.ForceRevocable {
		why = "JFrog lists no token that lives under 3 hours"
	}
	m.ci.Warning("an answer was lost: JFrog may have created a token that nobody received, and lists none",
		fmt.Sprintf("%s. If it is there, it has %q in its description and expires by %s.", why, m.mark, by(r)))
}

func (m *minting) saySwept(t jfrog.Listed, what string) {
	line := "token " + cell(t.ID)
	if t.Description != "" {
		line += " (" + cell(t.Description) + "), issued " + date(t.Issued)
	}
	m.ci.Info(line + ": " + what)
}

func (m *minting) saySweptOutcome(t jfrog.Listed, outcome jfrog.Outcome, err error) {
	what := string(outcome)
	if err != nil {
		what += ": " + err.Error()
	}
	m.saySwept(t, what)
}

func (m *minting) saySweep(count map[jfrog.Outcome]int) {
	if m.cfg.DryRun {
		m.ci.Info(fmt.Sprintf("sweep, dry run: %s would be revoked", plural(count[jfrog.Revoked], "token", "tokens")))
		return
	}
	m.ci.Info(fmt.Sprintf("sweep: %s revoked, %d already gone, %d not revocable, %d failed",
		plural(count[jfrog.Revoked], "token", "tokens"), count[jfrog.Gone]+count[jfrog.Expired], count[jfrog.NotRevocable], count[jfrog.Failed]))
}

// cell cuts a value from outside for a table.
func cell(s string) string {
	if r := []rune(s); len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return strings.NewReplacer("\t", " ", "\n", " ", "\v", " ", "\f", " ").Replace(s) // tabwriter's own
}

func date(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format(time.RFC3339)
}

func by(r jfrog.CreateRequest) string {
	return time.Now().Add(time.Duration(r.ExpiresIn) * time.Second).UTC().Format(time.RFC3339)
}

func ends(h jfrog.Held) string {
	if h.Expires.IsZero() {
		return "it never expires"
	}
	return "expires in " + span(max(0, time.Until(h.Expires)))
}

// span writes a distance in time as short as its size makes sense.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "(not given)"
	}
	return s
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func status(code int) string {
	if code == 0 {
		return "no answer"
	}
	return fmt.Sprintf("HTTP %d", code)
}

// tell says why the program fails.
func (a *app) tell(err error) {
	var interrupted Interrupted
	var input *config.Error
	var explained *explained
	switch {
	case errors.Is(err, errTold):
	case errors.As(err, &interrupted): // the retry lines told the rest
		a.ci.Error(interrupted.Error())
	case errors.As(err, &input) && len(input.Problems) > 1:
		a.ci.Error(append([]string{fmt.Sprintf("%d inputs are wrong; nothing was sent", len(input.Problems))}, input.Problems...)...)
	case errors.As(err, &input):
		a.ci.Error("an input is wrong; nothing was sent", input.Problems[0])
	case errors.As(err, &explained):
		a.ci.Error(append([]string{err.Error()}, explained.hint...)...)
	default:
		a.ci.Error(err.Error())
	}
}

func usage() string {
	var b strings.Builder
	b.WriteString(`jfrog-token gives one CI job one JFrog access token that lives as long as the job.

Usage: jfrog-token [mint | revoke | list | sweep | version | help]

mint     gets a token, masks it, saves what revoke needs, sets the outputs
revoke   revokes what mint of the same job saved, or the tokens of token-id
list     the tokens that the credential may see
sweep    revokes tokens that cancelled jobs left behind

Without a command, the input command names it. Inputs are read from the
environment: INPUT_<NAME> in GitHub Actions, PLUGIN_<NAME> in Drone, Woodpecker
and Harness, JFROG_TOKEN_<NAME> elsewhere.

Inputs:
`)
	for _, i := range config.Inputs() {
		fmt.Fprintf(&b, "  %s", i.Name)
		if i.Default != "" {
			fmt.Fprintf(&b, " (default %s)", i.Default)
		}
		fmt.Fprintf(&b, "\n      %s\n", i.Help)
	}
	b.WriteString(`
Exit codes: 0 done; 1 JFrog, the CI or the network refused; 2 an input is
wrong, and nothing was sent; 129, 130 and 143 after SIGHUP, SIGINT and SIGTERM.
`)
	return b.String()
}
