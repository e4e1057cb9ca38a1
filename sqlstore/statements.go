package sqlstore

// The SQL texts.

import (
	"fmt"
	"strings"

	"github.com/dynreg/dcr"
)

// statements are the SQL texts of a store, built once.
type statements struct {
	add, addPlain, find, update, remove, removeRevision      statement
	touch, byStatement                                       statement
	addToken, findToken, useToken, releaseToken, removeToken statement
	remember, rememberAgain, forget, forgetOne, come         statement
	noteDocument, consent, bring                             statement
	oldest, evict, firstTenant, nextTenant                   statement

	// By the number of keys of the client.
	addKeys    [maxKeys + 1]statement // adds the keys alone
	setKeys    [maxKeys + 1]statement // adds them or changes their values
	dropKeys   [maxKeys + 1]statement // removes keys by their names
	addKeyed   [maxKeys + 1]statement // adds the client and its keys, if one statement can
	updateSame [maxKeys + 1]statement // updates the client, if its keys are still these
}

// row names the columns that make a client, in the order of stored.columns.
const row = "c.client_id AS client_id, c.revision, c.document, c.activated_at, c.last_used_at, c.document_record, c.activated_by"

// setNotes sets the statements that write notes next to a document.
func (s *statements) setNotes(set func(*statement, string), t *traits, one string) {
	used := "?"
	if t.now != "" { // a host whose clock is fast must not note a use in the future
		used = "LEAST(?, " + t.now + ")"
	}
	activated := "activated_at = CASE WHEN activated_at = 0 THEN " + used + " ELSE activated_at END"
	set(&s.touch, "UPDATE {clients} SET "+activated+", last_used_at = "+used+one+" AND last_used_at <= "+used+" - ?")
	set(&s.consent, "UPDATE {clients} SET activated_by = ?, "+activated+
		", last_used_at = CASE WHEN last_used_at < "+used+" THEN "+used+" ELSE last_used_at END"+one+" AND activated_by IS NULL")
	set(&s.noteDocument, "UPDATE {clients} SET document_record = ?, document_at = ?, withdrawn_at = ?"+one)
	// MySQL assigns from left to right, and reads what it has assigned.
	set(&s.bring, "UPDATE {clients} SET document_record = CASE WHEN document_at > ? THEN document_record ELSE NULL END, "+
		"withdrawn_at = CASE WHEN document_at > ? THEN withdrawn_at ELSE ? END, "+
		"document_at = CASE WHEN document_at > ? THEN document_at ELSE 0 END, activated_by = COALESCE(activated_by, ?)"+one)
}

// setEvictions sets the statements that find clients and tenants in the order of an
// index, and the one that evicts a client.
func (s *statements) setEvictions(set func(*statement, string), t *traits, one string) {
	const neverUsed = unused + " AND activated_at = 0"
	// A count, since MariaDB keeps the plan of a prepared NOT EXISTS that it chose when
	// the tables were small: to read the status of all clients.
	const active = "0 = (SELECT COUNT(*) FROM {client_keys} AS o WHERE o.tenant = c.tenant AND o.client_id = c.client_id AND o.name = '" + keyStatus + "')"
	from := " FROM {clients} AS c"
	if t.indexHint != "" {
		from += fmt.Sprintf(t.indexHint, byUse)
	}
	set(&s.oldest, "SELECT "+orderedRow+from+" WHERE c.tenant = ? AND "+neverUsed+" AND created_at > 0"+
		" AND source IN ('"+string(dcr.SourceDynamic)+"', '"+string(dcr.SourceDocument)+"') AND "+active+" ORDER BY created_at, client_id LIMIT 2")
	set(&s.evict, "DELETE FROM {clients}"+one+" AND revision = ? AND "+neverUsed)
	set(&s.firstTenant, "SELECT tenant FROM {clients} ORDER BY tenant LIMIT 1")
	set(&s.nextTenant, "SELECT tenant FROM {clients} WHERE tenant > ? ORDER BY tenant LIMIT 1")
}

func newStatements(t *traits, names names) *statements {
	s := &statements{}
	set := func(s *statement, text string) { s.text = t.number(names.fill(text)) }
	const one = " WHERE tenant = ? AND client_id = ?"

	const add = "INSERT INTO {clients} (tenant, client_id, revision, source, policy, created_at, expires_at, activated_at, last_used_at, document)" +
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	const update = "UPDATE {clients} SET revision = revision + 1, source = ?, policy = ?, created_at = ?, expires_at = ?, " +
		"activated_at = CASE WHEN activated_at = 0 THEN ? ELSE activated_at END, " +
		"last_used_at = CASE WHEN last_used_at < ? THEN ? ELSE last_used_at END, document = ?" + one + " AND revision = ?"
	set(&s.add, add+t.ignoreNew)
	set(&s.addPlain, "INSERT INTO {clients} (tenant, client_id, revision, created_at, document) VALUES (?, ?, ?, ?, ?)"+t.ignoreNew)
	set(&s.find, "SELECT "+row+" FROM {clients} AS c WHERE c.tenant = ? AND c.client_id = ?")
	set(&s.update, update)
	set(&s.remove, "DELETE FROM {clients}"+one)
	set(&s.removeRevision, "DELETE FROM {clients}"+one+" AND revision = ?")
	s.setNotes(set, t, one)
	s.setEvictions(set, t, one)

	for n := range maxKeys + 1 {
		set(&s.updateSame[n], update+fmt.Sprintf(" AND %d = (SELECT COUNT(*) FROM {client_keys}%s)", n, one)+
			strings.Repeat(" AND EXISTS (SELECT 1 FROM {client_keys}"+one+" AND name = ? AND value = ?)", n))
		if n == 0 {
			continue
		}
		addKeys := "INSERT INTO {client_keys} (tenant, client_id, name, value) VALUES (?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?)", n-1)
		set(&s.addKeys[n], addKeys)
		set(&s.setKeys[n], addKeys+t.orSetValue)
		set(&s.dropKeys[n], "DELETE FROM {client_keys}"+one+" AND name IN (?"+strings.Repeat(", ?", n-1)+")")
		if t.insertsTwo {
			set(&s.addKeyed[n], "WITH added AS ("+addKeys+") "+add)
		}
	}
	set(&s.byStatement, "SELECT client_id FROM {client_keys} WHERE tenant = ? AND name = '"+keyStatement+"' AND value = ? ORDER BY client_id")

	const token = " WHERE tenant = ? AND hash = ?"
	set(&s.addToken, "INSERT INTO {initial_access_tokens} (tenant, hash, max_uses, uses, expires_at, created_at, document)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?)"+t.ignoreNew)
	set(&s.findToken, "SELECT uses, document FROM {initial_access_tokens}"+token)
	set(&s.useToken, "UPDATE {initial_access_tokens} SET uses = uses + 1"+token+
		" AND (max_uses = 0 OR uses < max_uses) AND (expires_at = 0 OR expires_at > ?)")
	set(&s.releaseToken, "UPDATE {initial_access_tokens} SET uses = uses - 1"+token+" AND uses > 0")
	set(&s.removeToken, "DELETE FROM {initial_access_tokens}"+token)

	set(&s.remember, "INSERT INTO {seen} (tenant, seen_key, expires_at) VALUES (?, ?, ?)"+t.ignoreTaken)
	set(&s.rememberAgain, "UPDATE {seen} SET expires_at = ? WHERE tenant = ? AND seen_key = ? AND expires_at <= ?")
	set(&s.forgetOne, "DELETE FROM {seen} WHERE tenant = ? AND seen_key = ?")
	set(&s.come, "INSERT INTO {seen} (tenant, seen_key, expires_at) VALUES (?, ?, ?)")
	set(&s.forget, "DELETE FROM {seen} WHERE tenant = ? AND expires_at <= ?")
	return s
}
