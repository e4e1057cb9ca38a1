package main

import (
	"os"
	"strings"
	"testing"
)

// A small year on SQLite must pass the same checks as the long one.
func TestYear(t *testing.T) {
	s := small
	s.dir = t.TempDir()
	y, err := simulate(t.Context(), &s, "sqlite")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range append(y.faults(), y.examples...) {
		t.Error(fault)
	}
	if drawn := string(y.draw()); !strings.HasPrefix(drawn, "<svg") || strings.Count(drawn, "<polyline") != 5 || strings.Contains(drawn, "NaN") || strings.Contains(drawn, "%!") {
		t.Errorf("the drawing is %s", drawn)
	}
	if testing.Verbose() {
		y.print(os.Stdout)
	}
}
