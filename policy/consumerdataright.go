package policy

// Australia's Consumer Data Right: Client Registration of the Consumer Data
// Standards 1.36, "the CDS" below.

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/dynreg/dcr"
)

// CDRHolder is what a data holder decides about [ConsumerDataRight].
type CDRHolder struct {
	Audience []string           // what aud of a request may be: the issuer of the discovery document; required
	Fetch    *dcr.GuardedClient // fetches the data recipients' keys; if nil, server.Fetch
	Keys     dcr.KeySource      // the keys of every data recipient, for tests; if nil, those at the jwks_uri of its statement
	Replay   dcr.ReplayStore    // remembers requests, so that none is accepted twice; if nil, the handler's store

	// MaxLifetime bounds how long a request may be valid, from its iat to its
	// exp. If zero, 2 hours; if negative, it is not bounded.
	MaxLifetime time.Duration
}

// CDRRegistrationScope is the scope of the access token that manages a client.
const CDRRegistrationScope = "cdr:registration"

// ConsumerDataRight is Dynamic Client Registration of Australia's Consumer Data
// Right, for data holders. server.Statements names the Register and its keys.
// ConsumerDataRight panics if server.Statements or holder.Audience is missing.
//
//	policy.ConsumerDataRight(dcr.DefaultValidator{
//		Supports: dcr.Capabilities{Scopes: []string{"openid", "profile", "energy:billing:read", "cdr:registration"}},
//		Statements: &dcr.StatementVerifier{
//			Issuers: map[string]dcr.KeySource{"cdr-register": dcr.JWKSURL(register, nil)},
//		},
//	}, policy.CDRHolder{Audience: []string{"https://dh.example.com"}})
//
// What it changes, and why; the names are those of the sections of the CDS:
//
//   - The body is a JWS (application/jwt), signed with PS256 or ES256 by a key at
//     the jwks_uri of the statement; iss is the software_id, and aud the holder
//     (Registration Request). A request is accepted only once, by its jti, and is
//     valid for at most 2 hours. The store must be a [dcr.ReplayStore], unless
//     holder.Replay is set.
//   - A statement of the Register is required. It must be signed with PS256 and have
//     everything that the CDS require, and is validated again with each update.
//     software_id, org_id and the legal entity never change (Registration Update).
//   - The client gets what the statement says about the software, including scope
//     and the eight members of the Register, such as org_name. Of the request, only
//     the members that the CDS define for it count; others are ignored
//     (Registration Validation). Scopes that the server does not support are left
//     out.
//   - redirect_uris may be some of those in the statement, and are all of them if
//     the request has none. application_type may be left out; it is web.
//   - token_endpoint_auth_method, token_endpoint_auth_signing_alg, grant_types,
//     response_types, id_token_signed_response_alg and
//     authorization_signed_response_alg must be sent. The method is private_key_jwt;
//     the only response type is code, which may also be sent as a string;
//     grant_types must contain authorization_code.
//   - An absent request_object_signing_alg is PS256. Access tokens are bound to
//     certificates; subjects are pairwise; authorization requests are pushed.
//   - A software_id has one client at a time. A second registration is refused with
//     invalid_client_metadata.
//   - A client is managed only with an access token of its own that has the scope
//     cdr:registration, through Options.Caller and ManageAs, at
//     Endpoint/{client_id}. There are no registration access tokens. A token of
//     another client gets 401, and one of this client without the scope 403.
//
// If the host leaves Scopes nil, they are those of banking, openid, profile and
// cdr:registration. Data recipients register over mutual TLS without a token, so
// set Options.AllowAnonymous, and set Options.Caller to verify their tokens. The
// TLS configuration must check that certificates are of the CDR's authority. Set
// Options.Endpoint before Apply. In Options.Policies the preset needs ManageAs
// and OptionalClientID, or DisableManagement.
func ConsumerDataRight(server dcr.DefaultValidator, holder CDRHolder) Preset {
	if len(holder.Audience) == 0 {
		panic("policy: ConsumerDataRight needs CDRHolder.Audience: the issuer of the data holder")
	}
	if server.Statements != nil && server.Statements.Claims == nil {
		server.Statements.Claims = map[string]string{}
	}
	if server.Statements != nil && server.Statements.Members == nil {
		server.Statements.Members = map[string]dcr.StatementRule{"redirect_uris": dcr.ClaimBounds}
	}
	statements := directoryStatements(&server, "ConsumerDataRight", "", "PS256")
	statements.RequiredOnUpdate = true
	statements.OneClient = true
	statements.IDClaim = "software_id"
	fill(&statements.RequiredClaims, "iat", "exp", "jti", "org_id", "org_name", "software_id", "software_roles", "client_name", "client_description",
		"client_uri", "logo_uri", "redirect_uris", "jwks_uri", "revocation_uri", "recipient_base_uri", "scope")
	supports := &server.Supports
	fill(&supports.GrantTypes, cdrGrants...)
	fill(&supports.ResponseTypes, "code")
	fill(&supports.TokenEndpointAuthMethods, "private_key_jwt")
	fill(&supports.TokenEndpointAuthSigningAlgs, fapi1Algorithms...)
	fill(&supports.Scopes, "openid", "profile", "common:customer.basic:read", "common:customer.detail:read", "bank:accounts.basic:read", "bank:accounts.detail:read",
		"bank:transactions:read", "bank:payees:read", "bank:regular_payments:read", CDRRegistrationScope)
	fill(&supports.SubjectTypes, "pairwise")
	fill(&supports.IDTokenSigningAlgs, fapi1Algorithms...)
	fill(&supports.RequestObjectSigningAlgs, fapi1Algorithms...)
	fill(&supports.AuthorizationSigningAlgs, fapi1Algorithms...)
	fill(&supports.AuthorizationEncryptionAlgs, "RSA-OAEP", "RSA-OAEP-256")
	fill(&supports.AuthorizationEncryptionEncs, "A256GCM", "A128CBC-HS256")
	supports.TLSClientCertificateBoundAccessTokens = true
	supports.RequirePushedAuthorizationRequests = true
	server.AllowHTTPRedirects = false
	server.ManageByCallerOnly = true
	decode := dcr.SignedRequests(dcr.SignedRequestVerifier{
		Statements: statements, KeyClaims: []string{"jwks_uri"}, IssuerClaim: "software_id", Audience: holder.Audience, Fetch: holder.Fetch, Keys: holder.Keys,
		RequiredClaims: []string{"iss", "aud", "iat", "exp", "jti"}, Once: true, Replay: holder.Replay, MaxLifetime: holder.MaxLifetime,
	})
	return Preset{
		Validator: Stack(cdr{server, holder, map[string]dcr.Decoder{"application/jwt": cdrDecoder(decode)}},
			SigningAlgorithms(fapi1Algorithms...),
			GrantTypes(Values{Ceiling: cdrGrants, Excess: Refuse}),
			ResponseTypes(Values{Ceiling: []string{"code"}, Excess: Refuse}),
			AuthMethods(Values{Ceiling: []string{"private_key_jwt"}, Excess: Refuse}),
			KnownScopes(),
			HTTPSOnly(),
			RequirePKCE(),
			RequireMembers("token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "grant_types", "response_types",
				"id_token_signed_response_alg", "authorization_signed_response_alg"),
		),
		options: cdrOptions,
	}
}

var cdrGrants = []string{"client_credentials", "authorization_code", "refresh_token"}

// cdrMembers are the members that a request may have; all others come from the
// statement.
var cdrMembers = []string{
	"token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "grant_types", "response_types", "id_token_signed_response_alg",
	"authorization_signed_response_alg", "authorization_encrypted_response_alg", "authorization_encrypted_response_enc",
	"request_object_signing_alg", "redirect_uris", "application_type", "software_statement",
}

// cdrExtensions are the members that only the Register sets.
var cdrExtensions = []dcr.Extension{
	dcr.NewField[string]("client_description"), dcr.NewField[string]("legal_entity_id"), dcr.NewField[string]("legal_entity_name"),
	dcr.NewField[string]("org_id"), dcr.NewField[string]("org_name"), dcr.NewField[string]("revocation_uri"),
	dcr.NewField[string]("recipient_base_uri"), dcr.NewField[string]("software_roles"),
}

// cdrOptions sets the options that go with the preset.
func cdrOptions(opts *dcr.Options) {
	manageByAccessToken(opts)
	if opts.WriteError == nil {
		opts.WriteError = cdrWriteError
	}
}

// cdrWriteError answers a bad request with one of the codes of RFC 7591, and a
// second registration with the code that the regulator's tests expect.
func cdrWriteError(w http.ResponseWriter, r *http.Request, err error) {
	if shown := (*dcr.Error)(nil); errors.As(err, &shown) && shown != nil && shown.Rule == "software_statement.single" {
		err = dcr.Errorf(dcr.InvalidClientMetadata, "%.500s", shown.Description)
	}
	writeProfileError(w, r, err)
}

// cdrDecoder drops the members of a signed request that do not count. The
// regulator's own client sends client_id, and its response type as a string.
func cdrDecoder(decode dcr.Decoder) dcr.Decoder {
	return func(ctx context.Context, r *http.Request, body []byte) (dcr.DecodedBody, error) {
		decoded, err := decode(ctx, r, body)
		if err != nil {
			return decoded, err
		}
		var sent, kept map[string]json.RawMessage
		if err := json.Unmarshal(decoded.JSON, &sent); err != nil {
			return decoded, err
		}
		kept = make(map[string]json.RawMessage, len(cdrMembers))
		for _, name := range cdrMembers {
			if value, there := sent[name]; there {
				kept[name] = value
			}
		}
		if types := kept["response_types"]; len(types) > 2 && types[0] == '"' {
			kept["response_types"] = slices.Concat([]byte("["), types, []byte("]"))
		}
		decoded.JSON, err = json.Marshal(kept)
		return decoded, err
	}
}

type cdr struct {
	dcr.Validator
	holder   CDRHolder
	decoders map[string]dcr.Decoder
}

// Decoders returns only those for signed requests.
func (c cdr) Decoders() map[string]dcr.Decoder { return c.decoders }

// DeclaredExtensions adds the members of the Register.
func (c cdr) DeclaredExtensions() []dcr.Extension {
	return slices.Concat(c.Validator.DeclaredExtensions(), cdrExtensions)
}

// CheckOptions requires the grant type of every client, what the management of clients
// needs, and a store that remembers jti.
func (c cdr) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if !slices.Contains(c.Validator.Capabilities().WithDefaults().GrantTypes, "authorization_code") {
		return errors.New("ConsumerDataRight needs the grant type authorization_code; add it to Supports.GrantTypes, or leave that nil")
	}
	if err := checkProfileOptions("ConsumerDataRight", "CDRHolder", c.holder.Replay, opts, store); err != nil {
		return err
	}
	return c.Validator.CheckOptions(opts, store)
}

// OptionsWarnings are about the addresses and the errors of the CDS.
func (c cdr) OptionsWarnings(opts *dcr.Options) []string {
	warnings := profileURIWarnings("ConsumerDataRight", opts)
	if opts.WriteError == nil {
		warnings = append(warnings, "ConsumerDataRight has codes of its own for a second registration and for bad requests; set Options.WriteError, as Apply does")
	}
	return warnings
}

// ValidateSoftwareStatement requires a request that the software of the
// statement signed, a statement about a software product and, on an update, the
// same legal entity.
func (c cdr) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if err := c.Validator.ValidateSoftwareStatement(ctx, reg); err != nil {
		return err
	}
	if err := checkSigner(reg); err != nil {
		return err
	}
	said := claims(reg.Statement.Claims)
	if said.text("software_roles") != "data-recipient-software-product" {
		return refuseStatement(dcr.InvalidSoftwareStatement, "software_statement must have software_roles data-recipient-software-product")
	}
	if reg.Previous == nil {
		return nil
	}
	before := storedClaims(reg.Previous)
	for _, name := range []string{"org_id", "legal_entity_id", "legal_entity_name"} {
		if was := before.text(name); was != "" && said.text(name) != was {
			return refuseStatement(dcr.UnapprovedSoftwareStatement, "software_statement must have the "+name+" that this client registered with")
		}
	}
	return nil
}

// ValidateGrantTypes requires authorization_code.
func (c cdr) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	if !reg.Client.HasGrant("authorization_code") {
		return refuse("grant_types", "cdr", "grant_types must have authorization_code")
	}
	return c.Validator.ValidateGrantTypes(ctx, reg)
}

// ValidateRedirectURIs accepts only web applications.
func (c cdr) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if asked := reg.Client.ApplicationType; asked != "" && asked != "web" {
		return refuse("application_type", "cdr", "application_type must be web")
	}
	return c.Validator.ValidateRedirectURIs(ctx, reg)
}

// ValidateRequestObjects fills in the algorithm, which every answer must have.
func (c cdr) ValidateRequestObjects(ctx context.Context, reg *dcr.Registration) error {
	if reg.Client.RequestObjectSigningAlg == "" {
		reg.Client.RequestObjectSigningAlg = "PS256"
	}
	return c.Validator.ValidateRequestObjects(ctx, reg)
}

// ValidateTokens binds the client's tokens to its certificate.
func (c cdr) ValidateTokens(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.TLSClientCertificateBoundAccessTokens = true
	return c.Validator.ValidateTokens(ctx, reg)
}

// AuthorizeManagement requires the scope of registration of a caller that
// manages a client.
func (c cdr) AuthorizeManagement(r *http.Request, client *dcr.Client) error {
	caller := dcr.CallerFromContext(r.Context())
	if caller == nil || !slices.Contains(caller.Scopes, CDRRegistrationScope) {
		return &dcr.Error{Code: dcr.InsufficientScope, Description: "the access token must have the scope " + CDRRegistrationScope, Scope: CDRRegistrationScope, Rule: "policy.cdr"}
	}
	return c.Validator.AuthorizeManagement(r, client)
}
