package spec_test

import (
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

func duendeMembers(limits policy.DuendeLimits) change {
	return func(v *dcr.DefaultValidator, o *dcr.Options) {
		o.Validator = policy.Stack(*v, policy.DuendeMembers(limits))
	}
}

// Which of a client's settings Duende's Configuration API returns, and when.
func TestDuendeMembersAreAnswered(t *testing.T) {
	start(t, duende, duendeMembers(policy.DuendeLimits{})).judge(t, []wireCase{
		{sentence: "a client of the code flow", answer: `{"access_token_lifetime":3600,"access_token_type":"Jwt","require_client_secret":true,"authorization_code_lifetime":300,
			"require_consent":true,"allow_remember_consent":true,"enable_local_login":true,"consent_lifetime":null,"allowed_cors_origins":null,"identity_provider_restrictions":null,
			"identity_token_lifetime":null,"absolute_refresh_token_lifetime":null,"refresh_token_usage":null,"coordinate_lifetime_with_user_session":null,"allowed_identity_token_signing_algorithms":null}`},
		{sentence: "identity tokens, with the scope openid", request: `{"scope":"openid"}`, answer: `{"identity_token_lifetime":300}`},
		{sentence: "refresh tokens, with their grant", request: `{"grant_types":["authorization_code","refresh_token"]}`, answer: `{"absolute_refresh_token_lifetime":2592000,"refresh_token_expiration":"Absolute",
			"refresh_token_usage":"OneTimeOnly","update_access_token_claims_on_refresh":false,"sliding_refresh_token_lifetime":null}`},
		{sentence: "sliding refresh tokens", request: `{"grant_types":["authorization_code","refresh_token"],"refresh_token_expiration":"Sliding"}`, answer: `{"sliding_refresh_token_lifetime":1296000,"refresh_token_expiration":"Sliding"}`},
		{sentence: "a machine client", request: `{"redirect_uris":[],"grant_types":["client_credentials"]}`, answer: `{"access_token_lifetime":3600,"access_token_type":"Jwt","require_client_secret":true,
			"authorization_code_lifetime":null,"require_consent":null,"allow_remember_consent":null,"enable_local_login":null}`},
		{sentence: "a public client", request: `{"token_endpoint_auth_method":"none"}`, answer: `{"require_client_secret":false}`},
	})
	start(t, duende).judge(t, []wireCase{
		{sentence: "without the switch they are unknown members", request: `{"access_token_lifetime":"x","require_consent":5}`, answer: `{"access_token_lifetime":null,"require_consent":null,"access_token_type":null,"require_client_secret":null}`},
	})
}

func TestDuendeMembers(t *testing.T) {
	r := start(t, duende, duendeMembers(policy.DuendeLimits{MaxConsentLifetime: time.Hour}))
	const refresh = `"grant_types":["authorization_code","refresh_token"],`
	r.judge(t, []wireCase{
		{sentence: "lifetimes below the ceiling", request: `{` + refresh + `"scope":"openid","identity_token_lifetime":60,"access_token_lifetime":600,"authorization_code_lifetime":30,"absolute_refresh_token_lifetime":86400,"sliding_refresh_token_lifetime":3600,"refresh_token_expiration":"Sliding","consent_lifetime":1800}`,
			answer: `{"identity_token_lifetime":60,"access_token_lifetime":600,"authorization_code_lifetime":30,"absolute_refresh_token_lifetime":86400,"sliding_refresh_token_lifetime":3600,"consent_lifetime":1800}`},
		{sentence: "the ceiling itself", request: `{"access_token_lifetime":3600,"consent_lifetime":3600}`, answer: `{"access_token_lifetime":3600,"consent_lifetime":3600}`},
		{sentence: "beyond the ceiling", request: `{"access_token_lifetime":3601}`, code: dcrMetadata, says: "access_token_lifetime must be from 1 to 3600 seconds"},
		{sentence: "beyond the ceiling of refresh tokens", request: `{` + refresh + `"absolute_refresh_token_lifetime":2592001}`, code: dcrMetadata, says: "absolute_refresh_token_lifetime must be from 1 to 2592000 seconds"},
		{sentence: "0 is unlimited, which is above any ceiling", request: `{` + refresh + `"absolute_refresh_token_lifetime":0}`, code: dcrMetadata, says: "absolute_refresh_token_lifetime"},
		{sentence: "a consent forever", request: `{"consent_lifetime":0}`, code: dcrMetadata, says: "consent_lifetime must be from 1 to 3600 seconds"},
		{sentence: "refresh token members are read only with the grant", request: `{"absolute_refresh_token_lifetime":"x","refresh_token_usage":5}`, answer: `{"absolute_refresh_token_lifetime":null,"refresh_token_usage":null}`},
		{sentence: "authorization code members are read only with the grant", request: `{"redirect_uris":[],"grant_types":["client_credentials"],"authorization_code_lifetime":"x","require_consent":5}`, answer: `{"authorization_code_lifetime":null,"require_consent":null}`},
		{sentence: "reference tokens", request: `{"access_token_type":"Reference"}`, answer: `{"access_token_type":"Reference"}`},
		{sentence: "values are compared with their case: access_token_type", request: `{"access_token_type":"jwt"}`, code: dcrMetadata, says: "access_token_type must be Jwt or Reference"},
		{sentence: "values are compared with their case: refresh_token_expiration", request: `{` + refresh + `"refresh_token_expiration":"sliding"}`, code: dcrMetadata, says: "refresh_token_expiration must be Absolute or Sliding"},
		{sentence: "values are compared with their case: refresh_token_usage", request: `{` + refresh + `"refresh_token_usage":"Reuse"}`, code: dcrMetadata, says: "refresh_token_usage must be OneTimeOnly or ReUse"},
		{sentence: "a confidential client may reuse refresh tokens", request: `{` + refresh + `"refresh_token_usage":"ReUse"}`, answer: `{"refresh_token_usage":"ReUse"}`},
		{sentence: "a public one may not (RFC 9700 §2.2.2)", request: `{` + refresh + `"refresh_token_usage":"ReUse","token_endpoint_auth_method":"none"}`, code: dcrMetadata, says: "refresh_token_usage must be OneTimeOnly"},
		{sentence: "unless its tokens are bound (RFC 9700 §2.2.2)", request: `{` + refresh + `"refresh_token_usage":"ReUse","token_endpoint_auth_method":"none","dpop_bound_access_tokens":true}`, answer: `{"refresh_token_usage":"ReUse"}`},
		{sentence: "booleans that restrict are accepted", request: `{` + refresh + `"require_consent":true,"allow_remember_consent":false,"update_access_token_claims_on_refresh":true,"coordinate_lifetime_with_user_session":true}`,
			answer: `{"require_consent":true,"allow_remember_consent":false,"update_access_token_claims_on_refresh":true,"coordinate_lifetime_with_user_session":true}`},
		{sentence: "booleans that relax are not", request: `{"require_consent":false,"allow_remember_consent":true,"coordinate_lifetime_with_user_session":false,"enable_local_login":false,"identity_provider_restrictions":["x"]}`,
			answer: `{"require_consent":true,"allow_remember_consent":true,"coordinate_lifetime_with_user_session":null,"enable_local_login":true,"identity_provider_restrictions":null}`},
		{sentence: "require_client_secret false means the method none", request: `{"require_client_secret":false}`, answer: `{"token_endpoint_auth_method":"none","require_client_secret":false,"client_secret":null}`},
		{sentence: "require_client_secret true with the method none is refused", request: `{"require_client_secret":true,"token_endpoint_auth_method":"none"}`, code: dcrMetadata, says: "require_client_secret must not be true with token_endpoint_auth_method none"},
		{sentence: "require_client_secret false with client credentials is refused", request: `{"redirect_uris":[],"grant_types":["client_credentials"],"require_client_secret":false}`, code: dcrMetadata, says: "require_client_secret must not be false with the grant type client_credentials"},
		{sentence: "origins of pages", request: `{"allowed_cors_origins":["https://rp.example.com","http://localhost:3000"]}`, answer: `{"allowed_cors_origins":["https://rp.example.com","http://localhost:3000"]}`},
		{sentence: "origins are answered as browsers send them", request: `{"allowed_cors_origins":["HTTPS://RP.example.com:443","http://[0:0::1]:80","https://rp.example.com:8443"]}`, answer: `{"allowed_cors_origins":["https://rp.example.com","http://[::1]","https://rp.example.com:8443"]}`},
		{sentence: "no origins", request: `{"allowed_cors_origins":[]}`, answer: `{"allowed_cors_origins":null}`},
		{sentence: "ID Token algorithms that the server has", request: `{"scope":"openid","allowed_identity_token_signing_algorithms":["ES256","EdDSA"]}`, answer: `{"allowed_identity_token_signing_algorithms":["ES256"]}`},
		{sentence: "ID Token algorithms that the server lacks", request: `{"scope":"openid","allowed_identity_token_signing_algorithms":["EdDSA"]}`, code: dcrMetadata, says: "allowed_identity_token_signing_algorithms must have at least one of: RS256, ES256"},
	})
	r.judge(t, one("an origin has no path and is https or local", "allowed_cors_origins", []string{`["https://rp.example.com/"]`, `["https://rp.example.com/path"]`, `["https://rp.example.com?"]`, `["https://rp.example.com#"]`, `["http://rp.example.com"]`, `["*"]`, `["null"]`, `["https://user@rp.example.com"]`, `["com.example:"]`, `["rp.example.com"]`, `"https://rp.example.com"`, `[5]`, `[null]`, `[""]`, `{}`}, dcrMetadata, "allowed_cors_origins"))
	r.judge(t, one("a lifetime is a positive integer", "access_token_lifetime", []string{`-1`, `0`, `1.5`, `"600"`, `true`, `{}`, `[600]`, `99999999999999999999`, `9223372036854775807`}, dcrMetadata, "access_token_lifetime must be"))
	r.judge(t, one("require_consent is true or false", "require_consent", []string{`"true"`, `1`, `{}`, `[true]`}, dcrMetadata, "require_consent must be true or false"))
	r.judge(t, one("require_client_secret is true or false", "require_client_secret", []string{`"true"`, `1`}, dcrMetadata, "require_client_secret must be true or false"))
	r.judge(t, one("access_token_type is a string", "access_token_type", []string{`5`, `true`, `["Jwt"]`}, dcrMetadata, "access_token_type must be a JSON string"))
	r.judge(t, one("null and the empty string count as absent", "access_token_lifetime", []string{`null`, `""`}, "", ""))
}

func TestDuendeMembersThatTheHostLoosens(t *testing.T) {
	start(t, duende, duendeMembers(policy.DuendeLimits{AllowLooserBooleans: true, AllowIdentityProviders: true, MaxAccessTokenLifetime: 24 * time.Hour})).judge(t, []wireCase{
		{sentence: "booleans that relax", request: `{"require_consent":false}`, answer: `{"require_consent":false,"allow_remember_consent":null}`},
		{sentence: "where users log in", request: `{"enable_local_login":false,"identity_provider_restrictions":["corp"]}`, answer: `{"enable_local_login":false,"identity_provider_restrictions":["corp"]}`},
		{sentence: "a list of providers has only strings", request: `{"identity_provider_restrictions":[null]}`, code: dcrMetadata, says: "identity_provider_restrictions[0]"},
		{sentence: "a higher ceiling", request: `{"access_token_lifetime":86400}`, answer: `{"access_token_lifetime":86400}`},
	})
	start(t, duende, duendeMembers(policy.DuendeLimits{MaxAccessTokenLifetime: time.Minute})).judge(t, []wireCase{
		{sentence: "a ceiling below the default becomes the default", answer: `{"access_token_lifetime":60}`},
	})
}

// An update replaces what the registrant asked for, and keeps what the host
// set.
func TestDuendeMembersOnUpdate(t *testing.T) {
	r := start(t, duende, duendeMembers(policy.DuendeLimits{}))
	registered := r.register(t, request(t, `{"access_token_lifetime":600,"require_consent":true,"allow_remember_consent":false}`))
	put := func(changed map[string]any) *answer {
		t.Helper()
		a := r.manage(t, "PUT", registered, registered.update(changed))
		if a.status != 200 {
			t.Fatalf("status %d: %s", a.status, a.body)
		}
		return a
	}
	has(t, put(map[string]any{"access_token_lifetime": nil, "allow_remember_consent": nil}), `{"access_token_lifetime":3600,"allow_remember_consent":true}`)

	client, err := r.store.FindByClientID(t.Context(), registered.text("client_id"))
	if err != nil {
		t.Fatal(err)
	}
	client.AccessTokenLifetime, client.AuthorizationCodeLifetime = 2*time.Hour, time.Minute
	if err := r.store.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	has(t, r.manage(t, "GET", registered, ""), `{"access_token_lifetime":7200,"authorization_code_lifetime":60}`)
	has(t, put(map[string]any{"access_token_lifetime": nil, "authorization_code_lifetime": nil}), `{"access_token_lifetime":7200,"authorization_code_lifetime":60}`)
	has(t, put(map[string]any{"access_token_lifetime": 7200}), `{"access_token_lifetime":7200}`)
	if a := r.manage(t, "PUT", registered, registered.update(map[string]any{"access_token_lifetime": 7201})); a.status != 400 {
		t.Errorf("beyond the host's own setting: status %d: %s", a.status, a.body)
	}
}

func TestUpdateKeepsToTheCeilingOfLifetimes(t *testing.T) {
	r := start(t, `{}`, duendeMembers(policy.DuendeLimits{MaxAccessTokenLifetime: 10 * time.Minute}))
	a := r.register(t, request(t, `{"access_token_lifetime":60}`))
	r.manage(t, "PUT", a, a.update(map[string]any{"access_token_lifetime": nil}))
	if lifetime := r.client(t, a).AccessTokenLifetime; lifetime != 10*time.Minute {
		t.Errorf("access tokens live %v, want the ceiling", lifetime)
	}
}
