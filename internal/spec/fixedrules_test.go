package spec_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// Each rule that the RFCs fix, broken by a hook: it is a fault of the server,
// which is logged, and nothing is stored.
var brokenByHooks = map[string]func(c *dcr.Client){
	"a response type without its grant":   func(c *dcr.Client) { c.ResponseTypes = []string{"id_token"} },
	"no response type for the code grant": func(c *dcr.Client) { c.ResponseTypes = nil },
	"no redirect URI":                     func(c *dcr.Client) { c.RedirectURIs = nil },
	"a fragment in a redirect URI":        func(c *dcr.Client) { c.RedirectURIs = []string{"https://rp.example.com/#"} },
	"a wildcard in a redirect URI":        func(c *dcr.Client) { c.RedirectURIs = []string{"https://rp.example.com/*"} },
	"remote http for a public client": func(c *dcr.Client) {
		c.RedirectURIs, c.TokenEndpointAuthMethod = []string{"http://rp.example.com/"}, "none"
	},
	"client credentials without authentication": func(c *dcr.Client) {
		c.GrantTypes, c.TokenEndpointAuthMethod = append(c.GrantTypes, "client_credentials"), "none"
	},
	"private_key_jwt without keys":              func(c *dcr.Client) { c.TokenEndpointAuthMethod = "private_key_jwt" },
	"tls_client_auth without a name":            func(c *dcr.Client) { c.TokenEndpointAuthMethod = "tls_client_auth" },
	"an algorithm that does not fit the method": func(c *dcr.Client) { c.TokenEndpointAuthSigningAlg = "RS256" },
	"keys by value and by reference":            func(c *dcr.Client) { c.JWKS, c.JWKSURI = json.RawMessage(`{"keys":[]}`), "https://rp.example.com/jwks" },
	"a private key":                             func(c *dcr.Client) { c.JWKS = json.RawMessage(`{"keys":[` + ecPrivate + `]}`) },
	"keys over http":                            func(c *dcr.Client) { c.JWKSURI = "http://rp.example.com/jwks" },
	"a logo that runs":                          func(c *dcr.Client) { c.LogoURI = "javascript:x" },
	"a tagged logo that runs":                   func(c *dcr.Client) { c.Localized = map[string]string{"logo_uri#fr": "javascript:x"} },
	"only a content encryption":                 func(c *dcr.Client) { c.UserinfoEncryptedResponseEnc = "A256GCM" },
	"unsigned ID Tokens through the browser": func(c *dcr.Client) {
		c.IDTokenSignedResponseAlg, c.ResponseTypes, c.GrantTypes = "none", []string{"id_token"}, []string{"implicit"}
	},
	"unsigned authorization responses":      func(c *dcr.Client) { c.AuthorizationSignedResponseAlg = "none" },
	"a negative age":                        func(c *dcr.Client) { age := int64(-1); c.DefaultMaxAge = &age },
	"an initiate_login_uri over http":       func(c *dcr.Client) { c.InitiateLoginURI = "http://rp.example.com/" },
	"required and unsigned request objects": func(c *dcr.Client) { c.RequireSignedRequestObject, c.RequestObjectSigningAlg = true, "none" },
	"a request URI over http":               func(c *dcr.Client) { c.RequestURIs = []string{"http://rp.example.com/"} },
	"bound tokens through the browser": func(c *dcr.Client) {
		c.DPoPBoundAccessTokens, c.ResponseTypes, c.GrantTypes = true, []string{"token"}, []string{"implicit"}
	},
	"a symmetric algorithm of a public client":       func(c *dcr.Client) { c.IDTokenSignedResponseAlg, c.TokenEndpointAuthMethod = "HS256", "none" },
	"a symmetric algorithm if only the hash is kept": func(c *dcr.Client) { c.IDTokenSignedResponseAlg = "HS256" },
	"signed requests without keys":                   func(c *dcr.Client) { c.RequestObjectSigningAlg = "RS256" },
	"encryption without keys": func(c *dcr.Client) {
		c.IDTokenEncryptedResponseAlg, c.IDTokenEncryptedResponseEnc = "RSA-OAEP", "A256GCM"
	},
	"an extension with the name of a member that the server issues": func(c *dcr.Client) { c.Extra = map[string]json.RawMessage{"client_secret": json.RawMessage(`"x"`)} },
	"an extension with the name of a registered member":             func(c *dcr.Client) { c.Extra = map[string]json.RawMessage{"redirect_uris": json.RawMessage(`["x"]`)} },
	"tokens that never end":                                         func(c *dcr.Client) { c.AccessTokenLifetime = 0 },
	"a negative lifetime":                                           func(c *dcr.Client) { c.AbsoluteRefreshTokenLifetime = -time.Second },
}

// lastWord changes the client after all default steps.
type lastWord struct {
	dcr.DefaultValidator
	change func(c *dcr.Client)
}

func (l lastWord) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	err := l.DefaultValidator.ValidateClient(ctx, reg)
	l.change(reg.Client)
	return err
}

func TestFixedRulesHoldAgainstHooks(t *testing.T) {
	for _, sentence := range slices.Sorted(maps.Keys(brokenByHooks)) {
		breaks := brokenByHooks[sentence]
		for where, change := range map[string]change{
			"ValidateClient": func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = lastWord{*v, breaks} },
			"ModifyResponse": func(_ *dcr.DefaultValidator, o *dcr.Options) {
				o.ModifyResponse = func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error { breaks(reg.Client); return nil }
			},
		} {
			t.Run(sentence+", in "+where, func(t *testing.T) {
				logger, log := quiet()
				r := start(t, `{}`, change, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Logger = logger })
				a := r.post(t, request(t, ``))
				if a.status != 500 || a.text("error") != "server_error" || !strings.Contains(log.String(), "a hook") {
					t.Errorf("status %d: %s; log %s", a.status, a.body, log)
				}
				if count, _ := r.store.CountClients(t.Context(), dcr.Filter{}); count != 0 {
					t.Errorf("%d clients are stored", count)
				}
			})
		}
	}
}

// A set of keys is judged again if a hook changes the bytes that were judged.
func TestKeysAreJudgedAgain(t *testing.T) {
	logger, log := quiet()
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) {
		o.Logger = logger
		o.Validator = lastWord{*v, func(c *dcr.Client) { copy(c.JWKS[bytes.Index(c.JWKS, []byte(`"AQAB"`)):], `"!!!!"`) }}
	})
	a := r.post(t, request(t, `{"jwks":{"keys":[`+rsaKey+`}]}}`))
	if a.status != 500 || !strings.Contains(log.String(), "a hook") {
		t.Errorf("status %d: %s; log %s", a.status, a.body, log)
	}
}

// After such an update the client is unchanged.
func TestFixedRulesHoldOnUpdate(t *testing.T) {
	broken := false
	logger, _ := quiet()
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) {
		o.Logger = logger
		o.Validator = hooked{*v, func(reg *dcr.Registration) error {
			if broken {
				reg.Client.RedirectURIs = nil
			}
			return nil
		}}
	})
	registered := r.register(t, request(t, ``))
	before := r.stored(t, registered)
	broken = true
	if a := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_name": "New"})); a.status != 500 {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	if after := r.stored(t, registered); after != before {
		t.Errorf("the client changed:\n%s\n%s", before, after)
	}
}
