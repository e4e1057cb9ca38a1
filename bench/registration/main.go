// Registration measures what a registration costs, and reading and updating a
// client: the library's handler on memstore and, for registrations, on SQLite, against
// the least that any server would do. It ends with a table of the project's goals.
//
//	go run ./bench/registration
//
// Every server is a process of its own, and so is the load generator. The
// servers take turns, a few hundred requests each, so that whatever else the
// machine does falls on all of them; ratios are taken within a turn, and their
// median is shown. The registrations that are measured are those that make the
// number of clients grow from one of the sizes to the next, again and again until
// there are enough turns.
//
// What needs no server is measured in the process: the table says how much of its
// processor time.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// settings are what the flags say.
type settings struct {
	sizes       []int
	rounds      int
	connections int
	servers     []string
	dir         string
}

func main() {
	var err error
	switch arguments := os.Args[1:]; {
	case len(arguments) == 3 && arguments[0] == "serve":
		err = serve(arguments[1], arguments[2])
	case len(arguments) == 1 && arguments[0] == "load":
		err = generate()
	default:
		err = measure()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "registration:", err)
		os.Exit(1)
	}
}

// readSettings reads the flags.
func readSettings() (*settings, error) {
	var s settings
	sizes := flag.String("clients", "1000,10000,100000", "numbers of clients to measure at")
	servers := flag.String("servers", strings.Join(ownNames(), ","), "servers to measure")
	flag.IntVar(&s.rounds, "rounds", 30, "turns that each server gets, at each number of clients at least")
	flag.IntVar(&s.connections, "connections", 32, "connections that register at the same time")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "where the SQLite files go: a disk, to measure one")
	flag.Parse()
	for _, size := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-clients: %q is no number of clients", size)
		}
		s.sizes = append(s.sizes, n)
	}
	slices.Sort(s.sizes)
	s.sizes = slices.Compact(s.sizes)
	for _, name := range strings.Split(*servers, ",") {
		if find(name) == nil {
			return nil, fmt.Errorf("-servers: no server is called %q; there are %s", name, strings.Join(subjectNames(), ", "))
		}
		s.servers = append(s.servers, name)
	}
	if s.rounds < 1 || s.connections < 1 {
		return nil, fmt.Errorf("-rounds and -connections must be positive")
	}
	return &s, nil
}
