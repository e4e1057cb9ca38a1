package policy

// Open Finance Brasil Financial-grade API Dynamic Client Registration 1.0
// Implementers Draft 3.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// BrasilBank is what an institution decides about [OpenFinanceBrasil].
type BrasilBank struct {
	// Certificate finds the certificate that the client presented. If nil, that
	// of the TLS connection; behind a proxy that terminates TLS, read it from
	// the header that the proxy sets.
	Certificate CertificateSource

	// Roles are the scopes of each regulatory role. If nil, those of section
	// 7.2; Open Insurance must set them.
	Roles map[string][]string

	// OpenInsurance makes it the profile of Open Insurance Brasil, whose
	// organisations are named by OPIBR- rather than OFBBR- in certificates. There is
	// no implicit grant and no self_signed_tls_client_auth, and webhook_uris is a
	// member: https URLs of public hosts of up to 255 bytes, else
	// invalid_webhook_uris. If false, it is Open Finance Brasil.
	OpenInsurance bool
}

// InvalidWebhookURIs is the code for webhook_uris that are not valid in Open
// Insurance Brasil.
const InvalidWebhookURIs dcr.Code = "invalid_webhook_uris"

// BrasilRoles returns the scopes of each regulatory role, of section 7.2.
func BrasilRoles() map[string][]string {
	return map[string][]string{
		"DADOS": {"openid", "accounts", "credit-cards-accounts", "consents", "customers", "invoice-financings", "financings", "loans", "unarranged-accounts-overdraft", "resources"},
		"PAGTO": {"openid", "payments"},
		"CONTA": {"openid"},
		"CCORR": {"openid"},
	}
}

// OpenFinanceBrasil is Dynamic Client Registration of Open Finance Brasil, for
// institutions, and with bank.OpenInsurance that of Open Insurance Brasil.
// server.Statements names the directory and its keys. OpenFinanceBrasil panics
// without it and, for Open Insurance, without bank.Roles. The numbers are those
// of the profile's sections.
//
// What it changes, and why:
//
//   - Clients connect over mutual TLS to register, read, update and delete, with a
//     certificate whose UID is the software_id of the statement and whose
//     organisation is its org_id (7.1-1, -13, -14, 9.3.2).
//   - A statement of the directory is required. It must be signed with PS256 and be
//     at most 5 minutes old; each update needs a new one (7.1-2, -3, 9.3.2). Each
//     piece of software has one client (9.3.1-5).
//   - jwks is refused. jwks_uri, client_name and the pages are those of the
//     statement. redirect_uris must be sent, and be among those of the statement
//     (7.1-4, -5, -6, -10).
//   - token_endpoint_auth_method must be sent: private_key_jwt, tls_client_auth
//     or self_signed_tls_client_auth (7.1-7).
//   - Scopes are those of the active roles of the statement: all of them if none
//     are requested. Others are refused (7.1-9, 7.1.1-3).
//   - Only tls_client_auth_subject_dn names a certificate. It must be the one with
//     which the client registers, in the attribute names of RFC 4514 or by OID
//     (7.1-11, -12, -15, 7.1.2).
//   - A statement whose org_status or software_status is present and not Active is
//     refused.
//   - Signatures are PS256; access tokens are bound to the certificate.
//   - Registration access tokens are issued, and never rotated (9.3.1-6).
//
// Set Options.AllowAnonymous: clients are admitted by their certificate and
// statement.
func OpenFinanceBrasil(server dcr.DefaultValidator, bank BrasilBank) Preset {
	statements := directoryStatements(&server, "OpenFinanceBrasil", "software_jwks_uri", "PS256")
	statements.RequiredOnUpdate = true
	statements.OneClient = true
	statements.IDClaim = "software_id"
	if statements.MaxAge == 0 {
		statements.MaxAge = 5 * time.Minute
	}
	fill(&statements.RequiredClaims, "iat", "software_id", "org_id", "software_redirect_uris", "software_jwks_uri")
	if bank.Certificate == nil {
		bank.Certificate = PeerCertificate
	}
	grants := []string{"authorization_code", "client_credentials", "refresh_token", "implicit"}
	methods := []string{"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}
	prefix, rules := openFinance, []Rule(nil)
	switch {
	case bank.OpenInsurance && bank.Roles == nil:
		panic("policy: OpenFinanceBrasil needs BrasilBank.Roles for Open Insurance: the scopes of each role")
	case bank.OpenInsurance:
		grants, methods, prefix = grants[:3], methods[:2], openInsurance
		rules = []Rule{GrantTypes(Values{Ceiling: grants})}
		server.Extensions = append(slices.Clip(server.Extensions), webhookURIs)
	case bank.Roles == nil:
		bank.Roles = BrasilRoles()
	}
	supports := &server.Supports
	fill(&supports.GrantTypes, grants...)
	fill(&supports.ResponseTypes, "code id_token", "code")
	fill(&supports.TokenEndpointAuthMethods, "private_key_jwt", "tls_client_auth")
	fill(&supports.Scopes, allScopes(bank.Roles)...)
	fill(&supports.IDTokenSigningAlgs, "PS256")
	fill(&supports.RequestObjectSigningAlgs, "PS256")
	fill(&supports.TokenEndpointAuthSigningAlgs, "PS256")
	supports.TLSClientCertificateBoundAccessTokens = true
	server.AllowHybridWithoutImplicit = true
	server.AllowHTTPRedirects = false
	return Preset{
		Validator: Stack(Stack(brasil{server, bank, prefix}, rules...),
			SigningAlgorithms("PS256"),
			ResponseTypes(Values{Ceiling: []string{"code id_token", "code", "id_token"}}),
			AuthMethods(Values{Ceiling: methods, Excess: Refuse}),
			publicHTTPS(0),
			RequireMembers("token_endpoint_auth_method"),
		),
		options: func(opts *dcr.Options) { opts.RotateRegistrationToken = false },
	}
}

// webhookURIs are where an institution sends notifications to a client of Open
// Insurance.
var webhookURIs = dcr.NewField[[]string]("webhook_uris").Check(func(uris []string) error {
	for i, text := range uris {
		if parsed, err := uri.Parse(text); err != nil || !isPublicHTTPS(&parsed) || len(text) > 255 {
			return dcr.Errorf(InvalidWebhookURIs, "webhook_uris[%d] must be an https URL of a public host, of 255 bytes at most", i)
		}
	}
	return nil
})

// What is before the id of an organisation in its certificates.
const openFinance, openInsurance = "OFBBR-", "OPIBR-"

type brasil struct {
	dcr.Validator
	bank   BrasilBank
	prefix string
}

// ValidateSoftwareStatement checks the verified statement against the
// certificate, and refuses members that only a statement may have.
func (b brasil) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	withoutOne := refuse("", "mutual_tls", "registration must come over mutual TLS, with a client certificate")
	if err := b.checkCertificate(reg, withoutOne, func(*x509.Certificate) bool { return true }); err != nil {
		return err
	}
	if reg.Request.JWKS != nil {
		return refuse("jwks", "brasil", "jwks must not be sent: the keys must be at jwks_uri")
	}
	if len(reg.Request.RedirectURIs) == 0 {
		return refuse("redirect_uris", "brasil", "redirect_uris must be sent, and have at least one redirect URI")
	}
	if err := b.Validator.ValidateSoftwareStatement(ctx, reg); err != nil {
		return err
	}
	if reg.Statement == nil {
		return refuseStatement(dcr.InvalidSoftwareStatement, "software_statement must be sent")
	}
	foreign := refuseStatement(dcr.InvalidSoftwareStatement, "software_statement must be about the software and the organisation that the client certificate names")
	if err := b.checkCertificate(reg, foreign, func(c *x509.Certificate) bool { return belongsTo(c, reg.Statement.Claims, b.prefix) }); err != nil {
		return err
	}
	return claims(reg.Statement.Claims).checkStanding()
}

// checkCertificate refuses a client without a certificate, or with one that does
// not fit. A request that is explained has none.
func (b brasil) checkCertificate(reg *dcr.Registration, refused error, fits func(*x509.Certificate) bool) error {
	if reg.Explaining {
		reg.Assume("the request is taken as sent over mutual TLS, with the certificate of the client")
		return nil
	}
	certificate, err := b.bank.Certificate(reg)
	if err == nil && (certificate == nil || !fits(certificate)) {
		err = refused
	}
	return err
}

// AuthorizeManagement requires the certificate of the software and the
// organisation that the client registered with (9.3.2).
func (b brasil) AuthorizeManagement(r *http.Request, client *dcr.Client) error {
	certificate, err := b.bank.Certificate(&dcr.Registration{HTTP: r, Client: client})
	if err != nil {
		return err
	}
	if certificate == nil || !belongsTo(certificate, storedClaims(client), b.prefix) {
		return &dcr.Error{Code: dcr.InvalidToken, Description: "the token must be sent over mutual TLS, with a certificate of this client", Rule: "policy.mutual_tls"}
	}
	return b.Validator.AuthorizeManagement(r, client)
}

// CheckOptions requires scopes that a role has, and what 9.3.1-6 says about registration
// access tokens.
func (b brasil) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if len(within(allScopes(b.bank.Roles), b.Validator.Capabilities().Scopes)) == 0 {
		return errors.New("OpenFinanceBrasil gives clients the scopes of their roles, of which the server supports none; set BrasilBank.Roles and Supports.Scopes to scopes that go together")
	}
	if opts.DisableManagement || opts.ManageByCallerOnly || opts.RotateRegistrationToken {
		return errors.New("OpenFinanceBrasil issues registration access tokens and never rotates them; leave Options.DisableManagement, ManageByCallerOnly and RotateRegistrationToken false")
	}
	return b.Validator.CheckOptions(opts, store)
}

// ValidateScopes refuses scopes that the roles do not have.
func (b brasil) ValidateScopes(ctx context.Context, reg *dcr.Registration) error {
	allowed := b.scopes(reg)
	for _, asked := range strings.Fields(reg.Client.Scope) {
		if !slices.Contains(allowed, asked) {
			return refuse("scope", "brasil", "scope must be among those of the software statement's roles: %s", orNone(allowed))
		}
	}
	return b.Validator.ValidateScopes(ctx, reg)
}

// SetDefaultScopes gives the client what its roles have. A client that asked
// for scopes is never given others.
func (b brasil) SetDefaultScopes(ctx context.Context, reg *dcr.Registration) error {
	if reg.Request.Scope != "" {
		return refuse("scope", "brasil", "scope must have at least one that this server supports: %s", orNone(reg.Capabilities.Scopes))
	}
	reg.Client.Scope = strings.Join(within(b.scopes(reg), reg.Capabilities.Scopes), " ")
	if reg.Client.Scope == "" {
		return refuseStatement(dcr.UnapprovedSoftwareStatement, "software_statement must have an active role that this server has scopes for")
	}
	return nil
}

// scopes are the scopes of the statement's active roles.
func (b brasil) scopes(reg *dcr.Registration) []string {
	var roles []struct{ Role, Status string }
	if json.Unmarshal(reg.Statement.Claims["software_statement_roles"], &roles) != nil {
		return nil
	}
	var scopes []string
	for _, role := range roles {
		if role.Status == "Active" {
			scopes = append(scopes, without(b.bank.Roles[role.Role], scopes...)...)
		}
	}
	return scopes
}

// ValidateClientAuthentication judges how a certificate is named, and that it is
// the one that the client presented.
func (b brasil) ValidateClientAuthentication(ctx context.Context, reg *dcr.Registration) error {
	if err := b.Validator.ValidateClientAuthentication(ctx, reg); err != nil {
		return err
	}
	if reg.Client.TokenEndpointAuthMethod != "tls_client_auth" {
		return nil
	}
	name := reg.Client.TLSClientAuthSubjectDN
	if !isBrasilDN(name) {
		return refuse("tls_client_auth_subject_dn", "brasil", "tls_client_auth_subject_dn must be sent, with the attribute names CN, L, ST, O, OU, C, STREET, DC and UID, and any other attribute as a dotted OID with a value in #hex")
	}
	foreign := refuse("tls_client_auth_subject_dn", "brasil", "tls_client_auth_subject_dn must be the subject of the certificate that the client registers with")
	return b.checkCertificate(reg, foreign, func(c *x509.Certificate) bool { return isSubject(c, name) })
}

// ValidateTokens binds the client's tokens to its certificate.
func (b brasil) ValidateTokens(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.TLSClientCertificateBoundAccessTokens = true
	return b.Validator.ValidateTokens(ctx, reg)
}
