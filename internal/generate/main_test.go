package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What is generated is as go generate would write it now.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	for _, g := range generated {
		text, err := os.ReadFile(filepath.Join("..", "..", g.file))
		if err != nil {
			t.Fatal(err)
		}
		want, err := replaced(string(text), g.from, g.to, g.write())
		if err != nil || string(text) != want {
			t.Errorf("%s is not current, %v: run go generate", g.file, err)
		}
	}
}
