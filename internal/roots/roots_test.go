package roots

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

var empty = x509.NewCertPool()

// onLinux reports whether this process was started by child with what variables
// say, and skips where those are not read.
func onLinux(t *testing.T) (isChild bool) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the variables are those of Linux")
	}
	return os.Getenv("ROOTS_CHILD") == t.Name()
}

// child runs the test in a process of its own: crypto/x509 reads the machine's roots once.
func child(t *testing.T, variables ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(append(os.Environ(), "ROOTS_CHILD="+t.Name()), variables...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// An image that holds nothing but the binary has no root certificates.
func TestMozillasRootsAreThereWithoutTheMachines(t *testing.T) {
	if !onLinux(t) {
		child(t, "SSL_CERT_FILE=nowhere", "SSL_CERT_DIR=nowhere")
		return
	}
	for name, pool := range map[string]*x509.CertPool{"usual": Set{}.Usual(), "all": Set{}.All()} {
		if pool.Equal(empty) || !pool.Equal(mozilla()) {
			t.Errorf("%s: not Mozilla's roots", name)
		}
	}
}

// The file alone is read as long as it has what is needed; what the user adds is in both.
func TestTheFileIsEnough(t *testing.T) {
	if !onLinux(t) {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, jfrogtest.NewCA().PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		child(t, "SSL_CERT_FILE="+file, "SSL_CERT_DIR=")
		return
	}
	pem, err := os.ReadFile(os.Getenv("SSL_CERT_FILE"))
	if err != nil {
		t.Fatal(err)
	}
	want := x509.NewCertPool()
	want.AppendCertsFromPEM(pem)
	if got := (Set{}).Usual(); !got.Equal(want) {
		t.Error("expected the usual roots to be those of the file")
	}
	further := jfrogtest.NewCA().PEM()
	set, err := New(further)
	if err != nil {
		t.Fatal(err)
	}
	want.AppendCertsFromPEM(further)
	if got := set.Usual(); !got.Equal(want) {
		t.Error("expected the usual roots to be those of the file and the user's")
	}
	all, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	all.AppendCertsFromPEM(further)
	if got := set.All(); !got.Equal(all) {
		t.Error("expected all roots to be those that crypto/x509 finds and the user's")
	}
}

// A directory that the user names counts, and no other place.
func TestADirectoryThatIsNamedIsRead(t *testing.T) {
	if !onLinux(t) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "ca.pem"), jfrogtest.NewCA().PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		child(t, "SSL_CERT_FILE=nowhere", "SSL_CERT_DIR="+dir)
		return
	}
	system, err := x509.SystemCertPool()
	if got := (Set{}).Usual(); err != nil || got.Equal(empty) || !got.Equal(system) {
		t.Errorf("expected the usual roots to be those of the directory, %v", err)
	}
}

func TestNoCertificateIsRefused(t *testing.T) {
	if _, err := New([]byte("nothing")); err == nil {
		t.Error("expected an error")
	}
}
