package spec_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dynreg/dcr"
)

// What a consent page says.
const (
	unknownAnswer = "The answer would go to an address that is not known to be this application's. Do not go on."
	anyProgram    = "Any program on this computer could be asking under this name. Go on only if you have just started it yourself."
	notReviewed   = "Nobody here has reviewed this application."
)

// registeredApp returns webApp as a caller registered it, with redirect URIs.
func registeredApp(redirects ...string) *dcr.Client {
	c, _ := webApp()
	c.ClientName, c.Source, c.RegisteredBy, c.CreatedAt, c.RedirectURIs = "My App", dcr.SourceDynamic, "alice", noon, redirects
	return c
}

// publishedApp returns a client with a metadata document.
func publishedApp(id string, redirects ...string) *dcr.Client {
	c := registeredApp(redirects...)
	c.ID, c.Source, c.RegisteredBy, c.TokenEndpointAuthMethod = id, dcr.SourceDocument, "", "none"
	return c
}

func TestConsentView(t *testing.T) {
	c := registeredApp(ownRedirect)
	c.PolicyURI, c.TOSURI, c.ClientURI, c.LogoURI = "https://app.example.com/policy", "https://app.example.com/tos", "https://app.example.com", "https://img.example.com:8443/logo.png"
	want := dcr.ConsentView{
		Name: "My App", Identity: "app.example.com", RedirectHost: "app.example.com", Trust: dcr.TrustCaller, Vouched: "alice", Since: noon,
		PolicyURI: c.PolicyURI, TOSURI: c.TOSURI, ClientURI: c.ClientURI,
	}
	if got := c.ConsentView(dcr.ConsentOptions{}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	want.LogoURI, want.ImageSources = c.LogoURI, []string{"https://img.example.com:8443"}
	if got := c.ConsentView(dcr.ConsentOptions{RedirectURI: ownRedirect, Logos: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("with logos: %+v", got)
	}
	if got := (&dcr.Client{}).ConsentView(dcr.ConsentOptions{Logos: true}); !reflect.DeepEqual(got, dcr.ConsentView{Trust: dcr.TrustHost}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestConsentViewSaysWhoAsks(t *testing.T) {
	const document = "https://claude.example/oauth/client.json"
	expanding := "https://app.example.com.login.contoso.example." + strings.Repeat("a", 60) + ".evil.example/cb"
	for _, tt := range []struct {
		sentence                     string
		client                       *dcr.Client
		redirect, identity, answerTo string
		warnings                     []string
	}{
		{"the host of the redirect", registeredApp(ownRedirect), ownRedirect, "app.example.com", "app.example.com", nil},
		{"the only redirect if none is named", registeredApp("https://app.example.com:8443/cb"), "", "app.example.com", "app.example.com", nil},
		{"every host once, in order", registeredApp("https://b.example/1", "https://a.example/", "https://b.example/2"), "https://a.example/", "b.example, a.example", "a.example", nil},
		{"no redirect if several are registered and none is named", registeredApp("https://b.example/", "https://a.example/"), "", "b.example, a.example", "", nil},
		{"the whole of a long host", registeredApp(expanding), "", strings.TrimSuffix(strings.TrimPrefix(expanding, "https://"), "/cb"), strings.TrimSuffix(strings.TrimPrefix(expanding, "https://"), "/cb"), nil},
		{"a host in its xn-- form", registeredApp("https://xn--bcher-kva.example/"), "", "xn--bcher-kva.example", "xn--bcher-kva.example", nil},
		{"this computer for loopback", registeredApp("http://127.0.0.1/cb"), "http://127.0.0.1/cb", "this computer", "this computer", []string{anyProgram}},
		{"in each of its forms", registeredApp("http://localhost/", "http://[::1]/", "https://localhost/"), "", "this computer", "", []string{anyProgram}},
		{"the private-use scheme of an application", registeredApp("com.example.app:/cb"), "", "this computer", "com.example.app", []string{anyProgram}},
		{"whatever host is in it", registeredApp("com.example.app://claude.example/cb"), "", "this computer", "com.example.app", []string{anyProgram}},
		{"one of its redirects leads to this computer, and it is the requested one", registeredApp("https://app.example/", "http://localhost/"), "http://localhost/", "app.example, this computer", "this computer", []string{anyProgram}},
		{"one does, and another one is requested", registeredApp("http://localhost/", "https://app.example/"), "https://app.example/", "this computer, app.example", "app.example", nil},
		{"a redirect without TLS", registeredApp("http://app.example/"), "", "app.example", "app.example", []string{"The answer goes to app.example without encryption, and others on the way can read it."}},
		{"an address", registeredApp("https://[2001:db8::1]/"), "", "2001:db8::1", "2001:db8::1", nil},

		{"a redirect that it did not register", registeredApp(ownRedirect), "https://evil.example/cb", "app.example.com", "", []string{unknownAnswer}},
		{"a similar one", registeredApp(ownRedirect), ownRedirect + "/2", "app.example.com", "", []string{unknownAnswer}},
		{"a redirect that cannot be read", registeredApp("javascript:alert(1)"), "", "app-1", "", []string{unknownAnswer}},
		{"even if it is registered", registeredApp("javascript:alert(1)"), "javascript:alert(1)", "app-1", "", []string{unknownAnswer}},
		{"its id if it has no redirect", registeredApp(), "", "app-1", "", nil},
		{"a redirect that it may not push", registeredApp(), ownRedirect, "app-1", "", []string{unknownAnswer}},
		{"one that it may", func() *dcr.Client { c := registeredApp(); mustPush(c); return c }(), ownRedirect, "app-1", "app.example.com", nil},

		{"the host of a document", publishedApp(document, "https://claude.example/cb"), "", "claude.example", "claude.example", []string{notReviewed}},
		{"whatever its redirects are", publishedApp(document, "http://localhost/callback"), "http://localhost:5000/callback", "claude.example", "this computer", []string{anyProgram, notReviewed}},
		{"a redirect below the host of the document", publishedApp(document, "https://app.claude.example/"), "", "claude.example", "app.claude.example", []string{notReviewed}},
		{"a redirect elsewhere", publishedApp(document, "https://notclaude.example/"), "", "claude.example", "notclaude.example", []string{"The answer goes to notclaude.example, not to claude.example.", notReviewed}},
	} {
		got := tt.client.ConsentView(dcr.ConsentOptions{RedirectURI: tt.redirect})
		if got.Identity != tt.identity || got.RedirectHost != tt.answerTo || !slices.Equal(got.Warnings, tt.warnings) {
			t.Errorf("%s: got %+v", tt.sentence, got)
		}
	}
}

func TestConsentViewSaysWhoVouches(t *testing.T) {
	change := func(c *dcr.Client, change func(c *dcr.Client)) *dcr.Client { change(c); return c }
	statement := func(c *dcr.Client) { c.Statement = &dcr.StatementRecord{Issuer: "https://directory.example\u202e"} }
	for _, tt := range []struct {
		sentence string
		client   *dcr.Client
		trust    dcr.Trust
		vouched  string
		reviewed bool
	}{
		{"a stranger", change(registeredApp(ownRedirect), func(c *dcr.Client) { c.RegisteredBy = "" }), dcr.TrustStranger, "", false},
		{"a caller", registeredApp(ownRedirect), dcr.TrustCaller, "alice", true},
		{"a statement", change(registeredApp(ownRedirect), statement), dcr.TrustStatement, "https://directory.example", true},
		{"a statement of a stranger", change(registeredApp(ownRedirect), func(c *dcr.Client) { statement(c); c.RegisteredBy = "" }), dcr.TrustStatement, "https://directory.example", true},
		{"a document", publishedApp("https://claude.example:8443/c.json", "https://claude.example/"), dcr.TrustDocument, "claude.example", false},
		{"the host", change(registeredApp(ownRedirect), func(c *dcr.Client) { c.Source = "console" }), dcr.TrustHost, "", true},
		{"the host, without a source", change(registeredApp(ownRedirect), func(c *dcr.Client) { c.Source = "" }), dcr.TrustHost, "", true},
	} {
		got := tt.client.ConsentView(dcr.ConsentOptions{})
		if got.Trust != tt.trust || got.Vouched != tt.vouched || slices.Contains(got.Warnings, notReviewed) == tt.reviewed {
			t.Errorf("%s: got %+v", tt.sentence, got)
		}
	}
}

func TestConsentViewShowsPlainNames(t *testing.T) {
	for name, want := range map[string]string{
		"My App": "My App", "クライアント 🚀": "クライアント 🚀", "": "",
		"<b>\"&</b>":                 "<b>\"&</b>", // the page escapes it
		" a\t\n\u00a0\u2028\u3000b ": "a b",
		"Micro\u200b\u200d\u2060\ufeff\u00ad\u034f\ufe0fsoft": "Microsoft",
		"\u202etfosorciM\u2066\u200e\u061c":                   "tfosorciM",
		"a\x00\x1b[31m\u0085\u009fb":                          "a[31m b",
		"a\u3164\u115f\uffa0b\u2800c":                         "ab c",
		"a\U000E0062\ue000\U0010ffff\ufff9b\xff\ufffd":        "ab",
		"\u0301e\u0301" + strings.Repeat("\u0336", 40) + "a":  "e\u0301\u0336\u0336\u0336a",
		strings.Repeat("ä", 100):                              strings.Repeat("ä", 100),
		strings.Repeat("ä", 101):                              strings.Repeat("ä", 99) + "…",
		strings.Repeat("\u200b", 200) + "a":                   "a",
		strings.Repeat("a", 98) + " bc":                       strings.Repeat("a", 98) + "…",
	} {
		c := registeredApp(ownRedirect)
		c.ClientName = name
		if got := c.ConsentView(dcr.ConsentOptions{}).Name; got != want {
			t.Errorf("%+q is shown as %+q, not %+q", name, got, want)
		}
	}
}

func FuzzConsentView(f *testing.F) {
	f.Add("Micro\u200bsoft", "https://app.example.com/cb", "de-CH")
	f.Add("\u202e", "com.example.app:/cb", "x-")
	f.Fuzz(func(t *testing.T, name, redirect, language string) {
		c := registeredApp(redirect)
		c.ClientName, c.Localized = name, map[string]string{"client_name#" + language: name + name}
		got := c.ConsentView(dcr.ConsentOptions{Languages: []string{language}, Reserved: map[string][]string{name: nil}})
		if utf8.RuneCountInString(got.Name) > 100 || strings.ContainsAny(got.Name, "\x00\n\u200b\u202e\u2066\u00ad") || !utf8.ValidString(got.Name) {
			t.Errorf("%+q is shown as %+q", name, got.Name)
		}
		if got.RedirectHost == "" && !slices.Contains(got.Warnings, unknownAnswer) {
			t.Errorf("%q is unknown, and there is no warning", redirect)
		}
	})
}

func TestConsentViewIsInTheLanguageOfThePerson(t *testing.T) {
	c := registeredApp(ownRedirect)
	c.ClientName = "App"
	c.Localized = map[string]string{
		"client_name#de": "Anwendung", "client_name#de-CH": "Aawändig", "client_name#zh-Hant": "應用", "client_name#pt-BR": "Aplicativo", "client_name#fr": "\u200b",
		"policy_uri#DE": "https://app.example.com/de", "tos_uri#de": "http://app.example.com/de",
	}
	for _, tt := range []struct{ languages, want string }{
		{"", "App"}, {"de", "Anwendung"}, {"DE-at", "Anwendung"}, {"de-ch", "Aawändig"}, {"de-CH-1996-x-a", "Aawändig"},
		{"zh-Hant-TW", "應用"}, {"zh-Hans", "App"}, {"pt", "Aplicativo"}, {"pt-PT", "App"}, {"it de", "Anwendung"}, {"d", "App"}, {"fr", "App"}, {"* -", "App"},
	} {
		if got := c.ConsentView(dcr.ConsentOptions{Languages: strings.Fields(tt.languages)}).Name; got != tt.want {
			t.Errorf("in %q: %q, not %q", tt.languages, got, tt.want)
		}
	}
	if got := c.ConsentView(dcr.ConsentOptions{Languages: []string{"de"}}); got.PolicyURI != "https://app.example.com/de" || got.TOSURI != "" {
		t.Errorf("pages: %+v", got)
	}
	c.ClientName = ""
	if got := c.ConsentView(dcr.ConsentOptions{}).Name; got != "Anwendung" {
		t.Errorf("without a language, and without such a name: %q", got)
	}
}

func TestConsentViewLinksToWebPagesAlone(t *testing.T) {
	for page, want := range map[string]string{
		"https://app.example.com/p?q#f": "https://app.example.com/p?q#f", "https://xn--bcher-kva.example/": "https://xn--bcher-kva.example/",
		"http://app.example.com/": "", "javascript:alert(1)": "", "data:text/html,x": "", "https://user@app.example.com/": "", "https:app.example.com": "",
		"com.example.app:/": "", "/relative": "", "https://localhost/": "", "https://app.example.com/\u202e": "", "https://app.example.com/\n": "", " https://app.example.com/": "",
		"https://app.example.com/;script-src *": "", "https://app.example.com/\"onload=": "",
	} {
		c := registeredApp(ownRedirect)
		c.PolicyURI, c.TOSURI, c.ClientURI, c.LogoURI = page, page, page, page
		got := c.ConsentView(dcr.ConsentOptions{Logos: true})
		if got.PolicyURI != want || got.TOSURI != want || got.ClientURI != want || got.LogoURI != want || (len(got.ImageSources) == 1) != (want != "") {
			t.Errorf("%q: %+v", page, got)
		}
	}
	c := registeredApp(ownRedirect)
	c.LogoURI = "https://[2001:db8::1]/logo" // which a Content-Security-Policy cannot name
	if got := c.ConsentView(dcr.ConsentOptions{Logos: true}); got.LogoURI != "" || got.ImageSources != nil {
		t.Errorf("an address: %+v", got)
	}
}

// The names are those of policy.ReservedNames, whose test checks what looks
// alike.
func TestConsentViewWarnsOfReservedNames(t *testing.T) {
	reserved := map[string][]string{"Microsoft": {"microsoft.com", "*.Microsoft.com"}, "Contoso Bank": {"contoso.example"}, "Administrator": nil, "\u200b": nil, "Fabrikam": {"no host"}}
	const used, alike, of = `It uses the name "Microsoft", `, `Its name looks like "Microsoft", `, "which belongs to microsoft.com, *.Microsoft.com"
	for _, tt := range []struct {
		name   string
		client *dcr.Client
		want   []string
	}{
		{"Another", registeredApp("https://evil.example/cb"), nil},
		{"My MICROSOFT login", registeredApp("https://evil.example/cb"), []string{used + of + "."}},
		{"Micro\u200bsoft", registeredApp("https://evil.example/cb"), []string{used + of + "."}},
		{"Micr\u043esoft", registeredApp("https://evil.example/cb"), []string{alike + of + ", but is spelled differently."}},
		{"rnicrosoft", registeredApp("https://evil.example/cb"), []string{alike + of + ", but is spelled differently."}},
		{"Microsoft", registeredApp("https://microsoft.com/cb", "https://evil.example/cb"), []string{used + of + "."}},
		{"Microsoft", registeredApp("https://login.microsoft.com/cb"), nil},
		{strings.Repeat("a", 200) + "Microsoft", registeredApp("https://evil.example/cb"), []string{used + of + "."}},
		{"Microsoft Contoso Bank", registeredApp("https://contoso.example/cb"), []string{used + of + "."}},
		{"Administrator", registeredApp("https://microsoft.com/cb"), []string{`It uses the name "Administrator", which is nobody's.`}},
		{"Fabrikam", registeredApp("https://fabrikam.example/cb"), []string{`It uses the name "Fabrikam", which belongs to no host.`}},
		{"Microsoft", publishedApp("https://microsoft.com/client", "https://vscode.dev/cb"), []string{"The answer goes to vscode.dev, not to microsoft.com.", notReviewed}},
	} {
		tt.client.ClientName = tt.name
		if got := tt.client.ConsentView(dcr.ConsentOptions{Reserved: reserved}).Warnings; !slices.Equal(got, tt.want) {
			t.Errorf("%q of %v: %q", tt.name, tt.client.RedirectURIs, got)
		}
	}
	c := registeredApp("https://evil.example/cb")
	c.ClientName, c.Localized = "App", map[string]string{"client_name#de": "Microsoft"}
	if len(c.ConsentView(dcr.ConsentOptions{Reserved: reserved}).Warnings) != 0 || len(c.ConsentView(dcr.ConsentOptions{Reserved: reserved, Languages: []string{"de"}}).Warnings) != 1 {
		t.Error("the name that is shown is the one that counts")
	}
}

func TestSinceIsTheFirstTime(t *testing.T) {
	c := registeredApp(ownRedirect)
	c.Touch(noon.Add(time.Hour))
	if got := c.ConsentView(dcr.ConsentOptions{}).Since; !got.Equal(noon) {
		t.Errorf("since %v", got)
	}
}

func TestIsAt(t *testing.T) {
	const document = "https://claude.example/oauth/client.json"
	for _, tt := range []struct {
		sentence string
		client   *dcr.Client
		hosts    string
		want     bool
	}{
		{"its host", registeredApp("https://app.example.com:8443/cb"), "APP.example.com", true},
		{"its hosts", registeredApp("https://a.example/", "http://b.example/"), "b.example a.example", true},
		{"one of its hosts", registeredApp("https://a.example/", "https://b.example/"), "a.example", false},
		{"a host above", registeredApp(ownRedirect), "example.com", false},
		{"the hosts below it", registeredApp(ownRedirect), "*.example.com", true},
		{"but not itself", registeredApp("https://example.com/"), "*.example.com", false},
		{"nor one that only ends like it", registeredApp("https://evilexample.com/"), "*.example.com", false},
		{"an address", registeredApp("https://[2001:DB8::1]/"), "2001:db8:0::1", true},
		{"the person's machine", registeredApp("http://localhost/"), "localhost", false},
		{"that machine as well", registeredApp(ownRedirect, "http://127.0.0.1/"), "app.example.com", false},
		{"a scheme of its own", registeredApp("com.example.app://app.example.com/"), "app.example.com", false},
		{"no redirect", registeredApp(), "app.example.com", false},
		{"no host", registeredApp(ownRedirect), "https://app.example.com app.example.com/ * *.*", false},
		{"nothing", registeredApp(ownRedirect), "", false},
		{"the host of its document", publishedApp(document, "http://localhost/"), "claude.example", true},
		{"its redirects, if the document is elsewhere", publishedApp(document, ownRedirect), "app.example.com", true},
		{"an id that is not a document", func() *dcr.Client { c := registeredApp("http://localhost/"); c.ID = document; return c }(), "claude.example", false},
	} {
		if got := tt.client.IsAt(strings.Fields(tt.hosts)); got != tt.want {
			t.Errorf("%s: %t", tt.sentence, got)
		}
	}
}
