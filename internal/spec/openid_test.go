package spec_test

import (
	"fmt"
	"testing"
)

const openID = `"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256","PS256","ES256","none"]`

func TestOpenIDDefaults(t *testing.T) {
	start(t, `{`+openID+`}`).judge(t, []wireCase{
		{sentence: "every default is returned (OIDCR §2 and §3.2)",
			answer: `{"application_type":"web","subject_type":"public","id_token_signed_response_alg":"RS256","require_auth_time":false}`},
		{sentence: "members without a default are not",
			answer: `{"userinfo_signed_response_alg":null,"default_max_age":null,"default_acr_values":null,"initiate_login_uri":null,"sector_identifier_uri":null,"request_uris":null}`},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "without OpenID Connect its members are unknown: ignored whatever their values, and not returned",
			request: `{"subject_type":5,"id_token_signed_response_alg":["x"],"default_max_age":"x","require_auth_time":"yes","default_acr_values":5,"initiate_login_uri":"javascript:x","sector_identifier_uri":"http://x","userinfo_signed_response_alg":{},"request_uris":"x"}`,
			answer:  `{"subject_type":null,"id_token_signed_response_alg":null,"default_max_age":null,"require_auth_time":null,"default_acr_values":null,"initiate_login_uri":null,"sector_identifier_uri":null,"userinfo_signed_response_alg":null,"request_uris":null}`},
	})
	start(t, `{"subject_types_supported":["public"]}`).judge(t, []wireCase{
		{sentence: "subject types are enough to switch OpenID Connect on", answer: `{"subject_type":"public","id_token_signed_response_alg":"RS256"}`},
	})
	start(t, `{"id_token_signing_alg_values_supported":["RS256"]}`).judge(t, []wireCase{
		{sentence: "ID Token algorithms are enough to switch OpenID Connect on", answer: `{"subject_type":"public"}`},
		{sentence: "pairwise is refused if it is not supported (OIDCC §8)", request: `{"subject_type":"pairwise"}`, code: dcrMetadata, says: "subject_type must be one of: public"},
		{sentence: "without pairwise, sector_identifier_uri is an unknown member", request: `{"sector_identifier_uri":"http://x"}`, answer: `{"sector_identifier_uri":null}`},
	})
}

func TestOpenIDMembers(t *testing.T) {
	r := start(t, `{`+openID+`,"acr_values_supported":["0","1","2"],"userinfo_signing_alg_values_supported":["RS256","ES256"]}`)
	r.judge(t, []wireCase{
		{sentence: "an ID Token algorithm that the server has", request: `{"id_token_signed_response_alg":"ES256"}`, answer: `{"id_token_signed_response_alg":"ES256"}`},
		{sentence: "an ID Token algorithm that the server lacks (OIDCR §2)", request: `{"id_token_signed_response_alg":"RS512"}`, code: dcrMetadata, says: "id_token_signed_response_alg must be one of: RS256, PS256, ES256, none"},
		{sentence: "unsigned ID Tokens from the token endpoint (OIDCC §2)", request: `{"id_token_signed_response_alg":"none"}`, answer: `{"id_token_signed_response_alg":"none"}`},
		{sentence: "signed UserInfo (OIDCR §2)", request: `{"userinfo_signed_response_alg":"RS256"}`, answer: `{"userinfo_signed_response_alg":"RS256"}`},
		{sentence: "a UserInfo algorithm that the server lacks", request: `{"userinfo_signed_response_alg":"not-an-alg"}`, code: dcrMetadata, says: "userinfo_signed_response_alg must be one of: RS256, ES256"},
		{sentence: "the subject type public", request: `{"subject_type":"public"}`, answer: `{"subject_type":"public"}`},
		{sentence: "an unknown subject type", request: `{"subject_type":"not-a-type"}`, code: dcrMetadata, says: "subject_type"},
		{sentence: "a maximum age (OIDCR §2)", request: `{"default_max_age":3600}`, answer: `{"default_max_age":3600}`},
		{sentence: "a maximum age of zero is allowed (OIDCR §2)", request: `{"default_max_age":0}`, answer: `{"default_max_age":0}`},
		{sentence: "the largest age that every reader can read", request: `{"default_max_age":9007199254740991}`, answer: `{"default_max_age":9007199254740991}`},
		{sentence: "authentication times", request: `{"require_auth_time":true}`, answer: `{"require_auth_time":true}`},
		{sentence: "default_acr_values in order (OIDCR §2)", request: `{"default_acr_values":["2","0"]}`, answer: `{"default_acr_values":["2","0"]}`},
		{sentence: "no default_acr_values", request: `{"default_acr_values":[]}`, answer: `{"default_acr_values":null}`},
		{sentence: "an acr that the server lacks", request: `{"default_acr_values":["1","gold"]}`, code: dcrMetadata, says: "default_acr_values must be among: 0, 1, 2"},
		{sentence: "an https initiate_login_uri (OIDCR §2)", request: `{"initiate_login_uri":"https://rp.example.com/login?a=b"}`, answer: `{"initiate_login_uri":"https://rp.example.com/login?a=b"}`},
	})
	r.judge(t, []wireCase{
		{sentence: "default_max_age 3600.0 is an integer (Lua cjson)", request: `{"default_max_age":3600.0}`, answer: `{"default_max_age":3600}`},
		{sentence: "default_max_age 36e2 is an integer", request: `{"default_max_age":36e2}`, answer: `{"default_max_age":3600}`},
	})
	r.judge(t, one("default_max_age must be an integer of 0 or more (OIDCR §2)", "default_max_age", []string{`-1`, `1.5`, `"5"`, `true`, `{}`, `[]`, `9007199254740992`, `99999999999999999999`}, dcrMetadata, "default_max_age must be"))
	r.judge(t, one("require_auth_time must be true or false (OIDCR §2)", "require_auth_time", []string{`"true"`, `1`, `{}`, `[]`, `"invalid"`}, dcrMetadata, "require_auth_time must be true or false"))
	r.judge(t, one("default_acr_values must be a list of strings", "default_acr_values", []string{`"1"`, `{}`, `5`, `true`, `[5]`, `[null]`, `[""]`}, dcrMetadata, "default_acr_values"))
	r.judge(t, one("initiate_login_uri must be an https URL (OIDCR §2)", "initiate_login_uri", []string{`"http://rp.example.com/login"`, `"http://localhost/login"`, `"rp.example.com"`, `"javascript:x"`, `"com.example:/login"`, `"https://rp.example.com/#"`, `[]`, `5`, `{}`}, dcrMetadata, "initiate_login_uri"))
	for _, member := range []string{"subject_type", "id_token_signed_response_alg", "userinfo_signed_response_alg"} {
		r.judge(t, one(member+" must be a string", member, []string{`[]`, `5`, `true`, `{}`}, dcrMetadata, member+" must be a JSON string"))
	}
	start(t, `{`+openID+`}`).judge(t, []wireCase{
		{sentence: "without acr_values_supported, default_acr_values is not kept", request: `{"default_acr_values":["x","y"]}`, answer: `{"default_acr_values":null}`},
		{sentence: "but is still refused with a wrong entry", request: `{"default_acr_values":["x",5]}`, code: dcrMetadata, says: "default_acr_values[1] must be a non-empty JSON string"},
		{sentence: "or with a wrong type", request: `{"default_acr_values":"x"}`, code: dcrMetadata, says: "default_acr_values must be a JSON array"},
	})
}

func TestUnsignedIDTokens(t *testing.T) {
	const both = `"grant_types":["implicit","authorization_code"]`
	start(t, hybrid).judge(t, []wireCase{
		{sentence: "not through the browser: code id_token (OIDCC §2)", request: `{"id_token_signed_response_alg":"none","response_types":["code id_token"],` + both + `}`, code: dcrMetadata, says: "id_token_signed_response_alg must not be none"},
		{sentence: "not through the browser: id_token (OIDCC §2)", request: `{"id_token_signed_response_alg":"none","response_types":["id_token"],"grant_types":["implicit"]}`, code: dcrMetadata, says: "must not be none"},
		{sentence: "nor if one of several response types does", request: `{"id_token_signed_response_alg":"none","response_types":["code","code id_token"],` + both + `}`, code: dcrMetadata, says: "must not be none"},
		{sentence: "code token returns no ID Token there", request: `{"id_token_signed_response_alg":"none","response_types":["code token"],` + both + `}`},
	})
	start(t, `{`+openID+`,"backchannel_logout_supported":true}`).judge(t, []wireCase{
		{sentence: "not with back-channel logout, whose tokens it signs (BCL §2.6)", request: `{"id_token_signed_response_alg":"none","backchannel_logout_uri":"https://rp.example.com/bcl"}`, code: dcrMetadata, says: "id_token_signed_response_alg must not be none with backchannel_logout_uri"},
	})
	start(t, `{"id_token_signing_alg_values_supported":["none","ES256"]}`).judge(t, []wireCase{
		{sentence: "nobody gets them without asking", answer: `{"id_token_signed_response_alg":"ES256"}`},
	})
}

// The members of each feature whose responses may be encrypted: alg, enc, the
// capability that lists them, and what else must be set.
var encrypted = []struct{ alg, enc, lists, signing string }{
	{"id_token_encrypted_response_alg", "id_token_encrypted_response_enc", "id_token_encryption", openID},
	{"userinfo_encrypted_response_alg", "userinfo_encrypted_response_enc", "userinfo_encryption", `"userinfo_signing_alg_values_supported":["RS256"]`},
	{"authorization_encrypted_response_alg", "authorization_encrypted_response_enc", "authorization_encryption", `"authorization_signing_alg_values_supported":["RS256"]`},
	{"introspection_encrypted_response_alg", "introspection_encrypted_response_enc", "introspection_encryption", `"introspection_signing_alg_values_supported":["RS256"]`},
	{"request_object_encryption_alg", "request_object_encryption_enc", "request_object_encryption", `"request_parameter_supported":true`},
}

func TestEncryption(t *testing.T) {
	for _, e := range encrypted {
		lists := fmt.Sprintf(`{%s,"%s_alg_values_supported":["RSA-OAEP-256","ECDH-ES"],"%s_enc_values_supported":["A128CBC-HS256","A256GCM"]}`, e.signing, e.lists, e.lists)
		alg := func(alg, rest string) string { return fmt.Sprintf(`{"%s":"%s"%s}`, e.alg, alg, rest) }
		enc := func(enc string) string { return fmt.Sprintf(`,"%s":"%s"`, e.enc, enc) }
		r := start(t, lists)
		r.judge(t, []wireCase{
			{sentence: e.alg + " is absent by default", answer: fmt.Sprintf(`{"%s":null,"%s":null}`, e.alg, e.enc)},
			{sentence: e.enc + " has its default with the algorithm (OIDCR §2)", request: alg("RSA-OAEP-256", `,`+keySet), answer: alg("RSA-OAEP-256", enc("A128CBC-HS256"))},
			{sentence: e.enc + " that the server has", request: alg("ECDH-ES", `,`+keySet+enc("A256GCM")), answer: alg("ECDH-ES", enc("A256GCM"))},
			{sentence: e.enc + " that the server lacks", request: alg("RSA-OAEP-256", `,`+keySet+enc("A192GCM")), code: dcrMetadata, says: e.enc + " must be one of: A128CBC-HS256, A256GCM"},
			{sentence: e.enc + " without the algorithm is refused (OIDCR §2)", request: fmt.Sprintf(`{"%s":"A256GCM"}`, e.enc), code: dcrMetadata, says: e.enc + " must come with " + e.alg},
			{sentence: e.alg + " that the server lacks", request: alg("RSA1_5", `,`+keySet), code: dcrMetadata, says: e.alg + " must be one of: RSA-OAEP-256, ECDH-ES"},
			{sentence: e.alg + " none", request: alg("none", ``), code: dcrMetadata, says: e.alg},
			{sentence: e.alg + " with jwks_uri", request: alg("ECDH-ES", `,"jwks_uri":"https://rp.example.com/jwks"`)},
		})
		r.judge(t, one(e.alg+" must be a string", e.alg, []string{`[]`, `5`, `true`, `{}`}, dcrMetadata, e.alg+" must be a JSON string"))
		r.judge(t, one(e.enc+" must be a string", e.enc, []string{`[]`, `5`, `true`, `{}`}, dcrMetadata, e.enc+" must be a JSON string"))
		if e.lists == "request_object_encryption" {
			r.judge(t, []wireCase{{sentence: e.alg + " needs no keys of the client: the key is the server's", request: alg("RSA-OAEP-256", ``)}})
		} else {
			r.judge(t, []wireCase{
				{sentence: e.alg + " needs keys of the client", request: alg("RSA-OAEP-256", ``), code: dcrMetadata, says: e.alg + " needs an encryption key in jwks, or jwks_uri"},
				{sentence: e.alg + " needs keys that are not for signatures", request: alg("RSA-OAEP-256", `,"jwks":{"keys":[`+rsaKey+`,"use":"sig"}]}`), code: dcrMetadata, says: "needs an encryption key"},
			})
		}
		start(t, fmt.Sprintf(`{%s,"%s_alg_values_supported":["RSA-OAEP-256"]}`, e.signing, e.lists)).judge(t, []wireCase{
			{sentence: e.alg + " is an unknown member if only half of the feature is on", request: fmt.Sprintf(`{"%s":5,"%s":5}`, e.alg, e.enc), answer: fmt.Sprintf(`{"%s":null,"%s":null}`, e.alg, e.enc)},
		})
	}
}

func TestJARMAndIntrospection(t *testing.T) {
	start(t, `{"authorization_signing_alg_values_supported":["RS256","ES256","none"],"introspection_signing_alg_values_supported":["RS256","PS256","none"]}`).judge(t, []wireCase{
		{sentence: "the default of authorization_signed_response_alg is RS256 (JARM §3)", answer: `{"authorization_signed_response_alg":"RS256"}`},
		{sentence: "authorization_signed_response_alg is returned if it is registered (JARM §3)", request: `{"authorization_signed_response_alg":"ES256"}`, answer: `{"authorization_signed_response_alg":"ES256"}`},
		{sentence: "authorization_signed_response_alg must not be none (JARM §3)", request: `{"authorization_signed_response_alg":"none"}`, code: dcrMetadata, says: "authorization_signed_response_alg must not be none"},
		{sentence: "authorization_signed_response_alg that the server lacks", request: `{"authorization_signed_response_alg":"PS256"}`, code: dcrMetadata, says: "must be one of: RS256, ES256"},
		{sentence: "introspection_signed_response_alg is RS256 (RFC 9701 §6)", answer: `{"introspection_signed_response_alg":"RS256"}`},
		{sentence: "introspection_signed_response_alg that the server has", request: `{"introspection_signed_response_alg":"PS256"}`, answer: `{"introspection_signed_response_alg":"PS256"}`},
		{sentence: "introspection_signed_response_alg must not be none (RFC 9701 §6)", request: `{"introspection_signed_response_alg":"none"}`, code: dcrMetadata, says: "introspection_signed_response_alg must not be none"},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "if the features are off, the members are unknown",
			request: `{"authorization_signed_response_alg":"none","introspection_signed_response_alg":5,"response_modes":"x"}`,
			answer:  `{"authorization_signed_response_alg":null,"introspection_signed_response_alg":null,"response_modes":null}`},
	})
	r := start(t, `{"response_modes_supported":["query","fragment","jwt"]}`)
	r.judge(t, []wireCase{
		{sentence: "response_modes that the server has", request: `{"response_modes":["jwt","query"]}`, answer: `{"response_modes":["jwt","query"]}`},
		{sentence: "a response mode that the server lacks", request: `{"response_modes":["query","form_post"]}`, code: dcrMetadata, says: "response_modes must be among: query, fragment, jwt"},
		{sentence: "no response modes", request: `{"response_modes":[]}`, answer: `{"response_modes":null}`},
	})
	r.judge(t, one("response_modes must be a list of strings", "response_modes", []string{`"query"`, `5`, `{}`, `[5]`, `[""]`}, dcrMetadata, "response_modes"))
}
