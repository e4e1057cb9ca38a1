package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/policy"
)

// mcpServer also supports client_credentials, so that every known client can
// register.
func mcpServer(t testing.TB) server {
	return serve(t, policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"},
		Scopes:     []string{dcr.AnyScope},
	}}).Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true}))
}

func TestMCPWithNothingSet(t *testing.T) {
	dcrtest.TestClients(t, serve(t, policy.MCP(dcr.DefaultValidator{}).Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true})))
}

// TestMCPClients registers every known client, and variants of each, and reads
// the answers as strictly as the strictest reader.
func TestMCPClients(t *testing.T) {
	s := mcpServer(t)
	random := rand.New(rand.NewPCG(6, 2026))
	for _, client := range dcrtest.Clients() {
		if client.Preset == "Duende" {
			client.Methods = append(slices.Clone(client.Methods), "none") // MCP's default
		}
		t.Run(client.Name, func(t *testing.T) {
			for _, variant := range variants(t, random, client.Request) {
				client.Request = variant
				answer := s.send(http.MethodPost, "", "", string(variant))
				if err := client.Read(answer); err != nil {
					t.Errorf("%s\n%v", variant, err)
					continue
				}
				if err := dcrtest.ReadOpenIDFoundation(answer); err != nil {
					t.Errorf("%s\n%v", variant, err)
				}
				registered := decode(t, answer)
				if again := s.update(registered, string(variant)); again.Status != http.StatusOK {
					t.Errorf("%s\nregisters, but its update is refused: %d %s", variant, again.Status, again.Body)
				}
				for _, redirect := range registered["redirect_uris"].([]any) {
					if stored, _ := s.store.FindByClientID(t.Context(), registered["client_id"].(string)); !stored.MatchRedirectURI(otherPort(redirect.(string))) {
						t.Errorf("%s\n%s is not matched", variant, otherPort(redirect.(string)))
					}
				}
			}
		})
	}
}

var portOf = regexp.MustCompile(`(//(?:localhost|127\.0\.0\.1)):\d+`)

// otherPort gives a loopback redirect another port.
func otherPort(text string) string { return portOf.ReplaceAllString(text, "$1:61234") }

// variants returns what the next version of a client, or the same client on
// another machine, may send: other ports, another order, more members, other
// numbers.
func variants(t *testing.T, random *rand.Rand, request []byte) [][]byte {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(request, &members); err != nil {
		t.Fatal(err)
	}
	all := [][]byte{request, []byte(otherPort(string(request)))}
	for range 5 {
		next := map[string]json.RawMessage{
			"software_version":  json.RawMessage(fmt.Sprintf(`"%d.%d.0-beta"`, random.IntN(30), random.IntN(30))),
			"x_future":          json.RawMessage(`{"nested":[1,{"a":null}]}`),
			"contacts":          json.RawMessage(`[]`),
			"tos_uri":           json.RawMessage(`null`),
			"id_token_alg":      json.RawMessage(`["RS256"]`),
			"client_id":         json.RawMessage(`"chosen-by-the-client"`),
			"client_secret":     json.RawMessage(`"hunter2"`),
			"client_name#de-AT": json.RawMessage(`"Kunde"`),
		}
		for name, value := range members {
			next[name] = value
		}
		names := make([]string, 0, len(next))
		for name := range next {
			names = append(names, name)
		}
		slices.Sort(names)
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		var body []string
		for _, name := range names {
			body = append(body, fmt.Sprintf("%q: %s", name, next[name]))
		}
		all = append(all, []byte("{"+strings.Join(body, ",\n")+"}"))
	}
	return all
}

func TestMCPChoices(t *testing.T) {
	s := mcpServer(t)
	const redirect = `"redirect_uris":["http://127.0.0.1:1/cb"]`
	for _, c := range []struct {
		name, body string
		want       object
	}{
		{"a client without a method is public", `{` + redirect + `}`,
			object{"token_endpoint_auth_method": "none", "client_secret": nil, "grant_types": []any{"authorization_code"}, "response_types": []any{"code"}, "application_type": "native"}},
		{"client_secret_basic gets a secret", `{` + redirect + `,"token_endpoint_auth_method":"client_secret_basic"}`,
			object{"token_endpoint_auth_method": "client_secret_basic", "client_secret_expires_at": 0.0}},
		{"alternatives take precedence over the default", `{` + redirect + `,"token_endpoint_auth_methods_supported":["client_secret_post"]}`,
			object{"token_endpoint_auth_method": "client_secret_post"}},
		{"a client without a method on a web server gets a secret (Microsoft 365 Copilot)", `{"redirect_uris":["https://app.example.com/cb","https://app.example.org/cb"]}`,
			object{"token_endpoint_auth_method": "client_secret_basic", "client_secret_expires_at": 0.0}},
		{"a client without a method on a web server and on the person's machine is public", `{"redirect_uris":["https://app.example.com/cb","http://localhost/cb"]}`,
			object{"token_endpoint_auth_method": "none"}},
		{"a client without a method with a private-use scheme is public", `{"redirect_uris":["app:/cb"]}`, object{"token_endpoint_auth_method": "none"}},
		{"a client without a method on https localhost is public", `{"redirect_uris":["https://localhost/cb"]}`, object{"token_endpoint_auth_method": "none"}},
		{"none on a web server stays none", `{"redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"none"}`,
			object{"token_endpoint_auth_method": "none", "client_secret": nil}},
		{"unknown grants are dropped", `{` + redirect + `,"grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:device_code"]}`,
			object{"grant_types": []any{"authorization_code"}}},
		{"a native client that says web", `{"redirect_uris":["app:/cb"],"application_type":"web"}`, object{"application_type": "native"}},
		{"native with https stays", `{"redirect_uris":["https://app.example.com/"],"application_type":"native"}`, object{"application_type": "native"}},
		{"native on https localhost is web", `{"redirect_uris":["https://localhost:3000/"],"application_type":"native"}`, object{"application_type": "web"}},
		{"an unknown application type", `{"redirect_uris":["https://app.example.com/"],"application_type":"browser"}`, object{"application_type": "web"}},
		{"a machine gets a secret", `{"grant_types":["client_credentials"]}`,
			object{"token_endpoint_auth_method": "client_secret_basic", "redirect_uris": []any{}, "response_types": []any{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			answered := s.register(t, c.body)
			for name, want := range c.want {
				if fmt.Sprint(answered[name]) != fmt.Sprint(want) {
					t.Errorf("%s is %v, want %v", name, answered[name], want)
				}
			}
		})
	}
}

// The MCP Go SDK registers without scope, and asks for scopes at the
// authorization endpoint.
func TestMCPScopes(t *testing.T) {
	const redirect = `"redirect_uris":["http://127.0.0.1:1/cb"]`
	for _, c := range []struct {
		name           string
		supported      []string
		standard       []string
		members, scope string
	}{
		{"no scope: all of them", []string{"mcp:read", "mcp:write"}, nil, ``, "mcp:read mcp:write"},
		{"an empty scope counts as absent", []string{"mcp:read", "mcp:write"}, nil, `,"scope":""`, "mcp:read mcp:write"},
		{"the star is not a scope", []string{"mcp:read", dcr.AnyScope}, nil, ``, "mcp:read"},
		{"the host's own default", []string{"mcp:read", "mcp:write"}, []string{"mcp:read"}, ``, "mcp:read"},
		{"the host's own default is empty", []string{"mcp:read", "mcp:write"}, []string{}, ``, ""},
		{"the scopes that are sent", []string{"mcp:read", "mcp:write"}, nil, `,"scope":"mcp:write other"`, "mcp:write"},
		{"all unknown: none (muster#1086)", []string{"mcp:read", "mcp:write"}, nil, `,"scope":"groups"`, ""},
		{"all unknown, with a default: none", []string{"mcp:read", "mcp:write"}, []string{"mcp:read"}, `,"scope":"groups"`, ""},
		{"client_credentials: none", []string{"mcp:read", "mcp:write"}, nil, `,"grant_types":["client_credentials","authorization_code"]`, ""},
		{"client_credentials: the scopes that are sent", []string{"mcp:read", "mcp:write"}, nil, `,"grant_types":["client_credentials"],"scope":"mcp:read"`, "mcp:read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: c.supported}, DefaultScopes: c.standard})
			client, err := judge(t, v, `{`+redirect+c.members+`}`, nil)
			if err != nil || client.Scope != c.scope {
				t.Fatalf("scope is %q, %v; want %q", client.Scope, err, c.scope)
			}
			if again, err := judge(t, v, `{`+redirect+c.members+`}`, client); err != nil || again.Scope != c.scope {
				t.Errorf("on update: scope is %q, %v; want %q", again.Scope, err, c.scope)
			}
		})
	}
}

// Metadata documents have their own rules.
func TestMCPDocuments(t *testing.T) {
	v := policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"mcp:read", "mcp:write"}}})
	reg := &dcr.Registration{Request: &dcr.Request{}, Client: dcr.StartingClient(v, nil)}
	reg.Request.RedirectURIs = []string{"https://app.example.com/cb"}
	reg.Request.ClientName = "App"
	reg.Client.ID, reg.Client.Source, reg.ExactDefaults = "https://app.example.com/client", dcr.SourceDocument, true
	if err := dcr.Validate(t.Context(), v, reg); err != nil || reg.Client.TokenEndpointAuthMethod != "none" || reg.Client.Scope != "mcp:read mcp:write" {
		t.Errorf("%v: method %q, scope %q", err, reg.Client.TokenEndpointAuthMethod, reg.Client.Scope)
	}
}

// In every preset, a confidential client stays confidential if its update has
// no method.
func TestConfidentialClientsStayConfidential(t *testing.T) {
	secrets := dcr.DefaultValidator{Supports: dcr.Capabilities{TokenEndpointAuthMethods: []string{"none", "client_secret_post"}}}
	const body = `"client_uri":"https://example.com/","redirect_uris":["https://example.com/cb"],"grant_types":["authorization_code","refresh_token"]`
	for name, v := range map[string]dcr.Validator{
		"the default": secrets, "MCP": policy.MCP(secrets), "OIDC": policy.OIDC(secrets), "Duende": policy.Duende(secrets), "Matrix": policy.Matrix(secrets),
		"a default of none": policy.Stack(secrets, policy.AuthMethods(policy.Values{Default: []string{"none"}})),
	} {
		client, err := judge(t, v, `{`+body+`,"token_endpoint_auth_method":"client_secret_post"}`, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		if after, err := judge(t, v, `{`+body+`}`, client); err != nil || after.TokenEndpointAuthMethod != "client_secret_post" {
			t.Errorf("%s: the method is %q, %v", name, after.TokenEndpointAuthMethod, err)
		}
		if after, err := judge(t, v, `{`+body+`,"token_endpoint_auth_method":"none"}`, client); err != nil || after.TokenEndpointAuthMethod != "none" {
			t.Errorf("%s: if none is sent, the method is %q, %v", name, after.TokenEndpointAuthMethod, err)
		}
	}
}

func TestCorrectApplicationType(t *testing.T) {
	v := policy.Stack(dcr.DefaultValidator{}, policy.CorrectApplicationType())
	for _, c := range []struct{ sentence, members, want string }{
		{"web with loopback and a private-use scheme (oidc-agent)", `"redirect_uris":["http://localhost:4242","edu.kit.data.oidc-agent:/redirect"],"application_type":"web"`, "native"},
		{"native with https on the machine", `"redirect_uris":["https://localhost:3000/"],"application_type":"native"`, "web"},
		{"a type that fits stays", `"redirect_uris":["https://app.example.com/"],"application_type":"native"`, "native"},
		{"an absent type is inferred", `"redirect_uris":["http://localhost:0/"]`, "native"},
	} {
		client, err := judge(t, v, `{`+c.members+`}`, nil)
		if err != nil || client.ApplicationType != c.want {
			t.Errorf("%s: %q, %v; want %q", c.sentence, client.ApplicationType, err, c.want)
		}
	}
	if _, err := judge(t, v, `{"redirect_uris":["http://remote.example/"]}`, nil); err == nil {
		t.Error("remote http is accepted")
	}
}

func TestMCPWithoutPublicClients(t *testing.T) {
	v := policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{TokenEndpointAuthMethods: []string{"client_secret_post"}}})
	client, err := judge(t, v, `{"redirect_uris":["http://127.0.0.1:1/cb"]}`, nil)
	if err != nil || client.TokenEndpointAuthMethod != "client_secret_post" {
		t.Errorf("got %v, %v", client, err)
	}
}

func TestMCPMachinesGetASecret(t *testing.T) {
	v := policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{
		GrantTypes: []string{"authorization_code", "client_credentials"}, TokenEndpointAuthMethods: []string{"none", "client_secret_post"},
	}})
	client, err := judge(t, v, `{"grant_types":["client_credentials"]}`, nil)
	if err != nil || client.TokenEndpointAuthMethod != "client_secret_post" {
		t.Errorf("got %v, %v", client, err)
	}
}

// hostile has requests that no policy may accept as they are.
var hostile = []struct{ name, members string }{
	{"a script to redirect to", `"redirect_uris":["javascript:alert(1)"]`},
	{"a script in another case", `"redirect_uris":["JaVaScRiPt:alert(1)"]`},
	{"a script with a tab in it", `"redirect_uris":["java\tscript:alert(1)"]`},
	{"a script after a space", `"redirect_uris":[" javascript:alert(1)"]`},
	{"data to redirect to", `"redirect_uris":["data:text/html,x"]`},
	{"one invalid redirect among valid ones", `"redirect_uris":["https://app.example.com/","vbscript:x"]`},
	{"a script as page", `"client_uri":"javascript:alert(1)"`},
	{"a script as logo", `"logo_uri":"javascript:alert(1)"`},
	{"data as logo", `"logo_uri":"data:image/svg+xml,<svg/>"`},
	{"a script as terms", `"tos_uri":"javascript:alert(1)"`},
	{"a script as policy", `"policy_uri":"javascript:alert(1)"`},
	{"a script as page for a language", `"policy_uri#fr":"javascript:alert(1)"`},
	{"a file as keys", `"jwks_uri":"file:///etc/passwd"`},
	{"a wildcard host", `"redirect_uris":["https://*.example.com/cb"]`},
	{"a wildcard path", `"redirect_uris":["https://app.example.com/*"]`},
	{"only a wildcard", `"redirect_uris":["*"]`},
	{"loopback as a label", `"redirect_uris":["http://localhost.evil.example/cb"]`},
	{"loopback as user", `"redirect_uris":["http://localhost@evil.example/cb"]`},
	{"loopback address as a label", `"redirect_uris":["http://127.0.0.1.evil.example/cb"]`},
	{"another loopback address", `"redirect_uris":["http://127.0.0.2/cb"]`},
	{"loopback as one number", `"redirect_uris":["http://2130706433/cb"]`},
	{"loopback in hexadecimal", `"redirect_uris":["http://0x7f.0.0.1/cb"]`},
	{"loopback in short form", `"redirect_uris":["http://127.1/cb"]`},
	{"loopback with a dot at its end", `"redirect_uris":["http://localhost./cb"]`},
	{"every address", `"redirect_uris":["http://0.0.0.0/cb"]`},
	{"loopback mapped into IPv6", `"redirect_uris":["http://[::ffff:127.0.0.1]/cb"]`},
	{"http to elsewhere", `"redirect_uris":["http://app.example.com/cb"]`},
	{"a fragment", `"redirect_uris":["https://app.example.com/cb#x"]`},
	{"an empty fragment", `"redirect_uris":["https://app.example.com/cb#"]`},
	{"a backslash", `"redirect_uris":["https://app.example.com\\@evil.example/cb"]`},
	{"no redirect", `"redirect_uris":[]`},
	{"implicit", `"grant_types":["implicit"],"response_types":["token"]`},
	{"a control character", `"client_name":"App\u0000"`},
}

// TestHostile sends requests that must be refused, as registrations and as
// updates of a valid client, to every preset for strangers.
func TestHostile(t *testing.T) {
	presets := map[string]struct {
		preset policy.Preset
		good   string
	}{
		"MCP":    {policy.MCP(dcr.DefaultValidator{}), `{"client_name":"App","redirect_uris":["https://app.example.com/cb"]}`},
		"OIDC":   {policy.OIDC(dcr.DefaultValidator{}), `{"client_name":"App","redirect_uris":["https://app.example.com/cb"]}`},
		"Duende": {policy.Duende(dcr.DefaultValidator{}), `{"client_name":"App","grant_types":["authorization_code"],"redirect_uris":["https://app.example.com/cb"]}`},
		"Matrix": {policy.Matrix(dcr.DefaultValidator{}), `{"client_name":"App","client_uri":"https://example.com/","redirect_uris":["https://app.example.com/cb"]}`},
	}
	for name, p := range presets {
		s := serve(t, p.preset.Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true}))
		client := s.register(t, p.good)
		for _, c := range hostile {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				body := overlay(t, p.good, "{"+c.members+"}")
				if _, err := dcrtest.Refusal(s.send(http.MethodPost, "", "", body)); err != nil {
					t.Errorf("registration: %s: %v", body, err)
				}
				if _, err := dcrtest.Refusal(s.update(client, body)); err != nil {
					t.Errorf("update: %s: %v", body, err)
				}
			})
		}
		if again := s.update(client, p.good); again.Status != http.StatusOK {
			t.Errorf("%s: afterwards, the client's own update is refused: %d %s", name, again.Status, again.Body)
		}
	}
}

// overlay replaces members of a request.
func overlay(t *testing.T, request, members string) string {
	t.Helper()
	var all map[string]json.RawMessage
	for _, text := range []string{request, members} {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatal(err)
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
