package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// The targets of the project.
const (
	maxCPU      = 1.4  // of the floor's, in memory
	maxHeap     = 1200 // bytes a client, in memory
	maxSlowdown = 1.1  // of the time a request takes, from the fewest clients to the most
	leastRate   = 0.9  // of the floor's, on SQLite
)

// median of the turns; figure makes each a number.
func median(turns []sample, figure func(i int, turn sample) float64) float64 {
	figures := make([]float64, len(turns))
	for i, turn := range turns {
		figures[i] = figure(i, turn)
	}
	slices.Sort(figures)
	middle := len(figures) / 2
	if len(figures)%2 == 0 {
		return (figures[middle-1] + figures[middle]) / 2
	}
	return figures[middle]
}

func rate(_ int, turn sample) float64  { return turn.rate }
func cpuOf(_ int, turn sample) float64 { return turn.cpu }

// against returns the median, over the turns at one number of clients, of the
// ratio of s to its floor; 0 if the floor does not run.
func (b *bench) against(s *server, at int, figure func(int, sample) float64) float64 {
	base := b.server(s.floor)
	if base == nil {
		return 0
	}
	return median(s.measured[at].turns, func(i int, turn sample) float64 {
		return figure(i, turn) / figure(i, base.measured[at].turns[i])
	})
}

func (b *bench) server(name string) *server {
	for _, s := range b.running {
		if s.name == name {
			return s
		}
	}
	return nil
}

// reportStage prints what was measured at one number of clients.
func (b *bench) reportStage(at int) {
	fmt.Printf("up to %d clients: %d turns each over %d connections; × is to the floor\n",
		b.sizes[at], len(b.running[0].measured[at].turns), b.connections)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "server\trequests/s\t×\tCPU µs/request\t×\tp50 ms\tp99 ms\theap bytes/client\t")
	for _, s := range b.running {
		turns := s.measured[at].turns
		milliseconds := func(latency func(sample) time.Duration) float64 {
			return median(turns, func(_ int, turn sample) float64 { return float64(latency(turn).Microseconds()) / 1e3 })
		}
		fmt.Fprintf(table, "%s\t%.0f\t%.2f\t%.1f\t%.2f\t%.2f\t%.2f\t%.0f\t\n", s.name,
			median(turns, rate), b.against(s, at, rate), median(turns, cpuOf), b.against(s, at, cpuOf),
			milliseconds(func(turn sample) time.Duration { return turn.p50 }),
			milliseconds(func(turn sample) time.Duration { return turn.p99 }), s.measured[at].heap)
	}
	table.Flush()
	fmt.Println()
}

// reportTargets prints how the library does against its targets, as far as the
// servers that this takes were measured.
func (b *bench) reportTargets() {
	last := len(b.sizes) - 1
	memory, onDisk := b.server("memory"), b.server("sqlite")
	if memory != nil && b.server(memory.floor) != nil {
		verdict("in memory, CPU a request to the floor", b.against(memory, last, cpuOf), maxCPU, false)
	}
	if memory != nil {
		verdict("in memory, heap bytes a client", memory.measured[last].heap, maxHeap, false)
		growth := median(memory.measured[last].turns, cpuOf) / median(memory.measured[0].turns, cpuOf)
		verdict("in memory, CPU a request with the most clients to that with the fewest", growth, maxSlowdown, false)
	}
	if onDisk != nil && b.server(onDisk.floor) != nil {
		verdict("on SQLite, requests a second to the group-committing floor", b.against(onDisk, last, rate), leastRate, true)
	}
}

// verdict prints one figure beside its target.
func verdict(what string, figure, target float64, atLeast bool) {
	bound, met := "at most", figure <= target
	if atLeast {
		bound, met = "at least", figure >= target
	}
	word := "met"
	if !met {
		word = "MISSED"
	}
	fmt.Printf("%-6s  %s: %.2f, %s %g\n", word, what, figure, bound, target)
}
