package sqltest

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// The fault run: several processes add, update and delete clients while they,
// and the database server, are killed. Afterwards, what was acknowledged must
// be there: every added client is found, every deleted one is gone, every
// client is as last updated, and no client is half-written.
//
// DCR_TEST_FAULTS is the duration of each run, such as 2m; CI uses a few
// seconds.

// workload names the environment variable that makes this test binary a
// working process: driver, dialect and data source name, separated by lines.
const workload = "DCR_TEST_WORKLOAD"

func TestMain(m *testing.M) {
	if work := os.Getenv(workload); work != "" {
		parts := strings.SplitN(work, "\n", 3)
		dialect, _ := strconv.Atoi(parts[1])
		if err := hostProcess(parts[0], sqlstore.Dialect(dialect), parts[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// event is one line from a working process: what it is about to do with a
// client, or that the store has acknowledged it.
type event struct {
	Client string // id
	Did    string // add, update, delete
	Notes  string // the notes of the client then
	Done   bool
	Failed string `json:",omitempty"` // the error, if the store returned one
}

// hostProcess works until it is killed, and reports on standard output. Each
// line is one write, so that a killed process leaves no partial line.
func hostProcess(driver string, dialect sqlstore.Dialect, dsn string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	store := sqlstore.New(db, dialect, nil)
	var mu sync.Mutex
	report := func(e event) {
		line, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		mu.Lock()
		defer mu.Unlock()
		os.Stdout.Write(append(line, '\n'))
	}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for {
				life(store, report)
			}
		})
	}
	workers.Wait()
	return nil
}

// life registers a client, updates it some times and deletes it, if it gets
// that far.
func life(store *sqlstore.Store, report func(event)) {
	client := dcr.NewClient()
	client.ID = rand.Text()
	do := func(what string, write func(context.Context) error) bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		e := event{Client: client.ID, Did: what, Notes: client.Notes}
		report(e)
		err := write(ctx)
		e.Done = true
		if err != nil {
			e.Failed = err.Error()
		}
		report(e)
		return err == nil
	}
	// The notes are in two places, so that a half-written client would be
	// visible. So are the software ids: in the client and in the index.
	version := func(n int) {
		client.Notes = fmt.Sprintf("version %d of %s", n, client.ID)
		client.ClientName = client.Notes
		client.SoftwareID = softwareIDs[mrand.N(len(softwareIDs))]
		client.RedirectURIs = []string{"https://app.example.com/" + strings.Repeat("x", mrand.N(2000))}
	}
	version(1)
	if !do("add", func(ctx context.Context) error { return store.Add(ctx, client) }) {
		return
	}
	for n := range mrand.N(4) {
		version(n + 2)
		if !do("update", func(ctx context.Context) error { return store.Update(ctx, client) }) {
			return
		}
	}
	if mrand.N(3) == 0 {
		do("delete", func(ctx context.Context) error { return store.Delete(ctx, client.ID) })
	}
}

var softwareIDs = []string{"", "one", "another"}

// ledger is what is known about each client from the reports.
type ledger struct {
	mu      sync.Mutex
	clients map[string]*account
	counts  map[string]int
}

type account struct {
	acknowledged event    // the last one that the store acknowledged
	possible     []string // other notes that it may have now; "" means gone
}

func (l *ledger) note(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.clients[e.Client]
	if known == nil {
		known = &account{possible: []string{""}}
		l.clients[e.Client] = known
	}
	outcome := e.Notes
	if e.Did == "delete" {
		outcome = ""
	}
	switch {
	case !e.Done:
		known.possible = append(known.possible, outcome)
	case e.Failed != "":
		l.counts["failed "+e.Did]++ // it may have happened
	default:
		l.counts[e.Did]++
		known.acknowledged, known.possible = e, []string{outcome}
	}
}

// verify compares the store with what was acknowledged.
func (l *ledger) verify(t *testing.T, store *sqlstore.Store) {
	t.Helper()
	left := 0
	for id, known := range l.clients {
		client, err := store.FindByClientID(t.Context(), id)
		notes := ""
		switch {
		case err == nil:
			left++
			notes = client.Notes
			if client.Notes != client.ClientName || client.ID != id || len(client.RedirectURIs) != 1 {
				t.Errorf("client %s is half-written: %q, %q", id, client.Notes, client.ClientName)
			}
		case !errors.Is(err, dcr.ErrClientNotFound):
			t.Errorf("client %s: %v", id, err)
			continue
		}
		found := false
		for _, possible := range known.possible {
			found = found || possible == notes
		}
		if !found {
			t.Errorf("client %s: the store acknowledged %s (%q) last, but has %q", id, known.acknowledged.Did, known.acknowledged.Notes, notes)
		}
	}
	// The database may still finish a statement of a dead process: count until nothing changes.
	var before, byIndex map[string]int
	listed := l.listed(t, store)
	for !maps.Equal(before, listed) {
		before, byIndex, listed = listed, found(t, store), l.listed(t, store)
	}
	for _, softwareID := range softwareIDs[1:] {
		if byIndex[softwareID] != listed[softwareID] {
			t.Errorf("%d clients have the software id %q, but %d are found by it", listed[softwareID], softwareID, byIndex[softwareID])
		}
	}
	t.Logf("%d clients, %d left; acknowledged: %d adds, %d updates, %d deletes; failed: %d, %d, %d", len(l.clients), left,
		l.counts["add"], l.counts["update"], l.counts["delete"], l.counts["failed add"], l.counts["failed update"], l.counts["failed delete"])
	if l.counts["add"] == 0 || l.counts["update"] == 0 || l.counts["delete"] == 0 {
		t.Error("the run did not reach every operation")
	}
}

// listed counts all clients by their software id.
func (l *ledger) listed(t *testing.T, store *sqlstore.Store) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for client, err := range store.ListClients(t.Context(), dcr.Filter{}, "") {
		if err != nil {
			t.Fatal(err)
		}
		if l.clients[client.ID] == nil {
			t.Errorf("no process reported client %s", client.ID)
		}
		counts[client.SoftwareID]++
	}
	return counts
}

// found counts the clients that are found by each software id.
func found(t *testing.T, store *sqlstore.Store) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, softwareID := range softwareIDs[1:] {
		for client, err := range store.ListClients(t.Context(), dcr.Filter{SoftwareID: softwareID}, "") {
			if err != nil {
				t.Fatal(err)
			}
			if counts[softwareID]++; client.SoftwareID != softwareID {
				t.Errorf("client %s of software id %q is found by %q", client.ID, client.SoftwareID, softwareID)
			}
		}
	}
	return counts
}

// host starts one working process; kill ends it as a power cut would.
func host(t *testing.T, l *ledger, d database, dsn string) (kill func()) {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), fmt.Sprintf("%s=%s\n%d\n%s", workload, d.driver, d.dialect, dsn))
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			var e event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("a working process said %q", lines.Text())
				return
			}
			l.note(e)
		}
	}()
	return func() {
		process.Process.Kill()
		<-read
		process.Wait()
	}
}

// run starts hosts, kills them one after the other, and calls fault in between.
func run(t *testing.T, d database, dsn string, fault func()) *ledger {
	length, err := time.ParseDuration(environment("DCR_TEST_FAULTS", "2s"))
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{clients: make(map[string]*account), counts: make(map[string]int)}
	const hosts = 3
	kills := make([]func(), hosts)
	for i := range kills {
		kills[i] = host(t, l, d, dsn)
	}
	end := time.Now().Add(length)
	for turn := 0; time.Now().Before(end); turn++ {
		time.Sleep(length/8 + mrand.N(100*time.Millisecond)) // let the load run
		if turn%2 == 1 && fault != nil {
			fault()
			continue
		}
		kills[turn%hosts]()
		kills[turn%hosts] = host(t, l, d, dsn)
	}
	for _, kill := range kills {
		kill()
	}
	return l
}

// TestKilledHosts kills the processes that write.
func TestKilledHosts(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		dsn := d.create(t)
		store := d.storeIn(t, d.open(t, dsn), nil)
		run(t, d, dsn, nil).verify(t, store)
	})
}

// TestKilledPostgreSQL also kills the server, all its processes at once,
// several times, in its own cluster.
func TestKilledPostgreSQL(t *testing.T) {
	cluster := newCluster(t)
	d := database{name: "PostgreSQL", dialect: sqlstore.PostgreSQL, driver: "pgx"}
	cluster.start(t)
	store := d.storeIn(t, d.open(t, cluster.dsn()), nil)
	crashes := 0
	l := run(t, d, cluster.dsn(), func() {
		cluster.kill()
		cluster.start(t)
		crashes++
	})
	if crashes == 0 {
		t.Error("the server was never killed")
	}
	l.verify(t, store)
	t.Logf("the server was killed %d times", crashes)
}
