module github.com/ephemeral-ci/jfrog-token

go 1.26.0

// Builds with a patched standard library: Go 1.26.0 parses https://evil.com[::1]:1 as [::1].
toolchain go1.26.8

// In the binary.
require (
	github.com/cenkalti/backoff/v4 v4.3.0
	github.com/sethvargo/go-envconfig v1.4.3
	github.com/sethvargo/go-githubactions v1.4.0
	golang.org/x/crypto/x509roots/fallback v0.0.0-20261030153154-30a33513ff6d
	golang.org/x/sys v0.50.0
	golang.org/x/term v0.48.0
)

// In tests and the demo.
require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/joho/godotenv v1.5.1
	github.com/rogpeppe/go-internal v1.16.0
	go.yaml.in/yaml/v3 v3.0.4
)

require golang.org/x/tools v0.26.0 // indirect
