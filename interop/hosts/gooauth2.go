package hosts

// A server on go-oauth2/oauth2.

import (
	"context"
	"net/http"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"

	"github.com/dynreg/dcr"
)

// newGoOAuth2 returns an authorization server on go-oauth2/oauth2, as in the beginning
// of its README.
func newGoOAuth2(issuer string, clients dcr.ClientConfigurationStore) (http.Handler, error) {
	manager := manage.NewDefaultManager()
	manager.MustTokenStorage(store.NewMemoryTokenStore())
	manager.MapClientStorage(goOAuth2Clients{clients})
	served := server.NewDefaultServer(manager)
	served.SetClientInfoHandler(func(r *http.Request) (string, string, error) {
		if id, secret, err := server.ClientBasicHandler(r); err == nil {
			return id, secret, nil
		}
		return server.ClientFormHandler(r)
	})
	served.SetUserAuthorizationHandler(func(http.ResponseWriter, *http.Request) (string, error) {
		return "person", nil // the person is signed in and consents
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		if err := served.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		if err := served.HandleTokenRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.Handle("/.well-known/oauth-authorization-server", discovery(issuer, nil))
	return mux, nil
}

type goOAuth2Clients struct{ clients dcr.ClientConfigurationStore }

func (s goOAuth2Clients) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	client, err := s.clients.FindByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return goOAuth2Client{client}, nil
}

// goOAuth2Client is a client as go-oauth2 needs it.
type goOAuth2Client struct{ client *dcr.Client }

func (c goOAuth2Client) GetID() string     { return c.client.ID }
func (c goOAuth2Client) GetSecret() string { return "" } // only its hash is stored
func (c goOAuth2Client) GetDomain() string { return c.client.RedirectURIs[0] }
func (c goOAuth2Client) IsPublic() bool    { return c.client.Public() }
func (c goOAuth2Client) GetUserID() string { return c.client.RegisteredBy }

func (c goOAuth2Client) VerifyPassword(secret string) bool {
	return c.client.Public() || c.client.VerifySecret(secret, time.Now())
}
