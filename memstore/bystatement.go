package memstore

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
	clients   map[statement][]string
	statement map[string]statement // of a client, by its id
}

// set notes the statement of a client that has none noted. A nil record is
// ignored.
func (b *byStatement) set(clientID string, record *dcr.StatementRecord) {
	if record == nil {
		return
	}
	if b.clients == nil {
		b.clients, b.statement = make(map[statement][]string), make(map[string]statement)
	}
	of := statement{strings.Clone(record.Issuer), strings.Clone(record.ID)}
	clientID = strings.Clone(clientID)
	b.clients[of], b.statement[clientID] = append(b.clients[of], clientID), of
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
