// Package idtoken is where the ID token comes from that proves who the job
// is: handed in by the CI, or asked for at its token endpoint.
package idtoken

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// leastLife is what an ID token must have left when it is sent: an exchange
// may take a while, and a queue at the other end is not ours to see.
const leastLife = time.Minute

// ErrExpiring says that an ID token that was handed in is about to end, and
// that this program cannot get another.
var ErrExpiring = errors.New("the ID token ends within a minute, and only the CI can issue another")

// ErrNoValue says that the CI answered without an ID token.
var ErrNoValue = errors.New("the CI's answer holds no ID token")

// RequestError is a failure to get an ID token from the CI, as opposed to one
// of what the token is for.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return "get ID token: " + e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

// Source gives ID tokens.
type Source struct {
	fetch func(context.Context) (string, error) // nil: the only token is held
	mask  func(secret.String)
	held  secret.String
	// Where the token comes from, for the log.
	Where string
	// Fixed says that the audience cannot be asked for there.
	Fixed bool
}

// Given is a Source of the one token that the CI handed out.
func Given(token secret.String) *Source {
	return &Source{held: token, Where: "the input id-token", Fixed: true}
}

// Token gives an ID token with more than a minute to live, masked.
func (s *Source) Token(ctx context.Context) (secret.String, error) {
	if !s.held.IsZero() && s.left() > leastLife {
		return s.held, nil
	}
	if s.fetch == nil {
		return secret.String{}, ErrExpiring
	}
	v, err := s.fetch(ctx)
	if err == nil && strings.ContainsFunc(v, secret.NotInToken) {
		err = ErrNoValue // a mask is made of each line: one of a letter would hide that letter everywhere
	}
	if err != nil {
		return secret.String{}, &RequestError{err}
	}
	s.held = secret.New(v)
	s.mask(s.held)
	return s.held, nil
}

// Renew implements jfrog.IDTokens.
func (s *Source) Renew() bool {
	if s.fetch == nil {
		return false
	}
	s.held = secret.String{}
	return true
}

// Claims gives those of the token that was given last.
func (s *Source) Claims() jwt.Claims {
	c, _ := jwt.Peek(s.held.Reveal())
	return c
}

func (s *Source) left() time.Duration {
	exp := s.Claims().Time("exp")
	if exp.IsZero() {
		return leastLife + 1 // it does not say: the other side will
	}
	return time.Until(exp)
}
