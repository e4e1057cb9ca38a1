package uri_test

// A browser must read what Parse accepts in the same way. Node's URL follows
// the WHATWG URL standard, as browsers do.

import (
	"encoding/json"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/dynreg/dcr/internal/uri"
)

// browserURL has the parts of a URI as a browser reads them.
type browserURL struct {
	OK                                           bool
	Protocol, Username, Hostname, Port, Pathname string
}

const browserScript = `
const uris = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(uris.map(s => {
	try {
		const {protocol, username, hostname, port, pathname} = new URL(s);
		return {ok: true, protocol, username, hostname, port, pathname};
	} catch {
		return {ok: false};
	}
})));`

func TestBrowsersAgree(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not on the PATH, so there is no reader of URIs to compare with")
	}
	uris := webURIs()
	input, err := json.Marshal(uris)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "-e", browserScript)
	cmd.Stdin = strings.NewReader(string(input))
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	var browsers []browserURL
	if err := json.Unmarshal(output, &browsers); err != nil || len(browsers) != len(uris) {
		t.Fatalf("node answers %d of %d URIs: %v", len(browsers), len(uris), err)
	}
	for i, s := range uris {
		compare(t, s, browsers[i])
	}
	t.Logf("%d URIs that Parse accepts compared", len(uris))
}

// compare compares what Parse reads in s with what a browser reads.
func compare(t *testing.T, s string, browser browserURL) {
	t.Helper()
	u, err := uri.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	if !browser.OK {
		// Only Unicode's tables tell whether a label is valid Punycode. A
		// browser that refuses it goes nowhere.
		if !strings.Contains(u.Host, "xn--") {
			t.Errorf("Parse accepts %q, and a browser does not", s)
		}
		return
	}
	port := u.Port
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		port = ""
	}
	host := u.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	path := u.Path
	if path == "" {
		path = "/"
	}
	want := browserURL{OK: true, Protocol: u.Scheme + ":", Hostname: host, Port: port, Pathname: path}
	if browser != want {
		t.Errorf("Parse reads %+v in %q, and a browser %+v", want, s, browser)
	}
	if loopback := browser.Hostname == "localhost" || net.ParseIP(host).Equal(net.IPv4(127, 0, 0, 1)) || host == "[::1]"; loopback != u.IsLoopback() {
		t.Errorf("%q is loopback to a browser: %t", s, loopback)
	}
}

// webURIs returns http and https URIs that Parse accepts: those from the
// tables, and many that are put together at random from pieces that parsers
// disagree about.
func webURIs() []string {
	var uris []string
	add := func(s string) {
		if u, err := uri.Parse(s); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
			uris = append(uris, s)
		}
	}
	for _, tt := range accepted {
		add(tt.uri)
	}
	for _, tt := range rejected {
		add(tt.uri)
	}
	random := rand.New(rand.NewPCG(1, 2))
	pieces := strings.Fields(`https: http: HTTP: / // : :80 :443 :8080 . .. ... %2e %2E %2f %5c %00 %20 ? # @ \ ; , = & ! $ ' ( ) * + - _ ~
		a b.example evil.example localhost LOCALHOST 127.0.0.1 127 0x7f 0X 0x 0 1 255 256 08 [::1] [ ] :: ::1 [1:2::] [::ffff:1.2.3.4] [1::3:0:0:4]
		[0:0:1:0:0:0:1:1] [2001:DB8:0:0:1:0:0:1] xn-- xn--a xn--bcher-kva xn--a-ecp xn--ls8h XN--BCHER-KVA faß xn--fa-hia`)
	for range 200_000 {
		var b strings.Builder
		b.WriteString([]string{"https://", "http://", "https:", "HTTP://"}[random.IntN(4)])
		for range 1 + random.IntN(7) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		add(b.String())
	}
	return uris
}
