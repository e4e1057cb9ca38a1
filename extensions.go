package dcr

// Extension members: how a declared one is judged, and the declarations of
// those that other specifications register at IANA (UMA 2.0 Grant §2, ETSI GS
// NFV-SEC 022, OpenID for Verifiable Presentations 1.0 §5.1 and §11.1, OpenID
// for Verifiable Credential Issuance 1.0 §12.1, OpenID Federation 1.0 §5).

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

// UMAExtensions declares the member of UMA 2.0 Grant §2, claims_redirect_uris.
func UMAExtensions() []Extension {
	return []Extension{Field[[]string]{name: "claims_redirect_uris", rule: appRedirect.checkList}}
}

// NFVExtensions declares the members of ETSI GS NFV-SEC 022.
func NFVExtensions() []Extension {
	return []Extension{
		NewField[string]("nfv_token_signed_response_alg"),
		NewField[string]("nfv_token_encrypted_response_alg"),
		NewField[string]("nfv_token_encrypted_response_enc"),
	}
}

// OpenID4VPExtensions declares the members of OpenID for Verifiable
// Presentations 1.0, vp_formats_supported and
// encrypted_response_enc_values_supported.
func OpenID4VPExtensions() []Extension {
	return []Extension{
		NewField[map[string]map[string]json.RawMessage]("vp_formats_supported"),
		NewField[[]string]("encrypted_response_enc_values_supported"),
	}
}

// OpenID4VCIExtensions declares the member of OpenID for Verifiable Credential
// Issuance 1.0 §12.1, credential_offer_endpoint.
func OpenID4VCIExtensions() []Extension {
	return []Extension{uriField("credential_offer_endpoint", appRedirect, false)}
}

// FederationExtensions declares the members of OpenID Federation 1.0 §5. Those
// that people read may carry language tags.
func FederationExtensions() []Extension {
	return []Extension{
		NewField[[]string]("client_registration_types"),
		uriField("signed_jwks_uri", httpsOnly, false),
		Field[string]{name: "organization_name", tagged: true},
		Field[string]{name: "description", tagged: true},
		NewField[[]string]("keywords"),
		uriField("information_uri", webPage, true),
		uriField("organization_uri", webPage, true),
	}
}

// appRedirect leads back to an application, whatever its kind.
var appRedirect = uriRule{
	schemes: "an https URL, an http URL on 127.0.0.1, [::1] or localhost, or a URI of the application's own scheme",
	allowed: func(kind uri.Kind) bool { return kind != uri.HTTP },
}

func uriField(name string, rule uriRule, tagged bool) Field[string] {
	return Field[string]{name: name, tagged: tagged, rule: func(shown, text string) error {
		_, err := rule.check(name, shown, text)
		return err
	}}
}

// ValidateExtensions checks every declared extension member against the type
// of its field.
func (d DefaultValidator) ValidateExtensions(ctx context.Context, reg *Registration) error {
	names := sortedKeys(reg.Client.Extra)
	for _, name := range names {
		extension := reg.base.extension(name)
		if extension == nil {
			continue
		}
		if slices.ContainsFunc(names, func(other string) bool { return other != name && sameTagged(other, name) }) {
			return refuse(InvalidClientMetadata, name, "body.duplicate", "%s must not be sent twice", name)
		}
		if err := extension.check(name, reg.Client.Extra[name]); err != nil {
			return err
		}
	}
	return nil
}

// sameTagged reports whether two names are of the same language-tagged member:
// tags are read case-insensitively (RFC 7591 §2.2).
func sameTagged(a, b string) bool {
	baseA, tagA, tagged := strings.Cut(a, "#")
	baseB, tagB, _ := strings.Cut(b, "#")
	return tagged && baseA == baseB && strings.EqualFold(tagA, tagB)
}

func (f Field[T]) localized() bool { return f.tagged }

func (f Field[T]) check(name string, raw json.RawMessage) error {
	value, err := readField[T](strictjson.Value(raw))
	if err != nil {
		return memberError(name, err)
	}
	if f.rule == nil {
		return nil
	}
	return f.rule(name, value)
}

// readField reads a value as strictly as a registered member: no null and no
// empty string in a list, no control characters in any string.
func readField[T any](raw strictjson.Value) (value T, err error) {
	switch into := any(&value).(type) {
	case *string:
		*into, err = raw.Text()
	case *[]string:
		*into, err = raw.Texts()
	default:
		if err = readableTexts(raw); err == nil && json.Unmarshal(raw, &value) != nil {
			err = &strictjson.Error{Reason: "must be " + jsonForm(reflect.TypeFor[T]().Kind())}
		}
	}
	return value, err
}

// readableTexts refuses control characters in every string within a value.
func readableTexts(value strictjson.Value) error {
	switch value.Kind() {
	case strictjson.String:
		_, err := value.Text()
		return err
	case strictjson.Array:
		return value.Elements(func(_ int, element strictjson.Value) error { return readableTexts(element) })
	case strictjson.Object:
		return value.Members(func(name string, member strictjson.Value) error {
			return strictjson.In(name, readableTexts(member))
		})
	}
	return nil
}

// jsonForm says what JSON a Go value is read from.
func jsonForm(kind reflect.Kind) string {
	switch kind {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a JSON string of the expected form"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a JSON integer"
	case reflect.Float32, reflect.Float64:
		return "a JSON number"
	case reflect.Slice, reflect.Array:
		return "a JSON array of the expected form"
	}
	return "a JSON object of the expected form"
}
