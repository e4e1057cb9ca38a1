// Store measures sqlstore on SQLite, PostgreSQL and MariaDB.
//
//	go run ./bench/store
//
// compares registrations with the least that any server would do: decode the request,
// validate nothing, and INSERT one document with a prepared statement on the same pool.
// On SQLite, one goroutine commits all documents that arrived in the meantime together.
// There are two such floors: one has a table of two columns with a primary key, and the
// other inserts into the store's own table, with its columns and indexes. The store and
// the floors take turns, and the medians of the ratios within a turn are printed. With
// -level store, the store is measured without a server. With -clients 2000000, both
// tables have two million rows at the start.
//
//	go run ./bench/store scale -rows 1000,100000,2000000
//
// shows how long each operation takes as the table grows, and how the database executes
// each of its statements.
//
// PostgreSQL and MariaDB are left out if they are not available. The program creates its
// own databases and drops them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	arguments, run := os.Args[1:], throughput
	if len(arguments) > 0 && arguments[0] == "scale" {
		arguments, run = arguments[1:], scale
	}
	settings, err := readSettings(arguments)
	if err == nil {
		err = run(ctx, settings)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
}

// settings has the values of the flags.
type settings struct {
	kinds       []kind
	connections []int
	rows        []int
	rounds      int
	turn        time.Duration
	clients     int
	level       level
	plans       bool
	dir         string
}

func readSettings(arguments []string) (*settings, error) {
	var s settings
	flags := flag.NewFlagSet("store", flag.ExitOnError)
	databases := flags.String("databases", "sqlite,postgresql,mysql", "measure these databases")
	connections := flags.String("connections", "1,8,64", "numbers of connections that add clients at the same time")
	rows := flags.String("rows", "1000,100000", "measure with these numbers of clients (scale)")
	// Turns are short, so that other work of the machine affects both sides, and the
	// median of many ratios is stable. They are long enough for several checkpoints of
	// SQLite in each turn. In shorter turns, a checkpoint would slow down only one side.
	flags.IntVar(&s.rounds, "rounds", 60, "number of turns of each")
	flags.DurationVar(&s.turn, "turn", 120*time.Millisecond, "length of a turn")
	flags.IntVar(&s.clients, "clients", 0, "number of rows in both tables at the start")
	flags.BoolVar(&s.plans, "plans", true, "show how the database executes each statement (scale)")
	flags.StringVar(&s.dir, "dir", os.TempDir(), "directory for the SQLite files; to measure a disk, use a directory on it")
	at := flags.String("level", "http", "add clients at this level: http or store")
	flags.Parse(arguments)
	level, known := levels[*at]
	if !known {
		return nil, fmt.Errorf("-level must be http or store, not %q", *at)
	}
	s.level = level
	for name := range strings.SplitSeq(*databases, ",") {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-databases: %q is not one of sqlite, postgresql and mysql", name)
		}
		s.kinds = append(s.kinds, kinds[i])
	}
	var err error
	if s.connections, err = numbers(*connections); err == nil {
		s.rows, err = numbers(*rows)
	}
	if s.rounds < 1 || s.turn <= 0 {
		err = fmt.Errorf("-rounds and -turn must be positive")
	}
	return &s, err
}

func numbers(list string) (all []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a positive number", text)
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func median[T int64 | float64 | time.Duration](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}
