package zitadeloidc

// A registered client as op.Client, and the methods of op.Storage about clients.

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

// Client is a registered client as zitadel/oidc needs it.
type Client struct {
	Registered *dcr.Client
	loginURL   func(id string) string
}

var _ op.Client = Client{}

// registered is also a method of a host's own type that embeds Client.
func (c Client) registered() *dcr.Client { return c.Registered }

func (c Client) GetID() string                        { return c.Registered.ID }
func (c Client) RedirectURIs() []string               { return c.Registered.RedirectURIs }
func (c Client) PostLogoutRedirectURIs() []string     { return c.Registered.PostLogoutRedirectURIs }
func (c Client) LoginURL(id string) string            { return c.loginURL(id) }
func (c Client) IDTokenLifetime() time.Duration       { return c.Registered.IdentityTokenLifetime }
func (c Client) DevMode() bool                        { return false }
func (c Client) IDTokenUserinfoClaimsAssertion() bool { return false }
func (c Client) ClockSkew() time.Duration             { return 0 }

// ApplicationType returns Web only for confidential clients, because zitadel/oidc treats
// every Web client as confidential.
func (c Client) ApplicationType() op.ApplicationType {
	switch {
	case c.Registered.ApplicationType == "native":
		return op.ApplicationTypeNative
	case c.Registered.Public():
		return op.ApplicationTypeUserAgent
	}
	return op.ApplicationTypeWeb
}

func (c Client) AuthMethod() oidc.AuthMethod {
	return oidc.AuthMethod(c.Registered.TokenEndpointAuthMethod)
}

func (c Client) AccessTokenType() op.AccessTokenType {
	if c.Registered.AccessTokenType == dcr.AccessTokenJWT {
		return op.AccessTokenTypeJWT
	}
	return op.AccessTokenTypeBearer
}

func (c Client) ResponseTypes() (types []oidc.ResponseType) {
	for _, name := range c.Registered.ResponseTypes {
		types = append(types, oidc.ResponseType(name))
	}
	return types
}

func (c Client) GrantTypes() (types []oidc.GrantType) {
	for _, name := range c.Registered.GrantTypes {
		if c.Registered.HasGrant(name) {
			types = append(types, oidc.GrantType(name))
		}
	}
	return types
}

func (c Client) IsScopeAllowed(scope string) bool {
	return slices.Contains(c.Registered.GrantScopes([]string{scope}), scope)
}

func (c Client) RestrictAdditionalIdTokenScopes() func(scopes []string) []string {
	return c.Registered.GrantScopes
}

func (c Client) RestrictAdditionalAccessTokenScopes() func(scopes []string) []string {
	return c.Registered.GrantScopes
}

// Clients has the methods of an op.Storage that are about clients. Embed it in your
// op.Storage. Its methods that authenticate a client accept only clients that [Server]
// has authenticated, so the op.Provider does not work without Server.
type Clients struct {
	Store    dcr.ClientConfigurationStore // finds clients; with package cimd, cimd.Store.Known
	LoginURL func(id string) string       // returns the URL where a person signs in and consents to the authorization request with this id
}

// GetClientByClientID returns a [Client] that is usable now. An outage is an
// oidc.ErrServerError.
func (c Clients) GetClientByClientID(ctx context.Context, clientID string) (op.Client, error) {
	client, err := c.Store.FindByClientID(ctx, clientID)
	switch {
	case isGone(err):
		return nil, oidc.ErrInvalidClient().WithParent(err)
	case err != nil:
		return nil, oidc.ErrServerError().WithParent(err)
	}
	if err := client.CheckUsable(time.Now()); err != nil {
		return nil, oidc.ErrInvalidClient().WithParent(err)
	}
	return c.client(client), nil
}

// isGone reports whether a store says that there is no such client, or refuses its metadata
// document. Any other error is an outage.
func isGone(err error) bool { return errors.Is(err, dcr.ErrClientNotFound) || refusal(err) != nil }

// refusal returns the error with which a cimd.Store refuses a client, nil for an outage.
func refusal(err error) *dcr.Error {
	refused, _ := errors.AsType[*dcr.Error](err)
	if !refused.Refuses() {
		return nil
	}
	return refused
}

// AuthorizeClientIDSecret accepts the client that Server has authenticated.
func (c Clients) AuthorizeClientIDSecret(ctx context.Context, clientID, _ string) error {
	_, err := c.authenticated(ctx, clientID)
	return err
}

// ClientCredentials returns the client that Server has authenticated. For the grant
// client_credentials, an op.Storage needs ClientCredentialsTokenRequest too.
func (c Clients) ClientCredentials(ctx context.Context, clientID, _ string) (op.Client, error) {
	return c.authenticated(ctx, clientID)
}

// GetKeyByIDAndClientID always fails, because Server verifies assertions itself, and
// remembers them.
func (c Clients) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errServe
}

// ValidateJWTProfileScopes always fails, because Server does not support the grant
// jwt-bearer.
func (c Clients) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, oidc.ErrUnauthorizedClient()
}

var errServe = oidc.ErrServerError().WithParent(errors.New("zitadeloidc: serve zitadeloidc.Server instead of the op.Provider"))

func (c Clients) authenticated(ctx context.Context, clientID string) (op.Client, error) {
	sender := clientauth.FromContext(ctx)
	if sender == nil || clientID != "" && sender.Client.ID != clientID {
		return nil, errServe
	}
	return c.client(sender.Client), nil
}

func (c Clients) client(client *dcr.Client) Client { return Client{client, c.LoginURL} }

// embedded lets NewServer find the Clients in an op.Storage.
func (c Clients) embedded() Clients { return c }
