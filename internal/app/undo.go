package app

import (
	"context"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
)

// undo is takeBack although ctx may have ended.
func (m *minting) undo(ctx context.Context) {
	ctx, cancel := cleanup(ctx, undoLimit, undoLastWord)
	defer cancel()
	m.takeBack(ctx)
}

// takeBack takes back the outputs and revokes every token that exists. What it
// cannot revoke stays in the state, and is said.
func (m *minting) takeBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, undoLimit)
	defer cancel()
	if err := m.ci.Retract(); err != nil {
		m.ci.Warning(err.Error())
	}
	left := []heldToken{}
	for i, t := range m.state.Tokens {
		h := t.held()
		part, cancel := share(ctx, len(m.state.Tokens)-i)
		outcome, err := m.jfrog.Revoke(part, h)
		cancel()
		m.sayUndone(h, outcome, err)
		if outcome == jfrog.Failed {
			left = append(left, t)
		}
	}
	if len(left) < len(m.state.Tokens) {
		m.state.Tokens = left
		saved := m.state.encode()
		if len(left) == 0 && !m.handsOn {
			saved = "" // no revoke step follows list or sweep
		}
		// Where even this fails the post step tries again, and finds the
		// tokens gone.
		_ = m.ci.SaveState(saved)
	}
}
