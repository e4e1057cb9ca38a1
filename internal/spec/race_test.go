package spec_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// losing is a store in which another update always wins the race.
type losing struct {
	*memstore.Store
	mu    sync.Mutex
	races int // number of races still to lose
	win   func(ctx context.Context, id string)
}

func (l *losing) Update(ctx context.Context, client *dcr.Client) error {
	l.mu.Lock()
	race := l.races > 0
	l.races--
	l.mu.Unlock()
	if race {
		l.win(ctx, client.ID)
	}
	return l.Store.Update(ctx, client)
}

// An update that lost a race is judged again on the client as the winner left
// it, up to three times. Then the client is asked to try again later.
func TestRacingUpdates(t *testing.T) {
	for races, want := range map[int]int{0: 200, 1: 200, 3: 200, 4: 503} {
		t.Run(fmt.Sprintf("%d lost races", races), func(t *testing.T) {
			r := start(t, `{}`)
			store := &losing{Store: r.store, win: func(ctx context.Context, id string) {
				client, err := r.store.FindByClientID(ctx, id)
				if err != nil {
					t.Error(err)
					return
				}
				client.Notes += "+"
				if err := r.store.Update(ctx, client); err != nil {
					t.Error(err)
				}
			}}
			registered := r.register(t, request(t, ``))
			store.races = races
			r.over(t, store)
			a := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_name": "New"}))
			client := r.client(t, registered)
			if a.status != want || (client.ClientName == "New") != (want == 200) || client.Notes != strings.Repeat("+", races) {
				t.Errorf("status %d: %s; stored %s", a.status, a.body, encode(client))
			}
			if want == 503 && (a.header.Get("Retry-After") == "" || a.text("error") != "temporarily_unavailable") {
				t.Errorf("%s %v", a.body, a.header)
			}
		})
	}
}

// If a client is deleted, or loses its token, while its update is judged, the
// update does not restore it.
func TestUpdateThatLosesItsClient(t *testing.T) {
	for sentence, win := range map[string]func(s *memstore.Store) func(context.Context, string){
		"deleted": func(s *memstore.Store) func(context.Context, string) {
			return func(ctx context.Context, id string) { s.Delete(ctx, id) }
		},
		"disabled": func(s *memstore.Store) func(context.Context, string) {
			return func(ctx context.Context, id string) {
				client, _ := s.FindByClientID(ctx, id)
				client.Status = dcr.StatusDisabled
				s.Update(ctx, client)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := start(t, `{}`)
			registered := r.register(t, request(t, ``))
			store := &losing{Store: r.store, races: 1, win: win(r.store)}
			r.over(t, store)
			if a := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_name": "New"})); a.status != 401 {
				t.Errorf("status %d: %s", a.status, a.body)
			}
		})
	}
}
