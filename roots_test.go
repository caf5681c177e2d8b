package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// An image that holds nothing but the binary has no root certificates.
func TestRootsAreThereWithoutTheSystems(t *testing.T) {
	if os.Getenv("SSL_CERT_DIR") == "nowhere" {
		if pool, err := x509.SystemCertPool(); err != nil || pool.Equal(x509.NewCertPool()) {
			t.Fatalf("no roots: %v", err)
		}
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("the variables are those of Linux")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestRootsAreThereWithoutTheSystems$")
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE=nowhere", "SSL_CERT_DIR=nowhere")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
