// Package process runs a command in place of the shell that would have run it:
// found, started, signaled, with its output passed on, and awaited.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Command is a program that was found, with its arguments.
type Command struct {
	path string
	args []string // the first is the program's own name
}

// Error says why a command cannot be run.
type Error struct {
	Err  error
	code int
}

func (e *Error) Error() string { return e.Err.Error() }

// ExitCode is that of a POSIX shell: 127 if there is no such command, 126 if it
// cannot be executed.
// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_08_02
func (e *Error) ExitCode() int { return e.code }

const (
	cannotExecute = 126
	notFound      = 127
)

var (
	errNotFound    = errors.New("there is no such command")
	errPermission  = errors.New("it is not an executable file")
	errInterpreter = errors.New("its first line names an interpreter that is not there")
	errHere        = errors.New("it is found in the working directory only, by a relative PATH; name it with its directory")
)

// Find finds the command that words name, its arguments included. The error is
// an *Error, and does not repeat them.
func Find(words []string) (*Command, error) {
	path, err := exec.LookPath(words[0])
	switch {
	case err == nil:
	case errors.Is(err, exec.ErrDot):
		return nil, &Error{errHere, notFound}
	case errors.Is(err, fs.ErrPermission), inPath(words[0]):
		return nil, &Error{errPermission, cannotExecute}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return nil, &Error{errNotFound, notFound}
	default:
		return nil, &Error{errPermission, cannotExecute} // a directory, a name that is too long
	}
	c := &Command{path: path, args: words}
	if runtime.GOOS == "windows" {
		return c, nil
	}
	beginning, isText := beginningOf(path)
	switch interpreter := interpreterIn(beginning); {
	case interpreter != "":
		if info, err := os.Stat(interpreter); err != nil || info.IsDir() {
			return nil, &Error{errInterpreter, notFound}
		}
	case isText: // which execve refuses, and execvp and every shell take for a script
		c.path, c.args = "/bin/sh", append([]string{"sh", path}, words[1:]...)
	}
	return c, nil
}

// interpreterIn returns the interpreter that a first line with #! names, "" if
// there is none. A carriage return belongs to the name, as for the kernel.
func interpreterIn(beginning []byte) string {
	line, ok := bytes.CutPrefix(beginning, []byte("#!"))
	if !ok {
		return ""
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// inPath reports whether a directory of PATH has a file of the name, which no
// shell could execute either.
func inPath(name string) bool {
	if filepath.Base(name) != name {
		return false
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// beginningOf returns the first bytes of a file, and whether they are text as
// shells decide it: no NUL in the first line. A file that cannot be read is none.
func beginningOf(path string) (beginning []byte, isText bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	b := make([]byte, 256)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, false
	}
	first, _, _ := bytes.Cut(b[:n], []byte("\n"))
	return b[:n], !bytes.Contains(first, []byte{0})
}

// cannotStart is the error of a command that the system refused to start.
func cannotStart(err error) error {
	return &Error{fmt.Errorf("start command: %w", plain(err)), cannotExecute}
}

// plain returns the error without the path, which may be anything.
func plain(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
