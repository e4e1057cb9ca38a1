package policy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// sendingServer supports every member that a browser is sent to.
func sendingServer() dcr.DefaultValidator {
	server := openServer
	server.Supports.FrontchannelLogout = true
	server.AllowHTTPRedirects = true
	server.Extensions = append(extension.UMA(), extension.OpenID4VCI()...)
	return server
}

// destinations has those members.
var destinations = []struct {
	member string
	list   bool
	back   bool // it leads back to the application
}{
	{"redirect_uris", true, true},
	{"post_logout_redirect_uris", true, true},
	{"claims_redirect_uris", true, true},
	{"frontchannel_logout_uri", false, false}, // whose origin must be that of a redirect URI, by the core's rule
	{"initiate_login_uri", false, false},
	{"credential_offer_endpoint", false, false},
}

var goodClient = object{
	"client_name": "App", "redirect_uris": []string{"https://app.good.example/cb"},
	"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "client_secret_basic",
}

// sends returns goodClient with a URI for a member, in addition to the valid
// one if there is one.
func sends(member string, list bool, uri string) object {
	if list {
		return with(goodClient, object{member: []string{"https://app.good.example/cb", uri}})
	}
	return with(goodClient, object{member: uri})
}

// refusedBy returns the rules that refuse a request on registration and on
// update, or "" if it is accepted.
func refusedBy(t *testing.T, v dcr.Validator, request object) (rules [2]string) {
	t.Helper()
	before, err := judge(t, v, goodClient, nil)
	if err != nil {
		t.Fatalf("a valid client is refused: %v", err)
	}
	for i, previous := range []*dcr.Client{nil, before} {
		_, err := judge(t, v, request, previous)
		if refused := (*dcr.Error)(nil); errors.As(err, &refused) {
			rules[i] = refused.Rule
		}
	}
	return rules
}

func twice(rule string) [2]string { return [2]string{rule, rule} }

// Rules about hosts apply to every URI that a browser is sent to, whatever the
// port.
func TestHostRulesJudgeEveryDestination(t *testing.T) {
	for _, r := range []struct {
		name, id string
		v        dcr.Validator
	}{
		{"RedirectHosts", "policy.redirect_hosts", policy.Stack(sendingServer(), policy.RedirectHosts("*.good.example"))},
		{"Deny", "policy.deny", policy.Stack(sendingServer(), policy.Deny(policy.DenyList{Hosts: []string{"evil.example"}}))},
		{"SameHost, refusing", "policy.same_host", policy.Stack(sendingServer(), policy.SameHost(policy.Refuse))},
		{"SameHost, dropping", "policy.same_host", policy.Stack(sendingServer(), policy.SameHost(policy.Drop))},
		{"Matrix", "policy.matrix", withClientURI{policy.Matrix(sendingServer())}},
	} {
		for _, d := range destinations {
			for uri, want := range map[string]string{
				"https://app.good.example/x":      "",
				"https://app.good.example:8443/x": "",
				"https://evil.example/x":          r.id,
				"https://evil.example:8443/x":     r.id,
				"https://x.evil.example/":         r.id,
			} {
				got := refusedBy(t, r.v, sends(d.member, d.list, uri))
				switch {
				case d.member == "frontchannel_logout_uri" && !strings.HasPrefix(uri, "https://app.good.example/"):
					want = "frontchannel_logout_uri.origin"
				case d.member == "redirect_uris" && strings.HasPrefix(r.name, "SameHost"):
					want = "" // the pages are dropped: see TestSameHost
				}
				if got != twice(want) {
					t.Errorf("%s: %s %s is refused by %q, want %q", r.name, d.member, uri, got, want)
				}
			}
		}
	}
}

// withClientURI gives each client the page that Matrix requires.
type withClientURI struct{ dcr.Validator }

func (v withClientURI) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.ClientURI = "https://app.good.example/"
	return v.Validator.ValidateGrantTypes(ctx, reg)
}

// A front-channel logout page is on the host of a redirect URI, so it is on a
// denied host only together with it.
func TestFrontChannelLogoutIsJudged(t *testing.T) {
	v := policy.Stack(sendingServer(), policy.RedirectHosts("*.good.example"))
	client, err := judge(t, sendingServer(), with(goodClient, object{"frontchannel_logout_uri": "https://app.good.example/out"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	client.FrontchannelLogoutURI = "https://evil.example/out"
	reg := &dcr.Registration{Request: &dcr.Request{}, Client: client, Items: map[string]any{}}
	if refused := (*dcr.Error)(nil); !errors.As(v.ValidateClient(t.Context(), reg), &refused) || refused.Member != "frontchannel_logout_uri" {
		t.Errorf("got %v", refused)
	}
}

// Rules about schemes apply to every URI that leads back to the application.
func TestSchemeRulesJudgeWhatLeadsBack(t *testing.T) {
	for _, r := range []struct {
		name, id string
		rules    []policy.Rule
		refused  []string
		accepted []string
	}{
		{"RedirectHosts", "policy.redirect_hosts", []policy.Rule{policy.RedirectHosts("*.good.example")},
			[]string{"cursor://evil.example/x", "app:/x", "vnd.example:/x", "http://evil.example/"},
			[]string{"com.example.app:/x", "com.example.app-callback:/x", "http://127.0.0.1/x"}},
		{"RedirectHosts, and a scheme by name", "policy.redirect_hosts", []policy.Rule{policy.RedirectHosts("*.good.example"), policy.RedirectSchemes("https", "cursor", "claude", "http")},
			[]string{"http://evil.example/x"}, []string{"cursor://anysphere.cursor-mcp/oauth/callback"}},
		{"a scheme by name, and RedirectHosts", "policy.redirect_hosts", []policy.Rule{policy.RedirectSchemes("https", "cursor", "claude", "http"), policy.RedirectHosts("*.good.example")},
			[]string{"http://evil.example/x"}, []string{"cursor://anysphere.cursor-mcp/oauth/callback"}},
		{"RedirectSchemes", "policy.redirect_schemes", []policy.Rule{policy.RedirectSchemes("HTTPS", "Cursor")},
			[]string{"claude:/x", "com.example.app:/x", "http://127.0.0.1/x"}, []string{"cursor:/x"}},
		{"HTTPSOnly", "policy.https_only", []policy.Rule{policy.HTTPSOnly()},
			[]string{"cursor:/x", "com.example.app:/x", "http://127.0.0.1/x"}, nil},
		{"ReverseDomainSchemes", "policy.reverse_domain_schemes", []policy.Rule{policy.ReverseDomainSchemes()},
			[]string{"cursor:/x", "vnd.example:/x"}, []string{"com.example.app:/x", "edu.kit.data.oidc-agent:/x", "myapp.callback:/x"}},
		{"ReverseDomainSchemes, with a list", "policy.reverse_domain_schemes", []policy.Rule{policy.ReverseDomainSchemes(suffixes{})},
			[]string{"cursor:/x", "vnd.example:/x", "myapp.callback:/x", "uk.co:/x", "io.github:/x"},
			[]string{"com.example.app:/x", "edu.kit.data.oidc-agent:/x", "uk.co.example:/x", "io.github.someone:/x"}},
	} {
		v := policy.Stack(sendingServer(), r.rules...)
		for _, d := range destinations {
			for i, uri := range append(r.refused, r.accepted...) {
				want := ""
				if i < len(r.refused) && d.back {
					want = r.id
				}
				if !d.back && d.member != "credential_offer_endpoint" || strings.HasPrefix(uri, "http") && d.member != "redirect_uris" {
					continue // the core accepts none of these there
				}
				if got := refusedBy(t, v, sends(d.member, d.list, uri)); got != twice(want) {
					t.Errorf("%s: %s %s is refused by %q, want %q", r.name, d.member, uri, got, want)
				}
			}
			if got := refusedBy(t, v, sends(d.member, d.list, "jnlp://evil.example/x")); got[0] == "" || got[1] == "" {
				t.Errorf("%s: %s may be jnlp:", r.name, d.member)
			}
		}
	}
	loopback := policy.Stack(sendingServer(), policy.LoopbackOnly())
	for _, d := range destinations[:3] {
		request := with(goodClient, object{"redirect_uris": []string{"http://127.0.0.1/cb"}})
		if d.member != "redirect_uris" {
			request[d.member] = []string{"https://app.good.example/"}
			if _, err := judge(t, loopback, request, nil); err == nil {
				t.Errorf("LoopbackOnly lets %s lead to another machine", d.member)
			}
			request[d.member] = []string{"http://127.0.0.1/out"}
		}
		if _, err := judge(t, loopback, request, nil); err != nil {
			t.Errorf("LoopbackOnly: %s: %v", d.member, err)
		}
	}
}

// suffixes is a list of public suffixes that, like those in the field, has one
// for every name: if no rule matches, the last label.
type suffixes struct{}

func (suffixes) PublicSuffix(domain string) string {
	for _, suffix := range []string{"co.uk", "github.io"} {
		if domain == suffix || strings.HasSuffix(domain, "."+suffix) {
			return suffix
		}
	}
	return domain[strings.LastIndexByte(domain, '.')+1:]
}

func (suffixes) String() string { return "a short list" }

// Strict presets accept only reversed domains as schemes of applications.
func TestStrictPresetsNarrowSchemes(t *testing.T) {
	server := sendingServer()
	for name, v := range map[string]dcr.Validator{"OIDC": policy.OIDC(server), "FAPI2": policy.FAPI2(server), "Matrix": policy.Matrix(server)} {
		for _, member := range []string{"redirect_uris", "post_logout_redirect_uris", "claims_redirect_uris"} {
			request := with(goodClient, object{
				"application_type": "native", "client_uri": "https://app.good.example/",
				"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.good.example/jwks",
			})
			if _, err := judge(t, v, request, nil); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			request[member] = []string{"https://app.good.example/cb", "cursor://evil.example/x"}
			if _, err := judge(t, v, request, nil); err == nil {
				t.Errorf("%s accepts cursor: for %s", name, member)
			}
		}
	}
}

func TestWarningsSayWhatRedirectHostsLeavesOpen(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []policy.Rule
		warns bool
	}{
		{"only hosts", []policy.Rule{policy.RedirectHosts("good.example"), policy.RequirePKCE()}, true},
		{"schemes before", []policy.Rule{policy.RedirectSchemes("https"), policy.RequirePKCE(), policy.RedirectHosts("good.example")}, false},
		{"https before", []policy.Rule{policy.HTTPSOnly(), policy.RedirectHosts("good.example")}, false},
		{"loopback before", []policy.Rule{policy.LoopbackOnly(), policy.RedirectHosts("good.example")}, false},
		{"domains before", []policy.Rule{policy.ReverseDomainSchemes(), policy.RedirectHosts("good.example")}, false},
	} {
		h, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: endpoint, Validator: policy.Stack(openServer, c.rules...)})
		if err != nil {
			t.Fatal(err)
		}
		if warnings := fmt.Sprint(h.Warnings()); strings.Contains(warnings, "policy.redirect_hosts does not restrict") != c.warns {
			t.Errorf("%s: %s", c.name, warnings)
		}
	}
}

// An entry that could never match is refused at the start.
func TestRulesPanicOnWhatNeverMatches(t *testing.T) {
	for name, build := range map[string]func(entry string){
		"RedirectHosts": func(entry string) { policy.RedirectHosts("good.example", entry) },
		"Deny":          func(entry string) { policy.Deny(policy.DenyList{Hosts: []string{entry}}) },
		"ReservedNames": func(entry string) { policy.ReservedNames(map[string][]string{"Good": {entry}}) },
	} {
		for _, entry := range []string{
			"b\u00FCcher.example", "*.b\u00FCcher.example", "evil\u3002example", "", "*", "*evil.example", "*.*.example", ".evil.example", "evil.example.",
			"https://evil.example", "evil.example/", "evil.example:8443", "evil.example?x", "evil.example#x", "x@evil.example", "[::1", "127.1", "*.192.0.2.1", "*.[::1]", "*.::1", "\u212Aey.example",
		} {
			if !panics(func() { build(entry) }) {
				t.Errorf("%s takes %+q", name, entry)
			}
		}
		for _, entry := range []string{"Evil.example", "*.evil.example", "xn--bcher-kva.example", "localhost", "192.0.2.1", "2001:db8::1", "[2001:db8:0::1]"} {
			if panics(func() { build(entry) }) {
				t.Errorf("%s does not accept %q", name, entry)
			}
		}
	}
	for _, entry := range []string{"", "https:", "cursor://", "b\u00FCcher", "1app", "jnlp", "javascript", "my_app", "com.example."} {
		if !panics(func() { policy.RedirectSchemes("https", entry) }) {
			t.Errorf("RedirectSchemes takes %+q", entry)
		}
	}
	for _, entry := range []string{"", " ", "\u200B", "\u00A0\u0301"} {
		if !panics(func() { policy.Deny(policy.DenyList{ClientNames: []string{entry}}) }) || !panics(func() { policy.ReservedNames(map[string][]string{entry: nil}) }) {
			t.Errorf("a list of names accepts %+q", entry)
		}
	}
	for _, entry := range []string{"", "https:", "cursor://", "b\u00FCcher", "1app", "my_app", " jnlp", "\u212Aey"} {
		if !panics(func() { policy.Deny(policy.DenyList{Schemes: []string{"http", entry}}) }) {
			t.Errorf("Deny accepts %+q as a scheme", entry)
		}
	}
	for _, entry := range []string{"JNLP", "javascript", "com.example.app", "web+x"} {
		if panics(func() { policy.Deny(policy.DenyList{Schemes: []string{entry}}) }) {
			t.Errorf("Deny does not accept %q as a scheme", entry)
		}
	}
	if !panics(func() { policy.Deny(policy.DenyList{SoftwareIDs: []string{"evil", ""}}) }) {
		t.Error("Deny accepts an empty software_id")
	}
	if !panics(func() { policy.ReadableNames(nil) }) {
		t.Error("ReadableNames accepts nil")
	}
}

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}

// An address matches in every spelling, and a name in any case.
func TestHostsMatchInEverySpelling(t *testing.T) {
	for host, uri := range map[string]string{
		"2001:db8::1": "https://[2001:DB8:0:0::1]:8443/x", "[2001:db8:0::1]": "https://[2001:db8::1]/x", "EVIL.example": "https://evil.EXAMPLE/x",
		"xn--bcher-kva.example": "https://xn--bcher-kva.example/x",
	} {
		request := with(goodClient, object{"redirect_uris": []string{uri}})
		if _, err := judge(t, policy.Stack(openServer, policy.RedirectHosts(host)), request, nil); err != nil {
			t.Errorf("%s is not on %s: %v", uri, host, err)
		}
		if _, err := judge(t, policy.Stack(openServer, policy.Deny(policy.DenyList{Hosts: []string{host}})), request, nil); err == nil {
			t.Errorf("%s is not on the denied %s", uri, host)
		}
	}
}
