package dcrtest

// Steps that accept what the same step of their DefaultValidator refuses.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// script is a URI that no member may have. nonsense is a value that is in no list.
const (
	script   = "javascript:dcrtest()"
	nonsense = "dcrtest-nonsense"
)

// A probe is a registration that one step of DefaultValidator refuses or
// corrects. A corrected client does not contain the hostile text.
type probe struct {
	step, body, hostile string
}

// hostileProbes have one member each.
var hostileProbes = []probe{
	{"ValidateGrantTypes", `{"grant_types":["authorization_code","` + nonsense + `"]}`, nonsense},
	{"ValidateGrantTypes", `{"response_types":["code","` + nonsense + `"]}`, nonsense},
	{"ValidateRedirectURIs", `{"redirect_uris":["` + script + `"]}`, script},
	{"ValidateScopes", `{"scope":"openid ` + nonsense + `"}`, nonsense},
	{"ValidateClientAuthentication", `{"token_endpoint_auth_method":"` + nonsense + `"}`, nonsense},
	{"ValidateClientAuthentication", `{"jwks_uri":"` + script + `"}`, script},
	{"ValidateDisplay", `{"client_uri":"` + script + `"}`, script},
	{"ValidateDisplay", `{"logo_uri":"` + script + `"}`, script},
	{"ValidateDisplay", `{"logo_uri#fr":"` + script + `"}`, script},
	{"ValidateLogout", `{"post_logout_redirect_uris":["` + script + `"]}`, script},
	{"ValidateLogout", `{"frontchannel_logout_uri":"` + script + `"}`, script},
	{"ValidateLogout", `{"backchannel_logout_uri":"` + script + `"}`, script},
	{"ValidateOpenID", `{"initiate_login_uri":"` + script + `"}`, script},
	{"ValidateOpenID", `{"sector_identifier_uri":"` + script + `"}`, script},
	{"ValidateOpenID", `{"subject_type":"` + nonsense + `"}`, nonsense},
	{"ValidateRequestObjects", `{"request_uris":["` + script + `"]}`, script},
	{"ValidateTokens", `{"authorization_details_types":["` + nonsense + `"]}`, nonsense},
	{"ValidateClient", `{"request_object_signing_alg":"RS256"}`, "RS256"}, // without keys
}

// settingProbes are registrations whose outcome depends on the settings of a
// DefaultValidator.
var settingProbes = []probe{
	{"ValidateSoftwareStatement", `{}`, ""},
	{"ValidateSoftwareStatement", `{"software_statement":"` + nonsense + `"}`, ""},
	{"ValidateRedirectURIs", `{"redirect_uris":["http://app.example.com/callback"]}`, ""},
	{"ValidateRedirectURIs", `{"redirect_uris":["http://127.0.0.1/callback"]}`, ""},
	{"ValidateScopes", `{"scope":"openid ` + nonsense + `"}`, ""},
	{"SetDefaultScopes", `{}`, ""},
}

// extensionProbes returns values for each declared extension member, of which the
// member may refuse some.
func extensionProbes(v dcr.Validator) (probes []probe) {
	for _, extension := range v.DeclaredExtensions() {
		for _, value := range []string{`"` + script + `"`, `["` + script + `"]`, `{"` + nonsense + `":1}`} {
			probes = append(probes, probe{"ValidateExtensions", fmt.Sprintf(`{%q:%s}`, extension.Name(), value), strings.Trim(value, `[]{}":1`)})
		}
	}
	return probes
}

// everything returns the capabilities of a server that supports what the probes
// use.
func everything(scopes []string) dcr.Capabilities {
	return dcr.Capabilities{
		ResponseTypes: []string{"code"}, Scopes: append([]string{"openid"}, scopes...),
		GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
		TokenEndpointAuthMethods: []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "none"},
		SubjectTypes:             []string{"public", "pairwise"}, IDTokenSigningAlgs: []string{"RS256", "PS256", "ES256"},
		RequestParameter: true, RequestURIParameter: true, RequestObjectSigningAlgs: []string{"RS256", "PS256", "ES256"},
		AuthorizationDetailsTypes: []string{"payment"}, EndSessionEndpoint: "https://id.example.com/logout",
		FrontchannelLogout: true, BackchannelLogout: true, TLSClientCertificateBoundAccessTokens: true,
	}
}

// stepFaults calls each step with registrations that its DefaultValidator
// refuses, or for which its settings matter.
func stepFaults(v dcr.Validator) (faults []string) {
	known := make(map[string]bool)
	note := func(step, format string, args ...any) {
		if !known[step] {
			known[step] = true
			faults = append(faults, step+" "+fmt.Sprintf(format, args...))
		}
	}
	probes := slices.Concat(hostileProbes, extensionProbes(v))
	for _, p := range probes {
		standard, mine := alone(v, dcr.DefaultValidator{}, p, nil), alone(v, v, p, nil)
		if !standard.passes(p.hostile) && mine.passes(p.hostile) {
			note(p.step, "accepts %s, but the same step of DefaultValidator does not: call the step of the embedded validator, and return its error", p.body)
		}
	}
	for _, p := range probes {
		standard, mine := alone(v, dcr.DefaultValidator{}, p, probed()), alone(v, v, p, probed())
		if !standard.passes(p.hostile) && mine.passes(p.hostile) {
			note(p.step, "accepts an update to %s, but the same step of DefaultValidator does not: call the step of the embedded validator on updates too, and return its error", p.body)
		}
	}
	bottom, found := bottomOf(reflect.ValueOf(v))
	if !found {
		return faults
	}
	for _, p := range settingProbes {
		own, fresh, mine := alone(v, bottom, p, nil), alone(v, dcr.DefaultValidator{}, p, nil), alone(v, v, p, nil)
		if !mine.panicked && !own.same(fresh) && mine.same(fresh) {
			note(p.step, "treats %s like a DefaultValidator{}, not like the one with your settings: call the step of the embedded validator, not that of another one", p.body)
		}
	}
	return faults
}

// outcome describes what a step did.
type outcome struct {
	called, panicked bool
	refused          string // its error
	left             []byte // the client's metadata
	statement        bool   // it verified a statement
}

// passes reports whether the step accepted the hostile text. A panic does not
// count: it may have happened because the other steps did not run.
func (o outcome) passes(hostile string) bool {
	return o.called && !o.panicked && o.refused == "" && bytes.Contains(o.left, []byte(hostile))
}

func (o outcome) same(other outcome) bool {
	return o.called == other.called && o.refused == other.refused && o.statement == other.statement && bytes.Equal(o.left, other.left)
}

// probeBase has the other members of a probe's registration.
const probeBase = `{"client_name":"Probe","redirect_uris":["https://app.example.com/callback"],"grant_types":["authorization_code"],` +
	`"response_types":["code"],"token_endpoint_auth_method":"client_secret_basic"}`

// alone calls one step of the validator of, in place of the same step of v. All
// other steps are skipped, so that none of them ends the registration earlier. If
// previous is not nil, that client sends the probe as an update.
func alone(v, of dcr.Validator, p probe, previous *dcr.Client) (o outcome) {
	defer func() {
		if recover() != nil {
			o.panicked = true
		}
	}()
	request, err := dcr.ParseRequest(merge(probeBase, p.body), dcr.Limits{})
	if err != nil {
		panic(err)
	}
	bottom, _ := bottomOf(reflect.ValueOf(v))
	w := &watch{Validator: v, only: p.step, supports: everything(bottom.DefaultScopes)}
	method := reflect.ValueOf(of).MethodByName(p.step).Interface().(func(context.Context, *dcr.Registration) error)
	reg := &dcr.Registration{
		Request: request, Caller: plainCallers[1],
		HTTP: httptest.NewRequest("POST", "https://id.example.com/connect/dcr", nil),
	}
	if previous != nil { // with its registration access token
		reg.Previous, reg.Caller = previous, nil
		reg.HTTP.Method = http.MethodPut
	}
	if p.step != "ValidateSoftwareStatement" {
		reg.Statement = vouched()
	}
	w.call = func(ctx context.Context, reg *dcr.Registration) error {
		o.called = true
		err := method(ctx, reg)
		if err != nil {
			o.refused = err.Error()
		}
		o.left, _ = reg.Client.Metadata.MarshalJSON()
		o.statement = reg.Statement != nil
		return err
	}
	_ = dcr.Validate(context.Background(), w, reg)
	return o
}

// probed returns a stored client that registered with probeBase.
func probed() *dcr.Client {
	client := newClient("dcrtest")
	client.Metadata = dcr.Metadata{}
	if err := json.Unmarshal([]byte(probeBase), &client.Metadata); err != nil {
		panic(err)
	}
	return client
}

// merge returns the members of both JSON objects. Those of over win.
func merge(base, over string) []byte {
	members, more := decode(base), decode(over)
	maps.Copy(members, more)
	return encode(members)
}

// vouched returns a statement that an issuer trusted by the host may have signed.
func vouched() *dcr.SoftwareStatement {
	return &dcr.SoftwareStatement{Issuer: "https://directory.example.com", ID: "dcrtest"}
}

// bottomOf finds the innermost DefaultValidator of v.
func bottomOf(v reflect.Value) (bottom dcr.DefaultValidator, found bool) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || !v.CanInterface() {
		return bottom, false
	}
	if bottom, found = v.Interface().(dcr.DefaultValidator); found {
		return bottom, true
	}
	for i := range v.NumField() {
		if v.Type().Field(i).Anonymous {
			if bottom, found = bottomOf(v.Field(i)); found {
				return bottom, true
			}
		}
	}
	return bottom, false
}
