package runnertest

import (
	"regexp"
	"slices"
	"strings"
)

// AzureAgent is a model of the agent of Azure Pipelines, as far as the output of
// a step meets it. It follows the agent's source (Command.cs,
// CommandStringConvertor.cs, TaskCommandExtension.cs, WorkerCommandManager.cs).
// It is stricter: it hides what it was told to hide and no other form of it, and
// obeys no command but two.
type AzureAgent struct {
	Variables map[string]string // of the job
	Secret    map[string]bool   // which of them are not in a step's environment

	masked []string
}

// NewAzureAgent returns the agent of one job.
func NewAzureAgent() *AzureAgent {
	return &AzureAgent{Variables: map[string]string{}, Secret: map[string]bool{}}
}

// AzureHidden matches the commands with a secret, which the agent does not show.
var AzureHidden = regexp.MustCompile(`^##vso\[task\.(setsecret|setvariable variable=\w+;issecret=true)\]`)

// Read does with a step's output what the agent does, and returns what it shows.
func (a *AzureAgent) Read(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		name, properties, data, ok := parseAzure(strings.TrimRight(line, "\r\n"))
		switch {
		case !ok && strings.Contains(line, "##vso"):
			b.WriteString("THE AGENT WARNS OF A KEYWORD IN " + a.Mask(line))
		case !ok:
			b.WriteString(a.Mask(line))
		case name == "task.setsecret":
			a.mask(data)
		case name == "task.setvariable" && properties["variable"] != "":
			a.Set(properties["variable"], data, strings.EqualFold(properties["issecret"], "true"))
		default:
			b.WriteString("THE AGENT OBEYED THE COMMAND " + name + "\n")
		}
	}
	return b.String()
}

// Set sets a variable of the job. One that is secret stays so (Variables.cs).
func (a *AzureAgent) Set(name, value string, secret bool) {
	name = strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
	if a.Secret[name] = a.Secret[name] || secret; a.Secret[name] {
		a.mask(value)
	} else {
		delete(a.Secret, name)
	}
	a.Variables[name] = value
}

var azureMacro = regexp.MustCompile(`\$\((\w+)\)`)

// Expand replaces $(NAME) in a step's env. It leaves what is no variable
// (VarUtil.cs, ExpandValues).
func (a *AzureAgent) Expand(text string) string {
	return azureMacro.ReplaceAllStringFunc(text, func(macro string) string {
		if value, ok := a.Variables[strings.ToUpper(macro[2:len(macro)-1])]; ok {
			return value
		}
		return macro
	})
}

// Mask shows text as the job's log would.
func (a *AzureAgent) Mask(text string) string {
	for _, v := range a.masked {
		text = strings.ReplaceAll(text, v, "***")
	}
	return text
}

// Environment returns the variables that a later step has without asking.
func (a *AzureAgent) Environment() map[string]string {
	env := map[string]string{}
	for name, value := range a.Variables {
		if !a.Secret[name] {
			env[name] = value
		}
	}
	return env
}

func (a *AzureAgent) mask(value string) {
	if value != "" {
		a.masked = append(a.masked, value)
		slices.SortStableFunc(a.masked, func(a, b string) int { return len(b) - len(a) })
	}
}

// parseAzure reads "##vso[area.event key=value;key=value]data" anywhere in a
// line (Command.TryParse).
func parseAzure(line string) (name string, properties map[string]string, data string, ok bool) {
	_, rest, found := strings.Cut(line, "##vso[")
	head, data, closed := strings.Cut(rest, "]")
	if !found || !closed {
		return "", nil, "", false
	}
	name, list, _ := strings.Cut(head, " ")
	if area, event, dot := strings.Cut(name, "."); !dot || area == "" || event == "" || strings.Contains(event, ".") {
		return "", nil, "", false
	}
	properties = map[string]string{}
	for property := range strings.SplitSeq(list, ";") {
		if key, value, equals := strings.Cut(property, "="); equals && key != "" && value != "" {
			properties[strings.ToLower(key)] = unescapeAzure(value)
		}
	}
	return strings.ToLower(name), properties, unescapeAzure(data), true
}

func unescapeAzure(s string) string {
	for _, pair := range [][2]string{{"%3B", ";"}, {"%0D", "\r"}, {"%0A", "\n"}, {"%5D", "]"}, {"%AZP25", "%"}} {
		s = strings.ReplaceAll(s, pair[0], pair[1])
	}
	return s
}
