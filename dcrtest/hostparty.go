package dcrtest

// RFC 6749 §2.3, RFC 7523 §2.2: the clients of TestHost, and how they authenticate.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

const (
	loopbackRedirect = "http://127.0.0.1/callback"
	webRedirect      = "https://app.example.com/callback"
	assertionType    = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	jwtBearer        = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// party is a registered client and its credentials.
type party struct {
	*dcr.Client
	what   string // for sentences
	secret string
	key    *signingKey
}

// metadata has the members of a registration request.
type metadata map[string]any

// native registers a public client on the person's own machine.
func (d *driver) native() (*party, error) { return d.nativeAt(loopbackRedirect) }

func (d *driver) nativeAt(redirectURI string) (*party, error) {
	if !d.method("none") {
		return nil, fmt.Errorf("%w: token_endpoint_auth_methods_supported lacks none", errNotOffered)
	}
	return d.register("a public native client", metadata{"redirect_uris": []string{redirectURI}, "token_endpoint_auth_method": "none"}, nil)
}

// web registers a client on a web site, of the first kind that the server supports: with
// a secret, with a key, or public. If change is not nil, it edits the client.
func (d *driver) web(change func(*dcr.Client)) (*party, error) {
	p, err := d.withSecret(change)
	if !errors.Is(err, errNotOffered) {
		return p, err
	}
	if p, err = d.keyed(); err == nil && change != nil {
		change(p.Client)
		err = d.store.Update(d.ctx, p.Client)
	}
	if !errors.Is(err, errNotOffered) || !d.method("none") {
		return p, err
	}
	return d.register("a public client on a web site", metadata{"redirect_uris": []string{webRedirect}, "token_endpoint_auth_method": "none"}, change)
}

// withSecret registers a confidential client with a secret. If change is not nil, it edits
// the client before it is stored.
func (d *driver) withSecret(change func(*dcr.Client)) (*party, error) {
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		if d.method(method) {
			return d.register("a confidential client", metadata{"redirect_uris": []string{webRedirect}, "token_endpoint_auth_method": method}, change)
		}
	}
	return nil, fmt.Errorf("%w: token_endpoint_auth_methods_supported lacks client_secret_basic and client_secret_post", errNotOffered)
}

// both registers a public and a confidential client, or the one that the server supports.
// If the server does not support secrets, the confidential client has a key.
func (d *driver) both() (parties []*party, err error) {
	native, err := d.native()
	if err == nil {
		parties = append(parties, native)
	} else if !errors.Is(err, errNotOffered) {
		return nil, err
	}
	confidential, err := d.withSecret(nil)
	if errors.Is(err, errNotOffered) {
		confidential, err = d.keyed()
	}
	switch {
	case err == nil:
		return append(parties, confidential), nil
	case errors.Is(err, errNotOffered) && len(parties) > 0:
		return parties, nil
	}
	return nil, err
}

// confidential registers a client with a secret and one with a key, or the one that the
// server supports. If a client with a key does not work at all, the cases of assertions
// report that.
func (d *driver) confidential() (parties []*party, err error) {
	secret, err := d.withSecret(nil)
	if err == nil {
		parties = append(parties, secret)
	} else if !errors.Is(err, errNotOffered) {
		return nil, err
	}
	switch keyed, err := d.keyed(); {
	case err == nil:
		return append(parties, keyed), nil
	case len(parties) == 0:
		return nil, err
	}
	return parties, nil
}

// keyed registers a client that signs assertions.
func (d *driver) keyed() (*party, error) {
	if !d.method("private_key_jwt") {
		return nil, fmt.Errorf("%w: token_endpoint_auth_methods_supported lacks private_key_jwt", errNotOffered)
	}
	if d.key == nil { // one key for all clients, because some take long to generate
		key, err := newSigningKey(d.document.SigningAlgs)
		if err != nil {
			return nil, err
		}
		d.key = key
	}
	p, err := d.register("a private_key_jwt client", metadata{
		"redirect_uris": []string{webRedirect}, "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": d.key.alg, "jwks": d.key.set(),
	}, nil)
	if err != nil {
		return nil, err
	}
	p.key = d.key
	return p, d.settleAudience(p)
}

// settleAudience finds out which assertions the server accepts. The audience is the
// issuer or, at older servers, the token endpoint. The typ is JWT or, at newer servers,
// the special type for client authentication.
func (d *driver) settleAudience(p *party) error {
	if d.audience != "" {
		return nil
	}
	for _, p.key.typ = range []string{"JWT", "client-authentication+jwt"} {
		for _, audience := range []string{d.issuer, d.document.Token} {
			bought, err := d.ticket(p)
			if err != nil {
				return err
			}
			signed, err := p.key.assertion(p.ID, audience, time.Minute)
			if err != nil {
				return err
			}
			got, err := d.call(d.document.Token, byAssertion(p.ID, signed), bought.form())
			if err != nil {
				return err
			}
			if got.issued() {
				d.audience = audience
				return nil
			}
		}
	}
	return fmt.Errorf("the token endpoint accepts no assertion, whether aud is the issuer or its own URL: %w", errUnclear)
}

// policy is the validator for the clients. If the server is an OpenID provider, it has
// the capabilities of one.
func (d *driver) policy(scope string) dcr.DefaultValidator {
	supports := dcr.Capabilities{
		Scopes:                   strings.Fields(scope),
		GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
		ResponseTypes:            []string{"code"},
		TokenEndpointAuthMethods: []string{"client_secret_basic", "client_secret_post", "none", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"},
	}
	if slices.Contains(supports.Scopes, "openid") {
		supports.IDTokenSigningAlgs, supports.SubjectTypes = d.document.IDTokenAlgs, []string{"public"}
	}
	return dcr.DefaultValidator{Supports: supports}
}

// scope returns the scope of the clients: the first of Host.Scopes, and what an OpenID
// provider needs to issue a refresh token.
func (d *driver) scope() string {
	scopes := []string{d.host.Scopes[0]}
	for _, needed := range []string{"openid", "offline_access"} {
		if slices.Contains(d.document.Scopes, needed) && needed != d.host.Scopes[0] {
			scopes = append(scopes, needed)
		}
	}
	return strings.Join(scopes, " ")
}

// register adds a client to the store, under the rules of registration. If change is not
// nil, it then edits the client, as an operator could.
func (d *driver) register(what string, asked metadata, change func(*dcr.Client)) (*party, error) {
	request := metadata{"client_name": "TestHost", "grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "scope": d.scope()}
	for name, value := range asked {
		request[name] = value
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	parsed, err := dcr.ParseRequest(body, dcr.Limits{})
	if err != nil {
		return nil, err
	}
	policy, ctx := d.policy(d.scope()), d.ctx
	client := dcr.StartingClient(policy, nil)
	reg := &dcr.Registration{Request: parsed, Client: client}
	if err := dcr.Validate(ctx, policy, reg); err != nil {
		return nil, fmt.Errorf("%s cannot be registered (%v): %w", what, err, errUnclear)
	}
	p := &party{Client: client, what: what}
	if client.ID, err = dcr.RandomClientID(ctx, reg); err != nil {
		return nil, err
	}
	if client.Source, client.CreatedAt = dcr.SourceDynamic, time.Now(); client.NeedsSecret() {
		p.secret = rand.Text() + rand.Text()
		client.Secrets = []dcr.Secret{dcr.HashSecret(dcr.Plaintext(p.secret))}
	}
	if change != nil {
		change(client)
	}
	return p, d.store.Add(ctx, client)
}

// change edits the stored client, as an operator does.
func (d *driver) change(p *party, change func(*dcr.Client)) error {
	stored, err := d.store.FindByClientID(d.ctx, p.ID)
	if err != nil {
		return err
	}
	change(stored)
	return d.store.Update(d.ctx, stored)
}

// credentials add the authentication of a client to a request.
type credentials func(form url.Values, header http.Header)

// own returns the client's own credentials, for the method that it registered.
func (p *party) own(d *driver) (credentials, error) {
	switch p.TokenEndpointAuthMethod {
	case "none":
		return byID(p.ID), nil
	case "client_secret_post":
		return byPost(p.ID, p.secret), nil
	case "private_key_jwt":
		signed, err := p.key.assertion(p.ID, d.audience, time.Minute)
		return byAssertion(p.ID, signed), err
	}
	return byBasic(p.ID, p.secret), nil
}

func byNothing(url.Values, http.Header) {}

func byID(id string) credentials {
	return func(form url.Values, _ http.Header) { form.Set("client_id", id) }
}

func byPost(id, secret string) credentials {
	return func(form url.Values, _ http.Header) {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	}
}

func byBasic(id, secret string) credentials {
	return func(_ url.Values, header http.Header) {
		pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
}

func byAssertion(id, assertion string) credentials {
	return func(form url.Values, _ http.Header) {
		form.Set("client_id", id)
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	}
}

// signingKey is the key of a client and its algorithm.
type signingKey struct {
	signer crypto.Signer
	alg    string
	id     string
	typ    string // of its assertions
}

// newSigningKey generates a key for one of the algorithms that the server accepts.
func newSigningKey(algs []string) (*signingKey, error) {
	if algs == nil || slices.Contains(algs, "ES256") {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		return &signingKey{key, "ES256", rand.Text(), "JWT"}, err
	}
	if slices.Contains(algs, "RS256") {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		return &signingKey{key, "RS256", rand.Text(), "JWT"}, err
	}
	return nil, fmt.Errorf("%w: token_endpoint_auth_signing_alg_values_supported has neither ES256 nor RS256", errNotOffered)
}

func b64(octets []byte) string { return base64.RawURLEncoding.EncodeToString(octets) }

// set returns the public half as a key set.
func (k *signingKey) set() map[string]any {
	key := map[string]any{"kid": k.id, "alg": k.alg, "use": "sig"}
	switch public := k.signer.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err) // it was just generated
		}
		key["kty"], key["crv"], key["x"], key["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case *rsa.PublicKey:
		key["kty"], key["n"], key["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	}
	return map[string]any{"keys": []any{key}}
}

// assertion returns an assertion that authenticates the client. It expires after the given
// time.
func (k *signingKey) assertion(clientID, audience string, lifetime time.Duration, claims ...string) (string, error) {
	now := time.Now()
	payload := map[string]any{
		"iss": clientID, "sub": clientID, "aud": audience, "jti": rand.Text(),
		"iat": min(now.Unix(), now.Add(lifetime).Unix()-60), "exp": now.Add(lifetime).Unix(),
	}
	for i := 0; i+1 < len(claims); i += 2 {
		payload[claims[i]] = claims[i+1]
	}
	return k.sign(payload)
}

func (k *signingKey) sign(payload map[string]any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": k.alg, "kid": k.id, "typ": k.typ})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return "", err
	}
	signed := b64(header) + "." + b64(body)
	digest := sha256.Sum256([]byte(signed))
	if key, ok := k.signer.(*ecdsa.PrivateKey); ok {
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return "", err
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signed + "." + b64(signature), nil
	}
	signature, err := k.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	return signed + "." + b64(signature), err
}

func encodeSet(k *signingKey) (json.RawMessage, error) { return json.Marshal(k.set()) }
