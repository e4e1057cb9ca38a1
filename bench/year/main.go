// Year lets a year go by on a clock of its own: hosts that share a database, register
// clients of which most are never used, sweep, evict and are restarted, and clients
// that publish their metadata, some of whose publisher answers 403 for a day.
//
//	go run ./bench/year
//
// At the end it checks that the store was never fuller than its ceiling, but for what
// hosts let in between two counts, that no client in use was lost, and that no
// registration was refused, most of which repeat an earlier one. It prints a table, and draws what it counted with -plot. PostgreSQL is
// looked for where the tests look for it.
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

// settings are what the flags say.
type settings struct {
	registrations int
	documents     int // clients that publish their metadata
	step          int // hours that pass at once; at most 4, for clients to be in time for their first use
	restartHours  int // after which one of the hosts is restarted
	databases     []string
	dir           string
	plot          string
}

// small is what takes seconds.
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
	names := flag.String("databases", "sqlite,postgresql", "databases to let the year go by on")
	flag.IntVar(&s.registrations, "registrations", 2_000_000, "how many clients register in the year")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "where SQLite's files go")
	flag.StringVar(&s.plot, "plot", "", "file for a drawing of the first database's year (SVG)")
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
