package localhost_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dynreg/dcr/examples/internal/localhost"
)

func TestForeignHostsAreRefused(t *testing.T) {
	served := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})
	loopback, public := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, &net.TCPAddr{IP: net.IPv4zero, Port: 8080}
	for _, test := range []struct {
		sentence string
		addr     net.Addr
		host     string
		want     int
	}{
		{"the address itself passes", loopback, "127.0.0.1:8080", 200},
		{"localhost passes, in any case", loopback, "LocalHost:8080", 200},
		{"IPv6 loopback passes", loopback, "[::1]:8080", 200},
		{"a host that the program names passes", loopback, "id.example.com", 200},
		{"another host is refused", loopback, "evil.example", 421},
		{"a host that begins like it is refused", loopback, "127.0.0.1.evil.example:8080", 421},
		{"no host is refused", loopback, "", 421},
		{"a server for others answers to every host", public, "evil.example", 200},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", nil)
			r.Host = test.host
			w := httptest.NewRecorder()
			localhost.Only(test.addr, served, "id.example.com").ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("status %d, want %d", w.Code, test.want)
			}
		})
	}
}
