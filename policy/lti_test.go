package policy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

const ags = "https://purl.imsglobal.org/spec/lti-ags/scope/"

// tool returns what a tool sends, like the fixtures of Moodle's tests: config may
// change the tool configuration, members the rest.
func tool(members, config object) object {
	return with(object{
		"application_type": "web", "response_types": []string{"id_token"}, "grant_types": []string{"implict", "client_credentials"},
		"initiate_login_uri": "https://tool.example.org/lti/login", "redirect_uris": []string{"https://tool.example.org/lti/launch", "https://tool.example.org/lti/dl"},
		"client_name": "Virtual Herbarium", "client_name#ja": "仮想植物標本室", "jwks_uri": "https://tool.example.org/jwks",
		"logo_uri": "https://tool.example.org/logo.png", "tos_uri#ja": "https://tool.example.org/tos?lang=ja",
		"token_endpoint_auth_method": "private_key_jwt", "contacts": []string{"ops@example.org"}, "scope": "openid " + ags + "score " + ags + "everything",
		policy.LTIToolConfiguration: with(object{
			"domain": "tool.example.org", "description": "Pressed plants, in the browser", "description#ja": "押し花",
			"target_link_uri": "https://tool.example.org/lti", "custom_parameters": object{"context_history": "$Context.id.history"},
			"claims": []string{"iss", "sub", "name"}, "https://lms.example.net/lti/privacy_level": nil,
			"https://vendor.example/lti/tool_id": object{"b": 1.50, "a": []any{"x", nil, true}, "n": 12345678901234567},
			"messages": []object{
				{"type": "LtiResourceLinkRequest"},
				{"type": "LtiDeepLinkingRequest", "target_link_uri": "https://tool.example.org/lti/dl", "label": "Add a <plant> & more", "label#ja": "植物を追加",
					"icon_uri": "https://cdn.example.net/plant.png", "placements": []string{"ContentArea"}, "roles": []string{"Instructor"},
					"custom_parameters": object{"kind": "dl"}, "https://canvas.instructure.com/lti/launch_width": 800},
			},
		}, config),
	}, members)
}

// minimal returns the least that a tool sends.
func minimal(members, config object) object {
	return with(object{
		"initiate_login_uri": "https://tool.example.org/lti/login", "redirect_uris": []string{"https://tool.example.org/lti/launch"},
		"client_name": "Virtual Herbarium", "jwks_uri": "https://tool.example.org/jwks", "response_types": []string{"id_token"},
		policy.LTIToolConfiguration: with(object{"domain": "www.example.org", "target_link_uri": "https://www.example.org/lti"}, config),
	}, members)
}

func serveLTI(t testing.TB, platform policy.LTIPlatform, rules ...policy.Rule) server {
	return serve(t, policy.LTI(dcr.DefaultValidator{}, platform).With(rules...).Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true}))
}

// configuration returns the tool configuration of an answer or a request.
func configuration(client object) object {
	text, _ := json.Marshal(client[policy.LTIToolConfiguration])
	var config object
	json.Unmarshal(text, &config)
	return config
}

func TestLTIRegistersAndManages(t *testing.T) {
	s := serveLTI(t, policy.LTIPlatform{})
	request := tool(nil, object{"deployment_id": "mine", "deploymemt_id": "12"})
	client := s.register(t, jsonText(request))
	for name, want := range map[string]any{
		"grant_types": []any{"implicit", "client_credentials"}, "response_types": []any{"id_token"}, "application_type": "web",
		"scope": "openid " + ags + "score", "token_endpoint_auth_method": "private_key_jwt", "id_token_signed_response_alg": "RS256",
		"client_name#ja": "仮想植物標本室", "initiate_login_uri": "https://tool.example.org/lti/login", "client_secret": nil,
	} {
		if !reflect.DeepEqual(client[name], want) {
			t.Errorf("%s is %v, want %v", name, client[name], want)
		}
	}
	want := configuration(request)
	delete(want, "deployment_id") // only the platform sets it
	if got := configuration(client); !reflect.DeepEqual(got, want) {
		t.Errorf("the configuration is\n%v, want\n%v", got, want)
	}
	read := s.send(http.MethodGet, client["registration_client_uri"].(string), client["registration_access_token"].(string), "")
	if !strings.Contains(string(read.Body), "12345678901234567") {
		t.Errorf("a number was rounded: %s", read.Body)
	}
	if got := configuration(decode(t, read)); read.Status != 200 || !reflect.DeepEqual(got, want) {
		t.Errorf("read: %d, the configuration is\n%v", read.Status, got)
	}
	changed := tool(object{"client_name": "Renamed"}, object{"https://vendor.example/x": []int{3, 1, 2}, "description#ja": nil, "messages": nil})
	updated := s.update(client, jsonText(changed))
	if got := configuration(decode(t, updated)); updated.Status != 200 || !reflect.DeepEqual(got, configuration(changed)) {
		t.Errorf("update: %d %s", updated.Status, updated.Body)
	}
	other := memstore.New() // a move between stores
	stored, err := s.store.FindByClientID(t.Context(), client["client_id"].(string))
	if err == nil {
		err = other.Add(t.Context(), stored)
	}
	if err != nil {
		t.Fatal(err)
	}
	moved, err := dcr.NewHandler(other, policy.LTI(dcr.DefaultValidator{}, policy.LTIPlatform{}).Apply(&dcr.Options{Endpoint: endpoint, Logger: quiet}))
	if err != nil {
		t.Fatal(err)
	}
	answer := server{moved, other}.send(http.MethodGet, client["registration_client_uri"].(string), client["registration_access_token"].(string), "")
	if answer.Status != 200 || !reflect.DeepEqual(configuration(decode(t, answer)), configuration(changed)) {
		t.Errorf("moved: %d %s", answer.Status, answer.Body)
	}
}

func TestLTIRules(t *testing.T) {
	messages := func(count int) []object {
		list := make([]object, count)
		for i := range list {
			list[i] = object{"type": "LtiResourceLinkRequest", "label": fmt.Sprint(i)}
		}
		return list
	}
	message := func(members object) object {
		return object{"messages": []object{with(object{"type": "LtiDeepLinkingRequest"}, members)}}
	}
	for _, c := range []struct {
		name    string
		request object
		refused string // the code, "" if it registers
		want    object // members of the configuration
	}{
		{"the least", minimal(nil, nil), "", object{"target_link_uri": "https://www.example.org/lti"}},
		{"the least, with deep linking", minimal(nil, object{"messages": []object{{"type": "LtiDeepLinkingRequest"}}}), "", nil},
		{"as ltijs sends it", tool(object{"grant_types": []string{"implicit", "client_credentials"}, "logo_uri": nil}, object{"description": nil, "custom_parameters": object{}, "claims": []string{"iss", "aud"}, "messages": messages(2)}), "", nil},
		{"as tsugi sends it", tool(object{"client_uri": "https://tool.example.org", "contacts": []string{}}, object{"domain": "tool.example.org", "deploymemt_id": "12094390"}), "", object{"deploymemt_id": "12094390"}},
		{"as Canvas has it, with null", tool(object{"scope": nil, "client_uri": nil}, object{"target_link_uri": nil, "description": nil, "deployment_id": nil, "https://canvas.instructure.com/lti/privacy_level": "public", "secondary_domains": []string{"cdn.example.org"}}), "", object{"target_link_uri": "https://tool.example.org"}},
		{"no initiate_login_uri", tool(object{"initiate_login_uri": nil}, nil), "invalid_client_metadata", nil},
		{"initiate_login_uri over http", tool(object{"initiate_login_uri": "http://tool.example.org/"}, nil), "invalid_client_metadata", nil},
		{"no redirect_uris", tool(object{"redirect_uris": nil}, nil), "invalid_redirect_uri", nil},
		{"no client_name", tool(object{"client_name": nil}, nil), "invalid_client_metadata", nil},
		{"an empty jwks_uri", tool(object{"jwks_uri": ""}, nil), "invalid_client_metadata", nil},
		{"no configuration", tool(object{policy.LTIToolConfiguration: nil}, nil), "invalid_client_metadata", nil},
		{"a configuration that is not an object", tool(object{policy.LTIToolConfiguration: []string{"x"}}, nil), "invalid_client_metadata", nil},
		{"neither domain nor target_link_uri", minimal(nil, object{"domain": nil, "target_link_uri": nil}), "invalid_client_metadata", nil},
		{"only target_link_uri", minimal(nil, object{"domain": nil}), "invalid_client_metadata", nil},
		{"only domain", minimal(nil, object{"target_link_uri": nil}), "", object{"target_link_uri": "https://www.example.org"}},
		{"a target_link_uri on another domain", minimal(nil, object{"domain": "not.the.right.domain"}), "invalid_client_metadata", nil},
		{"a target_link_uri below the domain", minimal(nil, object{"domain": "example.org", "target_link_uri": "https://evil.example.org/"}), "invalid_client_metadata", nil},
		{"a target_link_uri that only begins like the domain", minimal(nil, object{"target_link_uri": "https://www.example.org.evil.example/"}), "invalid_client_metadata", nil},
		{"a target_link_uri with the domain as the user name", minimal(nil, object{"target_link_uri": "https://www.example.org@evil.example/"}), "invalid_client_metadata", nil},
		{"a target_link_uri over http", minimal(nil, object{"target_link_uri": "http://www.example.org/"}), "invalid_client_metadata", nil},
		{"a target_link_uri that is a script", minimal(nil, object{"target_link_uri": "javascript:alert(1)"}), "invalid_client_metadata", nil},
		{"www. of the domain", minimal(nil, object{"domain": "Example.org"}), "", nil},
		{"a secondary domain", minimal(nil, object{"secondary_domains": []string{"other.example"}, "target_link_uri": "https://other.example/lti"}), "", nil},
		{"secondary domains that are URLs", minimal(nil, object{"secondary_domains": []string{"https://other.example"}}), "invalid_client_metadata", nil},
		{"a port", minimal(nil, object{"domain": "www.example.org:8443", "target_link_uri": "https://www.example.org:8443/lti"}), "", nil},
		{"another port", minimal(nil, object{"domain": "www.example.org:8443", "target_link_uri": "https://www.example.org:9/lti"}), "invalid_client_metadata", nil},
		{"the port of https, which the target_link_uri leaves out", minimal(nil, object{"domain": "www.example.org:443"}), "", nil},
		{"the port of https, where another is meant", minimal(nil, object{"domain": "www.example.org:8443"}), "invalid_client_metadata", nil},
		{"a port that only begins like that of https", minimal(nil, object{"domain": "www.example.org:443", "target_link_uri": "https://www.example.org:44380/lti"}), "invalid_client_metadata", nil},
		{"a port on a domain without one", minimal(nil, object{"target_link_uri": "https://www.example.org:8443/lti"}), "", nil},
		{"a scheme in domain", minimal(nil, object{"domain": "https://www.example.org"}), "invalid_client_metadata", nil},
		{"a path in domain", minimal(nil, object{"domain": "www.example.org/"}), "invalid_client_metadata", nil},
		{"a number as domain", minimal(nil, object{"domain": 1}), "invalid_client_metadata", nil},
		{"both grants, whatever is sent", tool(object{"grant_types": []string{"implicit"}}, nil), "", nil},
		{"grants of another kind", tool(object{"grant_types": []string{"authorization_code"}}, nil), "", nil},
		{"no grants", tool(object{"grant_types": nil}, nil), "", nil},
		{"no id_token", tool(object{"response_types": []string{"code"}}, nil), "invalid_client_metadata", nil},
		{"id_token and others", tool(object{"response_types": []string{"code", "id_token"}}, nil), "", nil},
		{"no response types", tool(object{"response_types": nil}, nil), "", nil},
		{"native", tool(object{"application_type": "native"}, nil), "invalid_client_metadata", nil},
		{"a secret", tool(object{"token_endpoint_auth_method": "client_secret_basic"}, nil), "invalid_client_metadata", nil},
		{"no method", tool(object{"token_endpoint_auth_method": nil}, nil), "", nil},
		{"symmetric ID Tokens", tool(object{"id_token_signed_response_alg": "HS256"}, nil), "invalid_client_metadata", nil},
		{"unsigned ID Tokens", tool(object{"id_token_signed_response_alg": "none"}, nil), "invalid_client_metadata", nil},
		{"unknown scopes", tool(object{"scope": "everything"}, nil), "", nil},
		{"a message without a type", minimal(nil, object{"messages": []object{{"label": "x"}}}), "invalid_client_metadata", nil},
		{"a message that is null", minimal(nil, object{"messages": []any{nil}}), "invalid_client_metadata", nil},
		{"messages that are not a list", minimal(nil, object{"messages": "all"}), "invalid_client_metadata", nil},
		{"a message of an unknown kind", minimal(nil, message(object{"type": "LtiEulaRequest"})), "", nil},
		{"a message to another domain", minimal(nil, message(object{"target_link_uri": "https://evil.example/"})), "invalid_client_metadata", nil},
		{"an icon that is a script", minimal(nil, message(object{"icon_uri": "javascript:alert(1)"})), "invalid_client_metadata", nil},
		{"an icon for a language that is a script", minimal(nil, message(object{"icon_uri#ja": "data:text/html,x"})), "invalid_client_metadata", nil},
		{"a script in a label, which is text", minimal(nil, message(object{"label": "<script>alert(1)</script>"})), "", nil},
		{"a label that changes the direction of the text", minimal(nil, message(object{"label": "gro.elpmaxe\u202e"})), "invalid_client_metadata", nil},
		{"the same with a language tag", minimal(nil, message(object{"label#ar": "a\u2067b"})), "invalid_client_metadata", nil},
		{"the same in a description", minimal(nil, object{"description": "a\u2066b"}), "invalid_client_metadata", nil},
		{"the same in a vendor's member", minimal(nil, object{"https://vendor.example/x": object{"deep": []any{object{"er": "a\u202eb"}}}}), "invalid_client_metadata", nil},
		{"the same in a name", minimal(nil, object{"https://vendor.example/\u202e": 1}), "invalid_client_metadata", nil},
		{"Arabic", minimal(nil, message(object{"label#ar": "أضف نبتة"})), "", nil},
		{"a control character", minimal(nil, message(object{"label": "a\u0007b"})), "invalid_client_metadata", nil},
		{"a label that is a number", minimal(nil, message(object{"label": 1})), "invalid_client_metadata", nil},
		{"a long label", minimal(nil, message(object{"label": strings.Repeat("x", 1025)})), "invalid_client_metadata", nil},
		{"placements that are not a list", minimal(nil, message(object{"placements": "ContentArea"})), "invalid_client_metadata", nil},
		{"claims that are not a list", minimal(nil, object{"claims": object{}}), "invalid_client_metadata", nil},
		{"custom parameters that are numbers", minimal(nil, object{"custom_parameters": object{"x": 1}}), "invalid_client_metadata", nil},
		{"a custom parameter whose name ends with uri", minimal(nil, object{"custom_parameters": object{"my_uri": "$ResourceLink.id"}}), "", nil},
		{"a vendor's URI", minimal(nil, object{"https://vendor.example/icon_uri": "urn:x:y"}), "", nil},
		{"64 messages", minimal(nil, object{"messages": messages(64)}), "", nil},
		{"65 messages", minimal(nil, object{"messages": messages(65)}), "invalid_client_metadata", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveLTI(t, policy.LTIPlatform{})
			good := s.register(t, jsonText(tool(nil, nil)))
			before, _ := s.store.FindByClientID(t.Context(), good["client_id"].(string))
			for method, answer := range map[string]dcrtest.Answer{
				"registration": s.send(http.MethodPost, "", "", jsonText(c.request)),
				"update":       s.update(good, jsonText(c.request)),
			} {
				if c.refused != "" {
					if code, err := dcrtest.Refusal(answer); err != nil || code != c.refused || answer.Status != 400 {
						t.Errorf("%s: %v, %d %s, want %s", method, err, answer.Status, answer.Body, c.refused)
					}
					continue
				}
				if answer.Status > 201 {
					t.Errorf("%s: %d %s", method, answer.Status, answer.Body)
					continue
				}
				config := configuration(decode(t, answer))
				for name, want := range c.want {
					if config[name] != want {
						t.Errorf("%s: %s is %v, want %v", method, name, config[name], want)
					}
				}
			}
			after, err := s.store.FindByClientID(t.Context(), good["client_id"].(string))
			if changed := after.Revision != before.Revision; err != nil || changed != (c.refused == "") {
				t.Errorf("the client was changed: %v, %v", changed, err)
			}
		})
	}
	s := serveLTI(t, policy.LTIPlatform{})
	if answer := s.send(http.MethodPost, "", "", jsonText(minimal(nil, object{"messages": messages(10000)}))); answer.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("10,000 messages: %d %s", answer.Status, answer.Body)
	}
	wide := serve(t, policy.LTI(dcr.DefaultValidator{}, policy.LTIPlatform{}).Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true, MaxBodyBytes: 8 << 20}))
	if code, err := dcrtest.Refusal(wide.send(http.MethodPost, "", "", jsonText(minimal(nil, object{"messages": messages(10000)})))); err != nil || code != "invalid_client_metadata" {
		t.Errorf("10,000 messages if bodies may be large: %v %s", err, code)
	}
}

// TestLTITokens checks that a registration token registers one tool, with the id
// that it names, even if it is sent many times at once.
func TestLTITokens(t *testing.T) {
	post := func(s server, token string) int {
		return s.send(http.MethodPost, "", token, jsonText(minimal(nil, nil))).Status
	}
	atOnce := func(s server, token string) map[int]int {
		var mu sync.Mutex
		var wg sync.WaitGroup
		count := make(map[int]int)
		for range 20 {
			wg.Go(func() {
				status := post(s, token)
				mu.Lock()
				defer mu.Unlock()
				count[status]++
			})
		}
		wg.Wait()
		return count
	}
	t.Run("tokens of the store", func(t *testing.T) {
		platform := policy.LTIPlatform{ClientID: func(caller *dcr.Caller) string { return caller.Subject }}
		tokens := &callerauth.InitialAccessTokens{}
		opts := policy.LTI(dcr.DefaultValidator{}, platform).Apply(&dcr.Options{Endpoint: endpoint, Caller: tokens.Authenticate})
		s := serve(t, opts)
		tokens.Store = s.store
		for i, use := range []func(token string){
			func(token string) {
				for i, want := range []int{201, 401} {
					if status := post(s, token); status != want {
						t.Errorf("use %d: %d, want %d", i, status, want)
					}
				}
			},
			func(token string) {
				if count := atOnce(s, token); !maps.Equal(count, map[int]int{201: 1, 401: 19}) {
					t.Errorf("at once: %v", count)
				}
			},
		} {
			id := fmt.Sprintf("future-%d", i)
			token, _, err := tokens.Issue(t.Context(), dcr.InitialAccessToken{Subject: id, MaxUses: 1, ExpiresAt: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			use(token.Reveal())
			if _, err := s.store.FindByClientID(t.Context(), id); err != nil {
				t.Errorf("the client id is not the one in the token: %v", err)
			}
		}
		for _, token := range []string{"", "dcr_iat_unknown"} {
			if status := post(s, token); status != 401 {
				t.Errorf("the token %q: %d", token, status)
			}
		}
	})
	t.Run("tokens of the platform", func(t *testing.T) {
		platform := policy.LTIPlatform{ClientID: func(caller *dcr.Caller) string { id, _ := caller.Claims["sub"].(string); return id }}
		opts := &dcr.Options{Endpoint: endpoint, Caller: func(r *http.Request) (*dcr.Caller, error) {
			id := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			return &dcr.Caller{Subject: "admin", Claims: map[string]any{"sub": id}}, nil
		}}
		s := serve(t, policy.LTI(dcr.DefaultValidator{}, platform).Apply(opts))
		if count := atOnce(s, "one"); !maps.Equal(count, map[int]int{201: 1, 401: 19}) {
			t.Errorf("at once: %v", count)
		}
		if status := post(s, ""); status != 201 {
			t.Errorf("a token without an id: %d", status)
		}
	})
}

func TestLTIManagementByAccessToken(t *testing.T) {
	opts := &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Caller: func(r *http.Request) (*dcr.Caller, error) {
		client, scope, found := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "~")
		if !found {
			return nil, nil
		}
		return &dcr.Caller{ClientID: client, Scopes: strings.Split(scope, "+")}, nil
	}}
	s := serve(t, policy.LTI(dcr.DefaultValidator{}, policy.LTIPlatform{AccessTokens: true}).Apply(opts))
	client := s.register(t, jsonText(tool(nil, nil)))
	id, uri, own := client["client_id"].(string), client["registration_client_uri"].(string), client["registration_access_token"].(string)
	body := jsonText(tool(object{"client_id": id}, nil))
	for _, c := range []struct {
		name, method, token string
		status              int
	}{
		{"reading with the readers' scope", http.MethodGet, id + "~" + policy.LTIRegistrationReader, 200},
		{"reading with the scope", http.MethodGet, id + "~" + policy.LTIRegistrationScope, 200},
		{"reading with another scope", http.MethodGet, id + "~openid", 401},
		{"reading by another tool", http.MethodGet, "another~" + policy.LTIRegistrationScope, 401},
		{"updating with the readers' scope", http.MethodPut, id + "~" + policy.LTIRegistrationReader, 403},
		{"updating with both", http.MethodPut, id + "~" + policy.LTIRegistrationReader + "+" + policy.LTIRegistrationScope, 200},
		{"updating with the registration access token", http.MethodPut, own, 200},
		{"deleting with the readers' scope", http.MethodDelete, id + "~" + policy.LTIRegistrationReader, 403},
		{"deleting with the scope", http.MethodDelete, id + "~" + policy.LTIRegistrationScope, 204},
	} {
		if answer := s.send(c.method, uri, c.token, body); answer.Status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, answer.Status, answer.Body, c.status)
		}
	}
}

func TestLTIDeploymentAndApproval(t *testing.T) {
	deployed := func(_ context.Context, client *dcr.Client) (string, error) {
		if client.ID == "" {
			return "", fmt.Errorf("a client without an id")
		}
		return "41", nil
	}
	s := serveLTI(t, policy.LTIPlatform{DeploymentID: deployed}, policy.Approval(nil))
	client := s.register(t, jsonText(minimal(nil, nil)))
	id := client["client_id"].(string)
	if configuration(client)["deployment_id"] != "41" || client["registration_status"] != "pending" {
		t.Errorf("%v", client)
	}
	stored, err := s.store.FindByClientID(t.Context(), id)
	if err != nil || strings.Contains(string(stored.Extra[policy.LTIToolConfiguration]), "deployment_id") {
		t.Errorf("%v, stored is %s", err, stored.Extra[policy.LTIToolConfiguration])
	}
	if answer := s.update(client, jsonText(client)); answer.Status != 401 {
		t.Errorf("a pending tool updates itself: %d", answer.Status)
	}
	if err := policy.Approve(t.Context(), s.store, id, stored.Revision); err != nil {
		t.Fatal(err)
	}
	same := minimal(nil, object{"deployment_id": "mine"})
	if answer := s.update(client, jsonText(same)); answer.Status != 200 || decode(t, answer)["registration_status"] != nil || configuration(decode(t, answer))["deployment_id"] != "41" {
		t.Errorf("an update that changes nothing: %d %s", answer.Status, answer.Body)
	}
	if answer := s.update(client, jsonText(minimal(object{"client_name": "Other"}, nil))); decode(t, answer)["registration_status"] != "pending" {
		t.Errorf("an update that changes the name does not need approval: %s", answer.Body)
	}
}

func TestLTIDiscovery(t *testing.T) {
	s := serveLTI(t, policy.LTIPlatform{})
	document := s.ServeDiscovery("https://id.example.com", policy.LTIDiscovery(policy.LTIConfiguration{
		ProductFamilyCode: "herbarium", Version: "1.0", Messages: []policy.LTIMessage{{Type: "LtiResourceLinkRequest"}, {Type: "LtiDeepLinkingRequest", Placements: []string{"ContentArea"}}},
	}, map[string]any{"authorization_endpoint": "https://id.example.com/auth", "token_endpoint": "https://id.example.com/token", "jwks_uri": "https://id.example.com/jwks"}))
	w := httptest.NewRecorder()
	document.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/openid-configuration", nil))
	answer := decode(t, dcrtest.Answer{Body: w.Body.Bytes()})
	for name, want := range map[string]any{
		"issuer": "https://id.example.com", "registration_endpoint": endpoint, "response_types_supported": []any{"id_token"},
		"token_endpoint_auth_methods_supported": []any{"private_key_jwt"}, "token_endpoint_auth_signing_alg_values_supported": []any{"RS256"},
		"id_token_signing_alg_values_supported": []any{"RS256"}, "subject_types_supported": []any{"public"}, "token_endpoint": "https://id.example.com/token",
		"https://purl.imsglobal.org/spec/lti-platform-configuration": map[string]any{
			"product_family_code": "herbarium", "version": "1.0", "variables": []any{},
			"messages_supported": []any{map[string]any{"type": "LtiResourceLinkRequest"}, map[string]any{"type": "LtiDeepLinkingRequest", "placements": []any{"ContentArea"}}},
		},
	} {
		if !reflect.DeepEqual(answer[name], want) {
			t.Errorf("%s is %v, want %v", name, answer[name], want)
		}
	}
	if scopes := fmt.Sprint(answer["scopes_supported"]); !strings.Contains(scopes, "openid") || !strings.Contains(scopes, ags+"score") {
		t.Errorf("scopes are %s", scopes)
	}
}

func TestLTIPanics(t *testing.T) {
	mustPanic := func(name string, call func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", name)
			}
		}()
		call()
	}
	for name, supports := range map[string]dcr.Capabilities{
		"no implicit":        {GrantTypes: []string{"client_credentials"}},
		"no id_token":        {ResponseTypes: []string{"code"}},
		"no private_key_jwt": {TokenEndpointAuthMethods: []string{"client_secret_basic"}},
		"no RS256":           {IDTokenSigningAlgs: []string{"ES256"}},
	} {
		mustPanic(name, func() { policy.LTI(dcr.DefaultValidator{Supports: supports}, policy.LTIPlatform{}) })
	}
	endpoints := map[string]any{"authorization_endpoint": "x", "token_endpoint": "x", "jwks_uri": "x"}
	good := policy.LTIConfiguration{ProductFamilyCode: "x", Messages: []policy.LTIMessage{{Type: "LtiResourceLinkRequest"}}}
	mustPanic("no token endpoint", func() { policy.LTIDiscovery(good, map[string]any{"authorization_endpoint": "x", "jwks_uri": "x"}) })
	mustPanic("no product", func() { policy.LTIDiscovery(policy.LTIConfiguration{Messages: good.Messages}, endpoints) })
	mustPanic("no messages", func() { policy.LTIDiscovery(policy.LTIConfiguration{ProductFamilyCode: "x"}, endpoints) })
}

// FuzzLTITool checks that an accepted configuration has a domain and leads to it,
// and is accepted again.
func FuzzLTITool(f *testing.F) {
	for _, config := range []object{nil, {"secondary_domains": []string{"other.example"}}, {"messages": []any{nil}}, {"messages": []object{{"type": "x", "icon_uri": nil}}}} {
		f.Add(jsonText(configuration(minimal(nil, config))))
	}
	f.Add(jsonText(configuration(tool(nil, nil))))
	preset := policy.LTI(dcr.DefaultValidator{}, policy.LTIPlatform{})
	f.Fuzz(func(t *testing.T, config string) {
		if !json.Valid([]byte(config)) {
			return
		}
		request := minimal(object{policy.LTIToolConfiguration: json.RawMessage(config)}, nil)
		if json.Unmarshal([]byte(jsonText(request)), &dcr.Request{}) != nil {
			return
		}
		client, err := judge(t, preset, request, nil)
		if err != nil {
			return
		}
		kept := client.Extra[policy.LTIToolConfiguration]
		var said object
		link, domain := "", ""
		if err := json.Unmarshal(kept, &said); err == nil {
			link, _ = said["target_link_uri"].(string)
			domain, _ = said["domain"].(string)
		}
		if domain == "" || !strings.HasPrefix(strings.ToLower(link), "https://") {
			t.Fatalf("%s is accepted as %s", config, kept)
		}
		again, err := judge(t, preset, minimal(object{policy.LTIToolConfiguration: kept}, nil), nil)
		if err != nil || string(again.Extra[policy.LTIToolConfiguration]) != string(kept) {
			t.Fatalf("%s is returned, and sent back: %v %s", kept, err, again.Extra)
		}
	})
}
