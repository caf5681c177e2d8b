package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestServe starts the command and reads what it prints, as a script does.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "demo")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config := filepath.Join(dir, "config.json")
	err := os.WriteFile(config, []byte(`{"version": "7.146.10", "tokens": [{"user": "jane"}, {"user": "ci-bot", "refreshable": true, "expires_in": 60}]}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	always := []string{"JF_URL", "JF_USER", "JF_ACCESS_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "LEDGER_URL"}
	for _, test := range []struct {
		name    string
		args    []string
		further []string
		user    string
		version string
	}{
		{"plain", nil, []string{"JF_ADMIN_TOKEN", "JF_REFERENCE_TOKEN", "JF_REFRESHABLE_TOKEN", "JF_REFRESH_TOKEN", "JF_EXPIRED_TOKEN"}, "ci-bot", "7.117.14"},
		{"configured", []string{"-tls", "-config", config}, []string{"CA_CERT_FILE", "TOKEN_0", "TOKEN_1", "REFRESH_TOKEN_1"}, "jane", "7.146.10"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command(binary, append([]string{"-serve", "127.0.0.1:0", "-ci", "127.0.0.1:0"}, test.args...)...)
			var log bytes.Buffer
			cmd.Stderr = &log
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			values := map[string]string{}
			lines := bufio.NewScanner(stdout)
			for lines.Scan() && lines.Text() != "ready" {
				name, value, _ := strings.Cut(lines.Text(), "=")
				values[name] = value
			}
			names := append(slices.Clone(always), test.further...)
			for _, name := range names {
				if values[name] == "" {
					t.Errorf("no %s", name)
				}
			}
			if len(values) != len(names) || values["JF_USER"] != test.user {
				t.Errorf("%v", values)
			}

			transport := &http.Transport{DisableKeepAlives: true}
			if file := values["CA_CERT_FILE"]; file != "" {
				pem, err := os.ReadFile(file)
				if err != nil {
					t.Error(err)
				}
				roots := x509.NewCertPool()
				roots.AppendCertsFromPEM(pem)
				transport.TLSClientConfig = &tls.Config{RootCAs: roots}
			}
			get := func(url, user, password string) (int, string) {
				t.Helper()
				req, err := http.NewRequest("GET", url, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.SetBasicAuth(user, password)
				res, err := (&http.Client{Transport: transport}).Do(req)
				if err != nil {
					t.Error(err)
					return 0, ""
				}
				defer res.Body.Close()
				var body bytes.Buffer
				body.ReadFrom(res.Body)
				return res.StatusCode, body.String()
			}
			version := values["JF_URL"] + "/artifactory/api/system/version"
			if code, body := get(version, test.user, values["JF_ACCESS_TOKEN"]); code != 200 || !strings.Contains(body, test.version) {
				t.Errorf("version: %d %s", code, body)
			}
			get(values["JF_URL"]+"/artifactory/generic-local/"+values["JF_ACCESS_TOKEN"]+"?"+values["JF_ACCESS_TOKEN"], test.user, values["JF_ACCESS_TOKEN"])
			if code, _ := get(values["ACTIONS_ID_TOKEN_REQUEST_URL"], "", ""); code != 401 {
				t.Errorf("ID token: %d", code)
			}
			if code, _ := get(version, test.user, values["JF_EXPIRED_TOKEN"]); code != 401 {
				t.Errorf("expired: %d", code)
			}

			stop := os.Interrupt
			if runtime.GOOS == "windows" {
				stop = os.Kill
			}
			if err := cmd.Process.Signal(stop); err != nil {
				t.Error(err)
			}
			if err := cmd.Wait(); err != nil && runtime.GOOS != "windows" {
				t.Error(err)
			}
			const want = "GET /artifactory/api/system/version 200\nGET /artifactory/generic-local/*** 404\n" +
				"GET /idtoken 401\nGET /artifactory/api/system/version 401\n"
			if log.String() != want {
				t.Errorf("log:\n%s", log.String())
			}
			if file := values["CA_CERT_FILE"]; file != "" && runtime.GOOS != "windows" {
				if _, err := os.Stat(file); !os.IsNotExist(err) {
					t.Errorf("%s: %v", file, err)
				}
			}
		})
	}
}
