package policy_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/policy"
)

// TestUDAPDiscovery checks what Inferno's discovery tests check.
func TestUDAPDiscovery(t *testing.T) {
	w := newUDAP(t, nil)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const one = "https://one.example"
	const base = "https://as.example.net"
	server := w.root.certify(t, key, base)
	other := (*certified)(nil).certify(t, key, base)
	served, err := policy.NewUDAPDiscovery(&policy.UDAPDiscovery{
		Base: base, Handler: w.server.Handler, TokenEndpoint: base + "/token", AuthorizationEndpoint: base + "/authorize",
		Extensions: []string{"hl7-b2b"}, Now: func() time.Time { return w.now },
		Identities: []policy.UDAPIdentity{
			{Community: one, Key: key, Chain: []*x509.Certificate{server.cert, w.root.cert}},
			{Community: "https://other.example.org", Key: key, Chain: []*x509.Certificate{other.cert}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(community string) (int, object) {
		path := "/.well-known/udap"
		if community != "" {
			path += "?community=" + url.QueryEscape(community)
		}
		recorder := httptest.NewRecorder()
		served.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
		var members object
		if recorder.Code == 200 && (json.Unmarshal(recorder.Body.Bytes(), &members) != nil || recorder.Header().Get("Content-Type") != "application/json") {
			t.Fatalf("%s", recorder.Body)
		}
		return recorder.Code, members
	}
	_, members := get("")
	for name, want := range map[string]string{
		"udap_versions_supported": "[1]", "udap_profiles_supported": "[udap_dcr udap_authn udap_authz]",
		"udap_authorization_extensions_supported": "[hl7-b2b]", "udap_authorization_extensions_required": "[]",
		"udap_certifications_supported": "[]", "udap_certifications_required": "<nil>",
		"grant_types_supported": "[authorization_code refresh_token client_credentials]",
		"scopes_supported":      "[openid udap user/Patient.rs system/Patient.rs]",
		"token_endpoint":        base + "/token", "authorization_endpoint": base + "/authorize", "registration_endpoint": endpoint,
		"token_endpoint_auth_methods_supported":                  "[private_key_jwt]",
		"token_endpoint_auth_signing_alg_values_supported":       "[RS256 RS384 ES256 ES384]",
		"registration_endpoint_jwt_signing_alg_values_supported": "[RS256 RS384 ES256 ES384]",
	} {
		if got := fmt.Sprint(members[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for community, leaf := range map[string]*x509.Certificate{"": server.cert, one: server.cert, "https://other.example.org": other.cert} {
		_, members := get(community)
		token, err := jose.Parse(members["signed_metadata"].(string))
		if err != nil {
			t.Fatal(err)
		}
		chain, err := token.Certificates()
		if err != nil || !chain[0].Equal(leaf) {
			t.Fatalf("%q: signed by another: %v", community, err)
		}
		keys, err := jose.KeyOf(leaf)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := token.Verify(keys, []string{"RS256"})
		var claims object
		if err != nil || json.Unmarshal([]byte(payload), &claims) != nil || claims["iss"] != base || claims["sub"] != base || claims["jti"] == "" ||
			claims["registration_endpoint"] != endpoint || claims["exp"].(float64)-claims["iat"].(float64) > 365*24*3600 {
			t.Errorf("%q: %s, %v", community, payload, err)
		}
	}
	if status, _ := get("https://unknown.example.org"); status != 204 {
		t.Errorf("an unknown community: %d", status)
	}
	if _, err := policy.NewUDAPDiscovery(&policy.UDAPDiscovery{
		Base: base + "/", Handler: w.server.Handler, TokenEndpoint: base + "/token", AuthorizationEndpoint: base + "/authorize",
		Identities: []policy.UDAPIdentity{{Community: one, Key: key, Chain: []*x509.Certificate{server.cert}}},
	}); err == nil {
		t.Error("a certificate for another URL is accepted")
	}
}
