package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestMain runs the program itself in the processes that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-role" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestRoundTrip(t *testing.T) {
	var out bytes.Buffer
	if err := both(t.Context(), settings{}, &out); err != nil {
		t.Fatalf("%v, after\n%s", err, &out)
	}
	if !strings.HasSuffix(out.String(), "\ndone\n") {
		t.Errorf("the output is\n%s", &out)
	}
}
