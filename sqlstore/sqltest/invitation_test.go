package sqltest

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/sqlstore"
)

// TestAHundredRegistrationsWithATokenForTen checks that hosts that share a
// database never register more clients with a token than it allows.
func TestAHundredRegistrationsWithATokenForTen(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		dsn := d.create(t)
		var hosts []*dcr.Handler
		var store *sqlstore.Store
		for range 2 {
			store = d.storeIn(t, d.open(t, dsn), nil)
			handler, err := dcr.NewHandler(store, &dcr.Options{
				Endpoint: "https://id.example.com/connect/dcr",
				Caller:   (&callerauth.InitialAccessTokens{Store: store}).Authenticate,
			})
			if err != nil {
				t.Fatal(err)
			}
			hosts = append(hosts, handler)
		}
		token, _, err := (&callerauth.InitialAccessTokens{Store: store}).Issue(t.Context(), dcr.InitialAccessToken{MaxUses: 10})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		answers := make(map[int]int)
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				request := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["https://app.example.com/callback"]}`))
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Authorization", "Bearer "+token.Reveal())
				answer := httptest.NewRecorder()
				hosts[i%2].ServeHTTP(answer, request)
				mu.Lock()
				defer mu.Unlock()
				answers[answer.Code]++
			})
		}
		all.Wait()
		if got := fmt.Sprint(answers); got != "map[201:10 401:90]" {
			t.Errorf("the answers are %s", got)
		}
		if count, err := store.CountClients(t.Context(), dcr.Filter{}); err != nil || count != 10 {
			t.Errorf("%d clients are stored (%v)", count, err)
		}
	})
}
