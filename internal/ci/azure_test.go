package ci

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// onAzure returns the platform of a run on Azure DevOps, and its two streams.
func onAzure(t *testing.T, variables map[string]string) (w *workspace, stdout, stderr *strings.Builder) {
	t.Helper()
	stdout, stderr = &strings.Builder{}, &strings.Builder{}
	w = workspaceOf(with(variables, "TF_BUILD", "True"), stdout, stderr)
	dir := filepath.Join(t.TempDir(), ".jfrog-token")
	w.Use(Places{StateDir: dir, EnvFile: filepath.Join(dir, "env")})
	if err := w.Check(Writes{Outputs: true}); err != nil {
		t.Fatal(err)
	}
	return w, stdout, stderr
}

var azureOutputs = []Output{
	{Name: "url", Value: "https://acme.jfrog.io"}, {Name: "token", Value: "s3cr3t-s3cr3t", Secret: true},
	{Name: "username", Value: "100%3B;]%AZP25%"}, {Name: "token-id", Value: "id"}, {Name: "scope", Value: "x"},
}

// The agent hides each secret and sets the variables of the env file for later
// steps; after a failure, and after revoke, they are empty.
func TestAzureAgentObeys(t *testing.T) {
	t.Parallel()
	w, stdout, stderr := onAzure(t, map[string]string{})
	agent := runnertest.NewAzureAgent()
	read := func() {
		t.Helper()
		if shown := agent.Read(stderr.String()); shown != "" || stdout.Len() > 0 {
			t.Errorf("expected %q, %q to be %q", shown, stdout, "")
		}
		stderr.Reset()
	}
	err := w.Hide(secret.New(`pass"word;]`), secret.New("50%-percent-of-it"), secret.New("s3cr3t-s3cr3t"), secret.String{})
	if err != nil {
		t.Fatal(err)
	}
	read()
	for _, text := range []string{`pass"word;]`, `pass\"word;]`, "-percent-of-it", "s3cr3t-s3cr3t"} {
		if got := agent.Mask(text); got != "***" {
			t.Errorf("%s: expected %q to be %q", text, got, "***")
		}
	}
	if err := w.Outputs(azureOutputs); err != nil {
		t.Fatal(err)
	}
	read()
	want := map[string]string{
		"JF_URL": "https://acme.jfrog.io", "JFROG_URL": "https://acme.jfrog.io",
		"JF_ACCESS_TOKEN": "s3cr3t-s3cr3t", "JFROG_ACCESS_TOKEN": "s3cr3t-s3cr3t",
		"JF_USER": "100%3B;]%AZP25%", "JF_TOKEN_ID": "id",
		azureRecord: "JFROG_ACCESS_TOKEN,JFROG_URL,JF_ACCESS_TOKEN,JF_TOKEN_ID,JF_URL,JF_USER",
	}
	secrets := map[string]bool{"JF_ACCESS_TOKEN": true, "JFROG_ACCESS_TOKEN": true}
	if !maps.Equal(agent.Variables, want) || !maps.Equal(agent.Secret, secrets) {
		t.Errorf("expected %q, %v to be %q", agent.Variables, agent.Secret, want)
	}
	if err := w.Retract(); err != nil {
		t.Fatal(err)
	}
	read()
	for name := range want {
		if !strings.HasSuffix(name, "_URL") {
			want[name] = ""
		}
	}
	want[azureRecord] = "JF_URL,JFROG_URL"
	if !maps.Equal(agent.Variables, want) {
		t.Errorf("expected %q to be %q", agent.Variables, want)
	}
}

// What the pipeline has of its own is neither set nor emptied. What an earlier
// mint set is set again.
func TestAzureVariablesOfThePipelineStay(t *testing.T) {
	t.Parallel()
	w, _, stderr := onAzure(t, map[string]string{
		"JF_URL": "https://acme.jfrog.io", "JF_ACCESS_TOKEN": "stored-needle", "JFROG_ACCESS_TOKEN": "$(JFROG_ACCESS_TOKEN)",
		"JF_USER": "of mint 1", "JF_TOKEN_ID": "1", azureRecord: "JF_USER,JF_TOKEN_ID,PATH",
	})
	agent := runnertest.NewAzureAgent()
	if err := w.Outputs(azureOutputs); err != nil {
		t.Fatal(err)
	}
	const says = "pipeline variables that this step has already were left as they are: JF_ACCESS_TOKEN\n"
	if shown := agent.Read(stderr.String()); shown != says {
		t.Errorf("expected %q to be %q", shown, says)
	}
	want := map[string]string{
		"JFROG_URL": "https://acme.jfrog.io", "JFROG_ACCESS_TOKEN": "s3cr3t-s3cr3t", "JF_USER": "100%3B;]%AZP25%", "JF_TOKEN_ID": "id",
		azureRecord: "JFROG_ACCESS_TOKEN,JFROG_URL,JF_TOKEN_ID,JF_USER",
	}
	if !maps.Equal(agent.Variables, want) {
		t.Errorf("expected %q to be %q", agent.Variables, want)
	}
}

// revoke is another process. It empties those variables that a mint set, unless
// it was a mint with another env file.
func TestAzureVariablesAreEmptiedByRevoke(t *testing.T) {
	t.Parallel()
	const ours = "JF_ACCESS_TOKEN,JF_TOKEN_ID"
	for _, c := range []struct {
		name      string
		variables map[string]string
		id        string // in the env file; "" if there is none
		keep      bool
		want      bool
	}{
		{"a mint handed on", map[string]string{"JF_TOKEN_ID": "id", azureRecord: ours}, "id", false, true},
		{"its env file is gone", map[string]string{"JF_TOKEN_ID": "id", azureRecord: ours}, "", false, true},
		{"the last was of another env file", map[string]string{"JF_TOKEN_ID": "id", azureRecord: ours}, "another", false, false},
		{"a mint without an id", map[string]string{azureRecord: ours}, "", false, true},
		{"no mint", map[string]string{"JF_URL": "https://acme.jfrog.io", "JF_USER": "me", "JF_TOKEN_ID": "x"}, "", false, false},
		{"the pipeline's own", map[string]string{"JF_TOKEN_ID": "id", azureRecord: "JF_TOKEN_ID,JF_USER"}, "", false, false},
		{"a mint that is running", map[string]string{"JF_TOKEN_ID": "id", azureRecord: ours}, "id", true, false},
	} {
		w, _, stderr := onAzure(t, c.variables)
		if c.id != "" {
			if err := os.WriteFile(w.envFile, []byte(envHead+"JF_TOKEN_ID="+c.id+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := w.Clear(c.keep)
		if got := strings.Contains(stderr.String(), "variable=JF_ACCESS_TOKEN;issecret=true]\n"); err != nil || got != c.want {
			t.Errorf("%s: expected %q, %v to be %t", c.name, stderr, err, c.want)
		}
	}
}

// A value that no command can hold is refused before anything is printed.
func TestAzureValueWithALineBreak(t *testing.T) {
	t.Parallel()
	w, _, stderr := onAzure(t, map[string]string{})
	outputs := append(azureOutputs[:2:2], Output{Name: "username", Value: "a\n##vso[task.setvariable variable=PATH]x"})
	if err := w.channel.handOn(outputs); !errors.Is(err, errLineBreak) || stderr.Len() > 0 {
		t.Errorf("expected %v, %q to be %v", err, stderr, errLineBreak)
	}
	if err := w.Outputs(outputs); err == nil || stderr.Len() > 0 {
		t.Errorf("expected %v, %q to be %q", err, stderr, "an error")
	}
}

// What cannot be hidden must not be handed on.
func TestAzureLogThatIsGone(t *testing.T) {
	t.Parallel()
	w := workspaceOf(map[string]string{"TF_BUILD": "True"}, &strings.Builder{}, broken{"path-needle"})
	if err := w.Hide(secret.New("s3cr3t-s3cr3t")); err == nil || err.Error() != "write log: broken pipe" {
		t.Errorf("expected %v to be %q", err, "write log: broken pipe")
	}
}
