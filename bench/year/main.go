// Year simulates a year on its own clock. Hosts that share a database register clients,
// most of which are never used, sweep, evict, and are restarted. Some clients publish
// their metadata, and half of their publishers answer 403 for a day.
//
//	go run ./bench/year
//
// At the end it checks that the store never exceeded its ceiling by more than what hosts
// accept between two counts, that no client in use was lost, and that no registration was
// refused, although most repeat an earlier one. It prints a table and, with -plot, draws
// the counts. It finds PostgreSQL where the tests find it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// settings has the values of the flags.
type settings struct {
	registrations int
	documents     int // clients that publish their metadata
	step          int // hours that pass at once; at most 4, so that clients are not late for their first use
	restartHours  int // hours after which one of the hosts is restarted
	databases     []string
	dir           string
	plot          string
}

// small are settings that take seconds.
var small = settings{registrations: 3000, documents: 2, step: 4, restartHours: 32 * day}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "year:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	s := settings{documents: 40, step: 1, restartHours: day}
	names := flag.String("databases", "sqlite,postgresql", "simulate the year on these databases")
	flag.IntVar(&s.registrations, "registrations", 2_000_000, "number of clients that register in the year")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory for the SQLite files")
	flag.StringVar(&s.plot, "plot", "", "draw the year of the first database in this file (SVG)")
	isSmall := flag.Bool("small", false, "3,000 registrations, and fewer documents and restarts")
	flag.Parse()
	if *isSmall {
		s.registrations, s.documents, s.step, s.restartHours = small.registrations, small.documents, small.step, small.restartHours
	}
	if s.registrations < 1 {
		return fmt.Errorf("-registrations must be positive")
	}
	s.databases = strings.Split(*names, ",")
	var failed []string
	for i, name := range s.databases {
		y, err := simulate(ctx, &s, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		y.print(os.Stdout)
		for _, fault := range y.faults() {
			failed = append(failed, name+": "+fault)
		}
		if i == 0 && s.plot != "" {
			if err := os.WriteFile(s.plot, y.draw(), 0o644); err != nil {
				return err
			}
		}
	}
	if failed != nil {
		return fmt.Errorf("%s", strings.Join(failed, "; "))
	}
	return nil
}
