package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/lease"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// errLeft is why revoke and sweep fail. What failed, and why, was said.
var errLeft = errors.New("not every token was revoked")

// revoke ends what mint of the same job saved or, instead, the tokens that its
// arguments and token-id name.
func (r *run) revoke(ctx context.Context) error {
	for _, id := range r.words {
		if wrong := config.CheckTokenID(id); wrong != "" { // not quoted: it may be a token
			return problem("an argument of revoke is not the id of a token: " + wrong)
		}
	}
	if len(r.words) > 0 {
		r.inputs.Give("token-id", strings.Join(r.words, ","))
	}
	if !r.inputs.IsSet("token-id") {
		if r.action {
			return r.withoutID()
		}
		if err := r.revokeSaved(ctx); err != nil {
			return err
		}
		return r.inputs.Wrong() // what was saved has ended first
	}
	return r.withBearer(ctx, "revoke", (*job).revokeNamed)
}

// withoutID says what the command revoke needs in the action, whose post step is
// the one that reads what mint saved.
func (r *run) withoutID() error {
	problems := []string{"token-id is not set: the post step of mint revokes what mint made, and " +
		"command: revoke the tokens that token-id names"}
	var wrong *config.Error
	if errors.As(r.inputs.Wrong(), &wrong) {
		problems = append(problems, wrong.Problems...)
	}
	return &config.Error{Problems: problems}
}

// revokeSaved reads what mint saved, never the inputs' URL. The newest state is
// this job's, and gets most of the time.
func (r *run) revokeSaved(ctx context.Context) error {
	b, stop := wire.NewBudget(ctx, 0)
	defer stop()
	all, cancel := b.Cleanup()
	defer cancel()
	markers, err := r.ci.States()
	busy, ended, saved := false, map[string]bool{}, r.readAll(markers)
	for i, m := range markers {
		s, others, e := r.take(m)
		switch {
		case errors.Is(e, fs.ErrNotExist): // another revoke ended it
		case e != nil:
			err = errors.Join(err, e)
		case !r.ends(s) && s.Over():
			r.dropOver(m)
		case !r.ends(s):
			r.sayOther(s)
		case others:
			busy = true
			r.sayBusy(s)
		default:
			ended[m] = true
			part, cancel := wire.Share(all, len(markers)-i)
			err = errors.Join(err, r.end(part, s, beside(m, saved)))
			cancel()
		}
	}
	if len(ended) == 0 && !busy && err == nil {
		r.sayNothing()
	}
	err = errors.Join(err, r.ci.Clear(r.othersUseEnv(ended)))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// readAll returns the states that can be read.
func (r *run) readAll(markers []string) []lease.State {
	var list []lease.State
	for _, m := range markers {
		if s, err := r.read(m); err == nil {
			list = append(list, s)
		}
	}
	return list
}

// beside returns the states but that of a marker.
func beside(marker string, saved []lease.State) []lease.State {
	return slices.DeleteFunc(slices.Clone(saved), func(s lease.State) bool { return s.Marker == marker })
}

// ends reports whether this revoke ends a state: that of its own env file, and
// that of an exec. If the exec is running, the state is locked, and if not,
// nobody else will end it.
func (r *run) ends(s lease.State) bool { return s.EnvFile == r.ci.EnvFile() || s.EnvFile == "" }

// take returns a state, and locks it if this revoke ends it: to lock that of
// another env file would keep its own revoke from it.
func (r *run) take(marker string) (s lease.State, busy bool, err error) {
	if s, err = r.read(marker); err != nil || !r.ends(s) {
		return s, false, err
	}
	text, busy, err := r.ci.Take(marker)
	if err == nil && !busy {
		s, err = lease.Decode(marker, text) // its mint may have saved it once more
	}
	return s, busy, err
}

// othersUseEnv reports whether the env file may be that of a mint which was not
// ended here: one that is running, or that began since.
func (r *run) othersUseEnv(ended map[string]bool) bool {
	markers, _ := r.ci.States()
	return slices.ContainsFunc(markers, func(m string) bool {
		s, err := r.read(m)
		return !ended[m] && err == nil && s.EnvFile == r.ci.EnvFile()
	})
}

// end ends what one mint saved, beside others.
func (r *run) end(ctx context.Context, s lease.State, others []lease.State) error {
	u, wrong := config.ParseURL(s.URL)
	if wrong != "" {
		if s.URL != "" {
			return lease.ErrState
		}
		r.sayNothing() // main failed before it read its inputs
		return r.ci.Drop(s.Marker)
	}
	set, err := config.Roots(s.CACert)
	if err != nil {
		r.ci.Warning(fmt.Sprintf("ca-cert %v; trying the system's roots", err))
	}
	_, c := r.platform(u, set, wire.CleanupAttempts)
	l := lease.Resume(r.ci, c, s)
	l.Credential, l.Others = r.credential(s), others
	said := false
	l.Report = func(e lease.Event) { said = true; r.sayRevoked(e, s) }
	ok := l.Revoke(ctx)
	if !said {
		r.sayNothing()
	}
	if !ok && s.RevokeFailure == "fail" {
		return errLeft
	}
	return nil
}

// credential is the stored token that mint used, if the CI hands it to this
// step as well. The state that a post step reads is the runner's own. A state file
// lies in the workspace, where a commit can put one: there the token is used only
// for a state that was saved with it, sent to the URL of the inputs alone, and only
// if no certificate of the state's own says who that is.
func (r *run) credential(s lease.State) secret.String {
	token, u := config.Credential(r.inputs)
	if !r.post && (!s.SealedWith(token) || u == nil || u.String() != s.URL ||
		s.CACert != "" && s.CACert != config.CACert(r.inputs)) {
		return secret.String{}
	}
	_ = r.ci.Hide(token)
	return token
}

// revokeNamed revokes the tokens that the arguments and token-id name. It fails
// if one of them may live on.
func (j *job) revokeNamed(bearer secret.String) (err error) {
	for _, id := range j.cfg.TokenIDs {
		if j.time.Work.Err() != nil {
			return errTimeout
		}
		outcome, e := j.jfrog.Revoke(j.time.Work, bearer, jfrog.Target{ID: id, Revocable: true})
		if j.sayNamed(id, outcome, e); outcome == jfrog.CannotRevoke || outcome == jfrog.FailedRevoke {
			err = errLeft
		}
	}
	return err
}
