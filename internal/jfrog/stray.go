package jfrog

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Strays finds the tokens with exactly this description, other than the one
// to keep: those that an attempt left whose answer was lost. The mark in the
// description is unique to one mint, so that none of them is a sibling job's.
// JFrog lists stored tokens alone, and to a user only the user's own.
func (c *Client) Strays(ctx context.Context, bearer secret.String, description, keep string) ([]Held, error) {
	var answer struct {
		Tokens []struct {
			TokenID     string `json:"token_id"`
			Description string `json:"description"`
		} `json:"tokens"`
	}
	u := c.url(tokensPath)
	u.RawQuery = url.Values{"description": {description}}.Encode()
	err := c.policy.Retry(ctx, func() error {
		_, err := c.wire.Do(ctx, wire.Request{Method: http.MethodGet, URL: u, Bearer: bearer}, &answer)
		return err
	})
	if err != nil {
		return nil, err
	}
	var strays []Held
	for _, t := range answer.Tokens {
		// An older server may ignore the query.
		if t.Description == description && t.TokenID != keep && t.TokenID != "" {
			strays = append(strays, Held{Bearer: bearer, ID: t.TokenID, Revocable: true})
		}
	}
	return strays, nil
}
