package e2e

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// most is what the program may have resident, in KiB.
const most = 20 << 10

var peakProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "peak")
	return path, exec.Command("go", "build", "-o", path, "./testdata/peak").Run()
})

// measured has a command write its peak to a file, which the returned function reads.
func measured(tb testing.TB, cmd *exec.Cmd) (kib func() int) {
	tb.Helper()
	program, err := peakProgram()
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "peak")
	cmd.Args = append([]string{program, file, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = program
	return func() int {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		n, err := strconv.Atoi(string(text))
		if err != nil {
			tb.Fatal(err)
		}
		return n
	}
}

// TestListAndSweepOfMany: what they say of many tokens is true, and they hold few of them.
func TestListAndSweepOfMany(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory too")
	}
	site := big(t, jfrogtest.Config{}, many)
	for _, c := range []struct {
		name  string
		with  map[string]string
		args  []string
		check func(out string) bool
	}{
		{"list", nil, []string{"list"}, func(out string) bool {
			return strings.Count(out, "\n") == many+2 && strings.Count(out, "users/ci-bot  ") == many && slices.IsSortedFunc(
				regexp.MustCompile(`\S+Z  20`).FindAllString(out, -1), func(a, b string) int { return strings.Compare(b, a) })
		}},
		{"sweep in a dry run", sweeps("true"), []string{"sweep"}, func(out string) bool {
			return strings.Count(out, "would be revoked\n") == many+1 && strings.Contains(out, "\nsweep, dry run: 100000 tokens would be revoked\n")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := onCommandLine(site, c.with, c.args...)
			var out, messages strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &messages
			kib := measured(t, cmd)
			if err := cmd.Run(); err != nil || strings.Contains(messages.String(), "newest") {
				t.Fatalf("%v: %.500s", err, messages.String())
			}
			text := out.String()
			if c.args[0] == "sweep" {
				text += messages.String()
			}
			if !c.check(text) {
				t.Errorf("%.2000s", text)
			}
			if kib() > most {
				t.Errorf("expected %d KiB to be at most %d", kib(), most)
			}
		})
	}
	if _, sent := site.Sent(); len(sent) != 2 {
		t.Errorf("expected %d requests to be 2", len(sent))
	}
}

// TestEndlessPeers: whatever is sent without end, by the CI or by JFrog, is not held.
func TestEndlessPeers(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory too")
	}
	t.Parallel()
	check := func(t *testing.T, cmd *exec.Cmd) {
		t.Helper()
		var out tail
		cmd.Stdout, cmd.Stderr = &out, &out
		kib := measured(t, cmd)
		err := cmd.Run()
		if cmd.ProcessState.ExitCode() != 1 || !regexp.MustCompile(`(?m)^(error: |::error::)`).MatchString(string(out)) {
			t.Errorf("expected %v to be exit status 1: %s", err, out)
		}
		if kib() > most {
			t.Errorf("expected %d KiB to be at most %d", kib(), most)
		}
	}
	for _, on := range []string{"idtoken", "exchange", "create", "list"} {
		for _, status := range []int{200, 500} {
			t.Run(fmt.Sprint(on, status), func(t *testing.T) {
				t.Parallel()
				site := big(t, jfrogtest.Config{}, 0)
				site.SetFaults([]jfrogtest.Fault{{On: on, Kind: "endless", Status: status}})
				if on == "create" || on == "list" {
					check(t, onCommandLine(site, map[string]string{"max-attempts": "1"}, map[string]string{"create": "mint", "list": "list"}[on]))
					return
				}
				maps.Copy(site.Step.With, map[string]string{"oidc-provider-name": "github", "max-attempts": "1"})
				p := site.Main()
				check(t, p.Cmd)
			})
		}
	}
	const ok = "HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 13:08:04 GMT\r\n\r\n"
	const token = `{"token_id":"x","description":"GitHub acme/app [jt-AAAAAAAAAAAAAAAA]","issued_at":1},`
	for _, c := range []struct{ name, command, head, rest string }{
		{"a status line", "list", "HTTP/1.1 200 ", "a"},
		{"a header field", "list", "HTTP/1.1 200 OK\r\nX: ", "a"},
		{"header fields", "list", "HTTP/1.1 200 OK\r\n", "X: a\r\n"},
		{"interim responses", "list", "", "HTTP/1.1 100 Continue\r\n\r\n"},
		{"trailers", "list", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", "X: a\r\n"},
		{"an error page", "list", "HTTP/1.1 500 Oops\r\n\r\n", "a"},
		{"whitespace", "list", ok, " "},
		{"an id", "list", ok + `{"tokens":[{"token_id":"`, "a"},
		{"tokens", "list", ok + `{"tokens":[`, token},
		{"tokens with long texts", "list", ok + `{"tokens":[`, `{"description":"` + strings.Repeat("a", 60<<10) + `"},`},
		{"tokens that are swept", "sweep", ok + `{"tokens":[`, token},
		{"tokens of others", "sweep", ok + `{"tokens":[`, `{"token_id":"x"},`},
		{"a field's text", "list", ok + `{"a":"`, "a"},
		{"a field's array", "list", ok + `{"a":[`, "1,"},
		{"a field's depth", "list", ok + `{"a":`, "["},
		{"fields", "list", ok + `{`, `"a":{},`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			site := big(t, jfrogtest.Config{}, 0)
			with := sweeps("true")
			if c.command == "list" {
				with = map[string]string{}
			}
			maps.Copy(with, map[string]string{"url": endless(t, c.head, c.rest), "max-attempts": "1", "timeout": "3s"})
			check(t, onCommandLine(site, with, c.command))
		})
	}
}

// tail holds the end of what is written to it.
type tail string

func (t *tail) Write(p []byte) (int, error) {
	*t += tail(p)
	*t = (*t)[max(0, len(*t)-4096):]
	return len(p), nil
}

// endless returns the URL of a server that responds with head, and then with rest again and again.
func endless(t *testing.T, head, rest string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					return
				}
				_, err := io.WriteString(conn, head)
				for many := strings.Repeat(rest, 1+(32<<10)/len(rest)); err == nil; {
					_, err = io.WriteString(conn, many)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// BenchmarkPeakMemory reports how much memory each command has resident at its peak, over TLS.
func BenchmarkPeakMemory(b *testing.B) {
	stored := func(with map[string]string, args ...string) func(*Site) *exec.Cmd {
		return func(s *Site) *exec.Cmd { return onCommandLine(s, with, args...) }
	}
	step := func(s *Site) *exec.Cmd {
		s.Step.With["oidc-provider-name"] = "github"
		return s.Main().Cmd
	}
	for _, c := range []struct {
		name   string
		tokens int
		cmd    func(*Site) *exec.Cmd
	}{
		{"version", 0, stored(nil, "version")},
		{"mint-OIDC", 0, step},
		{"mint-stored", 0, stored(nil, "mint")},
		{"check", 0, stored(nil, "check")},
		{"exec-1GB", 0, stored(nil, "exec", "--", "head", "-c", "1000000000", "/dev/zero")},
		{"revoke", 0, func(s *Site) *exec.Cmd {
			if out, err := onCommandLine(s, nil, "mint").CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			return onCommandLine(s, nil, "revoke")
		}},
		{"list", many, stored(nil, "list")},
		{"list-JSON", many, stored(map[string]string{"format": "json"}, "list")},
		{"sweep-dry-run", many, stored(sweeps("true"), "sweep")},
		{"sweep-of-6000", 6000, stored(sweeps("false"), "sweep")},
	} {
		b.Run(c.name, func(b *testing.B) {
			peak := 0
			for b.Loop() {
				cmd := c.cmd(big(b, jfrogtest.Config{}, c.tokens))
				cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
				kib := measured(b, cmd)
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
				peak = max(peak, kib())
			}
			b.ReportMetric(float64(peak)/1024, "MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}
