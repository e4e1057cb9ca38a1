package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// adder adds one client and returns when it is durable.
type adder func(ctx context.Context, client *dcr.Client) error

// throughput compares the store with the floor.
func throughput(ctx context.Context, s *settings) error {
	fmt.Printf("%-12s %11s %12s %12s %8s   %s\n", "database", "connections", "floor/s", "store/s", "ratio", "p50, p99 of the store (floor)")
	for _, k := range s.kinds {
		for _, connections := range s.connections {
			if err := k.compare(ctx, s, connections); err != nil {
				fmt.Printf("%-12s left out: %v\n", k.name, err)
				break
			}
		}
	}
	return ctx.Err()
}

func (k *kind) compare(ctx context.Context, s *settings, connections int) error {
	dsn, drop, err := k.create(ctx, s.dir)
	if err != nil {
		return err
	}
	defer drop()
	db, err := k.open(dsn, connections+1) // on SQLite the floor keeps one
	if err != nil {
		return err
	}
	defer db.Close()
	store := sqlstore.New(db, k.dialect, nil)
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	floor, closeFloor, err := newFloor(ctx, k, db)
	if err != nil {
		return err
	}
	defer closeFloor()
	var floors, stores, ratios []float64
	var floorTimes, storeTimes []time.Duration
	for round := range s.rounds + 1 {
		first, firstTimes, err := turn(ctx, s.turn, connections, floor)
		if err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		second, secondTimes, err := turn(ctx, s.turn, connections, store.Add)
		if err != nil {
			return err
		}
		if round == 0 {
			continue // both are warm now
		}
		floors, stores, ratios = append(floors, first), append(stores, second), append(ratios, second/first)
		floorTimes, storeTimes = append(floorTimes, firstTimes...), append(storeTimes, secondTimes...)
	}
	fmt.Printf("%-12s %11d %12.0f %12.0f %8.2f   %v, %v (%v, %v)\n", k.name, connections, median(floors), median(stores), median(ratios),
		quantile(storeTimes, 0.5), quantile(storeTimes, 0.99), quantile(floorTimes, 0.5), quantile(floorTimes, 0.99))
	return nil
}

func quantile(times []time.Duration, q float64) time.Duration {
	median(times) // sorts them
	return times[min(len(times)-1, int(q*float64(len(times))))].Round(10 * time.Microsecond)
}

// turn adds clients for a while and returns how many a second, and how long
// each took.
func turn(ctx context.Context, length time.Duration, connections int, add adder) (rate float64, times []time.Duration, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	start := time.Now()
	for range connections {
		all.Go(func() {
			var own []time.Duration
			var failed error
			for failed == nil && time.Since(start) < length {
				client := typicalClient(rand.Text())
				began := time.Now()
				failed = add(ctx, client)
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, own...)
			if failed != nil {
				err = failed
			}
		})
	}
	all.Wait()
	return float64(len(times)) / time.Since(start).Seconds(), times, err
}

// typicalClient is what a web application registers.
func typicalClient(id string) *dcr.Client {
	client := dcr.NewClient()
	client.ID = id
	client.Source = dcr.SourceDynamic
	client.ClientName = "My Dynamic App"
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	client.GrantTypes = []string{"authorization_code", "refresh_token"}
	client.ResponseTypes = []string{"code"}
	client.TokenEndpointAuthMethod = "client_secret_basic"
	client.Scope = "openid profile email offline_access"
	client.ApplicationType = "web"
	client.Secrets = []dcr.Secret{{Type: dcr.SecretSHA256, Value: "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"}}
	client.RegistrationTokens = []dcr.Secret{{Type: dcr.SecretSHA256, Value: "A6xnQhbz4Vx2HuGl4lXwZ5U2I8iziLRFnhP5eNfIRvQ"}}
	client.CreatedAt = time.Now().UTC()
	client.UpdatedAt = client.CreatedAt
	return client
}
