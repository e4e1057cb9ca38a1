// Package on makes go test say whether a server of a database is there. Its tests are
// those of the packages below it: where there is no server, they run none, and go test
// says "[no tests to run]" after their name, as it does not say of tests that skip.
package on

import (
	"context"
	"database/sql"
	"flag"
	"os"
	"testing"
	"time"
)

// Main runs the tests of m where a server answers at the data source name that the
// environment variable, or else otherwise, holds.
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
