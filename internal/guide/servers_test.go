package guide

// The code of docs/from-hydra.md and docs/from-node-oidc-provider.md.

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

func likeHydra(store dcr.ClientConfigurationStore) (*dcr.Handler, error) {
	return dcr.NewHandler(store, &dcr.Options{
		Endpoint:                "https://id.example.com/oauth2/register",
		ClientURI:               "https://id.example.com/oauth2/register/{client_id}",
		AllowAnonymous:          true, // oidc.dynamic_client_registration.enabled
		MaxClients:              100_000,
		RotateRegistrationToken: true,
		Validator: dcr.DefaultValidator{
			Supports: dcr.Capabilities{
				GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
				TokenEndpointAuthMethods: []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
				Scopes:                   []string{"openid", "offline_access", "offline"},
				SubjectTypes:             []string{"public"},
			},
			DefaultScopes: []string{"openid"}, // oidc.dynamic_client_registration.default_scope
		},
	})
}

func machine(ctx context.Context, store dcr.ClientConfigurationStore) (dcr.Plaintext, error) {
	client := dcr.NewClient()
	client.ID = "nightly"
	client.GrantTypes = []string{"client_credentials"}
	client.TokenEndpointAuthMethod = "client_secret_basic"
	client.Scope = "reports:read"
	client.AccessTokenLifetime = 10 * time.Minute // client_credentials_grant_access_token_lifespan
	client.Source = "operator"
	secret, kept, err := dcr.RandomClientSecret(ctx, &dcr.Registration{Client: client})
	if err != nil {
		return "", err
	}
	client.Secrets = []dcr.Secret{kept}
	return secret, store.Add(ctx, client)
}

func TestLikeHydra(t *testing.T) {
	store := memstore.New()
	h, err := likeHydra(store)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := post(h, "", `{"redirect_uris":["https://app.example.com/a"]}`); status != http.StatusCreated || !strings.Contains(body, `"scope":"openid"`) {
		t.Error(status, body)
	}
	secret, err := machine(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	client, err := store.FindByClientID(t.Context(), "nightly")
	if err != nil || !client.VerifySecret(secret.Reveal(), time.Now()) {
		t.Error(client, err)
	}
}

// department is a custom member: extraClientMetadata.
var department = dcr.NewField[string]("department").Check(func(name string) error {
	if name == "" || len(name) > 40 {
		return dcr.Errorf(dcr.InvalidClientMetadata, "department must have 1 to 40 bytes")
	}
	return nil
})

func likeNode(store dcr.ClientConfigurationStore, tokens dcr.InitialAccessTokenStore) (*dcr.Handler, error) {
	server := dcr.DefaultValidator{
		Supports:   dcr.Capabilities{Scopes: []string{"openid", "profile"}, SubjectTypes: []string{"public"}},
		Extensions: []dcr.Extension{department},
	}
	initial := &callerauth.InitialAccessTokens{Store: tokens} // features.registration.initialAccessToken
	return dcr.NewHandler(store, &dcr.Options{
		Endpoint:  "https://id.example.com/reg",
		ClientURI: "https://id.example.com/reg/{client_id}",
		Caller:    initial.Authenticate,
		Validator: server,
		Policies: map[string]dcr.Validator{ // features.registration.policies
			"partners": policy.Stack(server, policy.RedirectHosts("*.partner.example"), policy.RequireContacts()),
		},
		RotateRegistrationToken: true, // features.registrationManagement.rotateRegistrationAccessToken
	})
}

func invite(ctx context.Context, tokens dcr.InitialAccessTokenStore) (dcr.Plaintext, error) {
	initial := &callerauth.InitialAccessTokens{Store: tokens}
	token, _, err := initial.Issue(ctx, dcr.InitialAccessToken{
		Policy: "partners", Subject: "Partner Ltd", MaxUses: 3, ExpiresAt: time.Now().Add(7 * 24 * time.Hour),
	})
	return token, err
}

func TestLikeNode(t *testing.T) {
	store := memstore.New()
	h, err := likeNode(store, store)
	if err != nil {
		t.Fatal(err)
	}
	token, err := invite(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]int{
		`{"redirect_uris":["https://app.partner.example/a"],"contacts":["ops@partner.example"],"department":"sales"}`: http.StatusCreated,
		`{"redirect_uris":["https://app.elsewhere.example/a"],"contacts":["ops@partner.example"]}`:                    http.StatusBadRequest,
	} {
		if status, answer := post(h, token.Reveal(), body); status != want {
			t.Error(body, status, answer)
		}
	}
	if status, _ := post(h, "", `{}`); status != http.StatusUnauthorized {
		t.Error(status)
	}
}
