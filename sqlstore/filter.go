package sqlstore

// Filters as conditions in SQL.

import (
	"context"
	"strings"

	"github.com/dynreg/dcr"
)

// clause is a condition in SQL. Each part of it begins with " AND ".
type clause struct {
	text string
	args []any
}

func (c *clause) and(condition string, args ...any) {
	c.text += " AND " + condition
	c.args = append(c.args, args...)
}

// join adds all of another clause.
func (c *clause) join(other clause) {
	c.text += other.text
	c.args = append(c.args, other.args...)
}

// selection is a filter in SQL. An index yields clients in the order of their ids: the
// index of all clients, or that of a key. Conditions that this index does not cover are
// checked for each client that it yields.
type selection struct {
	from     string // the tables
	id       string // the column with the id
	given    string // the condition that the index covers
	givenArg []any
	asked    clause                 // the other conditions
	narrow   [][]clause             // conditions to search by instead, which maybe few clients meet: each a union of clauses, used together with given
	halves   []clause               // asked in two halves: the clients that were never used, and those that were
	counted  []clause               // the same for counting; nil without conditions on times
	index    string                 // the index of all clients that covers asked; empty if there is none
	inGo     func(*dcr.Client) bool // the conditions that no column covers; nil if there are none
	written  []string               // texts, in lower case, that are in the documents of all clients that inGo selects
}

// everything selects all clients of the tenant.
func (s *Store) everything() *selection {
	return &selection{from: "{clients} AS c", id: "c.client_id", given: "c.tenant = ?", givenArg: []any{s.tenant}, index: byCreation}
}

// having selects the clients with the key k, with any value if k has none.
func (s *Store) having(k searchKey) *selection {
	sel := &selection{
		from: "{client_keys} AS k JOIN {clients} AS c ON c.tenant = k.tenant AND c.client_id = k.client_id",
		id:   "k.client_id", given: "k.tenant = ? AND k.name = ?", givenArg: []any{s.tenant, k.name},
	}
	if k.value != "" {
		sel.given += " AND k.value = ?"
		sel.givenArg = append(sel.givenArg, k.value)
	}
	sel.narrow = [][]clause{{{}}}
	return sel
}

// Conditions on the keys of a client.
const (
	hasKey   = "EXISTS (SELECT 1 FROM {client_keys} AS o WHERE o.tenant = c.tenant AND o.client_id = c.client_id AND o.name = ? AND o.value = ?)"
	isActive = "NOT EXISTS (SELECT 1 FROM {client_keys} AS o WHERE o.tenant = c.tenant AND o.client_id = c.client_id AND o.name = '" + keyStatus + "')"
)

// selection returns filter in SQL. If the filter has several keys, it searches by the
// one that is likely to be the rarest.
func (s *Store) selection(ctx context.Context, filter dcr.Filter) (*selection, error) {
	var keys []searchKey
	if filter.Status != nil && *filter.Status != dcr.StatusActive {
		keys = appendKey(keys, keyStatus, string(*filter.Status))
	}
	keys = appendKey(keys, keyActivatedBy, filter.ActivatedBy)
	keys = appendKey(keys, keyRegisteredBy, filter.RegisteredBy)
	keys = appendKey(keys, keySoftwareID, filter.SoftwareID)
	sel := s.everything()
	if len(keys) > 0 {
		sel = s.having(keys[0])
		for _, k := range keys[1:] {
			sel.asked.and(hasKey, k.name, k.value)
		}
	}
	if filter.Status != nil && *filter.Status == dcr.StatusActive {
		sel.asked.and(isActive)
	}
	if filter.Policy != "" {
		sel.askNarrow(clause{" AND policy = ? AND policy <> ''", []any{key(filter.Policy)}})
	}
	if source := filter.Source; source != nil && *source == dcr.SourceDynamic {
		sel.asked.and("source = '" + string(dcr.SourceDynamic) + "'")
	} else if source != nil {
		asked, err := s.ofSource(ctx, key(asRead(string(*source))))
		if err != nil {
			return nil, err
		}
		sel.askNarrow(asked)
	}
	sel.askTimes(filter)
	if filter.NamePrefix != "" || filter.RedirectHost != "" {
		asked := dcr.Filter{NamePrefix: filter.NamePrefix, RedirectHost: filter.RedirectHost}
		sel.inGo, sel.written = asked.Selects, written(filter.NamePrefix, filter.RedirectHost)
	}
	return sel, nil
}

// askNarrow adds a condition that has an index and that maybe few clients meet.
func (sel *selection) askNarrow(one clause) {
	sel.asked.join(one)
	sel.narrow = append(sel.narrow, []clause{one})
}

// The conditions of partial indexes. Two of them have the unused and the used clients
// in the order of their age, so that a new client is only in the first. A third has the
// used clients in the order of their last use. Its condition is written differently, so
// that no database takes it for the second.
const (
	unused = "last_used_at = 0"
	used   = "last_used_at > 0"
	idle   = "last_used_at <> 0"
)

// Indexes of all clients, in a dialect without partial indexes: in the order of their
// creation, and of their last use.
const (
	byCreation = "{.clients_created}"
	byUse      = "{.clients_idle}"
)

// askTimes adds the conditions on times. It is called after all others were added.
func (sel *selection) askTimes(filter dcr.Filter) {
	others, times := sel.asked, clause{}
	if !filter.CreatedAfter.IsZero() {
		times.and("created_at >= ?", micros(filter.CreatedAfter))
	}
	if !filter.CreatedBefore.IsZero() {
		times.and("created_at < ?", micros(filter.CreatedBefore))
	}
	second := used
	if at := micros(filter.UsedBefore); at != 0 {
		times.and("created_at < ? AND last_used_at < ?", at, at)
		second = idle
	}
	halves, narrow := []string{unused, used}, []string{unused, second}
	if filter.NeverActivated {
		times.and("activated_at = 0")
		halves, narrow = halves[:1], narrow[:1]
	}
	half := func(which string, beside ...clause) (half clause) {
		half.and(which)
		for _, other := range beside {
			half.join(other)
		}
		return half
	}
	for i := range halves {
		sel.halves = append(sel.halves, half(halves[i], times, others))
	}
	switch {
	case others.text != "":
		sel.index = ""
	case filter.NeverActivated || !filter.UsedBefore.IsZero():
		sel.index = byUse
	}
	if times.text == "" {
		return
	}
	var ways []clause
	for i := range narrow {
		ways = append(ways, half(narrow[i], times))
		sel.counted = append(sel.counted, half(narrow[i], times, others))
	}
	sel.narrow = append(sel.narrow, ways)
	sel.asked.join(times)
	if filter.NeverActivated {
		sel.asked.and(unused)
	}
}

// written returns, in lower case, those of the texts that a document contains as they
// are. Other texts may be escaped in JSON.
func written(texts ...string) (list []string) {
	for _, text := range texts {
		text = strings.ToLower(text)
		if text != "" && !strings.ContainsFunc(text, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != ' '
		}) {
			list = append(list, text)
		}
	}
	return list
}

// open decodes a client of the selection. It returns nil if the client does not meet a
// condition that no column covers. Searching the document for a text is cheaper than
// decoding it.
func (sel *selection) open(row *stored) (*dcr.Client, error) {
	if len(sel.written) > 0 && !strings.Contains(row.document, `\u`) {
		document := strings.ToLower(row.document)
		for _, text := range sel.written {
			if !strings.Contains(document, text) {
				return nil, nil
			}
		}
	}
	client, err := row.client()
	if err != nil || sel.inGo != nil && !sel.inGo(client) {
		return nil, err
	}
	return client, nil
}
