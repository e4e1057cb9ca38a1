// Package localhost keeps other people's web pages away from a program that
// listens on this machine alone. A page that resolves its own host name to
// 127.0.0.1 (DNS rebinding) reaches the program as its own origin, but it cannot
// change the Host header that the browser sends.
package localhost

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Only checks the Host header of every request before it calls next, if the
// listener's address is a loopback one: localhost, 127.0.0.1, [::1] and the given
// hosts pass, and any other Host gets 421. For any other address, it returns next.
func Only(addr net.Addr, next http.Handler, hosts ...string) http.Handler {
	bound, err := netip.ParseAddrPort(addr.String())
	if err != nil || !bound.Addr().IsLoopback() {
		return next
	}
	hosts = append([]string{"localhost", "127.0.0.1", "::1"}, hosts...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.ToLower(strings.Trim(host, "[]"))
		if !slices.Contains(hosts, host) {
			http.Error(w, "this server answers to localhost only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
