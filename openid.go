package dcr

// OpenID Connect Dynamic Client Registration 1.0 §2 and §5, OpenID Connect
// Core 1.0 §8 and §10, JARM §3, RFC 9701 §6, CIBA §4.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

// openIDChoices are members with a list of supported values, each with its
// default.
var openIDChoices = []struct {
	member   *registered
	fallback string
}{
	{member("subject_type"), "public"},
	{member("id_token_signed_response_alg"), "RS256"},
	{member("userinfo_signed_response_alg"), ""},
	{member("authorization_signed_response_alg"), "RS256"}, // JARM §3
	{member("introspection_signed_response_alg"), "RS256"},
	{member("backchannel_authentication_request_signing_alg"), ""},
}

// ValidateOpenID settles what the client asks for about ID Tokens, UserInfo,
// authorization responses, introspection and CIBA.
func (d DefaultValidator) ValidateOpenID(ctx context.Context, reg *Registration) error {
	return reg.settleOpenID(ctx, d.Fetch)
}

func (reg *Registration) settleOpenID(ctx context.Context, fetcher *GuardedClient) error {
	for _, settled := range openIDChoices {
		if err := reg.settle(settled.member, settled.fallback); err != nil {
			return err
		}
	}
	for _, pair := range encryptionPairs {
		if !pair.needsKeys {
			continue // those of request objects have their own step
		}
		if err := reg.settleEncryption(pair.alg, pair.enc); err != nil {
			return err
		}
	}
	if err := reg.checkOpenID(); err != nil {
		return err
	}
	if err := initiateLoginURI.check(reg); err != nil {
		return err
	}
	if err := reg.checkSubset("default_acr_values", reg.Client.DefaultACRValues, reg.Capabilities.ACRValues); err != nil {
		return err
	}
	if err := reg.checkSubset("response_modes", reg.Client.ResponseModes, reg.Capabilities.ResponseModes); err != nil {
		return err
	}
	if err := reg.checkCIBA(); err != nil {
		return err
	}
	if err := reg.checkURIs(notificationEndpoint, sectorURI); err != nil {
		return err
	}
	if err := reg.checkSubject(); err != nil {
		return err
	}
	return reg.noteSector(ctx, fetcher)
}

var (
	initiateLoginURI     = uriMemberNamed("initiate_login_uri")
	notificationEndpoint = uriMemberNamed("backchannel_client_notification_endpoint")
	sectorURI            = uriMemberNamed("sector_identifier_uri")
)

// checkSubset refuses entries of a list that the server does not support.
func (reg *Registration) checkSubset(name string, list, supported []string) error {
	for _, entry := range list {
		if !slices.Contains(supported, entry) {
			return refuseMember(name, "unsupported", "must be among: %s", orNone(supported))
		}
	}
	return nil
}

// neverNone are the members whose algorithm must not be none (JARM §3, RFC 9701
// §6, OpenID Connect Dynamic Client Registration 1.0 §2, CIBA §4).
var neverNone = []*registered{
	member("authorization_signed_response_alg"), member("introspection_signed_response_alg"),
	member("token_endpoint_auth_signing_alg"), member("backchannel_authentication_request_signing_alg"),
}

// maxSafeInteger is the largest integer that every JSON reader reads exactly
// (RFC 7493 §2.2).
const maxSafeInteger = 1<<53 - 1

// checkOpenID checks the rules between members (OpenID Connect Core 1.0 §2,
// Back-Channel Logout 1.0 §2.6 and those above).
func (reg *Registration) checkOpenID() error {
	c := reg.Client
	if c.IDTokenSignedResponseAlg == "none" && c.frontChannel("id_token") {
		return refuseMember("id_token_signed_response_alg", "none", "must not be none with a response type that has id_token")
	}
	if c.IDTokenSignedResponseAlg == "none" && c.BackchannelLogoutURI != "" {
		return refuseMember("id_token_signed_response_alg", "logout", "must not be none with backchannel_logout_uri, since it signs Logout Tokens too")
	}
	from := &c.Metadata
	for _, f := range neverNone {
		if f.Text(from) == "none" {
			return refuseMember(f.Name, "none", "must not be none")
		}
	}
	if age := c.DefaultMaxAge; age != nil && (*age < 0 || *age > maxSafeInteger) {
		return refuseMember("default_max_age", "range", "must be a number of seconds, from 0 to %d", maxSafeInteger)
	}
	return nil
}

// checkCIBA checks the members of CIBA against its §4.
func (reg *Registration) checkCIBA() error {
	c := reg.Client
	if !reg.on.has(notificationEndpoint.Place) {
		return nil
	}
	granted, mode := slices.Contains(c.GrantTypes, grantCIBA), c.BackchannelTokenDeliveryMode
	if mode == "" && granted {
		return refuseMember("backchannel_token_delivery_mode", "missing", "must be one of: %s", orNone(reg.Capabilities.BackchannelTokenDeliveryModes))
	}
	if mode != "" && !slices.Contains(reg.Capabilities.BackchannelTokenDeliveryModes, mode) {
		return refuseMember("backchannel_token_delivery_mode", "unsupported", "must be one of: %s", orNone(reg.Capabilities.BackchannelTokenDeliveryModes))
	}
	if (mode == "poll" || mode == "ping") && !granted {
		return refuseMember("backchannel_token_delivery_mode", "grant", "%s needs %s in grant_types", mode, grantCIBA)
	}
	endpoint := c.BackchannelClientNotificationEndpoint
	if (mode == "ping" || mode == "push") && endpoint == "" {
		return refuseMember("backchannel_client_notification_endpoint", "missing", "must be an https URL with backchannel_token_delivery_mode %s", mode)
	}
	if alg := c.BackchannelAuthenticationRequestSigningAlg; alg != "" && !jose.Asymmetric(alg) {
		return refuseMember("backchannel_authentication_request_signing_alg", "symmetric", "must be an asymmetric signature algorithm")
	}
	return nil
}

// checkSubject requires a client with pairwise subjects to have one sector
// (OpenID Connect Core 1.0 §8.1, CIBA §4).
func (reg *Registration) checkSubject() error {
	switch c := reg.Client; {
	case c.SubjectType != "pairwise":
		return nil
	case c.SectorIdentifierURI == "":
		return reg.checkPairwise()
	}
	return reg.checkPairwiseCIBA()
}

// sector is a sector document.
type sector struct {
	uri     string         // where it is; "" if noteSector has not run
	fetcher *GuardedClient // fetches it
	read    bool           // it was fetched
	listed  []string       // what it contains
}

// noteSector notes the sector document, which is read whatever the subject type
// (OpenID Connect Dynamic Client Registration 1.0 §5). [Validate] fetches it last, so
// that a client that is refused anyway opens no connection. If the host calls the
// step outside Validate, it is fetched at once.
func (reg *Registration) noteSector(ctx context.Context, fetcher *GuardedClient) error {
	from := reg.Client.SectorIdentifierURI
	if from == "" || reg.plain {
		return nil
	}
	reg.sector = sector{uri: from, fetcher: fetcher}
	if reg.inSteps {
		return nil
	}
	return reg.fetchSector(ctx)
}

// fetchSector fetches the sector document that noteSector noted, and checks the
// client against it.
func (reg *Registration) fetchSector(ctx context.Context) error {
	if reg.sector.uri == "" || reg.Client.SectorIdentifierURI == "" {
		return nil
	}
	if reg.Explaining {
		reg.Assume("sector_identifier_uri leads to a document that was not fetched: it is assumed to contain what it must")
		return nil
	}
	document, err := reg.sector.fetcher.Get(ctx, reg.sector.uri, "application/json")
	if errors.Is(err, ErrBusy) {
		unavailable := Unavailable("this server fetches too many documents at the moment", err)
		unavailable.Rule = "sector_identifier_uri.unavailable"
		return unavailable
	}
	if err != nil {
		return refuseMember("sector_identifier_uri", "fetch", "must lead to a document that this server can fetch: status 200, no redirects, publicly reachable")
	}
	listed, err := readSector(document.Body)
	if err != nil {
		return refuseMember("sector_identifier_uri", "form", "must lead to a JSON array of strings")
	}
	reg.sector.read, reg.sector.listed = true, listed
	return reg.checkSector()
}

// checkSector checks the client against the sector document that it names or,
// if that is still to be fetched, checks that noteSector noted it.
func (reg *Registration) checkSector() error {
	c := reg.Client
	if c.SectorIdentifierURI == "" || reg.plain {
		return nil
	}
	if reg.sector.uri != c.SectorIdentifierURI {
		return refuseMember("sector_identifier_uri", "unread", "leads to a document that was not read; call DefaultValidator.ValidateOpenID, which reads it")
	}
	if !reg.sector.read {
		return nil
	}
	for _, entry := range c.sectorEntries() {
		if !slices.Contains(reg.sector.listed, entry.uri) {
			return refuseMember("sector_identifier_uri", "mismatch", "must lead to a document that contains %s", entry.member)
		}
	}
	return nil
}

type sectorEntry struct{ uri, member string }

// sectorEntries returns the URIs that the sector document must contain.
func (c *Client) sectorEntries() []sectorEntry {
	var entries []sectorEntry
	for _, redirect := range c.RedirectURIs {
		entries = append(entries, sectorEntry{redirect, "every entry of redirect_uris"})
	}
	switch c.BackchannelTokenDeliveryMode {
	case "poll", "ping":
		if c.JWKSURI != "" {
			entries = append(entries, sectorEntry{c.JWKSURI, "jwks_uri"})
		}
	case "push":
		entries = append(entries, sectorEntry{c.BackchannelClientNotificationEndpoint, "backchannel_client_notification_endpoint"})
	}
	return entries
}

// checkPairwise requires one sector of a client without sector_identifier_uri:
// all redirect URIs, and with CIBA the keys or the notification endpoint, must
// be on one host.
func (reg *Registration) checkPairwise() error {
	hosts := make(map[string]bool)
	for _, entry := range reg.Client.sectorEntries() {
		parsed, err := uri.ParseRedirect(entry.uri)
		if err != nil {
			continue
		}
		if kind := parsed.Kind(); kind != uri.HTTPS && kind != uri.HTTP {
			// Such a host is not the client's own: every machine has it, or it is
			// empty.
			return refuseMember("sector_identifier_uri", "missing", "is required for subject_type pairwise with a loopback redirect or a scheme of the application's own")
		}
		hosts[parsed.Host] = true
	}
	if len(hosts) > 1 {
		return refuseMember("sector_identifier_uri", "missing", "is required for subject_type pairwise with redirect_uris, or keys or a notification endpoint for CIBA, on more than one host")
	}
	return reg.checkPairwiseCIBA()
}

// checkPairwiseCIBA requires a client that polls or is pinged to have jwks_uri,
// which is its sector, and a method that proves its keys (CIBA §4).
func (reg *Registration) checkPairwiseCIBA() error {
	c := reg.Client
	if mode := c.BackchannelTokenDeliveryMode; mode != "poll" && mode != "ping" {
		return nil
	}
	if c.JWKSURI == "" {
		return refuseMember("jwks_uri", "pairwise", "is required for subject_type pairwise with CIBA")
	}
	method := c.TokenEndpointAuthMethod
	if method != "private_key_jwt" && method != "self_signed_tls_client_auth" && c.BackchannelAuthenticationRequestSigningAlg == "" {
		return refuseMember("token_endpoint_auth_method", "pairwise",
			"must be private_key_jwt or self_signed_tls_client_auth for subject_type pairwise with CIBA, unless requests are signed")
	}
	return nil
}

// readSector reads a sector document.
func readSector(document []byte) ([]string, error) {
	if !json.Valid(document) {
		return nil, &strictjson.Error{Reason: "must be JSON"}
	}
	return strictjson.Value(bytes.TrimSpace(document)).Texts()
}
