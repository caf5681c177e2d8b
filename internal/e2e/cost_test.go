//go:build !windows

package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// cost is what one run of a program took.
type cost struct{ wall, cpu time.Duration }

func costOf(b *testing.B, cmd *exec.Cmd) cost {
	b.Helper()
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	began := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v", cmd.Path, err)
	}
	return cost{time.Since(began), cmd.ProcessState.SystemTime() + cmd.ProcessState.UserTime()}
}

func median(costs []cost, of func(cost) time.Duration) time.Duration {
	var list []time.Duration
	for _, c := range costs {
		list = append(list, of(c))
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkTwoCurls compares a mint in OIDC mode with one request to JFrog with what a script would do instead, both over
// TLS with the machine's roots: one curl for the ID token, one for the exchange. Medians, of the runs in turn.
func BenchmarkTwoCurls(b *testing.B) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		b.Skip(err)
	}
	roots, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		b.Skip(err)
	}
	site, err := NewSite(Options{JFrog: usual(), Dir: b.TempDir(), Action: action, Binary: binary})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(site.Close)
	bundle := filepath.Join(b.TempDir(), "roots.pem")
	if err := os.WriteFile(bundle, append(roots, site.CA()...), 0o600); err != nil {
		b.Fatal(err)
	}
	site.MainCommand[0] = released(b, "", "")
	site.Step.With = map[string]string{"url": site.Platform.URL(), "oidc-provider-name": "github", "force-revocable": "false"}
	delete(site.Runner.Env, "SSL_CERT_DIR")
	site.Runner.Env["SSL_CERT_FILE"] = bundle
	idToken := filepath.Join(b.TempDir(), "id-token")
	script := fmt.Sprintf(`set -e
%[1]s -fsS --cacert %[2]s -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" -o %[3]s "$ACTIONS_ID_TOKEN_REQUEST_URL"
t=$(cut -d '"' -f 4 %[3]s)
%[1]s -fsS --cacert %[2]s -H 'Content-Type: application/json' -o /dev/null --data @- %[4]s/access/api/v1/oidc/token <<EOF
{"grant_type":"urn:ietf:params:oauth:grant-type:token-exchange","subject_token_type":"urn:ietf:params:oauth:token-type:id_token","subject_token":"$t","provider_name":"github"}
EOF`, curl, bundle, idToken, site.Platform.URL())
	var ours, curls []cost
	for b.Loop() {
		for range 15 {
			p := site.Main()
			cmd := p.Cmd
			began := time.Now()
			res, err := p.Run()
			if err != nil || res.Code != 0 {
				b.Fatalf("exit code %d, %v\n%s", res.Code, err, res.Log)
			}
			ours = append(ours, cost{time.Since(began), cmd.ProcessState.SystemTime() + cmd.ProcessState.UserTime()})
			sh := exec.Command("sh", "-c", script)
			for name, value := range site.Runner.Env {
				sh.Env = append(sh.Env, name+"="+value)
			}
			curls = append(curls, costOf(b, sh))
		}
	}
	for name, of := range map[string]func(cost) time.Duration{
		"wall": func(c cost) time.Duration { return c.wall }, "cpu": func(c cost) time.Duration { return c.cpu },
	} {
		b.ReportMetric(float64(median(ours, of))/float64(median(curls, of)), name+"-of-two-curls")
		b.ReportMetric(float64(median(ours, of))/float64(time.Millisecond), name+"-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLauncher reports what the action's launcher adds to a Node that does nothing and to the binary, at the fastest
// of the runs in turn.
func BenchmarkLauncher(b *testing.B) {
	node, err := exec.LookPath("node")
	if err != nil {
		b.Skip(err)
	}
	dir := b.TempDir()
	empty := filepath.Join(dir, "empty.js")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	program := released(b, "", "")
	main := filepath.Join(launchable(b, program), "launch", "version.js")
	if err := os.WriteFile(main, []byte("require('./launch.js')(['version'])"), 0o600); err != nil {
		b.Fatal(err)
	}
	fastest := func(c, than cost) cost { return cost{min(c.wall, than.wall), min(c.cpu, than.cpu)} }
	const long = time.Hour
	nothing, launched, alone := cost{long, long}, cost{long, long}, cost{long, long}
	for b.Loop() {
		for range 25 {
			nothing = fastest(costOf(b, exec.Command(node, empty)), nothing)
			launched = fastest(costOf(b, exec.Command(node, main)), launched)
			alone = fastest(costOf(b, exec.Command(program, "version")), alone)
		}
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(nothing.wall), "empty-node-ms")
	b.ReportMetric(ms(alone.wall), "binary-ms")
	b.ReportMetric(ms(launched.wall-nothing.wall-alone.wall), "launcher-ms")
	b.ReportMetric(0, "ns/op")
}
