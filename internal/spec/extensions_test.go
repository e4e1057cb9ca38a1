package spec_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
)

type tagline struct {
	Text  string   `json:"text"`
	Words []string `json:"words,omitempty"`
}

func TestDeclaredExtensions(t *testing.T) {
	r := start(t, `{}`, extended(
		dcr.NewField[string]("x_text"), dcr.NewField[[]string]("x_list"), dcr.NewField[int64]("x_number"), dcr.NewField[bool]("x_flag"),
		dcr.NewField[tagline]("x_object"), dcr.NewField[map[string]any]("x_map"), dcr.NewField[[]tagline]("x_objects"), dcr.NewField[json.RawMessage]("x_any"), dcr.NewField[float64]("x_ratio"),
	))
	all := `{"x_text":"a","x_list":["a","b"],"x_number":5,"x_flag":false,"x_object":{"text":"t"},"x_map":{"a":{"b":1}},"x_objects":[{"text":"t"}],"x_any":[1],"x_ratio":0.5}`
	r.judge(t, []wireCase{
		{sentence: "declared members are kept and echoed, undeclared ones ignored (RFC 7591 §2)", request: all[:len(all)-1] + `,"x_other":1}`, answer: all[:len(all)-1] + `,"x_other":null}`},
		{sentence: "null, the empty string and the empty list count as absent", request: `{"x_text":"","x_list":[ ],"x_object":null}`, answer: `{"x_text":null,"x_list":null,"x_object":null}`},
		{sentence: "a member that only the server issues is never an extension", request: `{"registration_client_uri":"https://evil.example","client_secret_expires_at":5}`, answer: `{"client_secret_expires_at":0}`},
	})
	r.judge(t, []wireCase{
		{sentence: "an integer may be written as a number with a fraction of zeros", request: `{"x_number":3600.0}`, answer: `{"x_number":3600}`},
		{sentence: "or an exponent", request: `{"x_number":36e2}`, answer: `{"x_number":3600}`},
		{sentence: "1.5 is not an integer", request: `{"x_number":1.5}`, code: dcrMetadata, says: "x_number must be a JSON integer"},
	})
	for member, says := range map[string]string{
		"x_text": "x_text must be a JSON string", "x_number": "x_number must be a JSON integer", "x_flag": "x_flag must be true or false",
		"x_object": "x_object must be a JSON object", "x_map": "x_map must be a JSON object", "x_objects": "x_objects must be a JSON array", "x_ratio": "x_ratio must be a JSON number",
	} {
		r.judge(t, one(member+" of another type", member, []string{`[[5]]`, `[[{}]]`}, dcrMetadata, says))
	}
	r.judge(t, one("x_list has only strings", "x_list", []string{`"a"`, `[null]`, `[""]`, `[5]`, `["a\u0000"]`}, dcrMetadata, "x_list"))
	r.judge(t, one("control characters are refused at any depth", "x_map", []string{`{"a":"\u0000"}`, `{"a":[{"b":"\u001b"}]}`}, dcrMetadata, "x_map"))
}

func TestExtensionsOfOtherSpecifications(t *testing.T) {
	all := append(extension.UMA(), extension.NFV()...)
	all = append(append(all, extension.OpenID4VP()...), append(extension.OpenID4VCI(), extension.Federation()...)...)
	all = append(all, extension.SPIFFE()...)
	const sent = `{"claims_redirect_uris":["https://rp.example.com/claims","com.example.app:/claims"],
		"nfv_token_signed_response_alg":"ES256","nfv_token_encrypted_response_alg":"ECDH-ES","nfv_token_encrypted_response_enc":"A256GCM",
		"vp_formats_supported":{"dc+sd-jwt":{"sd-jwt_alg_values":["ES256"]},"mso_mdoc":{}},"encrypted_response_enc_values_supported":["A256GCM"],
		"credential_offer_endpoint":"openid-credential-offer://","client_registration_types":["automatic","explicit","other"],"signed_jwks_uri":"https://rp.example.com/jwks",
		"organization_name":"Example","description":"An application","keywords":["a","b"],"information_uri":"https://rp.example.com/about","organization_uri":"http://example.com/",
		"spiffe_id":"spiffe://example.org/ns/rp","spiffe_bundle_endpoint":"https://spiffe.example.org/bundle"}`
	r := start(t, `{}`, extended(all...))
	r.judge(t, []wireCase{
		{sentence: "declared, each is echoed", request: sent, answer: sent},
		{sentence: "claims_redirect_uris lead back to an application (UMA 2.0 Grant §2)", request: `{"claims_redirect_uris":["https://rp.example.com/","http://rp.example.com/"]}`, code: dcrMetadata, says: "claims_redirect_uris[1] must be an https URL"},
		{sentence: "claims_redirect_uris must not run anything", request: `{"claims_redirect_uris":["javascript:x"]}`, code: dcrMetadata, says: "claims_redirect_uris[0]"},
		{sentence: "vp_formats_supported is an object of formats (OID4VP §11.1)", request: `{"vp_formats_supported":["mso_mdoc"]}`, code: dcrMetadata, says: "vp_formats_supported must be a JSON object"},
		{sentence: "each format is an object (OID4VP §11.1)", request: `{"vp_formats_supported":{"mso_mdoc":5}}`, code: dcrMetadata, says: "vp_formats_supported"},
		{sentence: "encrypted_response_enc_values_supported is a list of strings (OID4VP §5.1)", request: `{"encrypted_response_enc_values_supported":"A256GCM"}`, code: dcrMetadata, says: "encrypted_response_enc_values_supported must be a JSON array"},
		{sentence: "credential_offer_endpoint is a URL (OID4VCI §12.1)", request: `{"credential_offer_endpoint":"/offer"}`, code: dcrMetadata, says: "credential_offer_endpoint must be an absolute URI"},
		{sentence: "signed_jwks_uri is https (Federation §5.2.1)", request: `{"signed_jwks_uri":"http://rp.example.com/jwks"}`, code: dcrMetadata, says: "signed_jwks_uri must be an https URL"},
		{sentence: "organization_uri is a web page (Federation §5.2.2)", request: `{"organization_uri":"javascript:x"}`, code: dcrMetadata, says: "organization_uri"},
		{sentence: "keywords are strings (Federation §5.2.2)", request: `{"keywords":"a"}`, code: dcrMetadata, says: "keywords must be a JSON array"},
		{sentence: "client_registration_types are strings (Federation §5.1.2)", request: `{"client_registration_types":[5]}`, code: dcrMetadata, says: "client_registration_types[0]"},
		{sentence: "spiffe_id names a workload (SPIFFE-ID §2)", request: `{"spiffe_id":"https://example.org/rp"}`, code: dcrMetadata, says: "spiffe_id must be a SPIFFE id"},
		{sentence: "without a port (SPIFFE-ID §2.1)", request: `{"spiffe_id":"spiffe://example.org:1/rp"}`, code: dcrMetadata, says: "spiffe_id must be a SPIFFE id"},
		{sentence: "spiffe_bundle_endpoint is https", request: `{"spiffe_bundle_endpoint":"http://spiffe.example.org/"}`, code: dcrMetadata, says: "spiffe_bundle_endpoint must be an https URL"},
		{sentence: "nfv algorithms are strings", request: `{"nfv_token_signed_response_alg":["ES256"]}`, code: dcrMetadata, says: "nfv_token_signed_response_alg must be a JSON string"},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "undeclared, they are unknown members", request: sent, answer: `{"claims_redirect_uris":null,"vp_formats_supported":null,"organization_name":null,"encrypted_response_enc_values_supported":null,"signed_jwks_uri":null}`},
	})
}

// A hook reads and writes extensions by their type.
type shouting struct {
	dcr.DefaultValidator
	text dcr.Field[string]
}

func (s shouting) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	if err := s.DefaultValidator.ValidateExtensions(ctx, reg); err != nil {
		return err
	}
	text, sent, err := s.text.Get(&reg.Client.Metadata)
	if err != nil || !sent {
		return err
	}
	return s.text.Set(&reg.Client.Metadata, text+"!")
}

func TestFieldsInHooks(t *testing.T) {
	text := dcr.NewField[string]("x_text")
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.Validator = shouting{dcr.DefaultValidator{Extensions: []dcr.Extension{text}}, text}
	})
	has(t, r.register(t, request(t, `{"x_text":"hello"}`)), `{"x_text":"hello!"}`)
	has(t, r.register(t, request(t, ``)), `{"x_text":null}`)
}
