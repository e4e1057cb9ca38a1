package dcr

// RFC 8414 §2, OpenID Connect Discovery 1.0 §3, and the discovery members of the
// specifications named at each group of fields: what the server supports.

import (
	"encoding/json"
	"slices"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/strictjson"
)

// AnyScope in Capabilities.Scopes allows any scope. It is never published.
const AnyScope = "*"

// Capabilities says what the authorization server supports, field by field in
// the terms of RFC 8414 and OpenID Connect Discovery; its JSON has their
// member names, both ways. Validation, defaults, the checks of [NewHandler]
// and discovery read this one value.
//
// A registration may choose from the lists, and from nothing else. A nil list
// is an absent member: that turns a feature off or, where a field says "If
// nil", means the strict default given there. An empty list allows nothing.
type Capabilities struct {
	GrantTypes                   []string `json:"grant_types_supported"`                            // If nil, authorization_code and refresh_token.
	ResponseTypes                []string `json:"response_types_supported"`                         // If nil, code; none if GrantTypes lacks authorization_code.
	TokenEndpointAuthMethods     []string `json:"token_endpoint_auth_methods_supported"`            // If nil, client_secret_basic and none.
	Scopes                       []string `json:"scopes_supported"`                                 // If nil, none. AnyScope allows any.
	ResponseModes                []string `json:"response_modes_supported"`                         // What response_modes may list; if nil, that member is off.
	TokenEndpointAuthSigningAlgs []string `json:"token_endpoint_auth_signing_alg_values_supported"` // If nil, RS256, PS256, ES256, EdDSA, and HS256 for client_secret_jwt.

	// OpenID Connect. Either of the first two turns OpenID Connect on.
	SubjectTypes             []string `json:"subject_types_supported"` // If nil, public.
	IDTokenSigningAlgs       []string `json:"id_token_signing_alg_values_supported"`
	IDTokenEncryptionAlgs    []string `json:"id_token_encryption_alg_values_supported"`
	IDTokenEncryptionEncs    []string `json:"id_token_encryption_enc_values_supported"`
	UserinfoSigningAlgs      []string `json:"userinfo_signing_alg_values_supported"`
	UserinfoEncryptionAlgs   []string `json:"userinfo_encryption_alg_values_supported"`
	UserinfoEncryptionEncs   []string `json:"userinfo_encryption_enc_values_supported"`
	ACRValues                []string `json:"acr_values_supported"`
	RequestParameter         bool     `json:"request_parameter_supported"`
	RequestURIParameter      bool     `json:"request_uri_parameter_supported"` // False when absent; OpenID Connect Discovery says true.
	RequestObjectSigningAlgs []string `json:"request_object_signing_alg_values_supported"`
	RequestObjectEncAlgs     []string `json:"request_object_encryption_alg_values_supported"`
	RequestObjectEncEncs     []string `json:"request_object_encryption_enc_values_supported"`

	// RFC 9101, RFC 9126, RFC 9396, RFC 9449, RFC 8705.
	RequireSignedRequestObject            bool     `json:"require_signed_request_object"` // If true, every client is registered with it.
	PushedAuthorizationRequestEndpoint    string   `json:"pushed_authorization_request_endpoint"`
	RequirePushedAuthorizationRequests    bool     `json:"require_pushed_authorization_requests"` // If true, every client is registered with it.
	AuthorizationDetailsTypes             []string `json:"authorization_details_types_supported"`
	DPoPSigningAlgs                       []string `json:"dpop_signing_alg_values_supported"`
	TLSClientCertificateBoundAccessTokens bool     `json:"tls_client_certificate_bound_access_tokens"`

	// RFC 7636, RFC 9207, OAuth Client ID Metadata Document, Identity Assertion
	// Authorization Grant. The host implements these; clients look for them in the
	// discovery document, and those of the Model Context Protocol refuse a server that
	// does not mention PKCE.
	CodeChallengeMethods       []string `json:"code_challenge_methods_supported"` // If nil, S256.
	AuthorizationResponseIss   bool     `json:"authorization_response_iss_parameter_supported"`
	ClientIDMetadataDocument   bool     `json:"client_id_metadata_document_supported"`
	AuthorizationGrantProfiles []string `json:"authorization_grant_profiles_supported"`

	// OAuth 2.0 Attestation-Based Client Authentication.
	ChallengeEndpoint               string   `json:"challenge_endpoint"`
	ClientAttestationSigningAlgs    []string `json:"client_attestation_signing_alg_values_supported"`
	ClientAttestationPoPSigningAlgs []string `json:"client_attestation_pop_signing_alg_values_supported"`
	ClientAttestationPoPMethods     []string `json:"client_attestation_pop_methods_supported"`

	// RFC 9701 and JARM.
	IntrospectionSigningAlgs    []string `json:"introspection_signing_alg_values_supported"`
	IntrospectionEncryptionAlgs []string `json:"introspection_encryption_alg_values_supported"`
	IntrospectionEncryptionEncs []string `json:"introspection_encryption_enc_values_supported"`
	AuthorizationSigningAlgs    []string `json:"authorization_signing_alg_values_supported"`
	AuthorizationEncryptionAlgs []string `json:"authorization_encryption_alg_values_supported"`
	AuthorizationEncryptionEncs []string `json:"authorization_encryption_enc_values_supported"`

	// OpenID Connect Client-Initiated Backchannel Authentication.
	BackchannelTokenDeliveryModes               []string `json:"backchannel_token_delivery_modes_supported"`
	BackchannelAuthenticationRequestSigningAlgs []string `json:"backchannel_authentication_request_signing_alg_values_supported"`
	BackchannelUserCodeParameter                bool     `json:"backchannel_user_code_parameter_supported"`

	// OpenID Connect logout.
	EndSessionEndpoint        string `json:"end_session_endpoint"`
	FrontchannelLogout        bool   `json:"frontchannel_logout_supported"`
	FrontchannelLogoutSession bool   `json:"frontchannel_logout_session_supported"`
	BackchannelLogout         bool   `json:"backchannel_logout_supported"`
	BackchannelLogoutSession  bool   `json:"backchannel_logout_session_supported"`
}

// capabilityMembers is the description of every discovery member.
var capabilityMembers = record.Describe[Capabilities]()

// The strict defaults of absent lists; see [Capabilities].
var (
	defaultGrantTypes    = []string{"authorization_code", "refresh_token"}
	defaultResponseTypes = []string{"code"}
	defaultAuthMethods   = []string{"client_secret_basic", "none"}
	defaultChallenges    = []string{"S256"}
	defaultSubjectTypes  = []string{"public"}
	defaultSigningAlgs   = jose.Standard
	defaultIDTokenAlgs   = []string{"RS256"}
)

// WithDefaults returns c with the strict defaults in place of nil lists, as every
// step reads it: GrantTypes, ResponseTypes, TokenEndpointAuthMethods,
// CodeChallengeMethods, TokenEndpointAuthSigningAlgs and, with OpenID Connect,
// SubjectTypes and IDTokenSigningAlgs. An empty list stays empty. The lists are shared
// with c and with other callers: clone one before changing it.
func (c Capabilities) WithDefaults() Capabilities {
	c.complete()
	return c
}

// complete puts the strict defaults in place of nil lists, so that every reader
// sees the same lists. It clips the lists, so that appending to one does not
// change another reader's.
func (c *Capabilities) complete() {
	fill := func(list *[]string, absent []string) {
		if *list == nil {
			*list = absent
		}
	}
	fill(&c.GrantTypes, defaultGrantTypes)
	if slices.Contains(c.GrantTypes, "authorization_code") {
		fill(&c.ResponseTypes, defaultResponseTypes)
	} else {
		fill(&c.ResponseTypes, []string{})
	}
	fill(&c.TokenEndpointAuthMethods, defaultAuthMethods)
	fill(&c.CodeChallengeMethods, defaultChallenges)
	if c.openID() {
		fill(&c.SubjectTypes, defaultSubjectTypes)
		fill(&c.IDTokenSigningAlgs, defaultIDTokenAlgs)
	}
	if c.TokenEndpointAuthSigningAlgs == nil {
		c.TokenEndpointAuthSigningAlgs = defaultSigningAlgs
		if slices.Contains(c.TokenEndpointAuthMethods, "client_secret_jwt") {
			c.TokenEndpointAuthSigningAlgs = slices.Concat(defaultSigningAlgs, []string{"HS256"})
		}
	}
	capabilityMembers.Clip(c)
}

func (c *Capabilities) openID() bool { return c.IDTokenSigningAlgs != nil || c.SubjectTypes != nil }

// features is a set of features, each of which turns members on.
type features uint32

// allFeatures has the name of each feature, as in the on tags of [Metadata], and
// which discovery members turn it on. Nothing else turns a member on.
var allFeatures = []struct {
	name string
	on   func(c *Capabilities) bool
}{
	{"openid", (*Capabilities).openID},
	{"pairwise", func(c *Capabilities) bool { return slices.Contains(c.SubjectTypes, "pairwise") }},
	{"acr", func(c *Capabilities) bool { return c.openID() && c.ACRValues != nil }},
	{"id_token_encryption", func(c *Capabilities) bool {
		return c.IDTokenEncryptionAlgs != nil && c.IDTokenEncryptionEncs != nil
	}},
	{"userinfo_signing", func(c *Capabilities) bool { return c.UserinfoSigningAlgs != nil }},
	{"userinfo_encryption", func(c *Capabilities) bool {
		return c.UserinfoEncryptionAlgs != nil && c.UserinfoEncryptionEncs != nil
	}},
	{"request_object", func(c *Capabilities) bool {
		return c.RequestObjectSigningAlgs != nil || c.RequestParameter || c.RequireSignedRequestObject
	}},
	{"request_object_encryption", func(c *Capabilities) bool {
		return c.RequestObjectEncAlgs != nil && c.RequestObjectEncEncs != nil
	}},
	{"request_uri", func(c *Capabilities) bool { return c.RequestURIParameter }},
	{"jwt_client_auth", func(c *Capabilities) bool {
		return slices.Contains(c.TokenEndpointAuthMethods, "private_key_jwt") ||
			slices.Contains(c.TokenEndpointAuthMethods, "client_secret_jwt")
	}},
	{"tls_client_auth", func(c *Capabilities) bool {
		return slices.Contains(c.TokenEndpointAuthMethods, "tls_client_auth")
	}},
	{"certificate_bound_tokens", func(c *Capabilities) bool { return c.TLSClientCertificateBoundAccessTokens }},
	{"par", func(c *Capabilities) bool {
		return c.PushedAuthorizationRequestEndpoint != "" || c.RequirePushedAuthorizationRequests
	}},
	{"rar", func(c *Capabilities) bool { return c.AuthorizationDetailsTypes != nil }},
	{"dpop", func(c *Capabilities) bool { return c.DPoPSigningAlgs != nil }},
	{"introspection_signing", func(c *Capabilities) bool { return c.IntrospectionSigningAlgs != nil }},
	{"introspection_encryption", func(c *Capabilities) bool {
		return c.IntrospectionEncryptionAlgs != nil && c.IntrospectionEncryptionEncs != nil
	}},
	{"jarm", func(c *Capabilities) bool { return c.AuthorizationSigningAlgs != nil }},
	{"authorization_encryption", func(c *Capabilities) bool {
		return c.AuthorizationEncryptionAlgs != nil && c.AuthorizationEncryptionEncs != nil
	}},
	{"response_modes", func(c *Capabilities) bool { return c.ResponseModes != nil }},
	{"ciba", func(c *Capabilities) bool { return c.BackchannelTokenDeliveryModes != nil }},
	{"ciba_user_code", func(c *Capabilities) bool {
		return c.BackchannelTokenDeliveryModes != nil && c.BackchannelUserCodeParameter
	}},
	{"rp_logout", func(c *Capabilities) bool { return c.EndSessionEndpoint != "" }},
	{"frontchannel_logout", func(c *Capabilities) bool { return c.FrontchannelLogout }},
	{"backchannel_logout", func(c *Capabilities) bool { return c.BackchannelLogout }},
}

// memberFeature is the feature of each registered member, zero for those that
// are always on.
var memberFeature = func() []features {
	needs := make([]features, len(members.Fields))
	for i, f := range members.Fields {
		if on := f.Tag.Get("on"); on != "" {
			needs[i] = featureNamed(on)
		}
	}
	return needs
}()

// memberForm is the feature that makes the form of each registered member
// count: that of memberFeature, unless its form tag names another.
var memberForm = func() []features {
	needs := slices.Clone(memberFeature)
	for i, f := range members.Fields {
		if form := f.Tag.Get("form"); form != "" {
			needs[i] = featureNamed(form)
		}
	}
	return needs
}()

func featureNamed(name string) features {
	for i := range allFeatures {
		if allFeatures[i].name == name {
			return 1 << i
		}
	}
	panic("dcr: no feature is named " + name)
}

// features returns the features that c turns on.
func (c *Capabilities) features() features {
	var on features
	for i := range allFeatures {
		if allFeatures[i].on(c) {
			on |= 1 << i
		}
	}
	return on
}

// has reports whether the i-th registered member is on.
func (on features) has(i int) bool { return memberFeature[i]&^on == 0 }

// judges reports whether the i-th registered member is refused if its form is
// wrong.
func (on features) judges(i int) bool { return memberForm[i]&^on == 0 }

// anyScope reports whether any scope is allowed.
func (c *Capabilities) anyScope() bool { return slices.Contains(c.Scopes, AnyScope) }

// MarshalJSON writes the fields that are set, under their discovery names.
func (c Capabilities) MarshalJSON() ([]byte, error) {
	var object objectWriter
	for i := range capabilityMembers.Fields {
		if f := &capabilityMembers.Fields[i]; !f.IsZero(&c) {
			writeField(&object, f, &c)
		}
	}
	return object.finish()
}

// capabilityLimits bound a discovery document, which the host itself wrote.
var capabilityLimits = strictjson.Limits{Members: 1024, Depth: 32}

// UnmarshalJSON reads the known members of a discovery document and ignores the
// others; null counts as absent.
func (c *Capabilities) UnmarshalJSON(text []byte) error {
	var read Capabilities
	err := strictjson.ReadObject(text, capabilityLimits, func(name string, value strictjson.Value) error {
		i, known := capabilityMembers.Find(name)
		if !known || value.Kind() == strictjson.Null {
			return nil
		}
		if err := capabilityMembers.Fields[i].Decode(&read, value); err != nil {
			return memberError(name, err)
		}
		return nil
	})
	if err == nil {
		*c = read
	}
	return err
}

var (
	_ json.Marshaler   = Capabilities{}
	_ json.Unmarshaler = (*Capabilities)(nil)
)
