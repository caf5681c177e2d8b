package jfrog

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/wire"
)

// Op is what JFrog was asked to do.
type Op string

const (
	OpExchange Op = "exchange ID token"
	OpCreate   Op = "create token"
	OpRefresh  Op = "refresh token"
	OpRevoke   Op = "revoke token"
	OpList     Op = "list tokens"
	OpPair     Op = "create pairing token"

	OpVerifyPlatform    Op = "verify platform"
	OpVerifyArtifactory Op = "verify artifactory"
	OpVerifyConnect     Op = "verify connect"
)

// Verifies reports whether JFrog was asked to accept the job's own token.
func (o Op) Verifies() bool {
	return o == OpVerifyPlatform || o == OpVerifyArtifactory || o == OpVerifyConnect
}

// Kind is what JFrog's refusal means. It is found here alone: the outcome of a
// revocation and every hint follow from it.
type Kind int

const (
	Other           Kind = iota // not JFrog's refusal: the network, a gateway, an outage
	Expired                     // the bearer has expired
	Revoked                     // the bearer was revoked
	Unauthenticated             // any other 401
	Forbidden                   // the bearer may not do that
	Invalid                     // a parameter is wrong
	NotRevocable                // the token lives for less than the platform's threshold
	NoToken                     // there is no such token
	NoEndpoint                  // the platform is too old, or has no license for it
	NoProvider                  // there is no such OIDC integration
	NoMapping                   // the integration has no identity mapping of that name
	NoMatch                     // no identity mapping matches, or the ID token was not accepted
	WrongAudience               // the integration expects another audience
	NoKeys                      // JFrog cannot read the issuer's keys
	NoUser                      // the identity mapping names no user
	NoLicense                   // the platform's license does not include OIDC
	NoGroup                     // a group does not exist, or is not the user's
	NarrowAudience              // the bearer's audience does not include Access
	IDTokenExpired              // the ID token has expired, or is not valid yet
	BadSignature                // JFrog did not accept the ID token's signature
	NoProject                   // Connect does not know the project
	NoRefreshable               // the platform issues no refreshable tokens
	UsedRefresh                 // there is no such refresh token, or it was used up
	ForeignRefresh              // another platform issued the refresh token
)

// Error is a request that was not granted.
type Error struct {
	Op   Op
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return string(e.Op) + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the refusal in err's tree.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Other
}

// wrap wraps err with what was asked and what the refusal means.
func wrap(op Op, err error) error {
	if err == nil || errors.As(err, new(*Error)) {
		return err
	}
	var e *wire.Error
	kind := Other
	if errors.As(err, &e) && (e.JSON || op.Verifies() && refusesToken(e)) {
		kind = classify(op, e)
	} else if e != nil && op != OpRevoke && !e.HTML && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed) {
		kind = NoEndpoint
	}
	return &Error{op, kind, err}
}

// refusesToken reports whether a service that was asked about a token refuses
// it, in a form of its own: only those of Access and Artifactory are documented.
func refusesToken(e *wire.Error) bool {
	return !e.HTML && e.Err == nil && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// classify reads JFrog's own words. They were seen in the reports that
// docs/troubleshooting.md cites; where they change, the status still tells
// whose fault it is.
func classify(op Op, e *wire.Error) Kind {
	says := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(e.Message), w) {
				return true
			}
		}
		return false
	}
	switch op {
	case OpExchange:
		switch {
		case says("public key"): // of any status
			return NoKeys
		case says("license"):
			return NoLicense
		case says("invalid audience"):
			return WrongAudience
		case e.Status == http.StatusNotFound && says("mapping"):
			return NoMapping
		case (e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest && says("not found", "exist")) &&
			says("integration", "provider"):
			return NoProvider
		case e.Status == http.StatusUnauthorized && says("expired", "not valid yet"):
			return IDTokenExpired
		case e.Status == http.StatusUnauthorized && says("signature"):
			return BadSignature
		case e.Status == http.StatusBadRequest, e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
			return NoMatch
		}
	case OpCreate:
		switch {
		case says("invalid formatted name"):
			return NoUser
		case (e.Status == http.StatusBadRequest || e.Status == http.StatusForbidden || e.Status == http.StatusNotFound) && says("group"):
			return NoGroup
		case (e.Status == http.StatusBadRequest || e.Status == http.StatusForbidden) && says("refreshable"):
			return NoRefreshable
		}
	case OpRefresh:
		switch {
		case says("grant type"): // older than 7.37.9
			return NoEndpoint
		case e.Status == http.StatusNotFound && says("refresh token"):
			return UsedRefresh
		case e.Status == http.StatusBadRequest:
			return ForeignRefresh
		}
	case OpVerifyConnect:
		if e.Status == http.StatusNotFound && says("project", "fleet") { // which Connect also calls a project
			return NoProject
		}
	case OpRevoke:
		switch {
		case e.Status == http.StatusBadRequest && says("not revocable"):
			return NotRevocable
		case e.Status == http.StatusNotFound:
			return NoToken
		}
	}
	switch e.Status {
	case http.StatusUnauthorized:
		switch {
		case says("expired"):
			return Expired
		case says("revoked"):
			return Revoked
		}
		return Unauthenticated
	case http.StatusForbidden:
		if op != OpRevoke && says("audience") {
			return NarrowAudience
		}
		return Forbidden
	case http.StatusBadRequest:
		return Invalid
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return NoEndpoint
	}
	return Other
}

// Refused reports whether JFrog itself refused a request: it made no token, and
// would not make one if asked again.
func Refused(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && isRefusal(e)
}

// isRefusal reports whether e is JFrog's own: a status of those with its JSON.
func isRefusal(e *wire.Error) bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return e.JSON && e.Err == nil
	}
	return false
}

// unknown reports whether a token may exist although the request for it
// failed. Only JFrog's own refusal says that there is none: a 500 came after
// the row was saved (https://github.com/keboola/cli/issues/601), and what a
// gateway says is nothing about what is behind it.
func unknown(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Sent && !isRefusal(e)
}
