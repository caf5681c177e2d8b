package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// snippetJob is a job, as a CI reads it from its configuration.
type snippetJob struct {
	env   map[string]string
	steps []snippetStep

	gitHub      bool                // the steps' outputs and masks are those of GitHub's runner
	settingName func(string) string // of a plugin; without it a step of ours is the action
}

// snippetStep is a script, or one of ours: the action or the plugin.
type snippetStep struct {
	script   string
	bash     bool // the CI's shell is bash, not sh
	env      map[string]string
	settings map[string]string
}

func (s snippetStep) name() string {
	if s.settings != nil {
		return "ephemeral-ci/jfrog-token"
	}
	return s.script
}

var errNoSteps = errors.New("no steps are found")

// posix reports whether a step is run by sh, whatever sh is.
func (j snippetJob) posix() bool {
	return slices.ContainsFunc(j.steps, func(s snippetStep) bool { return s.settings == nil && !s.bash })
}

func (j snippetJob) checked(err error) (snippetJob, error) {
	if err == nil && len(j.steps) == 0 {
		err = errNoSteps
	}
	return j, err
}

// lines are the commands of a list, which the CIs join to one script.
type lines []string

func (l lines) script() string { return strings.Join(l, "\n") }

// texts are settings as text; a secret is one that the world knows.
func texts(settings map[string]any) map[string]string {
	list := map[string]string{}
	for name, v := range settings {
		_, ok := v.(map[string]any)                                        // from_secret
		if ok || strings.HasPrefix(fmt.Sprint(v), "<+secrets.getValue(") { // of Harness
			v = "${{ secrets.any }}"
		}
		list[name] = fmt.Sprint(v)
	}
	return list
}

// gitHubJob reads a workflow, or some steps of one.
func gitHubJob(text string) (snippetJob, error) {
	type steps []struct {
		Uses, Run string
		With      map[string]any
		Env       map[string]string
	}
	var workflow struct {
		Jobs map[string]struct{ Steps steps }
	}
	var all steps
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		if err := yaml.Unmarshal([]byte(text), &workflow); err != nil {
			return snippetJob{}, err
		}
		for _, job := range workflow.Jobs {
			all = append(all, job.Steps...)
		}
	}
	j := snippetJob{gitHub: true}
	for _, s := range all {
		step := snippetStep{script: s.Run, bash: true, env: s.Env}
		if strings.Contains(s.Uses, "ephemeral-ci/jfrog-token@") {
			step.settings = texts(s.With)
		}
		j.steps = append(j.steps, step)
	}
	return j.checked(nil)
}

// forgejoJob is a workflow whose jobs may run without bash.
func forgejoJob(text string) (snippetJob, error) {
	j, err := gitHubJob(text)
	for i := range j.steps {
		j.steps[i].bash = false
	}
	return j, err
}

type pluginStep struct {
	Image    string
	Settings map[string]any
	Commands lines

	Environment map[string]any
}

func pluginJob(steps []pluginStep, naming func(string) string, err error) (snippetJob, error) {
	j := snippetJob{settingName: naming}
	for _, s := range steps {
		step := snippetStep{script: s.Commands.script(), env: texts(s.Environment)}
		if strings.Contains(s.Image, "ephemeral-ci/jfrog-token:") {
			step.settings = texts(s.Settings)
		}
		j.steps = append(j.steps, step)
	}
	return j.checked(err)
}

func woodpeckerJob(text string) (snippetJob, error) {
	var pipeline struct {
		When  []struct{ Event any } // without it, Woodpecker's linter warns
		Steps []pluginStep
	}
	err := yaml.Unmarshal([]byte(text), &pipeline)
	if err == nil && (len(pipeline.When) == 0 || pipeline.When[0].Event == nil) {
		err = errors.New("the pipeline has no filter for events")
	}
	return pluginJob(pipeline.Steps, naming["woodpecker"], err)
}

func droneJob(text string) (snippetJob, error) {
	var pipeline struct {
		Kind, Type string
		Steps      []pluginStep
	}
	err := yaml.Unmarshal([]byte(text), &pipeline)
	return pluginJob(pipeline.Steps, naming["drone"], err)
}

func harnessJob(text string) (snippetJob, error) {
	var stage []struct {
		Step struct {
			Spec struct {
				Image, Command string
				Settings       map[string]any
				EnvVariables   map[string]any `yaml:"envVariables"`
			}
		}
	}
	err := yaml.Unmarshal([]byte(text), &stage)
	var steps []pluginStep
	for _, s := range stage {
		spec := s.Step.Spec
		steps = append(steps, pluginStep{spec.Image, spec.Settings, lines{spec.Command}, spec.EnvVariables})
	}
	return pluginJob(steps, naming["drone"], err)
}

// gitLabJob: script and after_script have a shell each.
func gitLabJob(text string) (snippetJob, error) {
	var pipeline struct {
		Build struct {
			IDTokens  map[string]any `yaml:"id_tokens"`
			Variables map[string]string
			Script    lines
			After     lines `yaml:"after_script"`
		}
	}
	err := yaml.Unmarshal([]byte(text), &pipeline)
	j := snippetJob{env: pipeline.Build.Variables, steps: []snippetStep{
		{script: pipeline.Build.Script.script()}, {script: pipeline.Build.After.script()},
	}}
	for name := range pipeline.Build.IDTokens {
		j.env[name] = idTokenHere
	}
	return j.checked(err)
}

// idTokenHere stands for the ID token of the CI.
const idTokenHere = "$(idToken)"

// buildkiteJob reads what buildkite-agent pipeline upload makes of a file: $NAME is that of the upload, $$NAME the
// job's.
func buildkiteJob(text string) (snippetJob, error) {
	dollar := regexp.MustCompile(`\$\$|\$\{?\w+\}?`)
	text = dollar.ReplaceAllStringFunc(text, func(s string) string {
		if s == "$$" {
			return "$"
		}
		return ""
	})
	var pipeline struct {
		Steps []struct {
			Env     map[string]string
			Command string
		}
	}
	err := yaml.Unmarshal([]byte(text), &pipeline)
	var j snippetJob
	for _, s := range pipeline.Steps {
		j.steps = append(j.steps, snippetStep{script: s.Command, bash: true, env: s.Env})
	}
	return j.checked(err)
}

// circleCIJob: << begins a parameter, \<< is the shell's.
func circleCIJob(text string) (snippetJob, error) {
	if strings.Count(text, "<<") != strings.Count(text, `\<<`) {
		return snippetJob{}, errors.New(`<< is not written as \<<`)
	}
	var config struct {
		Jobs map[string]struct {
			Environment map[string]string
			Steps       []any
		}
	}
	err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, `\<<`, "<<")), &config)
	var j snippetJob
	for _, job := range config.Jobs {
		j.env = job.Environment
		for _, s := range job.Steps {
			step, _ := s.(map[string]any)
			switch run := step["run"].(type) {
			case string:
				j.steps = append(j.steps, snippetStep{script: run, bash: true})
			case map[string]any:
				j.steps = append(j.steps, snippetStep{script: fmt.Sprint(run["command"]), bash: true})
			}
		}
	}
	return j.checked(err)
}

func azureJob(text string) (snippetJob, error) {
	var pipeline struct {
		Steps []struct {
			Bash string
			Env  map[string]string
		}
	}
	err := yaml.Unmarshal([]byte(text), &pipeline)
	var j snippetJob
	for _, s := range pipeline.Steps {
		j.steps = append(j.steps, snippetStep{script: s.Bash, bash: true, env: s.Env})
	}
	return j.checked(err)
}

func bitbucketJob(text string) (snippetJob, error) {
	var config struct {
		Pipelines struct {
			Default []struct {
				Step struct {
					Script lines
					After  lines `yaml:"after-script"`
				}
			}
		}
	}
	err := yaml.Unmarshal([]byte(text), &config)
	var j snippetJob
	for _, s := range config.Pipelines.Default {
		for _, l := range []lines{s.Step.Script, s.Step.After} {
			j.steps = append(j.steps, snippetStep{script: l.script()})
		}
	}
	return j.checked(err)
}

var (
	groovyEnv  = regexp.MustCompile(`(?m)^ +([A-Z_]+) = '([^']*)'$`)
	groovyStep = regexp.MustCompile(`(?s)withCredentials\(.*?variable: '(\w+)'` +
		`|\bsh '''(.*?)'''(\.stripIndent\(\))?|\bsh '([^'\n]*)'`)
)

// jenkinsJob reads the steps in order, as far as Groovy is a few regular expressions.
func jenkinsJob(text string) (snippetJob, error) {
	j := snippetJob{env: map[string]string{}}
	for _, m := range groovyEnv.FindAllStringSubmatch(text, -1) {
		j.env[m[1]] = m[2]
	}
	credential := ""
	for _, m := range groovyStep.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			credential = m[1]
			continue
		}
		step := snippetStep{script: m[2] + m[4], env: map[string]string{}}
		if m[3] != "" {
			step.script = stripIndent(m[2])
		}
		if credential != "" { // it is there in its block alone, which has one step
			step.env[credential], credential = idTokenHere, ""
		}
		j.steps = append(j.steps, step)
	}
	return j.checked(nil)
}

// stripIndent is Groovy's: the least indent of the lines with text in them is taken off all.
func stripIndent(text string) string {
	all := strings.Split(text, "\n")
	least := len(text)
	for _, l := range all {
		if trimmed := strings.TrimLeft(l, " "); trimmed != "" {
			least = min(least, len(l)-len(trimmed))
		}
	}
	for i, l := range all {
		all[i] = l[min(least, len(l)):]
	}
	return strings.Join(all, "\n")
}

type pairs []string

func (p pairs) env() map[string]string {
	env := map[string]string{}
	for _, pair := range p {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

func codefreshJob(text string) (snippetJob, error) {
	var pipeline struct {
		Steps struct {
			Build struct {
				Environment pairs
				Commands    lines
			}
		}
		Hooks struct {
			OnFinish struct{ Exec struct{ Commands lines } } `yaml:"on_finish"`
		}
	}
	err := yaml.Unmarshal([]byte(text), &pipeline)
	build := pipeline.Steps.Build
	return snippetJob{steps: []snippetStep{
		{script: build.Commands.script(), env: build.Environment.env()},
		{script: pipeline.Hooks.OnFinish.Exec.Commands.script()},
	}}.checked(err)
}

func cloudBuildJob(text string) (snippetJob, error) {
	var build struct {
		Steps []struct {
			Env    pairs
			Script string
		}
	}
	err := yaml.Unmarshal([]byte(text), &build)
	var j snippetJob
	for _, s := range build.Steps {
		if !strings.HasPrefix(s.Script, "#!/usr/bin/env bash\nset -e\n") {
			err = errors.New("the script has not the shell that the test takes")
		}
		j.steps = append(j.steps, snippetStep{script: s.Script, bash: true, env: s.Env.env()})
	}
	return j.checked(err)
}

func shellJob(text string) (snippetJob, error) {
	return snippetJob{steps: []snippetStep{{script: text}}}, nil
}
