package main_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/ephemeral-ci/jfrog-token/internal/config"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

func readAction(t *testing.T) *runnertest.Action {
	t.Helper()
	text, err := os.ReadFile("action.yml")
	if err != nil {
		t.Fatal(err)
	}
	action, err := runnertest.ParseAction(text)
	if err != nil {
		t.Fatal(err)
	}
	return action
}

// The inputs of action.yml are those that the program reads, word for word.
func TestActionHasTheInputsOfTheProgram(t *testing.T) {
	got := map[string]config.Input{}
	for name, i := range readAction(t).Inputs {
		if i.Required {
			t.Errorf("%s is required: the runner does not enforce it, and the program says it better", name)
		}
		got[name] = config.Input{Name: name, Default: i.Default, Help: i.Description}
	}
	want := map[string]config.Input{}
	for _, i := range config.Inputs() {
		if !i.FilesOnly {
			want[i.Name] = i
		}
	}
	if !maps.Equal(got, want) {
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("expected %+v to be %+v", got[name], want[name])
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				t.Errorf("%s is declared, and the program does not read it", name)
			}
		}
	}
}

// rows gives the tables' rows that begin with a name in the README, each once.
func rows(t *testing.T, pattern string) [][]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1)
}

func TestReadmeHasTheInputsOfTheProgram(t *testing.T) {
	var got []config.Input
	for _, r := range rows(t, "(?m)^\\| `([a-z-]+)` \\| (?:`([^`]*)`)? *\\| (.*) \\|$") {
		got = append(got, config.Input{Name: r[1], Default: r[2], Help: r[3]})
	}
	var want []config.Input
	for _, i := range config.Inputs() {
		i.FilesOnly = false // the text below the table says which
		want = append(want, i)
	}
	if !slices.Equal(got, want) {
		t.Errorf("expected %+v to be %+v", got, want)
	}
}

func TestReadmeHasTheOutputsOfTheAction(t *testing.T) {
	got := map[string]string{}
	for _, r := range rows(t, "(?m)^\\| `([a-z-]+)` \\| ([^|`]*) \\|$") {
		got[r[1]] = r[2]
	}
	want := map[string]string{}
	for name, o := range readAction(t).Outputs {
		want[name] = o.Description
	}
	if !maps.Equal(got, want) {
		t.Errorf("expected %v to be %v", got, want)
	}
}
