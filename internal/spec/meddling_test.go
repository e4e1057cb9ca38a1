package spec_test

// Steps and hooks that come after a software statement and change what it claims.

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

// meddler is a later step that changes a claimed member.
type meddler struct {
	dcr.DefaultValidator
	change func(c *dcr.Client) error // nil means no change
}

func (m *meddler) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	if m.change == nil {
		return nil
	}
	return m.change(reg.Client)
}

// claimedValue has a valid value of a member, another one, and what else the
// statement must claim.
type claimedValue struct {
	claim, other any
	with         object
}

// claimedValues returns values for every member. What is not given here is
// derived from the member's line in Metadata.
func claimedValues(t testing.TB, site string) map[string]claimedValue {
	supported := capabilities(t, everything)
	byCertificate := object{"token_endpoint_auth_method": "tls_client_auth"}
	ciba := object{"grant_types": []string{"authorization_code", "urn:openid:params:grant-type:ciba"}, "backchannel_token_delivery_mode": "ping", "backchannel_client_notification_endpoint": "https://rp.example.com/n"}
	keys := object{"jwks_uri": "https://rp.example.com/jwks"}
	values := map[string]claimedValue{
		"redirect_uris":                                  {[]any{"https://rp.example.com/cb", "https://rp.example.com/b"}, []any{"https://evil.example/"}, nil},
		"token_endpoint_auth_method":                     {"client_secret_post", "client_secret_basic", nil},
		"grant_types":                                    {[]any{"authorization_code"}, []any{"authorization_code", "refresh_token"}, nil},
		"response_types":                                 {[]any{"code"}, []any{"code", "none"}, nil},
		"scope":                                          {supported.Scopes[0], strings.Join(supported.Scopes[:2], " "), nil},
		"contacts":                                       {[]any{"a@rp.example.com"}, []any{"a@evil.example"}, nil},
		"jwks":                                           {json.RawMessage(strings.TrimPrefix(keySet, `"jwks":`)), json.RawMessage(`{"keys":[` + ecKey + `}]}`), nil},
		"application_type":                               {"web", "native", nil},
		"sector_identifier_uri":                          {site + "/a", site + "/b", nil},
		"subject_type":                                   {"pairwise", "public", nil},
		"default_max_age":                                {60, 61, nil},
		"tls_client_auth_subject_dn":                     {"CN=rp", "CN=evil", byCertificate},
		"tls_client_auth_san_dns":                        {"rp.example.com", "evil.example", byCertificate},
		"tls_client_auth_san_uri":                        {"https://rp.example.com/", "https://evil.example/", byCertificate},
		"tls_client_auth_san_ip":                         {"192.0.2.1", "192.0.2.2", byCertificate},
		"tls_client_auth_san_email":                      {"a@rp.example.com", "a@evil.example", byCertificate},
		"authorization_details_types":                    {[]any{supported.AuthorizationDetailsTypes[0]}, []any{"evil"}, nil},
		"default_acr_values":                             {[]any{supported.ACRValues[0]}, []any{"evil"}, nil},
		"response_modes":                                 {[]any{supported.ResponseModes[0]}, supported.ResponseModes[:2], nil},
		"backchannel_token_delivery_mode":                {"ping", "push", ciba},
		"backchannel_client_notification_endpoint":       {"https://rp.example.com/n", "https://evil.example/n", ciba},
		"backchannel_user_code_parameter":                {true, false, ciba},
		"backchannel_authentication_request_signing_alg": {"RS256", "ES256", object{}.merged(ciba, keys)},
		"token_endpoint_auth_signing_alg":                {"RS256", "ES256", keys.with("token_endpoint_auth_method", "private_key_jwt")},
		"frontchannel_logout_session_required":           {true, false, object{"frontchannel_logout_uri": "https://rp.example.com/out"}},
		"backchannel_logout_session_required":            {true, false, object{"backchannel_logout_uri": "https://rp.example.com/out"}},
	}
	for field := range lines {
		name, kind := field.Tag.Get("json"), field.Type.Kind()
		if _, said := values[name]; said {
			continue
		}
		switch {
		case strings.HasSuffix(name, "_enc"):
			alg := strings.TrimSuffix(name, "enc") + "alg"
			values[name] = claimedValue{"A256GCM", "A128CBC-HS256", keys.with(alg, "RSA-OAEP")}
		case strings.Contains(name, "encrypt"):
			values[name] = claimedValue{"RSA-OAEP", "dir", keys}
		case strings.HasSuffix(name, "_alg"):
			values[name] = claimedValue{"RS256", "HS256", keys}
		case kind == reflect.Bool:
			values[name] = claimedValue{true, false, nil}
		case kind == reflect.Slice:
			values[name] = claimedValue{[]any{"https://rp.example.com/a"}, []any{"https://rp.example.com/evil"}, nil}
		case strings.HasSuffix(name, "_uri"):
			values[name] = claimedValue{"https://rp.example.com/a", "https://rp.example.com/evil", nil}
		default:
			values[name] = claimedValue{"Vouched", "Evil", nil}
		}
	}
	values["client_name#fr"] = claimedValue{"Vouched", "Evil", nil}
	values["x_list"] = claimedValue{[]any{"a", "b"}, []any{"a", "c"}, nil}
	values["x_object"] = claimedValue{map[string]any{"a": 1}, map[string]any{"a": 2}, nil}
	values["x_text#fr"] = claimedValue{"vouched", "evil", nil}
	return values
}

// merged returns the object with the members of others.
func (o object) merged(others ...object) object {
	for _, other := range others {
		for name, value := range other {
			o = o.with(name, value)
		}
	}
	return o
}

// No later step can undo a claim, of any member.
func TestNoLaterStepUndoesAClaim(t *testing.T) {
	site := aSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`["https://rp.example.com/cb","https://rp.example.com/b"]`))
	})
	es := signers()["ES256"]
	byClaim := 0
	for name, value := range claimedValues(t, site.URL) {
		t.Run(name, func(t *testing.T) {
			meddling := &meddler{}
			r := start(t, everything, sealed(t), fetching(site), func(v *dcr.DefaultValidator, o *dcr.Options) {
				o.Now = clock
				v.Statements = &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: es.keys()}}
				v.Extensions = []dcr.Extension{dcr.NewField[[]string]("x_list"), dcr.NewField[map[string]any]("x_object"), dcr.NewField[string]("x_text").Localized()}
				meddling.DefaultValidator = *v
				o.Validator = meddling
			})
			statement := es.sign(object{"iss": directory, "software_id": "payments"}.merged(value.with).with(name, value.claim))
			body := request(t, object{"software_statement": statement}.String())
			old := r.register(t, body)
			claimed, _ := json.Marshal(value.claim)
			if got, _ := json.Marshal(old.members[name]); string(got) != string(claimed) && name != "jwks" {
				t.Fatalf("registered as %s", old.body)
			}
			other, _ := json.Marshal(value.other)
			meddling.change = func(c *dcr.Client) error { return set(c, name, other) }
			for when, a := range map[string]*answer{
				"registered":                    r.post(t, body),
				"updated":                       r.manage(t, "PUT", old, request(t, object{"client_id": old.text("client_id"), "software_statement": statement}.String())),
				"updated without the statement": r.manage(t, "PUT", old, request(t, object{"client_id": old.text("client_id")}.String())),
			} {
				if a.status < 400 {
					t.Errorf("%s: got %d %s", when, a.status, a.body)
				}
				if strings.Contains(a.text("error_description"), "cannot be as the software statement has it") {
					byClaim++
				}
			}
			meddling.change = nil
			if now := r.manage(t, "GET", old, ""); !reflect.DeepEqual(now.members[name], old.members[name]) {
				t.Errorf("stored: %s", now.body)
			}
		})
	}
	if byClaim < 3*45 {
		t.Errorf("only %d were refused because of the claim", byClaim)
	}
}

// set sets a member as a careless step would.
func set(c *dcr.Client, name string, raw json.RawMessage) error {
	switch {
	case strings.HasPrefix(name, "x_"):
		c.Extra[name] = raw
		return nil
	case strings.Contains(name, "#"):
		c.Localized[name] = strings.Trim(string(raw), `"`)
		return nil
	}
	return dcr.NewField[json.RawMessage](name).Set(&c.Metadata, raw)
}

func TestNoHookUndoesAClaim(t *testing.T) {
	es := signers()["ES256"]
	body := object{"redirect_uris": []string{"https://rp.example.com/cb"}, "software_statement": es.sign(object{"iss": directory, "software_id": "payments", "client_name": "Vouched", "scope": "accounts"})}
	t.Run("ModifyResponse", func(t *testing.T) {
		handler, store := lockedServer(t, nil, func(_ *dcr.DefaultValidator, o *dcr.Options) {
			o.ModifyResponse = func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
				reg.Client.ClientName = "Evil"
				return nil
			}
		})
		answered(t, ask(t, handler, "POST", registerURL, "", body.String()), 500, dcr.ServerError)
		stored(t, store, 0)
	})
	t.Run("a rule that respects claims is accepted", func(t *testing.T) {
		handler, _ := lockedServer(t, nil, func(v *dcr.DefaultValidator, o *dcr.Options) {
			o.Validator = policy.Stack(*v, policy.AlwaysScopes("openid"))
		})
		if a := ask(t, handler, "POST", registerURL, "", body.String()); a.status != 201 || a.text("scope") != "accounts" {
			t.Errorf("got %d %s", a.status, a.body)
		}
		if a := ask(t, handler, "POST", registerURL, "", request(t, `{"scope":"accounts"}`)); a.status != 201 || a.text("scope") != "accounts openid" {
			t.Errorf("without a statement: got %d %s", a.status, a.body)
		}
	})
	t.Run("a rule that does not is a fault", func(t *testing.T) {
		handler, _ := lockedServer(t, nil, func(v *dcr.DefaultValidator, o *dcr.Options) {
			o.Validator = policy.Stack(*v, policy.ForcePublic())
		})
		claimed := es.sign(object{"iss": directory, "software_id": "payments", "token_endpoint_auth_method": "client_secret_basic"})
		a := ask(t, handler, "POST", registerURL, "", body.with("software_statement", claimed).String())
		if answered(t, a, 400, dcr.InvalidClientMetadata); !strings.Contains(a.body, "token_endpoint_auth_method") {
			t.Errorf("got %s", a.body)
		}
	})
}
