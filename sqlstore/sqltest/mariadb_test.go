package sqltest

import (
	"database/sql"
	"os"
	"os/exec"
	"testing"
	"time"
)

// mariadb is a MariaDB server in a temporary directory, with a socket there.
type mariadb struct{ dir string }

func (m mariadb) socket() string { return m.dir + "/s" }

// dsn names the database "clients", with a user who may not write while the
// server is read-only.
func (m mariadb) dsn(network, address string) string {
	return "dcr@" + network + "(" + address + ")/clients?allowNativePasswords=true"
}

// newMariaDB makes and starts a server with a database "clients".
func newMariaDB(t *testing.T) mariadb {
	t.Helper()
	install, missing := exec.LookPath("mariadb-install-db")
	program, without := exec.LookPath("mariadbd")
	if missing != nil || without != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI needs MariaDB's server")
		}
		t.Skip("MariaDB's server is not installed")
	}
	// The path of a socket must be shorter than that of t.TempDir.
	dir, err := os.MkdirTemp("", "dcr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := mariadb{dir}
	arguments := []string{"--no-defaults", "--datadir=" + dir + "/data"}
	if os.Getuid() == 0 {
		arguments = append(arguments, "--user=root")
	}
	output, err := exec.Command(install, append(arguments, "--auth-root-authentication-method=normal", "--skip-test-db")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	server := exec.Command(program, append(arguments, "--socket="+m.socket(), "--pid-file="+dir+"/pid", "--skip-networking",
		"--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M")...)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	admin := m.admin(t)
	for deadline := time.Now().Add(30 * time.Second); admin.Ping() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server did not start")
		}
	}
	for _, statement := range []string{
		"CREATE DATABASE clients", "CREATE USER dcr@localhost", "GRANT ALL ON clients.* TO dcr@localhost",
	} {
		if _, err := admin.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// admin opens the server as its root user.
func (m mariadb) admin(t *testing.T) *sql.DB {
	t.Helper()
	return databases[2].open(t, "root@unix("+m.socket()+")/")
}
