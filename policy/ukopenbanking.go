package policy

// UK Open Banking Dynamic Client Registration 3.2, 3.3 and 3.4.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/base62"
	"github.com/dynreg/dcr/internal/strictjson"
)

// UKBank is what a bank decides about [UKOpenBanking].
type UKBank struct {
	Version  string             // of the specification: 3.2, 3.3 or 3.4; if empty, 3.3
	Audience []string           // what aud of a request may be: the bank's id; if empty, aud is not checked
	Fetch    *dcr.GuardedClient // fetches the third parties' keys; if nil, server.Fetch
	Keys     dcr.KeySource      // the keys of every third party, for tests; if nil, those that its statement names
	Replay   dcr.ReplayStore    // remembers requests, so that none is accepted twice; if nil, the handler's store

	// MaxLifetime bounds how long a request may be valid, from its iat to its
	// exp. If zero, 2 hours; if negative, it is not bounded.
	MaxLifetime time.Duration

	// Roles are the scopes of each role in software_roles, in addition to openid.
	// If nil, UKRoles.
	Roles map[string][]string
}

// UKRoles returns the scopes of each role of a third party, in addition to
// openid.
func UKRoles() map[string][]string {
	return map[string][]string{"AISP": {"accounts"}, "PISP": {"payments"}, "CBPII": {"fundsconfirmations"}}
}

// UKOpenBanking is Dynamic Client Registration of UK Open Banking, for banks.
// server.Statements names the directory and its keys. UKOpenBanking panics
// without it.
//
//	policy.UKOpenBanking(dcr.DefaultValidator{Statements: &dcr.StatementVerifier{
//		Issuers: map[string]dcr.KeySource{"OpenBanking Ltd": dcr.JWKSURL(directory, nil)},
//	}}, policy.UKBank{Audience: []string{"0015800000jf9GgAAI"}})
//
// What it changes, and why:
//
//   - The body is a JWS (application/jose or application/jwt), signed with a key
//     that the software statement names; its iss is the software_id. Version 3.4
//     also allows it as a JSON string. Nothing else is accepted, whatever
//     Options.Decoders are. A validator around the preset that has Decoders of its
//     own must say in DecodedBody.Signer that this software signed.
//   - A request is accepted only once, by its jti, and is valid for at most 2
//     hours. The store must be a [dcr.ReplayStore], unless bank.Replay is set.
//   - Scopes are those of the software_roles of the statement, if it has any. A
//     statement whose org_status or software_status is present and not Active is
//     refused.
//   - A statement of the directory is required, and its claims replace client_name,
//     the pages and jwks_uri of the request. redirect_uris may be some of those in
//     the statement, and are all of them if the request has none.
//   - Nothing important is left to defaults: token_endpoint_auth_method,
//     grant_types, scope, application_type, id_token_signed_response_alg and
//     request_object_signing_alg must be sent. Absent response_types mean
//     "code id_token", which needs no implicit grant here.
//   - Signatures are PS256 or ES256; redirect URIs are https on public hosts.
//     client_secret_jwt is not supported, because it can use neither.
//   - application_type is web or mobile; from version 3.4 on, web or native.
//   - CIBA, in poll or ping mode, is for banks that support it, from version 3.3
//     on. There are no user codes: backchannel_user_code_parameter_supported must
//     be false, if it is sent. The grant type jwt-bearer is for version 3.4.
//   - tls_client_auth_subject_dn has up to 128 bytes; in version 3.4, up to 512, and
//     it must begin with CN=.
//   - A client is managed only with its own access token, through Options.Caller
//     and ManageAs, at Endpoint/{client_id}. There are no registration access
//     tokens. An update may leave out client_id.
//   - Client secrets have 36 characters (214 random bits), as the schema requires.
//   - Mistakes in a request are answered with 400 and a code of RFC 7591.
//
// Third parties register over mutual TLS without a token, so set
// Options.AllowAnonymous, and set Options.Caller to verify their tokens. Set
// Options.Endpoint before Apply. In Options.Policies, the preset needs ManageAs
// and OptionalClientID, or DisableManagement.
func UKOpenBanking(server dcr.DefaultValidator, bank UKBank) Preset {
	statements := directoryStatements(&server, "UKOpenBanking", "software_jwks_endpoint", fapi1Algorithms...)
	supports := &server.Supports
	fill(&supports.GrantTypes, "authorization_code", "client_credentials", "refresh_token")
	fill(&supports.ResponseTypes, "code id_token", "code")
	fill(&supports.TokenEndpointAuthMethods, "private_key_jwt", "tls_client_auth")
	fill(&supports.Scopes, "openid", "accounts", "payments", "fundsconfirmations")
	fill(&supports.IDTokenSigningAlgs, fapi1Algorithms...)
	fill(&supports.RequestObjectSigningAlgs, fapi1Algorithms...)
	fill(&supports.TokenEndpointAuthSigningAlgs, fapi1Algorithms...)
	server.AllowHybridWithoutImplicit = true
	server.AllowHTTPRedirects = false
	server.ManageByCallerOnly = true
	if !bank.hasCIBA() {
		supports.BackchannelTokenDeliveryModes = nil
	} else if supports.BackchannelTokenDeliveryModes != nil {
		server.Extensions = append(slices.Clip(server.Extensions), ukUserCode)
	}
	if bank.Roles == nil {
		bank.Roles = UKRoles()
	}
	return Preset{
		Validator: Stack(uk{server, bank, ukDecoders(statements, bank)},
			SigningAlgorithms(fapi1Algorithms...),
			GrantTypes(Values{Ceiling: bank.grants()}),
			ResponseTypes(Values{Ceiling: []string{"code id_token", "code"}, Default: []string{"code id_token"}, Excess: Refuse}),
			AuthMethods(Values{Ceiling: []string{"private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth"}, Excess: Refuse}),
			KnownScopes(),
			publicHTTPS(256),
			RequireMembers("token_endpoint_auth_method", "grant_types", "scope", "application_type", "id_token_signed_response_alg", "request_object_signing_alg"),
		),
		options: ukOptions,
	}
}

// ukUserCode is so named in the specification, unlike in CIBA.
var ukUserCode = dcr.NewField[bool]("backchannel_user_code_parameter_supported").Check(func(asked bool) error {
	if asked {
		return refuse("backchannel_user_code_parameter_supported", "uk", "backchannel_user_code_parameter_supported must be false")
	}
	return nil
})

// ukOptions sets the options that go with the preset.
func ukOptions(opts *dcr.Options) {
	manageByAccessToken(opts)
	if opts.NewClientSecret == nil {
		opts.NewClientSecret = ukSecret
	}
	if opts.WriteError == nil {
		opts.WriteError = writeProfileError
	}
}

// ukDecoders returns the decoders for signed requests.
func ukDecoders(statements *dcr.StatementVerifier, bank UKBank) map[string]dcr.Decoder {
	decode := dcr.SignedRequests(dcr.SignedRequestVerifier{
		Statements: statements, IssuerClaim: "software_id", Audience: bank.Audience, Fetch: bank.Fetch, Keys: bank.Keys,
		RequiredClaims: []string{"iss", "aud", "iat", "exp", "jti"}, Once: true, Replay: bank.Replay, MaxLifetime: bank.MaxLifetime,
	})
	decoders := map[string]dcr.Decoder{"application/jose": decode, "application/jwt": decode}
	if bank.v34() {
		decoders["application/json"] = decode // "a string", by a fault of that text
	}
	return decoders
}

func (bank *UKBank) v34() bool { return bank.Version == "3.4" }

func (bank *UKBank) hasCIBA() bool { return bank.Version != "3.2" }

// grants returns the grant types of the version.
func (bank *UKBank) grants() []string {
	grants := []string{"client_credentials", "authorization_code", "refresh_token"}
	if bank.hasCIBA() {
		grants = append(grants, grantCIBA)
	}
	if bank.v34() {
		grants = append(grants, "urn:ietf:params:oauth:grant-type:jwt-bearer")
	}
	return grants
}

// ukSecret makes the longest secret of random bits that the schema has room
// for.
func ukSecret(ctx context.Context, reg *dcr.Registration) (dcr.Plaintext, dcr.Secret, error) {
	secret := dcr.Plaintext(base62.Text(36))
	return secret, dcr.HashSecret(secret), nil
}

type uk struct {
	dcr.Validator
	bank     UKBank
	decoders map[string]dcr.Decoder
}

// Decoders returns only those for signed requests.
func (u uk) Decoders() map[string]dcr.Decoder { return u.decoders }

// CheckOptions requires a version that exists, what the management of clients
// needs, and a store that remembers jti.
func (u uk) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if version := u.bank.Version; !slices.Contains([]string{"", "3.2", "3.3", "3.4"}, version) {
		return fmt.Errorf("UKBank.Version is %q; set it to 3.2, 3.3 or 3.4", version)
	}
	if err := checkProfileOptions("UKOpenBanking", "UKBank", u.bank.Replay, opts, store); err != nil {
		return err
	}
	return u.Validator.CheckOptions(opts, store)
}

// OptionsWarnings are about the addresses, secrets and errors of the
// specification.
func (u uk) OptionsWarnings(opts *dcr.Options) []string {
	warnings := profileURIWarnings("UKOpenBanking", opts)
	secrets := slices.ContainsFunc(u.Capabilities().TokenEndpointAuthMethods, func(method string) bool { return strings.HasPrefix(method, "client_secret_") })
	if secrets && opts.NewClientSecret == nil {
		warnings = append(warnings, "UKOpenBanking has client secrets of 36 characters at most, and the default ones are longer; set Options.NewClientSecret, as Apply does")
	}
	if opts.WriteError == nil {
		warnings = append(warnings, "UKOpenBanking answers bad requests only with the codes of RFC 7591 and status 400; set Options.WriteError, as Apply does")
	}
	return warnings
}

// ValidateSoftwareStatement requires a request that the software of the
// statement signed, and an active software and organisation.
func (u uk) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if err := u.Validator.ValidateSoftwareStatement(ctx, reg); err != nil {
		return err
	}
	if err := checkSigner(reg); err != nil {
		return err
	}
	return claims(reg.Statement.Claims).checkStanding()
}

// Capabilities removes the push mode of CIBA, and user codes.
func (u uk) Capabilities() dcr.Capabilities {
	supported := u.Validator.Capabilities().WithDefaults()
	supported.BackchannelUserCodeParameter = false
	narrow(&supported.BackchannelTokenDeliveryModes, []string{"poll", "ping"})
	return supported
}

// ValidateRedirectURIs judges application_type by the words of the version.
func (u uk) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	c, device := reg.Client, "mobile"
	if u.bank.v34() {
		device = "native"
	}
	asked := c.ApplicationType
	if asked != "web" && asked != device {
		return refuse("application_type", "uk", "application_type must be web or %s", device)
	}
	if asked == device {
		c.ApplicationType = "native"
	}
	err := u.Validator.ValidateRedirectURIs(ctx, reg)
	c.ApplicationType = asked
	return err
}

// ValidateClientAuthentication requires the members that belong to the method.
func (u uk) ValidateClientAuthentication(ctx context.Context, reg *dcr.Registration) error {
	if err := u.Validator.ValidateClientAuthentication(ctx, reg); err != nil {
		return err
	}
	c := reg.Client
	if c.TokenEndpointAuthMethod == "private_key_jwt" && c.TokenEndpointAuthSigningAlg == "" {
		return refuse("token_endpoint_auth_signing_alg", "uk", "token_endpoint_auth_signing_alg must be sent with private_key_jwt")
	}
	longest := 128
	if u.bank.v34() {
		longest = 512
	}
	if len(c.TLSClientAuthSubjectDN) > longest {
		return refuse("tls_client_auth_subject_dn", "uk", "tls_client_auth_subject_dn must not be longer than %d bytes", longest)
	}
	if c.TokenEndpointAuthMethod == "tls_client_auth" && c.TLSClientAuthSubjectDN == "" {
		return refuse("tls_client_auth_subject_dn", "uk", "tls_client_auth_subject_dn must be sent with tls_client_auth")
	}
	if dn := c.TLSClientAuthSubjectDN; u.bank.v34() && dn != "" && (len(dn) < 3 || !strings.EqualFold(dn[:3], "CN=")) {
		return refuse("tls_client_auth_subject_dn", "uk", "tls_client_auth_subject_dn must begin with CN=")
	}
	return nil
}

// ValidateClient requires a scope that is no longer than in the schema, within
// the roles of the software.
func (u uk) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := u.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	if len(reg.Client.Scope) > 256 {
		return refuse("scope", "uk", "scope must not be longer than 256 bytes")
	}
	allowed, bounded := u.scopes(reg)
	if !bounded {
		return nil
	}
	for scope := range strings.FieldsSeq(reg.Client.Scope) {
		if !slices.Contains(allowed, scope) {
			return refuse("scope", "uk", "scope must be among those of the software statement's roles: %s", strings.Join(allowed, ", "))
		}
	}
	return nil
}

// scopes returns those of the statement's roles, if it has any.
func (u uk) scopes(reg *dcr.Registration) (allowed []string, bounded bool) {
	if reg.Statement == nil {
		return nil, true
	}
	said, claimed := reg.Statement.Claims["software_roles"]
	if !claimed || string(said) == "null" {
		return nil, false
	}
	openid := []string{"openid"}
	allowed = openid
	err := strictjson.Value(said).Elements(func(_ int, role strictjson.Value) error {
		if kind := role.Kind(); kind != strictjson.String && kind != strictjson.Null {
			return errors.New("not a list of roles")
		}
		name, err := role.Text()
		if err != nil {
			return nil // no role is named so
		}
		for _, scope := range u.bank.Roles[name] {
			if !slices.Contains(allowed, scope) {
				allowed = append(allowed, scope)
			}
		}
		return nil
	})
	if err != nil {
		return openid, true // a claim that is no list of roles gives none
	}
	return allowed, true
}
