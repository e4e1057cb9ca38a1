package sqlstore

import "strings"

// statements are the SQL texts of a store, built once.
type statements struct {
	add, addPlain, find, update, remove, touch, byStatement  statement
	addToken, findToken, useToken, releaseToken, removeToken statement
	remember, rememberAgain, forget                          statement
}

// searched are the columns of a client that are written from its document, in
// the order of searchedValues.
const searched = "status, source, software_id, registered_by, policy, statement_issuer, statement_id, created_at, expires_at"

// row are the columns that make a client, in the order of stored.columns.
const row = "client_id, revision, document, activated_at, last_used_at"

func newStatements(t *traits, names names) *statements {
	s := &statements{}
	set := func(s *statement, text string) { s.text = t.number(names.fill(text)) }
	const one = " WHERE tenant = ? AND client_id = ?"

	set(&s.add, "INSERT INTO {clients} (tenant, client_id, revision, "+searched+", activated_at, last_used_at, document)"+
		" VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"+t.ignoreNew)
	set(&s.addPlain, "INSERT INTO {clients} (tenant, client_id, source, created_at, document) VALUES (?, ?, ?, ?, ?)"+t.ignoreNew)
	set(&s.find, "SELECT "+row+" FROM {clients}"+one)
	set(&s.update, "UPDATE {clients} SET revision = revision + 1, "+strings.ReplaceAll(searched, ",", " = ?,")+" = ?, "+
		"activated_at = CASE WHEN activated_at = 0 THEN ? ELSE activated_at END, "+
		"last_used_at = CASE WHEN last_used_at < ? THEN ? ELSE last_used_at END, document = ?"+one+" AND revision = ?")
	set(&s.remove, "DELETE FROM {clients}"+one)
	set(&s.touch, "UPDATE {clients} SET activated_at = CASE WHEN activated_at = 0 THEN ? ELSE activated_at END, last_used_at = ?"+
		one+" AND last_used_at < ? AND last_used_at <= ?")
	set(&s.byStatement, "SELECT client_id FROM {clients} WHERE tenant = ? AND statement_issuer = ? AND statement_id = ?"+
		" AND statement_issuer <> '' ORDER BY client_id")

	const token = " WHERE tenant = ? AND hash = ?"
	set(&s.addToken, "INSERT INTO {initial_access_tokens} (tenant, hash, max_uses, uses, expires_at, document)"+
		" VALUES (?, ?, ?, ?, ?, ?)"+t.ignoreNew)
	set(&s.findToken, "SELECT uses, document FROM {initial_access_tokens}"+token)
	set(&s.useToken, "UPDATE {initial_access_tokens} SET uses = uses + 1"+token+
		" AND (max_uses = 0 OR uses < max_uses) AND (expires_at = 0 OR expires_at > ?)")
	set(&s.releaseToken, "UPDATE {initial_access_tokens} SET uses = uses - 1"+token+" AND uses > 0")
	set(&s.removeToken, "DELETE FROM {initial_access_tokens}"+token)

	set(&s.remember, "INSERT INTO {seen} (tenant, seen_key, expires_at) VALUES (?, ?, ?)"+t.ignoreTaken)
	set(&s.rememberAgain, "UPDATE {seen} SET expires_at = ? WHERE tenant = ? AND seen_key = ? AND expires_at <= ?")
	set(&s.forget, "DELETE FROM {seen} WHERE tenant = ? AND expires_at <= ?")
	return s
}
