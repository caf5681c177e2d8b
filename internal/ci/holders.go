package ci

import (
	"strings"

	"github.com/ephemeral-ci/jfrog-token/internal/jwt"
)

// Holders are those who can have an ID token with the same value of a claim. An
// identity mapping lets in all who can have every value in it.
type Holders int

const (
	Anybody    Holders = iota // whoever has a repository on the CI, of a fork too
	Callers                   // whoever may call the workflow, or include the configuration
	Siblings                  // the other repositories of the owner
	NextOfName                // whoever takes the name once it is free
	Nobody                    // but the repository
)

// Holders implements Platform.
func (v variant) Holders(claims jwt.Claims, name string) Holders {
	h := v.holders[name]
	// With immutable subjects, the repository's id stands beside its name:
	// https://learn.microsoft.com/entra/workload-id/workload-identities-github-immutable-subjects
	id := claims.String("repository_id")
	if name == "sub" && h == NextOfName && id != "" && strings.Contains(claims.String(name)+":", "@"+id+":") {
		return Nobody
	}
	return h
}
