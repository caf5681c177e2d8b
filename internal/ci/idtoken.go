package ci

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// leastLife is what an ID token must have left when it is sent: an exchange
// may take a while, and a queue at the other end is not ours to see.
const leastLife = time.Minute

// ErrExpiring says that an ID token that was handed in is about to expire, and
// that this program cannot get another.
var ErrExpiring = errors.New("the ID token expires within a minute, and only the CI can issue another")

// errNoValue says that the CI responded without an ID token.
var errNoValue = errors.New("response holds no ID token")

// IDTokenSource is where the ID tokens come from that prove who the job is: the CI
// handed one in, or issues them at an endpoint.
type IDTokenSource struct {
	fetch func(context.Context) (string, error) // nil: the only token is held
	hide  func(...secret.String) error
	held  secret.String
	// Where the token comes from, for the log; "" if that is the CI's one way.
	Where string
	// Fixed says that the audience cannot be asked for there.
	Fixed bool
}

// Token returns an ID token with more than a minute to live, masked.
func (s *IDTokenSource) Token(ctx context.Context) (secret.String, error) {
	if !s.held.IsZero() && s.left() > leastLife {
		return s.held, nil
	}
	if s.fetch == nil {
		return secret.String{}, fmt.Errorf("get ID token: %w", ErrExpiring)
	}
	v, err := s.fetch(ctx)
	if err == nil && strings.ContainsFunc(v, secret.NotInToken) {
		err = errNoValue // a mask is made of each line: one of a letter would hide that letter everywhere
	}
	if err != nil {
		return secret.String{}, fmt.Errorf("get ID token: %w", err)
	}
	s.held = secret.New(v)
	return s.held, s.hide(s.held)
}

// Renew implements jfrog.IDTokens.
func (s *IDTokenSource) Renew() bool {
	if s.fetch == nil {
		return false
	}
	s.held = secret.String{}
	return true
}

// Claims returns those of the last token.
func (s *IDTokenSource) Claims() jwt.Claims {
	c, _ := jwt.Peek(s.held.Reveal())
	return c
}

func (s *IDTokenSource) left() time.Duration {
	exp := s.Claims().Time("exp")
	if exp.IsZero() {
		return leastLife + 1 // it does not say: the other side will
	}
	return time.Until(exp)
}
