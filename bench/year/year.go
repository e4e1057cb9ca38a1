package main

// The simulation of a year.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

const (
	hosts      = 3
	workers    = 16 // concurrent requests of a host
	sweepHours = 12

	// Between these days no janitor runs, and only the ceiling limits the store.
	janitorGone, janitorBack = 200, 230
	forbidden                = 180 // the day on which half of the documents get 403
	withdrawn                = 250 // the day on which two of the documents are withdrawn
)

// begins is when the year begins. It is in the past, because stores accept no use later
// than now.
var begins = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// year is the simulation.
type year struct {
	settings  *settings
	name      string
	database  *database
	publisher *dcrtest.Publisher
	cleanup   cleanup
	hosts     [hosts]*host
	hour      atomic.Int64
	random    *rand.Rand
	took      time.Duration

	mu       sync.Mutex
	due      map[int][]*user // by hour
	inUse    map[string]bool // ids
	told     map[string]int  // by kind and reason
	days     []figures       // at the end of each day
	sum      figures         // since the year began
	examples []string        // examples of what went wrong
	size     int64           // of the database at the end, in bytes
}

// ceiling is Options.MaxClients.
func (y *year) ceiling() int64 { return int64(y.settings.registrations / 10) }

func (y *year) now() time.Time { return begins.Add(time.Duration(y.hour.Load()) * time.Hour) }

// cleanup replaces the test at whose end a publisher stops.
type cleanup struct {
	testing.TB
	todo []func()
}

func (c *cleanup) Helper()           {}
func (c *cleanup) Cleanup(do func()) { c.todo = append(c.todo, do) }
func (c *cleanup) Fatal(args ...any) { panic(fmt.Sprint(args...)) }
func (c *cleanup) Error(args ...any) { panic(fmt.Sprint(args...)) }
func (c *cleanup) run() {
	for _, do := range c.todo {
		do()
	}
}

// simulate runs a year.
func simulate(ctx context.Context, s *settings, name string) (_ *year, err error) {
	y := &year{settings: s, name: name, random: rand.New(rand.NewPCG(58, 46)), due: map[int][]*user{}, inUse: map[string]bool{}, told: map[string]int{}}
	if y.database, err = create(ctx, name, s.dir); err != nil {
		return nil, err
	}
	defer y.database.drop()
	defer y.cleanup.run()
	y.publish()
	for i := range y.hosts {
		if y.hosts[i], err = y.start(ctx); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, y.hosts[i].stop()) }()
	}
	began := time.Now()
	for hour := 0; hour < days*day; hour += s.step {
		y.hour.Store(int64(hour))
		if err := y.passes(ctx, hour); err != nil {
			return nil, err
		}
	}
	y.took = time.Since(began)
	if y.size, err = y.database.size(ctx); err != nil {
		return nil, err
	}
	return y, y.settle(ctx)
}

// passes runs the hours of a step, in which one host does all the work.
func (y *year) passes(ctx context.Context, hour int) (err error) {
	if hour > 0 && hour%y.settings.restartHours == 0 {
		i := hour / y.settings.restartHours % hosts
		if err := y.hosts[i].stop(); err != nil {
			return err
		}
		if y.hosts[i], err = y.start(ctx); err != nil {
			return err
		}
	}
	y.weather(hour)
	h := y.hosts[hour/y.settings.step%hosts]
	var all sync.WaitGroup
	tasks := make(chan func())
	for range workers {
		all.Go(func() {
			for task := range tasks {
				task()
			}
		})
	}
	var swept error
	if sweeps := hour%sweepHours == 0; sweeps && (hour < janitorGone*day || hour >= janitorBack*day) {
		all.Go(func() { _, swept = h.janitor.Sweep(ctx) })
	}
	y.work(ctx, h, hour, tasks)
	close(tasks)
	all.Wait()
	if err := errors.Join(swept, ctx.Err()); err != nil {
		return err
	}
	return y.count(ctx, h, hour)
}

// work sends the tasks of a step that begins at an hour.
func (y *year) work(ctx context.Context, h *host, hour int, tasks chan<- func()) {
	y.mu.Lock()
	var due []*user
	for before := range y.settings.step {
		due = append(due, y.due[hour-before]...)
		delete(y.due, hour-before)
	}
	y.mu.Unlock()
	for _, u := range due {
		tasks <- func() { y.used(u, hour, h.token(ctx, &u.credentials)) }
	}
	for i := range y.settings.documents { // each at its own hour, from its own day on
		at := i % day
		if hour%day <= at && at < hour%day+y.settings.step && hour/day >= i && (i >= 2 || hour < withdrawn*day) {
			tasks <- func() { y.login(ctx, h, i) }
		}
	}
	total, hours := y.settings.registrations, days*day
	for range total*(hour+y.settings.step)/hours - total*hour/hours {
		r := next(y.random, hour)
		tasks <- func() {
			got, err := h.register(ctx, r.body)
			y.registered(r, got, err)
		}
	}
}

// weather makes publishers misbehave.
func (y *year) weather(hour int) {
	change := func(from, step int, how dcrtest.Misbehaviour) {
		for i := from; i < y.settings.documents; i += step {
			y.publisher.Misbehave(documentPath(i), how)
		}
	}
	switch hour {
	case forbidden * day:
		change(0, 2, dcrtest.Forbids)
	case (forbidden + 1) * day:
		change(0, 2, dcrtest.Behaves)
	case withdrawn * day:
		y.mu.Lock()
		defer y.mu.Unlock()
		for i := range min(2, y.settings.documents) {
			y.publisher.Misbehave(documentPath(i), dcrtest.Withdraws)
			delete(y.inUse, y.publisher.URL(documentPath(i)))
		}
	case withdrawn*day + 4: // somebody uses them, and is refused
		for i := range min(2, y.settings.documents) {
			if _, err := y.hosts[0].published.FindByClientID(context.Background(), y.publisher.URL(documentPath(i))); !errors.Is(err, dcr.InvalidClient) {
				y.fault("a document that was withdrawn: %v", err)
			}
		}
	}
}
