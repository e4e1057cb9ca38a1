package main

// How many clients are added per second.

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/dynreg/dcr/sqlstore"
)

// throughput compares the store with the two floors.
func throughput(ctx context.Context, s *settings) error {
	fmt.Printf("%-12s %11s %9s %9s %9s %12s %12s  %-15s %s\n", "database", "connections", "floor/s", "table/s", "store/s", "store/floor", "store/table", "goal", "p50, p99 of the store (floor)")
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
	db, err := k.open(dsn, connections+2) // on SQLite each floor holds one
	if err != nil {
		return err
	}
	defer db.Close()
	store := sqlstore.New(db, k.dialect, nil)
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	measured := s.level.store(store)
	defer measured.close()
	subjects := []*subject{nil, nil, measured}
	for i, table := range []*floorTable{&ownTable, &sameTable} {
		insert, end, err := table.inserter(ctx, k, db)
		if err != nil {
			return err
		}
		defer end()
		subjects[i] = s.level.floor(insert)
		defer subjects[i].close()
	}
	floor, table := subjects[0], subjects[1]
	if err := k.fill(ctx, s, db, floor, measured); err != nil {
		return err
	}

	var toFloor, toTable []float64
	for round := range s.rounds + 1 {
		for i := range subjects { // each is the first of a round in turn
			if err := subjects[(round+i)%len(subjects)].turn(ctx, s.turn, connections); err != nil {
				return err
			}
		}
		if round == 0 { // all are warmed up now
			for _, s := range subjects {
				s.forget()
			}
			continue
		}
		toFloor = append(toFloor, measured.rate()/floor.rate())
		toTable = append(toTable, measured.rate()/table.rate())
	}
	ratio, goal := median(toTable), 0.97
	if k.name == "sqlite" && connections == 1 {
		goal = 0.9
	}
	verdict := "met"
	if ratio < goal {
		verdict = "MISSED"
	}
	fmt.Printf("%-12s %11d %9.0f %9.0f %9.0f %12.2f %12.2f  ≥ %.2f %-8s %v, %v (%v, %v)\n", k.name, connections,
		median(floor.rates), median(table.rates), median(measured.rates), median(toFloor), ratio, goal, verdict,
		measured.quantile(0.5), measured.quantile(0.99), floor.quantile(0.5), floor.quantile(0.99))
	return nil
}

// fill puts s.clients rows into both tables: copies of what the floor and the store add,
// with ids of their own kind.
func (k *kind) fill(ctx context.Context, s *settings, db *sql.DB, floor, measured *subject) error {
	if s.clients == 0 {
		return nil
	}
	for _, t := range []struct {
		adds   *subject
		table  string
		insert string
		row    func(n int, document string) []any
	}{
		{floor, "floor", "floor (id, document)", func(_ int, document string) []any { return []any{rand.Text(), document} }},
		{measured, "dcr_clients", "dcr_clients (tenant, client_id, created_at, document)", func(n int, document string) []any {
			return []any{"", clientID(n), micros(created(n)), document}
		}},
	} {
		add, err := t.adds.worker()
		if err == nil {
			err = add(ctx)
		}
		if err != nil {
			return err
		}
		var document string
		if err := db.QueryRowContext(ctx, "SELECT document FROM "+t.table).Scan(&document); err != nil {
			return err
		}
		for from := 0; from < s.clients; from += 500 {
			some := rows{table: t.insert}
			for n := from; n < min(from+500, s.clients); n++ {
				some.add(t.row(n, document)...)
			}
			if err := some.insert(ctx, db, k); err != nil {
				return err
			}
		}
		if err := k.settled(ctx, db, t.table); err != nil {
			return err
		}
	}
	return nil
}

// subject is what is measured. worker returns a function that adds one client and returns
// when the client is durable. Each concurrent worker has its own function.
type subject struct {
	worker func() (add func(ctx context.Context) error, err error)
	close  func()

	workers []func(ctx context.Context) error
	rates   []float64
	times   []time.Duration
}

func (s *subject) forget() { s.rates, s.times = nil, nil }

func (s *subject) quantile(q float64) time.Duration {
	median(s.times) // sorts them
	return s.times[min(len(s.times)-1, int(q*float64(len(s.times))))].Round(10 * time.Microsecond)
}

// rate returns the rate of the last turn.
func (s *subject) rate() float64 { return s.rates[len(s.rates)-1] }

// turn adds clients for a while and records how many it added per second.
func (s *subject) turn(ctx context.Context, length time.Duration, connections int) (err error) {
	for len(s.workers) < connections {
		add, err := s.worker()
		if err != nil {
			return err
		}
		s.workers = append(s.workers, add)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	start, done := time.Now(), 0
	for _, add := range s.workers[:connections] {
		all.Go(func() {
			var own []time.Duration
			var failed error
			for failed == nil && time.Since(start) < length {
				began := time.Now()
				failed = add(ctx)
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			s.times = append(s.times, own...)
			done += len(own)
			if failed != nil {
				err = failed
			}
		})
	}
	all.Wait()
	s.rates = append(s.rates, float64(done)/time.Since(start).Seconds())
	return err
}
