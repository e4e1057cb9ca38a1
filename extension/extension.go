// Package extension declares client metadata that other specifications have
// registered with IANA, for dcr.DefaultValidator.Extensions:
//
//	validator := dcr.DefaultValidator{
//		Extensions: append(extension.UMA(), extension.Federation()...),
//	}
package extension

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/dynreg/dcr"
)

// UMA declares the member of UMA 2.0 Grant §2, claims_redirect_uris.
func UMA() []dcr.Extension {
	const name = "claims_redirect_uris"
	return []dcr.Extension{dcr.NewField[[]string](name).Check(func(list []string) error {
		for i, text := range list {
			if err := appRedirect.check(name, fmt.Sprintf("%s[%d]", name, i), text); err != nil {
				return err
			}
		}
		return nil
	})}
}

// NFV declares the members of ETSI GS NFV-SEC 022.
func NFV() []dcr.Extension {
	return []dcr.Extension{
		dcr.NewField[string]("nfv_token_signed_response_alg"),
		dcr.NewField[string]("nfv_token_encrypted_response_alg"),
		dcr.NewField[string]("nfv_token_encrypted_response_enc"),
	}
}

// OpenID4VP declares the members of OpenID for Verifiable Presentations 1.0
// §5.1 and §11.1, vp_formats_supported and
// encrypted_response_enc_values_supported.
func OpenID4VP() []dcr.Extension {
	return []dcr.Extension{
		dcr.NewField[map[string]map[string]json.RawMessage]("vp_formats_supported"),
		dcr.NewField[[]string]("encrypted_response_enc_values_supported"),
	}
}

// OpenID4VCI declares the member of OpenID for Verifiable Credential Issuance
// 1.0 §12.1, credential_offer_endpoint.
func OpenID4VCI() []dcr.Extension {
	return []dcr.Extension{uriField("credential_offer_endpoint", appRedirect)}
}

// Federation declares the members of OpenID Federation 1.0 §5. Those that
// people read may have language tags; signed_jwks_uri is a key source.
func Federation() []dcr.Extension {
	return []dcr.Extension{
		dcr.NewField[[]string]("client_registration_types"),
		uriField("signed_jwks_uri", httpsOnly).KeySource(),
		dcr.NewField[string]("organization_name").Localized(),
		dcr.NewField[string]("description").Localized(),
		dcr.NewField[[]string]("keywords"),
		uriField("information_uri", webPage).Localized(),
		uriField("organization_uri", webPage).Localized(),
	}
}

// SPIFFE declares the members of OAuth SPIFFE Client Authentication: spiffe_id, a
// SPIFFE id, and spiffe_bundle_endpoint, where the keys of its trust domain are,
// which is a key source.
func SPIFFE() []dcr.Extension {
	return []dcr.Extension{
		uriField("spiffe_id", spiffeID),
		uriField("spiffe_bundle_endpoint", httpsOnly).KeySource(),
	}
}

// uriRule says which URIs a member may have.
type uriRule struct {
	what     string // for the sentence
	kinds    []dcr.URIKind
	fragment bool                 // a fragment is allowed
	also     func(u dcr.URI) bool // a further condition for a URI; nil for none
}

var (
	webPage   = uriRule{"an http or https URL", []dcr.URIKind{dcr.HTTPSURI, dcr.HTTPURI, dcr.LoopbackHTTPURI, dcr.LoopbackHTTPSURI}, true, nil}
	httpsOnly = uriRule{"an https URL", []dcr.URIKind{dcr.HTTPSURI, dcr.LoopbackHTTPSURI}, false, nil}

	// appRedirect leads back to an application, whatever its kind.
	appRedirect = uriRule{
		"an https URL, an http URL on 127.0.0.1, [::1] or localhost, or a URI of the application's own scheme",
		[]dcr.URIKind{dcr.HTTPSURI, dcr.LoopbackHTTPURI, dcr.LoopbackHTTPSURI, dcr.PrivateUseURI}, false, nil,
	}

	// spiffeID names a workload (SPIFFE-ID §2): a trust domain and a path.
	spiffeID = uriRule{"a SPIFFE id, such as spiffe://example.org/workload", []dcr.URIKind{dcr.PrivateUseURI}, false, func(u dcr.URI) bool {
		return u.Scheme == "spiffe" && u.Host != "" && u.Port == "" && !u.HasQuery
	}}
)

// check judges one URI; shown is what to call it.
func (rule uriRule) check(member, shown, text string) error {
	parsed, err := dcr.ParseURI(text)
	fault, sentence := "", ""
	switch {
	case err != nil:
		fault, sentence = "form", err.Error()
	case !slices.Contains(rule.kinds, parsed.Kind) || rule.also != nil && !rule.also(parsed):
		fault, sentence = "scheme", "must be "+rule.what
	case parsed.HasFragment && !rule.fragment:
		fault, sentence = "fragment", "must not have a fragment"
	default:
		return nil
	}
	refused := dcr.Errorf(dcr.InvalidClientMetadata, "%s %s", shown, sentence)
	refused.Member, refused.Rule = member, member+"."+fault
	return refused
}

func uriField(name string, rule uriRule) dcr.Field[string] {
	return dcr.NewField[string](name).Check(func(text string) error { return rule.check(name, name, text) })
}
