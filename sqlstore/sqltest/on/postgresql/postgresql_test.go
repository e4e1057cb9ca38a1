// Package postgresql says whether package sqltest ran on PostgreSQL.
package postgresql

import (
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/dynreg/dcr/sqlstore/sqltest/on"
)

func TestMain(m *testing.M) {
	on.Main(m, "pgx", "DCR_TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test")
}

func TestThereIsAServer(t *testing.T) {}
