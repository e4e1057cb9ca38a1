package spec_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

// OpenID Connect RP Metadata Choices 1.0: lists of what the client supports,
// which are read and never returned.
func TestChoices(t *testing.T) {
	const capabilities = `{` + pairwise + `,"id_token_signing_alg_values_supported":["PS256","RS256","ES256"],
		"userinfo_signing_alg_values_supported":["ES256","RS256"],
		"id_token_encryption_alg_values_supported":["RSA-OAEP-256","ECDH-ES"],"id_token_encryption_enc_values_supported":["A256GCM","A128CBC-HS256"],
		"token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt","none"]}`
	start(t, capabilities).judge(t, []wireCase{
		{sentence: "the singular, if it is in the list and supported (§4)", request: `{"id_token_signed_response_alg":"ES256","id_token_signing_alg_values_supported":["PS256","ES256"]}`, answer: `{"id_token_signed_response_alg":"ES256","id_token_signing_alg_values_supported":null}`},
		{sentence: "another entry if the singular is not supported (§4)", request: `{"id_token_signed_response_alg":"EdDSA","id_token_signing_alg_values_supported":["EdDSA","ES256"]}`, answer: `{"id_token_signed_response_alg":"ES256"}`},
		{sentence: "a singular outside its own list is refused (§2)", request: `{"id_token_signed_response_alg":"ES256","id_token_signing_alg_values_supported":["PS256"]}`, code: dcrMetadata, says: "id_token_signing_alg_values_supported must contain the value of id_token_signed_response_alg"},
		{sentence: "nothing supported is refused (§4)", request: `{"id_token_signing_alg_values_supported":["EdDSA","ES512"]}`, code: dcrMetadata, says: "id_token_signing_alg_values_supported must contain one of: PS256, RS256, ES256"},
		{sentence: "only the list: the default, if the list has it", request: `{"id_token_signing_alg_values_supported":["ES256","RS256","PS256"]}`, answer: `{"id_token_signed_response_alg":"RS256"}`},
		{sentence: "only the list: the order of the server's list, as the client's order means nothing (§2)", request: `{"id_token_signing_alg_values_supported":["ES256","PS256"]}`, answer: `{"id_token_signed_response_alg":"PS256"}`},
		{sentence: "a list for a member without a default gives it a value", request: `{"userinfo_signing_alg_values_supported":["RS256"]}`, answer: `{"userinfo_signed_response_alg":"RS256","userinfo_signing_alg_values_supported":null}`},
		{sentence: "an empty list counts as absent", request: `{"userinfo_signing_alg_values_supported":[]}`, answer: `{"userinfo_signed_response_alg":null}`},
		{sentence: "null counts as absent", request: `{"userinfo_signing_alg_values_supported":null}`, answer: `{"userinfo_signed_response_alg":null}`},
		{sentence: "subject types", request: `{"subject_types_supported":["pairwise"]}`, answer: `{"subject_type":"pairwise","subject_types_supported":null}`},
		{sentence: "subject types, the default among them", request: `{"subject_types_supported":["pairwise","public"]}`, answer: `{"subject_type":"public"}`},
		{sentence: "authentication methods", request: `{"token_endpoint_auth_methods_supported":["tls_client_auth","none"]}`, answer: `{"token_endpoint_auth_method":"none","token_endpoint_auth_methods_supported":null,"client_secret":null}`},
		{sentence: "authentication methods, the singular not supported", request: `{"token_endpoint_auth_method":"tls_client_auth","token_endpoint_auth_methods_supported":["tls_client_auth","private_key_jwt"],` + keySet + `}`, answer: `{"token_endpoint_auth_method":"private_key_jwt"}`},
		{sentence: "authentication algorithms", request: `{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg_values_supported":["HS256","ES256"],` + keySet + `}`, answer: `{"token_endpoint_auth_signing_alg":"ES256","token_endpoint_auth_signing_alg_values_supported":null}`},
		{sentence: "authentication algorithms are ignored with a method that has none", request: `{"token_endpoint_auth_signing_alg_values_supported":["ES256"]}`, answer: `{"token_endpoint_auth_signing_alg":null}`},
		{sentence: "encryption: the list gives the algorithm, and enc its default", request: `{"id_token_encryption_alg_values_supported":["ECDH-ES"],` + keySet + `}`, answer: `{"id_token_encrypted_response_alg":"ECDH-ES","id_token_encrypted_response_enc":"A128CBC-HS256"}`},
		{sentence: "encryption: both lists", request: `{"id_token_encryption_alg_values_supported":["ECDH-ES"],"id_token_encryption_enc_values_supported":["A192GCM","A256GCM"],` + keySet + `}`, answer: `{"id_token_encrypted_response_alg":"ECDH-ES","id_token_encrypted_response_enc":"A256GCM"}`},
		{sentence: "encryption: only content encryptions have no effect", request: `{"id_token_encryption_enc_values_supported":["A256GCM"]}`, answer: `{"id_token_encrypted_response_alg":null,"id_token_encrypted_response_enc":null}`},
		{sentence: "lists of features that are off are unknown members", request: `{"introspection_signing_alg_values_supported":5,"authorization_encryption_enc_values_supported":"x","request_object_signing_alg_values_supported":["none"]}`, answer: `{"introspection_signing_alg_values_supported":null,"introspection_signed_response_alg":null,"request_object_signing_alg":null}`},
		{sentence: "the list for wallets is not one of these and is unknown here", request: `{"encrypted_response_enc_values_supported":["A256GCM"]}`, answer: `{"encrypted_response_enc_values_supported":null}`},
	})
}

// If the method is replaced, its algorithm is dropped (ChatGPT sends only
// private_key_jwt, none and private_key_jwt in the list, and RS256).
func TestTheAlgorithmOfAnotherMethodGoes(t *testing.T) {
	const chatGPT = `"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none","private_key_jwt"],"token_endpoint_auth_signing_alg":"RS256","jwks_uri":"https://rp.example.com/jwks"`
	gone := `{"token_endpoint_auth_signing_alg":null}`
	start(t, `{"token_endpoint_auth_methods_supported":["none","client_secret_jwt"],"token_endpoint_auth_signing_alg_values_supported":["HS256"]}`, sealed(t)).judge(t, []wireCase{
		{sentence: "if another method was chosen from the list", request: `{` + chatGPT + `}`, answer: `{"token_endpoint_auth_method":"none","token_endpoint_auth_signing_alg":null}`},
		{sentence: "or another one with its own algorithms", request: `{"token_endpoint_auth_methods_supported":["client_secret_jwt","private_key_jwt"],"token_endpoint_auth_signing_alg":"RS256"}`,
			answer: `{"token_endpoint_auth_method":"client_secret_jwt","token_endpoint_auth_signing_alg":null}`},
		{sentence: "refused if no method that was sent could use it", request: `{"token_endpoint_auth_method":"none","token_endpoint_auth_methods_supported":["none"],"token_endpoint_auth_signing_alg":"HS256"}`,
			code: dcrMetadata, says: "must come with token_endpoint_auth_method private_key_jwt or client_secret_jwt"},
	})
	start(t, `{"token_endpoint_auth_methods_supported":["none","private_key_jwt"]}`).judge(t, []wireCase{
		{sentence: "it stays with its method", request: `{` + chatGPT + `}`, answer: `{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"RS256"}`},
	})
	start(t, `{"token_endpoint_auth_methods_supported":["none","private_key_jwt"]}`, func(v *dcr.DefaultValidator, o *dcr.Options) {
		o.Validator = policy.Stack(*v, policy.AuthMethods(policy.Values{Ceiling: []string{"none"}, Default: []string{"none"}, Excess: policy.Replace}))
	}).judge(t, []wireCase{{sentence: "if a policy replaced the method", request: `{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"RS256"}`, answer: gone}})
}

// Each of the nineteen lists is read if its member is on, and never returned.
// The strict reader checks that in every answer.
func TestEveryChoice(t *testing.T) {
	const algs, encs, signing = `["RSA-OAEP-256","ECDH-ES"]`, `["A128CBC-HS256","A256GCM"]`, `["RS256","PS256"]`
	capabilities := `{` + pairwise + `,` + allMethods + `,"token_endpoint_auth_signing_alg_values_supported":` + signing + `,
		"grant_types_supported":["authorization_code","urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_modes_supported":["poll"],
		"backchannel_authentication_request_signing_alg_values_supported":` + signing
	lists := []string{`"subject_types_supported":["public"]`, `"token_endpoint_auth_methods_supported":["private_key_jwt"]`,
		`"token_endpoint_auth_signing_alg_values_supported":["PS256"]`, `"backchannel_authentication_request_signing_alg_values_supported":["PS256"]`}
	for _, of := range []string{"id_token", "userinfo", "introspection", "authorization", "request_object"} {
		capabilities += fmt.Sprintf(`,"%[1]s_signing_alg_values_supported":%[2]s,"%[1]s_encryption_alg_values_supported":%[3]s,"%[1]s_encryption_enc_values_supported":%[4]s`, of, signing, algs, encs)
		lists = append(lists, fmt.Sprintf(`"%s_signing_alg_values_supported":["PS256"]`, of), fmt.Sprintf(`"%s_encryption_alg_values_supported":["ECDH-ES"]`, of), fmt.Sprintf(`"%s_encryption_enc_values_supported":["A256GCM"]`, of))
	}
	if len(lists) != 19 {
		t.Fatalf("%d lists", len(lists))
	}
	r := start(t, capabilities+`}`)
	sent := `"grant_types":["authorization_code","urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_mode":"poll",` + keySet
	for _, list := range lists {
		sent += `,` + list
	}
	r.judge(t, []wireCase{{sentence: "all nineteen", request: `{` + sent + `}`, answer: `{"subject_type":"public","token_endpoint_auth_method":"private_key_jwt",
		"token_endpoint_auth_signing_alg":"PS256","backchannel_authentication_request_signing_alg":"PS256",
		"id_token_signed_response_alg":"PS256","id_token_encrypted_response_alg":"ECDH-ES","id_token_encrypted_response_enc":"A256GCM",
		"userinfo_signed_response_alg":"PS256","userinfo_encrypted_response_alg":"ECDH-ES","userinfo_encrypted_response_enc":"A256GCM",
		"introspection_signed_response_alg":"PS256","introspection_encrypted_response_alg":"ECDH-ES","introspection_encrypted_response_enc":"A256GCM",
		"authorization_signed_response_alg":"PS256","authorization_encrypted_response_alg":"ECDH-ES","authorization_encrypted_response_enc":"A256GCM",
		"request_object_signing_alg":"PS256","request_object_encryption_alg":"ECDH-ES","request_object_encryption_enc":"A256GCM"}`}})
	for _, list := range lists {
		name := members(decode(t, `{`+list+`}`))[0]
		r.judge(t, one(name+" must be a list of strings", name, []string{`"RS256"`, `{}`, `5`, `[5]`, `[null]`, `[""]`}, dcrMetadata, name))
	}
}

// members returns the names of an object in their order.
func members(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }
