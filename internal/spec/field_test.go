package spec_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
)

func TestARuleOfAField(t *testing.T) {
	short := dcr.NewField[string]("x_text").Check(func(text string) error {
		switch {
		case text == "fails":
			return errors.New("no connection to 10.0.0.5")
		case len(text) > 5:
			return dcr.Errorf(dcr.InvalidClientMetadata, "x_text must not have more than 5 letters: %w", errors.New("10.0.0.5"))
		}
		return nil
	})
	lower := func(text string) error {
		if strings.ToLower(text) != text {
			return &dcr.Error{Description: "x_text must be in lower case"}
		}
		return nil
	}
	r := start(t, `{}`, extended(short.Check(lower).Check(nil).Localized()))
	r.judge(t, []wireCase{
		{sentence: "a value within the rule is kept", request: `{"x_text":"short","x_text#de":"kurz"}`, answer: `{"x_text":"short","x_text#de":"kurz"}`},
		{sentence: "an absent one is not checked", request: `{"x_text":""}`, answer: `{"x_text":null}`},
		{sentence: "one that breaks it is refused", request: `{"x_text":"longer"}`, code: dcrMetadata, says: "x_text must not have more than 5 letters"},
		{sentence: "with the name that was sent", request: `{"x_text#de":"langer"}`, code: dcrMetadata, says: "x_text#de must not have more than 5 letters"},
		{sentence: "a second rule counts too, and needs no code", request: `{"x_text":"SHORT"}`, code: dcrMetadata, says: "x_text must be in lower case"},
		{sentence: "the first rule still counts", request: `{"x_text":"LONGER"}`, code: dcrMetadata, says: "5 letters"},
		{sentence: "the type comes before the rules", request: `{"x_text":5}`, code: dcrMetadata, says: "x_text must be a JSON string"},
	})
	if a := r.post(t, request(t, `{"x_text":"longer"}`)); strings.Contains(a.body, "10.0.0.5") {
		t.Errorf("it tells too much: %s", a.body)
	}
	client := r.register(t, request(t, ``))
	for _, a := range []*answer{r.post(t, request(t, `{"x_text":"fails"}`)), r.manage(t, "PUT", client, client.update(map[string]any{"x_text": "fails"}))} {
		if answered(t, a, 500, dcr.ServerError); strings.Contains(a.body, "10.0.0.5") {
			t.Errorf("it tells too much: %s", a.body)
		}
	}
	// The original field must be unchanged.
	start(t, `{}`, extended(short)).judge(t, []wireCase{
		{sentence: "a field is a value: the rule of a copy is not its own", request: `{"x_text":"SHORT"}`, answer: `{"x_text":"SHORT"}`},
		{sentence: "nor does it have the language tags of a copy", request: `{"x_text#de":"kurz"}`, answer: `{"x_text#de":null}`},
	})
}

func TestEachDeclarationOfAMemberCounts(t *testing.T) {
	not := func(word string) dcr.Extension {
		return dcr.NewField[string]("x_text").Check(func(text string) error {
			if text == word {
				return dcr.Errorf(dcr.InvalidClientMetadata, "x_text must not be this")
			}
			return nil
		})
	}
	start(t, `{}`, extended(not("a"), not("b"), not("c"))).judge(t, append(
		one("each declares its own", "x_text", []string{`"a"`, `"b"`, `"c"`}, dcrMetadata, "x_text must not be this"),
		wireCase{sentence: "a value that none refuses", request: `{"x_text":"d"}`, answer: `{"x_text":"d"}`},
	))
}

// keyNeeds has registrations that need keys.
var keyNeeds = []struct{ sentence, discovery, members string }{
	{"private_key_jwt", `{"token_endpoint_auth_methods_supported":["private_key_jwt"]}`, `"token_endpoint_auth_method":"private_key_jwt"`},
	{"self_signed_tls_client_auth", `{"token_endpoint_auth_methods_supported":["self_signed_tls_client_auth"]}`, `"token_endpoint_auth_method":"self_signed_tls_client_auth"`},
	{"signed request objects", `{"request_parameter_supported":true,"request_object_signing_alg_values_supported":["ES256"]}`, `"request_object_signing_alg":"ES256"`},
	{"encrypted ID Tokens", `{"id_token_signing_alg_values_supported":["RS256"],"id_token_encryption_alg_values_supported":["RSA-OAEP-256"],"id_token_encryption_enc_values_supported":["A256GCM"]}`,
		`"id_token_encrypted_response_alg":"RSA-OAEP-256"`},
}

// The key sources that this library declares, and one that the host declares:
// here a client that is known only by its certificates.
func TestDeclaredKeySources(t *testing.T) {
	certificates := dcr.NewField[[]string]("x5c").KeySource()
	all := append(append(extension.Federation(), extension.SPIFFE()...), certificates)
	for _, need := range keyNeeds {
		var cases []wireCase
		for _, source := range []string{`"signed_jwks_uri":"https://rp.example.com/jwks.jwt"`, `"spiffe_bundle_endpoint":"https://spiffe.example.org/bundle"`, `"x5c":["` + ecCert + `"]`} {
			cases = append(cases, wireCase{sentence: need.sentence + " with " + source[:10], request: `{` + need.members + `,` + source + `}`})
		}
		start(t, need.discovery, extended(all...)).judge(t, cases)
	}
}

func TestAKeySourceSatisfiesWhatAsksForKeys(t *testing.T) {
	https := func(text string) error {
		if parsed, err := url.Parse(text); err != nil || parsed.Scheme != "https" {
			return dcr.Errorf(dcr.InvalidClientMetadata, "x_keys must be an https URL")
		}
		return nil
	}
	for _, need := range keyNeeds {
		t.Run(need.sentence, func(t *testing.T) {
			source := dcr.NewField[string]("x_keys").Check(https)
			with := `{` + need.members + `,"x_keys":"https://rp.example.com/keys"}`
			start(t, need.discovery, extended(source.KeySource(), dcr.NewField[string]("x_other"))).judge(t, []wireCase{
				{sentence: "a key source does", request: with, answer: `{"x_keys":"https://rp.example.com/keys"}`},
				{sentence: "an empty one does not", request: `{` + need.members + `,"x_keys":""}`, code: dcrMetadata, says: "key"},
				{sentence: "a bad one does not", request: `{` + need.members + `,"x_keys":"http://rp.example.com/"}`, code: dcrMetadata, says: "x_keys must be an https URL"},
				{sentence: "another member does not", request: `{` + need.members + `,"x_other":"https://rp.example.com/keys"}`, code: dcrMetadata, says: "key"},
				{sentence: "without one it is refused", request: `{` + need.members + `}`, code: dcrMetadata, says: "key"},
			})
			start(t, need.discovery, extended(source)).judge(t, []wireCase{
				{sentence: "a field that is not a key source does not", request: with, code: dcrMetadata, says: "key"},
			})
			start(t, need.discovery).judge(t, []wireCase{
				{sentence: "one that is not declared does not", request: with, code: dcrMetadata, says: "key"},
			})
		})
	}
}
