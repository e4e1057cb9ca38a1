package policy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// A server for clients of the Model Context Protocol: one line, and two that
// the host decides.
func ExampleMCP() {
	opts := policy.MCP(dcr.DefaultValidator{
		Supports: dcr.Capabilities{Scopes: []string{"mcp:tools", "offline_access"}},
	}).Apply(&dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		AllowAnonymous: true,
	})
	handler, err := dcr.NewHandler(memstore.New(), opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, client := range dcrtest.Clients()[:3] {
		fmt.Println(client.Name+":", client.Register(handler))
	}
	// Output:
	// Claude: <nil>
	// Claude Code: <nil>
	// ChatGPT: <nil>
}

// Rules can be stacked on any validator. Each narrows what the ones before it
// accept.
func ExampleStack() {
	validator := policy.Stack(dcr.DefaultValidator{},
		policy.RedirectSchemes("https"),
		policy.RedirectHosts("*.example.com"),
		policy.ForcePublic(),
		policy.RequireContacts(),
	)
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", AllowAnonymous: true, Validator: validator,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, body := range []string{
		`{"redirect_uris":["https://app.example.com/cb"],"contacts":["ops@example.com"]}`,
		`{"redirect_uris":["https://app.example.com/cb"]}`,
		`{"redirect_uris":["https://elsewhere.example/cb"],"contacts":["ops@example.com"]}`,
	} {
		r := httptest.NewRequest(http.MethodPost, "/connect/dcr", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.Contains(w.Body.String(), `"token_endpoint_auth_method":"none"`))
	}
	// Output:
	// 201 true
	// 400 false
	// 400 false
}

// Strangers, partners with an initial access token, and the host's own
// pipelines register under different policies.
func ExampleRule_perCaller() {
	server := dcr.DefaultValidator{Supports: dcr.Capabilities{
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"},
	}}
	opts := policy.MCP(server).Apply(&dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		AllowAnonymous: true,
		Policies: map[string]dcr.Validator{
			"strangers": policy.MCP(server).With(policy.GrantTypes(policy.Values{Ceiling: []string{"authorization_code", "refresh_token"}})),
			"pipelines": server,
		},
		ChoosePolicy: func(r *http.Request, caller *dcr.Caller) (string, error) {
			if caller == nil {
				return "strangers", nil
			}
			return dcr.CallerPolicy(r, caller)
		},
	})
	_, err := dcr.NewHandler(memstore.New(), opts)
	fmt.Println(err)
	// Output:
	// <nil>
}

// Grants beyond the ceiling are dropped, and a client that asks for none gets
// two.
func ExampleGrantTypes() {
	rule := policy.GrantTypes(policy.Values{
		Ceiling: []string{"authorization_code", "refresh_token"},
		Default: []string{"authorization_code", "refresh_token"},
		Excess:  policy.Drop,
	})
	server := dcr.DefaultValidator{Supports: dcr.Capabilities{
		GrantTypes: []string{"authorization_code", "refresh_token", "implicit"},
	}}
	fmt.Println(policy.Stack(server, rule).Capabilities().GrantTypes)
	// Output:
	// [authorization_code refresh_token]
}

// A client asks for the lifetime of its access tokens, up to a ceiling.
func ExampleDuendeMembers() {
	validator := policy.Stack(dcr.DefaultValidator{},
		policy.DuendeMembers(policy.DuendeLimits{MaxAccessTokenLifetime: 24 * time.Hour}))
	for _, seconds := range []string{"28800", "604800"} {
		request, err := dcr.ParseRequest([]byte(`{"redirect_uris":["https://app.example.com/cb"],"access_token_lifetime":`+seconds+`}`), dcr.Limits{})
		if err != nil {
			fmt.Println(err)
			return
		}
		reg := &dcr.Registration{Request: request}
		if err := dcr.Validate(context.Background(), validator, reg); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(reg.Client.AccessTokenLifetime)
	}
	// Output:
	// 8h0m0s
	// invalid_client_metadata: access_token_lifetime must be from 1 to 86400 seconds
}

// A data holder for energy lets the software products of the Register register,
// each once, and manage themselves with their own access tokens.
func ExampleConsumerDataRight() {
	register := dcr.JWKSURL("https://api.cdr.gov.au/cdr-register/v1/jwks", nil)
	opts := policy.ConsumerDataRight(dcr.DefaultValidator{
		Supports:   dcr.Capabilities{Scopes: []string{"openid", "profile", "energy:billing:read", policy.CDRRegistrationScope}},
		Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"cdr-register": register}},
	}, policy.CDRHolder{
		Audience: []string{"https://dh.example.com"},
	}).Apply(&dcr.Options{
		Endpoint:       "https://dh.example.com/register",
		AllowAnonymous: true, // behind mutual TLS
	})
	handler, err := dcr.NewHandler(memstore.New(), opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	discovery := handler.Capabilities().Discovery()
	fmt.Println(discovery["token_endpoint_auth_methods_supported"], discovery["subject_types_supported"])
	fmt.Println(opts.ClientURI)
	// Output:
	// [private_key_jwt] [pairwise]
	// https://dh.example.com/register/{client_id}
}

// A learning platform whose administrators give out registration tokens, each for
// one tool, and approve the tools that registered.
func ExampleLTI() {
	store := memstore.New()
	tokens := &callerauth.InitialAccessTokens{Store: store}
	opts := policy.LTI(dcr.DefaultValidator{}, policy.LTIPlatform{}).
		With(policy.Approval(nil)).
		Apply(&dcr.Options{
			Endpoint: "https://lms.example.com/register",
			Caller:   tokens.Authenticate,
		})
	handler, err := dcr.NewHandler(store, opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	token, _, err := tokens.Issue(context.Background(), dcr.InitialAccessToken{MaxUses: 1, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		fmt.Println(err)
		return
	}
	const tool = `{"client_name":"Herbarium","redirect_uris":["https://tool.example.org/launch"],"initiate_login_uri":"https://tool.example.org/login",
		"jwks_uri":"https://tool.example.org/jwks","grant_types":["implict","client_credentials"],"response_types":["id_token"],
		"https://purl.imsglobal.org/spec/lti-tool-configuration":{"domain":"tool.example.org","messages":[{"type":"LtiDeepLinkingRequest"}]}}`
	for range 2 {
		r := httptest.NewRequest(http.MethodPost, "/register", strings.NewReader(tool))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.Contains(w.Body.String(), `"registration_status":"pending"`))
	}
	// Output:
	// 201 true
	// 401 false
}

// The openid-configuration of a learning platform, which every tool can read.
func ExampleLTIDiscovery() {
	handler, err := dcr.NewHandler(memstore.New(), policy.LTI(dcr.DefaultValidator{}, policy.LTIPlatform{}).Apply(&dcr.Options{
		Endpoint: "https://lms.example.com/register",
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	members := policy.LTIDiscovery(policy.LTIConfiguration{
		ProductFamilyCode: "herbarium-lms",
		Messages:          []policy.LTIMessage{{Type: "LtiResourceLinkRequest"}, {Type: "LtiDeepLinkingRequest", Placements: []string{"ContentArea"}}},
		Variables:         []string{"Context.id.history"},
	}, map[string]any{
		"authorization_endpoint": "https://lms.example.com/authorize",
		"token_endpoint":         "https://lms.example.com/token",
		"jwks_uri":               "https://lms.example.com/jwks",
	})
	mux := http.NewServeMux()
	mux.Handle("/.well-known/", handler.ServeDiscovery("https://lms.example.com", members))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/openid-configuration", nil))
	fmt.Println(w.Code, strings.Contains(w.Body.String(), `"product_family_code":"herbarium-lms"`))
	// Output:
	// 200 true
}
