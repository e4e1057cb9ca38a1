// Package mysql says whether package sqltest ran on MySQL or MariaDB.
package mysql

import (
	"testing"

	_ "github.com/go-sql-driver/mysql"

	"github.com/dynreg/dcr/sqlstore/sqltest/on"
)

func TestMain(m *testing.M) {
	on.Main(m, "mysql", "DCR_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test")
}

func TestThereIsAServer(t *testing.T) {}
