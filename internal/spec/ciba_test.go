package spec_test

import "testing"

func TestCIBA(t *testing.T) {
	const capabilities = `{` + openID + `,"grant_types_supported":["authorization_code","urn:openid:params:grant-type:ciba"],
		"token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt","none"],
		"backchannel_token_delivery_modes_supported":["poll","ping"],"backchannel_user_code_parameter_supported":true,
		"backchannel_authentication_request_signing_alg_values_supported":["RS256","PS256","ES256"]}`
	const grant = `"redirect_uris":[],"grant_types":["urn:openid:params:grant-type:ciba"]`
	const poll = grant + `,"backchannel_token_delivery_mode":"poll"`
	const ping = grant + `,"backchannel_token_delivery_mode":"ping"`
	r := start(t, capabilities)
	r.judge(t, []wireCase{
		{sentence: "poll (CIBA §4)", request: `{` + poll + `}`, answer: `{"backchannel_token_delivery_mode":"poll","backchannel_user_code_parameter":false,"response_types":[],"redirect_uris":[]}`},
		{sentence: "ping with an https notification endpoint (CIBA §4)", request: `{` + ping + `,"backchannel_client_notification_endpoint":"https://rp.example.com/notify"}`, answer: `{"backchannel_client_notification_endpoint":"https://rp.example.com/notify"}`},
		{sentence: "ping without a notification endpoint is refused (CIBA §4)", request: `{` + ping + `}`, code: dcrMetadata, says: "backchannel_client_notification_endpoint must be an https URL"},
		{sentence: "push is refused if it is not supported", request: `{` + grant + `,"backchannel_token_delivery_mode":"push","backchannel_client_notification_endpoint":"https://rp.example.com/notify"}`, code: dcrMetadata, says: "backchannel_token_delivery_mode must be one of: poll, ping"},
		{sentence: "the grant without a mode is refused (CIBA §4)", request: `{` + grant + `}`, code: dcrMetadata, says: "backchannel_token_delivery_mode must be one of: poll, ping"},
		{sentence: "a mode without the grant is refused (CIBA §4)", request: `{"backchannel_token_delivery_mode":"poll"}`, code: dcrMetadata, says: "poll needs urn:openid:params:grant-type:ciba in grant_types"},
		{sentence: "a client without authentication is refused (CIBA §4)", request: `{` + poll + `,"token_endpoint_auth_method":"none"}`, code: dcrMetadata, says: "token_endpoint_auth_method must not be none"},
		{sentence: "a user code (CIBA §4)", request: `{` + poll + `,"backchannel_user_code_parameter":true}`, answer: `{"backchannel_user_code_parameter":true}`},
		{sentence: "signed requests, with keys (CIBA §7.1.1)", request: `{` + poll + `,"backchannel_authentication_request_signing_alg":"PS256",` + keySet + `}`, answer: `{"backchannel_authentication_request_signing_alg":"PS256"}`},
		{sentence: "signed requests without keys are refused", request: `{` + poll + `,"backchannel_authentication_request_signing_alg":"RS256"}`, code: dcrMetadata, says: "backchannel_authentication_request_signing_alg needs a signing key in jwks, or jwks_uri"},
		{sentence: "requests are not signed symmetrically (CIBA §7.1.1)", request: `{` + poll + `,"backchannel_authentication_request_signing_alg":"HS256"}`, code: dcrMetadata, says: "backchannel_authentication_request_signing_alg"},
		{sentence: "nor with none (CIBA §4)", request: `{` + poll + `,"backchannel_authentication_request_signing_alg":"none"}`, code: dcrMetadata, says: "backchannel_authentication_request_signing_alg"},
		{sentence: "no algorithm means no signed requests (CIBA §4)", request: `{` + poll + `}`, answer: `{"backchannel_authentication_request_signing_alg":null}`},
		{sentence: "CIBA together with the authorization endpoint", request: `{"grant_types":["authorization_code","urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_mode":"poll"}`, answer: `{"response_types":["code"]}`},
		{sentence: "a client with other grants gets no CIBA members", answer: `{"backchannel_token_delivery_mode":null,"backchannel_user_code_parameter":null}`},
	})
	r.judge(t, one("the notification endpoint is https (CIBA §4)", "backchannel_client_notification_endpoint", []string{`"http://rp.example.com/n"`, `"rp.example.com"`, `"https://rp.example.com/n#x"`, `5`, `[]`}, dcrMetadata, "backchannel_client_notification_endpoint"))
	r.judge(t, one("the mode is a string", "backchannel_token_delivery_mode", []string{`5`, `[]`, `true`, `{}`}, dcrMetadata, "backchannel_token_delivery_mode must be a JSON string"))
	r.judge(t, one("the user code parameter is true or false", "backchannel_user_code_parameter", []string{`5`, `[]`, `"true"`, `{}`}, dcrMetadata, "backchannel_user_code_parameter must be true or false"))
	start(t, `{"grant_types_supported":["urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_modes_supported":["poll","push"]}`).judge(t, []wireCase{
		{sentence: "push with an https notification endpoint (CIBA §4)", request: `{` + grant + `,"backchannel_token_delivery_mode":"push","backchannel_client_notification_endpoint":"https://rp.example.com/n"}`},
		{sentence: "push without one is refused (CIBA §4)", request: `{` + grant + `,"backchannel_token_delivery_mode":"push"}`, code: dcrMetadata, says: "backchannel_client_notification_endpoint"},
		{sentence: "if the server has no user codes, the parameter is an unknown member", request: `{` + poll + `,"backchannel_user_code_parameter":"x"}`, answer: `{"backchannel_user_code_parameter":null}`},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "without CIBA its members are unknown", request: `{"backchannel_token_delivery_mode":5,"backchannel_client_notification_endpoint":"http://x","backchannel_authentication_request_signing_alg":"none","backchannel_user_code_parameter":5}`,
			answer: `{"backchannel_token_delivery_mode":null,"backchannel_client_notification_endpoint":null,"backchannel_authentication_request_signing_alg":null,"backchannel_user_code_parameter":null}`},
	})
	start(t, `{"grant_types_supported":["authorization_code","urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_modes_supported":["push"]}`).judge(t, []wireCase{
		{sentence: "push needs no grant (CIBA §4)", request: `{"backchannel_token_delivery_mode":"push","backchannel_client_notification_endpoint":"https://rp.example.com/n"}`},
	})
}
