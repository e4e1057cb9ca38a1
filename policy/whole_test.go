package policy_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// ways has the ways in which a host may set up a preset, each with the options
// that the preset needs.
var ways = map[string]func(preset policy.Preset, opts *dcr.Options){
	"as Validator": func(preset policy.Preset, opts *dcr.Options) { opts.Validator = preset },
	"named by ChoosePolicy": func(preset policy.Preset, opts *dcr.Options) {
		opts.Policies = map[string]dcr.Validator{"it": preset}
		opts.ChoosePolicy = func(*http.Request, *dcr.Caller) (string, error) { return "it", nil }
	},
	"named by Caller.Policy": func(preset policy.Preset, opts *dcr.Options) {
		opts.Policies = map[string]dcr.Validator{"it": preset}
		inner := opts.Caller
		opts.Caller = func(r *http.Request) (*dcr.Caller, error) {
			caller, err := inner(r)
			if caller == nil {
				caller = &dcr.Caller{}
			}
			caller.Policy = "it"
			return caller, err
		}
	},
	"applied": func(preset policy.Preset, opts *dcr.Options) { preset.Apply(opts) },
	"applied, with a decoder for JSON": func(preset policy.Preset, opts *dcr.Options) {
		opts.Decoders = map[string]dcr.Decoder{"application/json": dcr.PlainJSON, "application/jose": dcr.PlainJSON}
		preset.Apply(opts)
	},
	"with a rule on top":    func(preset policy.Preset, opts *dcr.Options) { preset.With(policy.RequirePKCE()).Apply(opts) },
	"inside the host's own": func(preset policy.Preset, opts *dcr.Options) { opts.Validator = struct{ policy.Preset }{preset} },
	"with JSON instead of its decoders": func(preset policy.Preset, opts *dcr.Options) {
		opts.Validator = decoding{preset, func(context.Context, *http.Request, []byte) string { return "" }}
	},
	"with a decoder that trusts a header": func(preset policy.Preset, opts *dcr.Options) {
		opts.Validator = decoding{preset, func(_ context.Context, r *http.Request, _ []byte) string { return r.Header.Get("X-Signer") }}
	},
}

// decoding is a host's validator that accepts JSON for a preset, and says who
// signed it.
type decoding struct {
	policy.Preset
	signer func(ctx context.Context, r *http.Request, body []byte) string
}

func (d decoding) Decoders() map[string]dcr.Decoder {
	decode := func(ctx context.Context, r *http.Request, body []byte) (dcr.DecodedBody, error) {
		return dcr.DecodedBody{JSON: body, Signer: d.signer(ctx, r, body)}, nil
	}
	return map[string]dcr.Decoder{"application/json": decode, "application/jose": decode}
}

// stranger returns what anyone can send who has the third party's statement,
// which is public.
func (w *ukWorld) stranger() object {
	return object{
		"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=mallory",
		"grant_types": []string{"authorization_code", "client_credentials"}, "scope": "openid accounts",
		"application_type": "web", "id_token_signed_response_alg": "PS256", "request_object_signing_alg": "PS256",
	}
}

// reach sets up the bank's preset in the given way, with the options that it
// needs.
func (w *ukWorld) reach(t *testing.T, way func(policy.Preset, *dcr.Options)) {
	t.Helper()
	opts := ukOptions()
	opts.ManageAs, opts.OptionalClientID = func(caller *dcr.Caller, client *dcr.Client) bool { return caller.ClientID == client.ID }, true
	way(w.preset, opts)
	var err error
	if w.bank, err = dcr.NewHandler(w.store, opts); err != nil {
		t.Fatal(err)
	}
}

// TestUKTakesNoUnsignedRequest checks that a stranger cannot register or update
// anyone's software, in whichever way the host set up the preset.
func TestUKTakesNoUnsignedRequest(t *testing.T) {
	for name, way := range ways {
		for _, version := range []string{"3.3", "3.4"} {
			t.Run(name+", "+version, func(t *testing.T) {
				w := newUK(t, policy.UKBank{Version: version})
				id := decode(t, w.send(http.MethodPost, "", "application/jose", "", w.request(t, nil, nil)))["client_id"].(string)
				client, err := w.store.FindByClientID(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(name, "named") {
					client.Policy = "it"
					if err := w.store.Update(t.Context(), client); err != nil {
						t.Fatal(err)
					}
				}
				w.reach(t, way)
				body := with(w.stranger(), object{"software_statement": w.statement(t, nil)})
				own := newES256("party").sign(t, with(body, object{"iss": "65d1f27c4aeaa4afd2e1", "aud": ukAudience,
					"iat": time.Now().Unix(), "exp": time.Now().Unix() + 60, "jti": "1"}))
				for _, contentType := range []string{"application/json", "application/jose", "application/jwt", ""} {
					for _, sent := range []string{jsonText(body), own} {
						for method, answer := range map[string]dcrtest.Answer{
							"POST": w.send(http.MethodPost, "", contentType, "", sent),
							"PUT":  w.send(http.MethodPut, "?client_id="+id, contentType, "token-of-"+id, sent),
						} {
							if answer.Status != 400 && answer.Status != 415 {
								t.Errorf("%s of %q: %d %s", method, contentType, answer.Status, answer.Body)
							}
						}
					}
				}
				count, err := w.store.CountClients(t.Context(), dcr.Filter{})
				after, errFind := w.store.FindByClientID(t.Context(), id)
				if err != nil || errFind != nil || count != 1 || after.Revision != client.Revision {
					t.Errorf("%d clients, and the third party's has revision %d", count, after.Revision)
				}
			})
		}
	}
}

// TestUKTellsSigners checks that only the software of the statement signs.
func TestUKTellsSigners(t *testing.T) {
	w := newUK(t, policy.UKBank{})
	w.reach(t, ways["with a decoder that trusts a header"])
	software := func(issuer, id string) string {
		return (&dcr.SoftwareStatement{Issuer: issuer, Metadata: dcr.Metadata{SoftwareID: id}}).Signer()
	}
	body := jsonText(with(w.stranger(), object{"software_statement": w.statement(t, nil)}))
	for signer, status := range map[string]int{
		"":                     400,
		"65d1f27c4aeaa4afd2e1": 400,
		"OpenBanking Ltd":      400,
		software("OpenBanking Ltd", "othersoftware"):         400,
		software("Somebody Ltd", "65d1f27c4aeaa4afd2e1"):     400,
		software("OpenBanking Ltd", "65D1F27C4AEAA4AFD2E1"):  400,
		software("OpenBanking Ltd", "65d1f27c4aeaa4afd2e1"):  201,
		software("OpenBanking Ltd", "65d1f27c4aeaa4afd2e1 "): 400,
	} {
		signed := http.Header{"X-Signer": {signer}}
		answer := w.sendWith(signed, http.MethodPost, "", "application/json", "", body)
		if answer.Status != status {
			t.Errorf("signed by %q: %d %s, want %d", signer, answer.Status, answer.Body, status)
		}
		if status == 201 {
			id := decode(t, answer)["client_id"].(string)
			for other, status := range map[string]int{"": 400, software("OpenBanking Ltd", "othersoftware"): 400, signer: 200} {
				signed := http.Header{"X-Signer": {other}}
				if answer := w.sendWith(signed, http.MethodPut, "?client_id="+id, "application/json", "token-of-"+id, body); answer.Status != status {
					t.Errorf("updated by %q: %d %s, want %d", other, answer.Status, answer.Body, status)
				}
			}
		}
	}
}

// TestUKStaysTheSameSoftware checks that only its own software can update a
// client, even if the request of another is signed correctly.
func TestUKStaysTheSameSoftware(t *testing.T) {
	w := newUK(t, policy.UKBank{})
	id := decode(t, w.send(http.MethodPost, "", "application/jose", "", w.request(t, nil, nil)))["client_id"].(string)
	foreign := w.request(t, object{"software_id": "othersoftware"}, object{"iss": "othersoftware"})
	answer := w.send(http.MethodPut, "/"+id, "application/jose", "token-of-"+id, foreign)
	if code, err := dcrtest.Refusal(answer); err != nil || code != "unapproved_software_statement" {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
	fresh := w.request(t, object{"jti": "another", "software_client_name": "Renamed"}, nil)
	if answer := w.send(http.MethodPut, "/"+id, "application/jose", "token-of-"+id, fresh); answer.Status != 200 || decode(t, answer)["client_name"] != "Renamed" {
		t.Errorf("a fresh statement: %d %s", answer.Status, answer.Body)
	}
}

// TestUKTakesARequestOnce checks that a request is accepted once, on
// registration and on update, with the handler's store and with the bank's own;
// a request that stored nothing is not used up.
func TestUKTakesARequestOnce(t *testing.T) {
	for name, own := range map[string]dcr.ReplayStore{"the handler's store": nil, "the bank's own": memstore.New()} {
		t.Run(name, func(t *testing.T) {
			w := newUK(t, policy.UKBank{Replay: own})
			request := w.request(t, nil, nil)
			answer := w.send(http.MethodPost, "", "application/jose", "", request)
			if answer.Status != 201 {
				t.Fatalf("%d %s", answer.Status, answer.Body)
			}
			id := decode(t, answer)["client_id"].(string)
			if answer := w.send(http.MethodPost, "", "application/jose", "", request); answer.Status != 400 {
				t.Errorf("registered twice: %d %s", answer.Status, answer.Body)
			}
			if answer := w.send(http.MethodPut, "/"+id, "application/jose", "token-of-"+id, request); answer.Status != 400 {
				t.Errorf("a request that registered can also update: %d %s", answer.Status, answer.Body)
			}
			update := w.request(t, nil, nil)
			for i, status := range []int{200, 400} {
				if answer := w.send(http.MethodPut, "/"+id, "application/jose", "token-of-"+id, update); answer.Status != status {
					t.Errorf("update %d: %d %s, want %d", i, answer.Status, answer.Body, status)
				}
			}
			vain := w.request(t, nil, nil)
			w.store.Limit = 1
			if answer := w.send(http.MethodPost, "", "application/jose", "", vain); answer.Status != 503 {
				t.Fatalf("the store is not full: %d %s", answer.Status, answer.Body)
			}
			w.send(http.MethodDelete, "/"+id, "", "token-of-"+id, "")
			if answer := w.send(http.MethodPost, "", "application/jose", "", vain); answer.Status != 201 {
				t.Errorf("a request that stored nothing was used up: %d %s", answer.Status, answer.Body)
			}
		})
	}
}

// TestUKTypes checks that no other kind of token is accepted as a request.
func TestUKTypes(t *testing.T) {
	for typ, status := range map[string]int{
		"": 201, "JWT": 201, "jose": 201, "JOSE": 201, "application/jwt": 201,
		"dpop+jwt": 400, "logout+jwt": 400, "oauth-authz-req+jwt": 400, "at+jwt": 400, "entity-statement+jwt": 400, "application/dpop+jwt": 400, "text/plain": 400,
	} {
		w := newUK(t, policy.UKBank{})
		w.party.typ = &typ
		if answer := w.send(http.MethodPost, "", "application/jose", "", w.request(t, nil, nil)); answer.Status != status {
			t.Errorf("%s: %d %s, want %d", typ, answer.Status, answer.Body, status)
		}
	}
}

// TestPresetsAreWhole checks that a preset without what it needs does not start,
// as Validator and by name, and that the error says what to set; what is only
// advisable is a warning.
func TestPresetsAreWhole(t *testing.T) {
	ukServer := func() dcr.DefaultValidator {
		return dcr.DefaultValidator{
			Statements: &dcr.StatementVerifier{},
			Supports:   dcr.Capabilities{TokenEndpointAuthMethods: []string{"private_key_jwt", "client_secret_basic"}},
		}
	}
	uk := func() policy.Preset { return policy.UKOpenBanking(ukServer(), policy.UKBank{}) }
	brasil := func() policy.Preset {
		return policy.OpenFinanceBrasil(dcr.DefaultValidator{Statements: &dcr.StatementVerifier{}}, policy.BrasilBank{})
	}
	open := func(preset func(dcr.DefaultValidator) policy.Preset) func() policy.Preset {
		return func() policy.Preset { return preset(dcr.DefaultValidator{}) }
	}
	cdr := func() policy.Preset {
		return policy.ConsumerDataRight(dcr.DefaultValidator{Statements: &dcr.StatementVerifier{}}, policy.CDRHolder{Audience: []string{cdrHolder}})
	}
	lti := func(platform policy.LTIPlatform) func() policy.Preset {
		return open(func(v dcr.DefaultValidator) policy.Preset { return policy.LTI(v, platform) })
	}
	subject := func(caller *dcr.Caller) string { return caller.Subject }
	udap := func() policy.Preset { return policy.UDAP(dcr.DefaultValidator{}, udapServer(nil)) }
	nobody := func(*dcr.Caller, *dcr.Client) bool { return false }
	bare := plain{memstore.New()}
	for _, c := range []struct {
		sentence string
		preset   func() policy.Preset
		opts     dcr.Options
		store    dcr.ClientConfigurationStore // nil means one that can do everything
		refused  string                       // part of the error, "" if it starts
		warned   []string                     // parts of the warnings of the preset
	}{
		{"UK, with what it needs", uk, dcr.Options{ManageAs: nobody, OptionalClientID: true}, nil, "", []string{"ClientURI", "NewClientSecret", "WriteError"}},
		{"UK, with nothing", uk, dcr.Options{}, nil, "ManageAs", nil},
		{"UK, without ManageAs", uk, dcr.Options{OptionalClientID: true}, nil, "ManageAs", nil},
		{"UK, without OptionalClientID", uk, dcr.Options{ManageAs: nobody}, nil, "OptionalClientID", nil},
		{"UK, without management", uk, dcr.Options{DisableManagement: true}, nil, "", []string{"NewClientSecret", "WriteError"}},
		{"UK, with a store that is not a ReplayStore", uk, dcr.Options{ManageAs: nobody, OptionalClientID: true}, bare, "ReplayStore", nil},
		{"UK, with its own ReplayStore", func() policy.Preset { return policy.UKOpenBanking(ukServer(), policy.UKBank{Replay: memstore.New()}) },
			dcr.Options{ManageAs: nobody, OptionalClientID: true}, bare, "", []string{"ClientURI", "NewClientSecret", "WriteError"}},
		{"Brasil, with what it needs", brasil, dcr.Options{}, nil, "", nil},
		{"Brasil, with a store that is not a StatementFinder", brasil, dcr.Options{}, bare, "StatementFinder", nil},
		{"Brasil, without management", brasil, dcr.Options{DisableManagement: true}, nil, "DisableManagement", nil},
		{"Brasil, managed by callers only", brasil, dcr.Options{ManageByCallerOnly: true, ManageAs: nobody}, nil, "ManageByCallerOnly", nil},
		{"Brasil, with tokens that rotate", brasil, dcr.Options{RotateRegistrationToken: true}, nil, "RotateRegistrationToken", nil},
		{"CDR, with what it needs", cdr, dcr.Options{ManageAs: nobody, OptionalClientID: true}, nil, "", []string{"ClientURI", "WriteError"}},
		{"CDR, without ManageAs", cdr, dcr.Options{OptionalClientID: true}, nil, "ManageAs", nil},
		{"CDR, without OptionalClientID", cdr, dcr.Options{ManageAs: nobody}, nil, "OptionalClientID", nil},
		{"CDR, without management", cdr, dcr.Options{DisableManagement: true}, nil, "", []string{"WriteError"}},
		{"CDR, with a store that is not a ReplayStore", cdr, dcr.Options{ManageAs: nobody, OptionalClientID: true}, bare, "ReplayStore", nil},
		{"LTI needs nothing", lti(policy.LTIPlatform{}), dcr.Options{}, bare, "", nil},
		{"LTI, with ids from tokens", lti(policy.LTIPlatform{ClientID: subject}), dcr.Options{}, bare, "NewClientID", nil},
		{"LTI, with access tokens", lti(policy.LTIPlatform{AccessTokens: true}), dcr.Options{}, bare, "ManageAs", nil},
		{"LTI, with access tokens and ManageAs", lti(policy.LTIPlatform{AccessTokens: true}), dcr.Options{ManageAs: nobody}, bare, "", nil},
		{"UDAP, with what it needs", udap, dcr.Options{DisableManagement: true}, nil, "", nil},
		{"UDAP, managed by callers", udap, dcr.Options{ManageAs: nobody}, nil, "", nil},
		{"UDAP, with management that nobody is allowed", udap, dcr.Options{}, nil, "ManageAs", nil},
		{"UDAP, with a store that is not a StatementFinder", udap, dcr.Options{DisableManagement: true}, bare, "StatementFinder", nil},
		{"MCP, closed to pages", open(policy.MCP), dcr.Options{}, bare, "", []string{"CORS"}},
		{"MCP, open to pages", open(policy.MCP), dcr.Options{CORS: dcr.CORS{LoopbackOrigins: true}}, bare, "", nil},
		{"Matrix, closed to pages", open(func(v dcr.DefaultValidator) policy.Preset { return policy.Matrix(v) }), dcr.Options{}, bare, "", []string{"CORS"}},
		{"OIDC needs nothing", open(policy.OIDC), dcr.Options{}, bare, "", nil},
		{"FAPI2 needs nothing", open(policy.FAPI2), dcr.Options{}, bare, "", nil},
		{"Duende needs nothing", open(func(v dcr.DefaultValidator) policy.Preset { return policy.Duende(v) }), dcr.Options{}, bare, "", nil},
	} {
		for _, named := range []bool{false, true} {
			opts, where := c.opts, "Options.Validator: "
			opts.Endpoint, opts.Logger = endpoint, quiet
			if opts.Validator = c.preset(); named {
				where = `Options.Policies["it"]: `
				opts.Policies, opts.Validator = map[string]dcr.Validator{"it": opts.Validator}, nil
			}
			store := c.store
			if store == nil {
				store = memstore.New()
			}
			h, err := dcr.NewHandler(store, &opts)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), where) || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("%s, %swant an error about %s, got %v", c.sentence, where, c.refused, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %s%v", c.sentence, where, err)
				continue
			}
			warnings := slices.DeleteFunc(h.Warnings(), func(warning string) bool { return !strings.HasPrefix(warning, where) })
			if len(warnings) != len(c.warned) {
				t.Errorf("%s, %swarnings %q, want %q", c.sentence, where, warnings, c.warned)
				continue
			}
			for i, want := range c.warned {
				if !strings.Contains(warnings[i], want) {
					t.Errorf("%s, %s%q does not mention %s", c.sentence, where, warnings[i], want)
				}
			}
		}
	}
}

// plain hides the optional methods of a store.
type plain struct{ dcr.ClientConfigurationStore }

// TestProfilesPassTestValidator checks that dcrtest works with presets that need
// certain options.
func TestProfilesPassTestValidator(t *testing.T) {
	server := dcr.DefaultValidator{Statements: &dcr.StatementVerifier{}}
	dcrtest.TestValidator(t, policy.UKOpenBanking(server, policy.UKBank{}))
	dcrtest.TestValidator(t, policy.OpenFinanceBrasil(server, policy.BrasilBank{}))
	dcrtest.TestValidator(t, policy.LTI(dcr.DefaultValidator{}, policy.LTIPlatform{}))
	register := dcr.DefaultValidator{Statements: &dcr.StatementVerifier{}}
	dcrtest.TestValidator(t, policy.ConsumerDataRight(register, policy.CDRHolder{Audience: []string{cdrHolder}}))
}

// TestAppliedPresetsHaveNothingToWarnOf checks that Apply also sets what is
// only advisable.
func TestAppliedPresetsHaveNothingToWarnOf(t *testing.T) {
	scoped := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"openid"}}}
	statements, register := scoped, scoped
	statements.Statements, register.Statements = &dcr.StatementVerifier{}, &dcr.StatementVerifier{}
	for name, preset := range maps.All(map[string]policy.Preset{
		"UKOpenBanking": policy.UKOpenBanking(statements, policy.UKBank{}), "OpenFinanceBrasil": policy.OpenFinanceBrasil(statements, policy.BrasilBank{}),
		"ConsumerDataRight": policy.ConsumerDataRight(register, policy.CDRHolder{Audience: []string{cdrHolder}}),
		"LTI":               policy.LTI(scoped, policy.LTIPlatform{}),
		"UDAP":              policy.UDAP(scoped, udapServer(nil)),
		"MCP":               policy.MCP(scoped), "Matrix": policy.Matrix(scoped), "OIDC": policy.OIDC(dcr.DefaultValidator{}),
		"FAPI2": policy.FAPI2(scoped), "Duende": policy.Duende(scoped),
	}) {
		h, err := dcr.NewHandler(memstore.New(), preset.Apply(&dcr.Options{Endpoint: endpoint, Logger: quiet}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if warnings := h.Warnings(); len(warnings) > 0 {
			t.Errorf("%s: %q", name, warnings)
		}
	}
}
