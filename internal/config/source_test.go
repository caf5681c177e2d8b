package config

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// misspellings are those of one name that people make, by kind.
func misspellings(name string) map[string][]string {
	m := map[string][]string{"plural": {name + "s"}, "- for _": {strings.ReplaceAll(name, "-", "_")}}
	for n := range name {
		m["dropped"] = append(m["dropped"], name[:n]+name[n+1:])
		m["doubled"] = append(m["doubled"], name[:n+1]+name[n:])
		if n > 0 {
			m["swapped"] = append(m["swapped"], name[:n-1]+name[n:n+1]+name[n-1:n]+name[n+1:])
		}
	}
	return m
}

// C1: JFROG_TOKEN_SCOPES made a token with all that the user may do. A misspelt
// input is refused, with the one that was meant, wherever inputs come from.
func TestMisspellings(t *testing.T) {
	t.Parallel()
	for _, i := range Inputs {
		for kind, names := range misspellings(i.Name) {
			for _, name := range names {
				if _, ok := Named(name); ok {
					continue
				}
				upper := strings.ToUpper(name)
				variables := map[string]string{
					"INPUT_": "INPUT_" + upper, "PLUGIN_": "PLUGIN_" + upper, "JFROG_TOKEN_": "JFROG_TOKEN_" + strings.ReplaceAll(upper, "-", "_"),
				}
				if kind == "- for _" {
					// A setting and an input may be written with '_'; a variable of ours
					// may not be written with '-'.
					variables = map[string]string{"JFROG_TOKEN_": "JFROG_TOKEN_" + strings.ToUpper(i.Name)}
				}
				for prefix, variable := range variables {
					s := env{variable: "x"}.source(prefix)
					problems := s.misspelt()
					want := i.Name
					if prefix == ourPrefix {
						want = ourPrefix + i.key()
					}
					if len(problems) != 1 || !strings.HasSuffix(problems[0], ": no such input; probably "+want+" is meant") {
						t.Errorf("%s, %s: expected %q to be %q", variable, kind, problems, i.Name)
					}
					if _, err := Load(s, "mint"); err == nil || !slices.ContainsFunc(err.(*Error).Problems, func(p string) bool { return strings.Contains(p, "no such input") }) {
						t.Errorf("%s: expected %v to be %q", variable, err, "refused")
					}
				}
				if _, err := ParseArgs([]string{"mint", "--" + name, "x"}); err == nil || err.Error() != "unknown flag; probably --"+i.Name+" is meant" {
					t.Errorf("--%s, %s: expected %v to be %q", name, kind, err, "--"+i.Name)
				}
			}
		}
	}
}

// What is said does not depend on the order that the system has the variables in.
func TestMisspeltInOrder(t *testing.T) {
	t.Parallel()
	names := []string{"INPUT_COLOUR", "INPUT_EXPIRE-IN", "INPUT_SCOPES", "INPUT_USER"}
	var want []string
	for range 20 {
		environ := env{}
		for _, n := range names {
			environ[n] = "x"
		}
		s := environ.source("INPUT_")
		rand.Shuffle(len(s.environ), func(i, j int) { s.environ[i], s.environ[j] = s.environ[j], s.environ[i] })
		got := s.misspelt()
		if want == nil {
			want = got
		}
		if len(got) != len(names) || !slices.Equal(got, want) {
			t.Fatalf("expected %q to be %q", got, want)
		}
	}
}

// cmd.exe gives its children variables whose names begin with '=': such a one was the value of every input.
func TestVariablesWithoutAName(t *testing.T) {
	t.Parallel()
	s := NewSource([]string{`=C:=C:\work`, "=ExitCode=00000000", "=", "JFROG_TOKEN_SCOPE=a"}, nil)
	s.Prefixes = []string{"JFROG_TOKEN_"}
	for _, i := range Inputs {
		if set := s.IsSet(i.Name); set != (i.Name == "scope") {
			t.Errorf("%s: expected %t to be %t", i.Name, set, !set)
		}
	}
	if b := s.blank("access-token"); b != "" || s.misspelt() != nil {
		t.Errorf("expected %q, %q to be nothing", b, s.misspelt())
	}
}

func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		prefix, variable, says string // "": no problem
	}{
		{"JFROG_TOKEN_", "JFROG_TOKEN_OIDC_PROVIDER", "JFROG_TOKEN_OIDC_PROVIDER: no such input; probably JFROG_TOKEN_OIDC_PROVIDER_NAME is meant"},
		{"JFROG_TOKEN_", "JFROG_TOKEN_ID", "JFROG_TOKEN_ID: no such input; probably JFROG_TOKEN_TOKEN_ID is meant"}, // C3
		{"JFROG_TOKEN_", "JFROG_TOKEN_TOKEN", "JFROG_TOKEN_TOKEN: no such input; probably JFROG_TOKEN_ACCESS_TOKEN is meant"},
		{"JFROG_TOKEN_", "JFROG_TOKEN_TOKEN_SCOPE", "JFROG_TOKEN_TOKEN_SCOPE: no such input; probably JFROG_TOKEN_SCOPE is meant"},
		{"JFROG_TOKEN_", "JFROG_TOKEN_COLOUR", "JFROG_TOKEN_COLOUR: no such input; jfrog-token help lists all"},
		{"JFROG_TOKEN_", "JFROG_TOKEN_", "JFROG_TOKEN_: no such input; jfrog-token help lists all"},
		{"JFROG_TOKEN_", "JFROG_TOKEN_DEBUG", ""},
		{"JFROG_TOKEN_", "JFROG_TOKEN_STATE_DIR", ""},
		{"JFROG_TOKEN_", "jfrog_token_scope", "jfrog_token_scope: no such input; probably JFROG_TOKEN_SCOPE is meant"},
		{"JFROG_TOKEN_", "Jfrog_Token_Scope", "Jfrog_Token_Scope: no such input; probably JFROG_TOKEN_SCOPE is meant"},
		{"JFROG_TOKEN_", "JFROG-TOKEN-SCOPE", "JFROG-TOKEN-SCOPE: no such input; probably JFROG_TOKEN_SCOPE is meant"},
		{"JFROG_TOKEN_", "JFROG_TOKEN.SCOPE", "JFROG_TOKEN.SCOPE: no such input; probably JFROG_TOKEN_SCOPE is meant"},
		{"JFROG_TOKEN_", "JFROGTOKEN_SCOPE", "JFROGTOKEN_SCOPE: no such input; probably JFROG_TOKEN_SCOPE is meant"},
		{"JFROG_TOKEN_", "JFROG_TOKENS_SCOPE", "JFROG_TOKENS_SCOPE: no such input; probably JFROG_TOKEN_SCOPE is meant"},
		{"JFROG_TOKEN_", "JFROG_TOKEN_TTL", "JFROG_TOKEN_TTL: no such input; probably JFROG_TOKEN_EXPIRES_IN is meant"},
		{"JFROG_TOKEN_", "JFROG_TOKEN", ""},
		{"PLUGIN_", "plugin_scope", "plugin_scope: no such input; probably scope is meant"},
		{"PLUGIN_", "PLUGIN_Scope", "PLUGIN_Scope: no such input; probably scope is meant"},
		{"INPUT_", "INPUT_USER", "user: no such input; probably username is meant"},
		{"INPUT_", "INPUT_TTL", "ttl: no such input; probably expires-in is meant"},
		{"INPUT_", "INPUT_PERMISSIONS", "permissions: no such input; probably scope is meant"},
		{"INPUT_", "INPUT_TOKEN-SCOPE", "token-scope: no such input; probably scope is meant"},
		{"INPUT_", "INPUT_JFROG-URL", "jfrog-url: no such input; probably url is meant"},
		{"JFROG_TOKEN_", "PLUGIN_SCOPES", ""},
		{"JFROG_TOKEN_", "JF_TOKEN_ID", ""}, // of the env file
		{"PLUGIN_", "PLUGIN_EXPIRE-IN", "expire-in: no such input; probably expires-in is meant"},
		{"PLUGIN_", "PLUGIN_COLOUR", "colour: no such input; jfrog-token help lists all"},
		{"INPUT_", "INPUT_SCOPES", "scopes: no such input; probably scope is meant"},
		{"INPUT_", "INPUT_TOKEN", "token: no such input; probably access-token is meant"},
		// Inputs of JFrog's set-up action, of which only the uses: line was changed.
		// The runner warns.
		{"INPUT_", "INPUT_VERSION", ""},
		{"INPUT_", "INPUT_DOWNLOAD-REPOSITORY", ""},
		{"INPUT_", "INPUT_DISABLE-JOB-SUMMARY", ""},
		{"INPUT_", "INPUT_DISABLE-AUTO-BUILD-PUBLISH", ""},
		{"INPUT_", "INPUT_DISABLE-AUTO-EVIDENCE-COLLECTION", ""},
		{"INPUT_", "INPUT_CUSTOM-SERVER-ID", ""},
		{"INPUT_", "INPUT_GHE-BASE-URL", ""},
		{"INPUT_", "INPUT_GHE-TOKEN", ""},
		// Not misspelt: it counts if the dashed one does not exist.
		{"INPUT_", "INPUT_EXPIRES_IN", ""},
	} {
		if runtime.GOOS == "windows" && strings.ToUpper(c.variable) != c.variable {
			c.says = "" // it is the same variable there
		}
		s := env{c.variable: "x"}.source(c.prefix)
		s.Shared = "INPUT_"
		if got := strings.Join(s.misspelt(), "\n"); got != c.says {
			t.Errorf("%s: expected %q to be %q", c.variable, got, c.says)
		}
	}
}

// Harness sets variables with the prefix of settings itself, and so do stage
// variables for other plugins.
func TestPluginVariablesOfOthers(t *testing.T) {
	t.Parallel()
	for variable, refused := range map[string]bool{
		"PLUGIN_OIDC_TOKEN_ID": false, "PLUGIN_ARTIFACT_FILE": false, "PLUGIN_METADATA_FILE": false, "PLUGIN_REGISTRY": false,
		"PLUGIN_SCOPES": true, "PLUGIN_TOKEN_SCOPE": true, "PLUGIN_TTL": true, "PLUGIN_USER": true, "PLUGIN_JFROG_SCOPE": true, "PLUGIN_EXPIRE-IN": true, "PLUGIN_OIDC_PROVIDER": true,
	} {
		s := env{variable: "x"}.source("PLUGIN_")
		s.Shared = "PLUGIN_"
		if got := s.misspelt(); (got != nil) != refused {
			t.Errorf("%s: expected %q to be %t", variable, got, refused)
		}
	}
}

// Property: what is suggested is an input, and an input is suggested for itself.
func FuzzSuggest(f *testing.F) {
	for _, name := range []string{"scopes", "SCOPE", "oidc_provider", "", "-", "--", "token", "expires.in", "\xff", "a-b-c-d-e-f", strings.Repeat("scope", 100)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, near := suggest(name)
		if _, ok := Named(got); !ok && (got != "" || near) {
			t.Errorf("%q: expected %q, %t to be %q", name, got, near, "an input, or nothing")
		}
		if _, ok := Named(name); ok && (got != name || !near) {
			t.Errorf("%q: expected %q, %t to be %q", name, got, near, name)
		}
		if d := distance(name, got); near && len(name) <= 64 && d > max(len(name), len(got)) {
			t.Errorf("%q, %q: expected %d to be %d at most", name, got, d, max(len(name), len(got)))
		}
	})
}

func TestParseArgs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  string
		words string
		flags string
		says  string // the error
	}{
		{"", "", "", ""},
		{"mint", "mint", "", ""},
		{"mint --url https://a.test --expires-in=2d", "mint", "expires-in=2d url=https://a.test", ""},
		{"--url https://a.test mint", "mint", "url=https://a.test", ""},
		{"sweep --dry-run --older-than 6h", "sweep", "dry-run=true older-than=6h", ""},
		{"sweep --dry-run false", "sweep", "dry-run=false", ""},
		{"sweep --dry-run=false", "sweep", "dry-run=false", ""},
		{"sweep --dry-run", "sweep", "dry-run=true", ""},
		{"--force-revocable revoke a b", "revoke a b", "force-revocable=true", ""},
		{"exec -- docker push --scope x", "exec docker push --scope x", "", ""},
		{"mint --description=--x", "mint", "description=--x", ""},
		{"mint --scope=", "", "", "--scope: is empty"},
		{"sweep --dry-run=", "", "", "--dry-run: is empty"},
		{"mint --scope", "", "", "--scope: has no value; write --scope=VALUE if it begins with --"},
		{"mint --scope --groups a", "", "", "--scope: has no value; write --scope=VALUE if it begins with --"},
		{"mint --scope a --scope b", "", "", "--scope: is given twice"},
		{"mint --access-token needle", "", "", "--access-token: a secret does not belong on a command line, which every process of the machine can read; set it in the environment"},
		{"mint --id-token=needle", "", "", "--id-token: a secret does not belong on a command line, which every process of the machine can read; set it in the environment"},
		{"mint --access-token", "", "", "--access-token: a secret does not belong on a command line, which every process of the machine can read; set it in the environment"},
		{"mint --needle", "", "", "unknown flag; jfrog-token help lists all"},
		{"mint -needle needle", "", "", "unknown flag; jfrog-token help lists all"},
		{"mint --scop needle --grups=needle", "", "", "unknown flag; probably --scope is meant; unknown flag; probably --groups is meant"},
		{"mint -scope needle", "", "", "unknown flag; probably --scope is meant"},
		{"mint ---scope needle", "", "", "unknown flag; probably --scope is meant"},
	} {
		got, err := ParseArgs(strings.Fields(c.args))
		var flags []string
		for name, v := range got.Flags {
			flags = append(flags, name+"="+v)
		}
		slices.Sort(flags)
		if words := strings.Join(got.Words, " "); words != c.words || strings.Join(flags, " ") != c.flags {
			t.Errorf("%q: expected %q, %q to be %q, %q", c.args, words, flags, c.words, c.flags)
		}
		if says := strings.Join(problems(err), "; "); says != c.says || strings.Contains(says, "needle") {
			t.Errorf("%q: expected %q to be %q", c.args, says, c.says)
		}
	}
	for _, help := range []string{"-h", "-help", "--help"} {
		if got, err := ParseArgs([]string{"mint", help}); !got.Help || err != nil {
			t.Errorf("%s: expected %+v, %v to be %q", help, got, err, "help")
		}
	}
}

// A flag that a command does not read would be ignored in silence.
func TestFlagsOfAnotherCommand(t *testing.T) {
	t.Parallel()
	for _, i := range Inputs {
		for _, command := range []string{"mint", "revoke", "list", "sweep", "version"} {
			v := map[kind]string{address: "https://a.test", boolean: "true", duration: "1h", number: "1"}[i.kind]
			if i.values != "" {
				v = i.Values()[0]
			} else if v == "" {
				v = "x"
			}
			err := Args{Flags: map[string]string{i.Name: v}}.CheckFlags(command)
			if applies := i.AppliesTo(command) || i.Name == "command"; applies != (err == nil) {
				t.Errorf("%s --%s: expected %v to be %t", command, i.Name, err, applies)
			}
		}
	}
}

// What revoke does not need is reported all the same, and a command is given once.
func TestFlagsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := NewSource(nil, map[string]string{"timeout": "abc", "max-attempts": "0", "state-dir": "x"})
	want := "--timeout: must be a time above zero, such as 15m, 1h30m, 2d, or a number of seconds; --max-attempts: must be a number from 1 to 100"
	if got := strings.Join(problems(s.Wrong()), "; "); got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
	a := Args{Words: []string{"revoke"}, Flags: map[string]string{"command": "mint"}}
	if got := strings.Join(problems(a.CheckFlags("revoke")), "; "); got != "--command: the command is given already" {
		t.Errorf("expected %q to be about --command", got)
	}
}

// What is set where nothing looks is reported, and is no wrong input, as a
// stranger may have set it.
func TestVariablesThatAreNotReadHere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		prefix string
		env    env
		about  []string
	}{
		{"INPUT_", oidc.and("JFROG_TOKEN_SCOPE", "x"), []string{"JFROG_TOKEN_SCOPE is not read here; set scope"}},
		{"INPUT_", oidc.with(env{"scope": "y"}).and("JFROG_TOKEN_SCOPE", "x"), nil},
		{"INPUT_", oidc.and("JFROG_TOKEN_SCOPE", ""), nil},
		{"INPUT_", oidc.and("JFROG_TOKEN_COLOUR", "x"), nil},
		{"JFROG_TOKEN_", env{"JFROG_TOKEN_URL": "https://a.test", "JFROG_TOKEN_ACCESS_TOKEN": "x", "INPUT_EXPIRES-IN": "5m"}, []string{"INPUT_EXPIRES-IN is not read here; set expires-in"}},
	} {
		got, err := Load(c.env.source(c.prefix), "mint")
		if err != nil || !slices.Equal(got.Warnings, c.about) {
			t.Errorf("expected %+v, %v to be %q", got, err, c.about)
		}
	}
}

// On Windows, the names of variables have no case.
func TestNamesWithoutCase(t *testing.T) {
	t.Parallel()
	s := &Source{env: map[string]string{}, anyCase: true}
	s.env[s.cased("jfrog_token_scope")] = "x"
	if got := s.Getenv("JFROG_TOKEN_SCOPE"); got != "x" {
		t.Errorf("expected %q to be %q", got, "x")
	}
}

// A name that is too long for one of ours is compared with none.
func TestNothingIsLikeALongName(t *testing.T) {
	t.Parallel()
	if got, near := suggest(strings.Repeat("scope-", 12)); got != "" || near {
		t.Errorf("expected %q, %t to be nothing", got, near)
	}
}

// Property: whatever is on the command line, what is taken from it is an input
// that is not secret, with a value of the line; and no error repeats a part of
// it.
func FuzzParseArgs(f *testing.F) {
	f.Add("mint --url https://a.test --expires-in=2d", "\x20")
	f.Add("sweep,--dry-run,--older-than,6h", ",")
	f.Add("--access-token=n33dle --scop n33dle -- x", " ")
	f.Add("-h--=--scope==--", "-")
	f.Fuzz(func(t *testing.T, line, separator string) {
		args := strings.Split(line, separator)
		a, err := ParseArgs(args)
		if err != nil {
			for _, p := range problems(err) {
				for _, arg := range args {
					_, value, _ := strings.Cut(arg, "=")
					if len(value) > 20 && strings.Contains(p, value) {
						t.Errorf("%q: expected %q to be %q", args, p, "without a value")
					}
				}
			}
			return
		}
		for name, v := range a.Flags {
			i, ok := Named(name)
			if !ok || i.Secret() || v != "true" && !strings.Contains(line, v) {
				t.Errorf("%q: expected %q, %q to be %q", args, name, v, "an input and its value")
			}
		}
		if len(a.Words) > len(args) {
			t.Errorf("%q: expected %q to be %q", args, a.Words, "words of the line")
		}
	})
}

// C7: what a CI did not expand is no value.
func TestUnexpanded(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]bool{
		"${{ secrets.X }}": true, "${{secrets.X}}": true, "x ${{ y }} z": true, "$(JFROG_URL)": true, "$(System.AccessToken)": true, "$URL": true, "${URL}": true,
		"$": false, "$$": false, "": false, "https://acme.jfrog.io": false, "$HOME ${X} %s": false, "$()": false, "a$(b)": false, "cost: $5 or $6": false,
	} {
		if got := unexpanded(v); got != want {
			t.Errorf("%q: expected %t to be %t", v, got, want)
		}
	}
	for _, i := range Inputs {
		if _, wrong := i.parse("${{ secrets.N33DLE }}"); wrong == "" || strings.Contains(wrong, "N33DLE") {
			t.Errorf("%s: expected %q to be %q", i.Name, wrong, "refused")
		}
	}
}

// C7: every form in which newcomers wrote the URL.
func TestURLsOfNewcomers(t *testing.T) {
	t.Parallel()
	const meant = "; probably https://acme.jfrog.io is meant"
	for v, want := range map[string]string{
		"acme.jfrog.io":                                    "must begin with https://" + meant,
		"acme.jfrog.io/artifactory/":                       "must begin with https://" + meant,
		"acme.jfrog.io:8443":                               "must begin with https://; probably https://acme.jfrog.io:8443 is meant",
		"https://acme.jfrog.io/ui":                         "is not the platform's own, but of something in it" + meant,
		"https://acme.jfrog.io/ui/login":                   "is not the platform's own, but of something in it" + meant,
		"https://acme.jfrog.io/ui/packages/":               "is not the platform's own, but of something in it" + meant,
		"https://acme.jfrog.io/artifactory/api/npm/npm":    "is not the platform's own, but of something in it" + meant,
		"https://acme.jfrog.io/artifactory/libs-release":   "is not the platform's own, but of something in it" + meant,
		"https://acme.jfrog.io/access/api/v1/tokens":       "is not the platform's own, but of something in it" + meant,
		"https://acme.test/jfrog/artifactory/repo":         "is not the platform's own, but of something in it; probably https://acme.test/jfrog is meant",
		`"https://acme.jfrog.io"`:                          "is in quotes; remove them",
		"'https://acme.jfrog.io'":                          "is in quotes; remove them",
		"${{ vars.JF_URL }}":                               "holds an expression that nothing expanded, such as ${{ … }} or $(…); does the CI expand it there, and is its name right?",
		"$JF_URL":                                          "holds an expression that nothing expanded, such as ${{ … }} or $(…); does the CI expand it there, and is its name right?",
		"https://acme.jfrog.io:99999":                      "is not a URL with the name or address of a host",
		"https://$(id)":                                    "is not a URL with the name or address of a host",
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl": "must begin with https://", // a token in the wrong place
	} {
		if _, wrong := input("url").parse(v); wrong != want {
			t.Errorf("%s: expected %q to be %q", v, wrong, want)
		}
	}
}

// Each row of the table has a field of Config, and each field a row.
func TestTableAndConfigAgree(t *testing.T) {
	t.Parallel()
	var rows, fields []string
	for _, i := range Inputs {
		rows = append(rows, i.key())
	}
	for f := range reflect.TypeFor[Config]().Fields() {
		if tag, ok := f.Tag.Lookup("env"); ok {
			key, _, _ := strings.Cut(tag, ",")
			fields = append(fields, key)
		}
	}
	if slices.Sort(rows); !slices.Equal(rows, slices.Sorted(slices.Values(fields))) {
		t.Errorf("expected the rows %q to be the fields %q", rows, fields)
	}
	for _, i := range Inputs {
		if _, wrong := i.parse(i.Default); i.Default != "" && wrong != "" {
			t.Errorf("%s: the default %s", i.Name, wrong)
		}
	}
}

// TestEnvironment: what carries a credential into this program stays out of the command of exec, whichever CI would have
// set it; nothing else does.
func TestEnvironment(t *testing.T) {
	kept := []string{
		"PATH=/bin", "JFROG_TOKEN_URL=https://acme.jfrog.io", "JFROG_TOKEN_ACCESS=x", "MY_JFROG_TOKEN_ACCESS_TOKEN=x",
		"INPUT_URL=https://acme.jfrog.io", "PLUGIN_USERNAME=x", "CIRCLE_OIDC_TOKEN=x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=x", "NO_VALUE",
	}
	gone := []string{
		"JFROG_TOKEN_ACCESS_TOKEN=x", "JFROG_TOKEN_REFRESH_TOKEN=x", "JFROG_TOKEN_ID_TOKEN=x",
		"INPUT_ACCESS-TOKEN=x", "INPUT_ACCESS_TOKEN=x", "PLUGIN_ID-TOKEN=x", "PLUGIN_ID_TOKEN=x", "PLUGIN_REFRESH_TOKEN=",
	}
	got := NewSource(slices.Concat(gone[:3], kept, gone[3:]), nil).Environment()
	if !slices.Equal(got, kept) {
		t.Errorf("expected %q to be %q", got, kept)
	}
}
