package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

var errSweep = errors.New("not every token was revoked; see above")

// admin runs list, sweep, and revoke by id: commands that look at tokens
// other than the job's own. Their credential is the stored token, or one that
// is exchanged for them and ends with them.
func (a *app) admin(ctx context.Context, command string) error {
	m, err := a.prepare(command)
	if err != nil {
		return err
	}
	budget, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	bearer := m.cfg.AccessToken
	if m.cfg.OIDC() {
		m.handsOn = false
		exchanged, err := m.exchange(budget)
		if err != nil {
			m.undo(ctx)
			return m.explain(err)
		}
		bearer = exchanged.Access
		defer func() { m.undo(ctx) }()
	}
	switch command {
	case "list":
		err = m.list(budget, bearer)
	case "sweep":
		err = m.sweep(budget, bearer)
	default:
		err = m.revokeNamed(budget, bearer)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, errSweep) {
		return m.explain(err)
	}
	return err
}

// list prints the tokens that the credential may see.
func (m *minting) list(ctx context.Context, bearer secret.String) error {
	tokens, err := m.jfrog.List(ctx, bearer, pattern(m.cfg.DescriptionPrefix))
	if err != nil {
		return doing(listing, err)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Description\tSubject\tToken ID\tIssued\tExpiry\tScope")
	for _, t := range tokens {
		if strings.HasPrefix(t.Description, m.cfg.DescriptionPrefix) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", cell(t.Description), cell(t.Subject), cell(t.ID), date(t.Issued), date(t.Expiry), cell(t.Scope))
		}
	}
	_ = w.Flush() // to a strings.Builder
	for line := range strings.Lines(b.String()) {
		m.ci.Info(strings.TrimRight(line, " \n"))
	}
	return nil
}

// pattern is JFrog's for a prefix.
func pattern(prefix string) string {
	if prefix == "" {
		return ""
	}
	return prefix + "*"
}

// sweep revokes the tokens that cancelled jobs left behind. JFrog is not known
// to answer with less than all, nor to take a page; should a platform do so,
// the next round finds what this one was not shown.
func (m *minting) sweep(ctx context.Context, bearer secret.String) error {
	own, err := m.ownID(ctx, bearer)
	if err != nil {
		return doing(listing, err)
	}
	before := time.Now().Add(-m.cfg.OlderThan)
	seen, count := map[string]bool{own: true}, map[jfrog.Outcome]int{}
	for {
		tokens, err := m.jfrog.List(ctx, bearer, pattern(m.cfg.DescriptionPrefix))
		if err != nil {
			return doing(listing, err)
		}
		revoked := 0
		for _, t := range tokens {
			// An older platform may ignore the query.
			if seen[t.ID] || t.ID == "" || !strings.HasPrefix(t.Description, m.cfg.DescriptionPrefix) || t.Issued.IsZero() || !t.Issued.Before(before) {
				continue
			}
			seen[t.ID] = true
			if m.cfg.DryRun {
				m.saySwept(t, "would be revoked")
				count[jfrog.Revoked]++
				continue
			}
			outcome, err := m.jfrog.Revoke(ctx, t.Held(bearer))
			count[outcome]++
			if outcome == jfrog.Revoked || outcome == jfrog.Gone {
				revoked++
			}
			m.saySweptOutcome(t, outcome, err)
			if ctx.Err() != nil {
				m.saySweep(count)
				return doing(revoking, cmp.Or(err, context.Cause(ctx)))
			}
		}
		if revoked == 0 {
			break
		}
	}
	m.saySweep(count)
	if count[jfrog.Failed] > 0 {
		return errSweep
	}
	return nil
}

// ownID is the id of the credential itself, which sweep must spare.
func (m *minting) ownID(ctx context.Context, bearer secret.String) (string, error) {
	if claims, err := jwt.Peek(bearer.Reveal()); err == nil && claims.String("jti") != "" {
		return claims.String("jti"), nil
	}
	return m.jfrog.Me(ctx, bearer)
}

// revokeNamed revokes the tokens that the input token-id names.
func (m *minting) revokeNamed(ctx context.Context, bearer secret.String) error {
	failed := false
	for _, id := range m.cfg.TokenIDs {
		outcome, err := m.jfrog.Revoke(ctx, jfrog.Held{Bearer: bearer, ID: id, Revocable: true})
		m.saySweptOutcome(jfrog.Listed{ID: id}, outcome, err)
		failed = failed || outcome == jfrog.Failed
	}
	if failed {
		return errSweep
	}
	return nil
}
