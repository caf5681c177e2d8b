package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// dependencies lists the packages that go into a program.
func dependencies(t *testing.T, program string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// Nothing that imitates JFrog, a CI or a runner may go into the binary.
func TestProductHasNoTestPackages(t *testing.T) {
	deps := dependencies(t, module)
	if !slices.Contains(deps, "crypto/tls") {
		t.Fatalf("these are no dependencies: %q", deps)
	}
	for _, name := range []string{"jfrogtest", "runnertest", "e2e", "demo"} {
		if slices.Contains(deps, module+"/internal/"+name) {
			t.Errorf("%s is in the binary", name)
		}
	}
}

// A program that imports testing has the flags of go test.
func TestDemoDoesNotImportTesting(t *testing.T) {
	if deps := dependencies(t, module+"/internal/demo"); slices.Contains(deps, "testing") {
		t.Error("testing is in the demo")
	}
}
