package policy

// HL7 UDAP Security 2.0, §2.2 and §2.3: the document of a server at
// /.well-known/udap.

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/jose"
)

// UDAPDiscovery answers GET {Base}/.well-known/udap, for the community that the
// query names, or the first; it answers 204 for an unknown community. Make it
// with [NewUDAPDiscovery]; do not change it afterwards.
type UDAPDiscovery struct {
	Base                  string       // URL of the server: iss and sub of the signed metadata; required
	Handler               *dcr.Handler // of the registration endpoint: the grant types and the scopes are those of its Capabilities; required
	TokenEndpoint         string       // required
	AuthorizationEndpoint string       // required with the grant type authorization_code

	// What else the server supports, and requires of every client; nil: nothing.
	Extensions, RequiredExtensions         []string // such as hl7-b2b
	Certifications, RequiredCertifications []string // URIs
	Tiered                                 bool     // it takes part in tiered OAuth (§6)

	Algorithms []string         // in which statements are signed, as ChainVerifier.Algorithms; if nil, RS256, RS384, ES256 and ES384
	Identities []UDAPIdentity   // one for each community; the first is the default; required
	Now        func() time.Time // the clock; if nil, time.Now
	Logger     *slog.Logger     // says why nothing could be signed; if nil, slog.Default

	mu     sync.Mutex
	signed map[string]signedUDAP // by community
}

// UDAPIdentity is the identity of a server in a trust community.
type UDAPIdentity struct {
	Community string              // its URI
	Key       crypto.Signer       // an RSA key: the metadata is signed with RS256
	Chain     []*x509.Certificate // of Key first, which has Base among its URIs, and then the intermediates
}

type signedUDAP struct {
	text  string
	until time.Time
}

// The document is signed again every hour and valid for a day; §2.3 allows a
// year.
const (
	udapSignedFor = 24 * time.Hour
	udapKeptFor   = time.Hour
)

// NewUDAPDiscovery returns d, or an error that says what it lacks.
func NewUDAPDiscovery(d *UDAPDiscovery) (*UDAPDiscovery, error) {
	switch {
	case d.Base == "" || d.Handler == nil || d.TokenEndpoint == "" || len(d.Identities) == 0:
		return nil, errors.New("policy: UDAPDiscovery needs Base, Handler, TokenEndpoint and Identities")
	case d.AuthorizationEndpoint == "" && slices.Contains(d.Handler.Capabilities().GrantTypes, "authorization_code"):
		return nil, errors.New("policy: UDAPDiscovery needs AuthorizationEndpoint, since the server has the grant type authorization_code")
	case len(without(d.RequiredExtensions, d.Extensions...)) > 0 || len(without(d.RequiredCertifications, d.Certifications...)) > 0:
		return nil, errors.New("policy: UDAPDiscovery requires what it does not support; name it in Extensions and Certifications too")
	}
	for i, identity := range d.Identities {
		if identity.Key == nil || len(identity.Chain) == 0 {
			return nil, fmt.Errorf("policy: UDAPDiscovery.Identities[%d] needs a Key and its Chain", i)
		}
		public, isRSA := identity.Key.Public().(*rsa.PublicKey)
		if !isRSA || !public.Equal(identity.Chain[0].PublicKey) || !slices.Contains(jose.CertificateURIs(identity.Chain[0]), d.Base) {
			return nil, fmt.Errorf("policy: UDAPDiscovery.Identities[%d] needs an RSA key, and as the first of Chain its certificate, which has Base among its URIs", i)
		}
	}
	fill(&d.Algorithms, "RS256", "RS384", "ES256", "ES384")
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	d.signed = make(map[string]signedUDAP)
	return d, nil
}

// ServeHTTP answers with the document of a community.
func (d *UDAPDiscovery) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	identity := &d.Identities[0]
	if query := r.URL.Query(); query.Has("community") {
		i := slices.IndexFunc(d.Identities, func(known UDAPIdentity) bool { return known.Community == query.Get("community") })
		if i < 0 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		identity = &d.Identities[i]
	}
	signed, err := d.sign(identity)
	if err != nil {
		d.Logger.ErrorContext(r.Context(), "the metadata of UDAP could not be signed", "community", identity.Community, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	document := d.members()
	document["signed_metadata"] = signed
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(document)
}

// members are those that need no signature.
func (d *UDAPDiscovery) members() map[string]any {
	supported := d.Handler.Capabilities()
	profiles := []string{"udap_dcr", "udap_authn"}
	if slices.Contains(supported.GrantTypes, "client_credentials") {
		profiles = append(profiles, "udap_authz")
	}
	if d.Tiered {
		profiles = append(profiles, "udap_to")
	}
	list := func(values []string) []string { return append([]string{}, values...) }
	members := map[string]any{
		"udap_versions_supported": []string{"1"}, "udap_profiles_supported": profiles,
		"udap_authorization_extensions_supported": list(d.Extensions), "udap_certifications_supported": list(d.Certifications),
		"grant_types_supported": list(supported.GrantTypes), "scopes_supported": list(supported.Scopes),
		"token_endpoint_auth_methods_supported":                  []string{"private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported":       list(supported.TokenEndpointAuthSigningAlgs),
		"registration_endpoint_jwt_signing_alg_values_supported": d.Algorithms,
	}
	if len(d.Extensions) > 0 {
		members["udap_authorization_extensions_required"] = list(d.RequiredExtensions)
	}
	if len(d.Certifications) > 0 {
		members["udap_certifications_required"] = list(d.RequiredCertifications)
	}
	maps.Copy(members, d.endpoints())
	return members
}

// endpoints are the members that are signed too.
func (d *UDAPDiscovery) endpoints() map[string]any {
	endpoints := map[string]any{"token_endpoint": d.TokenEndpoint, "registration_endpoint": d.Handler.Endpoint()}
	if d.AuthorizationEndpoint != "" {
		endpoints["authorization_endpoint"] = d.AuthorizationEndpoint
	}
	return endpoints
}

// sign returns the signed metadata of an identity.
func (d *UDAPDiscovery) sign(identity *UDAPIdentity) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.Now()
	if known := d.signed[identity.Community]; now.Before(known.until) {
		return known.text, nil
	}
	claims := d.endpoints()
	claims["iss"], claims["sub"], claims["jti"] = d.Base, d.Base, rand.Text()
	claims["iat"], claims["exp"] = now.Unix(), now.Add(udapSignedFor).Unix()
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text, err := jose.SignWithChain(identity.Key, "RS256", identity.Chain, payload)
	if err == nil {
		d.signed[identity.Community] = signedUDAP{text, now.Add(udapKeptFor)}
	}
	return text, err
}
