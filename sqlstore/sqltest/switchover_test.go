package sqltest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// virtual is a virtual address: each connection goes to the server that has the
// address at that moment, and stays with that server.
type virtual struct {
	net.Listener
	socket atomic.Pointer[string] // of that server
}

func newVirtual(t *testing.T) *virtual {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &virtual{Listener: listener}
	t.Cleanup(func() { v.Close() })
	go func() {
		for {
			client, err := v.Accept()
			if err != nil {
				return
			}
			go pass(client, *v.socket.Load())
		}
	}()
	return v
}

func pass(client net.Conn, socket string) {
	defer client.Close()
	server, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer server.Close()
		io.Copy(server, client)
	}()
	io.Copy(client, server)
}

// primary is a server that can be made read-only.
type primary struct {
	socket string
	dsn    string // without the virtual address
	demote func(t *testing.T)
}

func postgreSQLPrimary(t *testing.T) primary {
	c := newCluster(t)
	c.start(t)
	return primary{c.dir + "/.s.PGSQL.5432", c.dsn(), func(t *testing.T) {
		server := databases[1].open(t, c.dsn())
		for _, statement := range []string{"ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"} {
			if _, err := server.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
	}}
}

func mariaDBPrimary(t *testing.T) primary {
	m := newMariaDB(t)
	return primary{m.socket(), m.dsn("unix", m.socket()), func(t *testing.T) {
		if _, err := m.admin(t).Exec("SET GLOBAL read_only = 1"); err != nil {
			t.Fatal(err)
		}
	}}
}

// TestSwitchover moves the virtual address from one server to another under
// load. The first goes on as a read-only server, so no connection to it breaks:
// the store must leave it, and lose nothing.
func TestSwitchover(t *testing.T) {
	for _, c := range []struct {
		d       database
		primary func(t *testing.T) primary
		dsn     func(v *virtual) string
	}{
		{databases[1], postgreSQLPrimary, func(v *virtual) string {
			return fmt.Sprintf("host=127.0.0.1 port=%d user=dcr dbname=postgres sslmode=disable", v.Addr().(*net.TCPAddr).Port)
		}},
		{databases[2], mariaDBPrimary, func(v *virtual) string { return mariadb{}.dsn("tcp", v.Addr().String()) }},
	} {
		t.Run(c.d.name, func(t *testing.T) {
			t.Parallel()
			old, next := c.primary(t), c.primary(t)
			first := c.d.storeIn(t, c.d.open(t, old.dsn), nil)
			second := c.d.storeIn(t, c.d.open(t, next.dsn), nil)
			address := newVirtual(t)
			address.socket.Store(&old.socket)
			store := c.d.storeIn(t, c.d.open(t, c.dsn(address)), nil)

			var added sync.Map // ids that were acknowledged
			var moved, over atomic.Pointer[time.Time]
			var workers sync.WaitGroup
			var stop atomic.Bool
			done := make(chan struct{}, 1000) // one for each client
			for worker := range 16 {
				workers.Go(func() {
					for n := 0; !stop.Load(); n++ {
						id := fmt.Sprintf("client-%d-%d", worker, n)
						since := moved.Load()
						client := &dcr.Client{ID: id}
						if n%2 == 1 {
							client.RegisteredBy = "somebody"
						}
						if err := store.Add(t.Context(), client); err != nil {
							t.Errorf("%s: %v", id, err)
							return
						}
						added.Store(id, true)
						if since != nil {
							over.CompareAndSwap(nil, new(time.Now()))
						}
						select {
						case done <- struct{}{}:
						default:
						}
					}
				})
			}
			go func() {
				workers.Wait()
				close(done)
			}()
			for range cap(done) / 2 { // under load
				<-done
			}
			old.demote(t)
			for err := error(nil); err == nil; { // until it accepts no writes
				err = sqlstore.New(c.d.open(t, old.dsn), c.d.dialect, &sqlstore.Options{RetryFor: -1}).ForTenant("other").
					Add(t.Context(), &dcr.Client{ID: fmt.Sprint(time.Now())})
			}
			address.socket.Store(&next.socket)
			at := time.Now()
			moved.Store(&at)
			for range cap(done) {
				<-done
			}
			stop.Store(true)
			workers.Wait()

			if first := over.Load(); first == nil {
				t.Error("no write that began after the move was acknowledged")
			} else {
				t.Logf("the first write that began after the move was done after %v", first.Sub(at))
			}
			count := 0
			for id := range added.Range {
				count++
				_, before := first.FindByClientID(t.Context(), id.(string))
				_, after := second.FindByClientID(t.Context(), id.(string))
				if err := errors.Join(before, after); before != nil && after != nil {
					t.Errorf("%s was acknowledged but not found: %v", id, err)
				}
			}
			t.Logf("%d clients, none lost", count)
		})
	}
}
