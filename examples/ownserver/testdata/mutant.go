package main

// What the mutants of main.go use.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

// revived is a store that changes the public clients that it returns, and that still
// returns deleted clients that are in seen.
type revived struct {
	dcr.ClientConfigurationStore
	revive func(client *dcr.Client)
	seen   map[string]*dcr.Client
}

func (s revived) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	client, err := s.ClientConfigurationStore.FindByClientID(ctx, clientID)
	if err == dcr.ErrClientNotFound && s.seen[clientID] != nil {
		return s.seen[clientID].Clone(), nil
	}
	if err != nil || !client.Public() {
		return client, err
	}
	if s.seen != nil {
		s.seen[clientID] = client.Clone()
	}
	s.revive(client)
	return client, nil
}

func (s revived) As(target any) bool { return dcr.StoreInto(s.ClientConfigurationStore, target) }

// forgets does not remember any assertion.
type forgets struct{}

func (forgets) Remember(context.Context, string, time.Time, time.Time) (bool, error) {
	return true, nil
}

// reckless connects to loopback addresses.
var reckless = &dcr.GuardedClient{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// moved serves the discovery document only at the path of OpenID Connect.
func moved(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := "/.well-known/oauth-authorization-server"; r.URL.Path {
		case path:
			http.NotFound(w, r)
			return
		case "/.well-known/openid-configuration":
			r.URL.Path = path
		}
		next.ServeHTTP(w, r)
	})
}

// letIn accepts a refused client if would returns true.
func (s *server) letIn(r *http.Request, sender *clientauth.Authentication, err error, grantType string, would func(client *dcr.Client, secret dcr.Plaintext) bool) (*clientauth.Authentication, error) {
	if err == nil || grantType != "" && r.PostFormValue("grant_type") != grantType {
		return sender, err
	}
	clientID, secret, ok := dcr.BasicCredentials(r)
	if !ok {
		clientID, secret = r.PostFormValue("client_id"), dcr.Plaintext(r.PostFormValue("client_secret"))
	}
	client, missing := s.store.FindByClientID(r.Context(), clientID)
	if missing != nil || !client.Usable(time.Now()) || !would(client, secret) {
		return sender, err
	}
	return &clientauth.Authentication{Client: client, Method: "client_secret_basic"}, nil
}

// asserts reports whether exactly one thing is wrong with an assertion: its iss, or
// its signature.
func (s *server) asserts(r *http.Request, client *dcr.Client, wrong string) bool {
	parts := strings.Split(r.PostFormValue("client_assertion"), ".")
	if len(parts) != 3 {
		return false
	}
	decode := func(text string) []byte {
		octets, _ := base64.RawURLEncoding.DecodeString(text)
		return octets
	}
	var claims struct {
		Iss, Sub, Aud string
		Exp           int64
	}
	var set struct{ Keys []struct{ X, Y string } }
	if json.Unmarshal(decode(parts[1]), &claims) != nil || json.Unmarshal(client.JWKS, &set) != nil || len(set.Keys) != 1 {
		return false
	}
	public := ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(decode(set.Keys[0].X)), Y: new(big.Int).SetBytes(decode(set.Keys[0].Y))}
	digest, signature := sha256.Sum256([]byte(parts[0]+"."+parts[1])), decode(parts[2])
	if len(signature) != 64 {
		return false
	}
	signed := ecdsa.Verify(&public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	return (claims.Iss == client.ID) == (wrong != "iss") && signed == (wrong != "signature") &&
		claims.Sub == client.ID && claims.Aud == s.issuer && claims.Exp > time.Now().Unix()
}
