package main

// What is printed.

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// median returns the median of the turns. figure returns the number of a turn.
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

// against returns the median ratio of s to its floor, over the turns at one number of
// clients. It returns 0 if the floor does not run.
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
	fmt.Printf("up to %d clients: %d turns each over %d connections; × compares with the floor\n",
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

// reportGoals prints the figures and the goals for which the servers were measured.
func (b *bench) reportGoals() error {
	goals, err := inProcess()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tfigure\tgoal\t")
	for _, goal := range append(b.goals(), goals...) {
		fmt.Fprintln(table, goal)
	}
	return table.Flush()
}

// goal is a figure and its upper bound.
type goal struct {
	what   string
	figure float64
	most   float64 // 0 if there is no goal
}

func (g goal) String() string {
	verdict := "met"
	switch {
	case g.most == 0:
		return fmt.Sprintf("%s\t%.2f\t\t", g.what, g.figure)
	case g.figure > g.most:
		verdict = "MISSED"
	}
	return fmt.Sprintf("%s\t%.2f\t≤ %g\t%s", g.what, g.figure, g.most, verdict)
}

// goals returns the goals over HTTP.
func (b *bench) goals() (goals []goal) {
	memory, quiet := b.server("memory"), b.server("quiet")
	if memory == nil {
		return nil
	}
	last := len(b.sizes) - 1
	for at, size := range b.sizes {
		most := 1.3
		if size >= 10_000 {
			most = 1.2
		}
		if b.server(memory.floor) != nil {
			goals = append(goals, goal{fmt.Sprintf("CPU of a POST, as a multiple of the floor's, up to %d clients", size), b.against(memory, at, cpuOf), most})
		}
	}
	if base := b.server(memory.floor); base != nil {
		for _, g := range []goal{{what: http.MethodGet, most: 1.4}, {what: http.MethodPut, most: 1.7}} {
			theirs := base.managed[g.what]
			g.figure = median(memory.managed[g.what], func(i int, turn sample) float64 { return turn.cpu / theirs[i].cpu })
			g.what = "CPU of a " + g.what + ", as a multiple of the floor's"
			goals = append(goals, g)
		}
	}
	if quiet != nil {
		theirs := quiet.measured[last].turns
		share := median(memory.measured[last].turns, func(i int, turn sample) float64 { return turn.cpu/theirs[i].cpu - 1 })
		goals = append(goals, goal{"CPU that events add to a POST, in percent", 100 * share, 3})
	}
	for at, size := range b.sizes {
		most := 740.0
		if size >= 100_000 {
			most = 700
		}
		goals = append(goals, goal{fmt.Sprintf("heap bytes per client, at %d clients", size), memory.measured[at].heap, most})
	}
	return goals
}
