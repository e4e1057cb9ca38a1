package spec_test

import (
	"fmt"
	"testing"
)

func TestSenderConstraint(t *testing.T) {
	const browsers = `"grant_types_supported":["authorization_code","implicit"],"response_types_supported":["code","token","code token","code id_token"]`
	for _, c := range []struct{ member, capability, spec string }{
		{"dpop_bound_access_tokens", `"dpop_signing_alg_values_supported":["ES256"]`, "RFC 9449 §5.2"},
		{"tls_client_certificate_bound_access_tokens", `"tls_client_certificate_bound_access_tokens":true`, "RFC 8705 §3.4"},
	} {
		bound := fmt.Sprintf(`"%s":true`, c.member)
		r := start(t, `{`+browsers+`,`+c.capability+`}`)
		r.judge(t, []wireCase{
			{sentence: c.member + " is false by default (" + c.spec + ")", answer: `{"` + c.member + `":false}`},
			{sentence: c.member + " may be requested by the client (" + c.spec + ")", request: `{` + bound + `}`, answer: `{` + bound + `}`},
			{sentence: c.member + " may be false", request: `{"` + c.member + `":false}`, answer: `{"` + c.member + `":false}`},
			{sentence: c.member + " with code id_token, which gives no token to the browser", request: `{` + bound + `,"response_types":["code id_token"],"grant_types":["authorization_code","implicit"]}`},
			{sentence: c.member + " with token: a token that passes through the browser cannot be bound", request: `{` + bound + `,"response_types":["token"],"grant_types":["implicit"]}`, code: dcrMetadata, says: c.member + " must not be true with a response type that has token"},
			{sentence: c.member + " with code token, likewise", request: `{` + bound + `,"response_types":["code","code token"],"grant_types":["implicit","authorization_code"]}`, code: dcrMetadata, says: c.member},
		})
		r.judge(t, one(c.member+" must be true or false", c.member, []string{`"true"`, `1`, `{}`, `[]`}, dcrMetadata, c.member+" must be true or false"))
	}
	r := start(t, `{"tls_client_certificate_bound_access_tokens":true}`)
	r.judge(t, []wireCase{
		{sentence: "use_mtls_endpoint_aliases is false by default (FAPI 2.0 §5.2.2.1.1)", answer: `{"use_mtls_endpoint_aliases":false}`},
		{sentence: "use_mtls_endpoint_aliases is echoed (FAPI 2.0 §5.2.2.1.1)", request: `{"use_mtls_endpoint_aliases":true}`, answer: `{"use_mtls_endpoint_aliases":true}`},
	})
	r.judge(t, one("use_mtls_endpoint_aliases must be true or false", "use_mtls_endpoint_aliases", []string{`"true"`, `1`}, dcrMetadata, "use_mtls_endpoint_aliases"))
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "if the features are off, the members are unknown",
			request: `{"dpop_bound_access_tokens":"x","tls_client_certificate_bound_access_tokens":5,"use_mtls_endpoint_aliases":[],"authorization_details_types":5}`,
			answer:  `{"dpop_bound_access_tokens":null,"tls_client_certificate_bound_access_tokens":null,"use_mtls_endpoint_aliases":null,"authorization_details_types":null}`},
	})
}

func TestAuthorizationDetailsTypes(t *testing.T) {
	r := start(t, `{"authorization_details_types_supported":["payment_initiation","account_information"]}`)
	r.judge(t, []wireCase{
		{sentence: "types that the server has (RFC 9396 §10)", request: `{"authorization_details_types":["payment_initiation"]}`, answer: `{"authorization_details_types":["payment_initiation"]}`},
		{sentence: "no types", request: `{"authorization_details_types":[]}`, answer: `{"authorization_details_types":null}`},
		{sentence: "a type that the server lacks", request: `{"authorization_details_types":["payment_initiation","x"]}`, code: dcrMetadata, says: "authorization_details_types must be among: payment_initiation, account_information"},
	})
	r.judge(t, one("they must be a list of strings (RFC 9396 §10)", "authorization_details_types", []string{`"payment_initiation"`, `{}`, `5`, `[5]`, `[null]`, `[""]`}, dcrMetadata, "authorization_details_types"))
}
