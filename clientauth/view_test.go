package clientauth_test

import (
	"context"
	"net/url"
	"slices"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
)

// TestAuthenticationIsACopy checks that a host may change the client that it got
// without affecting the next request, although the store shares its own.
func TestAuthenticationIsACopy(t *testing.T) {
	memory := newStore(t, newClient("app", "client_secret_basic", func(c *dcr.Client) {
		c.Secrets = []dcr.Secret{dcr.HashSecret("right")}
		c.GrantTypes, c.ClientName = []string{"authorization_code"}, "App"
		c.Localized = map[string]string{"client_name#de": "Anwendung"}
	}))
	for name, store := range map[string]dcr.ClientConfigurationStore{"memstore": memory, "cachestore": cachestore.New(memory, nil)} {
		a := newAuthenticator(store)
		for range 2 {
			authentication, err := a.Authenticate(post("app:right", url.Values{}))
			if err != nil {
				t.Fatal(err)
			}
			got := authentication.Client
			if got.ClientName != "App" || !slices.Equal(got.GrantTypes, []string{"authorization_code"}) || got.Localized["client_name#de"] != "Anwendung" {
				t.Fatalf("%s: the client has the changes that the host made in an earlier request: %+v", name, got.Metadata)
			}
			got.ClientName, got.GrantTypes[0], got.Localized["client_name#de"], got.Secrets[0].Value = "Mine", "implicit", "Meine", ""
		}
	}
}

// TestViewIsNotLookedForBehindAWrapper checks that a wrapper that hides clients
// of the store inside hides them from the token endpoint too.
func TestViewIsNotLookedForBehindAWrapper(t *testing.T) {
	inside := newStore(t, newClient("app", "client_secret_basic", func(c *dcr.Client) { c.Secrets = []dcr.Secret{dcr.HashSecret("right")} }))
	store := hiding{inside}
	if _, ok := dcr.StoreAs[dcr.ClientToucher](store); !ok {
		t.Fatal("the wrapper has no capability of the store inside")
	}
	if _, ok := dcr.StoreAs[dcr.ClientViewer](store); ok {
		t.Error("the wrapper shows what the store inside does")
	}
	if _, err := newAuthenticator(store).Authenticate(post("app:right", url.Values{})); err == nil {
		t.Error("a client that the store does not find was authenticated")
	}
}

// hiding finds nothing.
type hiding struct{ dcr.ClientConfigurationStore }

func (h hiding) FindByClientID(context.Context, string) (*dcr.Client, error) {
	return nil, dcr.ErrClientNotFound
}

func (h hiding) As(target any) bool { return dcr.StoreInto(h.ClientConfigurationStore, target) }
