package dcr

// RFC 7515, RFC 7519 and UK Open Banking Dynamic Client Registration:
// registration requests that are JWTs, signed with a key that the software
// statement in them vouches for.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr/internal/issuer"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/keycache"
	"github.com/dynreg/dcr/internal/strictjson"
)

// SignedRequestVerifier says which signed requests [SignedRequests] accepts.
type SignedRequestVerifier struct {
	// Statements checks that the statement in the request was signed by a
	// trusted issuer, before its claims are used to find the signer's keys. The
	// handler's Validator judges everything else about the statement; it should
	// have the same verifier and require a statement. Required.
	Statements *StatementVerifier

	// KeyClaims are the claims of the statement that hold the signer's key set
	// or its URL; the first that is present, and not null or "", counts. If nil,
	// software_jwks_endpoint, software_jwks, jwks_uri and jwks.
	KeyClaims []string

	// Fetch fetches the signer's keys. If nil, the Fetch of the handler's
	// DefaultValidator, or one with the defaults.
	Fetch *GuardedClient

	// Keys are the keys of every signer, whatever the statement says. They are
	// for tests. If nil, KeyClaims are used.
	Keys KeySource

	// Algorithms are the signature algorithms to accept; none and the symmetric
	// ones are never accepted. If nil, PS256 and ES256.
	Algorithms []string

	// Audience lists what aud may be; one is enough. If empty, aud is not
	// checked.
	Audience []string

	// IssuerClaim is the claim of the statement that iss must equal, such as
	// software_id. If empty, iss is not checked.
	IssuerClaim string

	// RequiredClaims are claims that a request must have. If nil, exp, so that
	// no request is valid forever; if empty, none.
	RequiredClaims []string

	// Types are the values of typ to accept; "" accepts a request without one. If
	// nil, "", JWT and JOSE. So no other kind of token that the software signs
	// (dpop+jwt, oauth-authz-req+jwt …) is accepted as a request.
	Types []string

	// MaxAge is how long after its iat a request is valid. If zero, only its exp
	// counts.
	MaxAge time.Duration

	// MaxLifetime bounds how long a request may be valid, from its iat, or from
	// now if it has none, to its exp. If zero, 2 hours; if negative, it is not
	// bounded. If positive, exp is required.
	MaxLifetime time.Duration

	// Skew is how much the signers' clocks may differ. If zero, 1 minute; if
	// negative, not at all.
	Skew time.Duration

	// Once accepts a request only once. It is recognised by its jti, which is
	// then required. The jti is used up right before the client is stored; if
	// nothing was stored, and the store that remembers it is a
	// [ReplayForgetter], it may be used again.
	Once bool

	// Replay remembers the used jti, and implies Once. If nil, the handler's
	// store does, which must be a [ReplayStore] for Once.
	Replay ReplayStore

	// Limits bound what a request may have, as Options.Limits do.
	Limits Limits

	// Now is the clock. If nil, Options.Now of the handler.
	Now func() time.Time
}

// SignedRequests returns a [Decoder] for requests that are a compact JWS, or a
// JSON string with one, signed by the software that registers. Its claims are
// the members of the request; the registered claims of a JWT (iss, aud, exp …)
// are only judged. SignedRequests panics if Statements is nil.
//
//	decode := dcr.SignedRequests(dcr.SignedRequestVerifier{Statements: statements})
//	opts.Decoders = map[string]dcr.Decoder{"application/jose": decode, "application/jwt": decode}
func SignedRequests(verifier SignedRequestVerifier) Decoder {
	v := verifier
	switch {
	case v.Statements == nil:
		panic("dcr: SignedRequests: Statements is nil; set it to the StatementVerifier for the software statement in a request")
	case jose.CheckAccepted(v.Algorithms) != nil:
		panic("dcr: SignedRequests: " + jose.CheckAccepted(v.Algorithms).Error())
	}
	if v.KeyClaims == nil {
		v.KeyClaims = []string{"software_jwks_endpoint", "software_jwks", "jwks_uri", "jwks"}
	}
	if v.Algorithms == nil {
		v.Algorithms = []string{"PS256", "ES256"}
	}
	if v.RequiredClaims == nil {
		v.RequiredClaims = []string{"exp"}
	}
	if v.Types == nil {
		v.Types = []string{"", "JWT", "JOSE"}
	}
	if v.MaxLifetime > 0 {
		v.RequiredClaims = append(slices.Clip(v.RequiredClaims), "exp")
	}
	if v.MaxLifetime == 0 {
		v.MaxLifetime = 2 * time.Hour
	}
	if v.Once = v.Once || v.Replay != nil; v.Once {
		v.RequiredClaims = append(slices.Clip(v.RequiredClaims), "jti")
	}
	d := &signedRequests{SignedRequestVerifier: v, ring: issuer.Ring{Source: v.Keys}}
	d.cache = keycache.New(func(ctx context.Context, url string) ([]byte, time.Duration, error) {
		fetched, err := cmp.Or(v.Fetch, fetcherOf(ctx)).Get(ctx, url, "application/json, application/jwk-set+json")
		if err != nil {
			return nil, 0, err
		}
		return fetched.Body, fetched.fresh.MaxAge(), nil
	}, keycache.Options{})
	return d.decode
}

type signedRequests struct {
	SignedRequestVerifier
	cache *keycache.Cache // of the key sets that statements name
	ring  issuer.Ring     // of Keys
}

// badRequestJWT makes the refusal of a signed request.
func badRequestJWT(rule, sentence string, args ...any) *Error {
	return refuse(InvalidClientMetadata, "", "request."+rule, "the signed request "+sentence, args...)
}

var errRequestUsed = badRequestJWT("replay", "was used before; each may be used once")

// requestFault turns a fault of the token into one of the request.
func requestFault(fault *jwt.Fault) *Error {
	rule := fault.Rule
	if rule == "terms" {
		rule = "claims"
	}
	return badRequestJWT(rule, "%s", fault.Sentence)
}

// decode returns the members of the request, and the software that signed it.
func (d *signedRequests) decode(ctx context.Context, r *http.Request, body []byte) (DecodedBody, error) {
	compact := bytes.TrimSpace(body)
	if bytes.HasPrefix(compact, []byte(`"`)) {
		text, err := strictjson.Value(compact).Text()
		if err != nil {
			return DecodedBody{}, badRequestJWT("form", "must be a compact JWS")
		}
		compact = []byte(text)
	}
	rules := jwt.Rules{Algorithms: d.Algorithms, NamedKey: true, Limits: jwt.Limits, Type: d.acceptsType}
	claims := requestClaims{members: objectWriter{dst: make([]byte, 0, base64.RawURLEncoding.DecodedLen(len(compact)))}}
	token, fault := rules.Read(compact, claims.read)
	if fault != nil {
		return DecodedBody{}, requestFault(fault)
	}
	if claims.statement == "" {
		return DecodedBody{}, invalidStatement("missing", "is required in a signed request")
	}
	limits := d.Limits.effective()
	statement, told, err := d.Statements.signed(ctx, claims.statement, limits, &finding{})
	if err != nil {
		return DecodedBody{}, err
	}
	now := Now(ctx)
	if d.Now != nil {
		now = d.Now()
	}
	if err := d.check(token, statement, now); err != nil {
		return DecodedBody{}, err // before anything is fetched: statements are public, so anyone may send one
	}
	keys, err := d.keys(ctx, statement, token.KeyID())
	if err != nil {
		return DecodedBody{}, err
	}
	if _, fault := token.Verify(keys); fault != nil {
		return DecodedBody{}, requestFault(fault)
	}
	members, err := claims.members.finish()
	signer := statement.Signer()
	return DecodedBody{JSON: members, Signer: signer, Cost: d.cost(token, cmp.Or(signer, statement.Text), now), finding: finding{statement.signature, limits, statement, told}}, err
}

func (d *signedRequests) acceptsType(typ string) bool {
	return slices.ContainsFunc(d.Types, func(accepted string) bool { return jose.MediaType(accepted) == typ })
}

// keys returns the keys of the software that a statement is about.
func (d *signedRequests) keys(ctx context.Context, statement *SoftwareStatement, kid string) (*jose.KeySet, error) {
	if d.Keys != nil {
		keys, err := d.ring.Keys(ctx, kid)
		if err != nil {
			err = keysOutOfReach(err)
		}
		return keys, err
	}
	for _, name := range d.KeyClaims {
		claim := strictjson.Value(statement.Claims[name])
		switch claim.Kind() {
		case strictjson.Object:
			keys, err := jose.ParseKeySet([]byte(claim))
			if err != nil {
				return nil, invalidStatement("keys", "must hold a JSON Web Key Set in its claim %s", name)
			}
			return keys, nil
		case strictjson.String:
			url, _ := claim.Text()
			if url == "" {
				continue // some directories write "" for what they do not have
			}
			keys, err := d.cache.Keys(ctx, url, kid)
			if errors.Is(err, ErrBusy) || errors.Is(err, ErrUnreachable) {
				return nil, keysOutOfReach(err)
			}
			if err != nil {
				refused := invalidStatement("keys", "names keys in its claim %s that could not be fetched", name)
				refused.Err = err
				return nil, refused
			}
			return keys, nil
		}
	}
	return nil, invalidStatement("keys", "must say where the signer's keys are, in %s", strings.Join(d.KeyClaims, " or "))
}

// check judges the claims that are about the request itself.
func (d *signedRequests) check(token *jwt.Token, statement *SoftwareStatement, now time.Time) error {
	terms := jwt.Terms{Skew: jwt.Skew(d.Skew), MaxAge: d.MaxAge, MaxLifetime: d.MaxLifetime, Audience: d.Audience}
	if fault := token.Judge(now, terms, d.RequiredClaims...); fault != nil {
		return requestFault(fault)
	}
	if d.IssuerClaim != "" {
		want, err := strictjson.Value(statement.Claims[d.IssuerClaim]).Text()
		if err != nil || want == "" {
			return invalidStatement("claims", "must have the claim %s", d.IssuerClaim)
		}
		if token.Issuer != want {
			return badRequestJWT("issuer", "must have the %s of its software statement as iss", d.IssuerClaim)
		}
	}
	return nil
}

// cost returns the one use that a request has, nil if it may be used any number
// of times.
func (d *signedRequests) cost(token *jwt.Token, signer string, now time.Time) Allowance {
	if !d.Once {
		return nil
	}
	until := now.Add(forever)
	switch skew := jwt.Skew(d.Skew); {
	case !token.Expiry.IsZero():
		until = token.Expiry.Add(skew)
	case d.MaxAge > 0:
		until = token.IssuedAt.Add(d.MaxAge + skew)
	}
	return UseOnce(d.Replay, "request:"+hashText(signer+"\x00"+token.ID), until, now, errRequestUsed)
}

// requestClaims are the claims of a signed request that are the members of a
// registration request.
type requestClaims struct {
	statement string
	members   objectWriter
}

func (c *requestClaims) read(name string, value strictjson.Value) (err error) {
	if jwt.Registered(name) {
		return nil
	}
	if name == "software_statement" {
		c.statement, err = value.Text()
		err = strictjson.In(name, err)
	}
	c.members.raw(name, []byte(value))
	return err
}
