package memstore

import (
	"slices"

	"github.com/dynreg/dcr"
)

// statement names a software statement.
type statement struct{ issuer, id string }

// byStatement finds clients by their software statement. Those without one,
// most of them, cost it nothing.
type byStatement struct {
	clients   map[statement][]string // ids in their order
	statement map[string]statement   // of a client, by its id
}

// set notes the statement of a client, whatever it was before.
func (b *byStatement) set(client *dcr.Client) {
	b.forget(client.ID)
	if client.Statement == nil {
		return
	}
	if b.clients == nil {
		b.clients, b.statement = make(map[statement][]string), make(map[string]statement)
	}
	of := statement{client.Statement.Issuer, client.Statement.ID}
	ids := b.clients[of]
	at, _ := slices.BinarySearch(ids, client.ID)
	b.clients[of], b.statement[client.ID] = slices.Insert(ids, at, client.ID), of
}

func (b *byStatement) forget(clientID string) {
	of, has := b.statement[clientID]
	if !has {
		return
	}
	delete(b.statement, clientID)
	ids := slices.DeleteFunc(b.clients[of], func(id string) bool { return id == clientID })
	if b.clients[of] = ids; len(ids) == 0 {
		delete(b.clients, of)
	}
}
