package spec_test

import (
	"slices"
	"testing"

	"github.com/dynreg/dcr"
)

const (
	machines = `{"grant_types_supported":["authorization_code","refresh_token","client_credentials","urn:ietf:params:oauth:grant-type:jwt-bearer"]}`
	hybrid   = `{"grant_types_supported":["authorization_code","implicit","refresh_token","client_credentials"],
		"response_types_supported":["code","token","id_token","id_token token","code id_token","code token","code id_token token","none"],
		"id_token_signing_alg_values_supported":["RS256","none"]}`
)

func TestGrantTypes(t *testing.T) {
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "left out, they are authorization_code and code, and are returned (RFC 7591 §2)",
			answer: `{"grant_types":["authorization_code"],"response_types":["code"]}`},
		{sentence: "an empty list counts as absent",
			request: `{"grant_types":[]}`, answer: `{"grant_types":["authorization_code"]}`},
		{sentence: "null counts as absent",
			request: `{"grant_types":null,"response_types":null}`, answer: `{"grant_types":["authorization_code"],"response_types":["code"]}`},
		{sentence: "refresh_token may be sent with authorization_code (RFC 7591 §2)",
			request: `{"grant_types":["authorization_code","refresh_token"]}`, answer: `{"grant_types":["authorization_code","refresh_token"]}`},
		{sentence: "their order means nothing and is kept",
			request: `{"grant_types":["refresh_token","authorization_code"]}`, answer: `{"grant_types":["refresh_token","authorization_code"]}`},
		{sentence: "one that the server lacks is dropped if a usable set remains, as VS Code needs",
			request: `{"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"]}`,
			answer:  `{"grant_types":["authorization_code","refresh_token"]}`},
		{sentence: "one that the server lacks is refused if nothing remains",
			request: `{"grant_types":["client_credentials"]}`, code: dcrMetadata, says: "grant_types must have at least one of: authorization_code"},
		{sentence: "a nonsense grant type is refused",
			request: `{"grant_types":["this is clearly wrong"]}`, code: dcrMetadata, says: "grant_types"},
		{sentence: "refresh_token cannot start a grant",
			request: `{"grant_types":["refresh_token"]}`, code: dcrMetadata, says: "grant_types"},
		{sentence: "implicit is not among the strict defaults",
			request: `{"grant_types":["implicit"],"response_types":["token"]}`, code: dcrMetadata, says: "grant_types"},
		{sentence: "a response type that the server lacks is dropped if one remains",
			request: `{"response_types":["code","id_token"]}`, answer: `{"response_types":["code"]}`},
		{sentence: "a response type that the server lacks is refused if none remains",
			request: `{"response_types":["not-a-type"]}`, code: dcrMetadata, says: "response_types must have at least one of: code"},
		{sentence: "no response type with authorization_code is refused",
			request: `{"response_types":[]}`, code: dcrMetadata, says: "response_types"},
		{sentence: "one sent twice is registered once",
			request: `{"grant_types":["authorization_code","authorization_code"],"response_types":["code","code"]}`,
			answer:  `{"grant_types":["authorization_code"],"response_types":["code"]}`},
	})
}

func TestGrantTypesOfTheWrongForm(t *testing.T) {
	r := start(t, `{}`)
	values := []string{`"authorization_code"`, `{}`, `5`, `true`, `false`, `[5]`, `[null]`, `[""]`, `[["code"]]`, `["a\u0000"]`}
	r.judge(t, one("grant_types must be a list of strings (RFC 7591 §2)", "grant_types", values, dcrMetadata, "grant_types"))
	r.judge(t, one("response_types must be a list of strings (RFC 7591 §2)", "response_types", values, dcrMetadata, "response_types"))
}

// When a grant type is dropped, its response types are dropped too.
func TestDroppedGrantsTakeTheirResponseTypesAlong(t *testing.T) {
	start(t, `{"grant_types_supported":["client_credentials"]}`).judge(t, []wireCase{
		{sentence: "code is dropped with authorization_code if the server has no codes (better-auth#11175)",
			request: `{"grant_types":["authorization_code","client_credentials"],"response_types":["code"]}`,
			answer:  `{"grant_types":["client_credentials"],"response_types":[]}`},
		{sentence: "so do response types that the server never had",
			request: `{"grant_types":["implicit","client_credentials"],"response_types":["id_token","code"]}`,
			answer:  `{"grant_types":["client_credentials"],"response_types":[]}`},
		{sentence: "a grant type that can start a grant must remain", request: `{"grant_types":["authorization_code"],"response_types":["code"]}`, code: dcrMetadata, says: "grant_types must have at least one of: client_credentials"},
	})
	start(t, `{"grant_types_supported":["authorization_code","urn:ietf:params:oauth:grant-type:device_code","refresh_token","client_credentials"]}`).judge(t, []wireCase{
		{sentence: "code is dropped if a client with redirect URIs asks for the device grant (Soda Straw, Hermes)",
			request: `{"redirect_uris":["http://localhost:0/callback"],"grant_types":["urn:ietf:params:oauth:grant-type:device_code","refresh_token"],"response_types":["code"]}`,
			answer:  `{"response_types":[]}`},
		{sentence: "and stays if it also has the code flow",
			request: `{"grant_types":["urn:ietf:params:oauth:grant-type:device_code","authorization_code"],"response_types":["code"]}`,
			answer:  `{"response_types":["code"]}`},
		{sentence: "without redirect URIs it is unclear which of the two is meant",
			request: `{"redirect_uris":[],"grant_types":["urn:ietf:params:oauth:grant-type:device_code"],"response_types":["code"]}`,
			code:    dcrMetadata, says: "needs authorization_code in grant_types"},
		{sentence: "if no response type remains, a grant that needs one is refused",
			request: `{"response_types":["id_token"]}`, code: dcrMetadata, says: "response_types must have at least one of: code"},
	})
}

func TestMachineClients(t *testing.T) {
	start(t, machines).judge(t, []wireCase{
		{sentence: "a machine client has no redirect URIs and no response types, and the answer says so",
			request: `{"redirect_uris":null,"grant_types":["client_credentials"]}`,
			answer:  `{"redirect_uris":[],"response_types":[],"grant_types":["client_credentials"],"token_endpoint_auth_method":"client_secret_basic"}`},
		{sentence: "empty lists mean the same",
			request: `{"redirect_uris":[],"response_types":[],"grant_types":["client_credentials"]}`,
			answer:  `{"redirect_uris":[],"response_types":[]}`},
		{sentence: "several grants without the authorization endpoint can be combined",
			request: `{"redirect_uris":[],"grant_types":["client_credentials","refresh_token","urn:ietf:params:oauth:grant-type:jwt-bearer"]}`,
			answer:  `{"response_types":[]}`},
		{sentence: "redirect URIs that it does not use are kept",
			request: `{"grant_types":["client_credentials"]}`, answer: `{"redirect_uris":["https://rp.example.com/cb"],"response_types":[]}`},
		{sentence: "together with authorization_code it needs redirect URIs",
			request: `{"redirect_uris":[],"grant_types":["client_credentials","authorization_code"]}`, code: dcrRedirect, says: "redirect_uris"},
		{sentence: "the response type code needs authorization_code (RFC 7591 §2.1)",
			request: `{"grant_types":["client_credentials"],"response_types":["code"]}`, code: dcrMetadata, says: "needs authorization_code in grant_types"},
		{sentence: "a client without authentication cannot have client credentials (RFC 6749 §4.4)",
			request: `{"redirect_uris":[],"grant_types":["client_credentials"],"token_endpoint_auth_method":"none"}`, code: dcrMetadata, says: "must not be none with the grant type client_credentials"},
	})
}

func TestResponseTypes(t *testing.T) {
	const both = `"grant_types":["implicit","authorization_code"]`
	start(t, hybrid).judge(t, []wireCase{
		{sentence: "code needs authorization_code (OIDCR §2)", request: `{"response_types":["code"],"grant_types":["authorization_code"]}`},
		{sentence: "id_token needs implicit (OIDCR §2)", request: `{"response_types":["id_token"],"grant_types":["implicit"]}`, answer: `{"response_types":["id_token"],"grant_types":["implicit"]}`},
		{sentence: "id_token token needs implicit (OIDCR §2)", request: `{"response_types":["id_token token"],"grant_types":["implicit"]}`},
		{sentence: "token needs implicit", request: `{"response_types":["token"],"grant_types":["implicit"]}`},
		{sentence: "code id_token needs both (OIDCR §2)", request: `{"response_types":["code id_token"],` + both + `}`},
		{sentence: "code token needs both (OIDCR §2)", request: `{"response_types":["code token"],` + both + `}`},
		{sentence: "code id_token token needs both (OIDCR §2)", request: `{"response_types":["code id_token token"],` + both + `}`},
		{sentence: "all of them are allowed with both grants", request: `{"response_types":["code","token","id_token","id_token token","code id_token","code token","code id_token token","none"],` + both + `}`},
		{sentence: "the words of a response type have no order", request: `{"response_types":["id_token code"],` + both + `}`, answer: `{"response_types":["code id_token"]}`},
		{sentence: "nor do three words", request: `{"response_types":["token id_token code"],` + both + `}`, answer: `{"response_types":["code id_token token"]}`},
		{sentence: "none needs no grant", request: `{"response_types":["none"],"grant_types":["authorization_code"]}`, answer: `{"response_types":["none"]}`},
		{sentence: "left out, the response type is code, whatever the grants (RFC 7591 §2)", request: `{` + both + `}`, answer: `{"response_types":["code"]}`},
		{sentence: "which implicit does not allow", request: `{"grant_types":["implicit"]}`, code: dcrMetadata, says: "response_types has 'code', which needs authorization_code"},
		{sentence: "id_token without implicit is refused", request: `{"response_types":["id_token"],"grant_types":["authorization_code"]}`, code: dcrMetadata, says: "needs implicit in grant_types"},
		{sentence: "id_token with the default grant is refused", request: `{"response_types":["id_token"]}`, code: dcrMetadata, says: "needs implicit in grant_types"},
		{sentence: "token without implicit is refused", request: `{"response_types":["token"],"grant_types":["authorization_code"]}`, code: dcrMetadata, says: "needs implicit"},
		{sentence: "code without authorization_code is refused", request: `{"response_types":["id_token","code"],"grant_types":["implicit"]}`, code: dcrMetadata, says: "needs authorization_code"},
		{sentence: "code id_token without implicit is refused", request: `{"response_types":["code id_token"],"grant_types":["authorization_code"]}`, code: dcrMetadata, says: "needs implicit"},
		{sentence: "code id_token without authorization_code is refused", request: `{"response_types":["code id_token"],"grant_types":["implicit"]}`, code: dcrMetadata, says: "needs authorization_code"},
		{sentence: "authorization_code that no response type uses is refused", request: `{"response_types":["id_token"],` + both + `}`, code: dcrMetadata, says: "response_types must have a type that uses the authorization code"},
		{sentence: "implicit without a response type is refused", request: `{"response_types":[],"grant_types":["implicit"]}`, code: dcrMetadata, says: "response_types must not be empty"},
		{sentence: "implicit without redirect URIs is refused", request: `{"redirect_uris":[],"response_types":["id_token"],"grant_types":["implicit"]}`, code: dcrRedirect, says: "redirect_uris"},
	})
}

func TestHybridWithoutImplicit(t *testing.T) {
	r := start(t, `{"response_types_supported":["code","code id_token","code id_token token"],
		"grant_types_supported":["authorization_code","implicit"],"id_token_signing_alg_values_supported":["PS256"]}`, ukHybrid)
	r.judge(t, []wireCase{
		{sentence: "code id_token needs no implicit grant if the host says so (UK Open Banking 3.3)",
			request: `{"response_types":["code id_token"]}`, answer: `{"response_types":["code id_token"],"grant_types":["authorization_code"]}`},
		{sentence: "a response type with a token still does",
			request: `{"response_types":["code id_token token"]}`, code: dcrMetadata, says: "needs implicit"},
	})
}

func TestDefaultsOutsideTheCeiling(t *testing.T) {
	start(t, `{"grant_types_supported":["client_credentials"],"token_endpoint_auth_methods_supported":["client_secret_post"]}`).judge(t, []wireCase{
		{sentence: "if the RFC's default is not supported, the first supported value is used and returned",
			request: `{"redirect_uris":[]}`, answer: `{"grant_types":["client_credentials"],"response_types":[],"token_endpoint_auth_method":"client_secret_post"}`},
	})
	start(t, `{"grant_types_supported":["implicit"],"response_types_supported":["id_token","token"],"token_endpoint_auth_methods_supported":["none"]}`).judge(t, []wireCase{
		{sentence: "a server without codes", answer: `{"grant_types":["implicit"],"response_types":["id_token"]}`},
	})
	start(t, `{"token_endpoint_auth_methods_supported":["none"]}`).judge(t, []wireCase{
		{sentence: "a server for public clients registers public clients",
			answer: `{"token_endpoint_auth_method":"none","client_secret":null,"client_secret_expires_at":null}`},
		{sentence: "and refuses what it does not support",
			request: `{"token_endpoint_auth_method":"client_secret_basic"}`, code: dcrMetadata, says: "token_endpoint_auth_method must be one of: none"},
	})
	start(t, `{"id_token_signing_alg_values_supported":["PS256","ES256"],"subject_types_supported":["pairwise"]}`).judge(t, []wireCase{
		{sentence: "so do algorithms and subject types",
			answer: `{"id_token_signed_response_alg":"PS256","subject_type":"pairwise"}`},
	})
}

func TestUpdatesDoNotRegainOfflineAccess(t *testing.T) {
	r := start(t, `{}`)
	a := r.register(t, request(t, `{"grant_types":["authorization_code","refresh_token"]}`))
	r.edit(t, a, func(c *dcr.Client) { c.AllowOfflineAccess = false })
	r.manage(t, "PUT", a, a.update(map[string]any{"grant_types": []string{"authorization_code"}}))
	r.manage(t, "PUT", a, a.update(nil))
	if client := r.client(t, a); client.AllowOfflineAccess || !slices.Contains(client.GrantTypes, "refresh_token") {
		t.Errorf("grants %v, offline access %v", client.GrantTypes, client.AllowOfflineAccess)
	}
}
