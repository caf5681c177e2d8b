package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
	"github.com/ephemeral-ci/jfrog-token/internal/runnertest"
)

// tooLong is what no run may take, whatever it meets: mint has its timeout
// and what undoing takes, revoke 15 s.
const tooLong = 30 * time.Second

// TestFaults proves, for every request and whatever becomes of its answer:
// after any run, the tokens alive are exactly the one handed on (before
// revoke) or none (after), or the log says which one could not be revoked and
// when it expires.
func TestFaults(t *testing.T) {
	for i, c := range cells() {
		if raceEnabled && i%4 != 0 {
			continue // it is slow, and sees the same code in most cells
		}
		t.Run(c.request.name+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			w := newJob(t, c.job, c.timeout())
			w.SetFaults(c.before)
			if !c.post {
				w.SetFaults(append(slices.Clone(c.before), c.fault))
			}
			res := w.do(t, w.Main())
			if !c.post {
				c.check(t, w, res)
			} else if res.Code != 0 {
				t.Fatalf("main failed without a fault:\n%s", res.Log)
			}
			w.checkMain(t, res)

			w.SetFaults(nil)
			if c.post {
				w.Platform.SetFaults([]jfrogtest.Fault{c.fault})
			}
			res = w.do(t, w.Post())
			if c.post {
				c.check(t, w, res)
			}
			w.checkPost(t, res)
			if alive := w.Platform.Alive(); !c.post && c.job != "oidc" && len(alive) > 0 {
				t.Errorf("expected no token to be alive, as each can be revoked: %+v\n%s", alive, w.log())
			}
		})
	}
}

func (c cell) timeout() string {
	if c.class == silent {
		return "2s"
	}
	return "12s" // further than any wait between two attempts
}

// expect gives how often the request is sent, at least and at most, and
// whether there is a token then.
func (c cell) expect() (least, most int, ok bool) {
	forEver := c.fault.Times == 0
	switch {
	case c.class == used:
		return 1, 1, true
	case c.class == renewed:
		return 2, 2, !forEver
	case c.class != retried:
		return 1, 1, !c.fatal
	case c.post && forEver: // 10 attempts, or as many as 15 s hold
		return 3, 10, true
	}
	most = 2
	if c.on == "list" && (c.fault.Kind == "close" || c.fault.Kind == "reset") {
		most = 2 * most // net/http repeats a GET where a connection that it kept breaks
	}
	return 2, most, !c.fatal || !forEver
}

func (c cell) check(t *testing.T, w *job, res *runnertest.Result) {
	t.Helper()
	least, most, ok := c.expect()
	if sent := w.sent(c.on); sent < least || sent > most {
		t.Errorf("expected %d requests to be %d to %d\n%s", sent, least, most, res.Log)
	}
	if ok != (res.Code == 0) {
		t.Errorf("expected the exit code %d to be 0: %t\n%s", res.Code, ok, res.Log)
	}
}

// job is a site with a job in it.
type job struct {
	*Site
	printed []string // by every process so far
}

// newJob gives a world with one of the jobs in it. Debug logging is on: a
// secret must not be printed then either.
func newJob(t *testing.T, name, timeout string) *job {
	t.Helper()
	config := jobs[name].jfrog
	config.Sequential = true
	site, err := NewSite(Options{JFrog: config, Dir: t.TempDir(), Action: action, Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	w := &job{Site: site}
	if w.Step.With, err = inputs(site, []byte(jobs[name].with), site.named); err != nil {
		t.Fatal(err)
	}
	w.Step.With["max-attempts"], w.Step.With["timeout"] = "2", timeout
	w.Runner.Debug = true
	return w
}

// do runs a step's program and checks what holds for every run.
func (w *job) do(t *testing.T, p *runnertest.Process) *runnertest.Result {
	t.Helper()
	res, err := run(p, tooLong)
	if err != nil {
		t.Fatal(err)
	}
	w.checkRun(t, res)
	return res
}

// checkRun: what was printed holds no secret and no command that the runner
// obeys but masks and annotations; the command files hold what is ours alone.
func (w *job) checkRun(t *testing.T, res *runnertest.Result) {
	t.Helper()
	w.printed = append(w.printed, res.Log)
	if res.Err != nil {
		t.Errorf("command files: %v", res.Err)
	}
	if err := leak(res, w.Secrets()); err != nil {
		t.Error(err)
	}
	if strings.Contains(res.Log, "RUNNER OBEYED") {
		t.Errorf("the runner obeyed a command:\n%s", res.Log)
	}
	for name := range w.Step.Outputs {
		if _, ok := w.Step.Action.Outputs[name]; !ok {
			t.Errorf("the output %q is not declared", name)
		}
	}
	for key := range w.Step.State {
		if key != "jfrog_token" {
			t.Errorf("the state has the key %q", key)
		}
	}
	if len(res.Env) > 0 {
		t.Errorf("exported to the job: %q", res.Env)
	}
}

// checkMain: with exit code 0 the output token is alive; else there is no
// output. Every other token that is alive was told about.
func (w *job) checkMain(t *testing.T, res *runnertest.Result) {
	t.Helper()
	if res.Code != 0 {
		if len(w.Step.Outputs) > 0 {
			t.Errorf("it failed, and set %q", w.Step.Outputs)
		}
		w.checkTold(t, "")
		return
	}
	id := w.Step.Outputs["token-id"]
	if !slices.ContainsFunc(w.Platform.Alive(), func(t jfrogtest.Token) bool { return t.ID == id }) {
		t.Errorf("the output token %q is not alive\n%s", id, w.log())
	}
	w.checkTold(t, id)
}

func (w *job) checkPost(t *testing.T, res *runnertest.Result) {
	t.Helper()
	if res.Code != 0 {
		t.Errorf("post failed with %d:\n%s", res.Code, res.Log)
	}
	w.checkTold(t, "")
}

// checkTold: each token that is alive, but for the one that may be, is named
// as one that could not be revoked, with its end; by its id, by the mark in
// its description, or, from an exchange without an answer, by number.
func (w *job) checkTold(t *testing.T, handedOn string) {
	t.Helper()
	unseen := 0
	for _, token := range w.Platform.Alive() {
		switch {
		case token.ID == handedOn:
		case w.told(token):
		case token.Mapping != "":
			unseen++
		default:
			t.Errorf("a token is alive, and nothing was said: %+v\n%s", token, w.log())
		}
	}
	if counted := w.countedAsLost(); unseen > counted {
		t.Errorf("%d exchanged tokens are alive that nobody has, and %d were told about: %+v\n%s", unseen, counted, w.Platform.Alive(), w.log())
	}
}

var (
	notRevoked = regexp.MustCompile(`not revocable, |not revoked: |failed: `)
	itsEnd     = regexp.MustCompile(`expires in [0-9]|it never expires|expires by \d{4}-`)
	aMark      = regexp.MustCompile(`\[(jt-[A-Z2-7]{16})\]$`)
	lostCount  = regexp.MustCompile(`(\d+) exchanges? ended without an answer: .* each lives (at most [0-9]|as long as the identity mapping)`)
)

func (w *job) told(token jfrogtest.Token) bool {
	lines := strings.Split(w.log()+"\n", "\n")
	mark := aMark.FindStringSubmatch(token.Description)
	for i, line := range lines {
		if strings.Contains(line, token.ID) && notRevoked.MatchString(line) && itsEnd.MatchString(line+lines[min(i+1, len(lines)-1)]) ||
			mark != nil && strings.Contains(line, mark[1]) && itsEnd.MatchString(line) {
			return true
		}
	}
	return false
}

func (w *job) countedAsLost() int {
	n := 0
	for _, m := range lostCount.FindAllStringSubmatch(w.log(), -1) {
		i, _ := strconv.Atoi(m[1])
		n += i
	}
	return n
}

// log is what the runner showed so far.
func (w *job) log() string { return strings.Join(w.printed, "--\n") }

// sent counts the requests of a kind so far.
func (w *job) sent(on string) int {
	kinds := map[string]string{
		"exchange": "POST /access/api/v1/oidc/token", "create": "POST /access/api/v1/tokens", "list": "GET /access/api/v1/tokens",
		"revoke": "DELETE /access/api/v1/tokens/", "idtoken": "GET /idtoken",
	}
	if kinds[on] == "" {
		panic(fmt.Sprintf("no such request: %s", on))
	}
	n := 0
	for _, r := range append(w.Platform.Requests(), w.Issuer.Requests()...) {
		line := r.Method + " " + r.Path
		if line == kinds[on] || r.Method == http.MethodDelete && strings.HasPrefix(line, kinds[on]) {
			n++
		}
	}
	return n
}
