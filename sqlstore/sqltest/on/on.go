// Package on makes go test say whether there is a database server. Its tests are in
// the packages below it: without a server, they run no test, and go test prints "[no
// tests to run]" after the name, which it does not print for tests that are skipped.
package on

import (
	"context"
	"database/sql"
	"flag"
	"os"
	"testing"
	"time"
)

// Main runs the tests of m if a server answers at the data source name in the
// environment variable or, if that is not set, at otherwise.
func Main(m *testing.M, driver, variable, otherwise string) {
	flag.Parse()
	dsn := os.Getenv(variable)
	if dsn == "" {
		dsn = otherwise
	}
	if !answers(driver, dsn) {
		flag.Set("test.run", "^$")
	}
	os.Exit(m.Run())
}

func answers(driver, dsn string) bool {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return false
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return db.PingContext(ctx) == nil
}
