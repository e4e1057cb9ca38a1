// Package dcrtest is what a host tests its own code with.
//
//   - [TestStore] tests a store of your own, with its optional capabilities.
//   - [TestValidator] finds mistakes in a validator of your own.
//   - [TestClients] says which clients in the field would get in.
//   - [TestHost] drives a whole server through the traps at its endpoints.
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
	// Start serves the server with this store, which TestHost breaks and mends,
	// until the test ends, and returns its issuer. TestHost takes everything
	// else from the discovery document, at the path of RFC 8414 or of OpenID
	// Connect Discovery. Required.
	Start func(t *testing.T, store dcr.ClientConfigurationStore) (issuer string)

	// Authorize sends the browser of a signed-in person who consents to the URL
	// of an authorization request and returns the last answer: the redirect to
	// the client, or the page that refused. The browser keeps cookies and follows
	// redirects within the server, but none that leads elsewhere. If nil, the
	// browser gets the URL, which is enough for a server that asks nothing.
	Authorize func(t *testing.T, browser *http.Client, url string) *http.Response

	// Scopes are two scopes that the server knows. The clients of TestHost have
	// the first, and the second is above what they have. Required.
	Scopes []string

	// Client trusts the server's certificate. If nil, http.DefaultClient.
	Client *http.Client

	// Skip names cases that do not apply, each with its reason after a colon:
	// "DiscoveryRegistration: clients are registered by people".
	Skip []string
}

// HostFinding is a trap in which a server was found.
type HostFinding struct {
	Case     string // its name, as that of the subtest
	Sentence string // what the server did, why that is a trap, and what to do
}

// TestHost drives a server of any make through the traps of serving registered
// clients: its authorization, token, introspection and revocation endpoints and
// its discovery document. Each trap is a subtest, and its failure a sentence that
// says what the server did, why that is a trap, and what of this library closes
// it. What a server does not say it offers is skipped.
//
// The clients are registered in the store, under the rules of
// [dcr.DefaultValidator], by the methods that the server says it knows: a native one
// without credentials, which redirects to http://127.0.0.1, and others, confidential
// where they may be, which redirect to https://app.example.com, where nothing is sent.
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

// HostFindings returns what TestHost would report, in the order of its cases: for
// a server that is not there yet, whose findings are known and become fewer.
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

// hostCase is one trap.
type hostCase struct {
	name  string
	trap  string // why it is one
	cure  string // what closes it
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
	// errNotOffered skips the cases of what the server does not say it offers.
	errNotOffered = errors.New("the server does not offer this")

	// errUnclear says that what is right did not work either, so that a refusal
	// of what is wrong says nothing.
	errUnclear = errors.New("this case depends on it, so it cannot be judged")
)

// judge returns what is to be said of the server, or why there is nothing.
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

// newDriver starts the server and reads what it says of itself.
func newDriver(t *testing.T, host Host) *driver {
	t.Helper()
	switch {
	case host.Start == nil:
		t.Fatal("Host.Start is nil; set it to a function that serves the server with the store it is given")
	case len(host.Scopes) != 2 || host.Scopes[0] == host.Scopes[1]:
		t.Fatalf("Host.Scopes is %q; set it to two scopes that the server knows", host.Scopes)
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

// readSkips returns the reasons of Host.Skip by the names of the cases.
func readSkips(entries []string) (map[string]string, error) {
	reasons := make(map[string]string)
	for _, entry := range entries {
		name, reason, _ := strings.Cut(entry, ":")
		if !slices.ContainsFunc(hostCases, func(c hostCase) bool { return c.name == name }) {
			return nil, fmt.Errorf("Host.Skip has %q, and there is no case of that name", entry)
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
