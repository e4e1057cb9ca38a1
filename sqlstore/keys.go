package sqlstore

// The values by which clients are searched.

import (
	"slices"
	"unicode/utf8"

	"github.com/dynreg/dcr"
)

// The keys have a table of their own, since most clients have none, and then need no
// other index than that of the id.
const (
	keyStatus       = "status"
	keySoftwareID   = "software_id"
	keyRegisteredBy = "registered_by"
	keyStatement    = "statement"
	keyActivatedBy  = "activated_by"

	maxKeys = 5
)

// keyNames are the names of the keys that a client can lose.
var keyNames = [...]string{keyStatus, keySoftwareID, keyRegisteredBy, keyStatement}

// searchKey is one row of the table of keys, less the client.
type searchKey struct{ name, value string }

// keysOf returns the keys of a client.
func keysOf(client *dcr.Client) (keys []searchKey) {
	keys = appendKey(keys, keyStatus, string(client.Status))
	keys = appendKey(keys, keySoftwareID, client.SoftwareID)
	keys = appendKey(keys, keyRegisteredBy, client.RegisteredBy)
	if client.Statement != nil && client.Statement.Issuer != "" {
		keys = appendKey(keys, keyStatement, statementValue(client.Statement.Issuer, client.Statement.ID))
	}
	return appendKey(keys, keyActivatedBy, client.ActivatedBy)
}

// asRead returns a text as it comes back from the document, which is UTF-8.
func asRead(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

// appendKey adds a key, unless the client lacks the value.
func appendKey(keys []searchKey, name, value string) []searchKey {
	if value == "" {
		return keys
	}
	return append(keys, searchKey{name, key(asRead(value))})
}

// missing returns the names that are not in keys.
func missing(keys []searchKey) (names []any) {
	for _, name := range keyNames {
		if !slices.ContainsFunc(keys, func(k searchKey) bool { return k.name == name }) {
			names = append(names, name)
		}
	}
	return names
}

// statementValue returns the value of keyStatement. No issuer contains a NUL, and
// because of it, function key hashes both together.
func statementValue(issuer, id string) string { return issuer + "\x00" + id }

// keyRows returns the parameters of a statement that adds keys.
func (s *Store) keyRows(clientID string, keys []searchKey) (args []any) {
	for _, k := range keys {
		args = append(args, s.tenant, clientID, k.name, k.value)
	}
	return args
}
