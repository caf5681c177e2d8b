package cli

import (
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrog"
)

func TestHasPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		description, prefix string
		want                bool
	}{
		{"GitHub acme/app Build [jt-A]", "GitHub acme/app", true},
		{"GitHub acme/app", "GitHub acme/app", true},
		{"GitHub acme/app\tBuild", "GitHub acme/app", true},
		{"GitHub acme/app\u00a0Build", "GitHub acme/app", true},
		{"GitHub acme/app Build", "GitHub acme/app ", true},
		{"GitHub acme/app Build", "GitHub", true},
		{"GitHub acme/app", "", true},
		{"", "", true},
		{"GitHub acme/app-legacy Build", "GitHub acme/app", false},
		{"GitHub acme/app-legacy Build", "GitHub acme/app ", false},
		{"GitHub acme/app[jt-A]", "GitHub acme/app", false},
		{"GitHub acme/apple", "GitHub acme/app", false},
		{"GitHub acme/app", "GitHub acme/app ", false},
		{"github acme/app Build", "GitHub acme/app", false},
		{" GitHub acme/app Build", "GitHub acme/app", false},
		{"", "GitHub", false},
	} {
		if got := hasPrefix(c.description, c.prefix); got != c.want {
			t.Errorf("%q, %q: expected %t to be %t", c.description, c.prefix, got, c.want)
		}
	}
}

func TestOrphaned(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 13, 0, 0, 0, time.UTC)
	const age = 6 * time.Hour
	good := jfrog.Listed{ID: "a", Description: "GitHub acme/app " + marker, Issued: now.Add(-age - time.Second)}
	for name, c := range map[string]struct {
		change func(*jfrog.Listed)
		want   bool
	}{
		"old, never expires":            {func(*jfrog.Listed) {}, true},
		"old, lives":                    {func(l *jfrog.Listed) { l.Expiry = now.Add(time.Second) }, true},
		"expired":                       {func(l *jfrog.Listed) { l.Expiry = now }, false},
		"may be younger by a second":    {func(l *jfrog.Listed) { l.Issued = now.Add(-age) }, false},
		"young":                         {func(l *jfrog.Listed) { l.Issued = now.Add(-time.Second) }, false},
		"issued after JFrog responded":  {func(l *jfrog.Listed) { l.Issued = now.Add(time.Hour) }, false},
		"nobody knows when it was made": {func(l *jfrog.Listed) { l.Issued = time.Time{} }, false},
		"without an id":                 {func(l *jfrog.Listed) { l.ID = "" }, false},
		"without a marker":              {func(l *jfrog.Listed) { l.Description = "GitHub acme/app run 1" }, false},
		"of another repository":         {func(l *jfrog.Listed) { l.Description = "GitHub acme/app2 " + marker }, false},
	} {
		l := good
		c.change(&l)
		if got := orphaned(l, "GitHub acme/app", age, now); got != c.want {
			t.Errorf("%s: expected %t to be %t", name, got, c.want)
		}
	}
}
