package main

// How long operations take as the table grows.

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/sqlstore"
)

// scale shows how long operations take as the table grows.
func scale(ctx context.Context, s *settings) error {
	for _, k := range s.kinds {
		if err := k.grow(ctx, s); err != nil {
			fmt.Printf("%s: left out: %v\n", k.name, err)
		}
	}
	return ctx.Err()
}

func (k *kind) grow(ctx context.Context, s *settings) error {
	dsn, drop, err := k.create(ctx, s.dir)
	if err != nil {
		return err
	}
	defer drop()
	db, recorder, err := record(k, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	store := sqlstore.New(db, k.dialect, &sqlstore.Options{TouchThrottle: -1})
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	plain, err := k.open(dsn, 2)
	if err != nil {
		return err
	}
	defer plain.Close()
	took := make(map[string][]time.Duration)
	loaded := 0
	for _, size := range s.rows {
		if err := k.load(ctx, plain, loaded, size); err != nil {
			return err
		}
		loaded = size
		for _, op := range operations(store, size) {
			times, err := op.measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", op.name, err)
			}
			took[op.name] = append(took[op.name], median(times))
		}
	}
	k.report(s, took, operations(store, loaded))
	if s.plans {
		return k.plans(ctx, plain, recorder, operations(store, loaded))
	}
	return nil
}

func (k *kind) report(s *settings, took map[string][]time.Duration, operations []operation) {
	fmt.Printf("\n%-66s", k.name+", rows:")
	for _, size := range s.rows {
		fmt.Printf("%12d", size)
	}
	fmt.Println()
	for _, op := range operations {
		fmt.Printf("  %-64s", op.name)
		for _, median := range took[op.name] {
			fmt.Printf("%12v", median.Round(time.Microsecond))
		}
		fmt.Println()
	}
}

// plans shows how the database executes the statements of each operation.
func (k *kind) plans(ctx context.Context, db *sql.DB, recorder *recorder, operations []operation) error {
	for _, op := range operations {
		calls, err := recorder.during(func() error { return op.run(ctx, 0) })
		if err != nil {
			return err
		}
		seen := make(map[string]bool)
		for _, c := range calls {
			if seen[c.text] || strings.HasPrefix(c.text, "INSERT") {
				continue // there is only one way to INSERT
			}
			seen[c.text] = true
			lines, err := plan(ctx, db, k, c)
			if err != nil {
				return fmt.Errorf("%s: %w", op.name, err)
			}
			fmt.Printf("\n%s, %s:\n  %.400s\n", k.name, op.name, c.text)
			for _, line := range lines {
				fmt.Println("    " + line)
			}
		}
	}
	return nil
}

// operation is something to measure. run does it for the n-th time.
type operation struct {
	name  string
	times int
	run   func(ctx context.Context, n int) error
}

func (op *operation) measure(ctx context.Context) (times []time.Duration, err error) {
	for n := range op.times + 1 {
		began := time.Now()
		if err := op.run(ctx, n); err != nil {
			return nil, err
		}
		if n > 0 { // the first run warms up
			times = append(times, time.Since(began))
		}
	}
	return times, nil
}

// searches makes operations that look for clients.
type searches struct{ store *sqlstore.Store }

func (s searches) page(name string, filter dcr.Filter) operation {
	return operation{"list 100: " + name, 15, func(ctx context.Context, _ int) error {
		n := 0
		for _, err := range s.store.ListClients(ctx, filter, "") {
			if n++; err != nil || n == 100 {
				return err
			}
		}
		return nil
	}}
}

func (s searches) recent(name string, filter dcr.Filter) operation {
	return operation{"newest 50: " + name, 15, func(ctx context.Context, _ int) error {
		_, _, err := s.store.ListRecentClients(ctx, filter, "", 50)
		return err
	}}
}

func (s searches) adminPage(name, query string) operation {
	return operation{"admin page: " + name, 15, func(ctx context.Context, _ int) error {
		handler, err := admin.NewHandler(&admin.Admin{Store: s.store}, &admin.PageOptions{
			Path: "/", Operator: func(*http.Request) (string, error) { return "bench", nil },
		})
		if err != nil {
			return err
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/?"+query, nil))
		if w.Code != http.StatusOK {
			return errors.New(w.Body.String())
		}
		return nil
	}}
}

func (s searches) count(name string, filter dcr.Filter) operation {
	return operation{"count: " + name, 5, func(ctx context.Context, _ int) error {
		_, err := s.store.CountClients(ctx, filter)
		return err
	}}
}

func operations(store *sqlstore.Store, size int) []operation {
	random := func() string { return clientID(3*rand.N((size+1)/3) + 1) } // of those that were used, since others are evicted
	pending, disabled, document := dcr.StatusPending, dcr.StatusDisabled, dcr.SourceDocument
	find := searches{store}
	page, recent, pages, count := find.page, find.recent, find.adminPage, find.count
	active, ofPolicy := dcr.StatusActive, dcr.Filter{Policy: policyName(7)}
	ofSoftware, ofCaller := dcr.Filter{SoftwareID: software(7)}, dcr.Filter{RegisteredBy: caller(7)}
	span := dcr.Filter{CreatedAfter: created(size / 2), CreatedBefore: created(size/2 + 100)}
	rule := dcr.SweepRule{NeverActivatedBefore: created(0), IdleBefore: created(0), ExpiredBefore: created(0)}
	return []operation{
		{"add", 200, func(ctx context.Context, _ int) error {
			id, err := dcr.RandomClientID(ctx, nil)
			if err != nil {
				return err
			}
			return store.Add(ctx, typicalClient(id))
		}},
		{"find", 500, func(ctx context.Context, _ int) error { _, err := store.FindByClientID(ctx, random()); return err }},
		{"update", 100, func(ctx context.Context, _ int) error {
			client, err := store.FindByClientID(ctx, random())
			if err != nil {
				return err
			}
			return store.Update(ctx, client)
		}},
		{"touch", 100, func(ctx context.Context, _ int) error { return store.TouchClient(ctx, random(), time.Now()) }},
		{"find by statement", 100, func(ctx context.Context, n int) error {
			_, err := store.FindByStatement(ctx, "https://directory.example", clientID(n*100))
			return err
		}},
		page("all", dcr.Filter{}), page("with one software_id", ofSoftware), page("registered by one caller", ofCaller),
		page("pending", dcr.Filter{Status: &pending}), page("created within 1,000 seconds", span), page("the newer half", dcr.Filter{CreatedAfter: created(size / 2)}),
		page("with one policy", ofPolicy), page("with a policy that no client has", dcr.Filter{Policy: "none"}), page("never used", dcr.Filter{NeverActivated: true}),
		recent("all", dcr.Filter{}), recent("active", dcr.Filter{Status: &active}), recent("never used", dcr.Filter{NeverActivated: true}),
		recent("registered by one caller", ofCaller), recent("with one policy", ofPolicy), recent("last used before a date", dcr.Filter{UsedBefore: created(size / 10)}),
		recent("with a host that all clients have", dcr.Filter{RedirectHost: "app.example.com"}), recent("with a host that no client has", dcr.Filter{RedirectHost: "none.example.com"}),
		recent("with a name that all clients have", dcr.Filter{NamePrefix: "my dynamic"}), recent("with a name that no client has", dcr.Filter{NamePrefix: "none"}),
		recent("disabled, from documents", dcr.Filter{Status: &disabled, Source: &document}), recent("idle, registered by one caller", dcr.Filter{UsedBefore: created(size / 2), RegisteredBy: caller(7)}),
		recent("never used, with a host that no client has", dcr.Filter{NeverActivated: true, RedirectHost: "none.example.com"}),
		pages("newest", ""), pages("with a host that all clients have", "host=app.example.com"), pages("with a host that no client has", "host=none.example.com"), pages("with a name that no client has", "name=none"),
		pages("never used, registered by one caller", "used=never&by="+caller(7)), pages("waiting for approval, with a host that no client has", "status=waiting&host=none.example.com"),
		count("all", dcr.Filter{}), count("with one software_id", ofSoftware), count("created within 1,000 seconds", span), count("active", dcr.Filter{Status: &active}),
		count("with one policy", ofPolicy), count("never used", dcr.Filter{NeverActivated: true}), count("the newer half", dcr.Filter{CreatedAfter: created(size / 2)}),
		{"evict", 20, func(ctx context.Context, _ int) error { _, _, err := store.EvictClient(ctx, created(size)); return err }},
		{"sweep, nothing to delete", 5, func(ctx context.Context, _ int) error { _, err := store.SweepClients(ctx, rule); return err }},
		{"add 200, then sweep them", 3, func(ctx context.Context, n int) error { return sweepSome(ctx, store) }},
	}
}

// sweepSome adds clients that have expired and sweeps them.
func sweepSome(ctx context.Context, store *sqlstore.Store) error {
	for range 200 {
		client := typicalClient(fmt.Sprintf("expired-%d", rand.Int64()))
		client.ExpiresAt = created(0).Add(-time.Hour)
		if err := store.Add(ctx, client); err != nil {
			return err
		}
	}
	swept, err := store.SweepClients(ctx, dcr.SweepRule{ExpiredBefore: created(0)})
	if err == nil && swept != 200 {
		err = fmt.Errorf("swept %d of 200 clients", swept)
	}
	return err
}

// The loaded clients: one is created every ten seconds, two thirds were used, some have a
// software id, a caller or a statement, and a few wait for approval.

// clientID returns an id like those of dcr.RandomClientID.
func clientID(n int) string {
	random := uint64(n) * 0x9E3779B97F4A7C15
	head := random>>59<<43 | uint64(created(n).UnixMilli())
	return fmt.Sprintf("%08x-%04x-8%03x-8%03x-%012x", head>>16, head&0xffff, random>>40&0xfff, random>>28&0xfff, random>>12&0xffffffffffff)
}

func software(n int) string { return fmt.Sprintf("software-%d", n%5000) }

func policyName(n int) string { return fmt.Sprintf("policy-%d", n%10) }

func caller(n int) string { return fmt.Sprintf("caller-%d", n%2000) }

func created(n int) time.Time {
	return time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * 10 * time.Second)
}

func loadedClient(n int) *dcr.Client {
	client := typicalClient(clientID(n))
	client.CreatedAt = created(n)
	if n%3 > 0 {
		client.ActivatedAt = client.CreatedAt
		client.LastUsedAt = client.CreatedAt.Add(time.Hour)
	}
	if n%4 == 0 {
		client.SoftwareID = software(n / 4)
	}
	if n%5 == 0 {
		client.RegisteredBy = caller(n / 5)
	}
	if n%20 == 0 {
		client.Policy = policyName(n / 20)
	}
	if n%1000 == 0 {
		client.Status = dcr.StatusPending
	}
	if n%100 == 0 {
		client.Statement = &dcr.StatementRecord{Issuer: "https://directory.example", ID: clientID(n)}
	}
	return client
}

// load fills the tables up to a size, with many rows per statement.
func (k *kind) load(ctx context.Context, db *sql.DB, from, to int) error {
	for from < to {
		until := min(to, from+500)
		clients := rows{table: "dcr_clients (tenant, client_id, source, policy, created_at, activated_at, last_used_at, document)"}
		keys := rows{table: "dcr_client_keys (tenant, client_id, name, value)"}
		for ; from < until; from++ {
			client := loadedClient(from)
			document, err := client.MarshalJSON()
			if err != nil {
				return err
			}
			clients.add("", client.ID, string(client.Source), client.Policy, micros(client.CreatedAt), micros(client.ActivatedAt), micros(client.LastUsedAt), string(document))
			for name, value := range searched(client) {
				keys.add("", client.ID, name, value)
			}
		}
		for _, rows := range []rows{clients, keys} {
			if err := rows.insert(ctx, db, k); err != nil {
				return err
			}
		}
	}
	return k.settled(ctx, db, "dcr_clients", "dcr_client_keys")
}

// searched returns the rows of a client in the table of keys.
func searched(client *dcr.Client) map[string]string {
	keys := map[string]string{"status": string(client.Status), "software_id": client.SoftwareID, "registered_by": client.RegisteredBy}
	if client.Statement != nil {
		sum := sha256.Sum256([]byte(client.Statement.Issuer + "\x00" + client.Statement.ID))
		keys["statement"] = "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	maps.DeleteFunc(keys, func(_, value string) bool { return value == "" })
	return keys
}

// rows are inserted with one statement.
type rows struct {
	table string // the name and the columns
	width int
	args  []any
}

func (r *rows) add(values ...any) { r.width, r.args = len(values), append(r.args, values...) }

func (r *rows) insert(ctx context.Context, db *sql.DB, k *kind) error {
	if len(r.args) == 0 {
		return nil
	}
	var text strings.Builder
	text.WriteString("INSERT INTO " + r.table + " VALUES ")
	for i := 0; i < len(r.args); i += r.width {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString("(" + k.placeholders(i, r.width) + ")")
	}
	_, err := db.ExecContext(ctx, text.String(), r.args...)
	return err
}

func micros(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMicro()
}

func (k *kind) placeholders(from, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "?"
		if k.dialect == sqlstore.PostgreSQL {
			list[i] = fmt.Sprintf("$%d", from+i+1)
		}
	}
	return strings.Join(list, ", ")
}
