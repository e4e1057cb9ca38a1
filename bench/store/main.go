// Store measures sqlstore on SQLite, PostgreSQL and MariaDB.
//
//	go run ./bench/store
//
// compares registrations with the least that any server would do: decode the
// request, judge nothing, and INSERT one document, prepared, on the same pool; on
// SQLite, through a goroutine that commits together what came meanwhile. There are
// two such floors: one has a table of two columns with a primary key, the other
// inserts into the store's own table, with its columns and indexes. The three take
// turns, and the medians of the ratios within a turn are shown. With -level store,
// the store is measured without a server; with -clients 2000000, both tables are as
// large as that at the start.
//
//	go run ./bench/store scale -rows 1000,100000,2000000
//
// shows how long each operation takes as the table grows, and how the database
// carries out each of its statements.
//
// PostgreSQL and MariaDB are left out where there are none; databases of this
// program's own are made and dropped.
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

// settings are what the flags say.
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
	databases := flags.String("databases", "sqlite,postgresql,mysql", "databases to measure")
	connections := flags.String("connections", "1,8,64", "connections that add at the same time")
	rows := flags.String("rows", "1000,100000", "numbers of clients to measure at (scale)")
	// Short turns, since a machine's own ups and downs then befall both and the
	// median of many ratios repeats; but long enough for some checkpoints of
	// SQLite in each, which in shorter ones befall one of the two.
	flags.IntVar(&s.rounds, "rounds", 60, "turns of each")
	flags.DurationVar(&s.turn, "turn", 120*time.Millisecond, "length of a turn")
	flags.IntVar(&s.clients, "clients", 0, "rows that both tables have at the start")
	flags.BoolVar(&s.plans, "plans", true, "show how the database carries out each statement (scale)")
	flags.StringVar(&s.dir, "dir", os.TempDir(), "where the SQLite files go: a disk, to measure one")
	at := flags.String("level", "http", "where clients come in: http or store")
	flags.Parse(arguments)
	level, known := levels[*at]
	if !known {
		return nil, fmt.Errorf("-level: %q is neither http nor store", *at)
	}
	s.level = level
	for name := range strings.SplitSeq(*databases, ",") {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-databases: %q is none of sqlite, postgresql and mysql", name)
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
			return nil, fmt.Errorf("%q is no positive number", text)
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
