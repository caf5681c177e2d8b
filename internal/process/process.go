package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/term"
)

// Output is where a stream of the command goes.
type Output struct {
	To io.Writer
	// Through puts a writer before another one: all that the command prints goes
	// through it. A terminal is handed to the command as it is in any case, and so
	// is every file if Through is nil.
	Through func(io.Writer) io.WriteCloser
}

// file returns the file that is handed to the command, nil if there is to be a
// pipe.
func (o Output) file() *os.File {
	f, ok := o.To.(*os.File)
	if !ok || o.Through != nil && !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

func (o Output) writer() io.WriteCloser {
	if o.Through == nil {
		return nopCloser{o.To}
	}
	return o.Through(o.To)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// sameFile reports whether both go to one file, as with 2>&1.
func sameFile(a, b Output) bool {
	f, ok := a.To.(*os.File)
	g, ok2 := b.To.(*os.File)
	if !ok || !ok2 {
		return false
	}
	info, err := f.Stat()
	info2, err2 := g.Stat()
	return err == nil && err2 == nil && hasIdentity(info) && os.SameFile(info, info2)
}

// Process is a command that was started.
type Process struct {
	cmd   *exec.Cmd
	apart bool // in a process group of its own
	ended chan struct{}

	pipes  []*os.File // the ends that we read
	given  []*os.File // the ends that the command writes to
	passed []chan error
}

// Start starts the command, with our standard input; atTerminal says that it may
// read from one. The goroutine that calls it must not end before the command does:
// see killWithUs. The error is an *Error.
func (c *Command) Start(env []string, stdout, stderr Output, atTerminal bool) (*Process, error) {
	runtime.LockOSThread()
	p := &Process{
		cmd:   &exec.Cmd{Path: c.path, Args: c.args, Env: env, Stdin: os.Stdin},
		ended: make(chan struct{}),
	}
	p.apart = setApart(p.cmd, atTerminal)
	further := make(chan os.Signal, 8)
	notifyFurther(further) // before the command can send us one
	out, err := p.connect(stdout)
	other := out // one pipe keeps the order of what goes to one file
	if err == nil && !sameFile(stdout, stderr) {
		other, err = p.connect(stderr)
	}
	if err == nil {
		p.cmd.Stdout, p.cmd.Stderr = out, other
		err = p.cmd.Start()
	}
	for _, f := range p.given {
		_ = f.Close()
	}
	if err != nil {
		signal.Stop(further)
		return nil, cannotStart(err)
	}
	go p.wait()
	go p.relay(further)
	return p, nil
}

// connect returns what the command gets for a stream.
func (p *Process) connect(o Output) (*os.File, error) {
	if f := o.file(); f != nil {
		return f, nil
	}
	from, given, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.pipes, p.given = append(p.pipes, from), append(p.given, given)
	to := o.writer()
	passed := make(chan error, 1)
	p.passed = append(p.passed, passed)
	go func() { passed <- pass(from, to) }()
	return given, nil
}

const (
	// linger is how long what the command started may go on to print once the
	// command has ended: to keep the output open is no reason to wait for it.
	linger = 2 * time.Second
	// pipeCapacity is the most that a pipe holds
	// (https://man7.org/linux/man-pages/man7/pipe.7.html), and settle how long it
	// may take to read that it is empty.
	pipeCapacity = 1 << 20
	settle       = 50 * time.Millisecond
)

// pass passes on what is printed until nobody can print any more. If it cannot be
// written, the command gets SIGPIPE or EPIPE, as if we were not there.
func pass(from *os.File, to io.WriteCloser) error {
	_, err := io.Copy(to, from)
	// The pipe still has what was printed while the other side was slow to read.
	for left := int64(pipeCapacity); errors.Is(err, os.ErrDeadlineExceeded) && left > 0; {
		_ = from.SetReadDeadline(time.Now().Add(settle))
		var n int64
		n, err = io.CopyN(to, from, min(left, 4096))
		if left -= n; err == nil {
			err = os.ErrDeadlineExceeded
		} else if n == 0 {
			break
		}
	}
	for _, end := range []error{io.EOF, os.ErrDeadlineExceeded, os.ErrClosed} {
		if errors.Is(err, end) {
			err = nil
		}
	}
	_ = from.Close()
	return errors.Join(err, to.Close())
}

// wait waits for the end of the command.
func (p *Process) wait() {
	_ = p.cmd.Wait() // ExitCode has its result
	for _, f := range p.pipes {
		if f.SetReadDeadline(time.Now().Add(linger)) != nil { // on Windows there is none
			time.AfterFunc(linger, func() { _ = f.Close() })
		}
	}
	close(p.ended)
}

// relay passes further signals on to the command until it ends.
func (p *Process) relay(further chan os.Signal) {
	defer signal.Stop(further)
	for {
		select {
		case s := <-further:
			p.Pass(s)
		case <-p.ended:
			return
		}
	}
}

// Ended is closed when the command has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Pass passes a signal on to the command, if it has not ended and did not get
// the signal anyway.
func (p *Process) Pass(s os.Signal) {
	select {
	case <-p.ended:
	default:
		p.pass(s)
	}
}

// Drain waits, once the command has ended, until its output is passed on. The
// error says that it could not be written, and not because nobody reads it.
func (p *Process) Drain() error {
	var failed error
	for _, c := range p.passed {
		if err := <-c; err != nil && !nobodyReads(err) {
			failed = plain(err)
		}
	}
	if failed != nil {
		return fmt.Errorf("write output: %w", failed)
	}
	return nil
}

// ExitCode returns the exit code of a command that has ended: its own or, as in
// a shell, 128 and the number of the signal that ended it.
func (p *Process) ExitCode() int {
	state := p.cmd.ProcessState
	if state == nil {
		return 1
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
