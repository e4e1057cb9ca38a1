package dcr

// RFC 7591 §2, OpenID Connect Dynamic Client Registration 1.0 §2, and the
// client metadata of the specifications named at each group of fields.

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/strictjson"
)

// Metadata is the client metadata of a registration, with a typed field for
// every registered member. Each member is described once, by its line here;
// decoding, encoding, cloning, storing and echoing follow the tags:
//
//	json     the member's name
//	on       the feature of [Capabilities] that turns the member on; a member
//	         whose feature is off counts as unknown
//	form     the feature with which a member of the wrong form is refused, even
//	         if the member itself is off
//	list     the RP Metadata Choices member that lists alternatives to this one
//	lang     "yes" if the member may have a language tag
//	with     a boolean is echoed only if this other member is set
//	uri      what its URIs are for, and so what they may be (fixedrules.go)
//	visited  "yes" if this server itself sends requests to its URIs
//
// A zero field is an absent member. Only for redirect_uris and response_types
// does an empty list differ from nil.
type Metadata struct {
	// RFC 7591 §2.
	RedirectURIs            []string        `json:"redirect_uris" uri:"redirect"`
	TokenEndpointAuthMethod string          `json:"token_endpoint_auth_method" list:"token_endpoint_auth_methods_supported"`
	GrantTypes              []string        `json:"grant_types"`
	ResponseTypes           []string        `json:"response_types"`
	ClientName              string          `json:"client_name" lang:"yes"`
	ClientURI               string          `json:"client_uri" lang:"yes" uri:"page"`
	LogoURI                 string          `json:"logo_uri" lang:"yes" uri:"page"`
	Scope                   string          `json:"scope"` // in a Client, the scopes that its tokens may have; "" grants none
	Contacts                []string        `json:"contacts"`
	TOSURI                  string          `json:"tos_uri" lang:"yes" uri:"page"`
	PolicyURI               string          `json:"policy_uri" lang:"yes" uri:"page"`
	JWKSURI                 string          `json:"jwks_uri" uri:"https" visited:"yes"`
	JWKS                    json.RawMessage `json:"jwks"` // the keys of the set, each as it was sent; other members of the set are dropped
	SoftwareID              string          `json:"software_id"`
	SoftwareVersion         string          `json:"software_version"`

	// OpenID Connect Dynamic Client Registration 1.0 §2.
	ApplicationType              string   `json:"application_type"`
	SectorIdentifierURI          string   `json:"sector_identifier_uri" on:"pairwise" uri:"https" visited:"yes"`
	SubjectType                  string   `json:"subject_type" on:"openid" list:"subject_types_supported"`
	IDTokenSignedResponseAlg     string   `json:"id_token_signed_response_alg" on:"openid" list:"id_token_signing_alg_values_supported"`
	IDTokenEncryptedResponseAlg  string   `json:"id_token_encrypted_response_alg" on:"id_token_encryption" list:"id_token_encryption_alg_values_supported"`
	IDTokenEncryptedResponseEnc  string   `json:"id_token_encrypted_response_enc" on:"id_token_encryption" list:"id_token_encryption_enc_values_supported"`
	UserinfoSignedResponseAlg    string   `json:"userinfo_signed_response_alg" on:"userinfo_signing" list:"userinfo_signing_alg_values_supported"`
	UserinfoEncryptedResponseAlg string   `json:"userinfo_encrypted_response_alg" on:"userinfo_encryption" list:"userinfo_encryption_alg_values_supported"`
	UserinfoEncryptedResponseEnc string   `json:"userinfo_encrypted_response_enc" on:"userinfo_encryption" list:"userinfo_encryption_enc_values_supported"`
	RequestObjectSigningAlg      string   `json:"request_object_signing_alg" on:"request_object" list:"request_object_signing_alg_values_supported"`
	RequestObjectEncryptionAlg   string   `json:"request_object_encryption_alg" on:"request_object_encryption" list:"request_object_encryption_alg_values_supported"`
	RequestObjectEncryptionEnc   string   `json:"request_object_encryption_enc" on:"request_object_encryption" list:"request_object_encryption_enc_values_supported"`
	TokenEndpointAuthSigningAlg  string   `json:"token_endpoint_auth_signing_alg" on:"jwt_client_auth" list:"token_endpoint_auth_signing_alg_values_supported"`
	DefaultMaxAge                *int64   `json:"default_max_age" on:"openid"` // seconds; 0 is legal
	RequireAuthTime              bool     `json:"require_auth_time" on:"openid"`
	DefaultACRValues             []string `json:"default_acr_values" on:"acr" form:"openid"`
	InitiateLoginURI             string   `json:"initiate_login_uri" on:"openid" uri:"https"`
	RequestURIs                  []string `json:"request_uris" on:"request_uri" uri:"request" visited:"yes"`

	// OpenID Connect RP-Initiated, Front-Channel and Back-Channel Logout 1.0.
	PostLogoutRedirectURIs            []string `json:"post_logout_redirect_uris" on:"rp_logout" uri:"return"`
	FrontchannelLogoutURI             string   `json:"frontchannel_logout_uri" on:"frontchannel_logout" uri:"logout"`
	FrontchannelLogoutSessionRequired bool     `json:"frontchannel_logout_session_required" on:"frontchannel_logout" with:"frontchannel_logout_uri"`
	BackchannelLogoutURI              string   `json:"backchannel_logout_uri" on:"backchannel_logout" uri:"logout" visited:"yes"`
	BackchannelLogoutSessionRequired  bool     `json:"backchannel_logout_session_required" on:"backchannel_logout" with:"backchannel_logout_uri"`

	// RFC 8705: mutual TLS client authentication and certificate-bound tokens.
	TLSClientAuthSubjectDN                string `json:"tls_client_auth_subject_dn" on:"tls_client_auth"`
	TLSClientAuthSANDNS                   string `json:"tls_client_auth_san_dns" on:"tls_client_auth"`
	TLSClientAuthSANURI                   string `json:"tls_client_auth_san_uri" on:"tls_client_auth" uri:"name"`
	TLSClientAuthSANIP                    string `json:"tls_client_auth_san_ip" on:"tls_client_auth"`
	TLSClientAuthSANEmail                 string `json:"tls_client_auth_san_email" on:"tls_client_auth"`
	TLSClientCertificateBoundAccessTokens bool   `json:"tls_client_certificate_bound_access_tokens" on:"certificate_bound_tokens"`
	UseMTLSEndpointAliases                bool   `json:"use_mtls_endpoint_aliases" on:"certificate_bound_tokens"` // FAPI 2.0 Security Profile

	// RFC 9101, RFC 9126, RFC 9396, RFC 9449.
	RequireSignedRequestObject         bool     `json:"require_signed_request_object" on:"request_object"`
	RequirePushedAuthorizationRequests bool     `json:"require_pushed_authorization_requests" on:"par"`
	AuthorizationDetailsTypes          []string `json:"authorization_details_types" on:"rar"`
	DPoPBoundAccessTokens              bool     `json:"dpop_bound_access_tokens" on:"dpop"`

	// RFC 9701: JWT responses for token introspection.
	IntrospectionSignedResponseAlg    string `json:"introspection_signed_response_alg" on:"introspection_signing" list:"introspection_signing_alg_values_supported"`
	IntrospectionEncryptedResponseAlg string `json:"introspection_encrypted_response_alg" on:"introspection_encryption" list:"introspection_encryption_alg_values_supported"`
	IntrospectionEncryptedResponseEnc string `json:"introspection_encrypted_response_enc" on:"introspection_encryption" list:"introspection_encryption_enc_values_supported"`

	// JWT Secured Authorization Response Mode (JARM) §3.
	AuthorizationSignedResponseAlg    string   `json:"authorization_signed_response_alg" on:"jarm" list:"authorization_signing_alg_values_supported"`
	AuthorizationEncryptedResponseAlg string   `json:"authorization_encrypted_response_alg" on:"authorization_encryption" list:"authorization_encryption_alg_values_supported"`
	AuthorizationEncryptedResponseEnc string   `json:"authorization_encrypted_response_enc" on:"authorization_encryption" list:"authorization_encryption_enc_values_supported"`
	ResponseModes                     []string `json:"response_modes" on:"response_modes"`

	// OpenID Connect Client-Initiated Backchannel Authentication (CIBA) §4.
	BackchannelTokenDeliveryMode               string `json:"backchannel_token_delivery_mode" on:"ciba"`
	BackchannelClientNotificationEndpoint      string `json:"backchannel_client_notification_endpoint" on:"ciba" uri:"https" visited:"yes"`
	BackchannelAuthenticationRequestSigningAlg string `json:"backchannel_authentication_request_signing_alg" on:"ciba" list:"backchannel_authentication_request_signing_alg_values_supported"`
	BackchannelUserCodeParameter               bool   `json:"backchannel_user_code_parameter" on:"ciba_user_code" with:"backchannel_token_delivery_mode"`

	// Localized has the language-tagged forms of the human-readable members (RFC
	// 7591 §2.2) by their full name, as in "client_name#ja-Jpan-JP".
	Localized map[string]string

	// Extra has the declared extension members by name; see [Field].
	Extra map[string]json.RawMessage
}

// members is the description of every registered member.
var members = record.Describe[Metadata]()

// registered describes one registered member.
type registered = record.Field[Metadata]

// memberSet is a set of members, by their place in members.Fields.
type memberSet = record.Set

// member returns the description of a registered member, nil if there is none
// of that name.
func member(name string) *registered {
	if i, ok := members.Find(name); ok {
		return &members.Fields[i]
	}
	return nil
}

// unshare makes m, a copy by assignment, share nothing with the original.
func (m *Metadata) unshare() {
	members.Unshare(m)
	m.Localized = maps.Clone(m.Localized)
	m.Extra = cloneRaw(m.Extra)
}

func cloneRaw(extra map[string]json.RawMessage) map[string]json.RawMessage {
	own := maps.Clone(extra)
	for name, raw := range own {
		own[name] = slices.Clone(raw)
	}
	return own
}

// MarshalJSON writes the members that are set, then the language-tagged ones,
// then the extensions.
func (m Metadata) MarshalJSON() ([]byte, error) {
	object := objectWriter{dst: make([]byte, 0, 512)}
	object.metadata(&m, memberSet{})
	object.extra(m.Extra)
	return object.finish()
}

// UnmarshalJSON reads members under the rules of a registration request.
// Members that are not registered go to Extra.
func (m *Metadata) UnmarshalJSON(text []byte) error {
	var request Request
	if err := request.UnmarshalJSON(text); err != nil {
		return err
	}
	if len(request.faults) > 0 {
		return request.faults[0].err
	}
	*m = request.Metadata
	return nil
}

// objectWriter writes one JSON object member by member.
type objectWriter struct {
	dst []byte
	err error
}

func (w *objectWriter) begin() {
	if len(w.dst) == 0 {
		w.dst = append(w.dst, '{')
	} else if w.dst[len(w.dst)-1] != '{' {
		w.dst = append(w.dst, ',')
	}
}

// name writes a name that came from outside.
func (w *objectWriter) name(name string) {
	w.begin()
	w.dst = append(strictjson.AppendString(w.dst, name), ':')
}

// own writes a name that this package knows, and that needs no escaping.
func (w *objectWriter) own(name string) {
	w.begin()
	w.dst = append(append(append(w.dst, '"'), name...), `":`...)
}

// text writes a member of such a name, unless its text is empty.
func (w *objectWriter) text(name, text string) {
	if text != "" {
		w.own(name)
		w.dst = strictjson.AppendString(w.dst, text)
	}
}

func (w *objectWriter) number(name string, number int64) {
	w.own(name)
	w.dst = strconv.AppendInt(w.dst, number, 10)
}

func (w *objectWriter) raw(name string, raw []byte) {
	w.name(name)
	w.dst = append(w.dst, raw...)
}

func writeField[T any](w *objectWriter, f *record.Field[T], from *T) {
	if len(w.dst) == 0 {
		w.dst = append(w.dst, '{')
	}
	var err error
	if w.dst, err = f.AppendMember(w.dst, from); err != nil {
		w.err = err
	}
}

// metadata writes the members of m that are set or in shown.
func (w *objectWriter) metadata(m *Metadata, shown memberSet) {
	set := members.Set(m)
	for i := range set.Or(shown).Places() {
		writeField(w, &members.Fields[i], m)
	}
	for _, name := range sortedKeys(m.Localized) {
		if text := m.Localized[name]; text != "" {
			w.name(name)
			w.dst = strictjson.AppendString(w.dst, text)
		}
	}
}

// extra writes raw members in the order of their names.
func (w *objectWriter) extra(extra map[string]json.RawMessage) {
	for _, name := range sortedKeys(extra) {
		w.raw(name, extra[name])
	}
}

func (w *objectWriter) finish() ([]byte, error) {
	if len(w.dst) == 0 {
		w.dst = append(w.dst, '{')
	}
	return append(w.dst, '}'), w.err
}

func sortedKeys[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	keys := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(keys)
	return keys
}

// admit copies the request's metadata into the client, without the members that
// count as unknown. It copies strings too: a store that keeps Clients would
// otherwise keep whole bodies in memory. It returns the members that it copied.
func (reg *Registration) admit() (taken memberSet) {
	dst, src := &reg.Client.Metadata, &reg.Request.Metadata
	for i := range members.Set(src).Places() {
		if reg.on.has(i) {
			taken.Add(i)
		}
	}
	members.Copy(dst, src, taken)
	for name, text := range src.Localized {
		put(&dst.Localized, strings.Clone(name), strings.Clone(text))
	}
	for name, raw := range src.Extra {
		if extension := reg.declaration(name); extension != nil {
			put(&dst.Extra, strings.Clone(name), trimmed(extension, raw))
		}
	}
	return taken
}

// trimmed returns the value of an extension member; text for people is without
// the line break at its end.
func trimmed(extension Extension, raw json.RawMessage) json.RawMessage {
	if extension.localized() && !isURIMember(extension.Name()) && strictjson.Value(raw).Kind() == strictjson.String {
		if text, err := strictjson.Value(raw).Line(); err == nil {
			return strictjson.AppendString(nil, text)
		}
	}
	return slices.Clone(raw)
}

// checkForm refuses members that are of the wrong JSON type or beyond the
// bounds, if their features are on. taken are those that admit copied.
func (reg *Registration) checkForm(taken memberSet) error {
	if err := reg.formFaults(); err != nil {
		return err
	}
	if reg.Request.statement == nil && len(reg.Request.SoftwareStatement) > reg.Limits.StatementBytes {
		return refuse(InvalidSoftwareStatement, "software_statement", "software_statement.length",
			"software_statement must not be longer than %d bytes", reg.Limits.StatementBytes)
	}
	return reg.checkBounds(taken)
}

// maxFaults is how many members of the wrong form a refusal names.
const maxFaults = 5

// formFaults reports the members of the wrong JSON type in one error, up to
// maxFaults of them. Its code, member and rule are those of the first.
func (reg *Registration) formFaults() error {
	var first *Error
	count := 0
	for _, fault := range reg.Request.faults {
		if fault.member >= 0 && !reg.on.judges(fault.member) {
			continue
		}
		switch count++; {
		case count == 1:
			own := *fault.err
			first = &own
		case count <= maxFaults:
			first.Description += "; " + fault.err.Description
		}
	}
	if first == nil {
		return nil
	}
	return first
}

// checkBounds refuses strings and lists of the client that are too long. set are
// the members that are set.
func (reg *Registration) checkBounds(set memberSet) error {
	from := &reg.Client.Metadata
	for i := range set.Places() {
		f := &members.Fields[i]
		switch f.Kind {
		case record.String:
			if err := reg.checkLength(f.Name, f.Name, f.Text(from)); err != nil {
				return err
			}
		case record.Strings:
			if err := reg.checkList(f.Name, f.List(from)); err != nil {
				return err
			}
		}
	}
	for name, text := range reg.Client.Localized {
		base, _, _ := strings.Cut(name, "#")
		if err := reg.checkLength(base, name, text); err != nil {
			return err
		}
	}
	return nil
}

func (reg *Registration) checkList(name string, list []string) error {
	if len(list) > reg.Limits.ListItems {
		return refuseMember(name, "items", "must not have more than %d entries", reg.Limits.ListItems)
	}
	for i, item := range list {
		if reg.tooLong(name, item) {
			return reg.checkLength(name, fmt.Sprintf("%s[%d]", name, i), item)
		}
	}
	return nil
}

// tooLong reports whether a string of the member has too many bytes. Few strings have
// more than the least of the limits.
func (reg *Registration) tooLong(member, text string) bool {
	l := &reg.Limits
	return len(text) > min(l.NameBytes, l.URIBytes, l.ScopeBytes) && len(text) > reg.longest(member)
}

// longest returns how many bytes a string of the member may have.
func (reg *Registration) longest(member string) int {
	switch {
	case member == "scope":
		return reg.Limits.ScopeBytes
	case strings.HasSuffix(member, "_uri") || strings.HasSuffix(member, "_uris") || strings.HasSuffix(member, "_endpoint"):
		return reg.Limits.URIBytes
	}
	return reg.Limits.NameBytes
}

func (reg *Registration) checkLength(member, shown, text string) error {
	if reg.tooLong(member, text) {
		return refuse(memberCode(member), member, member+".length", "%s must not be longer than %d bytes", shown, reg.longest(member))
	}
	return nil
}
