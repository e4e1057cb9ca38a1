package spec_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

const (
	codeFlow     = `"grant_types":["authorization_code"],"response_types":["code"]`
	implicitFlow = `"grant_types":["implicit"],"response_types":["id_token"]`
	hybridFlow   = `"grant_types":["implicit","authorization_code"],"response_types":["code id_token"]`
)

// One redirect URI of each kind.
const (
	secure   = "https://rp.example.com/cb"
	local    = "http://127.0.0.1:8080/cb"
	remote   = "http://rp.example.com/cb"
	app      = "com.example.app:/cb"
	dotless  = "cursor://anysphere.cursor-mcp/oauth/callback"
	localTLS = "https://localhost:8443/cb"
)

// redirecting returns a request of an application of this type; "" means no
// type.
func redirecting(application, flow string, redirects ...string) string {
	if application != "" {
		application = `"application_type":"` + application + `",`
	}
	return `{` + application + flow + `,"redirect_uris":` + encode(redirects) + `}`
}

// The table of redirect kinds: what each application_type may register.
func TestRedirectKinds(t *testing.T) {
	start(t, hybrid).judge(t, []wireCase{
		{sentence: "https, type absent: web (OIDCR §2)", request: redirecting("", codeFlow, secure), answer: `{"application_type":"web"}`},
		{sentence: "https, web", request: redirecting("web", codeFlow, secure), answer: `{"application_type":"web"}`},
		{sentence: "https, native: claimed https (RFC 8252 §7.2)", request: redirecting("native", codeFlow, secure), answer: `{"application_type":"native"}`},
		{sentence: "https, web, implicit", request: redirecting("web", implicitFlow, secure)},
		{sentence: "http loopback, type absent: native", request: redirecting("", codeFlow, local), answer: `{"application_type":"native"}`},
		{sentence: "http loopback, web, code flow", request: redirecting("web", codeFlow, local), answer: `{"application_type":"web"}`},
		{sentence: "http loopback, native (RFC 8252 §7.3)", request: redirecting("native", codeFlow, local)},
		{sentence: "http loopback, native, implicit", request: redirecting("native", implicitFlow, local)},
		{sentence: "http loopback, web, implicit (OIDCR §2)", request: redirecting("web", implicitFlow, local), code: dcrRedirect, says: "redirect_uris[0] must use https"},
		{sentence: "http loopback, web, hybrid (OIDCR §2)", request: redirecting("web", hybridFlow, local), code: dcrRedirect, says: "redirect_uris[0]"},
		{sentence: "http localhost, type absent: native", request: redirecting("", codeFlow, "http://localhost:3000/cb"), answer: `{"application_type":"native"}`},
		{sentence: "http [::1], native", request: redirecting("native", codeFlow, "http://[::1]/cb")},
		{sentence: "http LOCALHOST is localhost", request: redirecting("native", codeFlow, "http://LOCALHOST/cb"), answer: `{"redirect_uris":["http://LOCALHOST/cb"]}`},
		{sentence: "remote http, type absent", request: redirecting("", codeFlow, remote), code: dcrRedirect, says: "must use https unless it leads to 127.0.0.1"},
		{sentence: "remote http, web", request: redirecting("web", codeFlow, remote), code: dcrRedirect, says: "must use https"},
		{sentence: "remote http, web, implicit", request: redirecting("web", implicitFlow, remote), code: dcrRedirect},
		{sentence: "remote http, native (OIDCR §2)", request: redirecting("native", codeFlow, remote), code: dcrRedirect},
		{sentence: "private-use scheme, type absent: native", request: redirecting("", codeFlow, app), answer: `{"application_type":"native"}`},
		{sentence: "private-use scheme, native (RFC 8252 §7.1)", request: redirecting("native", codeFlow, app)},
		{sentence: "private-use scheme, web", request: redirecting("web", codeFlow, app), code: dcrRedirect, says: "application_type native"},
		{sentence: "private-use scheme without a dot and with an authority, type absent", request: redirecting("", codeFlow, dotless), answer: `{"application_type":"native"}`},
		{sentence: "private-use scheme without a dot, native", request: redirecting("native", codeFlow, "myapp:callback")},
		{sentence: "private-use scheme without a dot, web", request: redirecting("web", codeFlow, dotless), code: dcrRedirect},
		{sentence: "https on localhost, type absent", request: redirecting("", codeFlow, localTLS), answer: `{"application_type":"web"}`},
		{sentence: "https on localhost, web, code flow", request: redirecting("web", codeFlow, localTLS)},
		{sentence: "https on localhost, web, implicit (OIDCR §2)", request: redirecting("web", implicitFlow, localTLS), code: dcrRedirect, says: "host other than localhost"},
		{sentence: "https on localhost, web, hybrid (OIDCR §2)", request: redirecting("web", hybridFlow, "https://localhost"), code: dcrRedirect},
		{sentence: "https on 127.0.0.1, web, implicit", request: redirecting("web", implicitFlow, "https://127.0.0.1/cb"), code: dcrRedirect},
		{sentence: "https on localhost, native", request: redirecting("native", codeFlow, localTLS), code: dcrRedirect},
		{sentence: "mixed kinds, type absent: each is judged by its kind", request: redirecting("", codeFlow, secure, local, app), answer: `{"application_type":"native"}`},
		{sentence: "mixed http and https on localhost, type absent", request: redirecting("", codeFlow, "http://localhost:3000/cb", localTLS), answer: `{"application_type":"web"}`},
		{sentence: "mixed kinds, native", request: redirecting("native", codeFlow, secure, local, app)},
		{sentence: "mixed kinds, web: the private-use one is refused, with its index", request: redirecting("web", codeFlow, secure, local, app), code: dcrRedirect, says: "redirect_uris[2]"},
		{sentence: "an unknown application_type", request: redirecting("mobile", codeFlow, secure), code: dcrMetadata, says: "application_type must be web or native"},
	})
}

func TestRedirectSwitches(t *testing.T) {
	start(t, hybrid, allowHTTP).judge(t, []wireCase{
		{sentence: "remote http, web, if the host allows it for confidential clients of the code flow", request: redirecting("web", codeFlow, remote)},
		{sentence: "remote http, type absent, likewise", request: redirecting("", codeFlow, remote), answer: `{"application_type":"web"}`},
		{sentence: "remote http, not for public clients", request: `{"token_endpoint_auth_method":"none","redirect_uris":["http://rp.example.com/cb"]}`, code: dcrRedirect},
		{sentence: "remote http, not with tokens in the browser", request: redirecting("web", hybridFlow, remote), code: dcrRedirect},
		{sentence: "remote http, not for native applications", request: redirecting("native", codeFlow, remote), code: dcrRedirect},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "without OpenID Connect, application_type is not returned unless it was sent", request: redirecting("", codeFlow, local, app), answer: `{"application_type":null}`},
		{sentence: "without OpenID Connect, application_type is judged anyway", request: redirecting("web", codeFlow, app), code: dcrRedirect},
		{sentence: "without OpenID Connect, application_type is returned if it was sent", request: redirecting("native", codeFlow, app), answer: `{"application_type":"native"}`},
		{sentence: "without OpenID Connect, mixed kinds are each judged by their kind", request: redirecting("", codeFlow, app, localTLS), answer: `{"application_type":null}`},
	})
	literal := func(v *dcr.DefaultValidator, _ *dcr.Options) { v.LiteralApplicationType = true }
	start(t, hybrid, literal).judge(t, []wireCase{
		{sentence: "by the letter of OIDCR §2, type absent is web", request: redirecting("", codeFlow, local), answer: `{"application_type":"web"}`},
		{sentence: "by the letter of OIDCR §2, an app scheme needs the type native", request: redirecting("", codeFlow, app), code: dcrRedirect},
	})
	start(t, `{}`, literal).judge(t, []wireCase{
		{sentence: "by the letter, without OpenID Connect, it is judged and not returned", request: redirecting("", codeFlow, secure), answer: `{"application_type":null}`},
		{sentence: "by the letter, without OpenID Connect, an app scheme is refused", request: redirecting("", codeFlow, app), code: dcrRedirect},
	})
}

func TestRefusedRedirectURIs(t *testing.T) {
	r := start(t, hybrid, allowHTTP)
	for _, c := range []struct {
		sentence  string
		redirects []string
	}{
		{"a fragment (RFC 6749 §3.1.2)", []string{"https://rp.example.com/cb#x", "https://rp.example.com?param=value#x", "com.example.app:/cb#x"}},
		{"an empty fragment", []string{"https://rp.example.com/cb#", "https://rp.example.com#"}},
		{"a relative or broken URI (RFC 6749 §3.1.2)", []string{"not-a-uri", "//rp.example.com/cb", "/cb", "rp.example.com/cb", "https:", "https://", "https:///cb", "https:/rp.example.com/cb", "https:rp.example.com/cb", ":", "https://rp.example.com:port/cb"}},
		{"a scheme that browsers run or show (RFC 7591 §5)", []string{"javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://rp.example.com/1", "about:blank", "view-source:https://rp.example.com"}},
		{"such a scheme in any case", []string{"JavaScript:alert(1)", "jAvAsCrIpT://rp.example.com/%0aalert(1)", "DATA:text/html,x", "VBScript:x"}},
		{"a scheme that belongs to someone else", []string{"ftp://rp.example.com/", "ws://rp.example.com/", "wss://rp.example.com/", "mailto:a@example.com", "intent://x#Intent;end", "ms-appx://x", "ms-appx-web://x", "urn:ietf:wg:oauth:2.0:oob"}},
		{"user information", []string{"https://user@rp.example.com/cb", "https://user:pass@rp.example.com/cb", "https://rp.example.com@evil.example/cb", "com.example.app://a@b/cb"}},
		{"white space and control characters", []string{" https://rp.example.com/cb", "https://rp.example.com/cb ", "https://rp.example.com/a b", "https://rp.example.com/\tcb", "https://rp.example.com/cb\n", "java\nscript:x", "https://rp.example.com/\u007f"}},
		{"backslashes", []string{`https://rp.example.com\@evil.example/`, `https:\\rp.example.com/cb`}},
		{"an encoded or international authority", []string{"https://rp%2eexample.com/cb", "https://rp.example.com%2f@evil.example/", "https://bücher.example/cb", "https://rp。example.com/cb"}},
		{"a wildcard", []string{"https://*.example.com/cb", "https://rp.example.com/*", "https://rp.example.com/cb?*"}},
		{"dot segments", []string{"https://rp.example.com/cb/../admin", "https://rp.example.com/./cb", "https://rp.example.com/%2e%2e/cb", "https://rp.example.com/a/.%2E"}},
		{"broken escapes", []string{"https://rp.example.com/%zz", "https://rp.example.com/%4", "https://rp.example.com/%00"}},
		{"addresses that can be read in more than one way", []string{"https://0x7f.1/cb", "https://127.1/cb", "https://2130706433/cb", "https://0177.0.0.1/cb", "https://[::ffff:127.0.0.1]/cb", "https://[fe80::1%25eth0]/cb", "https://::1/cb"}},
		{"invalid ports", []string{"https://rp.example.com:/cb", "https://rp.example.com:0/cb", "http://rp.example.com:0/cb", "https://localhost:0/cb", "http://127.0.0.2:0/cb", "com.example.app://localhost:0/cb", "http://localhost:00/cb", "https://rp.example.com:65536/cb", "https://rp.example.com:080/cb"}},
	} {
		for _, redirect := range c.redirects {
			r.judge(t, []wireCase{{sentence: c.sentence + ": " + redirect, request: `{"redirect_uris":` + encode([]string{redirect}) + `}`, code: dcrRedirect, says: "redirect_uris"}})
		}
	}
}

// The parsed host decides what is loopback, never a prefix: a host that only
// looks like loopback is remote http.
func TestLoopbackLookalikes(t *testing.T) {
	r := start(t, `{}`)
	for _, redirect := range []string{
		"http://127.0.0.1.evil.example/cb", "http://localhost.evil.example/cb", "http://127.evil.example/cb", "http://127.0.0.2/cb",
		"http://127.1.1.1/cb", "http://localhostx/cb", "http://xlocalhost/cb", "http://localhost./cb", "http://[::2]/cb", "http://0.0.0.0/cb", "http://[::]/cb",
	} {
		r.judge(t, []wireCase{{sentence: redirect, request: `{"redirect_uris":` + encode([]string{redirect}) + `}`, code: dcrRedirect, says: "redirect_uris[0]"}})
	}
}

// Port 0 stands for any port of http on a loopback host (Kilo Code, HolmesGPT,
// Orchid, Hermes), and is invalid elsewhere.
func TestPortZero(t *testing.T) {
	r := start(t, `{"end_session_endpoint":"https://id.example.com/logout"}`)
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
		registered := "http://" + host + ":0/callback"
		r.judge(t, []wireCase{
			{sentence: registered, request: `{"redirect_uris":["` + registered + `"]}`, answer: `{"redirect_uris":["` + registered + `"]}`},
			{sentence: "after logout, " + registered + " is compared exactly (RP-Initiated Logout 1.0 §3)", request: `{"post_logout_redirect_uris":["` + registered + `"]}`,
				code: dcrMetadata, says: "post_logout_redirect_uris[0] must have a port"},
		})
		client := r.client(t, r.register(t, `{"redirect_uris":["`+registered+`"],"token_endpoint_auth_method":"none"}`))
		for requested, match := range map[string]bool{"http://" + host + ":49152/callback": true, "http://" + host + "/callback": true, registered: false} {
			if client.MatchRedirectURI(requested) != match || dcr.MatchRedirectURI(registered, requested) != match {
				t.Errorf("registered %s, requested %s: matched is %t, want %t", registered, requested, !match, match)
			}
		}
	}
}

func TestRedirectURIsAreKeptToTheByte(t *testing.T) {
	r := start(t, `{}`)
	for _, redirect := range []string{
		"https://rp.example.com", "https://rp.example.com/", "https://RP.Example.com/CB", "https://rp.example.com:443/cb", "https://rp.example.com/cb?a=b&c=%2F",
		"https://rp.example.com/%7Euser/", "https://rp.example.com//cb", "HTTPS://rp.example.com/cb", "https://rp.example.com/cb?", "https://xn--bcher-kva.example/cb",
		"https://192.0.2.1/cb", "https://[2001:DB8::1]:8443/cb", "http://localhost", "http://127.0.0.1:33389/oauth/callback", "com.example.app:/oauth2redirect", "com.example.app:callback", "vscode://vscode.github-authentication/did-authenticate",
	} {
		list := encode([]string{redirect})
		r.judge(t, []wireCase{{sentence: redirect, request: `{"redirect_uris":` + list + `}`, answer: `{"redirect_uris":` + list + `}`}})
	}
	r.judge(t, []wireCase{
		{sentence: "order and repetition are kept", request: `{"redirect_uris":["https://b.example/","https://a.example/","https://b.example/"]}`, answer: `{"redirect_uris":["https://b.example/","https://a.example/","https://b.example/"]}`},
		{sentence: "one invalid URI refuses the request", request: `{"redirect_uris":["https://a.example/","https://b.example/#"]}`, code: dcrRedirect, says: "redirect_uris[1] must not have a fragment"},
	})
}

func TestRedirectURIsOfTheWrongForm(t *testing.T) {
	r := start(t, `{}`)
	r.judge(t, one("redirect_uris must be a list of strings (RFC 7591 §2)", "redirect_uris",
		[]string{`"https://rp.example.com/cb"`, `{}`, `5`, `true`, `false`, `[5]`, `[null]`, `[""]`, `[["https://rp.example.com/cb"]]`, `[{}]`}, dcrRedirect, "redirect_uris"))
	r.judge(t, one("authorization_code needs redirect_uris (RFC 7591 §2)", "redirect_uris", []string{`null`, `""`, `[]`}, dcrRedirect, "redirect_uris must have at least one redirect URI"))
	long := "https://rp.example.com/" + strings.Repeat("a", 2048-len("https://rp.example.com/"))
	r.judge(t, []wireCase{
		{sentence: "2,048 bytes are accepted", request: `{"redirect_uris":["` + long + `"]}`},
		{sentence: "2,049 bytes are not", request: `{"redirect_uris":["` + long + `a"]}`, code: dcrRedirect, says: "redirect_uris[0] must not be longer than 2048 bytes"},
	})
}

func TestPushedRedirectURIs(t *testing.T) {
	push := func(v *dcr.DefaultValidator, _ *dcr.Options) { v.AllowPushedRedirectURIs = true }
	const par = `{"pushed_authorization_request_endpoint":"https://id.example.com/par"}`
	start(t, par, push).judge(t, []wireCase{
		{sentence: "a confidential client that must push its requests may name redirect URIs only there (RFC 9126 §2.4)",
			request: `{"redirect_uris":[],"require_pushed_authorization_requests":true}`, answer: `{"redirect_uris":[],"response_types":["code"]}`},
		{sentence: "one that need not push may not", request: `{"redirect_uris":[]}`, code: dcrRedirect},
		{sentence: "nor may a public one", request: `{"redirect_uris":[],"require_pushed_authorization_requests":true,"token_endpoint_auth_method":"none"}`, code: dcrRedirect},
	})
	start(t, `{"require_pushed_authorization_requests":true}`, push).judge(t, []wireCase{
		{sentence: "if the server requires all clients to push, each may", request: `{"redirect_uris":[]}`, answer: `{"require_pushed_authorization_requests":true}`},
	})
	start(t, par).judge(t, []wireCase{
		{sentence: "only if the host allows it", request: `{"redirect_uris":[],"require_pushed_authorization_requests":true}`, code: dcrRedirect},
	})
}

func TestClientsThatMayNotActMatchNoRedirect(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = policy.Stack(*v, policy.Approval(nil)) })
	client := r.client(t, r.register(t, request(t, `{"token_endpoint_auth_method":"none"}`)))
	if client.MatchRedirectURI(client.RedirectURIs[0]) || client.Usable(time.Now()) {
		t.Error("a pending client passes the authorize endpoint")
	}
	client.Status = dcr.StatusActive
	if !client.MatchRedirectURI(client.RedirectURIs[0]) || !client.Usable(time.Now()) {
		t.Error("an active client does not pass the authorize endpoint")
	}
}

func TestLoopbackOnlyMeansHTTP(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = policy.Stack(*v, policy.LoopbackOnly()) })
	if got := r.post(t, request(t, `{"redirect_uris":["cursor://localhost/cb"]}`)); got.status != 400 {
		t.Errorf("status %d, want 400", got.status)
	}
}

// FuzzCheckAuthorization checks that every answer, success or refusal, goes to
// one of the client's redirect URIs.
func FuzzCheckAuthorization(f *testing.F) {
	var clients []*dcr.Client
	for _, redirects := range [][]string{{}, {"https://app.example.com/cb"}, {"http://127.0.0.1/cb", "com.example.app:/cb"}, {"http://localhost:0/cb"}} {
		clients = append(clients, &dcr.Client{Metadata: dcr.Metadata{RedirectURIs: redirects, ResponseTypes: []string{"code", "token"}}})
	}
	for _, uri := range []string{"", "https://app.example.com/cb", "https://app.example.com@evil.example/cb", "http://127.0.0.1:51004/cb", "http://localhost:0/cb", "javascript:alert(1)"} {
		f.Add(uri, "code", "query", "openid", false)
	}
	f.Fuzz(func(t *testing.T, uri, responseType, mode, scope string, pushed bool) {
		request := dcr.AuthorizationRequest{RedirectURI: uri, ResponseType: responseType, ResponseMode: mode, Scopes: []string{scope}, Pushed: pushed}
		for _, c := range clients {
			granted, err := c.CheckAuthorization(request, noon)
			var refused *dcr.AuthorizationError
			switch {
			case err == nil && !c.MatchRedirectURI(granted.RedirectURI):
				t.Errorf("with redirect URIs %q, granted at %q", c.RedirectURIs, granted.RedirectURI)
			case err != nil && (!errors.As(err, &refused) || granted != nil):
				t.Errorf("%+v with error %v", granted, err)
			case err != nil && refused.RedirectURI != "" && !c.MatchRedirectURI(refused.RedirectURI):
				t.Errorf("with redirect URIs %q, refused at %q", c.RedirectURIs, refused.RedirectURI)
			}
		}
	})
}
