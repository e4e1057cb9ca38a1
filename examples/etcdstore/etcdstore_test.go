package etcdstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

// member is the name of the environment variable that makes this test binary a member of a
// cluster. Its value has the directory, name, client URL and peer URL, and all members.
const member = "ETCDSTORE_TEST_MEMBER"

func TestMain(m *testing.M) {
	settings := os.Getenv(member)
	if settings == "" {
		os.Exit(m.Run())
	}
	err := serve(strings.Fields(settings))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// serve runs one member of a cluster until it is killed.
func serve(settings []string) error {
	config := embed.NewConfig()
	config.Dir, config.Name = settings[0], settings[1]
	client, _ := url.Parse(settings[2])
	peer, _ := url.Parse(settings[3])
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	config.InitialCluster = settings[4]
	config.LogLevel = "error"
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	return <-server.Err()
}

// cluster is an etcd cluster of several processes.
type cluster struct {
	endpoints []string
	members   []*exec.Cmd
}

func newCluster(t *testing.T, size int) *cluster {
	t.Helper()
	var names, peers []string
	c := &cluster{}
	for i := range size {
		c.endpoints = append(c.endpoints, freeURL(t))
		peers = append(peers, freeURL(t))
		names = append(names, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	for i := range size {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), member+"="+strings.Join([]string{
			t.TempDir(), fmt.Sprintf("m%d", i), c.endpoints[i], peers[i], strings.Join(names, ","),
		}, " "))
		command.Stderr = t.Output()
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		c.members = append(c.members, command)
		t.Cleanup(func() {
			command.Process.Kill()
			command.Wait()
		})
	}
	return c
}

// freeURL has a port below those that the kernel gives to outgoing connections, which
// could take it before the member listens.
func freeURL(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return "http://" + address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// open connects to the cluster, and waits until it answers.
func (c *cluster) open(t *testing.T) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.endpoints, DialTimeout: time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := client.Get(ctx, "ready"); err != nil {
		t.Fatal(err)
	}
	return client
}

func TestStore(t *testing.T) {
	client := newCluster(t, 1).open(t)
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
		return Store{client, t.Name() + "/"}
	})
}

// TestLeaderKilled kills the leader of three members under load. Every acknowledged client
// must be found afterwards.
func TestLeaderKilled(t *testing.T) {
	c := newCluster(t, 3)
	client := c.open(t)
	store := Store{client, "dcr/"}
	var acknowledged sync.Map
	var count, failed atomic.Int64
	var workers sync.WaitGroup
	var stop atomic.Bool
	done := make(chan time.Time) // the time of each write, if a receiver is ready
	for worker := range 16 {
		workers.Go(func() {
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("client-%d-%d", worker, n)
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				err := store.Add(ctx, &dcr.Client{ID: id})
				cancel()
				if err != nil {
					failed.Add(1)
					continue
				}
				acknowledged.Store(id, true)
				count.Add(1)
				select {
				case done <- time.Now():
				default:
				}
			}
		})
	}
	wait := func(more int64) {
		for want := count.Load() + more; count.Load() < want; {
			select {
			case <-done:
			case <-time.After(30 * time.Second):
				t.Error("no write was acknowledged for 30 seconds")
				return
			}
		}
	}
	wait(500)
	killed := time.Now()
	for i, endpoint := range c.endpoints {
		status, err := client.Status(t.Context(), endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if status.Leader == status.Header.MemberId {
			killed = time.Now()
			c.members[i].Process.Kill()
			c.members[i].Wait()
			break
		}
	}
	gap, last := time.Duration(0), killed
	for at := killed; at.Before(killed.Add(10 * time.Second)); last = at {
		select {
		case at = <-done:
		case <-time.After(30 * time.Second):
			t.Fatal("no write was acknowledged for 30 seconds")
		}
		gap = max(gap, at.Sub(last))
	}
	wait(500)
	stop.Store(true)
	workers.Wait()
	lost := 0
	for id := range acknowledged.Range {
		if _, err := store.FindByClientID(t.Context(), id.(string)); err != nil {
			t.Errorf("%s was acknowledged: %v", id, err)
			lost++
		}
	}
	t.Logf("%d acknowledged, %d lost; %d failed; the longest gap was %v", count.Load(), lost, failed.Load(), gap)
}
