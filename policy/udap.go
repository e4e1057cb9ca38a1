package policy

// HL7 UDAP Security 1.0 to 2.0 ("IG"), UDAP Dynamic Client Registration STU 1 ("DCR").

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// UDAPServer is what a server decides about [UDAP].
type UDAPServer struct {
	Endpoint string             // what aud of a statement must be: Options.Endpoint, as it is published; required
	Chains   *dcr.ChainVerifier // the trust communities; required
	Replay   dcr.ReplayStore    // remembers the jti of statements until their exp; if nil, the handler's store

	// Certifications says which of the certifications of a registration are
	// accepted, each a compact JWS; the answer has only those. It is called for
	// every registration and update, even without any, so that it can refuse if
	// the server requires one. Use a ChainVerifier with the anchors of the
	// certifiers to judge them. An [*dcr.Error], such as one of code
	// unapproved_certification, refuses; any other error is logged and answered
	// with 500. If nil, certifications are ignored.
	Certifications func(ctx context.Context, reg *dcr.Registration, sent []string) (accepted []string, err error)
}

// UDAP is client registration of HL7 UDAP Security: the client signs its
// statement itself, with a key that a trust community certifies. It panics
// without udapServer.Endpoint, or without communities that have a name and
// anchors.
//
//	policy.UDAP(dcr.DefaultValidator{
//		Supports: dcr.Capabilities{Scopes: []string{"openid", "udap", "system/Patient.rs"}},
//	}, policy.UDAPServer{
//		Endpoint: "https://as.example.net/register",
//		Chains: &dcr.ChainVerifier{Communities: []dcr.Community{{Name: "https://community.example", Anchors: anchors}}},
//	})
//
// What it changes, and why:
//
//   - Of the body, only udap, which is "1", software_statement and certifications
//     count; all metadata is in the statement (IG 3.2.3, DCR 3). A statement may
//     have 32 KiB (see ChainVerifier.MaxBytes), whatever Options.Limits say.
//   - The statement is signed by the first certificate of x5c, whose chain leads to
//     an anchor. iss is exactly a URI of that certificate, and sub is the same; aud
//     is the endpoint; iat and exp must be present, at most five minutes apart (IG
//     3.1, 7.1). Clocks may differ by a minute for iat, but not for exp. A jti
//     may be used once until exp, and again after that.
//   - A community and an iss make one registration, whatever the key (IG 3.4, DCR
//     6). Another POST replaces all of its metadata, and is answered with 200 and
//     the same client_id; one with empty grant_types cancels it. There are no
//     registration access tokens; GET, PUT and DELETE are only for the Callers
//     that Options.ManageAs allows.
//   - client_name, contacts, grant_types, token_endpoint_auth_method and scope must
//     be present. contacts are URIs, one of them mailto. grant_types must contain
//     either authorization_code or client_credentials. With authorization_code,
//     redirect_uris, logo_uri and response_types (code) must be present, and
//     refresh_token may be. With client_credentials, redirect_uris, response_types
//     and refresh_token must be absent (IG 3.1). URIs are https. The logo is not
//     fetched.
//   - The method is private_key_jwt, and no keys are needed: the token endpoint
//     verifies the x5c of an assertion with ChainVerifier.Verify and
//     CertifiedToken.IsOf.
//   - Scopes that are not supported are left out; if none is left, the registration
//     is refused (IG 7.3).
//   - Answers leave out what is unset (IG 3.2.3).
//
// [UDAPDiscovery] returns the document that registrants read first.
//
// Registrants are strangers until their statement is verified, so set
// Options.AllowAnonymous. Among Options.Policies it needs ManageAs, or
// DisableManagement, which Apply sets where ManageAs is nil.
func UDAP(server dcr.DefaultValidator, udapServer UDAPServer) Preset {
	udapServer.check()
	supports := &server.Supports
	fill(&supports.GrantTypes, udapGrants...)
	fill(&supports.ResponseTypes, "code")
	fill(&supports.TokenEndpointAuthMethods, "private_key_jwt")
	fill(&supports.TokenEndpointAuthSigningAlgs, "RS256", "RS384", "ES256", "ES384")
	server.Statements = nil
	server.AllowHTTPRedirects = false
	server.ManageByCallerOnly = true
	server.KeysByCertificate = true
	server.Extensions = append(slices.Clip(server.Extensions), certifications)
	u := udap{server, udapServer}
	return Preset{
		Validator: Stack(u,
			GrantTypes(Values{Ceiling: udapGrants, Excess: Refuse}),
			ResponseTypes(Values{Ceiling: []string{"code"}, Excess: Refuse}),
			AuthMethods(Values{Ceiling: []string{"private_key_jwt"}, Excess: Refuse}),
			KnownScopes(),
			HTTPSOnly(),
			RequireMembers("client_name", "contacts", "grant_types", "token_endpoint_auth_method", "scope"),
		),
		options: func(opts *dcr.Options) { opts.DisableManagement = opts.DisableManagement || opts.ManageAs == nil },
	}
}

var (
	udapGrants     = []string{"authorization_code", "refresh_token", "client_credentials"}
	certifications = dcr.NewField[[]string]("certifications")
)

// udapIgnored are claims of a statement that are not members of the client.
var udapIgnored = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "udap", "certifications", "software_statement", "client_id", "client_secret",
	"client_id_issued_at", "client_secret_expires_at", "registration_access_token", "registration_client_uri"}

// How much a signer's clock may differ, and how long a statement may be valid.
const (
	udapSkew     = time.Minute
	udapLifetime = 5 * time.Minute
)

func (s *UDAPServer) check() {
	if s.Endpoint == "" || s.Chains == nil || len(s.Chains.Communities) == 0 {
		panic("policy: UDAP needs UDAPServer.Endpoint, the registration endpoint, and Chains with the trust communities")
	}
	names := make(map[string]bool)
	for _, community := range s.Chains.Communities {
		if community.Name == "" || len(community.Anchors) == 0 || names[community.Name] {
			panic("policy: UDAP needs a name of its own and anchors of every community in UDAPServer.Chains")
		}
		names[community.Name] = true
	}
}

type udap struct {
	dcr.Validator
	server UDAPServer
}

// RequiresStatement is true: see [dcr.StatementRequirer].
func (u udap) RequiresStatement() bool { return true }

// Decoders take JSON that carries a statement.
func (u udap) Decoders() map[string]dcr.Decoder {
	return map[string]dcr.Decoder{"application/json": u.decode}
}

// CheckOptions requires a store that finds and remembers statements.
func (u udap) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if _, finds := dcr.StoreAs[dcr.StatementFinder](store); !finds {
		return errors.New("UDAP has one client for each registrant, which needs a store that is a StatementFinder; use one")
	}
	if _, remembers := dcr.StoreAs[dcr.ReplayStore](store); !remembers && u.server.Replay == nil {
		return errors.New("UDAP takes each statement once, which needs a store that is a ReplayStore; use one, or set UDAPServer.Replay")
	}
	if opts.Endpoint != u.server.Endpoint {
		return errors.New("UDAPServer.Endpoint is the audience of statements, and must be Options.Endpoint; set both to the same URL")
	}
	return u.Validator.CheckOptions(opts, store)
}

// decode verifies the statement of a body, and makes a request of its claims.
func (u udap) decode(ctx context.Context, r *http.Request, body []byte) (decoded dcr.DecodedBody, err error) {
	sent, err := dcr.ParseRequest(body, dcr.Limits{})
	if err != nil {
		return decoded, err
	}
	if string(sent.Extra["udap"]) != `"1"` {
		return decoded, refuse("udap", "udap", `udap must be the string "1"`)
	}
	if sent.SoftwareStatement == "" {
		return decoded, badUDAP("must be sent")
	}
	now := dcr.Now(ctx)
	token, err := u.server.Chains.Verify(ctx, sent.SoftwareStatement, now)
	if err == nil {
		err = u.judge(token, now)
	}
	if err != nil {
		return decoded, err
	}
	var grants []string
	cancels := json.Unmarshal(token.Claims["grant_types"], &grants) == nil && grants != nil && len(grants) == 0
	if cancels && r.Method != http.MethodPost {
		return decoded, refuse("grant_types", "udap", "grant_types must not be empty here: that cancels a registration only in a POST")
	}
	members := make(map[string]json.RawMessage, len(token.Claims))
	for name, value := range token.Claims {
		if !slices.Contains(udapIgnored, name) {
			members[name] = value
		}
	}
	if certified, came := sent.Extra["certifications"]; came {
		members["certifications"] = certified
	}
	decoded.JSON, err = json.Marshal(members)
	key := sha256.Sum256([]byte(token.Community + "\x00" + token.Issuer + "\x00" + token.ID))
	decoded.Cost = dcr.UseOnce(u.server.Replay, "udap:"+base64.RawURLEncoding.EncodeToString(key[:]), token.Expires, now,
		refuse("software_statement", "udap_replay", "software_statement has a jti that was used before; each may be used once"))
	decoded.Statement = &dcr.SoftwareStatement{Issuer: token.Community, ID: token.Issuer, Text: sent.SoftwareStatement}
	decoded.Standing, decoded.Cancels = true, cancels
	return decoded, err
}

// badUDAP makes the refusal of a statement.
func badUDAP(sentence string) *dcr.Error {
	return refuseStatement(dcr.InvalidSoftwareStatement, "software_statement "+sentence)
}

// judge judges the registered claims of a statement (IG 3.1).
func (u udap) judge(token *dcr.CertifiedToken, now time.Time) error {
	late := now.Add(udapSkew)
	switch {
	case token.Issuer == "" || len(token.Issuer) > 2048 || !slices.Contains(token.URIs, token.Issuer):
		return badUDAP("must have as iss a URI in the certificate of its signer, byte for byte")
	case token.Subject != token.Issuer:
		return badUDAP("must have the same sub and iss")
	case !slices.Contains(token.Audience, u.server.Endpoint):
		return badUDAP("must have the registration endpoint as aud")
	case token.IssuedAt.IsZero() || token.Expires.IsZero():
		return badUDAP("must have the claims iat and exp")
	case !now.Before(token.Expires):
		return badUDAP("has expired")
	case token.IssuedAt.After(late) || token.NotBefore.After(late):
		return badUDAP("must have an iat that is not in the future")
	case token.Expires.Sub(token.IssuedAt) > udapLifetime:
		return badUDAP("must have an exp of five minutes after its iat at most")
	case token.ID == "":
		return refuse("software_statement", "udap", "software_statement must have the claim jti")
	}
	return nil
}

// ValidateSoftwareStatement requires the statement that the decoder verified.
func (u udap) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if reg.Statement == nil && reg.Explaining {
		reg.Assume("the members are assumed to be claimed by a software_statement that was verified")
		return nil
	}
	if reg.Statement == nil {
		return badUDAP("must be sent, and be verified by the decoder of this policy")
	}
	return u.Validator.ValidateSoftwareStatement(ctx, reg)
}

// ValidateGrantTypes checks that the members of each grant are sent, before any
// step fills in a default (IG 3.1).
func (u udap) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	c := reg.Client
	code, credentials := slices.Contains(c.GrantTypes, "authorization_code"), slices.Contains(c.GrantTypes, "client_credentials")
	switch {
	case code == credentials:
		return refuse("grant_types", "udap", "grant_types must have one of authorization_code and client_credentials")
	case credentials && slices.Contains(c.GrantTypes, "refresh_token"):
		return refuse("grant_types", "udap", "grant_types must have refresh_token with authorization_code alone")
	case code && len(c.RedirectURIs) == 0:
		return udapRedirects("redirect_uris must be sent with authorization_code")
	case code && len(c.ResponseTypes) == 0:
		return refuse("response_types", "udap", "response_types must be sent with authorization_code")
	case code && c.LogoURI == "":
		return refuse("logo_uri", "udap", "logo_uri must be sent with authorization_code")
	case credentials && len(c.RedirectURIs) > 0:
		return udapRedirects("redirect_uris must be left out with client_credentials")
	case credentials && len(c.ResponseTypes) > 0:
		return refuse("response_types", "udap", "response_types must be left out with client_credentials")
	case c.LogoURI != "" && !strings.HasPrefix(strings.ToLower(c.LogoURI), "https:"):
		return refuse("logo_uri", "udap", "logo_uri must be an https URL")
	case !reachable(c.Contacts):
		return refuse("contacts", "udap", "contacts must be URIs, one of them mailto")
	}
	return u.Validator.ValidateGrantTypes(ctx, reg)
}

// udapRedirects refuses redirect_uris that are sent and must not be, or the other way
// round. No single URI is at fault.
func udapRedirects(sentence string) *dcr.Error {
	err := refuse("redirect_uris", "udap", "%s", sentence)
	err.Code = dcr.InvalidClientMetadata
	return err
}

// reachable reports whether contacts are URIs, and one leads to a mailbox.
func reachable(contacts []string) bool {
	isMail := func(contact string) bool { return strings.HasPrefix(strings.ToLower(contact), "mailto:") }
	isNone := func(contact string) bool {
		_, err := uri.Parse(contact)
		return err != nil && !isMail(contact) && !strings.HasPrefix(strings.ToLower(contact), "tel:")
	}
	return slices.ContainsFunc(contacts, isMail) && !slices.ContainsFunc(contacts, isNone)
}

// ValidateExtensions keeps the certifications that the server accepts.
func (u udap) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	sent, came, err := certifications.Get(&reg.Client.Metadata)
	asks := u.server.Certifications != nil
	switch {
	case err != nil:
		return err
	case asks && reg.Explaining:
		reg.Assume("the certifications are assumed to be accepted")
	case asks || came:
		delete(reg.Client.Extra, certifications.Name())
		var accepted []string
		if asks {
			accepted, err = u.server.Certifications(ctx, reg, sent)
		}
		if err == nil && len(accepted) > 0 {
			err = certifications.Set(&reg.Client.Metadata, accepted)
		}
		if err != nil {
			return err
		}
	}
	return u.Validator.ValidateExtensions(ctx, reg)
}

// ShapeResponse leaves out what is unset.
func (u udap) ShapeResponse(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
	res.OnlySet = true
	return u.Validator.ShapeResponse(ctx, reg, res)
}
