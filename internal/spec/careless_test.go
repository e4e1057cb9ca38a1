package spec_test

// Overriding steps that forget to call the step that they override: the fixed
// rules take its place, for every step and every member.

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
)

// careless overrides every step. In one of them it forgets the default, swallows
// the default's error, or refuses what the default accepted.
type careless struct {
	dcr.DefaultValidator
	step     string
	swallows bool
	refuses  error
}

func (v careless) run(name string, ctx context.Context, reg *dcr.Registration, step func(context.Context, *dcr.Registration) error) error {
	if name != v.step {
		return step(ctx, reg)
	}
	switch {
	case v.refuses != nil:
		if err := step(ctx, reg); err != nil {
			return err
		}
	case v.swallows:
		_ = step(ctx, reg)
	}
	return v.refuses
}

func (v careless) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateSoftwareStatement", ctx, reg, v.DefaultValidator.ValidateSoftwareStatement)
}

func (v careless) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateGrantTypes", ctx, reg, v.DefaultValidator.ValidateGrantTypes)
}

func (v careless) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateRedirectURIs", ctx, reg, v.DefaultValidator.ValidateRedirectURIs)
}

func (v careless) ValidateScopes(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateScopes", ctx, reg, v.DefaultValidator.ValidateScopes)
}

func (v careless) SetDefaultScopes(ctx context.Context, reg *dcr.Registration) error {
	return v.run("SetDefaultScopes", ctx, reg, v.DefaultValidator.SetDefaultScopes)
}

func (v careless) ValidateClientAuthentication(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateClientAuthentication", ctx, reg, v.DefaultValidator.ValidateClientAuthentication)
}

func (v careless) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateDisplay", ctx, reg, v.DefaultValidator.ValidateDisplay)
}

func (v careless) ValidateLogout(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateLogout", ctx, reg, v.DefaultValidator.ValidateLogout)
}

func (v careless) ValidateOpenID(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateOpenID", ctx, reg, v.DefaultValidator.ValidateOpenID)
}

func (v careless) ValidateRequestObjects(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateRequestObjects", ctx, reg, v.DefaultValidator.ValidateRequestObjects)
}

func (v careless) ValidateTokens(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateTokens", ctx, reg, v.DefaultValidator.ValidateTokens)
}

func (v careless) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateExtensions", ctx, reg, v.DefaultValidator.ValidateExtensions)
}

func (v careless) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	return v.run("ValidateClient", ctx, reg, v.DefaultValidator.ValidateClient)
}

// overridden has the steps of careless.
var overridden = func() (steps []string) {
	for method := range reflect.TypeFor[careless]().Methods() {
		if method.Name != "SetClientDefaults" && isStep(method.Type) {
			steps = append(steps, method.Name)
		}
	}
	return steps
}()

func isStep(method reflect.Type) bool {
	return method.NumIn() == 3 && method.In(2) == reflect.TypeFor[*dcr.Registration]() && method.NumOut() == 1
}

func TestEveryStepIsOverridden(t *testing.T) {
	for _, step := range overridden {
		called := careless{step: step}
		reg := &dcr.Registration{Request: &dcr.Request{}, Client: dcr.NewClient()}
		method := reflect.ValueOf(called).MethodByName(step)
		if out := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(reg)}); !out[0].IsNil() {
			t.Errorf("%s is not overridden: %v", step, out[0])
		}
	}
	if len(overridden) != 13 {
		t.Errorf("there are %d steps: %v", len(overridden), overridden)
	}
}

// carelessly calls f for every step that is forgotten or whose error is
// swallowed, with a server and the answer that an earlier client got.
func carelessly(t *testing.T, f func(t *testing.T, r *rig, swallows bool, old *answer)) {
	for _, step := range overridden {
		for _, swallows := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, swallowed %v", step, swallows), func(t *testing.T) {
				r := start(t, everything, sealed(t), extended(extensionURIs...))
				old := r.register(t, careful().String())
				r.handler = newHandler(t, r.store, dcr.Options{
					Endpoint: r.server.URL + registerURL, AllowAnonymous: true, Validator: dcr.DefaultValidator{Supports: capabilities(t, everything)},
				}, sealed(t), extended(extensionURIs...), func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = careless{*v, step, swallows, nil} })
				f(t, r, swallows, old)
			})
		}
	}
}

// careful returns a request that leaves no default for a step to fill in.
func careful() object {
	return object{
		"redirect_uris": []string{"https://rp.example.com/cb"}, "grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
		"token_endpoint_auth_method": "client_secret_basic", "subject_type": "public", "id_token_signed_response_alg": "RS256",
	}
}

var extensionURIs = slices.Concat(extension.UMA(), extension.OpenID4VCI(), extension.Federation())

// uriMember is a member that contains URIs, and what else a request must have so
// that the member is checked.
type uriMember struct {
	name string
	list bool
	use  string // the use of its URIs
	with object
}

// uriMembers returns the members with URIs of Metadata, in every form, and of
// the extensions.
var uriMembers = func() (found []uriMember) {
	with := map[string]object{
		"tls_client_auth_san_uri":                  {"token_endpoint_auth_method": "tls_client_auth"},
		"backchannel_client_notification_endpoint": {"grant_types": []string{"authorization_code", "urn:openid:params:grant-type:ciba"}, "backchannel_token_delivery_mode": "ping"},
	}
	for field := range reflect.TypeFor[dcr.Metadata]().Fields() {
		name, use := field.Tag.Get("json"), field.Tag.Get("uri")
		if use == "" {
			continue
		}
		if field.Tag.Get("visited") != "" {
			use += ", visited"
		}
		found = append(found, uriMember{name, field.Type.Kind() == reflect.Slice, use, with[name]})
		if field.Tag.Get("lang") != "" {
			found = append(found, uriMember{name + "#ja-Jpan-JP", false, use, nil})
		}
	}
	return append(found,
		uriMember{"claims_redirect_uris", true, "extension return", nil}, uriMember{"credential_offer_endpoint", false, "extension return", nil},
		uriMember{"signed_jwks_uri", false, "extension https", nil}, uriMember{"information_uri#de", false, "extension page", nil},
		uriMember{"organization_uri", false, "extension page", nil})
}()

// A member whose name says that it contains URIs has the tag that says what
// they are for.
func TestEveryURIMemberHasAUse(t *testing.T) {
	for field := range reflect.TypeFor[dcr.Metadata]().Fields() {
		name := field.Tag.Get("json")
		named := strings.HasSuffix(name, "_uri") || strings.HasSuffix(name, "_uris") || strings.HasSuffix(name, "_endpoint")
		if named != (field.Tag.Get("uri") != "") {
			t.Errorf("%s: the tag uri is %q", name, field.Tag.Get("uri"))
		}
	}
}

// hostile returns URIs that no member may have, and those that the member's use
// rules out.
func (m uriMember) hostile() []string {
	bad := []string{
		"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://rp.example.com/x",
		"view-source:https://rp.example.com/", "about:blank", "intent://rp.example.com/#Intent;end",
		"https://rp.example.com@evil.example/", "https://rp.example.com\\@evil.example/", "https:rp.example.com", "//rp.example.com/cb", "/cb", "rp.example.com",
		"https://0x7f.1/", "https://rp.example.com/../cb", "https://rp.example.com/ cb", "https://r\u00fc.example/",
	}
	use := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			return strings.TrimSuffix(strings.TrimPrefix(m.use, "extension "), ", visited") == name
		})
	}
	if use("redirect") {
		bad = append(bad, "https://*.example.com/cb", "https://rp.example.com/*")
	}
	if !use("page", "request", "name") {
		bad = append(bad, "https://rp.example.com/cb#x", "https://rp.example.com/cb#")
	}
	if !use("page", "name") {
		bad = append(bad, "http://rp.example.com/cb", "http://169.254.169.254/latest")
	}
	if !use("redirect", "return", "name") {
		bad = append(bad, "com.example.app:/cb", "myapp://cb")
	}
	if strings.HasSuffix(m.use, ", visited") {
		bad = append(bad, "https://169.254.169.254/latest", "https://100.100.100.200/", "https://10.0.0.1/", "https://127.0.0.1/", "https://[::1]/",
			"https://[fd00:ec2::254]/latest", "https://[64:ff9b::a9fe:a9fe]/", "https://localhost:8443/", "https://LOCALHOST/", "https://a.localhost/")
	}
	return bad
}

// value returns the member's value: the URI or, for a list, good URIs and this
// one.
func (m uriMember) value(text string) any {
	if m.list {
		return []string{"https://rp.example.com/first", text}
	}
	return text
}

func TestNoForgottenStepLetsAHostileURIThrough(t *testing.T) {
	carelessly(t, func(t *testing.T, r *rig, swallows bool, old *answer) {
		before := r.stored(t, old)
		for _, member := range uriMembers {
			body := careful()
			maps.Copy(body, member.with)
			if good := body.with(member.name, member.value("https://rp.example.com/x")).String(); member.name != "sector_identifier_uri" {
				if a := ask(t, r.handler, "POST", registerURL, "", good); a.status != 201 {
					t.Errorf("%s: a valid one gets %d %s", member.name, a.status, a.body)
				}
			}
			count, _ := r.store.CountClients(t.Context(), dcr.Filter{})
			for i, text := range member.hostile() {
				if swallows && i%4 > 0 {
					continue // a swallowed error is like a forgotten step, except for what the step changed, so a few cases are enough
				}
				hostile := body.with(member.name, member.value(text))
				posted := ask(t, r.handler, "POST", registerURL, "", hostile.String())
				put := ask(t, r.handler, "PUT", old.text("registration_client_uri"), old.text("registration_access_token"), hostile.with("client_id", old.text("client_id")).String())
				for _, a := range []*answer{posted, put} {
					if a.status != http.StatusBadRequest {
						t.Errorf("%s %q: status %d %s", member.name, text, a.status, a.body)
					}
				}
			}
			if after, _ := r.store.CountClients(t.Context(), dcr.Filter{}); after != count {
				t.Errorf("%s: %d clients were stored", member.name, after-count)
			}
		}
		if after := r.stored(t, old); after != before {
			t.Errorf("the client changed:\n%s\n%s", before, after)
		}
	})
}

// Members that are not URIs, with values that must be refused even if a step is
// forgotten.
var hostileSyntax = map[string]object{
	"an invalid scope":                          {"scope": `admin "quoted\ root`},
	"a scope beyond the ceiling":                {"scope": "openid admin"},
	"the scope that stands for all scopes":      {"scope": "*"},
	"an unknown method":                         {"token_endpoint_auth_method": "nonsense"},
	"a grant type beyond the ceiling":           {"grant_types": []string{"authorization_code", "password"}},
	"no grant type that starts a grant":         {"grant_types": []string{"refresh_token"}},
	"a response type beyond the ceiling":        {"response_types": []string{"code", "vp_token"}},
	"pairwise subjects of two sectors":          {"subject_type": "pairwise", "redirect_uris": []string{"https://a.example/cb", "https://b.example/cb"}},
	"a sector that was not fetched":             {"subject_type": "pairwise", "sector_identifier_uri": "https://127.0.0.1/sector"},
	"an unknown subject type":                   {"subject_type": "anonymous"},
	"an algorithm beyond the ceiling":           {"id_token_signed_response_alg": "ES512"},
	"an algorithm that the client cannot have":  {"userinfo_signed_response_alg": "none"},
	"a response mode beyond the ceiling":        {"response_modes": []string{"form_post"}},
	"an acr beyond the ceiling":                 {"default_acr_values": []string{"9"}},
	"authorization details beyond the ceiling":  {"authorization_details_types": []string{"root"}},
	"an unknown delivery mode":                  {"backchannel_token_delivery_mode": "shout"},
	"a front-channel page of another origin":    {"frontchannel_logout_uri": "https://evil.example/out"},
	"an extension with the wrong type":          {"claims_redirect_uris": "https://rp.example.com/"},
	"an invalid name of a certificate":          {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "a b"},
	"two names of a certificate":                {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "a.example", "tls_client_auth_san_ip": "1.1.1.1"},
	"a name that reads like another":            {"client_name": "Bank\u202eknab"},
	"a redirect URI missing":                    {"redirect_uris": []string{}},
	"a private key":                             {"jwks": json.RawMessage(`{"keys":[` + ecPrivate + `]}`)},
	"signed requests without keys":              {"request_object_signing_alg": "RS256"},
	"tokens that are bound through the browser": {"dpop_bound_access_tokens": true, "grant_types": []string{"authorization_code", "implicit"}, "response_types": []string{"code", "token"}},
}

// dropped lists the cases in which the default drops the value and does not
// refuse it.
var dropped = []string{"a scope beyond the ceiling", "a grant type beyond the ceiling", "a response type beyond the ceiling"}

func TestNoForgottenStepLetsSyntaxThrough(t *testing.T) {
	carelessly(t, func(t *testing.T, r *rig, swallows bool, old *answer) {
		for _, sentence := range slices.Sorted(maps.Keys(hostileSyntax)) {
			body := careful()
			maps.Copy(body, hostileSyntax[sentence])
			posted := ask(t, r.handler, "POST", registerURL, "", body.String())
			put := ask(t, r.handler, "PUT", old.text("registration_client_uri"), old.text("registration_access_token"), body.with("client_id", old.text("client_id")).String())
			for _, a := range []*answer{posted, put} {
				switch {
				case a.status >= 400:
				case !slices.Contains(dropped, sentence):
					t.Errorf("%s: status %d %s", sentence, a.status, a.body)
				default:
					for name, sent := range hostileSyntax[sentence] {
						if reflect.DeepEqual(encode(a.members[name]), encode(sent)) {
							t.Errorf("%s: %s is answered", sentence, encode(sent))
						}
					}
				}
			}
		}
	})
}

// What no client can be without, if a step leaves it out.
func TestNoForgottenStepLeavesAGap(t *testing.T) {
	carelessly(t, func(t *testing.T, r *rig, swallows bool, old *answer) {
		for _, name := range []string{"grant_types", "token_endpoint_auth_method"} {
			a := ask(t, r.handler, "POST", registerURL, "", careful().with(name, nil).String())
			if a.status == 201 && (a.members[name] == nil || reflect.DeepEqual(a.members[name], []any{})) {
				t.Errorf("%s is missing: %s", name, a.body)
			}
		}
	})
}

// A step still decides which redirect URI is for which kind of application.
func TestWhatAStepMayLoosen(t *testing.T) {
	r := start(t, everything, sealed(t), func(v *dcr.DefaultValidator, o *dcr.Options) {
		o.Validator = careless{*v, "ValidateRedirectURIs", false, nil}
	})
	for sentence, members := range map[string]object{
		"a private-use scheme of a web application":           {"application_type": "web", "redirect_uris": []string{"com.example.app:/cb"}},
		"https on the local machine for a native application": {"application_type": "native", "redirect_uris": []string{"https://localhost/cb"}},
		"a kind of application that the host defines":         {"application_type": "mobile"},
	} {
		body := careful()
		maps.Copy(body, members)
		if a := r.post(t, body.String()); a.status != 201 {
			t.Errorf("%s: status %d %s", sentence, a.status, a.body)
		}
	}
}
