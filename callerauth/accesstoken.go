package callerauth

// RFC 9068: JWT access tokens. RFC 6750: how they are sent.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/issuer"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

// AccessTokenVerifier authenticates callers by a JWT access token (RFC 9068) of
// one authorization server. Its method Authenticate is a [dcr.Authenticator]. Set
// Issuer and Audience; do not copy or change it after the first use.
//
// A token that is bound to a key, by a cnf for DPoP (RFC 9449) or mutual TLS (RFC
// 8705), is accepted as a bearer token, without a proof of the key. If your issuer
// binds its tokens, wrap Authenticate in a function that checks the proof against
// Caller.Claims.
//
//	verifier := &callerauth.AccessTokenVerifier{
//		Issuer:   "https://id.example.com",
//		Audience: "https://id.example.com/connect/dcr",
//		Scopes:   []string{"client:register"},
//	}
//	mux.Handle("POST /connect/dcr", dcr.Require(verifier.Authenticate)(handler))
type AccessTokenVerifier struct {
	// Issuer is the iss of the tokens, compared exactly. Required.
	Issuer string

	// Audience must be in the aud of the tokens: it is the name of this
	// registration endpoint as a resource of the issuer. Required, since a token
	// for another resource must not register clients.
	Audience string

	// Scopes are the scopes that a token must have, all of them; a token that
	// lacks one is answered with 403. They are looked for in scope and in scp,
	// each a string or an array. If nil, none.
	Scopes []string

	// JWKSURI is the URL of the issuer's keys; see [dcr.JWKSURL]. If empty, it
	// is taken from the issuer's discovery document (RFC 8414, OpenID Connect
	// Discovery 1.0).
	JWKSURI string

	// HTTPClient fetches the keys and the discovery document. If nil,
	// http.DefaultClient.
	HTTPClient *http.Client

	// Keys returns the keys of the issuer, if they come from elsewhere. If nil,
	// those at JWKSURI.
	Keys dcr.KeySource

	// Algorithms are the signature algorithms to accept; none and the
	// symmetric ones are never accepted. If nil, RS256, PS256, ES256, EdDSA and
	// Ed25519.
	Algorithms []string

	// RequiredClaims are the claims that a token must have in addition to iss,
	// aud and exp. If nil, those of RFC 9068 §2.2: sub, client_id, iat and jti.
	// If empty, none: Duende, for one, issues tokens without sub to clients that
	// act for themselves.
	RequiredClaims []string

	// InsecureAnyTokenType accepts tokens whose typ is not at+jwt. It is for
	// servers that do not know RFC 9068 and call every token a JWT. Anything
	// else that the issuer signs for this audience, such as an ID Token or a
	// software statement, is then accepted as an access token.
	InsecureAnyTokenType bool

	// Skew is how much the issuer's clock may differ. If zero, 1 minute; if
	// negative, not at all.
	Skew time.Duration

	// Now is the clock. If nil, time.Now.
	Now func() time.Time

	once   sync.Once
	ring   issuer.Ring
	broken error // what is wrong with the fields above
}

const maxAccessToken = 16 << 10

// Ready returns an error if tokens cannot be verified: because a field is
// missing or wrong, or because the keys are out of reach. Call it when the
// server starts, rather than find out at the first request.
func (v *AccessTokenVerifier) Ready(ctx context.Context) error {
	if err := v.prepare(); err != nil {
		return err
	}
	_, err := v.ring.Keys(ctx, "")
	if err != nil {
		return fmt.Errorf("callerauth: AccessTokenVerifier: the keys of %s: %w", v.Issuer, err)
	}
	return nil
}

func (v *AccessTokenVerifier) prepare() error {
	v.once.Do(func() {
		if err := v.check(); err != nil {
			v.broken = fmt.Errorf("callerauth: AccessTokenVerifier.%w", err)
			return
		}
		switch {
		case v.Keys != nil:
			v.ring.Source = v.Keys
		case v.JWKSURI != "":
			v.ring.Source = issuer.JWKS(v.JWKSURI, v.HTTPClient)
		default:
			v.ring.Source = issuer.Discovered(v.Issuer, v.HTTPClient)
		}
	})
	return v.broken
}

func (v *AccessTokenVerifier) check() error {
	switch {
	case v.Issuer == "":
		return errors.New("Issuer is empty; set it to the iss of the tokens")
	case v.Audience == "":
		return errors.New("Audience is empty; set it to what tokens for this endpoint have as aud")
	case v.Keys != nil:
	case v.JWKSURI != "":
		if err := uri.CheckPublic(v.JWKSURI); err != nil {
			return fmt.Errorf("JWKSURI %w", err)
		}
	default:
		if err := uri.CheckPublic(v.Issuer); err != nil {
			return fmt.Errorf("Issuer %w; or set JWKSURI or Keys", err)
		}
	}
	return jose.CheckAccepted(v.Algorithms)
}

// Authenticate returns the caller whose token the request has; it is a
// [dcr.Authenticator]. Subject is the token's sub, or its client_id if it has no
// sub; ClientID is its client_id or azp; Claims has all claims. It leaves a token
// that is no JWT to other Authenticators.
func (v *AccessTokenVerifier) Authenticate(r *http.Request) (*dcr.Caller, error) {
	presented, err := dcr.BearerToken(r)
	if err != nil || strings.Count(presented.Reveal(), ".") != 2 {
		return nil, err
	}
	if err := v.prepare(); err != nil {
		return nil, misconfigured(err)
	}
	caller, err := v.verify(r.Context(), presented.Reveal())
	if err != nil {
		return nil, err
	}
	return withScopes(caller, v.Scopes)
}

// withScopes returns the caller if its token has all of these scopes.
func withScopes(caller *dcr.Caller, needed []string) (*dcr.Caller, error) {
	for _, scope := range needed {
		if !slices.Contains(caller.Scopes, scope) {
			return nil, &dcr.Error{
				Code: dcr.InsufficientScope, Rule: "token.scope", Scope: strings.Join(needed, " "),
				Description: "the access token lacks a scope that is needed here",
			}
		}
	}
	return caller, nil
}

// verify returns the caller of a valid token.
func (v *AccessTokenVerifier) verify(ctx context.Context, compact string) (*dcr.Caller, error) {
	rules := jwt.Rules{MaxBytes: maxAccessToken, Algorithms: jose.Accepted(v.Algorithms), Limits: jwt.Limits}
	if !v.InsecureAnyTokenType {
		rules.Type = func(mediaType string) bool { return mediaType == "at+jwt" }
	}
	var claims accessClaims
	token, fault := rules.Read([]byte(compact), claims.read)
	if fault != nil {
		return nil, refuse(fault)
	}
	if token.Issuer != v.Issuer {
		return nil, dcr.RefuseToken("issuer", nil)
	}
	keys, err := v.ring.Keys(ctx, token.KeyID())
	if err != nil {
		unavailable := dcr.Unavailable("the keys that verify the signature are unavailable", err)
		unavailable.Rule = "keys.unavailable"
		return nil, unavailable
	}
	payload, fault := token.Verify(keys)
	if fault != nil {
		return nil, refuse(fault)
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	required := v.RequiredClaims
	if required == nil {
		required = rfc9068Claims
	}
	terms := jwt.Terms{Skew: jwt.Skew(v.Skew), Audience: []string{v.Audience}}
	if fault := token.Judge(now(), terms, slices.Concat([]string{"exp"}, required)...); fault != nil {
		return nil, refuse(fault)
	}
	return claims.bearer(token, []byte(payload))
}

// refuse turns a fault of the token into a refusal.
func refuse(fault *jwt.Fault) *dcr.Error {
	rule := fault.Rule
	switch rule {
	case "crit":
		rule = "algorithm"
	case "terms":
		rule = "time_or_audience"
	}
	return dcr.RefuseToken(rule, fault)
}

// accessClaims are the claims of an access token, and the caller they make.
type accessClaims struct {
	authorizedParty string
	caller          dcr.Caller
}

func (c *accessClaims) read(name string, value strictjson.Value) (err error) {
	switch name {
	case "client_id":
		c.caller.ClientID, err = value.Text()
	case "azp":
		c.authorizedParty, err = value.Text()
	case "scope", "scp":
		var listed []string
		listed, err = jwt.OneOrMore(value)
		for _, scopes := range listed {
			c.caller.Scopes = append(c.caller.Scopes, strings.Fields(scopes)...)
		}
	}
	return err
}

// rfc9068Claims are those that RFC 9068 §2.2 requires in addition to iss, aud
// and exp.
var rfc9068Claims = []string{"sub", "client_id", "iat", "jti"}

// bearer finishes the caller.
func (c *accessClaims) bearer(token *jwt.Token, payload []byte) (*dcr.Caller, error) {
	if err := json.Unmarshal(payload, &c.caller.Claims); err != nil {
		return nil, dcr.RefuseToken("claims", err)
	}
	c.caller.ClientID = cmp.Or(c.caller.ClientID, c.authorizedParty)
	c.caller.Issuer, c.caller.Subject = token.Issuer, cmp.Or(token.Subject, c.caller.ClientID)
	return &c.caller, nil
}
