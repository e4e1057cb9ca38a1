package sqlstore

import (
	"context"
	"strings"

	"github.com/dynreg/dcr"
)

// clause is a condition in SQL, each part of it after " AND ".
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

// selection says in SQL which clients are meant. An index gives them in the
// order of their ids: that of all clients, or that of a key. What that index
// does not know is asked of each client that it gives.
type selection struct {
	from     string // the tables
	id       string // the column with the id
	given    string // the condition that the index fulfils
	givenArg []any
	asked    clause
	narrow   [][]clause             // conditions to use instead, which few clients may fulfil: each a union of clauses, together with given
	halves   []clause               // what is asked, in two halves: the clients that were never used, and those that were
	counted  []clause               // the same for counting; nil if no time is asked
	index    string                 // the one that has all that is asked of all clients; empty if there is none
	inGo     func(*dcr.Client) bool // what no column has; nil for nothing
	written  []string               // what stands, in lower case, in the documents of the clients that inGo selects
}

// everything selects all clients of the tenant.
func (s *Store) everything() *selection {
	return &selection{from: "{clients} AS c", id: "c.client_id", given: "c.tenant = ?", givenArg: []any{s.tenant}, index: byCreation}
}

// having selects the clients with a key, of whatever value where k has none.
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

// selection says filter in SQL. Of several keys, the one that is likely to be
// the rarest comes first.
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

// askNarrow asks what an index knows to which few clients may belong.
func (sel *selection) askNarrow(one clause) {
	sel.asked.join(one)
	sel.narrow = append(sel.narrow, []clause{one})
}

// The two halves of the clients, by which they are indexed in the order of their
// age: a new client is in the index of the unused ones alone. A third index has
// the used ones in the order of their last use. It says what they are in other
// words, so that no database takes it for the second.
const (
	unused = "last_used_at = 0"
	used   = "last_used_at > 0"
	idle   = "last_used_at <> 0"
)

// Indexes of all clients, where an index has all rows: in the order of their
// creation, and in that of their last use.
const (
	byCreation = "{.clients_created}"
	byUse      = "{.clients_idle}"
)

// askTimes asks when clients were created and used, after all else was asked.
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

// written are those of some texts that stand in a document as they are, in lower
// case: every writer of JSON may escape others.
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

// open reads a client of the selection, nil if what no column knows speaks against
// it. To look into its document is cheaper than to read it.
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
