package main

// The process of a server under measurement.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// usage is what a server process reports about itself.
type usage struct {
	CPU  time.Duration // user and system time of the process so far
	Heap uint64        // bytes of the heap after a collection; only in the answer to "heap"
}

// serve is the server process. It prints where it listens to standard output, and
// answers each line of standard input with its usage. The lines are "cpu", "heap" and
// "reset", which deletes every client.
func serve(name, dir string) error {
	subject := find(name)
	if subject == nil {
		return fmt.Errorf("%q is not a server", name)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var handler atomic.Pointer[http.Handler]
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*handler.Load()).ServeHTTP(w, r)
	}))
	fmt.Println(listener.Addr())

	closeLast := func() {}
	defer func() { closeLast() }()
	answers := json.NewEncoder(os.Stdout)
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		var used usage
		switch commands.Text() {
		case "reset":
			closeLast()
			fresh, err := os.MkdirTemp(dir, name)
			if err != nil {
				return err
			}
			opened, closer, err := subject.open(fresh)
			if err != nil {
				return err
			}
			closeLast = closer
			handler.Store(&opened)
		case "heap":
			used.Heap = heap()
		}
		used.CPU = cpu()
		if err := answers.Encode(used); err != nil {
			return err
		}
	}
	return commands.Err()
}

// heap returns the bytes in use. The second collection frees what sync.Pool kept during
// the first.
func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
