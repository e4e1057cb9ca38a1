// Package localhost keeps other people's web pages away from a program that
// listens on this machine alone. A page that resolves its own host name to
// 127.0.0.1 (DNS rebinding) reaches such a program as its own origin; it cannot
// change the Host header that its browser sends.
package localhost

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Only returns next behind a check of the Host header, where the listener's
// address is a loopback one: localhost, 127.0.0.1, [::1] and the given hosts
// pass, any other Host gets 421. Elsewhere it returns next.
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
