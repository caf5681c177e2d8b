package cli_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/cli"
)

// fragile panics once, with a secret in what it panics with.
type fragile struct {
	bytes.Buffer
	broken bool
}

func (f *fragile) Write(p []byte) (int, error) {
	if !f.broken {
		f.broken = true
		panic("the token is hunter2-hunter2")
	}
	return f.Buffer.Write(p)
}

// A panic's value may hold anything, and its stack is of no use in a build log.
func TestAPanicPrintsAFixedSentence(t *testing.T) {
	var out fragile
	code := cli.Run(context.Background(), []string{"version"}, nil, &out)
	if code != 1 {
		t.Errorf("expected %d to be %d", code, 1)
	}
	if got := out.String(); !strings.HasPrefix(got, "jfrog-token: internal error") || strings.Contains(got, "hunter2") || strings.Count(got, "\n") != 1 {
		t.Errorf("expected %q to be one fixed sentence", got)
	}
}

// Nobody types a credential into a command, and if somebody does it is not
// repeated.
func TestArgumentsAreNotRepeated(t *testing.T) {
	for _, args := range [][]string{{"hunter2"}, {"mint", "hunter2"}} {
		var out bytes.Buffer
		if code := cli.Run(context.Background(), args, nil, &out); code != 2 {
			t.Errorf("expected %d to be %d", code, 2)
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("the argument is printed: %s", out.String())
		}
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	var out bytes.Buffer
	if code := cli.Run(context.Background(), []string{"help"}, nil, &out); code != 0 {
		t.Errorf("expected %d to be %d", code, 0)
	}
	for _, command := range []string{"mint", "revoke", "list", "sweep", "version", "help"} {
		if !strings.Contains(out.String(), command) {
			t.Errorf("expected %q to name %q", out.String(), command)
		}
	}
}
