// Flood measures how long registrations take at one tenant while another one is flooded.
// Both are in one database and one process, and each has its own Handler:
//
//	go run ./bench/flood
//
// The flood comes from a separate process, over many connections. There are three floods:
// without any limit, with a ceiling that is reached, and with callerauth.RateLimit, which
// admits ten requests per second. Before each flood and during it, the other tenant's
// clients register at a steady rate. The important figure is how much their p99 grows: it
// should at most triple.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/sqlstore"
)

const (
	body     = `{"client_name":"App","redirect_uris":["https://app.example.com/callback"]}`
	maxTimes = 3
)

// settings has the values of the flags.
type settings struct {
	flooders int
	flood    int           // requests per second of the flooders; 0 for as many as are answered
	rate     int           // registrations per second at the other tenant
	lasting  time.Duration // of the quiet time, and of the flood
	dir      string
}

// defence is what protects the flooded tenant.
type defence struct {
	name string
	set  func(*dcr.Options)
}

var defences = []defence{
	{"nothing", func(*dcr.Options) {}},
	{"ceiling", func(o *dcr.Options) { o.MaxClients = 100 }},
	{"rate limit", func(o *dcr.Options) {
		o.Admit = callerauth.RateLimit(10, 20, 1000, func(*http.Request, *dcr.Caller) string { return "" })
	}},
}

func main() {
	if len(os.Args) == 5 && os.Args[1] == "generate" {
		if err := generate(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, "flood:", err)
			os.Exit(1)
		}
		return
	}
	var s settings
	flag.IntVar(&s.flooders, "flooders", 64, "number of connections that flood a tenant")
	flag.IntVar(&s.flood, "flood", 1000, "requests per second of the flood; 0 for as fast as they are answered")
	flag.IntVar(&s.rate, "rate", 50, "registrations per second at the other tenant")
	flag.DurationVar(&s.lasting, "lasting", 10*time.Second, "how long the quiet time lasts, and the flood")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory for the SQLite files")
	flag.Parse()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "defence\tflood, requests/s\tquiet p50\tquiet p99\tflooded p50\tflooded p99\tp99 ×\t")
	for _, against := range defences {
		found, err := measure(context.Background(), &s, against)
		if err != nil {
			fmt.Fprintln(os.Stderr, "flood:", err)
			os.Exit(1)
		}
		fmt.Fprintf(table, "%s\t%.0f\t%v\t%v\t%v\t%v\t%.1f\t\n", against.name, found.flood,
			found.quiet.at(50), found.quiet.at(99), found.flooded.at(50), found.flooded.at(99), found.times())
	}
	table.Flush()
	fmt.Printf("\nThe other tenant's p99 should grow at most %d times.\n", maxTimes)
}

// result is the effect of one flood.
type result struct {
	quiet, flooded latencies
	flood          float64 // requests per second
}

func (r *result) times() float64 { return float64(r.flooded.at(99)) / float64(r.quiet.at(99)) }

// latencies are sorted.
type latencies []time.Duration

func (l latencies) at(percent int) time.Duration {
	return l[len(l)*percent/100].Round(10 * time.Microsecond)
}

// measure floods one tenant.
func measure(ctx context.Context, s *settings, against defence) (*result, error) {
	dir, err := os.MkdirTemp(s.dir, "flood")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "clients.db")))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	store := sqlstore.New(db, sqlstore.SQLite, nil)
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	defer store.Close()
	handler := func(tenant string, set func(*dcr.Options)) (*dcr.Handler, error) {
		opts := &dcr.Options{Endpoint: "https://" + tenant + ".example.com/connect/dcr", AllowAnonymous: true, Logger: slog.New(slog.DiscardHandler)}
		set(opts)
		return dcr.NewHandler(store.ForTenant(tenant), opts)
	}
	flooded, err := handler("flooded", against.set)
	if err != nil {
		return nil, err
	}
	other, err := handler("other", func(*dcr.Options) {})
	if err != nil {
		return nil, err
	}
	var r result
	if r.quiet, err = s.steady(other); err != nil {
		return nil, err
	}
	server := httptest.NewServer(flooded)
	defer server.Close()
	flood, err := s.begin(ctx, server.URL+"/connect/dcr")
	if err != nil {
		return nil, err
	}
	r.flooded, err = s.steady(other)
	requests, stopped := flood.stop()
	r.flood = requests / s.lasting.Seconds()
	return &r, errors.Join(err, stopped)
}

// steady registers at the rate, no matter how long the answers take, and returns how long
// they took.
func (s *settings) steady(handler http.Handler) (latencies, error) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var took latencies
	var failed error
	pace := time.NewTicker(time.Second / time.Duration(s.rate))
	defer pace.Stop()
	for range int(s.lasting.Seconds() * float64(s.rate)) {
		due := <-pace.C
		all.Go(func() {
			status := register(handler)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(due))
			if status != http.StatusCreated {
				failed = fmt.Errorf("the other tenant answered with %d", status)
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	return took, failed
}

func register(handler http.Handler) (status int) {
	r := httptest.NewRequest(http.MethodPost, "/connect/dcr", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code
}
