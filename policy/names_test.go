package policy_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
	"github.com/dynreg/dcr/policy"
)

// read has the members that people read: names, to which ReadableNames applies,
// and members that operators read.
var read = []struct {
	member, rule string
	name         bool
	value        func(text string) any
}{
	{"client_name", "client_name.characters", true, func(text string) any { return text }},
	{"client_name#fa", "client_name.characters", true, func(text string) any { return text }},
	{"organization_name", "organization_name.characters", true, func(text string) any { return text }},
	{"organization_name#fa", "organization_name.characters", true, func(text string) any { return text }},
	{"description#en", "description.characters", true, func(text string) any { return text }},
	{"slogan", "slogan.characters", true, func(text string) any { return object{"short": []string{"x", text}} }},
	{"contacts", "contacts.characters", false, func(text string) any { return []string{"a@example.com", text} }},
	{"software_id", "software_id.characters", false, func(text string) any { return text }},
	{"software_version", "software_version.characters", false, func(text string) any { return text }},
}

// readServer declares extension members that people read.
func readServer() dcr.DefaultValidator {
	return dcr.DefaultValidator{Extensions: append(extension.Federation(), dcr.NewField[map[string]any]("slogan").Localized())}
}

func TestReadableNames(t *testing.T) {
	anything := policy.ReadableNames(func(rune) bool { return true })
	letters := policy.ReadableNames(func(r rune) bool { return unicode.IsLetter(r) || r == ' ' })
	latin := policy.ReadableNames(func(r rune) bool { return r == ' ' || unicode.Is(unicode.Latin, r) || r == '\u202E' })
	for _, c := range []struct {
		name     string
		rules    []policy.Rule
		text     string
		accepted bool
	}{
		{"the switch", []policy.Rule{anything}, "a\u202Eb", true},
		{"letters", []policy.Rule{letters}, "Ünïcode по", true},
		{"a digit", []policy.Rule{letters}, "App 2", false},
		{"an override among letters", []policy.Rule{letters}, "a\u202Eb", false},
		{"two rules", []policy.Rule{letters, latin}, "App", true},
		{"two rules, of which only one allows it", []policy.Rule{letters, latin}, "по", false},
		{"the other way round", []policy.Rule{latin, letters}, "по", false},
		{"a name that only the switch allows", []policy.Rule{latin, letters}, "a\u202Eb", false},
		{"the switch does not widen another rule", []policy.Rule{letters, anything}, "App 2", false},
	} {
		v := policy.Stack(readServer(), c.rules...)
		base := object{"client_uri": "https://app.example/1", "information_uri": "https://app.example/2", "contacts": []string{"a@example.com"}, "software_version": "1.0"}
		for _, m := range read {
			if !m.name {
				continue
			}
			want := twice("")
			if !c.accepted {
				want = twice(m.rule)
			}
			request := with(goodClient, with(base, object{m.member: m.value(c.text)}))
			if got := refusedBy(t, v, request); got != want {
				t.Errorf("%s: %s is refused by %q, want %q", c.name, m.member, got, want)
			}
		}
		if got := refusedBy(t, v, with(goodClient, object{"software_id": "a\u202Eb"})); got != twice("software_id.characters") {
			t.Errorf("%s: software_id is refused by %q", c.name, got)
		}
	}
}

// disguises has names that readers mistake for Microsoft or Contoso Bank.
var disguises = []string{
	"Microsoft", "MICROSOFT", "My microsoft login", "Micr\u043Esoft", "\u041Cicr\u043E\u0455\u043Eft", "Micr\u03BFsoft", "M\u0456crosoft", "M\u0131crosoft",
	"Micro\u200Bsoft", "Micro\u00ADsoft", "Micro\u2060soft", "Micro\uFE0Fsoft", "Micro\u0301soft", "Micro\u200Dsoft", "Micro\u034Fsoft",
	"\uFF2D\uFF49\uFF43\uFF52\uFF4F\uFF53\uFF4F\uFF46\uFF54", "\u202Etfosorcim", "Micro\U000E0073soft",
	"\U0001D40C\U0001D422\U0001D41C\U0001D42B\U0001D428\U0001D42C\U0001D428\U0001D41F\U0001D42D", "Micr0soft", "rnicrosoft", "Mlcrosoft",
	"Contoso Bank", "Contoso\u00A0Bank", "Contoso  Bank", "Contoso\u3000\u2003Bank", "C\u043Ent\u043Es\u043E \u0412ank",
}

func TestDeniedNamesInDisguise(t *testing.T) {
	v := policy.Stack(readServer(), policy.Deny(policy.DenyList{ClientNames: []string{"Microsoft", "Contoso Bank"}}))
	for _, member := range []string{"client_name", "client_name#en"} {
		for _, name := range disguises {
			if got := refusedBy(t, v, with(goodClient, object{member: name})); got[0] == "" || got[0] != got[1] {
				t.Errorf("%s may be %+q: %q", member, name, got)
			}
		}
		for _, name := range []string{"Micro", "Miro", "Soft Micro", "Contoso", "Bank of Contoso", "マイクロ", "Софт"} {
			if got := refusedBy(t, v, with(goodClient, object{member: name})); got != twice("") {
				t.Errorf("%s may not be %+q: %q", member, name, got)
			}
		}
	}
}

func TestReservedNames(t *testing.T) {
	v := policy.Stack(readServer(), policy.ReservedNames(map[string][]string{
		"Microsoft": {"microsoft.com", "*.microsoft.com"}, "Contoso Bank": {"contoso.example"}, "Administrator": nil,
	}))
	to := func(redirects ...string) object { return object{"redirect_uris": redirects} }
	for _, c := range []struct {
		name, client string
		request      object
		refused      bool
	}{
		{"another name", "App", to("https://evil.example/cb"), false},
		{"its own host", "Microsoft Copilot", to("https://microsoft.com/cb"), false},
		{"hosts below it", "Microsoft", to("https://login.microsoft.com/cb", "https://microsoft.com:8443/cb"), false},
		{"another host", "Microsoft", to("https://evil.example/cb"), true},
		{"a host that only ends like it", "Microsoft", to("https://evilmicrosoft.com/cb"), true},
		{"one of two hosts", "Microsoft", to("https://microsoft.com/cb", "https://evil.example/cb"), true},
		{"the host of another name", "Microsoft", to("https://contoso.example/cb"), true},
		{"the names of two", "Microsoft Contoso Bank", to("https://contoso.example/cb"), true},
		{"this machine", "Microsoft", to("http://127.0.0.1/cb"), true},
		{"an application's scheme", "Microsoft", to("com.microsoft.app:/cb"), true},
		{"its host, and this machine", "Microsoft", to("https://microsoft.com/cb", "http://127.0.0.1/cb"), true},
		{"no redirect URI", "Microsoft", object{"redirect_uris": nil, "grant_types": []string{"client_credentials"}}, true},
		{"a name that belongs to no host", "administrator", to("https://microsoft.com/cb"), true},
	} {
		server := v
		if c.name == "no redirect URI" {
			machines := readServer()
			machines.Supports.GrantTypes = []string{"authorization_code", "refresh_token", "client_credentials"}
			server = policy.Stack(machines, policy.ReservedNames(map[string][]string{"Microsoft": {"microsoft.com"}}))
		}
		want := twice("")
		if c.refused {
			want = twice("policy.reserved_names")
		}
		for _, member := range []string{"client_name", "client_name#en"} {
			if got := refusedBy(t, server, with(goodClient, with(c.request, object{"client_name": nil, member: c.client}))); got != want {
				t.Errorf("%s: %s %q is refused by %q, want %q", c.name, member, c.client, got, want)
			}
		}
	}
	for _, name := range disguises {
		if got := refusedBy(t, v, with(goodClient, object{"client_name": name})); got[0] == "" || got[0] != got[1] {
			t.Errorf("a stranger may be called %+q: %q", name, got)
		}
	}
}

// The host of a client's document vouches for its name, wherever it redirects
// to.
func TestReservedNamesOfDocuments(t *testing.T) {
	v := policy.Stack(dcr.DefaultValidator{}, policy.ReservedNames(map[string][]string{"Claude": {"claude.ai"}}))
	for id, accepted := range map[string]bool{"https://claude.ai/oauth/client.json": true, "https://evil.example/claude.ai": false} {
		client := dcr.NewClient()
		client.ID, client.Source = id, "document"
		reg := &dcr.Registration{Client: client, Request: &dcr.Request{Metadata: dcr.Metadata{
			ClientName: "Claude Code", RedirectURIs: []string{"http://localhost/callback"}, TokenEndpointAuthMethod: "client_secret_basic",
		}}}
		if err := dcr.Validate(t.Context(), v, reg); (err == nil) != accepted {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestSameHostVouches(t *testing.T) {
	const page = "https://bank.example/logo"
	for _, c := range []struct {
		name      string
		redirects []string
		page      string
		vouched   bool
	}{
		{"the one host", []string{"https://bank.example/cb"}, page, true},
		{"the one host of two redirects, on any port", []string{"https://bank.example/cb", "https://bank.example:8443/cb"}, page, true},
		{"one of two hosts", []string{"https://evil.example/cb", "https://bank.example/unused"}, page, false},
		{"and this machine", []string{"https://bank.example/unused", "http://127.0.0.1/cb"}, page, false},
		{"and an application's scheme", []string{"https://bank.example/unused", "com.evil.app:/cb"}, page, false},
		{"only this machine", []string{"http://127.0.0.1/cb"}, page, false},
		{"only an application's scheme", []string{"com.example.bank:/cb"}, page, false},
		{"a single label", []string{"https://bank/cb"}, "https://bank/logo", false},
		{"a public suffix", []string{"https://github.io/cb"}, "https://github.io/logo", false},
		{"a host below a public suffix", []string{"https://me.github.io/cb"}, "https://me.github.io/logo", true},
	} {
		for _, member := range []string{"client_uri", "logo_uri", "tos_uri", "policy_uri", "logo_uri#de"} {
			request := with(goodClient, object{"redirect_uris": c.redirects, member: c.page})
			want := twice("")
			if !c.vouched {
				want = twice("policy.same_host")
			}
			if got := refusedBy(t, policy.Stack(openServer, policy.SameHost(policy.Refuse, suffixes{})), request); got != want {
				t.Errorf("%s: %s is refused by %q, want %q", c.name, member, got, want)
			}
			client, err := judge(t, policy.Stack(openServer, policy.SameHost(policy.Drop, suffixes{})), request, nil)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			encoded, _ := client.Metadata.MarshalJSON()
			if strings.Contains(string(encoded), `"`+member+`"`) != c.vouched {
				t.Errorf("%s: %s: %s", c.name, member, encoded)
			}
		}
	}
}

func TestMatrixAsksForPublicSuffixes(t *testing.T) {
	request := func(clientURI, redirect, logo string) object {
		return object{"client_uri": clientURI, "redirect_uris": []string{redirect}, "logo_uri": logo}
	}
	for _, c := range []struct {
		name     string
		v        dcr.Validator
		request  object
		accepted bool
	}{
		{"a public suffix, with a list", policy.Matrix(dcr.DefaultValidator{}, suffixes{}), request("https://github.io", "https://me.github.io/cb", "https://other.github.io/logo"), false},
		{"only a public suffix, with a list", policy.Matrix(dcr.DefaultValidator{}, suffixes{}), request("https://github.io", "https://github.io/cb", "https://github.io/logo"), false},
		{"a top-level domain, with a list", policy.Matrix(dcr.DefaultValidator{}, suffixes{}), request("https://com", "https://com/cb", "https://com/logo"), false},
		{"a host in the server's own network (matrix-authentication-service#2076)", policy.Matrix(dcr.DefaultValidator{}, suffixes{}), request("https://our-domain", "https://our-domain/cb", "https://our-domain/logo"), true},
		{"a single label, without a list", policy.Matrix(dcr.DefaultValidator{}), request("https://com", "https://com/cb", "https://com/logo"), false},
		{"a host below a public suffix, with a list", policy.Matrix(dcr.DefaultValidator{}, suffixes{}), request("https://me.github.io", "https://app.me.github.io/cb", "https://me.github.io:8443/logo"), true},
		{"a public suffix below the host", policy.Matrix(dcr.DefaultValidator{}, suffixes{}), request("https://uk", "https://evil.co.uk/cb", "https://evil.co.uk/logo"), false},
		{"nil is not a list", policy.Matrix(dcr.DefaultValidator{}, nil), request("https://github.io", "https://me.github.io/cb", "https://github.io/logo"), true},
	} {
		if _, err := judge(t, c.v, c.request, nil); (err == nil) != c.accepted {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
