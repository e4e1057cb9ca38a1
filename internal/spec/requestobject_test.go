package spec_test

import "testing"

func TestRequestObjects(t *testing.T) {
	r := start(t, `{"request_object_signing_alg_values_supported":["none","RS256","PS256","ES384"],"request_uri_parameter_supported":true}`)
	r.judge(t, []wireCase{
		{sentence: "left out, any algorithm will do (OIDCR §2)", answer: `{"request_object_signing_alg":null,"require_signed_request_object":false,"request_uris":null}`},
		{sentence: "RS256 with keys (OIDCR §2)", request: `{"request_object_signing_alg":"RS256","jwks_uri":"https://rp.example.com/jwks"}`, answer: `{"request_object_signing_alg":"RS256"}`},
		{sentence: "RS256 without keys is refused", request: `{"request_object_signing_alg":"RS256"}`, code: dcrMetadata, says: "request_object_signing_alg needs a signing key in jwks, or jwks_uri"},
		{sentence: "ES384 without keys is refused", request: `{"request_object_signing_alg":"ES384"}`, code: dcrMetadata, says: "needs a signing key"},
		{sentence: "none if the server supports it (OIDCR §2)", request: `{"request_object_signing_alg":"none"}`, answer: `{"request_object_signing_alg":"none"}`},
		{sentence: "an algorithm that the server lacks", request: `{"request_object_signing_alg":"not-an-alg"}`, code: dcrMetadata, says: "request_object_signing_alg must be one of: none, RS256"},
		{sentence: "signed request objects may be required (RFC 9101 §10.5)", request: `{"require_signed_request_object":true}`, answer: `{"require_signed_request_object":true}`},
		{sentence: "required and none contradict each other (RFC 9101 §10.5)", request: `{"require_signed_request_object":true,"request_object_signing_alg":"none"}`, code: dcrMetadata, says: "request_object_signing_alg must not be none with require_signed_request_object true"},
		{sentence: "https request URIs (OIDCR §2)", request: `{"request_uris":["https://rp.example.com/r","https://rp.example.com/s?a=b"]}`, answer: `{"request_uris":["https://rp.example.com/r","https://rp.example.com/s?a=b"]}`},
		{sentence: "the fragment of a request URI is a hash of its content (OIDCR §2)", request: `{"request_uris":["https://rp.example.com/r#GkurKxf5T0Y-mnPFCHqWOMiZi4VS138cQO_V7PZHAdM"]}`, answer: `{"request_uris":["https://rp.example.com/r#GkurKxf5T0Y-mnPFCHqWOMiZi4VS138cQO_V7PZHAdM"]}`},
		{sentence: "an empty fragment is allowed there", request: `{"request_uris":["https://rp.example.com/r#"]}`},
		{sentence: "an http request URI for signed objects (OIDCR §2)", request: `{"request_uris":["http://rp.example.com/r"],"request_object_signing_alg":"RS256",` + keySet + `}`, answer: `{"request_uris":["http://rp.example.com/r"]}`},
		{sentence: "an http request URI for unsigned objects (OIDCR §2)", request: `{"request_uris":["http://rp.example.com/r"],"request_object_signing_alg":"none"}`, code: dcrMetadata, says: "request_uris[0] must be an https URL"},
		{sentence: "an http request URI for objects that may be unsigned (OIDCR §2)", request: `{"request_uris":["https://rp.example.com/r","http://rp.example.com/r"]}`, code: dcrMetadata, says: "request_uris[1] must be an https URL"},
		{sentence: "no request URIs", request: `{"request_uris":[]}`, answer: `{"request_uris":null}`},
	})
	r.judge(t, one("request_uris must be web addresses (OIDCR §2)", "request_uris", []string{`["not a uri"]`, `["custom-scheme://x"]`, `["urn:example"]`, `["javascript:x"]`, `"https://rp.example.com/r"`, `{}`, `5`, `true`, `[5]`, `[null]`, `[""]`}, dcrMetadata, "request_uris"))
	r.judge(t, one("require_signed_request_object must be true or false", "require_signed_request_object", []string{`"true"`, `1`, `{}`, `[]`}, dcrMetadata, "require_signed_request_object must be true or false"))
	r.judge(t, one("request_object_signing_alg must be a string", "request_object_signing_alg", []string{`[]`, `5`, `true`, `{}`}, dcrMetadata, "request_object_signing_alg must be a JSON string"))

	start(t, `{"request_parameter_supported":true}`).judge(t, []wireCase{
		{sentence: "request_parameter_supported switches them on, with the usual algorithms", request: `{"request_object_signing_alg":"PS256",` + keySet + `}`, answer: `{"request_object_signing_alg":"PS256","require_signed_request_object":false}`},
		{sentence: "request_uris stay off: absent means false here", request: `{"request_uris":5}`, answer: `{"request_uris":null}`},
	})
	start(t, `{"request_object_signing_alg_values_supported":["RS256","none"],"require_signed_request_object":true}`).judge(t, []wireCase{
		{sentence: "if the server requires it of all clients, it is registered for each (RFC 9101 §10.5)", request: `{"require_signed_request_object":false}`, answer: `{"require_signed_request_object":true}`},
		{sentence: "and then none is refused", request: `{"request_object_signing_alg":"none"}`, code: dcrMetadata, says: "must not be none"},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "without request objects their members are unknown", request: `{"request_object_signing_alg":5,"require_signed_request_object":"x","request_uris":"x"}`, answer: `{"request_object_signing_alg":null,"require_signed_request_object":null,"request_uris":null}`},
	})
}

func TestPushedAuthorizationRequests(t *testing.T) {
	r := start(t, `{"pushed_authorization_request_endpoint":"https://id.example.com/par"}`)
	r.judge(t, []wireCase{
		{sentence: "the default is false (RFC 9126 §6)", answer: `{"require_pushed_authorization_requests":false}`},
		{sentence: "a client may require it for itself (RFC 9126 §6)", request: `{"require_pushed_authorization_requests":true}`, answer: `{"require_pushed_authorization_requests":true}`},
	})
	r.judge(t, one("it must be true or false", "require_pushed_authorization_requests", []string{`"true"`, `1`, `{}`, `[]`}, dcrMetadata, "require_pushed_authorization_requests must be true or false"))
	start(t, `{"require_pushed_authorization_requests":true}`).judge(t, []wireCase{
		{sentence: "a server may require it of all clients (RFC 9126 §5)", request: `{"require_pushed_authorization_requests":false}`, answer: `{"require_pushed_authorization_requests":true}`},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "without it, the member is unknown", request: `{"require_pushed_authorization_requests":5}`, answer: `{"require_pushed_authorization_requests":null}`},
	})
}
