package main

import (
	"os"
	"strings"
	"testing"
)

// Every Go block of the guide is part of the program.
func TestGuideIsTakenFromTheProgram(t *testing.T) {
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	program := read("authserver.go") + read("resource.go")
	blocks := strings.Split(read("../../docs/guide-mcp.md"), "```go\n")[1:]
	if len(blocks) < 4 {
		t.Errorf("the guide has %d Go blocks", len(blocks))
	}
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(program, code) {
			t.Errorf("the program lacks\n%s", code)
		}
	}
}
