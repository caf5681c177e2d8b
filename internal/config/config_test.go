package config

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

// env is an environment.
type env map[string]string

func (e env) source(prefixes ...string) *Source {
	if prefixes == nil {
		prefixes = []string{"INPUT_"}
	}
	var environ []string
	for name, v := range e {
		environ = append(environ, name+"="+v)
	}
	s := NewSource(environ, nil)
	s.Prefixes = prefixes
	return s
}

// with gives e and more inputs, in kebab case.
func (e env) with(inputs env) env {
	all := env{}
	for k, v := range e {
		all[k] = v
	}
	for name, v := range inputs {
		all["INPUT_"+strings.ToUpper(name)] = v
	}
	return all
}

// and gives e and one more variable.
func (e env) and(name, value string) env {
	all := e.with(nil)
	all[name] = value
	return all
}

var (
	oidc   = env{"INPUT_URL": "https://acme.jfrog.io", "INPUT_OIDC-PROVIDER-NAME": "github"}
	stored = env{"INPUT_URL": "https://acme.jfrog.io", "INPUT_ACCESS-TOKEN": "c3RvcmVkLXRva2Vu"}
	idJWT  = "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"x"}`)) + ".c2ln"
)

func problems(err error) []string {
	var e *Error
	if errors.As(err, &e) {
		return e.Problems
	}
	if err != nil {
		return []string{"not an *Error: " + err.Error()}
	}
	return nil
}

// about tells whether problems has exactly one for each of the inputs.
func about(list []string, inputs ...string) bool {
	names := []string{}
	for _, p := range list {
		name, _, _ := strings.Cut(p, ":")
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Sort(inputs)
	return slices.Equal(names, inputs)
}

// load reads the inputs as mint does.
func load(e env) (*Config, error) { return Load(e.source(), "mint") }

func mustLoad(t *testing.T, e env) *Config {
	t.Helper()
	c, err := load(e)
	if err != nil {
		t.Fatalf("expected %q to be %q", err, "no error")
	}
	return c
}

// Without an input, its default stands, in both modes.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  env
		oidc bool
	}{{"OIDC", oidc, true}, {"stored", stored, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := mustLoad(t, c.env)
			if got.OIDC() != c.oidc || !got.Revocable() || got.CreatesSecond() != c.oidc {
				t.Errorf("expected %t, %t, %t to be %t, %t, %t", got.OIDC(), got.Revocable(), got.CreatesSecond(), c.oidc, true, c.oidc)
			}
			if got.NeedsSecond() {
				t.Errorf("expected %t to be %t", got.NeedsSecond(), false)
			}
			if got.ExpiresIn != 0 || got.Timeout != 2*time.Minute || got.MaxAttempts != 10 {
				t.Errorf("expected %s, %s, %d to be %s, %s, %d", got.ExpiresIn, got.Timeout, got.MaxAttempts, time.Duration(0), 2*time.Minute, 10)
			}
			if !got.Revoke || got.RevokeFailure != "warn" || !got.Summary || got.Refreshable || got.IncludeReferenceToken {
				t.Errorf("expected %+v to be %q", got, "the defaults")
			}
			if got.CACert != "" || got.Warnings != nil {
				t.Errorf("expected %+v to be %q", got, "the defaults")
			}
			if got.URL.String() != "https://acme.jfrog.io" {
				t.Errorf("expected %q to be %q", got.URL, "https://acme.jfrog.io")
			}
		})
	}
}

// GitHub's runner sets a variable for every input that action.yml declares,
// to nothing where the workflow does not; go-envconfig would take it for set
// and skip the default.
func TestBlankIsUnset(t *testing.T) {
	t.Parallel()
	for _, blank := range []string{"", " ", "\n", "\t \r\n"} {
		for _, mode := range []env{oidc, stored} {
			all := env{}
			for _, i := range Inputs {
				all[strings.ToUpper("INPUT_"+i.Name)] = blank
				all[strings.ToUpper("INPUT_"+strings.ReplaceAll(i.Name, "-", "_"))] = blank
			}
			for k, v := range mode {
				all[k] = v
			}
			if got, want := mustLoad(t, all), mustLoad(t, mode); !same(got, want) {
				t.Errorf("expected %+v to be %+v", got, want)
			}
		}
	}
}

// same compares two Configs, the secrets in them by value.
func same(a, b *Config) bool {
	if a.AccessToken.Reveal() != b.AccessToken.Reveal() || a.IDToken.Reveal() != b.IDToken.Reveal() {
		return false
	}
	x, y := *a, *b
	x.AccessToken, x.IDToken = y.AccessToken, y.IDToken
	return reflect.DeepEqual(x, y)
}

func TestValuesAreTrimmedAndTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, oidc.with(env{
		"username": " \tteam/ci bot\n", "description": "\n$HOME ${X} %s «job» \n", "id-token": "\n" + idJWT + "\n", "timeout": " 30s ",
		"identity-mapping-name": " Ü ", "audience": " *@* ",
	}))
	for _, v := range []struct{ got, want string }{
		{c.Username, "team/ci bot"}, {c.Description, "$HOME ${X} %s «job»"}, {c.IDToken.Reveal(), idJWT}, {c.Timeout.String(), "30s"},
		{c.IdentityMappingName, "Ü"}, {c.Audience, "*@*"},
	} {
		if v.got != v.want {
			t.Errorf("expected %q to be %q", v.got, v.want)
		}
	}
}

func TestWhereInputsComeFrom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  env
		want string
	}{
		{"dashes, as GitHub keeps them", env{"INPUT_PROJECT-KEY": "a1"}, "a1"},
		{"underscores, as Woodpecker writes them", env{"INPUT_PROJECT_KEY": "a1"}, "a1"},
		{"dashes before underscores", env{"INPUT_PROJECT-KEY": "a1", "INPUT_PROJECT_KEY": "b1"}, "a1"},
		// B2: an earlier step can set the other spelling through GITHUB_ENV, for the rest of the job.
		{"a blank dashed input is final", env{"INPUT_PROJECT-KEY": " ", "INPUT_PROJECT_KEY": "b1"}, ""},
		{"an empty dashed input is final", env{"INPUT_PROJECT-KEY": "", "INPUT_PROJECT_KEY": "b1"}, ""},
		{"a blank setting is not", env{"PLUGIN_PROJECT-KEY": " ", "PLUGIN_PROJECT_KEY": "b1"}, "b1"},
		{"the first prefix wins", env{"INPUT_PROJECT_KEY": "a1", "PLUGIN_PROJECT-KEY": "b1"}, "a1"},
		{"a blank does not hide the next prefix", env{"INPUT_PROJECT-KEY": "", "PLUGIN_PROJECT-KEY": "b1"}, "b1"},
		{"without a prefix it is no input", env{"PROJECT_KEY": "a1", "PROJECT-KEY": "a1"}, ""},
		{"another prefix is no input", env{"JFROG_TOKEN_PROJECT_KEY": "a1"}, ""},
		{"lower case is no input", env{"INPUT_project-key": "a1"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS == "windows" && c.name == "lower case is no input" {
				c.want = "a1"
			}
			got, _, _ := c.env.source("INPUT_", "PLUGIN_").find(input("project-key"))
			if got != c.want {
				t.Errorf("expected %q to be %q", got, c.want)
			}
		})
	}
}

// neither names the problem that no credential is set.
const neither = "access-token or oidc-provider-name"

func TestFallbacksOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		env        env
		url, token string
		wrong      []string
	}{
		{"JF_URL", env{"JF_URL": "https://a.test", "INPUT_OIDC-PROVIDER-NAME": "p"}, "https://a.test", "", nil},
		{"the input before JF_URL", env{"JF_URL": "https://a.test", "INPUT_URL": "https://b.test", "INPUT_OIDC-PROVIDER-NAME": "p"}, "https://b.test", "", nil},
		{"a blank input leaves JF_URL", env{"JF_URL": "https://a.test", "INPUT_URL": " ", "INPUT_OIDC-PROVIDER-NAME": "p"}, "https://a.test", "", nil},
		{"JF_URL is checked as the input is", env{"JF_URL": "http://a.test", "INPUT_OIDC-PROVIDER-NAME": "p"}, "", "", []string{"JF_URL"}},
		{"JF_ACCESS_TOKEN", env{"JF_URL": "https://a.test", "JF_ACCESS_TOKEN": " tok\n"}, "https://a.test", "tok", nil},
		{"the input before JF_ACCESS_TOKEN", env{"JF_URL": "https://a.test", "JF_ACCESS_TOKEN": "env", "INPUT_ACCESS-TOKEN": "in"}, "https://a.test", "in", nil},
		{"OIDC mode ignores JF_ACCESS_TOKEN", env{"JF_URL": "https://a.test", "JF_ACCESS_TOKEN": "env", "INPUT_OIDC-PROVIDER-NAME": "p"}, "https://a.test", "", nil},
		{"a blank JF_ACCESS_TOKEN is none", env{"JF_URL": "https://a.test", "JF_ACCESS_TOKEN": " "}, "", "", []string{"JF_ACCESS_TOKEN"}},
		{"a JF_ACCESS_TOKEN that nothing expanded", env{"JF_URL": "https://a.test", "JF_ACCESS_TOKEN": "$(JF_ACCESS_TOKEN)"}, "", "", []string{"JF_ACCESS_TOKEN"}},
		{"a JF_ACCESS_TOKEN that is an API key", env{"JF_URL": "https://a.test", "JF_ACCESS_TOKEN": "AKCpx"}, "", "", []string{"JF_ACCESS_TOKEN"}},
		{"nothing at all", env{}, "", "", []string{"url", neither}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := load(c.env)
			if list := problems(err); !about(list, c.wrong...) {
				t.Fatalf("expected %q to be %q", list, c.wrong)
			}
			if err != nil {
				return
			}
			if got.URL.String() != c.url || got.AccessToken.Reveal() != c.token {
				t.Errorf("expected %q, %q to be %q, %q", got.URL, got.AccessToken.Reveal(), c.url, c.token)
			}
		})
	}
}

// Each rule on its own: the input that is wrong is named, and no other.
func TestWrongInputs(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("é", n) }
	for _, c := range []struct {
		name   string
		mode   env
		inputs env
		wrong  []string
	}{
		{"a token beside the provider", oidc, env{"access-token": "x"}, []string{"access-token"}},
		{"oidc-audience alone", stored, env{"oidc-audience": "x"}, []string{"oidc-audience"}},
		{"id-token alone", stored, env{"id-token": idJWT}, []string{"id-token"}},
		{"identity-mapping-name alone", stored, env{"identity-mapping-name": "x"}, []string{"identity-mapping-name"}},
		{"application-key alone", stored, env{"application-key": "x"}, []string{"application-key"}},
		{"all four alone", stored, env{"oidc-audience": "x", "id-token": idJWT, "identity-mapping-name": "x", "application-key": "x"},
			[]string{"oidc-audience", "id-token", "identity-mapping-name", "application-key"}},
		{"a refresh token beside the provider", oidc, env{"refresh-token": "x"}, []string{"refresh-token"}},
		{"a refresh token alone", stored, env{"access-token": "", "refresh-token": "x"}, []string{"refresh-token"}},
		{"a refresh token", stored, env{"refresh-token": "x", "refreshable": "false", "force-revocable": "false", "include-reference-token": "true"}, nil},
		{"a refresh token with a blank", stored, env{"refresh-token": "a b"}, []string{"refresh-token"}},
		{"a refresh token in quotes", stored, env{"refresh-token": `"ab"`}, []string{"refresh-token"}},
		{"what a refresh does not take", stored, env{"refresh-token": "x", "scope": "a", "groups": "b", "expires-in": "1h", "username": "u", "audience": "a@*",
			"description": "d", "project-key": "acme", "refreshable": "true", "force-revocable": "true"},
			[]string{"scope", "groups", "expires-in", "username", "audience", "description", "project-key", "refreshable", "force-revocable"}},
		{"a token with a blank", stored, env{"access-token": "a b"}, []string{"access-token"}},
		{"a token with a line break", stored, env{"access-token": "a\r\nb"}, []string{"access-token"}},
		{"a token with another letter", stored, env{"access-token": "aéb"}, []string{"access-token"}},
		{"an API key", stored, env{"access-token": "AKCp8abc"}, []string{"access-token"}},
		{"an ID token that is no JWT", oidc, env{"id-token": "$MY_TOKEN"}, []string{"id-token"}},
		{"an ID token with a line break", oidc, env{"id-token": idJWT[:6] + "\n" + idJWT[6:]}, []string{"id-token"}},

		{"scope with an open quote", stored, env{"scope": `applied-permissions/groups:"a`}, []string{"scope"}},
		{"scope with a control character", stored, env{"scope": "a\x00b"}, []string{"scope"}},
		{"scope of 500", stored, env{"scope": long(500)}, nil},
		{"scope of 501", stored, env{"scope": long(501)}, []string{"scope"}},
		{"scope and groups of 501", stored, env{"scope": long(472), "groups": "a"}, []string{"scope"}},
		{"scope and groups of 500", stored, env{"scope": long(471), "groups": "a"}, nil},
		{"groups with an open quote", stored, env{"groups": `"a`}, []string{"groups"}},
		{"groups with a quote within", stored, env{"groups": `a"b"c`}, []string{"groups"}},
		{"groups with a control character", stored, env{"groups": "a\x7f"}, []string{"groups"}},

		{"expires-in of nothing", stored, env{"expires-in": "0"}, []string{"expires-in"}},
		{"expires-in below zero", stored, env{"expires-in": "-5m"}, []string{"expires-in"}},
		{"expires-in without a unit", stored, env{"expires-in": "1.5"}, []string{"expires-in"}},
		{"expires-in of a year", stored, env{"expires-in": "1y"}, []string{"expires-in"}},
		{"expires-in of two days", stored, env{"expires-in": "2d"}, nil},
		{"expires-in of parts of a second", stored, env{"expires-in": "1500ms"}, []string{"expires-in"}},
		{"expires-in past what JFrog can count", stored, env{"expires-in": "2147483648"}, []string{"expires-in"}},
		{"expires-in as long as JFrog can count", stored, env{"expires-in": "2147483647"}, nil},
		{"timeout of nothing", stored, env{"timeout": "0s"}, []string{"timeout"}},
		{"timeout of a word", stored, env{"timeout": "soon"}, []string{"timeout"}},
		{"max-attempts of none", stored, env{"max-attempts": "0"}, []string{"max-attempts"}},
		{"max-attempts below none", stored, env{"max-attempts": "-1"}, []string{"max-attempts"}},
		{"max-attempts of 100", stored, env{"max-attempts": "100"}, nil},
		{"max-attempts of 101", stored, env{"max-attempts": "101"}, []string{"max-attempts"}},
		{"max-attempts of a word", stored, env{"max-attempts": "many"}, []string{"max-attempts"}},
		{"max-attempts past int", stored, env{"max-attempts": "99999999999999999999"}, []string{"max-attempts"}},

		{"username of 255", stored, env{"username": long(255)}, nil},
		{"username of 256", stored, env{"username": long(256)}, []string{"username"}},
		{"username of two lines", stored, env{"username": "a\nb"}, []string{"username"}},
		{"username that is not UTF-8", stored, env{"username": "a\xff"}, []string{"username"}},
		{"audience of 255", stored, env{"audience": long(255)}, nil},
		{"audience of 256", stored, env{"audience": long(256)}, []string{"audience"}},
		{"description with its marker of 1,024", stored, env{"description": long(MaxDescription - MarkerLength)}, nil},
		{"description with its marker of 1,025", stored, env{"description": long(MaxDescription - MarkerLength + 1)}, []string{"description"}},
		{"description with a control character", stored, env{"description": "a\x1b[31m"}, []string{"description"}},
		{"project-key of one letter", stored, env{"project-key": "a"}, []string{"project-key"}},
		{"project-key of two", stored, env{"project-key": "a1"}, nil},
		{"project-key of 32", stored, env{"project-key": "a" + strings.Repeat("-", 31)}, nil},
		{"project-key of 33", stored, env{"project-key": "a" + strings.Repeat("1", 32)}, []string{"project-key"}},
		{"project-key in upper case", stored, env{"project-key": "Acme"}, []string{"project-key"}},
		{"project-key with a digit first", stored, env{"project-key": "1a"}, []string{"project-key"}},
		{"project-key of two lines", stored, env{"project-key": "ab\ncd"}, []string{"project-key"}},
		{"oidc-provider-name with a control character", oidc, env{"oidc-provider-name": "a\tb"}, []string{"oidc-provider-name"}},
		{"oidc-audience with a line break", oidc, env{"oidc-audience": "a\nb"}, []string{"oidc-audience"}},
		{"identity-mapping-name of 256", oidc, env{"identity-mapping-name": long(256)}, []string{"identity-mapping-name"}},
		{"application-key of 256", oidc, env{"application-key": long(256)}, []string{"application-key"}},
		{"revoke-failure of a third kind", stored, env{"revoke-failure": "ignore"}, []string{"revoke-failure"}},
		{"revoke-failure in upper case", stored, env{"revoke-failure": "FAIL"}, []string{"revoke-failure"}},
		{"revoke-failure fail", stored, env{"revoke-failure": "fail"}, nil},

		// All in one go: somebody who sets a workflow up runs it once.
		{"everything", env{}, env{
			"url": "acme", "access-token": "a b", "oidc-provider-name": "\x01", "oidc-audience": "\x01", "id-token": "x", "identity-mapping-name": "\x01",
			"application-key": "\x01", "scope": `"`, "groups": `"`, "expires-in": "x", "timeout": "x", "max-attempts": "x", "username": "\x01",
			"audience": "\x01", "description": "\x01", "project-key": "X", "refreshable": "x", "include-reference-token": "x", "force-revocable": "x",
			"revoke": "x", "revoke-failure": "x", "summary": "x", "ca-cert": "no-such-file", "description-prefix": "*", "older-than": "x", "dry-run": "x",
		}, []string{
			"url", "access-token", "access-token", "oidc-provider-name", "oidc-audience", "id-token", "identity-mapping-name", "application-key", "scope", "groups",
			"expires-in", "timeout", "max-attempts", "username", "audience", "description", "project-key", "refreshable", "include-reference-token",
			"force-revocable", "revoke", "revoke-failure", "summary", "ca-cert", "description-prefix", "older-than", "dry-run",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := load(c.mode.with(c.inputs))
			if list := problems(err); !about(list, c.wrong...) {
				t.Errorf("expected %q to be %q", list, c.wrong)
			}
			if (got == nil) != (err != nil) {
				t.Errorf("expected %v to be %q", got, "a Config or an error")
			}
		})
	}
}

// YAML 1.2's core schema, as getBooleanInput of GitHub's toolkit has it.
func TestBooleans(t *testing.T) {
	t.Parallel()
	fields := map[string]func(*Config) bool{
		"refreshable":             func(c *Config) bool { return c.Refreshable },
		"include-reference-token": func(c *Config) bool { return c.IncludeReferenceToken },
		"force-revocable":         func(c *Config) bool { return c.Revocable() },
		"revoke":                  func(c *Config) bool { return c.Revoke },
		"summary":                 func(c *Config) bool { return c.Summary },
		"dry-run":                 func(c *Config) bool { return c.DryRun },
	}
	for name, field := range fields {
		for _, mode := range []env{oidc, stored} {
			for v, want := range map[string]bool{
				"true": true, "True": true, "TRUE": true, " true\n": true, "false": false, "False": false, "FALSE": false,
			} {
				if got := field(mustLoad(t, mode.with(env{name: v}))); got != want {
					t.Errorf("%s: %q: expected %t to be %t", name, v, got, want)
				}
			}
			for _, v := range []string{"yes", "no", "1", "0", "tRUE", "t", "on", `"true"`, "true;"} {
				if _, err := load(mode.with(env{name: v})); !about(problems(err), name) {
					t.Errorf("%s: %q: expected %q to be %q", name, v, problems(err), []string{name})
				}
			}
		}
	}
}

// Whatever the input and however it is wrong, its value is in no error: it may
// be a secret that was pasted into the wrong line.
func TestNoErrorHoldsAValue(t *testing.T) {
	t.Parallel()
	const needle = "n33dle"
	broken := map[string]func(string) string{
		"plain":         func(n string) string { return n },
		"control":       func(n string) string { return n + "\x01" + n },
		"line break":    func(n string) string { return n + "\n" + n },
		"blank":         func(n string) string { return n + " " + n },
		"long":          func(n string) string { return strings.Repeat(n, 300) },
		"not UTF-8":     func(n string) string { return n + "\xff" },
		"quote":         func(n string) string { return `"` + n },
		"URL":           func(n string) string { return "https://" + n + ":" + n + "@" + n + ".test/" + n + "?" + n + "#" + n },
		"http URL":      func(n string) string { return "http://" + n + ".test/" + n },
		"bad port":      func(n string) string { return "https://acme.test:" + n },
		"bad URL":       func(n string) string { return "https://[" + n },
		"percent":       func(n string) string { return "%" + n },
		"dots":          func(n string) string { return "https://acme.test/" + n + "/../" + n },
		"duration":      func(n string) string { return "5" + n },
		"number":        func(n string) string { return "-" + n },
		"JWT":           func(n string) string { return n + "." + n + "." + n },
		"API key":       func(n string) string { return "AKCp" + n },
		"PEM":           func(n string) string { return "-----BEGIN " + n + "-----\n" + n + "\n-----END " + n + "-----" },
		"path":          func(n string) string { return filepath.Join("no", "such", n) },
		"envconfig":     func(n string) string { return "${" + n + "}" },
		"command":       func(n string) string { return "::error::" + n },
		"a second pair": func(n string) string { return "groups:" + n + ", applied-permissions/groups:" + n },
	}
	for how, brk := range broken {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			all := env{"JF_URL": brk(needle + "0"), "JF_ACCESS_TOKEN": brk(needle + "0")}
			for i, input := range Inputs {
				v := brk(fmt.Sprintf("%s%d", needle, i))
				all["INPUT_"+strings.ToUpper(input.Name)] = v
				for _, mode := range []env{{}, oidc, stored} {
					_, err := load(mode.with(env{input.Name: v}))
					mustNotHold(t, err, needle)
				}
			}
			_, err := load(all)
			if err == nil {
				t.Errorf("expected %v to be %q", err, "an error")
			}
			mustNotHold(t, err, needle)
			_, _, err = Command(all.source())
			mustNotHold(t, err, needle)
			delete(all, "INPUT_URL")
			delete(all, "INPUT_ACCESS-TOKEN")
			delete(all, "INPUT_OIDC-PROVIDER-NAME")
			_, err = load(all)
			mustNotHold(t, err, needle)
		})
	}
}

func mustNotHold(t *testing.T, err error, needle string) {
	t.Helper()
	if err == nil {
		return
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), strings.Join(problems(err), "\n")} {
		if strings.Contains(strings.ToLower(text), needle) {
			t.Errorf("expected %q to be %q", text, "without the value")
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		mode   env
		inputs env
		about  []string
	}{
		{"a day", stored, env{"expires-in": "24h"}, nil},
		{"more than a day", stored, env{"expires-in": "86401"}, []string{"expires-in"}},
		// What an audience without Access means is JFrog's rule, and is said by the
		// command that asks for it.
		{"an audience without Access", stored, env{"audience": "jfrt@*"}, nil},
		{"an audience for a fixed ID token", oidc, env{"oidc-audience": "x", "id-token": idJWT}, []string{"oidc-audience"}},
		// https://github.com/jfrog/terraform-provider-artifactory/issues/1233
		{"two scopes of groups", stored, env{"scope": "applied-permissions/groups:a applied-permissions/groups:b"}, []string{"scope"}},
		{"groups beside a scope of groups", stored, env{"scope": "applied-permissions/groups:a", "groups": "b"}, []string{"scope"}},
		{"groups beside another scope", stored, env{"scope": "applied-permissions/user", "groups": "b,c"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := mustLoad(t, c.mode.with(c.inputs)).Warnings
			if len(got) != len(c.about) {
				t.Fatalf("expected %q to be %q", got, c.about)
			}
			for i, w := range got {
				if !strings.HasPrefix(w, c.about[i]+" ") {
					t.Errorf("expected %q to be %q", w, "about "+c.about[i])
				}
			}
		})
	}
}

// An exchange takes none of these wishes: each makes mint create a narrower
// token. What an exchange does take, does not.
func TestNeedsSecond(t *testing.T) {
	t.Parallel()
	narrowing := env{
		"scope": "applied-permissions/user", "groups": "readers", "expires-in": "5m", "username": "ci", "audience": "*@*", "description": "x",
		"refreshable": "true", "force-revocable": "true",
	}
	others := env{
		"url": "https://b.test", "oidc-provider-name": "p", "oidc-audience": "x", "id-token": idJWT, "identity-mapping-name": "x",
		"project-key": "a1", "application-key": "x", "include-reference-token": "true", "revoke": "false", "revoke-failure": "fail",
		"summary": "false", "timeout": "1m", "max-attempts": "1", "refreshable": "false", "force-revocable": "false",
		"description-prefix": "x", "older-than": "6h", "dry-run": "true", "token-id": "x", "env-file": "x", "state-dir": "x",
	}
	for name, v := range narrowing {
		if got := mustLoad(t, oidc.with(env{name: v})).NeedsSecond(); !got {
			t.Errorf("%s %s: expected %t to be %t", name, v, got, true)
		}
		if got := mustLoad(t, stored.with(env{name: v})).NeedsSecond(); got {
			t.Errorf("%s %s in stored mode: expected %t to be %t", name, v, got, false)
		}
	}
	for name, v := range others {
		if got := mustLoad(t, oidc.with(env{name: v})).NeedsSecond(); got {
			t.Errorf("%s %s: expected %t to be %t", name, v, got, false)
		}
	}
	if got := mustLoad(t, oidc.with(others)).NeedsSecond(); got {
		t.Errorf("all others: expected %t to be %t", got, false)
	}
}

func TestCACert(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := jfrogtest.NewCA()
	text := string(ca.PEM())
	block, _ := pem.Decode(ca.PEM())
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	trusts := func(pool *x509.CertPool) bool {
		_, err := cert.Verify(x509.VerifyOptions{Roots: pool})
		return err == nil
	}
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const noCertificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	const key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	for _, c := range []struct {
		name, value string
		want        string // CACert; "" is refused
	}{
		{"text", text, strings.TrimSpace(text)},
		{"text after other text", "Acme Root\n" + text, "Acme Root\n" + strings.TrimSpace(text)},
		{"text of two", text + text, strings.TrimSpace(text + text)},
		{"text with CRLF", strings.ReplaceAll(text, "\n", "\r\n"), strings.TrimSpace(strings.ReplaceAll(text, "\n", "\r\n"))},
		{"a file", file("ca.pem", text), text},
		{"text without a certificate", noCertificate, ""},
		{"text of a key", key, ""},
		{"a file without a certificate", file("none.pem", "nothing\n"), ""},
		{"an empty file", file("empty.pem", ""), ""},
		{"a file of a key", file("key.pem", key), ""},
		{"no such file", filepath.Join(dir, "absent.pem"), ""},
		{"a folder", dir, ""},
		{"a name with a zero byte", "a\x00b", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := oidc.with(env{"ca-cert": c.value})
			if got := CACert(e.source()); got != c.want {
				t.Errorf("expected %q to be %q", got, c.want)
			}
			got, err := load(e)
			if c.want == "" {
				if !about(problems(err), "ca-cert") {
					t.Errorf("expected %q to be %q", problems(err), "about ca-cert")
				}
				return
			}
			if err != nil {
				t.Fatalf("expected %q to be %q", err, "no error")
			}
			if got.CACert != c.want || !trusts(got.Roots.Usual()) || !trusts(got.Roots.All()) {
				t.Errorf("expected %q, %v to be %q", got.CACert, got.Roots, c.want)
			}
		})
	}
}

// A file that is too long to be saved is saved as its path, and the post step
// may run in another folder.
func TestLongCACertIsAnAbsolutePath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), append(jfrogtest.NewCA().PEM(), make([]byte, maxSavedPEM)...), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	want, err := filepath.Abs("ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	if got := mustLoad(t, oidc.with(env{"ca-cert": "ca.pem"})).CACert; got != want {
		t.Errorf("expected %q to be %q", got, want)
	}
}

// A text is saved as it is, up to what the state has room for: Windows takes
// one variable of 32 KiB. A longer one belongs in a file.
func TestCACertTextHasALimit(t *testing.T) {
	t.Parallel()
	pem := strings.TrimSpace(string(jfrogtest.NewCA().PEM()))
	fits := strings.Repeat("x", maxSavedPEM-len(pem)-1) + "\n" + pem
	if got := mustLoad(t, oidc.with(env{"ca-cert": fits})).CACert; got != fits {
		t.Errorf("expected %d bytes to be %d", len(got), len(fits))
	}
	if _, err := load(oidc.with(env{"ca-cert": "x" + fits})); !about(problems(err), "ca-cert") {
		t.Errorf("expected %q to be %q", problems(err), "about ca-cert")
	}
}

// sweep without its two inputs would revoke every token, those of running jobs
// too.
func TestSweep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		command string
		inputs  env
		wrong   []string
	}{
		{"both", "sweep", env{"description-prefix": "GitHub acme/app ", "older-than": "6h"}, nil},
		{"neither", "sweep", env{}, []string{"description-prefix", "older-than"}},
		{"the prefix alone", "sweep", env{"description-prefix": "x"}, []string{"older-than"}},
		{"the age alone", "sweep", env{"older-than": "6h"}, []string{"description-prefix"}},
		{"a blank prefix", "sweep", env{"description-prefix": " \n", "older-than": "6h"}, []string{"description-prefix"}},
		{"a wildcard", "sweep", env{"description-prefix": "*", "older-than": "6h"}, []string{"description-prefix"}},
		{"a wildcard within", "sweep", env{"description-prefix": "a*b", "older-than": "6h"}, []string{"description-prefix"}},
		{"a prefix of 1,025", "sweep", env{"description-prefix": strings.Repeat("é", 1025), "older-than": "6h"}, []string{"description-prefix"}},
		{"an age of nothing", "sweep", env{"description-prefix": "x", "older-than": "0"}, []string{"older-than"}},
		{"an age that is none", "sweep", env{"description-prefix": "x", "older-than": "long"}, []string{"older-than"}},
		{"list needs neither", "list", env{}, nil},
		{"mint needs neither", "mint", env{}, nil},
		{"revoke needs neither", "revoke", env{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := Load(stored.with(c.inputs).source(), c.command)
			if list := problems(err); !about(list, c.wrong...) {
				t.Errorf("expected %q to be %q", list, c.wrong)
			}
			if err == nil && c.command == "sweep" && (got.DescriptionPrefix != "GitHub acme/app " || got.OlderThan != 6*time.Hour || got.DryRun) {
				t.Errorf("expected %q, %s, %t to be %q, %s, %t", got.DescriptionPrefix, got.OlderThan, got.DryRun, "GitHub acme/app ", 6*time.Hour, false)
			}
		})
	}
}

func TestTokenIDs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"": nil, "a": {"a"}, "a b": {"a", "b"}, " a,b\n c\r\n,,d\t": {"a", "b", "c", "d"},
	} {
		if got := mustLoad(t, stored.with(env{"token-id": in})).TokenIDs; !slices.Equal(got, want) {
			t.Errorf("%q: expected %q to be %q", in, got, want)
		}
	}
	if _, err := load(stored.with(env{"token-id": ", ,"})); !about(problems(err), "token-id") { // nothing would be revoked
		t.Errorf("expected %q to be about token-id", problems(err))
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"": nil, "platform": {"platform"}, "artifactory": {"artifactory"}, "connect:shop": {"connect:shop"},
		"platform, artifactory connect:shop\n": {"platform", "artifactory", "connect:shop"},
		"connect:a1,connect:b-2":               {"connect:a1", "connect:b-2"},
		"connect:shop platform,connect:shop":   {"connect:shop", "platform"}, // each is asked once, in this order
		"platform,platform":                    {"platform"},
	} {
		if got := mustLoad(t, stored.with(env{"verify": in})); !slices.Equal(got.Verify, want) || got.ConnectURL.String() != "https://api.connect.jfrog.io" {
			t.Errorf("%q: expected %q, %q to be %q", in, got.Verify, got.ConnectURL, want)
		}
	}
	for _, in := range []string{
		", ,", "Platform", "PLATFORM", "platforms", "platform:", "platform:shop", "artifactory:shop", "xray", "access", "true", "*",
		"connect", "connect:", "connect: shop", "connect:Shop", "connect:1shop", "connect:s", "connect:shop:x", "connect:shop/..", "connect:../x", "connect:a%2fb",
		"connect:" + strings.Repeat("a", 33), "connect/shop", ":shop", ":", "platform;artifactory", "platform xray",
	} {
		if _, err := load(stored.with(env{"verify": in})); !about(problems(err), "verify") {
			t.Errorf("%q: expected %q to be about verify", in, problems(err))
		}
	}
	for in, want := range map[string][2]string{
		"platform": {"platform", ""}, "artifactory": {"artifactory", ""}, "connect:shop": {"connect", "shop"}, "connect:a-1": {"connect", "a-1"},
	} {
		if name, project, wrong := ParseService(in); wrong != "" || name != want[0] || project != want[1] {
			t.Errorf("%q: expected %q, %q, %q to be %q", in, name, project, wrong, want)
		}
	}
}

// The URL of Connect has the rules of the platform's.
func TestConnectURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://connect.acme.test/": "https://connect.acme.test", "http://127.0.0.1:8080": "http://127.0.0.1:8080",
	} {
		if got := mustLoad(t, stored.with(env{"connect-url": in})).ConnectURL.String(); got != want {
			t.Errorf("%q: expected %q to be %q", in, got, want)
		}
	}
	for _, in := range []string{"http://connect.acme.test", "api.connect.jfrog.io", "https://user:password@connect.acme.test", "https://connect.acme.test/?a=b"} {
		if _, err := load(stored.with(env{"connect-url": in})); !about(problems(err), "connect-url") {
			t.Errorf("%q: expected %q to be about connect-url", in, problems(err))
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		env               env
		envFile, stateDir string
	}{
		{"neither", env{}, filepath.Join(".jfrog-token", "env"), ".jfrog-token"},
		{"the directory", env{"INPUT_STATE_DIR": "a"}, filepath.Join("a", "env"), "a"},
		{"the file", env{"INPUT_ENV-FILE": "b.env"}, "b.env", ".jfrog-token"},
		{"both", env{"INPUT_ENV-FILE": "b.env", "INPUT_STATE-DIR": "a"}, "b.env", "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if envFile, stateDir := Files(c.env.source()); envFile != c.envFile || stateDir != c.stateDir {
				t.Errorf("expected %q, %q to be %q, %q", envFile, stateDir, c.envFile, c.stateDir)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, value, want string
		set               bool
	}{
		{"unset", "", "mint", false}, {"mint", "mint", "mint", true}, {"revoke", " revoke\n", "revoke", true},
		{"unknown", "mint; rm", "", true}, {"upper case", "MINT", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, set, err := Command(env{"INPUT_COMMAND": c.value}.source())
			if got != c.want || set != c.set || (c.want == "") != about(problems(err), "command") {
				t.Errorf("expected %q, %t, %v to be %q, %t", got, set, err, c.want, c.set)
			}
		})
	}
}

func TestInputsAreNamedInKebabCase(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, i := range Inputs {
		if strings.Trim(i.Name, "abcdefghijklmnopqrstuvwxyz-") != "" || i.Help == "" || seen[i.Name] {
			t.Errorf("expected %q to be %q", i.Name, "one name in kebab case, with a help text")
		}
		seen[i.Name] = true
	}
}
