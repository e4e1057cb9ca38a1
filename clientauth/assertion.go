package clientauth

// RFC 7523 §3: assertions, judged by the advice of RFC 8725.

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/strictjson"
)

const maxAssertion = 16 << 10 // bytes

// VerifyAssertion verifies a client assertion of c (RFC 7523 §3), for hosts that
// authenticate clients themselves. It returns nil, an [*dcr.Error] of
// InvalidClient, or any other error for an outage. It refuses a client that may
// not be used, even a pending one. A valid assertion is used up.
func (a *Authenticator) VerifyAssertion(ctx context.Context, c *dcr.Client, assertion string) error {
	var err error
	if unusable := c.CheckUsable(a.now()); unusable != nil {
		err = refuse("status", unusable)
	} else {
		err = a.proveAssertion(ctx, c, assertion)
	}
	if err != nil {
		a.log(ctx, err)
	}
	return err
}

// proveAssertion verifies an assertion of client, whatever its status. It judges
// the claims first, so that no keys are fetched for an assertion that is refused
// anyway, and uses it up last, so that a forged one uses up nothing.
func (a *Authenticator) proveAssertion(ctx context.Context, client *dcr.Client, assertion string) error {
	if len(a.Audience) == 0 || slices.Contains(a.Audience, "") {
		return errors.New("clientauth: Authenticator.Audience is empty, or has an empty one; set it to the issuer, which assertions name")
	}
	replay, err := a.replayStore()
	if err != nil {
		return err
	}
	token, err := a.read(client, assertion)
	if errors.Is(err, errOtherMethod) { // then let it cost what an unknown client's costs
		nobody := standIn(client.ID)
		if token, err := a.read(nobody, assertion); err == nil {
			a.verify(ctx, token, nobody)
		}
	}
	if err != nil {
		return err
	}
	if err := a.verify(ctx, token, client); err != nil {
		return err
	}
	return a.useUp(ctx, replay, client.ID, token)
}

// errOtherMethod says that the client does not sign assertions, or not with
// this algorithm.
var errOtherMethod = errors.New("the client registered another method or algorithm, or nothing opens its secret")

// read parses an assertion of client and judges its header and claims.
func (a *Authenticator) read(client *dcr.Client, assertion string) (*jwt.Token, error) {
	algorithms := a.algorithmsOf(client)
	if algorithms == nil {
		return nil, refuse("method", errOtherMethod)
	}
	rules := jwt.Rules{MaxBytes: maxAssertion, Algorithms: algorithms, Type: a.acceptsType, Limits: jwt.Limits}
	oneAudience := false
	token, fault := rules.Read([]byte(assertion), func(name string, value strictjson.Value) error {
		oneAudience = oneAudience || name == "aud" && value.Kind() == strictjson.String
		return nil
	})
	switch {
	case fault != nil && fault.Rule == "algorithm":
		return nil, refuse("assertion", fmt.Errorf("%w: %w", errOtherMethod, fault))
	case fault != nil:
		return nil, refuse("assertion", fault)
	}
	if err := a.judge(token, client.ID, oneAudience); err != nil {
		return nil, refuse("assertion", err)
	}
	return token, nil
}

// algorithmsOf returns the algorithms with which the client may sign, nil if it
// may not sign at all.
func (a *Authenticator) algorithmsOf(client *dcr.Client) []string {
	registered := client.TokenEndpointAuthSigningAlg
	switch assertionMethod(client) {
	case "private_key_jwt":
		switch registered {
		case "":
			return jose.Accepted(a.Algorithms)
		case "EdDSA", "Ed25519": // two names for the same algorithm (RFC 9864)
			return []string{"EdDSA", "Ed25519"}
		}
		return []string{registered}
	case "client_secret_jwt":
		switch {
		case a.Sealer == nil:
			return nil
		case registered == "":
			return jose.MACs
		}
		return []string{registered}
	}
	return nil
}

// acceptsType judges typ. Newer clients use explicit types (RFC 8725 §3.11),
// older ones do not know them.
func (a *Authenticator) acceptsType(mediaType string) bool {
	switch mediaType {
	case "client-authentication+jwt", "oauth-client-auth+jwt":
		return true
	case "", "jwt":
		return !a.RequireType
	}
	return false
}

// judge checks the claims against RFC 7523 §3.
func (a *Authenticator) judge(token *jwt.Token, clientID string, oneAudience bool) error {
	now, skew, maxAge := a.now(), jwt.Skew(a.Skew), a.MaxAge
	if maxAge == 0 {
		maxAge = 10 * time.Minute
	}
	terms := jwt.Terms{Skew: skew, Audience: a.Audience}
	if a.IssuerAudienceOnly {
		terms.Audience = a.Audience[:1]
	}
	switch {
	case token.Issuer != clientID || token.Subject != clientID:
		return errors.New("iss and sub must be the client id")
	case token.Expiry.IsZero():
		return errors.New("must have the claim exp")
	case a.IssuerAudienceOnly && !oneAudience:
		return errors.New("aud must be the issuer, as a string")
	case token.Expiry.Sub(now) > maxAge+skew:
		return jwt.ErrTooLong
	}
	if fault := token.Judge(now, terms); fault != nil {
		return fault
	}
	return nil
}

// verify verifies the signature with the client's keys or secrets, even if the
// client is pending.
func (a *Authenticator) verify(ctx context.Context, token *jwt.Token, client *dcr.Client) error {
	if assertionMethod(client) == "client_secret_jwt" {
		opened, err := asActive(client).OpenSecrets(a.Sealer, a.now())
		var secrets [][]byte
		for _, secret := range opened {
			secrets = append(secrets, []byte(secret.Reveal()))
		}
		_, fault := token.VerifyMAC(secrets)
		switch {
		case fault == nil:
			return nil
		case err != nil: // it may be made with a secret that could not be opened
			return fmt.Errorf("clientauth: open the secrets: %w", err)
		}
		return refuse("assertion", fault)
	}
	err := a.verifyByKeys(ctx, token, client)
	if err != nil && !errors.Is(err, jose.ErrSignature) { // no key was tried: try those of the stand-in
		token.Verify(unknownKeySet().Answering(token.KeyID()))
	}
	return err
}

func (a *Authenticator) verifyByKeys(ctx context.Context, token *jwt.Token, client *dcr.Client) error {
	jwks, err := a.keys(ctx, client, token.KeyID())
	if err != nil {
		return err
	}
	keys, err := jose.ParseKeySet(jwks)
	if err != nil {
		return refuse("keys", err)
	}
	if _, fault := token.Verify(keys.Answering(token.KeyID())); fault != nil {
		return refuse("assertion", fault)
	}
	return nil
}

// keys returns the client's key set.
func (a *Authenticator) keys(ctx context.Context, client *dcr.Client, kid string) ([]byte, error) {
	source := a.Keys
	if source == nil {
		a.once.Do(func() { a.defaultKeys.Now = a.Now })
		source = &a.defaultKeys
	}
	jwks, err := source.Keys(ctx, asActive(client), kid)
	switch {
	case errors.Is(err, dcr.ErrNoClientKeys):
		return nil, refuse("keys", err)
	case err != nil:
		return nil, fmt.Errorf("clientauth: find the client's keys: %w", err)
	}
	return jwks, nil
}

// asActive returns a pending client as an active one, so that its keys are found.
// Nothing is fetched for a client that is disabled or has expired.
func asActive(client *dcr.Client) *dcr.Client {
	if client.Status != dcr.StatusPending {
		return client
	}
	active := *client
	active.Status = dcr.StatusActive
	return &active
}

func (a *Authenticator) replayStore() (dcr.ReplayStore, error) {
	if a.Replay != nil {
		return a.Replay, nil
	}
	if replay, ok := dcr.StoreAs[dcr.ReplayStore](a.Store); ok {
		return replay, nil
	}
	return nil, errors.New("clientauth: Authenticator.Replay is nil, and Store is no dcr.ReplayStore; set Replay to one")
}

// useUp remembers the assertion for as long as it would be accepted. Without jti
// it is recognised by the signed text, not by the signature, of which there can
// be many.
func (a *Authenticator) useUp(ctx context.Context, replay dcr.ReplayStore, clientID string, token *jwt.Token) error {
	id := "jti\x00" + token.ID
	if token.ID == "" {
		id = "signed\x00" + token.Signed()
	}
	digest := sha256.Sum256([]byte(clientID + "\x00" + id))
	key := "assertion:" + base64.RawURLEncoding.EncodeToString(digest[:])
	fresh, err := replay.Remember(ctx, key, token.Expiry.Add(jwt.Skew(a.Skew)), a.now())
	switch {
	case err != nil:
		return fmt.Errorf("clientauth: remember the assertion: %w", err)
	case !fresh:
		return refuse("replay", errors.New("the assertion was used before"))
	}
	return nil
}
