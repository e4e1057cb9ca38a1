package main

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

// usage is what a server process says of itself.
type usage struct {
	CPU  time.Duration // user and system time of the process so far
	Heap uint64        // bytes of the heap after a collection; only when asked for
}

// serve is the server process. It says on standard output where it listens,
// and answers every line of standard input with its usage: "cpu", "heap", and
// "reset", which forgets every client.
func serve(name, dir string) error {
	subject := find(name)
	if subject == nil {
		return fmt.Errorf("no server is called %q", name)
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

// heap returns the bytes that are in use. The second collection frees what
// sync.Pool kept over the first.
func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// cpu returns the processor time that this process used.
func cpu() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
