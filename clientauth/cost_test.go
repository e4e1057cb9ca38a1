package clientauth_test

// RFC 6749 §10.10: a stranger must not learn anything from how much work an
// answer takes.

import (
	"context"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// shelf is a store in which it costs nothing to find a client, or not to find
// one.
type shelf map[string]*dcr.Client

func (s shelf) FindByClientID(_ context.Context, clientID string) (*dcr.Client, error) {
	if client := s[clientID]; client != nil {
		return client, nil
	}
	return nil, dcr.ErrClientNotFound
}
func (shelf) Add(context.Context, *dcr.Client) error    { return nil }
func (shelf) Update(context.Context, *dcr.Client) error { return nil }
func (shelf) Delete(context.Context, string) error      { return nil }

func (shelf) Remember(context.Context, string, time.Time, time.Time) (bool, error) { return true, nil }

// TestAForgedAssertionCostsTheSame counts allocations, which are the same in every
// run. Most come from the verification, so a refusal without it would be visible.
func TestAForgedAssertionCostsTheSame(t *testing.T) {
	own := newKey()
	keyed := func(id string, change func(*dcr.Client)) *dcr.Client {
		client := newClient(id, "private_key_jwt", change)
		client.JWKS = []byte(`{"keys":[` + jwk(own, `"kid":"its own",`) + `]}`)
		return client
	}
	store := make(shelf)
	for _, client := range []*dcr.Client{
		newClient("with a secret", "client_secret_basic", withSecret),
		newClient("public", "none", nil),
		newClient("without keys", "private_key_jwt", nil),
		newClient("whose secret nothing opens", "client_secret_jwt", withSecret),
		keyed("with keys", nil),
		keyed("of another algorithm", func(c *dcr.Client) { c.TokenEndpointAuthSigningAlg = "PS256" }),
		keyed("disabled", func(c *dcr.Client) { c.Status = dcr.StatusDisabled }),
	} {
		store[client.ID] = client
	}
	for _, header := range []string{`{"alg":"ES256"}`, `{"alg":"ES256","kid":"its own"}`, `{"alg":"ES256","kid":"another"}`} {
		cost := func(clientID string) float64 {
			a, forged := newAuthenticator(store), jws(newKey(), header, claims(clientID, nil))
			return testing.AllocsPerRun(10, func() {
				if got := outcome(a, asserting(forged)); got != "401 invalid_client" {
					t.Fatalf("of a client %s: %s", clientID, got)
				}
			})
		}
		nobodys := cost("that is not there")
		for id := range store {
			if got := cost(id); got < 0.7*nobodys || got > 1.5*nobodys {
				t.Errorf("%s of a client %s costs %v allocations, of an unknown client %v", header, id, got, nobodys)
			}
		}
	}
}
