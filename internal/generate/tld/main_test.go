package main

import (
	"bytes"
	"os"
	"testing"
)

func TestTheListIsWhatIsGenerated(t *testing.T) {
	list, err := os.ReadFile("../../uri/tld.go")
	if err != nil || !bytes.Equal(list, source()) {
		t.Errorf("internal/uri/tld.go is not what go generate writes: %v", err)
	}
}
