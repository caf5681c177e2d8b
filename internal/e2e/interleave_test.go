//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/joho/godotenv"

	"github.com/ephemeral-ci/jfrog-token/internal/jfrogtest"
)

var seed = flag.Uint64("seed", 0, "run TestInterleave with this seed alone")

// workspace is a directory in which steps run beside each other, on a CI without step outputs.
type workspace struct {
	*Site
	dir string

	mu      sync.Mutex
	began   time.Time
	history []string
	steps   []*step
	created map[string]time.Time // by token id
	scanned int                  // of the platform's requests
	lost    int                  // exchanged tokens that nobody can find
}

// step is one run of the binary.
type step struct {
	number  int
	command string
	envFile string // "": the default
	oidc    bool
	delay   time.Duration // after the round begins
	signal  syscall.Signal
	moment  time.Duration // of the signal, after the start
	spoken  bool          // it is counted from the first line that is printed

	process      *os.Process
	done         bool
	code         int // -1: a signal ended it
	out          string
	signaled     time.Time
	took         time.Duration   // from the signal
	deleted      map[string]bool // tokens of this mint that somebody tried to revoke
	deletedEarly map[string]bool // while it was running
}

func (s *step) String() string {
	text := fmt.Sprintf("%s %d %q", s.command, s.number, s.envFile)
	if s.oidc {
		text += " oidc"
	}
	return text
}

// hands is the id of the token that mint handed on; "" if it handed on none.
func (s *step) hands() string {
	if m := handedOn.FindStringSubmatch(s.out); m != nil && s.command == "mint" && s.code == 0 {
		return m[1]
	}
	return ""
}

// running reports whether the process may still hold its files: neither a zombie nor, as PF_EXITING says, on its way
// there.
func (s *step) running() bool {
	if s.process == nil || s.done {
		return false
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Pid))
	_, rest, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if err != nil || !ok || len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err == nil && fields[0] != "Z" && fields[0] != "X" && flags&0x4 == 0
}

var (
	handedOn   = regexp.MustCompile(`(?m)^token (\S+) for `)
	ofMint     = regexp.MustCompile(`^mint-(\d+) `)
	ofRevoke   = regexp.MustCompile(`/access/api/v1/tokens/([0-9a-f-]{36})$`)
	exchanges  = regexp.MustCompile(`the outcome of (\d+) exchanges? is unknown`)
	unexpected = regexp.MustCompile(`internal error|DATA RACE|panic`)
)

// newWorkspace returns an empty workspace. Every token that the platform issues can be revoked.
func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	config := jobs["narrow"].jfrog
	config.Tokens = jobs["stored"].jfrog.Tokens
	site, err := NewSite(Options{JFrog: config, Network: Network{Plain: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	w := &workspace{Site: site, dir: t.TempDir(), began: time.Now(), created: map[string]time.Time{}}
	w.SetHook(w.watch)
	return w
}

// watch notes when tokens are created, and which are to be revoked while their mint is running.
func (w *workspace) watch(point string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch point {
	case "create:stored":
		for _, t := range w.Platform.Issued() {
			if w.created[t.ID].IsZero() {
				w.created[t.ID] = time.Now()
			}
		}
	case "revoke:received":
		requests := w.Platform.Requests()
		for _, r := range requests[w.scanned:] {
			m := ofRevoke.FindStringSubmatch(r.Path)
			if m != nil && r.Method == http.MethodDelete && r.Header.Get("User-Agent") != agent {
				w.sentDelete(m[1])
			}
		}
		w.scanned = len(requests)
	}
}

func (w *workspace) sentDelete(id string) {
	for _, t := range w.Platform.Issued() {
		if s := w.mintOf(t); s != nil && t.ID == id {
			s.deleted[id] = true
			s.deletedEarly[id] = s.deletedEarly[id] || s.running()
		}
	}
}

// mintOf returns the mint that created the token; nil if it was exchanged.
func (w *workspace) mintOf(t jfrogtest.Token) *step {
	m := ofMint.FindStringSubmatch(t.Description)
	if m == nil {
		return nil
	}
	n, _ := strconv.Atoi(m[1])
	return w.steps[n]
}

// add numbers a step.
func (w *workspace) add(s *step) *step {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.number, s.deleted, s.deletedEarly = len(w.steps), map[string]bool{}, map[string]bool{}
	w.steps = append(w.steps, s)
	return s
}

func (w *workspace) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, fmt.Sprintf("%7.3f ", time.Since(w.began).Seconds())+fmt.Sprintf(format, args...))
}

// do runs a step to its end, and signals it at its moment.
func (w *workspace) do(s *step) {
	time.Sleep(s.delay)
	env := map[string]string{"url": w.Platform.URL(), "access-token": w.Platform.Stored(0)}
	if s.command == "mint" {
		env["timeout"], env["description"] = "10s", fmt.Sprintf("mint-%d", s.number)
	}
	if s.oidc {
		delete(env, "access-token")
		env["oidc-provider-name"], env["id-token"], env["force-revocable"] = "github", w.Issuer.Mint("", nil), "true"
	}
	if s.envFile != "" {
		env["env-file"] = s.envFile
	}
	cmd := exec.Command(binary, s.command)
	cmd.Dir, cmd.Env = w.dir, []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range quick {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	for name, value := range env {
		cmd.Env = append(cmd.Env, naming["plain"](name)+"="+value)
	}
	first := make(chan struct{})
	var printed bytes.Buffer
	out := watch{to: &printed, first: func() { close(first) }}
	cmd.Stdout, cmd.Stderr = &out, &out
	w.note("start %v", s)
	w.mu.Lock()
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	s.process = cmd.Process
	w.mu.Unlock()
	ended := make(chan struct{})
	var kill sync.WaitGroup
	send := func(after time.Duration, sig syscall.Signal, when <-chan struct{}) {
		kill.Go(func() {
			select {
			case <-when:
			case <-ended:
				return
			}
			select {
			case <-time.After(after):
				w.mu.Lock()
				defer w.mu.Unlock()
				s.signaled = time.Now()
				_ = s.process.Signal(sig)
			case <-ended:
			}
		})
	}
	now := make(chan struct{})
	close(now)
	switch {
	case s.signal != 0 && s.spoken:
		send(s.moment, s.signal, first)
	case s.signal != 0:
		send(s.moment, s.signal, now)
	}
	send(tooLong, syscall.SIGKILL, now)
	_ = cmd.Wait()
	end := time.Now()
	close(ended)
	kill.Wait()
	w.mu.Lock()
	s.done, s.code, s.out = true, cmd.ProcessState.ExitCode(), printed.String()
	if !s.signaled.IsZero() {
		s.took = end.Sub(s.signaled)
	}
	w.mu.Unlock()
	sent := ""
	if !s.signaled.IsZero() {
		sent = fmt.Sprintf(", %v at %v", s.signal, s.signaled.Sub(w.began).Truncate(time.Millisecond))
	}
	w.note("end   %v: %v%s\n%s", s, cmd.ProcessState, sent, indented(s.out))
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("            " + line)
	}
	return strings.TrimRight(b.String(), "\n")
}

// round runs steps beside each other, and checks each.
func (w *workspace) round(t *testing.T, steps ...*step) {
	t.Helper()
	for _, s := range steps {
		w.add(s)
	}
	var all sync.WaitGroup
	for _, s := range steps {
		all.Go(func() { w.do(s) })
	}
	all.Wait()
	for _, s := range steps {
		w.checkStep(t, s)
	}
}

// checkStep checks how a step ended.
func (w *workspace) checkStep(t *testing.T, s *step) {
	t.Helper()
	if unexpected.MatchString(s.out) {
		t.Errorf("%v printed what it must not", s)
	}
	switch {
	case s.signaled.IsZero():
		if s.code != 0 {
			t.Errorf("expected exit code %d of %v to be 0", s.code, s)
		}
	case s.signal == 0:
		t.Errorf("%v ran for over %v", s, tooLong)
	case s.signal != syscall.SIGKILL:
		if s.code != 0 && s.code != -1 && s.code != 128+int(s.signal) {
			t.Errorf("expected exit code %d of %v to be 0 or that of %v", s.code, s, s.signal)
		}
		if s.took >= killAfter {
			t.Errorf("%v took %v from the signal", s, s.took)
		}
	case s.oidc && s.code == -1:
		w.lost++ // it may have been killed between the exchange and the state
	}
	for _, m := range exchanges.FindAllStringSubmatch(s.out, -1) {
		n, _ := strconv.Atoi(m[1])
		w.lost += n
	}
	if id := s.hands(); id != "" && s.deletedEarly[id] {
		t.Errorf("the token of %v was revoked while it was running", s)
	}
}

// saved is what a state file must tell to find a token.
type saved struct {
	Marker  string
	Pending string
	Tokens  []struct {
		ID string `json:"token_id"`
	}
}

func (w *workspace) states(t *testing.T) []saved {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(w.dir, ".jfrog-token", "*.json"))
	var list []saved
	for _, file := range files {
		text, err := os.ReadFile(file)
		var s saved
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			t.Errorf("state %s: %v", filepath.Base(file), err)
			continue
		}
		list = append(list, s)
	}
	return list
}

func (s saved) names(t jfrogtest.Token) bool {
	for _, held := range s.Tokens {
		if held.ID == t.ID {
			return true
		}
	}
	return s.Pending == "create" && strings.Contains(t.Description, "["+s.Marker+"]")
}

// checkNamed: every token that is alive is named in a state. What cannot be is an exchanged token whose mint was killed
// before it could save its id, and a token that JFrog made after its mint was killed and looked for.
func (w *workspace) checkNamed(t *testing.T) {
	t.Helper()
	states := w.states(t)
	unseen := 0
	for _, token := range w.Platform.Alive() {
		if slices.ContainsFunc(states, func(s saved) bool { return s.names(token) }) {
			continue
		}
		s := w.mintOf(token)
		switch {
		case s == nil:
			unseen++
		case s.signal == syscall.SIGKILL && s.code == -1 && w.created[token.ID].After(s.signaled):
			t.Logf("JFrog made a token after %v was killed", s)
			path, authorization := "/access/api/v1/tokens/"+token.ID, "Bearer "+w.Platform.Stored(0)
			if status, err := w.Send(http.MethodDelete, path, authorization); err != nil || status != http.StatusOK {
				t.Fatal(status, err)
			}
		default:
			t.Errorf("token %s of %v is alive, and no state names it", token.ID, s)
		}
	}
	if unseen > w.lost {
		t.Errorf("%d exchanged tokens are alive that no state names, and at most %d were lost", unseen, w.lost)
	}
}

// checkHandedOn: what a mint of the round handed on is alive, and in its file, unless somebody else's step with the same
// file dealt with it.
func (w *workspace) checkHandedOn(t *testing.T, round []*step) {
	t.Helper()
	for _, s := range round {
		id := s.hands()
		if id == "" || s.deleted[id] {
			continue
		}
		if !slices.ContainsFunc(w.Platform.Alive(), func(t jfrogtest.Token) bool { return t.ID == id }) {
			t.Errorf("token %s of %v is dead, and nobody revoked it", id, s)
		}
		if slices.ContainsFunc(round, func(o *step) bool { return o != s && o.command == "mint" && o.envFile == s.envFile }) {
			continue
		}
		if env, err := w.env(s.envFile); err != nil || env["JF_TOKEN_ID"] != id {
			t.Errorf("expected token %q in the file of %v to be %s (%v)", env["JF_TOKEN_ID"], s, id, err)
		}
	}
}

func (w *workspace) env(file string) (map[string]string, error) {
	if file == "" {
		file = ".jfrog-token/env"
	}
	return godotenv.Read(filepath.Join(w.dir, file))
}

// checkNothing: no token is alive, and nothing is left in the workspace.
func (w *workspace) checkNothing(t *testing.T) {
	t.Helper()
	w.checkNamed(t)
	for _, token := range w.Platform.Alive() {
		if w.mintOf(token) != nil {
			t.Errorf("token %s of %v is alive after the last revoke", token.ID, w.mintOf(token))
		}
	}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if rel, _ := filepath.Rel(w.dir, path); rel != "." && rel != "sub" {
			t.Errorf("%s is left", rel)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// showHistory prints what happened if the test has failed.
func (w *workspace) showHistory(t *testing.T) {
	if t.Failed() {
		t.Log(strings.Join(w.history, "\n"))
	}
}

var envFiles = []string{"", "b.env", "sub/c.env", ".jfrog-token/d.env"}

// TestInterleave draws from a seed what runs beside each other in one workspace, what the platform does, and who is
// signaled when. However that goes, every token that is alive is named in a state, a revoke leaves running mints alone,
// and the last revoke of each env file leaves nothing.
func TestInterleave(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2, 3, rand.Uint64() >> 11}
	if raceEnabled {
		seeds = seeds[3:]
	}
	if *seed != 0 {
		seeds = []uint64{*seed}
	}
	for _, n := range seeds {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			interleave(t, n)
		})
	}
}

func interleave(t *testing.T, n uint64) {
	const rounds = 7
	w := newWorkspace(t)
	defer w.showHistory(t)
	t.Logf("replay with -run TestInterleave -seed %d", n)
	if err := os.Mkdir(filepath.Join(w.dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(n, 0))
	span := w.measure(t)
	for range rounds {
		faults := drawFaults(r)
		w.SetFaults(faults)
		w.note("faults %+v", faults)
		var steps []*step
		for range 3 + r.IntN(4) {
			steps = append(steps, drawStep(r, span))
		}
		w.round(t, steps...)
		w.checkNamed(t)
		w.checkHandedOn(t, steps)
		if t.Failed() {
			return
		}
	}
	w.SetFaults(nil)
	var last []*step
	for _, file := range envFiles {
		last = append(last, &step{command: "revoke", envFile: file})
	}
	w.round(t, last...)
	w.checkNothing(t)
}

// measure returns how long a mint takes here.
func (w *workspace) measure(t *testing.T) time.Duration {
	begin := time.Now()
	w.round(t, &step{command: "mint"})
	return time.Since(begin)
}

func drawStep(r *rand.Rand, span time.Duration) *step {
	part := func(most float64) time.Duration { return time.Duration(r.Float64() * most * float64(span)) }
	s := &step{command: "mint", envFile: envFiles[r.IntN(len(envFiles))], delay: part(1), moment: part(1.5)}
	switch r.IntN(5) {
	case 0, 1:
		s.command = "revoke"
	case 2:
		s.oidc = true
	}
	s.spoken = s.command == "mint" && r.IntN(4) > 0 // else most are killed before they are up
	if s.spoken {
		s.moment /= 2
	}
	s.signal = []syscall.Signal{0, 0, 0, syscall.SIGKILL, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT}[r.IntN(7)]
	return s
}

// drawFaults returns what the platform does in one round. None of it keeps a mint from success in the end.
func drawFaults(r *rand.Rand) []jfrogtest.Fault {
	some := []jfrogtest.Fault{
		{On: "create", Kind: "truncate"},
		{On: "create", Kind: "reset", After: true},
		{On: "create", Status: 503},
		{On: "create", Status: 503, After: true},
		{On: "create", Kind: "delay"},
		{On: "create", Kind: "delay", After: true},
		{On: "exchange", Kind: "delay", After: true},
		{On: "list", Status: 503},
		{On: "list", Kind: "delay"},
		{On: "revoke", Status: 503},
		{On: "revoke", Status: 503, After: true},
		{On: "revoke", Kind: "truncate"},
		{On: "revoke", Kind: "delay"},
		{On: "revoke", Kind: "delay", After: true},
		{On: "revoke", Kind: "close"},
	}
	var faults []jfrogtest.Fault
	for range r.IntN(4) {
		f := some[r.IntN(len(some))]
		f.Times, f.Skip, f.DelayMS = 1, r.IntN(2), 50+r.IntN(200)
		faults = append(faults, f)
	}
	return faults
}

// TestFirstMints: mints that are the first in a workspace, and make the state directory at once. In the end nothing is
// left of them, though each revoke finds the others at work.
func TestFirstMints(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("it is slow, and starts the same code as the others")
	}
	for _, beside := range []bool{false, true} {
		t.Run(map[bool]string{false: "alone", true: "beside a revoke"}[beside], func(t *testing.T) {
			t.Parallel()
			for range 15 {
				firstMints(t, beside)
			}
		})
	}
}

func firstMints(t *testing.T, beside bool) {
	w := newWorkspace(t)
	defer w.showHistory(t)
	defer w.Close()
	stop := make(chan struct{})
	var loop sync.WaitGroup
	if beside {
		loop.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s := w.add(&step{command: "revoke", envFile: "other.env"})
					w.do(s)
					w.checkStep(t, s)
				}
			}
		})
	}
	var mints, revokes []*step
	for _, file := range []string{"", "b.env", "c.env"} {
		mints = append(mints, &step{command: "mint", envFile: file})
		revokes = append(revokes, &step{command: "revoke", envFile: file})
	}
	w.round(t, mints...)
	if got := len(w.states(t)); got != 3 {
		t.Errorf("expected %d states to be 3", got)
	}
	w.checkNamed(t)
	w.checkHandedOn(t, mints)
	w.round(t, revokes...)
	close(stop)
	loop.Wait()
	w.checkNothing(t)
	for _, s := range revokes {
		if !strings.Contains(s.out, ": revoked\n") {
			t.Errorf("%v revoked nothing", s)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// TestRevokesAtOnce: revokes of the same env file find what others of them are removing. None fails, and nothing is
// left.
func TestRevokesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	defer w.showHistory(t)
	for range 15 {
		w.round(t, &step{command: "mint"})
		var revokes []*step
		for range 5 {
			revokes = append(revokes, &step{command: "revoke"})
		}
		w.round(t, revokes...)
		w.checkNothing(t)
		if t.Failed() {
			return
		}
	}
}

// TestRevokeBesideLaterMint: a revoke that takes its time leaves the env file of a mint that began after it.
func TestRevokeBesideLaterMint(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	defer w.showHistory(t)
	w.round(t, &step{command: "mint"})
	revoke, mint := &step{command: "revoke"}, &step{command: "mint"}
	finish := w.hold(t, revoke, "revoke:received")
	w.round(t, mint)
	finish()
	w.checkHandedOn(t, []*step{mint})
	w.checkWorks(t, mint)
	w.round(t, &step{command: "revoke"})
	w.checkNothing(t)
}

// TestLastOneOut: mints that are refused and revokes all remove the state directory, and see each other in it. The last
// of them leaves none.
func TestLastOneOut(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	defer w.showHistory(t)
	refusal := `{"errors":[{"code":"FORBIDDEN","message":"no"}]}`
	w.SetFaults([]jfrogtest.Fault{{On: "create", Status: http.StatusForbidden, Body: refusal}})
	for range 15 {
		var all sync.WaitGroup
		for i := range 6 {
			s := w.add(&step{command: []string{"mint", "revoke"}[i%2], envFile: fmt.Sprintf("%d.env", i)})
			all.Go(func() { w.do(s) })
		}
		all.Wait()
		w.checkNothing(t)
		if t.Failed() {
			return
		}
	}
}

// TestRevokeBesideMint: while a mint is running, a revoke leaves its state, its token and its env file alone, also where
// it ends what an earlier mint left.
func TestRevokeBesideMint(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"create:received", "create:stored"} {
		for _, earlier := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, earlier mint %t", point, earlier), func(t *testing.T) {
				t.Parallel()
				w := newWorkspace(t)
				defer w.showHistory(t)
				first := &step{command: "mint"}
				if earlier {
					w.round(t, first)
				}
				mint := &step{command: "mint"}
				finish := w.hold(t, mint, point)
				before := w.pending(t)
				w.round(t, &step{command: "revoke"})
				if after := w.pending(t); before == "" || after != before {
					t.Errorf("expected the state %q to be %q", after, before)
				}
				if earlier && !first.deleted[first.hands()] {
					t.Error("the token of the earlier mint is not revoked")
				}
				finish()
				w.checkWorks(t, mint)
				w.round(t, &step{command: "revoke"})
				w.checkNothing(t)
			})
		}
	}
}

// TestRevokeBesideAnotherMint: a mint that is running keeps no revoke from what another mint left.
func TestRevokeBesideAnotherMint(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	defer w.showHistory(t)
	first := &step{command: "mint", envFile: "b.env"}
	w.round(t, first)
	mint := &step{command: "mint"}
	finish := w.hold(t, mint, "create:received")
	w.round(t, &step{command: "revoke", envFile: "b.env"})
	if !first.deleted[first.hands()] {
		t.Error("the token of the earlier mint is not revoked")
	}
	finish()
	w.checkWorks(t, mint)
	w.round(t, &step{command: "revoke"})
	w.checkNothing(t)
}

// TestCheckLeavesNoFile: before a token is requested, nothing is made outside of the state directory, where no revoke
// would find what a killed mint leaves.
func TestCheckLeavesNoFile(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	defer w.showHistory(t)
	sub := filepath.Join(w.dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	events, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err == nil {
		_, err = syscall.InotifyAddWatch(events, sub, syscall.IN_CREATE)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(events)
	mint := &step{command: "mint", envFile: "sub/c.env"}
	finish := w.hold(t, mint, "create:received")
	event := make([]byte, 4096)
	if n, _ := syscall.Read(events, event); n > 0 {
		t.Errorf("a file was made: %q", event[syscall.SizeofInotifyEvent:n])
	}
	finish()
	w.checkWorks(t, mint)
	w.round(t, &step{command: "revoke", envFile: "sub/c.env"})
	w.checkNothing(t)
}

// TestRevokeFollowsNoLink: a state directory that is a symbolic link is not cleaned up.
func TestRevokeFollowsNoLink(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	defer w.showHistory(t)
	elsewhere := t.TempDir()
	left := filepath.Join(elsewhere, "jt-somebody.tmp")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(w.dir, ".jfrog-token")); err != nil {
		t.Fatal(err)
	}
	s := w.add(&step{command: "revoke", envFile: "b.env"})
	if w.do(s); s.code != 1 {
		t.Errorf("expected exit code %d to be 1", s.code)
	}
	for _, path := range []string{left, filepath.Join(w.dir, ".jfrog-token")} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestIgnoredAgain: a revoke that is killed between its two steps at removing the directory leaves it without a
// .gitignore, beside the env file of a mint that had begun. The next mint writes one.
func TestIgnoredAgain(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	defer w.showHistory(t)
	w.round(t, &step{command: "mint"})
	ignore := filepath.Join(w.dir, ".jfrog-token", ".gitignore")
	if err := os.Remove(ignore); err != nil {
		t.Fatal(err)
	}
	w.round(t, &step{command: "mint", envFile: "b.env"})
	if _, err := os.Lstat(ignore); err != nil {
		t.Error(err)
	}
	w.round(t, &step{command: "revoke"}, &step{command: "revoke", envFile: "b.env"})
	w.checkNothing(t)
}

// TestTakeBackBesideMint: a mint that is interrupted takes back what it handed on, not what another mint put in its
// place.
func TestTakeBackBesideMint(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	defer w.showHistory(t)
	interrupted := &step{command: "mint", oidc: true, signal: syscall.SIGTERM, moment: tooLong}
	finish := w.hold(t, interrupted, "revoke:received") // of the exchanged token, once the other is handed on
	mint := &step{command: "mint"}
	w.round(t, mint)
	w.mu.Lock()
	interrupted.signaled = time.Now()
	_ = interrupted.process.Signal(syscall.SIGTERM)
	w.mu.Unlock()
	time.Sleep(100 * time.Millisecond) // it has to hear of it before it goes on
	finish()
	if interrupted.code != 128+int(syscall.SIGTERM) {
		t.Errorf("expected exit code %d to be that of SIGTERM", interrupted.code)
	}
	w.checkHandedOn(t, []*step{mint})
	w.checkWorks(t, mint)
	w.round(t, &step{command: "revoke"})
	w.checkNothing(t)
}

// hold runs a step up to a point of its request. finish lets it go on, to its end.
func (w *workspace) hold(t *testing.T, s *step, point string) (finish func()) {
	t.Helper()
	reached, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.SetHook(func(at string) {
		w.watch(at)
		if at == point {
			once.Do(func() { close(reached); <-release })
		}
	})
	go func() {
		defer close(ended)
		w.do(w.add(s))
	}()
	select {
	case <-reached:
	case <-ended:
		t.Fatalf("%v never came to %s", s, point)
	}
	return func() {
		close(release)
		<-ended
		w.checkStep(t, s)
	}
}

// pending returns the text of the state whose request is under way; "" if there is none.
func (w *workspace) pending(t *testing.T) string {
	t.Helper()
	for _, s := range w.states(t) {
		if s.Pending == "create" {
			text, _ := os.ReadFile(filepath.Join(w.dir, ".jfrog-token", s.Marker+".json"))
			return string(text)
		}
	}
	return ""
}

// checkWorks: the token that a mint handed on is accepted.
func (w *workspace) checkWorks(t *testing.T, s *step) {
	t.Helper()
	env, err := w.env(s.envFile)
	if err != nil {
		t.Error(err)
	}
	if status, err := w.Use("", env["JF_ACCESS_TOKEN"]); err != nil || status != http.StatusOK {
		t.Errorf("expected status %d of the token of %v to be 200 (%v)", status, s, err)
	}
	w.checkNamed(t)
}
