package memstore

// Which clients came from a software statement.

import (
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// statement names a software statement.
type statement struct{ issuer, id string }

// byStatement finds clients by their software statement. Those without one,
// most of them, cost it nothing.
type byStatement struct {
	clients map[statement][]string
	noted   map[string]noted // of a client, by its id
}

// noted says where a client is in byStatement.
type noted struct {
	statement
	at int // in the list of the statement's clients
}

// set notes the statement of a client that has none noted. A nil record is
// ignored.
func (b *byStatement) set(clientID string, record *dcr.StatementRecord) {
	if record == nil {
		return
	}
	if b.clients == nil {
		b.clients, b.noted = make(map[statement][]string), make(map[string]noted)
	}
	of := statement{strings.Clone(record.Issuer), strings.Clone(record.ID)}
	clientID = strings.Clone(clientID)
	b.noted[clientID] = noted{of, len(b.clients[of])}
	b.clients[of] = append(b.clients[of], clientID)
}

// forget drops a client. The last one of its statement takes its place.
func (b *byStatement) forget(clientID string) {
	of, has := b.noted[clientID]
	if !has {
		return
	}
	ids := b.clients[of.statement]
	last := len(ids) - 1
	b.noted[ids[last]] = of
	ids[of.at], ids[last] = ids[last], ""
	delete(b.noted, clientID)
	if b.clients[of.statement] = ids[:last]; last == 0 {
		delete(b.clients, of.statement)
	}
}

// shrink gives back the memory of what was forgotten.
func (b *byStatement) shrink() {
	clients, places := b.clients, b.noted
	b.clients, b.noted = make(map[statement][]string, len(clients)), make(map[string]noted, len(places))
	for of, ids := range clients {
		b.clients[of] = slices.Clone(ids)
	}
	for clientID, place := range places {
		b.noted[clientID] = place
	}
}
