package sqlstore

// What is noted of a client: a consent, and what is known about its metadata document.
// Notes have columns of their own, so that they do not rewrite the client's document
// or change its Revision.

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dynreg/dcr"
)

// NoteDocument notes what is known about a client's metadata document, in one
// statement; see [dcr.DocumentNoter].
func (s *Store) NoteDocument(ctx context.Context, clientID string, record dcr.DocumentRecord) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return s.note(ctx, clientID, step{&s.sql.noteDocument, []any{string(text), lookedAt(&record), micros(record.Withdrawn), s.tenant, clientID}})
}

// note runs a statement that may run twice.
func (s *Store) note(ctx context.Context, clientID string, note step) error {
	if dcr.CheckClientID(clientID) != nil {
		return dcr.ErrClientNotFound
	}
	var answered error
	return s.write(ctx,
		func() (touched int64, err error) {
			touched, answered = s.exec(ctx, note)
			return touched, answered
		},
		func(ctx context.Context, _ bool, read rowReader) (verdict, error) {
			if answered != nil {
				return verdict{}, nil // it may run twice
			}
			_, err := s.lookup(ctx, clientID, read) // noted before, maybe by an earlier try, or deleted?
			return settled(err)
		})
}

// lookedAt returns when a document was last looked at.
func lookedAt(of *dcr.DocumentRecord) int64 { return max(micros(of.FetchedAt), micros(of.Withdrawn)) }

// errConsented says that a person consented earlier.
var errConsented = errors.New("sqlstore: consented before")

// NoteConsent notes a person's consent; see [dcr.ConsentNoter]. The first
// consent is written at once; a later one is a use like any other, see
// [Store.TouchClient].
func (s *Store) NoteConsent(ctx context.Context, clientID, person string, at time.Time) error {
	if dcr.CheckClientID(clientID) != nil {
		return dcr.ErrClientNotFound
	}
	used := s.useAt(at)
	steps := []step{{&s.sql.consent, []any{person, used, used, used, s.tenant, clientID}}}
	if keys := appendKey(nil, keyActivatedBy, person); len(keys) > 0 {
		steps = append(steps, step{&s.sql.setKeys[1], s.keyRows(clientID, keys)})
	}
	var answered error
	err := s.write(ctx,
		func() (touched int64, err error) {
			if person == "" {
				return 0, nil
			}
			touched, answered = s.exec(ctx, steps...)
			return touched, answered
		},
		func(context.Context, bool, rowReader) (verdict, error) {
			if answered != nil {
				return verdict{}, nil // it may run twice
			}
			return settled(errConsented)
		})
	if errors.Is(err, errConsented) {
		return s.TouchClient(ctx, clientID, at)
	}
	return err
}

// bring returns the step that updates the notes of a client to those that it comes
// with, if it has any. Notes about its metadata document that are newer stay.
func (s *Store) bring(client *dcr.Client) []step {
	if client.Document == nil && client.ActivatedBy == "" {
		return nil
	}
	known, withdrawn := int64(-1), int64(0) // older than any note
	if client.Document != nil {
		known, withdrawn = lookedAt(client.Document), micros(client.Document.Withdrawn)
	}
	var person any
	if client.ActivatedBy != "" {
		person = asRead(client.ActivatedBy)
	}
	return []step{{&s.sql.bring, []any{known, known, withdrawn, known, person, s.tenant, client.ID}}}
}
