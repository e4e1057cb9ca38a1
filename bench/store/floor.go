package main

import (
	"context"
	"database/sql"
	"sync"
)

// The floor keeps the same document by the same means and does nothing else:
// no columns to search by, no tenant, no retry.

// inserter keeps one document and returns when it is durable.
type inserter func(ctx context.Context, id, document string) error

// newFloor returns the floor's way of adding a document, on the same pool as the
// store's, and how to end it.
func newFloor(ctx context.Context, k *kind, db *sql.DB) (inserter, func(), error) {
	table, insert := "CREATE TABLE floor (id varchar(64) PRIMARY KEY, document text NOT NULL)", "INSERT INTO floor (id, document) VALUES (?, ?)"
	if k.name == "postgresql" {
		insert = "INSERT INTO floor (id, document) VALUES ($1, $2)"
	}
	if _, err := db.ExecContext(ctx, table); err != nil {
		return nil, nil, err
	}
	if k.name == "sqlite" {
		return groupCommitter(ctx, db, insert)
	}
	prepared, err := db.PrepareContext(ctx, insert)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, id, document string) error {
		_, err := prepared.ExecContext(ctx, id, document)
		return err
	}, func() { prepared.Close() }, nil
}

type insertion struct {
	id, document string
	done         chan error
}

// groupCommitter is the floor on SQLite: a goroutine with a connection of its
// own commits together what came during the last commit.
func groupCommitter(ctx context.Context, db *sql.DB, insert string) (inserter, func(), error) {
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
		insertions <- insertion{id, document, done}
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
		if _, err := inside.ExecContext(ctx, one.id, one.document); err != nil {
			return err
		}
	}
	return tx.Commit()
}
