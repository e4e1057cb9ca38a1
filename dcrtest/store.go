package dcrtest

// TestStore, and how it runs its cases.

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// TestStore checks that a store keeps the contract of
// [dcr.ClientConfigurationStore], and of every optional capability that it has
// (see [dcr.StoreAs]). For every case it calls newStore, which must return a
// new, empty store; release its resources with t.Cleanup.
//
//	func TestMyStore(t *testing.T) {
//		dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
//			return mystore.New(t.TempDir())
//		})
//	}
func TestStore(t *testing.T, newStore func(t *testing.T) dcr.ClientConfigurationStore) {
	t.Helper()
	for _, c := range storeCases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
			defer cancel()
			switch err := c.check(ctx, newStore(t)); {
			case errors.Is(err, errLacks):
				t.Skip(err)
			case err != nil:
				t.Errorf("%s\n%v", c.sentence, err)
			}
		})
	}
}

// caseTimeout bounds one case, so that a store that blocks fails instead of
// hanging.
const caseTimeout = time.Minute

// storeCase is one rule of the contract.
type storeCase struct {
	name     string
	sentence string // the rule, for the author of a store that breaks it
	check    func(ctx context.Context, store dcr.ClientConfigurationStore) error
}

var storeCases []storeCase

func init() {
	for _, group := range [][]storeCase{
		basicCases, revisionCases, fieldCases, concurrencyCases, listCases, recentCases, touchCases, noteCases, viewCases, sweepCases, evictCases, tokenCases, replayCases, forgetCases,
	} {
		storeCases = append(storeCases, group...)
	}
}

// errLacks skips the cases of a capability that the store does not have.
var errLacks = errors.New("the store lacks an optional capability")

func capability[T any](store dcr.ClientConfigurationStore) (T, error) {
	have, ok := dcr.StoreAs[T](store)
	if !ok {
		return have, fmt.Errorf("%w: %v", errLacks, reflect.TypeFor[T]())
	}
	return have, nil
}

// newClient returns a client like one that registered itself.
func newClient(id string) *dcr.Client {
	client := dcr.NewClient()
	client.ID = id
	client.Source = dcr.SourceDynamic
	client.ClientName = "Client " + id
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	client.GrantTypes = []string{"authorization_code"}
	client.ResponseTypes = []string{"code"}
	client.Secrets = []dcr.Secret{dcr.HashSecret("secret of " + dcr.Plaintext(id))}
	client.RegistrationTokens = []dcr.Secret{dcr.HashSecret("token of " + dcr.Plaintext(id))}
	client.CreatedAt = day(0)
	client.UpdatedAt = day(0)
	return client
}

// day returns the time n days after a fixed date. All of these are in the past.
func day(n int) time.Time { return time.Date(1999, 1, 1+n, 9, 30, 0, 123456000, time.UTC) }

func add(ctx context.Context, store dcr.ClientConfigurationStore, clients ...*dcr.Client) error {
	for _, client := range clients {
		if err := store.Add(ctx, client); err != nil {
			return fmt.Errorf("Add(%q) failed: %w", client.ID, err)
		}
	}
	return nil
}

// want compares a result with the error that the contract names.
func want(call string, got, want error) error {
	switch {
	case want == nil && got != nil:
		return fmt.Errorf("%s failed: %w", call, got)
	case !errors.Is(got, want):
		return fmt.Errorf("%s returned %v, not %v", call, got, want)
	}
	return nil
}

// wantStored compares what the store has with the client that it should have.
func wantStored(ctx context.Context, store dcr.ClientConfigurationStore, client *dcr.Client) error {
	found, err := store.FindByClientID(ctx, client.ID)
	if err != nil {
		return fmt.Errorf("FindByClientID(%q) failed: %w", client.ID, err)
	}
	return sameClient(found, client)
}
