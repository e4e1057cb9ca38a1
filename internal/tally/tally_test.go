package tally_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr/internal/tally"
)

func TestTheFirstIsLoggedAndThenTheirNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var tallied tally.Tally
		happen := func(kind string) {
			tallied.Log(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), slog.LevelWarn, kind, kind+" happened")
		}
		for range 1000 {
			happen("flood")
		}
		happen("other")
		if got := strings.Count(log.String(), "flood happened"); got != 1 || strings.Contains(log.String(), "times") {
			t.Errorf("%d lines at first: %s", got, log.String())
		}
		if !strings.Contains(log.String(), "other happened") {
			t.Error("one kind silenced another")
		}
		time.Sleep(time.Minute)
		happen("flood")
		if !strings.Contains(log.String(), "times=1000") {
			t.Errorf("after a minute: %s", log.String())
		}
	})
}

func TestKindsAreBounded(t *testing.T) {
	var log bytes.Buffer
	var tallied tally.Tally
	for i := range 10_000 {
		tallied.Log(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), slog.LevelWarn, fmt.Sprint(i), "happened")
	}
	if lines := strings.Count(log.String(), "\n"); lines > 300 {
		t.Errorf("%d lines", lines)
	}
}
