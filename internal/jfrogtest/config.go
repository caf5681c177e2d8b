// Package jfrogtest is an embedded JFrog Access and OIDC issuer for tests and for the demo.
// It behaves as JFrog is known to behave; what is not known about JFrog is a switch in Config.
package jfrogtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Config describes a platform. The zero Config is a current platform with one OIDC integration and two users.
type Config struct {
	Version       string `json:"version"`        // "7.117.14" unless set
	DefaultExpiry int    `json:"default_expiry"` // seconds; 31536000 unless set
	MaxExpiry     int    `json:"max_expiry"`     // seconds, for non-admins; 0 is no cap

	// A token with a lifetime under RevocableThreshold (21600) cannot be revoked; 0: all can, -1: none that expires can.
	// A token with a lifetime under PersistentThreshold (10800) is not stored; 0 or less: all are.
	// https://jfrog.com/help/r/jfrog-platform-administration-documentation/relationship-between-the-two-thresholds
	RevocableThreshold  *int `json:"revocable_threshold"`
	PersistentThreshold *int `json:"persistent_threshold"`
	NoRefreshable       bool `json:"no_refreshable"`
	// RefreshGrace is how many seconds an expired token can still be refreshed for, as the bearer of that request too.
	// JFrog's documentation says 24 h in one place, and that it must be enabled in another.
	RefreshGrace int `json:"refresh_grace"`

	// ReferenceAnywhere lets reference tokens into Access as a Basic password and in X-JFrog-Art-Api too. JFrog documents
	// both, but not for which service. Artifactory always takes them.
	ReferenceAnywhere bool `json:"reference_anywhere"`

	Users     []User        `json:"users"`
	Tokens    []StoredToken `json:"tokens"`
	Many      ManyTokens    `json:"many"`
	Providers []Provider    `json:"providers"`

	NonAdminGroups *bool `json:"non_admin_groups"` // non-admins may ask for a subset of their groups; true unless set

	ErrorShape           string `json:"error_shape"` // "modern", "flat", "artifactory", "oauth" or "html"
	OmitUsername         bool   `json:"omit_username"`
	OmitScope            bool   `json:"omit_scope"`             // from the exchange and from token objects
	ExchangeTokenID      bool   `json:"exchange_token_id"`      // no client's struct has it
	ExchangeRefreshToken bool   `json:"exchange_refresh_token"` // https://github.com/jfrog/setup-jfrog-cli/issues/138
	SelfRevocableStored  bool   `json:"self_revocable_stored"`  // a self_revocable mapping's tokens are stored
	SelfRevocableExt     bool   `json:"self_revocable_ext"`     // and carry the ext claim

	DeleteUnknown      int `json:"delete_unknown"`       // 204 or 404: the id is unknown, expired or revoked
	DeleteNotPersisted int `json:"delete_not_persisted"` // 400, 204 or 404: the token is alive, but not stored
	MeNotPersisted     int `json:"me_not_persisted"`     // 200 or 404

	// DescriptionSpace stands for each run of whitespace in a description that is stored; it is kept as it is unless set.
	DescriptionSpace string `json:"description_space"`

	Clock int `json:"clock"` // seconds by which the platform's clock is ahead
	// Date is the header of that name: "none" for no such header; by the platform's clock unless set.
	Date string `json:"date"`

	ListCap     int  `json:"list_cap"`     // a list shows no more than so many tokens; JFrog is not known to have a limit
	IgnoreOrder bool `json:"ignore_order"` // a list is in the order of issue, whatever was asked for

	Sequential bool    `json:"sequential"` // ids count from 00000000-0000-4000-8000-000000000001
	Faults     []Fault `json:"faults"`
}

// User is a user that the platform knows. Others may exist as transient users, without groups.
type User struct {
	Name   string   `json:"name"`
	Admin  bool     `json:"admin"`
	Groups []string `json:"groups"`
}

// StoredToken is a token that exists from the start. Its secret is Platform.Stored(i).
type StoredToken struct {
	User           string `json:"user"`
	Kind           string `json:"kind"`       // "access" (default), "reference" or "identity"
	Scope          string `json:"scope"`      // applied-permissions/user unless set
	Age            int    `json:"age"`        // seconds since it was issued
	ExpiresIn      int    `json:"expires_in"` // seconds from now; 0 never, negative: expired that long ago
	Revoked        bool   `json:"revoked"`
	Refreshable    bool   `json:"refreshable"` // its refresh token is Platform.StoredRefresh(i)
	ForceRevocable bool   `json:"force_revocable"`
	Audience       string `json:"audience"`
	Description    string `json:"description"`
}

// ManyTokens are Count tokens like StoredToken, the last one, each issued a second after the one before. They have no
// secret, which takes long to make, and nobody can use them.
type ManyTokens struct {
	Count int `json:"count"`
	StoredToken
}

// Provider is an OIDC integration.
type Provider struct {
	Name         string    `json:"name"`
	IssuerURL    string    `json:"issuer_url"` // empty: the Issuer given to New
	Audience     string    `json:"audience"`
	Organization string    `json:"organization"`
	Mappings     []Mapping `json:"mappings"`
}

// Mapping is an identity mapping. The matching one with the lowest priority wins.
type Mapping struct {
	Name       string         `json:"name"`
	Priority   int            `json:"priority"`
	Claims     map[string]any `json:"claims"` // a string, where * is a wildcard, or a list of which one must match
	ProjectKey string         `json:"project_key"`
	TokenSpec  TokenSpec      `json:"token_spec"`
}

// TokenSpec is what a mapping's tokens look like.
type TokenSpec struct {
	Username        string `json:"username"`
	UsernamePattern string `json:"username_pattern"` // {{claim}}
	GroupsPattern   string `json:"groups_pattern"`
	Scope           string `json:"scope"`
	Audience        string `json:"audience"`
	ExpiresIn       int    `json:"expires_in"` // 60 unless set, as in JFrog's Terraform provider
	SelfRevocable   bool   `json:"self_revocable"`
}

// DecodeConfig reads a Config from JSON and refuses fields it does not know.
func DecodeConfig(data []byte) (Config, error) {
	var cfg Config
	err := decodeStrict(data, &cfg)
	return cfg, err
}

// DecodeIssuerConfig reads an IssuerConfig from JSON and refuses fields it does not know.
func DecodeIssuerConfig(data []byte) (IssuerConfig, error) {
	var cfg IssuerConfig
	if err := decodeStrict(data, &cfg); err != nil {
		return cfg, err
	}
	return cfg, cfg.check()
}

func decodeStrict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("text after the configuration")
	}
	return nil
}

func (c *Config) setDefaults() {
	setDefault(&c.Version, "7.117.14")
	setDefault(&c.DefaultExpiry, 31536000)
	setDefault(&c.ErrorShape, "modern")
	setDefault(&c.DeleteUnknown, 204)
	setDefault(&c.DeleteNotPersisted, 400)
	setDefault(&c.MeNotPersisted, 200)
	setDefault(&c.RevocableThreshold, new(21600))
	setDefault(&c.PersistentThreshold, new(10800))
	setDefault(&c.NonAdminGroups, new(true))
	if c.Users == nil {
		c.Users = []User{{Name: "admin", Admin: true}, {Name: "ci-bot", Groups: []string{"readers", "deployers"}}}
	}
	if c.Providers == nil {
		c.Providers = []Provider{{Name: "github", Mappings: []Mapping{{
			Name:      "ci",
			Claims:    map[string]any{"repository": "acme/app"},
			TokenSpec: TokenSpec{Username: "ci-bot", Scope: "applied-permissions/user", ExpiresIn: 600},
		}}}}
	}
	// The platform aligns the two thresholds when it starts: a revocable token has to be stored.
	if *c.RevocableThreshold >= 0 && *c.PersistentThreshold > *c.RevocableThreshold {
		c.PersistentThreshold = c.RevocableThreshold
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var providerName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,254}$`)

func (c *Config) check() error {
	if _, err := parseVersion(c.Version); err != nil {
		return err
	}
	for _, field := range []struct {
		name, value string
		allowed     []string
	}{
		{"error_shape", c.ErrorShape, []string{"modern", "flat", "artifactory", "oauth", "html"}},
		{"delete_unknown", strconv.Itoa(c.DeleteUnknown), []string{"204", "404"}},
		{"delete_not_persisted", strconv.Itoa(c.DeleteNotPersisted), []string{"400", "204", "404"}},
		{"me_not_persisted", strconv.Itoa(c.MeNotPersisted), []string{"200", "404"}},
	} {
		if !slices.Contains(field.allowed, field.value) {
			return fmt.Errorf("%s: %q is none of %q", field.name, field.value, field.allowed)
		}
	}
	for i, t := range c.Tokens {
		if !slices.Contains([]string{"", "access", "reference", "identity"}, t.Kind) {
			return fmt.Errorf("tokens[%d]: unknown kind %q", i, t.Kind)
		}
	}
	for _, p := range c.Providers {
		if !providerName.MatchString(p.Name) {
			return fmt.Errorf("provider %q: invalid name", p.Name)
		}
		for _, m := range p.Mappings {
			if m.TokenSpec.GroupsPattern == "" && !mappingScope.MatchString(m.TokenSpec.Scope) {
				return fmt.Errorf("mapping %s/%s: Invalid scope", p.Name, m.Name)
			}
		}
	}
	return checkFaults(c.Faults)
}

func parseVersion(s string) ([3]int, error) {
	var v [3]int
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return v, fmt.Errorf("version %q is not major.minor.patch", s)
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil {
			return v, fmt.Errorf("version %q: %w", s, err)
		}
		v[i] = n
	}
	return v, nil
}

// since says whether the platform is at least this version.
func (c *Config) since(version string) bool {
	have, _ := parseVersion(c.Version)
	want, err := parseVersion(version)
	if err != nil {
		panic(err)
	}
	return slices.Compare(have[:], want[:]) >= 0
}
