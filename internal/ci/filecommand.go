package ci

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
)

// appendPairs adds pairs to one of the runner's command files, whole or not at
// all.
//
// Each value stands between delimiters that nobody can guess. The fixed one
// that @actions/core dropped let a value end its own block and set another key
// (https://github.com/advisories/GHSA-7r3h-m5j6-3q42); go-githubactions v1.4.0
// still writes it. No value of ours has a line break, so one that does is not
// ours.
func appendPairs(path string, pairs [][2]string) (err error) {
	delimiter := "ghadelimiter_" + rand.Text()
	var b strings.Builder
	for _, p := range pairs {
		badName := p[0] == "" || strings.ContainsAny(p[0], "\r\n\x00=<")
		if badName || strings.ContainsAny(p[1], "\r\n\x00") || strings.Contains(p[1], delimiter) {
			return fmt.Errorf("write %s: value has a line break or another character that would break the file", p[0])
		}
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", p[0], delimiter, p[1], delimiter)
	}
	return appendText(path, b.String())
}

// appendText adds text to the end of a file that the runner made. What a full
// disk cut is taken off again: the runner fails a step for half a pair, and
// prints the line.
func appendText(path, text string) error {
	_, err := appendTo(path, 0, text)
	return err
}

// appendTo is appendText with further flags for opening. before is the file's
// size without text, in bytes.
func appendTo(path string, flags int, text string) (before int64, err error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|flags, 0o600)
	if err != nil {
		return 0, plain(err)
	}
	info, err := f.Stat()
	if err == nil {
		before = info.Size()
		if _, err = f.WriteString(text); err != nil {
			_ = f.Truncate(before) // may be no regular file
		}
	}
	return before, plain(errors.Join(err, f.Close()))
}

// plain drops the paths from an error of the file system: the runner's are
// long and random.
func plain(err error) error {
	var p *os.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}
