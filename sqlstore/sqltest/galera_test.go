package sqltest

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// galeraNode is one MariaDB server of a Galera cluster, in a temporary directory.
type galeraNode struct {
	dir, provider             string
	port, group, copied, step int // SQL, group communication, state transfers
	server                    *exec.Cmd
	ended                     chan struct{} // closed when server has ended
}

// newGalera starts a cluster of three nodes on ports of the loopback interface.
func newGalera(t *testing.T) []*galeraNode {
	t.Helper()
	program(t, "mariadbd")
	program(t, "rsync")
	install := program(t, "mariadb-install-db")
	providers, _ := filepath.Glob("/usr/lib*/galera*/libgalera_smm.so")
	if len(providers) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI needs Galera's provider")
		}
		t.Skip("Galera's provider is not installed")
	}
	var nodes []*galeraNode
	var members []string
	for range 3 {
		// The path of a socket must be shorter than that of t.TempDir.
		dir, err := os.MkdirTemp("", "dcr")
		if err != nil {
			t.Fatal(err)
		}
		n := &galeraNode{dir: dir, provider: providers[0]}
		for _, port := range []*int{&n.port, &n.group, &n.copied, &n.step} {
			*port = freePort(t)
		}
		t.Cleanup(func() {
			n.kill()
			os.RemoveAll(dir)
		})
		if os.Getuid() == 0 { // state transfers fail as root
			if output, err := exec.Command("chown", "mysql", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
		}
		output, err := exec.Command(install, append(n.arguments(), "--auth-root-authentication-method=normal", "--skip-test-db")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		nodes = append(nodes, n)
		members = append(members, fmt.Sprintf("127.0.0.1:%d", n.group))
	}
	nodes[0].start(t, "gcomm://")
	for _, node := range nodes[1:] {
		node.start(t, "gcomm://"+strings.Join(members, ","))
	}
	if _, err := nodes[0].admin(t).Exec("CREATE DATABASE clients"); err != nil {
		t.Fatal(err)
	}
	return nodes
}

// freePort returns a port that was free a moment ago. It is below those that the
// kernel gives to outgoing connections, which could take it meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func (n *galeraNode) arguments() []string {
	arguments := []string{"--no-defaults", "--datadir=" + n.dir + "/data"}
	if os.Getuid() == 0 {
		arguments = append(arguments, "--user=mysql")
	}
	return arguments
}

// dsn names the database "clients". A read waits for the writes of other nodes.
func (n *galeraNode) dsn() string {
	return "root@tcp(127.0.0.1:" + strconv.Itoa(n.port) + ")/clients?timeout=2s&wsrep_sync_wait=1"
}

// admin opens the node without a database.
func (n *galeraNode) admin(t *testing.T) *sql.DB {
	return databases[2].open(t, "root@unix("+n.dir+"/s)/")
}

// start starts the node, and waits until it is in sync with the others.
func (n *galeraNode) start(t *testing.T, cluster string) {
	t.Helper()
	log, err := os.Create(n.dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n.server = exec.Command("mariadbd", append(n.arguments(),
		"--bind-address=127.0.0.1", "--port="+strconv.Itoa(n.port), "--socket="+n.dir+"/s", "--pid-file="+n.dir+"/pid",
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--innodb-flush-log-at-trx-commit=1",
		"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-on=ON", "--wsrep-provider="+n.provider,
		"--wsrep-cluster-address="+cluster, "--wsrep-node-address=127.0.0.1:"+strconv.Itoa(n.group),
		"--wsrep-sst-method=rsync", "--wsrep-sst-receive-address=127.0.0.1:"+strconv.Itoa(n.copied),
		fmt.Sprintf("--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:%d;ist.recv_addr=127.0.0.1:%d;gcache.size=64M", n.group, n.step))...)
	n.server.Stdout, n.server.Stderr = log, log
	// Its own process group, since a state transfer has child processes.
	n.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := n.server.Start(); err != nil {
		t.Fatal(err)
	}
	ended, server := make(chan struct{}), n.server
	n.ended = ended
	go func() {
		server.Wait()
		close(ended)
	}()
	n.await(t, "Synced")
}

// await waits for a state of the node: "Synced" if it is in sync with the
// others, "Initialized" if it is cut off from the majority.
func (n *galeraNode) await(t *testing.T, state string) {
	t.Helper()
	admin := n.admin(t)
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline) && !n.isOver(); time.Sleep(20 * time.Millisecond) {
		var name, value string
		if admin.QueryRow("SHOW STATUS LIKE 'wsrep_local_state_comment'").Scan(&name, &value) == nil && value == state {
			return
		}
	}
	log, _ := os.ReadFile(n.dir + "/log")
	t.Fatalf("the node is not %s: %s", state, log[max(0, len(log)-4000):])
}

// signal stops the node's processes, or continues them.
func (n *galeraNode) signal(signal syscall.Signal) { syscall.Kill(-n.server.Process.Pid, signal) }

// kill ends the node as a power cut would.
func (n *galeraNode) kill() {
	if n.server != nil {
		n.signal(syscall.SIGKILL)
		<-n.ended
		n.server = nil
	}
}

func (n *galeraNode) isOver() bool {
	select {
	case <-n.ended:
		return true
	default:
		return false
	}
}

// TestGalera uses three nodes: it runs this module's tests on one of them, uses
// a token through all of them and, under load, kills a node and takes away the
// majority and restores it.
func TestGalera(t *testing.T) {
	long(t)
	nodes := newGalera(t)
	d := databases[2]
	open := func(t *testing.T) (stores []*sqlstore.Store) {
		for _, node := range nodes {
			opts := &sqlstore.Options{Tenant: t.Name(), RetryFor: 20 * time.Second}
			stores = append(stores, d.storeIn(t, d.open(t, node.dsn()), opts))
		}
		return stores
	}
	t.Run("reads that do not wait", func(t *testing.T) {
		for dsn, warned := range map[string]bool{nodes[0].dsn(): false, strings.TrimSuffix(nodes[0].dsn(), "&wsrep_sync_wait=1"): true} {
			var log strings.Builder
			d.storeIn(t, d.open(t, dsn), &sqlstore.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if strings.Contains(log.String(), "wsrep_sync_wait=1") != warned {
				t.Errorf("on %s, Migrate wrote %q", dsn, log.String())
			}
		}
	})
	t.Run("one token", func(t *testing.T) { useOneToken(t, open(t)) })
	t.Run("a node killed", func(t *testing.T) {
		stores := open(t)
		load := startLoad(t, 12, stores[:2]...)
		load.wait(t, 200)
		nodes[2].kill()
		at := load.mark()
		load.wait(t, 200)
		t.Logf("the first write that began after the kill was done after %v", load.first.Load().Sub(at))
		nodes[2].start(t, "gcomm://127.0.0.1:"+strconv.Itoa(nodes[0].group))
		load.wait(t, 100)
		load.stop()
		for _, store := range open(t) {
			load.check(t, store)
		}
	})
	t.Run("no majority", func(t *testing.T) {
		stores := open(t)
		load := startLoad(t, 12, stores...)
		load.wait(t, 200)
		for _, node := range nodes[1:] {
			node.signal(syscall.SIGSTOP)
		}
		nodes[0].await(t, "Initialized")
		impatient := sqlstore.New(d.open(t, nodes[0].dsn()), d.dialect, &sqlstore.Options{RetryFor: -1})
		if err := impatient.Add(t.Context(), &dcr.Client{ID: "alone"}); err == nil {
			t.Error("a node without the majority acknowledged a write")
		}
		if _, err := impatient.FindByClientID(t.Context(), "alone"); err == nil || errors.Is(err, dcr.ErrClientNotFound) {
			t.Errorf("a node without the majority answered a read: %v", err)
		}
		for _, node := range nodes[1:] {
			node.signal(syscall.SIGCONT)
		}
		for _, node := range nodes {
			node.await(t, "Synced")
		}
		load.mark()
		load.wait(t, 200)
		load.stop()
		for _, store := range stores {
			load.check(t, store)
		}
	})
	t.Run("the other tests", func(t *testing.T) { testGaleraNode(t, nodes[1]) })
}

// useOneToken uses a token for 500 registrations through all nodes at once.
func useOneToken(t *testing.T, stores []*sqlstore.Store) {
	if err := stores[0].AddInitialAccessToken(t.Context(), &dcr.InitialAccessToken{Hash: "hash", MaxUses: 500}); err != nil {
		t.Fatal(err)
	}
	var used atomic.Int64
	var workers sync.WaitGroup
	for worker := range 12 {
		workers.Go(func() {
			for {
				switch err := stores[worker%3].UseInitialAccessToken(t.Context(), "hash", time.Now()); {
				case err == nil:
					used.Add(1)
				case errors.Is(err, dcr.ErrTokenUsedUp):
					return
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
	for _, store := range stores {
		token, err := store.FindInitialAccessToken(t.Context(), "hash")
		if err != nil || token.Uses != 500 || used.Load() != 500 {
			t.Fatalf("of 500 uses, %d were granted; the token is %+v, error %v", used.Load(), token, err)
		}
	}
}

// testGaleraNode runs the tests of every kind of database on one node.
func testGaleraNode(t *testing.T, node *galeraNode) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tests := exec.Command(self, "-test.run=./^MySQL$", "-test.v",
		"-test.skip=^Test(Galera|Failover|PgBouncer|SynchronousStandby|Switchover)$|SQLite|PostgreSQL|File")
	tests.Env = append(os.Environ(), "DCR_TEST_LONG=", "DCR_TEST_MYSQL="+node.dsn())
	output, err := tests.CombinedOutput()
	passed := strings.Count(string(output), "/MySQL")
	t.Logf("%d lines of tests on MySQL", passed)
	if err != nil || !strings.Contains(string(output), "--- PASS: TestStore/MySQL") {
		logs := regexp.MustCompile(`(?m)^.* (DEBUG|INFO|WARN|ERROR) .*\n`) // what the tests log is long, and hides what failed
		output = logs.ReplaceAll(output, nil)
		t.Errorf("%v: %s", err, output[max(0, len(output)-20000):])
	}
}
