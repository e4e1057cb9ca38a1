// Registration measures what it costs to register, read and update a client. It compares
// the library's handler on memstore and, for registrations, on SQLite with the least
// that any server would do. At the end it prints a table of the project's goals.
//
//	go run ./bench/registration
//
// Every server is a separate process, and so is the load generator. The servers take
// turns of a few hundred requests, so that other work of the machine affects all of them.
// Each ratio is taken within a turn, and the median of the ratios is printed. The
// measured registrations are those between two numbers of clients; they are repeated
// until there are enough turns.
//
// What needs no server is measured in this process, by its processor time.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// settings has the values of the flags.
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
	sizes := flag.String("clients", "1000,10000,100000", "measure with these numbers of clients")
	servers := flag.String("servers", strings.Join(ownNames(), ","), "measure these servers")
	flag.IntVar(&s.rounds, "rounds", 30, "number of turns of each server, at least, for each number of clients")
	flag.IntVar(&s.connections, "connections", 32, "number of connections that register at the same time")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory for the SQLite files; to measure a disk, use a directory on it")
	flag.Parse()
	for _, size := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-clients: %q is not a number of clients", size)
		}
		s.sizes = append(s.sizes, n)
	}
	slices.Sort(s.sizes)
	s.sizes = slices.Compact(s.sizes)
	for _, name := range strings.Split(*servers, ",") {
		if find(name) == nil {
			return nil, fmt.Errorf("-servers: %q is not a server; the servers are %s", name, strings.Join(subjectNames(), ", "))
		}
		s.servers = append(s.servers, name)
	}
	if s.rounds < 1 || s.connections < 1 {
		return nil, fmt.Errorf("-rounds and -connections must be positive")
	}
	return &s, nil
}
