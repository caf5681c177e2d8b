package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// linked returns the modules that are linked into the binary on any platform of a release, "path version", and where
// their files are.
func linked(t *testing.T) map[string]string {
	t.Helper()
	modules := map[string]string{}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		list := exec.Command("go", "list", "-deps", "-tags", "nethttpomithttp2",
			"-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", module)
		list.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if name, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
				modules[name] = dir
			}
		}
	}
	return modules
}

// The licenses of whatever is linked require that their text goes with the binary. -update writes the file.
func TestLicensesOfAllThatIsLinked(t *testing.T) {
	modules := linked(t)
	if len(modules) < 4 {
		t.Fatalf("these are not the modules that are linked: %q", modules)
	}
	var b strings.Builder
	b.WriteString("jfrog-token is licensed under the Apache License 2.0: see LICENSE. Its binaries hold parts of these, too.\n")
	add := func(name string, files []string) {
		if len(files) == 0 {
			t.Errorf("%s has no license", name)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("-", 120), name, filepath.Base(file),
				strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		var files []string
		for _, pattern := range []string{"LICEN[CS]E*", "COPYING*", "NOTICE*", "PATENTS*"} {
			found, err := filepath.Glob(filepath.Join(modules[name], pattern))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, found...)
		}
		add(name, files)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	add("Go, its standard library and runtime", []string{filepath.Join(strings.TrimSpace(string(goroot)), "LICENSE")})

	path := filepath.Join(root, "THIRD_PARTY_LICENSES")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Errorf("THIRD_PARTY_LICENSES is not that of the modules in go.mod; write it with: go test ./internal/e2e -run %s -update", t.Name())
	}
}
