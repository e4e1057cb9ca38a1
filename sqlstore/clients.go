package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/dynreg/dcr"
)

// Add stores a new client in one statement and sets its Revision to 1. It
// returns dcr.ErrClientExists where the id is taken. A client id is at most
// 255 bytes of UTF-8 without NUL.
func (s *Store) Add(ctx context.Context, client *dcr.Client) error {
	if !storable(client.ID) {
		return fmt.Errorf("sqlstore: a client id must be 1 to %d bytes of UTF-8 without NUL", maxID)
	}
	document, err := document(client)
	if err != nil {
		return err
	}
	statement, args := s.insertion(client, document)
	err = s.write(ctx,
		func() (int64, error) { return s.exec(ctx, statement, args...) },
		func(unsure bool) (verdict, error) {
			if !unsure {
				return settled(dcr.ErrClientExists)
			}
			found, err := s.lookup(ctx, client.ID)
			switch {
			case errors.Is(err, dcr.ErrClientNotFound):
				return verdict{}, nil
			case err != nil:
				return verdict{}, err
			case found.revision == 1 && found.document == document:
				return settled(nil)
			}
			return settled(dcr.ErrClientExists)
		})
	if err == nil {
		client.Revision = 1
	}
	return err
}

// insertion returns the statement that adds client. Most clients have few of
// the columns by which clients are searched, and every value that is sent
// costs: the others have their defaults.
func (s *Store) insertion(client *dcr.Client, document string) (*statement, []any) {
	if client.Status == "" && client.SoftwareID == "" && client.RegisteredBy == "" && client.Policy == "" && client.Statement == nil &&
		client.ExpiresAt.IsZero() && client.ActivatedAt.IsZero() && client.LastUsedAt.IsZero() {
		return &s.sql.addPlain, []any{s.tenant, client.ID, key(string(client.Source)), micros(client.CreatedAt), document}
	}
	args := append([]any{s.tenant, client.ID}, searchedValues(client)...)
	return &s.sql.add, append(args, micros(client.ActivatedAt), micros(client.LastUsedAt), document)
}

// FindByClientID returns the client with that id in one statement, with what
// TouchClient noted. It returns dcr.ErrClientNotFound where there is none.
func (s *Store) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	found, err := s.lookup(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return found.client()
}

// Update replaces a client in one statement, if its Revision is still the
// stored one. It returns dcr.ErrConflict where it is not, and
// dcr.ErrClientNotFound where there is no such client. What TouchClient noted
// meanwhile stays.
func (s *Store) Update(ctx context.Context, client *dcr.Client) error {
	if !storable(client.ID) {
		return dcr.ErrClientNotFound
	}
	document, err := document(client)
	if err != nil {
		return err
	}
	used := micros(client.LastUsedAt)
	args := append(searchedValues(client), micros(client.ActivatedAt), used, used, document,
		s.tenant, client.ID, client.Revision)
	err = s.write(ctx,
		func() (int64, error) { return s.exec(ctx, &s.sql.update, args...) },
		func(unsure bool) (verdict, error) {
			found, err := s.lookup(ctx, client.ID)
			switch {
			case errors.Is(err, dcr.ErrClientNotFound):
				return settled(err)
			case err != nil:
				return verdict{}, err
			case found.revision == client.Revision:
				return verdict{}, nil
			case !unsure:
				return settled(dcr.ErrConflict)
			case found.revision == client.Revision+1 && found.document == document:
				return settled(nil)
			case found.revision > client.Revision+1:
				return verdict{}, errors.New("the client was changed again since")
			}
			return settled(dcr.ErrConflict)
		})
	if err == nil {
		client.Revision++
	}
	return err
}

// Delete removes a client in one statement. It returns dcr.ErrClientNotFound
// where there is none.
func (s *Store) Delete(ctx context.Context, clientID string) error {
	if !storable(clientID) {
		return dcr.ErrClientNotFound
	}
	return s.write(ctx,
		func() (int64, error) { return s.exec(ctx, &s.sql.remove, s.tenant, clientID) },
		func(unsure bool) (verdict, error) {
			if !unsure {
				return settled(dcr.ErrClientNotFound)
			}
			_, err := s.lookup(ctx, clientID)
			if errors.Is(err, dcr.ErrClientNotFound) {
				return settled(nil)
			}
			return verdict{}, err
		})
}

// lookup reads one row.
func (s *Store) lookup(ctx context.Context, clientID string) (*stored, error) {
	if !storable(clientID) {
		return nil, dcr.ErrClientNotFound
	}
	var found stored
	err := s.read(ctx, func() error {
		return s.queryRow(ctx, &s.sql.find, []any{s.tenant, clientID}, found.columns()...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, dcr.ErrClientNotFound
	}
	return &found, err
}
