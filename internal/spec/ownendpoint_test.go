package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// What a server with its own endpoint uses: the pipeline without a Handler.

func TestParseRequest(t *testing.T) {
	for _, test := range []struct {
		sentence, body string
		limits         dcr.Limits
		says           string // of the refusal; "" if it is read
	}{
		{"an object is read", plainBody, dcr.Limits{}, ""},
		{"so is an empty one", `{}`, dcr.Limits{}, ""},
		{"an empty body is not", ``, dcr.Limits{}, "JSON"},
		{"null is not", `null`, dcr.Limits{}, "JSON object"},
		{"a list is not", `[{}]`, dcr.Limits{}, "JSON object"},
		{"two are not", `{}{}`, dcr.Limits{}, ""},
		{"a member sent twice is refused", `{"scope":"a","scope":"b"}`, dcr.Limits{}, "scope"},
		{"too many members are refused", `{"a":1,"b":2,"c":3}`, dcr.Limits{Members: 2}, "2"},
		{"too deep a nesting is refused", `{"a":{"b":{}}}`, dcr.Limits{Depth: 2}, ""},
		{"a member of the wrong form is left to Validate", `{"redirect_uris":5}`, dcr.Limits{}, ""},
		{"so is a list beyond the limits", `{"redirect_uris":["https://a.example","https://b.example"]}`, dcr.Limits{ListItems: 1}, ""},
		{"negative limits are the defaults", plainBody, dcr.Limits{Members: -1, Depth: -1}, ""},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			request, err := dcr.ParseRequest([]byte(test.body), test.limits)
			if refused := strings.HasPrefix(test.sentence, "two") || strings.HasPrefix(test.sentence, "too deep") || test.says != ""; refused != (err != nil) || (request == nil) != refused {
				t.Fatalf("got %v, %v", request, err)
			}
			if err != nil && (!errors.Is(err, dcr.InvalidClientMetadata) || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("it says %v", err)
			}
			if err == nil && string(request.Raw) != test.body {
				t.Errorf("the body is %s", request.Raw)
			}
		})
	}
}

func TestTheLimitsOfARequestHoldWithoutAHandler(t *testing.T) {
	body := `{"redirect_uris":["https://a.example/cb","https://b.example/cb"]}`
	request, err := dcr.ParseRequest([]byte(body), dcr.Limits{ListItems: 1})
	if err != nil {
		t.Fatal(err)
	}
	reg := &dcr.Registration{Request: request, Limits: dcr.Limits{ListItems: 1}}
	if err := dcr.Validate(t.Context(), dcr.DefaultValidator{}, reg); !errors.Is(err, dcr.InvalidRedirectURI) {
		t.Errorf("got %v", err)
	}
}

// judged returns a registration that v accepts.
func judged(t testing.TB, v dcr.Validator, body string, previous *dcr.Client) *dcr.Registration {
	t.Helper()
	request, err := dcr.ParseRequest([]byte(body), dcr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	reg := &dcr.Registration{Request: request, Previous: previous}
	if err := dcr.Validate(t.Context(), v, reg); err != nil {
		t.Fatal(err)
	}
	return reg
}

func TestStartingClient(t *testing.T) {
	short := policy.DuendeMembers(policy.DuendeLimits{MaxAccessTokenLifetime: 10 * time.Minute})
	for _, test := range []struct {
		sentence  string
		validator dcr.Validator
	}{
		{"of the default", dcr.DefaultValidator{}},
		{"of a decorator", struct{ dcr.Validator }{dcr.DefaultValidator{}}},
		{"of a rule that sets settings", short(dcr.DefaultValidator{})},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			if client := dcr.StartingClient(test.validator, nil); !client.RequirePKCE || client.AccessTokenLifetime != time.Hour || !client.AllowOfflineAccess || client.ID != "" {
				t.Errorf("a new client starts as %+v", client)
			}
			previous := judged(t, test.validator, plainBody, nil).Client
			previous.ID, previous.RequireConsent = "a", false
			before := encode(previous)
			client := dcr.StartingClient(test.validator, previous)
			if client.ID != "a" || client.RequireConsent {
				t.Errorf("an update starts as %+v", client)
			}
			client.RedirectURIs[0] = "https://other.example/"
			if encode(previous) != before {
				t.Error("an update shares lists with the previous client")
			}
			// With or without a starting client, Validate returns the same.
			body := `{"redirect_uris":["https://app.example.com/other"],"grant_types":["authorization_code","refresh_token"]}`
			want := judged(t, test.validator, body, previous)
			request, _ := dcr.ParseRequest([]byte(body), dcr.Limits{})
			reg := &dcr.Registration{Request: request, Previous: previous, Client: dcr.StartingClient(test.validator, previous)}
			if err := dcr.Validate(t.Context(), test.validator, reg); err != nil || encode(reg.Client) != encode(want.Client) {
				t.Errorf("got %s, want %s (%v)", encode(reg.Client), encode(want.Client), err)
			}
		})
	}
}

func TestTheStartingClientMayHaveAnID(t *testing.T) {
	v := hookedID{}
	reg := &dcr.Registration{Request: &dcr.Request{Metadata: dcr.Metadata{RedirectURIs: []string{"https://app.example.com/cb"}}}}
	reg.Client = dcr.StartingClient(v, nil)
	reg.Client.ID, reg.Client.Source = "https://app.example.com/client", dcr.SourceDynamic
	if err := dcr.Validate(t.Context(), v, reg); err != nil || reg.Client.ID != "https://app.example.com/client" || len(reg.Client.RedirectURIs) != 1 {
		t.Errorf("got %+v, %v", reg.Client, err)
	}
}

type hookedID struct{ dcr.DefaultValidator }

func (v hookedID) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if reg.Client.ID == "" {
		return errors.New("the step reads no id")
	}
	return v.DefaultValidator.ValidateDisplay(ctx, reg)
}

// A shaper edits answers, and tries to forge what only the server issues.
type shaper struct {
	dcr.DefaultValidator
	fails error
	spoil func(reg *dcr.Registration, res *dcr.Response)
}

func (v shaper) ShapeResponse(_ context.Context, reg *dcr.Registration, res *dcr.Response) error {
	forged := int64(5)
	res.ClientID, res.ClientSecret, res.ClientSecretExpiresAt, res.ClientIDIssuedAt = "forged", "forged", &forged, 5
	res.RegistrationAccessToken, res.RegistrationClientURI = "forged", "https://forged.example/"
	if len(res.RedirectURIs) > 0 {
		res.RedirectURIs[0] += "?shaped"
	}
	res.Extra = map[string]json.RawMessage{"x_shaped": json.RawMessage(`true`)}
	if v.spoil != nil {
		v.spoil(reg, res)
	}
	return v.fails
}

func TestNewResponseAndWriteResponse(t *testing.T) {
	expiry := noon.Add(time.Hour)
	for _, test := range []struct {
		sentence      string
		validator     dcr.Validator
		change        func(c *dcr.Client)
		secret, token dcr.Plaintext
		want          string // members; null means absent
	}{
		{"a public client", dcr.DefaultValidator{}, nil, "", "", `{"client_id":"a","client_secret":null,"client_secret_expires_at":null,"client_id_issued_at":1777896000,"registration_access_token":null,"registration_client_uri":null}`},
		{"a secret that is listed", dcr.DefaultValidator{}, func(c *dcr.Client) {
			c.Secrets = []dcr.Secret{{Type: dcr.SecretJWK, Value: "{}"}, {Type: dcr.SecretSHA256, Value: "x", ExpiresAt: expiry}, {Type: dcr.SecretSHA256, Value: "y"}}
		}, "s", "", `{"client_secret":"s","client_secret_expires_at":1777899600}`},
		{"a secret that the host keeps elsewhere", dcr.DefaultValidator{}, nil, "s", "", `{"client_secret":"s","client_secret_expires_at":0}`},
		{"a secret that was issued before", dcr.DefaultValidator{}, func(c *dcr.Client) { c.Secrets = []dcr.Secret{dcr.HashSecret("s")} }, "", "", `{"client_secret":null,"client_secret_expires_at":0}`},
		{"a token", dcr.DefaultValidator{}, nil, "", "t", `{"registration_access_token":"t","registration_client_uri":"https://id.example.com/apps/a"}`},
		{"what the server issues is set after ShapeResponse", shaper{}, nil, "s", "t", `{"client_id":"a","client_secret":"s","client_secret_expires_at":0,"client_id_issued_at":1777896000,
			"registration_access_token":"t","registration_client_uri":"https://id.example.com/apps/a","x_shaped":true,"redirect_uris":["https://app.example.com/callback?shaped"]}`},
		{"and removes nothing", shaper{}, nil, "", "", `{"client_secret":null,"client_secret_expires_at":null,"registration_access_token":null,"registration_client_uri":null}`},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			for _, how := range []string{"registered", "read"} {
				reg := judged(t, test.validator, plainBody, nil)
				if how == "read" {
					reg = &dcr.Registration{Client: reg.Client}
				}
				reg.Client.ID, reg.Client.CreatedAt = "a", noon
				if test.change != nil {
					test.change(reg.Client)
				}
				if test.secret == "" && reg.Client.Secrets == nil {
					reg.Client.TokenEndpointAuthMethod = "none"
				}
				res, err := dcr.NewResponse(t.Context(), test.validator, reg, test.secret, test.token)
				if err != nil {
					t.Fatal(err)
				}
				if test.token != "" {
					res.RegistrationClientURI = "https://id.example.com/apps/a"
				}
				if reg.Client.RedirectURIs[0] != "https://app.example.com/callback" {
					t.Error("the response shares lists with the client")
				}
				recorder := httptest.NewRecorder()
				if err := dcr.WriteResponse(recorder, http.StatusCreated, res); err != nil {
					t.Fatal(err)
				}
				a := receive(t, recorder.Result())
				readStrictly(t, "POST", a)
				has(t, a, test.want)
				if a.status != 201 || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: %d %v", how, a.status, a.header)
				}
			}
		})
	}
}

func TestAClientWhoseBeginningIsNotKnown(t *testing.T) {
	reg := judged(t, dcr.DefaultValidator{}, plainBody, nil)
	for _, test := range []struct {
		sentence string
		reg      *dcr.Registration
		want     int64
	}{
		{"a registration has the current time", reg, reg.Now().Unix()},
		{"a read has none", &dcr.Registration{Client: reg.Client}, 0},
		{"an update has none", &dcr.Registration{Client: reg.Client, Request: &dcr.Request{}, Previous: reg.Client}, 0},
	} {
		res, err := dcr.NewResponse(t.Context(), dcr.DefaultValidator{}, test.reg, "", "")
		if err != nil {
			t.Fatal(err)
		}
		text := encode(res)
		if res.ClientIDIssuedAt != test.want || strings.Contains(text, "client_id_issued_at") != (test.want > 0) {
			t.Errorf("%s: %s", test.sentence, text)
		}
	}
}

func TestNewResponseRefuses(t *testing.T) {
	down := errors.New("down")
	for _, test := range []struct {
		sentence  string
		validator dcr.Validator
		empty     bool
		says      string
	}{
		{"a registration without a client", dcr.DefaultValidator{}, true, "Validate sets it"},
		{"a ShapeResponse that fails", shaper{fails: down}, false, "down"},
		{"one that breaks a fixed rule", shaper{spoil: func(reg *dcr.Registration, _ *dcr.Response) { reg.Client.RedirectURIs = nil }}, false, "no policy may accept"},
		{"one that replaces the client", shaper{spoil: func(reg *dcr.Registration, _ *dcr.Response) { reg.Client = dcr.NewClient() }}, false, "replaced the client"},
		{"one that sets something that is not JSON", shaper{spoil: func(_ *dcr.Registration, res *dcr.Response) { res.Extra["x"] = json.RawMessage(`{`) }}, false, "not JSON"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			reg := judged(t, test.validator, plainBody, nil)
			if test.empty {
				reg.Client = nil
			}
			if res, err := dcr.NewResponse(t.Context(), test.validator, reg, "", ""); err == nil || res != nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, %v", res, err)
			}
		})
	}
}

func TestWriteResponseRefusesWhatNoClientCanUse(t *testing.T) {
	for says, res := range map[string]*dcr.Response{
		"no ClientID":             {},
		"set it, to 0 for never":  {ClientID: "a", ClientSecret: "s"},
		"set both or neither":     {ClientID: "a", RegistrationAccessToken: "t"},
		"RegistrationAccessToken": {ClientID: "a", RegistrationClientURI: "https://id.example.com/a"},
	} {
		recorder := httptest.NewRecorder()
		if err := dcr.WriteResponse(recorder, 201, res); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", res, err)
		}
		if len(recorder.Header()) > 0 || recorder.Body.Len() > 0 {
			t.Errorf("it wrote %v %s", recorder.Header(), recorder.Body)
		}
	}
}

// A server with its own endpoint answers as a Handler does.
func TestTheAnswerIsThatOfAHandler(t *testing.T) {
	for _, body := range []string{
		plainBody,
		`{"redirect_uris":["https://app.example.com/callback"],"token_endpoint_auth_method":"none","client_name":"A","client_name#de":"B"}`,
		`{"redirect_uris":["https://app.example.com/callback"],"grant_types":["authorization_code","refresh_token"],"scope":"a b","contacts":["a@example.com"]}`,
	} {
		v := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{dcr.AnyScope}}}
		handler := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true, MaxClients: 5, DisableManagement: true, Now: clock, Validator: v})
		want := answered(t, ask(t, handler, "POST", registerURL, "", body), 201, "")

		reg := judged(t, v, body, nil)
		reg.Client.ID, reg.Client.CreatedAt = want["client_id"].(string), noon
		secret, needs := dcr.Plaintext(""), want["client_secret"] != nil
		if reg.Client.NeedsSecret() != needs {
			t.Errorf("%s needs a secret: %v", body, !needs)
		}
		if needs {
			secret = dcr.Plaintext(want["client_secret"].(string))
		}
		res, err := dcr.NewResponse(t.Context(), v, reg, secret, "")
		if err != nil {
			t.Fatal(err)
		}
		recorder := httptest.NewRecorder()
		if err := dcr.WriteResponse(recorder, 201, res); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, recorder.Result()).members; !reflect.DeepEqual(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestNeedsSecret(t *testing.T) {
	for _, test := range []struct {
		sentence string
		metadata dcr.Metadata
		needs    bool
	}{
		{"a client without members", dcr.Metadata{}, false},
		{"client_secret_basic", dcr.Metadata{TokenEndpointAuthMethod: "client_secret_basic"}, true},
		{"client_secret_post", dcr.Metadata{TokenEndpointAuthMethod: "client_secret_post"}, true},
		{"client_secret_jwt", dcr.Metadata{TokenEndpointAuthMethod: "client_secret_jwt"}, true},
		{"none", dcr.Metadata{TokenEndpointAuthMethod: "none"}, false},
		{"private_key_jwt", dcr.Metadata{TokenEndpointAuthMethod: "private_key_jwt"}, false},
		{"tls_client_auth", dcr.Metadata{TokenEndpointAuthMethod: "tls_client_auth"}, false},
		{"none with ID Tokens signed with HS256", dcr.Metadata{TokenEndpointAuthMethod: "none", IDTokenSignedResponseAlg: "HS256"}, true},
		{"none with ID Tokens signed with ES256", dcr.Metadata{TokenEndpointAuthMethod: "none", IDTokenSignedResponseAlg: "ES256"}, false},
	} {
		if got := (&dcr.Client{Metadata: test.metadata}).NeedsSecret(); got != test.needs {
			t.Errorf("%s: %v", test.sentence, got)
		}
	}
}

func TestHasGrant(t *testing.T) {
	for _, test := range []struct {
		sentence, grant string
		client          dcr.Client
		has             bool
	}{
		{"a client without grants has none", "authorization_code", dcr.Client{}, false},
		{"not even an empty one", "", dcr.Client{}, false},
		{"one that it registered", "authorization_code", dcr.Client{Metadata: dcr.Metadata{GrantTypes: []string{"authorization_code"}}}, true},
		{"one that it did not register", "client_credentials", dcr.Client{Metadata: dcr.Metadata{GrantTypes: []string{"authorization_code"}}}, false},
		{"refresh_token if it may have offline access", "refresh_token", dcr.Client{Metadata: dcr.Metadata{GrantTypes: []string{"refresh_token"}}, AllowOfflineAccess: true}, true},
		{"refresh_token if the host does not allow offline access", "refresh_token", dcr.Client{Metadata: dcr.Metadata{GrantTypes: []string{"refresh_token"}}}, false},
		{"offline access without the grant", "refresh_token", dcr.Client{AllowOfflineAccess: true}, false},
	} {
		if got := test.client.HasGrant(test.grant); got != test.has {
			t.Errorf("%s: %v", test.sentence, got)
		}
	}
}

func TestWithDefaults(t *testing.T) {
	for _, test := range []struct {
		sentence, given, want string
	}{
		{"absent ceilings are the strict defaults", `{}`, `{"grant_types_supported":["authorization_code","refresh_token"],"response_types_supported":["code"],
			"token_endpoint_auth_methods_supported":["client_secret_basic","none"],"token_endpoint_auth_signing_alg_values_supported":["RS256","PS256","ES256","EdDSA"]}`},
		{"an empty one stays empty", `{"grant_types_supported":[],"response_types_supported":[],"token_endpoint_auth_methods_supported":[],"token_endpoint_auth_signing_alg_values_supported":[]}`,
			`{"grant_types_supported":[],"response_types_supported":[],"token_endpoint_auth_methods_supported":[],"token_endpoint_auth_signing_alg_values_supported":[]}`},
		{"OpenID Connect has its own", `{"subject_types_supported":["pairwise"],"token_endpoint_auth_methods_supported":["none"]}`,
			`{"grant_types_supported":["authorization_code","refresh_token"],"response_types_supported":["code"],"token_endpoint_auth_methods_supported":["none"],
			"token_endpoint_auth_signing_alg_values_supported":["RS256","PS256","ES256","EdDSA"],"subject_types_supported":["pairwise"],"id_token_signing_alg_values_supported":["RS256"]}`},
		{"HS256 comes with client_secret_jwt", `{"grant_types_supported":["implicit"],"response_types_supported":["token"],"token_endpoint_auth_methods_supported":["client_secret_jwt"]}`,
			`{"grant_types_supported":["implicit"],"response_types_supported":["token"],"token_endpoint_auth_methods_supported":["client_secret_jwt"],
			"token_endpoint_auth_signing_alg_values_supported":["RS256","PS256","ES256","EdDSA","HS256"]}`},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			given := capabilities(t, test.given)
			before := encode(given)
			got := given.WithDefaults()
			want := capabilities(t, test.want)
			want.CodeChallengeMethods = []string{"S256"}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %s", encode(got))
			}
			if again := got.WithDefaults(); !reflect.DeepEqual(again, got) {
				t.Errorf("applied twice, it is %s", encode(again))
			}
			if encode(given) != before {
				t.Error("the original changed")
			}
		})
	}
}
