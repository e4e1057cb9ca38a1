package sqltest

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cluster is a PostgreSQL server in a temporary directory, with a socket there.
type cluster struct {
	bin, dir string
	server   *os.Process
	ended    chan struct{} // closed when server has ended
}

// newCluster makes a cluster.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	return newClusterBy(t, "initdb", "--username=dcr", "--auth=trust", "--no-sync")
}

// newClusterBy makes a cluster with one of PostgreSQL's programs, as the user
// that the server may run as.
func newClusterBy(t *testing.T, program string, arguments ...string) *cluster {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil && len(found) == 0 {
		found = append(found, path)
	}
	if len(found) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI needs PostgreSQL's initdb")
		}
		t.Skip("initdb is missing: PostgreSQL's server is not installed")
	}
	// The path of a socket must be shorter than that of t.TempDir.
	dir, err := os.MkdirTemp("", "dcr")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{bin: filepath.Dir(found[len(found)-1]), dir: dir}
	t.Cleanup(func() {
		c.kill()
		os.RemoveAll(dir)
	})
	if os.Getuid() == 0 { // the server refuses to run as root
		if output, err := exec.Command("chown", "postgres", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	if output, err := c.command(program, append(arguments, "--pgdata="+dir+"/data")...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, output)
	}
	return c
}

// command returns a command for one of PostgreSQL's programs, or for any other
// by its path, that does not run as root.
func (c *cluster) command(program string, arguments ...string) *exec.Cmd {
	if !filepath.IsAbs(program) {
		program = filepath.Join(c.bin, program)
	}
	if os.Getuid() == 0 {
		program, arguments = "setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--init-groups", program}, arguments...)
	}
	command := exec.Command(program, arguments...)
	command.Dir = c.dir
	return command
}

func (c *cluster) dsn() string { return "host=" + c.dir + " user=dcr dbname=postgres" }

// start starts the server, which recovers from its log if it was killed, and
// waits until it answers. A new server refuses to start while processes of a
// killed one remain, so it is started again.
func (c *cluster) start(t *testing.T) {
	t.Helper()
	db, err := sql.Open("pgx", c.dsn())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		server := c.command("postgres", "-D", c.dir+"/data", "-k", c.dir, "-c", "listen_addresses=", "-c", "max_connections=200")
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			server.Wait()
			close(ended)
		}()
		for {
			if db.Ping() == nil {
				c.server, c.ended = server.Process, ended
				return
			}
			select {
			case <-ended:
			case <-time.After(20 * time.Millisecond):
				continue
			}
			break
		}
	}
	t.Fatal("the server did not start")
}

// kill ends the server and all its processes as a power cut would.
func (c *cluster) kill() {
	if c.server == nil {
		return
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", c.server.Pid))
	c.server.Kill()
	for field := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(field); err == nil {
			if process, err := os.FindProcess(pid); err == nil {
				process.Kill()
			}
		}
	}
	<-c.ended
	c.server = nil
}
