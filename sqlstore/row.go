package sqlstore

// The row of a client.

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/dynreg/dcr"
)

// stored has those columns of a client's row that make the client.
type stored struct {
	id                  string
	revision            int64
	document            string
	activated, lastUsed int64
	documentRecord      sql.NullString // as it was noted next to the document
	activatedBy         sql.NullString
}

// columns returns where the columns go that the constant row names.
func (r *stored) columns() []any {
	return []any{&r.id, &r.revision, &r.document, &r.activated, &r.lastUsed, &r.documentRecord, &r.activatedBy}
}

// client decodes the document and adds what was noted next to it, since a use is noted
// without writing the document again. The document's own times are more precise, so
// they stay unless the columns have a later use.
func (r *stored) client() (*dcr.Client, error) {
	client := &dcr.Client{}
	if err := client.UnmarshalJSON([]byte(r.document)); err != nil {
		return nil, fmt.Errorf("sqlstore: client %q: %w", r.id, err)
	}
	client.Revision = r.revision
	if client.ActivatedAt.IsZero() {
		client.ActivatedAt = fromMicros(r.activated)
	}
	if r.lastUsed > micros(client.LastUsedAt) {
		client.LastUsedAt = fromMicros(r.lastUsed)
	}
	if client.ActivatedBy == "" {
		client.ActivatedBy = r.activatedBy.String
	}
	if r.documentRecord.Valid {
		client.Document = &dcr.DocumentRecord{}
		if err := json.Unmarshal([]byte(r.documentRecord.String), client.Document); err != nil {
			return nil, fmt.Errorf("sqlstore: client %q: document_record: %w", r.id, err)
		}
	}
	return client, nil
}

// document returns the client's stored form.
func document(client *dcr.Client) (string, error) {
	text, err := client.MarshalJSON()
	return string(text), err
}

// columnValues returns the values of source, policy, created_at and expires_at.
func columnValues(client *dcr.Client) []any {
	return []any{key(asRead(string(client.Source))), key(asRead(client.Policy)), micros(client.CreatedAt), micros(client.ExpiresAt)}
}
