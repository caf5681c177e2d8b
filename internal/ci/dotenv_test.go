package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/joho/godotenv"
)

// Property: what quote writes is read back as it was, by a POSIX shell and by
// the dotenv reader that Harness' own is a fork of; or quote refuses.
func FuzzQuote(f *testing.F) {
	for _, v := range []string{
		"", "ci-bot", "https://acme.jfrog.io:8443/x", "O'Brien", `a"b`, `a'b"c`, "$HOME", "`id`", `back\slash`, `end\`, "a #b", "two words",
		"ünïcode", "~", "*", "a=b", "!x", "\x00", "a\nb", "\xff", "#", "export X=1", "'", `"`, "a;b", "%41", "{{x}}", `\'`, `\n`, "$(id)", "a&b|c",
	} {
		f.Add(v)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("no POSIX shell here")
	}
	f.Fuzz(func(t *testing.T, v string) {
		q, err := quote(v)
		if err != nil {
			if strings.TrimFunc(v, bare) == "" && v != "" {
				t.Errorf("%q is refused", v)
			}
			return
		}
		if strings.ContainsAny(q, "\r\n") {
			t.Fatalf("%q breaks the line", q)
		}
		read, err := godotenv.Unmarshal("K=" + q + "\n")
		if err != nil || read["K"] != v {
			t.Errorf("dotenv: expected %q to be %q (%v)", read["K"], v, err)
		}
		file := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(file, []byte("K="+q+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(sh, "-c", `. "$0" && printf %s "$K"`, file).Output()
		if err != nil || string(out) != v {
			t.Errorf("shell: expected %q to be %q (%v)", out, v, err)
		}
	})
}
