package memstore_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// TestManyChanges adds, changes and deletes clients at random, and compares the
// store with a map of what it should hold.
func TestManyChanges(t *testing.T) {
	ctx, store, want := t.Context(), memstore.New(), make(map[string]*dcr.Client)
	random := rand.New(rand.NewPCG(1, 2))
	ids := []string{`a"quoted"id`, "<escaped>", strings.Repeat("\x01", 255), strings.Repeat("ü", 127), "1", "11", "client_id"}
	for n := range 200 {
		ids = append(ids, fmt.Sprint("client-", n))
	}
	for step := range 20_000 {
		id := ids[random.IntN(len(ids))]
		client, there := want[id]
		switch {
		case !there:
			client = dcr.NewClient()
			client.ID, client.Notes = id, strings.Repeat("n", random.IntN(2000))
			if err := store.Add(ctx, client); err != nil {
				t.Fatalf("step %d: Add: %v", step, err)
			}
			want[id] = client
		case random.IntN(3) == 0:
			if err := store.Delete(ctx, id); err != nil {
				t.Fatalf("step %d: Delete: %v", step, err)
			}
			delete(want, id)
		default:
			client.Notes = strings.Repeat("m", random.IntN(300))
			if random.IntN(50) == 0 {
				client.Notes = strings.Repeat("m", 100_000)
			}
			if err := store.Update(ctx, client); err != nil {
				t.Fatalf("step %d: Update: %v", step, err)
			}
		}
		if id = ids[random.IntN(len(ids))]; step%100 != 0 {
			checkClient(t, store, id, want[id])
			continue
		}
		for _, id := range ids {
			checkClient(t, store, id, want[id])
		}
		count, err := store.CountClients(ctx, dcr.Filter{})
		if err != nil || int(count) != len(want) {
			t.Fatalf("step %d: %d clients (%v), want %d", step, count, err, len(want))
		}
		listed := 0
		for client, err := range store.ListClients(ctx, dcr.Filter{}, "") {
			if err != nil || want[client.ID] == nil {
				t.Fatalf("step %d: the list has a client that is not there (%v)", step, err)
			}
			listed++
		}
		if listed != len(want) {
			t.Fatalf("step %d: the list has %d clients, want %d", step, listed, len(want))
		}
	}
}

func checkClient(t *testing.T, store *memstore.Store, id string, want *dcr.Client) {
	t.Helper()
	got, err := store.FindByClientID(t.Context(), id)
	switch {
	case want == nil && err == dcr.ErrClientNotFound:
	case want == nil || err != nil:
		t.Fatalf("client %.20q: %v", id, err)
	case got.ID != id || got.Notes != want.Notes || got.Revision != want.Revision:
		t.Fatalf("client %.20q is not as it was stored", id)
	}
}

// TestMemoryIsGivenBack checks that a store does not grow by changes, and gives
// back the memory of clients that are deleted.
func TestMemoryIsGivenBack(t *testing.T) {
	for _, size := range []int{500, 5000} {
		ctx, store, empty := t.Context(), memstore.New(), heap()
		for n := range 1000 {
			if err := store.Add(ctx, clientOf(fmt.Sprint(n), size)); err != nil {
				t.Fatal(err)
			}
		}
		full := heap() - empty
		for range 10 {
			for client, err := range store.ListClients(ctx, dcr.Filter{}, "") {
				if err != nil {
					t.Fatal(err)
				}
				if err := store.Update(ctx, client); err != nil {
					t.Fatal(err)
				}
			}
		}
		if changed := heap() - empty; changed > full*3/2 {
			t.Errorf("1000 clients took %d bytes, and %d after they were changed", full, changed)
		}
		for n := range 1000 {
			if n%20 != 0 {
				if err := store.Delete(ctx, fmt.Sprint(n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if left := heap() - empty; left > full/4 {
			t.Errorf("1000 clients took %d bytes, and the 50 that were left took %d", full, left)
		}
		runtime.KeepAlive(store)
	}
}

// TestMemoryOfMostIsGivenBack checks that a store gives back what it keeps of each
// client in addition to its document, and still has all of the clients that are left.
func TestMemoryOfMostIsGivenBack(t *testing.T) {
	const clients, statements = 60_000, 30_000
	ctx, store, empty := t.Context(), memstore.New(), heap()
	for n := range clients {
		id := fmt.Sprint(n)
		client := clientOf(id, 0)
		client.Statement = &dcr.StatementRecord{Issuer: "directory", ID: fmt.Sprint(n % statements)}
		if err := store.Add(ctx, client); err != nil {
			t.Fatal(err)
		}
		if n%100 == 0 {
			if err := store.NoteConsent(ctx, id, "person "+id, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
	full := heap() - empty
	for n := range clients {
		if n%50 == 0 {
			continue
		}
		if err := store.Delete(ctx, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	if left := heap() - empty; left > full/10 {
		t.Errorf("%d clients took %d bytes, and the %d that were left took %d", clients, full, clients/50, left)
	}
	for n := range clients {
		id, person := fmt.Sprint(n), ""
		if n%100 == 0 {
			person = "person " + id
		}
		client, err := store.FindByClientID(ctx, id)
		switch {
		case n%50 != 0:
			if err != dcr.ErrClientNotFound {
				t.Fatalf("client %s was deleted: %v", id, err)
			}
		case err != nil || client.ID != id || client.ActivatedBy != person || client.ActivatedAt.IsZero() != (person == ""):
			t.Fatalf("client %s is not as it was: %+v, %v", id, client, err)
		default:
			client.Notes = "changed"
			if err := store.Update(ctx, client); err != nil {
				t.Fatal(err)
			}
		}
		if n >= statements {
			continue
		}
		ids, err := store.FindByStatement(ctx, "directory", id)
		slices.Sort(ids)
		want := []string{id, fmt.Sprint(n + statements)}
		if slices.Sort(want); n%50 != 0 {
			want = nil
		}
		if err != nil || !slices.Equal(ids, want) {
			t.Fatalf("the clients of statement %d are %v, not %v: %v", n, ids, want, err)
		}
	}
}

// TestEvictionFromMost checks that the oldest client goes first, also after most
// clients were deleted.
func TestEvictionFromMost(t *testing.T) {
	const clients = 10_000
	ctx, store, created := t.Context(), memstore.New(), time.Now().Add(-time.Hour)
	for n := range clients {
		client := clientOf(fmt.Sprint(n), 0)
		client.Source, client.CreatedAt = dcr.SourceDynamic, created.Add(time.Duration(-n)*time.Second)
		if err := store.Add(ctx, client); err != nil {
			t.Fatal(err)
		}
	}
	for n := clients - 1; n >= 0; n-- {
		evicted, _, err := store.EvictClient(ctx, time.Now())
		if err != nil || evicted == nil || evicted.ID != fmt.Sprint(n) {
			t.Fatalf("%v went (%v), want %d", evicted, err, n)
		}
	}
}

// TestMemoryIsBounded checks how much more memory than its documents a store takes,
// whatever their sizes and in whatever order they come.
func TestMemoryIsBounded(t *testing.T) {
	ctx, large := t.Context(), clientOf("large", 25_000)
	tests := []struct {
		name string
		size func(n int) int
		then func(store *memstore.Store, n int) error // after each client is added; nil for nothing
	}{
		{"documents of a little more than half a block", func(int) int { return 12_400 }, nil},
		{"small and large documents in turn", func(n int) int { return 100 + n%2*25_000 }, nil},
		{"small documents, and changes of a large one", func(int) int { return 100 }, func(store *memstore.Store, n int) error {
			if n == 0 {
				return store.Add(ctx, large)
			}
			return store.Update(ctx, large)
		}},
		{"small documents, a quarter of which are deleted", func(int) int { return 500 }, func(store *memstore.Store, n int) error {
			if n%4 > 0 {
				return nil
			}
			return store.Delete(ctx, fmt.Sprint(n))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store, empty := memstore.New(), heap()
			for n := range 2000 {
				if err := store.Add(ctx, clientOf(fmt.Sprint(n), test.size(n))); err != nil {
					t.Fatal(err)
				}
				if test.then != nil {
					if err := test.then(store, n); err != nil {
						t.Fatal(err)
					}
				}
			}
			took, bound := heap()-empty, int64(64<<10)
			for client, err := range store.ListClients(ctx, dcr.Filter{}, "") {
				document, invalid := client.MarshalJSON()
				if err != nil || invalid != nil {
					t.Fatal(err, invalid)
				}
				bound += int64(len(document))*3/2 + 200
			}
			if took > bound {
				t.Errorf("the store took %d bytes, want at most %d", took, bound)
			}
			runtime.KeepAlive(store)
		})
	}
}

func clientOf(id string, size int) *dcr.Client {
	client := dcr.NewClient()
	client.ID, client.Notes = id, strings.Repeat("n", size)
	return client
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestManyClients has so many clients that some of them have the same hash.
func TestManyClients(t *testing.T) {
	const clients = 150_000
	ctx, store := t.Context(), memstore.New()
	client := dcr.NewClient()
	for n := range clients {
		client.ID = fmt.Sprint(n)
		if err := store.Add(ctx, client); err != nil {
			t.Fatal(err)
		}
	}
	for n := range clients {
		if err := store.TouchClient(ctx, fmt.Sprint(n), client.CreatedAt); err != nil {
			t.Fatalf("client %d: %v", n, err)
		}
	}
	for parity := range 2 {
		for n := parity; n < clients; n += 2 {
			if err := store.Delete(ctx, fmt.Sprint(n)); err != nil {
				t.Fatalf("client %d: %v", n, err)
			}
		}
		for n := 1 - parity; n < clients; n += 2 {
			_, err := store.FindByClientID(ctx, fmt.Sprint(n))
			if want := map[int]error{0: nil, 1: dcr.ErrClientNotFound}[parity]; err != want {
				t.Fatalf("client %d: %v, want %v", n, err, want)
			}
		}
	}
}

// TestStatements gives clients statements and takes them away at random, and
// compares the clients of each with a map of what they should be.
func TestStatements(t *testing.T) {
	ctx, store, of := t.Context(), memstore.New(), make(map[string]string)
	random := rand.New(rand.NewPCG(1, 2))
	for step := range 2000 {
		id, statement := fmt.Sprint(random.IntN(20)), fmt.Sprint(random.IntN(4))
		record := &dcr.StatementRecord{Issuer: "https://issuer.example", ID: statement}
		if statement == "0" {
			record = nil
		}
		client, err := store.FindByClientID(ctx, id)
		switch {
		case err == dcr.ErrClientNotFound:
			client = dcr.NewClient()
			client.ID, client.Statement = id, record
			err = store.Add(ctx, client)
		case random.IntN(3) == 0:
			err, statement = store.Delete(ctx, id), "0"
		default:
			client.Statement = record
			err = store.Update(ctx, client)
		}
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		of[id] = statement
		for _, statement := range []string{"1", "2", "3"} {
			var want []string
			for id := range of {
				if of[id] == statement {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			got, err := store.FindByStatement(ctx, "https://issuer.example", statement)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("step %d: statement %s has the clients %q (%v), want %q", step, statement, got, err, want)
			}
		}
	}
}

// TestViewsAreMadeOnce checks that calls at the same time see the same client, so
// that it counts once.
func TestViewsAreMadeOnce(t *testing.T) {
	ctx, store := t.Context(), memstore.New()
	for n := range 2000 {
		id := fmt.Sprint(n)
		if err := store.Add(ctx, clientOf(id, 1)); err != nil {
			t.Fatal(err)
		}
		var seen [8]*dcr.Client
		var all sync.WaitGroup
		for i := range seen {
			all.Go(func() { seen[i], _ = store.ViewClient(ctx, id) })
		}
		all.Wait()
		for _, client := range seen {
			if client == nil || client != seen[0] {
				t.Fatalf("client %d was seen as %p and %p", n, seen[0], client)
			}
		}
	}
}
