package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// The program chooses the driver. It imports, for example,
// github.com/jackc/pgx/v5/stdlib.
func ExampleNew() {
	db, err := sql.Open("pgx", "postgres://registrar@db.example.com/clients")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxIdleConns(32) // database/sql keeps two, and opening one costs more than a registration
	store := sqlstore.New(db, sqlstore.PostgreSQL, nil)
	defer store.Close()
	if err := store.Migrate(context.Background()); err != nil { // on every host, at every start
		log.Fatal(err)
	}
	handler, err := dcr.NewHandler(store, &dcr.Options{Endpoint: "https://id.example.com/connect/dcr"})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/connect/dcr", handler)
}

// The name contains the settings that the store needs for every connection.
func ExampleSQLiteDSN() {
	fmt.Println(strings.HasPrefix(sqlstore.SQLiteDSN("clients.db"), "file:clients.db?"))
	// Output: true
}

// Each tenant has its own view of the store and its own Handler.
func ExampleStore_ForTenant() {
	store := sqlstore.New(new(sql.DB), sqlstore.PostgreSQL, nil)
	defer store.Close()
	for _, tenant := range []string{"acme", "initech"} {
		handler, err := dcr.NewHandler(store.ForTenant(tenant), &dcr.Options{
			Endpoint:  "https://" + tenant + ".example.com/connect/dcr",
			Validator: dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{tenant + ":read"}}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(handler.Endpoint())
	}
	// Output:
	// https://acme.example.com/connect/dcr
	// https://initech.example.com/connect/dcr
}

// The steps of the schema, for teams that use their own migration tool.
func ExampleMigrations() {
	for _, step := range sqlstore.Migrations(sqlstore.SQLite, &sqlstore.Options{TablePrefix: "oauth_"})[:2] {
		fmt.Println(step.Version, step.Name)
	}
	// Output:
	// 1 clients
	// 2 tokens
}
