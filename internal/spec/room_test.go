package spec_test

// Which clients make room at Options.MaxClients.

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// crowd is a server with MaxClients 3, whose clock the test sets.
type crowd struct {
	store   *memstore.Store
	handler *dcr.Handler
	told    sink
	now     time.Time
	deleted []string
}

func newCrowd(t *testing.T, opts dcr.Options) *crowd {
	c := &crowd{store: memstore.New(), now: noon}
	opts.AllowAnonymous, opts.MaxClients, opts.Events = true, 3, c.told.tell
	opts.Now = func() time.Time { return c.now }
	opts.AfterDelete = func(_ context.Context, client *dcr.Client) error {
		c.deleted = append(c.deleted, client.ID)
		return nil
	}
	c.handler = newHandler(t, c.store, opts)
	return c
}

// register registers a client and returns its id, or "" and the Retry-After in
// seconds if it is refused.
func (c *crowd) register(t *testing.T) (id string, retryAfter int) {
	t.Helper()
	a := ask(t, c.handler, "POST", registerURL, "", plainBody)
	if a.status == 201 {
		return a.text("client_id"), 0
	}
	answered(t, a, 503, dcr.TemporarilyUnavailable)
	retryAfter, _ = strconv.Atoi(a.header.Get("Retry-After"))
	return "", retryAfter
}

func (c *crowd) change(t *testing.T, id string, change func(*dcr.Client)) {
	t.Helper()
	client, err := c.store.FindByClientID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	change(client)
	if err := c.store.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
}

func TestTheOldestUnusedMakesRoom(t *testing.T) {
	c := newCrowd(t, dcr.Options{})
	var ids []string
	for range 3 {
		id, _ := c.register(t)
		ids = append(ids, id)
	}
	used, second, third := ids[0], ids[1], ids[2]
	isOld := func(age time.Duration) func(*dcr.Client) {
		return func(client *dcr.Client) { client.CreatedAt = noon.Add(-age) }
	}
	c.change(t, used, isOld(30*time.Hour))
	c.change(t, second, isOld(23*time.Hour+time.Minute))
	c.change(t, third, isOld(23*time.Hour))
	if err := c.store.TouchClient(t.Context(), used, noon); err != nil {
		t.Fatal(err)
	}
	c.told.take()
	if id, wait := c.register(t); id != "" || wait != 59*60 {
		t.Errorf("registered %q, or told to wait %d seconds, want 59 minutes", id, wait)
	}
	if event := c.told.one(t, dcr.RequestRefused); event.Err.Rule != "store.full" {
		t.Errorf("told of rule %q", event.Err.Rule)
	}
	c.change(t, second, isOld(24*time.Hour-1500*time.Millisecond))
	if id, wait := c.register(t); id != "" || wait != 2 {
		t.Errorf("registered %q, or told to wait %d seconds, want 2", id, wait)
	}
	c.told.take()
	c.change(t, second, isOld(24*time.Hour+time.Second))
	if id, _ := c.register(t); id == "" {
		t.Error("nobody made room")
	}
	if events := c.told.take(); len(events) != 2 || events[0].Kind != dcr.ClientEvicted || events[0].ClientID != second || events[0].Reason != "ceiling" ||
		events[0].Source != dcr.SourceDynamic || events[0].Caller != nil || events[1].Kind != dcr.ClientRegistered {
		t.Errorf("told %+v", events)
	}
	if !slices.Equal(c.deleted, []string{second}) {
		t.Errorf("AfterDelete was told of %q", c.deleted)
	}
	c.change(t, third, isOld(48*time.Hour))
	c.change(t, third, func(client *dcr.Client) { client.Status = dcr.StatusDisabled })
	if id, wait := c.register(t); id != "" || wait != 24*3600 {
		t.Errorf("registered %q, or told to wait %d seconds, want 24 hours, since a disabled client stays", id, wait)
	}
	stored(t, c.store, 3)
}

// Room that was made while nobody registered is available to the next
// registration, even if no client can be evicted.
func TestRoomThatASweepMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, dcr.Options{})
		var ids []string
		for range 3 {
			id, _ := c.register(t)
			ids = append(ids, id)
		}
		c.now = c.now.Add(time.Minute)
		synctest.Wait()
		if id, _ := c.register(t); id != "" {
			t.Fatal("there is no room yet")
		}
		synctest.Wait()
		if err := c.store.Delete(t.Context(), ids[0]); err != nil {
			t.Fatal(err)
		}
		c.now = c.now.Add(time.Hour)
		if id, _ := c.register(t); id == "" {
			t.Error("a registration after a sweep is refused")
		}
	})
}

func TestWhoNeverMakesRoom(t *testing.T) {
	for _, test := range []struct {
		sentence string
		change   func(*dcr.Client)
	}{
		{"a client that is pending", func(c *dcr.Client) { c.Status = dcr.StatusPending }},
		{"a client of the host", func(c *dcr.Client) { c.Source = "" }},
		{"a client that was used", func(c *dcr.Client) { c.Touch(noon) }},
	} {
		c := newCrowd(t, dcr.Options{EvictAfter: time.Minute})
		for range 3 {
			id, _ := c.register(t)
			c.change(t, id, test.change)
		}
		c.now = c.now.Add(365 * 24 * time.Hour)
		if id, wait := c.register(t); id != "" || wait != 5 {
			t.Errorf("%s made room, or the answer is to wait %d seconds", test.sentence, wait)
		}
		stored(t, c.store, 3)
	}
}

// TestTheFirstEvictionIsWarnedOf checks that a host which never touches its clients
// reads once that they go.
func TestTheFirstEvictionIsWarnedOf(t *testing.T) {
	logger, lines := quiet()
	c := newCrowd(t, dcr.Options{EvictAfter: time.Minute, Logger: logger})
	for range 3 {
		c.register(t)
	}
	if strings.Contains(lines.String(), "TouchClient") {
		t.Errorf("warned while there was room: %s", lines)
	}
	c.now = c.now.Add(time.Hour)
	for range 3 {
		c.register(t)
		if strings.Count(lines.String(), "TouchClient") != 1 || len(c.deleted) == 0 {
			t.Errorf("%d clients were evicted, and not warned of once: %s", len(c.deleted), lines)
		}
	}
}

func TestNobodyIsEvicted(t *testing.T) {
	c := newCrowd(t, dcr.Options{EvictAfter: -1})
	for range 3 {
		c.register(t)
	}
	c.now = c.now.Add(365 * 24 * time.Hour)
	if id, wait := c.register(t); id != "" || wait != 5 {
		t.Errorf("registered %q, or told to wait %d seconds", id, wait)
	}
}

// The client of a document may be evicted, and storing one never needs room.
func TestDocumentsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, dcr.Options{EvictAfter: time.Minute})
		c.register(t)
		for i := range 5 {
			client := dcr.NewClient()
			client.ID, client.Source, client.CreatedAt = fmt.Sprintf("https://%d.example/client", i), dcr.SourceDocument, noon.Add(time.Duration(i-10)*time.Second)
			if err := c.store.Add(t.Context(), client); err != nil {
				t.Fatal(err)
			}
		}
		c.now = noon.Add(11 * time.Second) // it is counted again
		for range 2 {
			c.register(t)
		}
		c.now = noon.Add(time.Hour)
		for c.deleted = nil; len(c.deleted) < 4; { // each registration evicts two, until there are no more than three
			if id, wait := c.register(t); id == "" {
				t.Fatalf("told to wait %d seconds", wait)
			}
		}
		if c.deleted[0] != "https://0.example/client" || c.deleted[1] != "https://1.example/client" {
			t.Errorf("deleted %q", c.deleted)
		}
		for tries := 0; ; tries++ {
			if count, err := c.store.CountClients(t.Context(), dcr.Filter{}); err != nil || tries == 100 {
				t.Fatalf("%d clients stay, %v", count, err)
			} else if count == 3 {
				return
			}
			c.now = c.now.Add(time.Hour)
			c.register(t)
			synctest.Wait() // for the count
		}
	})
}

// Many registrations at once at the ceiling evict as many clients, and do not
// exceed it.
func TestEvictionAtOnce(t *testing.T) {
	store := memstore.New()
	var told sink
	now := noon
	h := newHandler(t, store, dcr.Options{AllowAnonymous: true, MaxClients: 50, EvictAfter: time.Minute, Now: func() time.Time { return now }, Events: told.tell})
	rush(t, h, 50, "", plainBody)
	told.take()
	now = now.Add(time.Hour)
	if statuses := rush(t, h, 40, "", plainBody); statuses[201] != 40 {
		t.Errorf("answers %v", statuses)
	}
	stored(t, store, 50)
	evicted := map[string]bool{}
	for _, event := range told.take() {
		if event.Kind == dcr.ClientEvicted {
			evicted[event.ClientID] = true
		}
	}
	if len(evicted) != 40 {
		t.Errorf("%d were evicted", len(evicted))
	}
}

// If a registration fails after another client made room, the room stays free.
func TestTheRoomOfAFailedRegistration(t *testing.T) {
	store := &faulty{ClientConfigurationStore: memstore.New()}
	clients := &evicting{store, store.ClientConfigurationStore.(*memstore.Store)}
	now := noon
	h := newHandler(t, clients, dcr.Options{AllowAnonymous: true, MaxClients: 1, EvictAfter: time.Second, Now: func() time.Time { return now }})
	register := func(status int) {
		t.Helper()
		if a := ask(t, h, "POST", registerURL, "", plainBody); a.status != status {
			t.Errorf("status %d, want %d", a.status, status)
		}
	}
	register(201)
	now = now.Add(2 * time.Second) // too early to count again
	store.add = dcr.ErrStoreFull
	register(503)
	store.add = nil
	register(201)
	register(503)
}

// evicting is a faulty store that can evict and count.
type evicting struct {
	*faulty
	*memstore.Store
}

func (e *evicting) Add(ctx context.Context, c *dcr.Client) error    { return e.faulty.Add(ctx, c) }
func (e *evicting) Update(ctx context.Context, c *dcr.Client) error { return e.faulty.Update(ctx, c) }
func (e *evicting) Delete(ctx context.Context, id string) error     { return e.faulty.Delete(ctx, id) }
func (e *evicting) FindByClientID(ctx context.Context, id string) (*dcr.Client, error) {
	return e.faulty.FindByClientID(ctx, id)
}

// A registration that is being stored while the clients are counted has its place,
// whether the count sees it or not.
func TestARegistrationDuringACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, now := &slowToAdd{memstore.New(), make(chan struct{})}, noon
		h := newHandler(t, store, dcr.Options{AllowAnonymous: true, MaxClients: 1, EvictAfter: -1, Now: func() time.Time { return now }})
		var answers []*answer
		for range 3 { // the second one starts a count
			go func() { answers = append(answers, ask(t, h, "POST", registerURL, "", plainBody)) }()
			synctest.Wait()
			now = now.Add(time.Minute)
		}
		close(store.add)
		synctest.Wait()
		for i, status := range []int{503, 503, 201} {
			if answers[i].status != status {
				t.Errorf("answer %d has the status %d, want %d", i, answers[i].status, status)
			}
		}
		stored(t, store.Store, 1)
	})
}

// slowToAdd is a store whose Add waits.
type slowToAdd struct {
	*memstore.Store
	add chan struct{}
}

func (s *slowToAdd) Add(ctx context.Context, client *dcr.Client) error {
	<-s.add
	return s.Store.Add(ctx, client)
}
