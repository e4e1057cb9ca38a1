package guard

// How many fetches run at once.

import "sync"

// slots bound how many fetches run at once, in total and to one host, so that
// strangers cannot make the server open any number of sockets.
type slots struct {
	limit, perHost int

	mu    sync.Mutex
	total int
	hosts map[string]int // fetches in flight, by host
}

// take reports whether a fetch may begin now; free ends one.
func (s *slots) take(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= s.limit || s.hosts[host] >= s.perHost {
		return false
	}
	s.total++
	s.hosts[host]++
	return true
}

func (s *slots) free(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.hosts[host]--; s.hosts[host] == 0 {
		delete(s.hosts, host)
	}
}
