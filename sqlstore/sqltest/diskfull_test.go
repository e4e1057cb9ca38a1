package sqltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/dynreg/dcr/sqlstore"
)

// disk is a small disk in memory.
type disk struct{ dir string }

// newDisk mounts a disk of size MiB for all later temporary files of the test.
// This needs root; otherwise the test is skipped.
func newDisk(t *testing.T, size int) *disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a disk")
	}
	dir, err := os.MkdirTemp("", "dcr")
	if err != nil {
		t.Fatal(err)
	}
	d := &disk{dir}
	t.Cleanup(func() { os.Remove(dir) })
	d.mount(t, fmt.Sprintf("size=%dm,mode=1777", size))
	t.Cleanup(func() { exec.Command("umount", "--lazy", dir).Run() })
	t.Setenv("TMPDIR", dir)
	return d
}

func (d *disk) mount(t *testing.T, options string) {
	t.Helper()
	if output, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", d.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

// fill fills the disk until only left KiB are free.
func (d *disk) fill(t *testing.T, left int) {
	t.Helper()
	const free = `free=$(df --output=avail -k "$1" | tail -1); head -c $(((free - $2) * 1024)) /dev/zero >"$1/filler"`
	if output, err := exec.Command("sh", "-c", free, "sh", d.dir, fmt.Sprint(left)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

// empty frees the space again.
func (d *disk) empty(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "filler")); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull fills the disk of each kind of database under load: acknowledged
// writes are stored, others return an error, and when there is room again writes
// go on, on PostgreSQL after a restart of its server.
func TestDiskFull(t *testing.T) {
	long(t)
	// fails loads the store until writes fail because the disk is full.
	fails := func(t *testing.T, small *disk, left int, store *sqlstore.Store) *load {
		small.fill(t, left)
		load := startLoad(t, 8, store)
		for deadline := time.Now().Add(2 * time.Minute); load.failed.Load() < 20; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d writes found room", load.count.Load())
			}
		}
		return load
	}
	goesOn := func(t *testing.T, load *load, store *sqlstore.Store) {
		load.wait(t, 100)
		load.check(t, store)
	}
	opts := &sqlstore.Options{RetryFor: 500 * time.Millisecond}
	t.Run("SQLite", func(t *testing.T) {
		small := newDisk(t, 16)
		d := databases[0]
		store := d.storeIn(t, d.open(t, sqlstore.SQLiteDSN(filepath.Join(small.dir, "clients.db"))), opts)
		load := fails(t, small, 2048, store)
		small.empty(t)
		goesOn(t, load, store)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		small := newDisk(t, 160)
		d, server := databases[1], newCluster(t)
		server.start(t)
		store := d.storeIn(t, d.open(t, server.dsn()), opts)
		load := fails(t, small, 2048, store)
		small.empty(t)
		select {
		case <-server.ended: // its log found no room
			server.server = nil
			server.start(t)
		case <-time.After(time.Second):
		}
		goesOn(t, load, store)
	})
	t.Run("MariaDB", func(t *testing.T) {
		small := newDisk(t, 256)
		d, server := databases[2], newMariaDB(t)
		store := d.storeIn(t, d.open(t, server.dsn("unix", server.socket())), opts)
		load := fails(t, small, 1024, store)
		small.empty(t)
		goesOn(t, load, store)
	})
}
