package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/lease"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Every sentence that a person reads is in this file, in hint.go, in check.go if
// check alone says it, or in the error that it is about. The voice: lower case after the first word that names
// a thing, no exclamation, what happened before what to do, times both absolute
// and as a distance. What comes from outside is sanitized by the log.

func (j *job) sayStart() {
	credential := "a stored token"
	switch {
	case j.cfg.Refreshes():
		credential = "a token to refresh"
	case j.cfg.OIDC():
		credential = "an ID token for the provider " + j.cfg.ProviderName
	}
	j.ci.Info(fmt.Sprintf("jfrog-token %s: %s at %s", Version(), credential, j.cfg.URL))
	warnings := j.cfg.Warnings
	if j.cfg.Audience != "" && !jfrog.ReachesAccess(j.cfg.Audience) {
		warnings = append(slices.Clone(warnings), "audience names neither *@* nor jfac@*: JFrog Access will "+
			"not accept the token, so only its creator can revoke it")
	}
	for _, w := range warnings {
		j.ci.Warning(w)
	}
}

// sayIDToken says where the ID token comes from, if that is not the one way of
// the CI, and that an audience cannot be requested there.
func (j *job) sayIDToken() {
	if j.ids.Where != "" {
		j.ci.Info("ID token from " + j.ids.Where)
	}
	if j.cfg.OIDCAudience != "" && j.ids.Fixed && j.cfg.IDToken.IsZero() {
		j.ci.Warning("oidc-audience has no effect: the audience of an ID token from " + j.ids.Where + " is fixed in the CI")
	}
}

func (r *run) sayRetry(t wire.Retry) {
	r.ci.Info(fmt.Sprintf("%s: attempt %d of %d failed: %s; retrying in %s", t.Request, t.Attempt, t.Of,
		t.Reason, span(t.Wait)))
}

func (r *run) sayExchange(e wire.Exchange) {
	status := "no response"
	if e.Status != 0 {
		status = fmt.Sprintf("HTTP %d", e.Status)
	}
	r.ci.Info(fmt.Sprintf("debug: %s %s: %s in %s", e.Method, e.Path, status, e.Took.Round(time.Millisecond)))
}

func (j *job) sayToken(t jfrog.Token) { j.ci.Info(described(t) + ", " + revocable(t)) }

// described is what is known of a token.
func described(t jfrog.Token) string {
	expiry := "never expires"
	if !t.Expiry.IsZero() {
		expiry = fmt.Sprintf("expires %s (in %s)", t.Expiry.Format(time.RFC3339), span(t.Lifetime))
	}
	return fmt.Sprintf("token %s for %s, scope %s, %s", orNone(cut(t.ID, maxClaim)),
		orNone(cut(t.Username, maxClaim)), orNone(cut(t.Scope, maxScope)), expiry)
}

// revocable is whether the token itself says so.
func revocable(t jfrog.Token) string {
	if t.Revocable {
		return "revocable"
	}
	return "not revocable"
}

// sayNoRefreshToken warns of a refresh token that JFrog did not return.
func (j *job) sayNoRefreshToken() {
	j.ci.Warning(j.hintNoRefreshable().after("JFrog returned no refresh token")...)
}

// sayUsage says how later steps get the token.
func (j *job) sayUsage() {
	lines, lost := j.ci.Usage(j.cfg.Revoke)
	if lost {
		j.ci.Warning(lines...)
	} else {
		for _, l := range lines {
			j.ci.Info(l)
		}
	}
	if !j.cfg.Revoke {
		j.ci.Info("revoke is false: the token is not revoked when the job ends")
	}
}

// sayLonger warns of a token that outlives what the identity mapping allows: a
// narrower token is one that expires no later.
func (j *job) sayLonger(asked, mapping time.Duration) {
	j.ci.Warning(fmt.Sprintf("%s is %s, longer than the %s of the identity mapping: the token outlives the "+
		"one that it is created with", j.ci.Variable("expires-in"), span(asked), span(mapping)))
}

// sayOutlived warns that the command of exec ran on without a valid token.
func (j *job) sayOutlived(t jfrog.Token, late time.Duration) {
	j.ci.Warning(j.hintOutlived().after(fmt.Sprintf("the token expired %s before the command ended, after its "+
		"lifetime of %s", span(max(late, time.Second)), span(t.Lifetime)))...)
}

// sayOnlyExchanged says why the job's token cannot be revoked, and how to have
// this line no more.
func (j *job) sayOnlyExchanged(exchanged jfrog.Token, err error) {
	j.ci.Notice("JFrog refused a second token that could be revoked: "+cause(err),
		"The exchanged one is handed on. "+onlyExchanged(j.ci.Variable, exchanged))
}

func onlyExchanged(variable func(string) string, exchanged jfrog.Token) string {
	return "It expires in " + span(exchanged.Lifetime) + ", and can be revoked only if its identity " +
		"mapping is self_revocable. To have this line no more, let the mapping's user create tokens, or set " +
		variable("force-revocable") + " to false."
}

func (j *job) sayVerified(service string) { j.ci.Info("verify " + service + ": the token is accepted") }

// sayUnverified says that the platform has no word on the token: not that it
// refuses it.
func (j *job) sayUnverified(err error) {
	j.ci.Warning("verify platform: the token could not be verified: JFrog is older than 7.53.1, or does not know a " +
		"token that it did not store: " + cause(err))
}

// whyNot is the reason that goes with every "not revocable".
const whyNot = "JFrog revokes a token that lives for less than 6 hours only if that was requested, by " +
	"force-revocable or by self_revocable in the identity mapping"

// sayEvent says what became of a token during mint, and of the credential of
// list, sweep and revoke by id.
func (j *job) sayEvent(e lease.Event) {
	what := "token " + orNone(e.ID) + ", not handed on: "
	switch {
	case e.Role == lease.Exchanged && j.means:
		what = "exchanged token " + orNone(e.ID) + ", no longer needed: "
	case e.Role == lease.Orphan:
		what = orphan(e)
	}
	switch {
	case e.Outcome == "":
		j.ci.Warning(e.Err.Error())
	case e.Role == lease.Replaced && j.cfg.Revoke:
		j.sayReplaced(e, "When the job ends, revoke revokes the old token: if it is still there, it has no successor.")
	case e.Outcome == lease.Unknown:
		j.sayUnknown(e)
	case e.Outcome == lease.Kept:
		j.ci.Info("exchanged token " + orNone(e.ID) + ", not revoked: revoke looks up with it what may have " +
			"been made; " + ends(e.Held))
	case e.Outcome == jfrog.FailedRevoke && !j.cfg.Revoke:
		j.ci.Warning(what+outcome(e), "nothing will revoke it, as no token is saved with revoke: false; "+ends(e.Held)+".")
	case e.Outcome == jfrog.FailedRevoke:
		j.ci.Warning(what+outcome(e), "revoke tries again when the job ends; "+ends(e.Held)+".")
	case e.Outcome == jfrog.CannotRevoke && (e.Role == lease.Job || !j.means):
		j.ci.Warning(what + outcome(e) + ": " + whyNot)
	default:
		j.ci.Info(what + outcome(e))
	}
}

// sayRevoked says what became of a token at the end of the job.
func (r *run) sayRevoked(e lease.Event, s lease.State) {
	switch e.Outcome {
	case "":
		r.ci.Warning(e.Err.Error())
		return
	case lease.Unknown:
		r.sayUnknown(e)
		return
	}
	line := "token " + orNone(e.ID) + ": " + outcome(e)
	// A means to the token that the job got, if it got another one.
	means := e.Role == lease.Exchanged && slices.ContainsFunc(s.Tokens, func(h lease.Held) bool { return !h.Exchanged })
	switch {
	case e.Role == lease.Orphan:
		line = orphan(e) + outcome(e)
	case e.Role == lease.Replaced && e.Outcome == jfrog.WasRevoked:
		line += ", as its refresh had an unknown outcome; it has no successor"
	case means:
		line = "exchanged " + line
	}
	switch {
	case e.Outcome == jfrog.CannotRevoke && e.Role != lease.Orphan && !means:
		line += ": " + whyNot
		r.ci.Info(line)
	case e.Outcome == jfrog.FailedRevoke && s.RevokeFailure == "fail":
		r.ci.Error(r.hint(e.Err, nil).after(line)...)
	case e.Outcome == jfrog.FailedRevoke:
		r.ci.Warning(r.hint(e.Err, nil).after(line)...)
	default:
		r.ci.Info(line)
	}
	if s.Summary {
		if err := r.ci.Summary("\n" + markdown(r.ci.Clean(line)) + "\n"); err != nil {
			r.ci.Warning(err.Error())
		}
	}
}

// sayUnknown names the token that may exist, so that a person can find it.
func (r *run) sayUnknown(e lease.Event) {
	if e.Role == lease.Exchanged {
		lifetime := "as the identity mapping says"
		if e.Lifetime > 0 {
			lifetime = "after at most " + span(e.Lifetime)
		}
		r.ci.Warning(fmt.Sprintf("the outcome of %s is unknown: JFrog may have issued as many tokens that "+
			"nobody received; each expires %s", plural(e.Lost, "exchange", "exchanges"), lifetime))
		return
	}
	if e.Role == lease.Pairing {
		r.ci.Warning(fmt.Sprintf("the outcome of %s is unknown: JFrog may have issued as many pairing tokens that nobody "+
			"received; each can be used once, and expires within 5 minutes", plural(e.Lost, "request", "requests")))
		return
	}
	if e.Role == lease.Replaced {
		r.sayReplaced(e)
		return
	}
	expires := "never expires"
	if !e.Until.IsZero() {
		expires = "expires by " + e.Until.Format(time.RFC3339)
	}
	found := "If it exists, it " + expires
	if e.Marker != "" {
		found = fmt.Sprintf("If it exists, it has %q in its description, and %s", e.Marker, expires)
	}
	lines := []string{
		"the outcome of a request is unknown, and JFrog may have made a token that nobody holds: " + e.Err.Error(), found + ".",
	}
	if e.Role == lease.Successor {
		lines = []string{
			"token " + orNone(e.ID) + " was refreshable: whoever used its refresh token has a successor, which could not be " +
				"looked up: " + e.Err.Error(),
			found + ". If a later step of this job refreshed the token, that step revokes the successor.",
		}
	}
	if errors.Is(e.Err, lease.ErrNoCredential) && !r.action {
		lines = append(lines, fmt.Sprintf("With the %s, %s and %s that mint had, revoke looks it up.", r.ci.Variable("url"),
			r.ci.Variable("access-token"), r.ci.Variable("ca-cert")))
	}
	r.ci.Warning(lines...)
}

// sayReplaced says that a refresh may have made a token that nobody holds. It
// carries no marker of this mint. then are lines that follow.
func (r *run) sayReplaced(e lease.Event, then ...string) {
	until := "when a token of its lifetime does"
	if !e.Until.IsZero() {
		until = "by " + e.Until.Format(time.RFC3339)
	}
	lines := []string{"the outcome of the refresh is unknown: JFrog may have replaced token " + orNone(e.ID) + " by one " +
		"that nobody holds, which expires " + until}
	r.ci.Warning(append(lines, then...)...)
}

func orphan(e lease.Event) string { return "token " + e.ID + ", which nobody holds: " }

// outcome is how every command says what became of a token.
func outcome(e lease.Event) string {
	switch e.Outcome {
	case jfrog.HasExpired:
		if e.Expires.IsZero() {
			return "expired"
		}
		return "expired " + span(max(0, time.Since(e.Expires))) + " ago"
	case jfrog.CannotRevoke:
		return "not revocable, " + ends(e.Held)
	case jfrog.FailedRevoke:
		return "failed: " + cause(e.Err) + "; " + ends(e.Held)
	}
	return string(e.Outcome)
}

// cause is the text of an error without what was being done, where the line
// says that already.
func cause(err error) string {
	var e *jfrog.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	return err.Error()
}

func (r *run) sayNothing() { r.ci.Info("nothing to revoke: no state of a mint is left") }

func (r *run) sayBusy(s lease.State) {
	r.ci.Info("left for a later revoke: the token of [" + s.Marker + "], whose mint or exec is still " +
		"running, or which another revoke ends")
}

func (r *run) sayOther(s lease.State) {
	r.ci.Info("left for its own revoke: the token of [" + s.Marker + "], with the env-file " + s.EnvFile)
}

// sayUnordered warns of a list whose first page is not the newest.
func (j *job) sayUnordered() {
	j.ci.Warning(fmt.Sprintf("JFrog did not list the newest tokens first: they are in that order only within each %d",
		jfrog.PageSize))
}

func (j *job) saySwept(t jfrog.Listed, what string) {
	j.ci.Info(fmt.Sprintf("token %s (%s), issued %s: %s", t.ID, shorten(j.ci.Clean(t.Description), 120),
		issued(t), what))
}

// sayNamed says what became of a token of which only the id is known.
func (j *job) sayNamed(id string, outcome jfrog.Outcome, err error) {
	what := j.became(outcome, err)
	switch outcome {
	case jfrog.AlreadyGone:
		what += ": JFrog has no such token. It does not store a token that lives for less than 3 hours and was not " +
			"made revocable: such a one is valid until it expires"
	case jfrog.CannotRevoke:
		what += ": " + whyNot
	}
	j.ci.Info("token " + id + ": " + what)
}

// became is what became of a token that sweep or revoke by id was to end.
func (j *job) became(outcome jfrog.Outcome, err error) string {
	switch {
	case err != nil && j.time.Interrupted() != nil:
		return "outcome unknown: " + context.Cause(j.time.Work).Error()
	case err != nil:
		return string(outcome) + ": " + cause(err)
	}
	return string(outcome)
}

// sayWouldRevoke says of a dry run what the real one would do.
func (j *job) sayWouldRevoke(t jfrog.Listed) {
	what := "would be revoked"
	if t.MayRefuse() {
		what += " if it was made with force-revocable; it lives for " + span(t.Expiry.Sub(t.Issued))
	}
	j.saySwept(t, what)
}

func (s *sweep) saySweep() {
	n := s.count
	revoked := plural(n[jfrog.WasRevoked], "token", "tokens")
	if s.cfg.DryRun {
		doubts := ""
		if s.doubts > 0 {
			doubts = fmt.Sprintf(", and %d more if made with force-revocable", s.doubts)
		}
		s.ci.Info(fmt.Sprintf("sweep, dry run: %s would be revoked", revoked) + doubts)
		return
	}
	s.ci.Info(fmt.Sprintf("sweep: %s revoked, %d already gone, %d not revocable, %d failed",
		revoked, n[jfrog.AlreadyGone], n[jfrog.CannotRevoke], n[jfrog.FailedRevoke]))
}

func issued(t jfrog.Listed) string {
	if t.Issued.IsZero() {
		return "unknown"
	}
	return t.Issued.Format(time.RFC3339)
}

func expiry(t jfrog.Listed) string {
	if t.Expiry.IsZero() {
		return "never"
	}
	return t.Expiry.Format(time.RFC3339)
}

func ends(h lease.Held) string {
	if h.Expires.IsZero() {
		return "never expires"
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
		return "(none)"
	}
	return s
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// sayError says why the program fails, in the log and in the job summary.
func (r *run) sayError(err error) {
	var input *config.Error
	var explained *explained
	lines, more := []string{err.Error()}, hint{}
	switch {
	case errors.As(err, &input):
		lines = append([]string{plural(len(input.Problems), "input is", "inputs are") + " wrong"}, input.Problems...)
		more = r.hintInputs(input)
	case errors.As(err, &explained):
		more = explained.hint
	}
	r.ci.Error(more.after(lines...)...)
	if _, interrupted := err.(Interrupted); interrupted || r.post || !config.Summarizes(r.inputs) {
		return // post writes what became of each token
	}
	_ = r.ci.Summary(r.failure(append(lines, more.lines...), more.topic)) // the log has it
}
