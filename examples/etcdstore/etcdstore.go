// Package etcdstore keeps clients in etcd, as an example of a store that is not an SQL
// database. Each client is one key. Each write is one transaction, which a majority of
// the nodes have on disk before etcd answers.
package etcdstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dynreg/dcr"
)

// ErrOutcomeUnknown is in the error of a write that etcd did not answer.
var ErrOutcomeUnknown = errors.New("etcdstore: the write may or may not have happened")

// Store is a [dcr.ClientConfigurationStore] and a [dcr.RevisionDeleter].
type Store struct {
	Client *clientv3.Client
	Prefix string // of every key, such as "dcr/"
}

// record is the value of a key. It has the Revision, which the stored form of a client
// lacks.
type record struct {
	Revision int64
	Client   *dcr.Client
}

// Add implements [dcr.ClientConfigurationStore].
func (s Store) Add(ctx context.Context, client *dcr.Client) error {
	if err := dcr.CheckClientID(client.ID); err != nil {
		return err
	}
	unused := clientv3.Compare(clientv3.CreateRevision(s.Prefix+client.ID), "=", 0)
	return s.put(ctx, client, dcr.NewRevision(), unused, dcr.ErrClientExists)
}

// FindByClientID implements [dcr.ClientConfigurationStore].
func (s Store) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	client, _, err := s.find(ctx, clientID)
	return client, err
}

// Update implements [dcr.ClientConfigurationStore].
func (s Store) Update(ctx context.Context, client *dcr.Client) error {
	return s.change(ctx, client.ID, client.Revision, func(same clientv3.Cmp) error {
		return s.put(ctx, client, client.Revision+1, same, dcr.ErrConflict)
	})
}

// Delete implements [dcr.ClientConfigurationStore].
func (s Store) Delete(ctx context.Context, clientID string) error {
	there := clientv3.Compare(clientv3.CreateRevision(s.Prefix+clientID), ">", 0)
	return s.commit(ctx, there, clientv3.OpDelete(s.Prefix+clientID), dcr.ErrClientNotFound)
}

// DeleteRevision implements [dcr.RevisionDeleter].
func (s Store) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	return s.change(ctx, clientID, revision, func(same clientv3.Cmp) error {
		return s.commit(ctx, same, clientv3.OpDelete(s.Prefix+clientID), dcr.ErrConflict)
	})
}

// find returns a client and the condition that its key has not been written since.
func (s Store) find(ctx context.Context, clientID string) (*dcr.Client, clientv3.Cmp, error) {
	found, err := s.Client.Get(ctx, s.Prefix+clientID) // a linearizable read: the value that the majority has
	if err != nil {
		return nil, clientv3.Cmp{}, err
	}
	if len(found.Kvs) == 0 {
		return nil, clientv3.Cmp{}, dcr.ErrClientNotFound
	}
	stored := record{Client: &dcr.Client{}}
	err = json.Unmarshal(found.Kvs[0].Value, &stored)
	stored.Client.Revision = stored.Revision
	return stored.Client, clientv3.Compare(clientv3.ModRevision(s.Prefix+clientID), "=", found.Kvs[0].ModRevision), err
}

// change writes if the client has the Revision and nobody changes it in the meantime.
func (s Store) change(ctx context.Context, clientID string, revision int64, write func(same clientv3.Cmp) error) error {
	client, same, err := s.find(ctx, clientID)
	if err == nil && client.Revision != revision {
		return dcr.ErrConflict
	}
	if err == nil {
		err = write(same)
	}
	if err == dcr.ErrConflict {
		return s.change(ctx, clientID, revision, write) // find out whether it was changed or deleted
	}
	return err
}

// put stores a client and then sets its new Revision.
func (s Store) put(ctx context.Context, client *dcr.Client, revision int64, condition clientv3.Cmp, otherwise error) error {
	value, err := json.Marshal(record{revision, client})
	if err == nil {
		err = s.commit(ctx, condition, clientv3.OpPut(s.Prefix+client.ID, string(value)), otherwise)
	}
	if err == nil {
		client.Revision = revision
	}
	return err
}

// commit writes if the condition holds, and returns otherwise if it does not.
func (s Store) commit(ctx context.Context, condition clientv3.Cmp, write clientv3.Op, otherwise error) error {
	done, err := s.Client.Txn(ctx).If(condition).Then(write).Commit()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	if done.Succeeded {
		return nil
	}
	return otherwise
}
