package fosite

// A registered client as fosite.Client.

import (
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/dynreg/dcr"
)

// Client is a registered client as fosite needs it. It does not implement
// fosite.OpenIDConnectClient, so fosite never fetches the URLs of a client and never
// verifies assertions: package clientauth does both. Request objects are not supported.
type Client struct {
	Registered *dcr.Client
	redirect   string // if not "", the redirect URI of the checked request, in place of all others
	refreshing bool   // the client passes the checks of fosite at a refresh, because grants does its own
}

var (
	_ fosite.Client                         = Client{}
	_ fosite.ResponseModeClient             = Client{}
	_ fosite.ClientWithCustomTokenLifespans = Client{}
)

func (c Client) GetID() string                      { return c.Registered.ID }
func (c Client) GetHashedSecret() []byte            { return nil }
func (c Client) IsPublic() bool                     { return c.Registered.Public() }
func (c Client) GetResponseTypes() fosite.Arguments { return c.Registered.ResponseTypes }

// registered is also a method of a host's own type that embeds Client.
func (c Client) registered() *dcr.Client { return c.Registered }

func (c Client) GetScopes() fosite.Arguments {
	if c.refreshing {
		return fosite.Arguments{anyScope}
	}
	return strings.Fields(c.Registered.Scope)
}

func (c Client) GetAudience() fosite.Arguments {
	if c.refreshing {
		return nil
	}
	return c.Registered.Resources
}

func (c Client) GetRedirectURIs() []string {
	if c.redirect != "" {
		return []string{c.redirect}
	}
	return c.Registered.RedirectURIs
}

func (c Client) GetGrantTypes() fosite.Arguments {
	return slices.DeleteFunc(slices.Clone(c.Registered.GrantTypes), func(grantType string) bool { return !c.Registered.HasGrant(grantType) })
}

// GetResponseModes returns all modes, because Client.CheckAuthorization checks them.
func (c Client) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeQuery, fosite.ResponseModeFragment, fosite.ResponseModeFormPost}
}

// GetEffectiveLifespan returns fallback for refresh tokens: [Clients.Configure] sets
// their lifetime, because it knows when the grant began.
func (c Client) GetEffectiveLifespan(_ fosite.GrantType, token fosite.TokenType, fallback time.Duration) time.Duration {
	switch token {
	case fosite.AccessToken:
		return c.Registered.AccessTokenLifetime
	case fosite.IDToken:
		return c.Registered.IdentityTokenLifetime
	}
	return fallback
}
