package sqlstore

// Adding, finding, updating and deleting clients.

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/dynreg/dcr"
)

// Add stores a new client and sets its Revision to that of [dcr.NewRevision],
// by which the store recognises an Add whose answer was lost. It returns
// dcr.ErrClientExists if the id is taken.
func (s *Store) Add(ctx context.Context, client *dcr.Client) error {
	if err := dcr.CheckClientID(client.ID); err != nil {
		return err
	}
	document, err := document(client)
	if err != nil {
		return err
	}
	revision := dcr.NewRevision()
	insert := s.insertion(client, revision, document)
	err = s.write(ctx,
		func() (int64, error) { return s.exec(ctx, insert...) },
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			if !unsure {
				return settled(dcr.ErrClientExists)
			}
			found, err := s.lookup(ctx, client.ID, read)
			switch {
			case errors.Is(err, dcr.ErrClientNotFound):
				return verdict{}, nil
			case err != nil:
				return verdict{}, err
			case found.revision == revision && found.document == document:
				return settled(nil)
			}
			return settled(dcr.ErrClientExists)
		})
	if err == nil {
		client.Revision = revision
	}
	return err
}

// insertion returns the steps that add a client: one statement, or two for a client
// with keys if the dialect needs two. Most clients are plain. Since each value that is
// sent takes time, the values that plain clients have in common are the defaults of the
// columns.
func (s *Store) insertion(client *dcr.Client, revision int64, document string) []step {
	keys := keysOf(client)
	if len(keys) == 0 && client.Source == dcr.SourceDynamic && client.Policy == "" && client.Document == nil &&
		client.ExpiresAt.IsZero() && client.ActivatedAt.IsZero() && client.LastUsedAt.IsZero() {
		return []step{{&s.sql.addPlain, []any{s.tenant, client.ID, revision, micros(client.CreatedAt), document}}}
	}
	args := append([]any{s.tenant, client.ID, revision}, columnValues(client)...)
	args = append(args, micros(client.ActivatedAt), micros(client.LastUsedAt), document)
	steps := []step{{&s.sql.add, args}}
	if rows := s.keyRows(client.ID, keys); len(keys) > 0 && s.dialect.traits().insertsTwo {
		steps = []step{{&s.sql.addKeyed[len(keys)], append(rows, args...)}}
	} else if len(keys) > 0 {
		steps = append(steps, step{&s.sql.addKeys[len(keys)], rows})
	}
	return append(steps, s.bring(client)...)
}

// FindByClientID returns the client with that id, including what TouchClient
// noted, in one statement. It returns dcr.ErrClientNotFound if there is none.
func (s *Store) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	found, err := s.lookup(ctx, clientID, s.readRow)
	if err != nil {
		return nil, err
	}
	return found.client()
}

// Update replaces a client if its Revision is still the stored one, in one
// statement unless a value by which it is searched changes. It returns
// dcr.ErrConflict if the Revision is another one, and dcr.ErrClientNotFound if
// there is no such client. It keeps what TouchClient noted meanwhile.
func (s *Store) Update(ctx context.Context, client *dcr.Client) error {
	if dcr.CheckClientID(client.ID) != nil {
		return dcr.ErrClientNotFound
	}
	document, err := document(client)
	if err != nil {
		return err
	}
	same, other := s.replacement(client, document)
	err = s.write(ctx,
		func() (int64, error) {
			if touched, err := s.exec(ctx, same...); err != nil || touched > 0 {
				return touched, err
			}
			return s.exec(ctx, other...)
		},
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			found, err := s.lookup(ctx, client.ID, read)
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
				return verdict{}, untold("the client was changed again since")
			}
			return settled(dcr.ErrConflict)
		})
	if err == nil {
		client.Revision++
	}
	return err
}

// replacement returns the steps that update a client: same if its keys have not
// changed, other if they have. The latter delete keys last, and by name: in InnoDB, a
// DELETE that finds nothing locks the gap, and two transactions that then insert into
// it deadlock.
func (s *Store) replacement(client *dcr.Client, document string) (same, other []step) {
	keys, used := keysOf(client), micros(client.LastUsedAt)
	args := append(columnValues(client), micros(client.ActivatedAt), used, used, document,
		s.tenant, client.ID, client.Revision)
	rows := s.keyRows(client.ID, keys)
	same = []step{{&s.sql.updateSame[len(keys)], slices.Concat(args, []any{s.tenant, client.ID}, rows)}}
	other = []step{{&s.sql.update, args}}
	if len(keys) > 0 {
		other = append(other, step{&s.sql.setKeys[len(keys)], rows})
	}
	if none := missing(keys); len(none) > 0 {
		other = append(other, step{&s.sql.dropKeys[len(none)], append([]any{s.tenant, client.ID}, none...)})
	}
	brought := s.bring(client)
	return append(same, brought...), append(other, brought...)
}

// Delete removes a client in one statement. It returns dcr.ErrClientNotFound if
// there is none.
func (s *Store) Delete(ctx context.Context, clientID string) error {
	if dcr.CheckClientID(clientID) != nil {
		return dcr.ErrClientNotFound
	}
	return s.write(ctx,
		func() (int64, error) { return s.exec(ctx, step{&s.sql.remove, []any{s.tenant, clientID}}) },
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			if !unsure {
				return settled(dcr.ErrClientNotFound)
			}
			_, err := s.lookup(ctx, clientID, read)
			if errors.Is(err, dcr.ErrClientNotFound) {
				return settled(nil)
			}
			return verdict{}, err
		})
}

// DeleteRevision removes a client, if its Revision is still the given one, in
// one statement; see [dcr.RevisionDeleter].
func (s *Store) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	if dcr.CheckClientID(clientID) != nil {
		return dcr.ErrClientNotFound
	}
	return s.write(ctx,
		func() (int64, error) {
			return s.exec(ctx, step{&s.sql.removeRevision, []any{s.tenant, clientID, revision}})
		},
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			found, err := s.lookup(ctx, clientID, read)
			switch {
			case errors.Is(err, dcr.ErrClientNotFound) && unsure:
				return settled(nil)
			case errors.Is(err, dcr.ErrClientNotFound):
				return settled(err)
			case err != nil || found.revision == revision:
				return verdict{}, err
			}
			return settled(dcr.ErrConflict)
		})
}

// lookup reads one row.
func (s *Store) lookup(ctx context.Context, clientID string, read rowReader) (*stored, error) {
	if dcr.CheckClientID(clientID) != nil {
		return nil, dcr.ErrClientNotFound
	}
	var found stored
	err := read(ctx, &s.sql.find, []any{s.tenant, clientID}, found.columns()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, dcr.ErrClientNotFound
	}
	return &found, err
}
