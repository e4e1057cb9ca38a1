// Package dcrtest has tests for a host's own code.
//
//   - [TestStore] tests your own store, with its optional capabilities.
//   - [TestValidator] finds mistakes in your own validator.
//   - [TestClients] tests which real-world clients can register.
//   - [TestHost] finds mistakes at the endpoints of a whole server.
//   - [Publisher] serves metadata documents, and misbehaves on demand.
package dcrtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// Host is an authorization server under test.
type Host struct {
	// Start starts the server with this store, lets it run until the test ends, and
	// returns its issuer. TestHost sometimes makes the store fail for a while. It
	// reads everything else from the discovery document, at the path of RFC 8414 or
	// of OpenID Connect Discovery. Required.
	Start func(t *testing.T, store dcr.ClientConfigurationStore) (issuer string)

	// Authorize opens the URL of an authorization request in the browser, signs in
	// and consents, and returns the last answer: the redirect to the client, or the
	// page with the refusal. The browser keeps cookies and follows redirects only
	// within the server. If nil, the browser only opens the URL, which is enough for
	// a server that asks nothing.
	Authorize func(t *testing.T, browser *http.Client, url string) *http.Response

	// Scopes are two scopes that the server supports. The clients of TestHost have
	// the first scope but not the second. Required.
	Scopes []string

	// Client trusts the server's certificate. If nil, http.DefaultClient.
	Client *http.Client

	// Skip names cases that do not apply, each with its reason after a colon:
	// "DiscoveryRegistration: clients are registered by people".
	Skip []string
}

// HostFinding is a mistake that TestHost found.
type HostFinding struct {
	Case     string // the name of the subtest
	Sentence string // what the server did, why that is a trap, and what to do
}

// TestHost finds mistakes that servers make with registered clients. It works with any
// authorization server, and tests its authorization, token, introspection and
// revocation endpoints and its discovery document. Each mistake is a subtest. A failure
// says what the server did, why that is a trap, and how this library prevents it. What
// the discovery document does not offer is skipped.
//
// TestHost registers clients in the store, under the rules of [dcr.DefaultValidator] and
// with the authentication methods in the discovery document: a public native client
// that redirects to http://127.0.0.1, and others, confidential if the server allows it,
// that redirect to https://app.example.com. It sends nothing to that host.
//
//	func TestMyServer(t *testing.T) {
//		dcrtest.TestHost(t, dcrtest.Host{
//			Start: func(t *testing.T, store dcr.ClientConfigurationStore) string {
//				server := httptest.NewUnstartedServer(nil)
//				issuer := "http://" + server.Listener.Addr().String()
//				server.Config.Handler = newServer(issuer, store)
//				server.Start()
//				t.Cleanup(server.Close)
//				return issuer
//			},
//			Authorize: func(t *testing.T, browser *http.Client, url string) *http.Response {
//				…
//			},
//			Scopes: []string{"files.read", "files.write"},
//		})
//	}
func TestHost(t *testing.T, host Host) {
	t.Helper()
	d := newDriver(t, host)
	for _, c := range hostCases {
		t.Run(c.name, func(t *testing.T) {
			if reason, skipped := d.skips[c.name]; skipped {
				t.Skip(reason)
			}
			switch sentence, err := d.judge(t, c); {
			case err != nil:
				t.Skip(err)
			case sentence != "":
				t.Error(sentence)
			}
		})
	}
}

// HostFindings returns what TestHost would report, in the order of its cases. Use it for
// a server that does not pass yet, and compare the result with the known findings.
func HostFindings(t *testing.T, host Host) (findings []HostFinding) {
	t.Helper()
	d := newDriver(t, host)
	for _, c := range hostCases {
		if _, skipped := d.skips[c.name]; skipped {
			continue
		}
		if sentence, _ := d.judge(t, c); sentence != "" {
			findings = append(findings, HostFinding{c.name, sentence})
		}
	}
	return findings
}

// hostCase tests for one mistake.
type hostCase struct {
	name  string
	trap  string // why it is a mistake
	cure  string // how to fix it
	check func(d *driver) error
}

var hostCases []hostCase

func init() {
	for _, group := range [][]hostCase{
		redirectCases, challengeCases, codeCases, authenticationCases, assertionCases, grantCases, scopeCases, statusCases, outageCases, tokenInfoCases, discoveryCases,
	} {
		hostCases = append(hostCases, group...)
	}
}

var (
	// errNotOffered skips the cases of features that the server does not offer.
	errNotOffered = errors.New("the server does not offer this")

	// errUnclear means that a valid request did not work either, so that the refusal
	// of a wrong request proves nothing.
	errUnclear = errors.New("this case depends on it, so it cannot be judged")
)

// judge runs a case. It returns a sentence about the server, or why the case is skipped.
func (d *driver) judge(t *testing.T, c hostCase) (sentence string, skip error) {
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	d.t, d.ctx = t, ctx
	switch err := c.check(d); {
	case err == nil:
		return "", nil
	case errors.Is(err, errNotOffered):
		return "", err
	case errors.Is(err, errUnclear):
		return err.Error(), nil
	default:
		return fmt.Sprintf("%v: %s; %s", err, c.trap, c.cure), nil
	}
}

// newDriver starts the server and reads its discovery document.
func newDriver(t *testing.T, host Host) *driver {
	t.Helper()
	switch {
	case host.Start == nil:
		t.Fatal("Host.Start is nil; set it to a function that starts the server with the given store")
	case len(host.Scopes) != 2 || host.Scopes[0] == host.Scopes[1]:
		t.Fatalf("Host.Scopes is %q; set it to two different scopes that the server supports", host.Scopes)
	}
	skips, err := readSkips(host.Skip)
	if err != nil {
		t.Fatal(err)
	}
	d := &driver{t: t, host: host, store: &hostStore{Store: memstore.New()}, skips: skips}
	if d.host.Client == nil {
		d.host.Client = http.DefaultClient
	}
	if d.host.Authorize == nil {
		d.host.Authorize = get
	}
	d.issuer = host.Start(t, d.store)
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	d.ctx = ctx
	if err := d.discover(); err != nil {
		t.Fatal(err)
	}
	return d
}

// readSkips returns the reasons in Host.Skip by the names of the cases.
func readSkips(entries []string) (map[string]string, error) {
	reasons := make(map[string]string)
	for _, entry := range entries {
		name, reason, _ := strings.Cut(entry, ":")
		if !slices.ContainsFunc(hostCases, func(c hostCase) bool { return c.name == name }) {
			return nil, fmt.Errorf("Host.Skip has %q, but no case has that name", entry)
		}
		if reasons[name] = strings.TrimSpace(reason); reasons[name] == "" {
			return nil, fmt.Errorf("Host.Skip has %q without a reason; write it after a colon", entry)
		}
	}
	return reasons, nil
}

func get(t *testing.T, browser *http.Client, url string) *http.Response {
	response, err := browser.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return response
}
