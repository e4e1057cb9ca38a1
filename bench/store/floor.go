package main

// The floors store the same document in the same way and do nothing else: they have one
// statement for all clients, and do not retry. One has a table of two columns with no
// index but its key; the other inserts into the store's table, with the columns and
// indexes that the store needs to list, count and sweep.

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// inserter stores one document and returns when it is durable.
type inserter func(ctx context.Context, id, document string) error

// floorTable is the table of a floor.
type floorTable struct {
	create  string // "" if the table exists
	name    string
	columns string
	row     func(id, document string) []any
}

var (
	ownTable = floorTable{"CREATE TABLE floor (id varchar(64) PRIMARY KEY, document text NOT NULL)", "floor", "id, document",
		func(id, document string) []any { return []any{id, document} }}
	sameTable = floorTable{"", "dcr_clients", "tenant, client_id, revision, created_at, document",
		func(id, document string) []any { return []any{"", id, 1, micros(time.Now()), document} }}
)

// inserter returns how the floor adds a document, on the same pool as the store, and a
// function that ends it.
func (t *floorTable) inserter(ctx context.Context, k *kind, db *sql.DB) (inserter, func(), error) {
	insert := "INSERT INTO " + t.name + " (" + t.columns + ") VALUES (" + k.placeholders(0, len(t.row("", ""))) + ")"
	if t.create != "" {
		if _, err := db.ExecContext(ctx, t.create); err != nil {
			return nil, nil, err
		}
	}
	if k.name == "sqlite" {
		return t.groupCommitter(ctx, db, insert)
	}
	prepared, err := db.PrepareContext(ctx, insert)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, id, document string) error {
		_, err := prepared.ExecContext(ctx, t.row(id, document)...)
		return err
	}, func() { prepared.Close() }, nil
}

type insertion struct {
	row  []any
	done chan error
}

// groupCommitter is the floor on SQLite: a goroutine with its own connection commits
// everything that arrived during the last commit together.
func (t *floorTable) groupCommitter(ctx context.Context, db *sql.DB, insert string) (inserter, func(), error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	prepared, err := conn.PrepareContext(ctx, insert)
	if err != nil {
		return nil, nil, err
	}
	insertions := make(chan insertion, 1024)
	var running sync.WaitGroup
	running.Go(func() {
		for first := range insertions {
			group := []insertion{first}
			for len(insertions) > 0 && len(group) < 256 {
				group = append(group, <-insertions)
			}
			err := commit(conn, prepared, group)
			for _, one := range group {
				one.done <- err
			}
		}
	})
	add := func(ctx context.Context, id, document string) error {
		done := make(chan error, 1)
		insertions <- insertion{t.row(id, document), done}
		return <-done
	}
	return add, func() {
		close(insertions)
		running.Wait()
		conn.Close()
	}, nil
}

func commit(conn *sql.Conn, prepared *sql.Stmt, group []insertion) error {
	ctx := context.Background()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	inside := tx.StmtContext(ctx, prepared)
	for _, one := range group {
		if _, err := inside.ExecContext(ctx, one.row...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
