package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]int{
		" 201 Budget Planner of org-7": 4, "invalid_software_statement: ": 9, "unapproved_software_statement: ": 1, "invalid_redirect_uri: ": 1,
	} {
		if got := strings.Count(out.String(), code); got != want {
			t.Errorf("the output has %q %d times, not %d", code, got, want)
		}
	}
	if t.Failed() {
		t.Logf("\n%s", &out)
	}
}
