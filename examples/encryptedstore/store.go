package main

// The store that encrypts clients.

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/dynreg/dcr"
)

// encryptedStore wraps a store. It encrypts each client as a whole and binds
// the ciphertext to the client's id, so that nobody can swap two clients. It gives
// the inner store a client with the same id that has only:
//
//   - the ciphertext, which begins with the id of its key;
//   - in the clear, the values that the inner store sweeps and filters by: status,
//     source, policy, the times, the revision and the record of a metadata document;
//   - as keyed hashes, the values that are searched for by equality alone: the
//     software id, the caller that registered the client, the person who activated
//     it, and the issuer and id of its software statement. Without the key, two
//     hashes only show whether their texts are the same.
//
// A client is read from its ciphertext. Only the revision, the uses and the record of
// a document are read from the values in the clear. Someone who can write to the
// database can still delete a client, restore an earlier version of it, or say that
// it was used. The length of the ciphertext shows the length of the client. Initial
// access tokens, with their subjects and notes, and used values are stored in the
// clear, as the inner store keeps them.
//
// If tenants share a database, give each its own keys: the ciphertext is not bound to
// the tenant.
type encryptedStore struct {
	dcr.ClientConfigurationStore // Delete is that of the inner store

	sealer dcr.Sealer
	search []byte
}

// newEncryptedStore returns a wrapper around inside.
func newEncryptedStore(inside dcr.ClientConfigurationStore, k keys) (*encryptedStore, error) {
	sealer, err := dcr.NewAESSealer(k.Encrypt...)
	if err == nil && len(k.Search) != 32 {
		err = errors.New("the search key must have 32 bytes")
	}
	return &encryptedStore{inside, sealer, k.Search}, err
}

// hash returns the keyed hash by which a text is searched for, or "" for "".
func (s *encryptedStore) hash(kind, text string) string {
	if text == "" {
		return ""
	}
	mac := hmac.New(sha256.New, s.search)
	mac.Write([]byte(kind + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// sealed is the extension member that holds the ciphertext.
var sealed = dcr.NewField[string]("sealed")

// bind returns the data that the ciphertext of a client is bound to. It contains the
// id, and says that this is a client, since a host may seal client secrets with the
// same key.
func bind(clientID string) string { return "client " + clientID }

// seal returns the client as the inner store sees it.
func (s *encryptedStore) seal(client *dcr.Client) (*dcr.Client, error) {
	document, err := client.MarshalJSON()
	if err != nil {
		return nil, err
	}
	ciphertext, err := s.sealer.Seal(dcr.Plaintext(document), bind(client.ID))
	if err != nil {
		return nil, err
	}
	outer := dcr.NewClient()
	outer.ID, outer.Revision, outer.Source, outer.Status, outer.Policy = client.ID, client.Revision, client.Source, client.Status, client.Policy
	outer.CreatedAt, outer.ActivatedAt, outer.LastUsedAt, outer.ExpiresAt = client.CreatedAt, client.ActivatedAt, client.LastUsedAt, client.ExpiresAt
	outer.SoftwareID = s.hash("software", client.SoftwareID)
	outer.RegisteredBy = s.hash("caller", client.RegisteredBy)
	outer.ActivatedBy = s.hash("person", client.ActivatedBy)
	outer.Document = client.Document
	if of := client.Statement; of != nil {
		outer.Statement = &dcr.StatementRecord{Issuer: s.hash("issuer", of.Issuer), ID: s.hash("statement", of.ID)}
	}
	return outer, sealed.Set(&outer.Metadata, ciphertext)
}

// open returns the client that seal encrypted, with the uses that were noted since.
func (s *encryptedStore) open(outer *dcr.Client) (*dcr.Client, error) {
	ciphertext, _, err := sealed.Get(&outer.Metadata)
	if err != nil {
		return nil, err
	}
	document, err := s.sealer.Open(ciphertext, bind(outer.ID))
	if err != nil {
		return nil, fmt.Errorf("client %q: %w", outer.ID, err)
	}
	client := &dcr.Client{}
	if err := client.UnmarshalJSON([]byte(document.Reveal())); err != nil {
		return nil, err
	}
	client.Revision, client.ActivatedAt, client.LastUsedAt, client.Document = outer.Revision, outer.ActivatedAt, outer.LastUsedAt, outer.Document
	return client, nil
}

// Add encrypts a new client.
func (s *encryptedStore) Add(ctx context.Context, client *dcr.Client) error {
	return s.write(ctx, client, s.ClientConfigurationStore.Add)
}

// Update encrypts a client with the first key, even if it had another.
func (s *encryptedStore) Update(ctx context.Context, client *dcr.Client) error {
	return s.write(ctx, client, s.ClientConfigurationStore.Update)
}

func (s *encryptedStore) write(ctx context.Context, client *dcr.Client, store func(context.Context, *dcr.Client) error) error {
	outer, err := s.seal(client)
	if err == nil {
		err = store(ctx, outer)
	}
	if err == nil {
		client.Revision = outer.Revision
	}
	return err
}

// FindByClientID decrypts a client. If it cannot be decrypted, the error is not
// dcr.ErrClientNotFound.
func (s *encryptedStore) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	outer, err := s.ClientConfigurationStore.FindByClientID(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return s.open(outer)
}

// FindStored decrypts a client as it is stored now, even if the inner store is a cache.
func (s *encryptedStore) FindStored(ctx context.Context, clientID string) (*dcr.Client, error) {
	outer, err := dcr.FindStored(ctx, s.ClientConfigurationStore, clientID)
	if err != nil {
		return nil, err
	}
	return s.open(outer)
}

// reencrypt encrypts again, with the first key, the clients that have another one,
// and returns how many. Hosts can write in the meantime: if a client changes,
// reencrypt reads it again and does not overwrite the change. A client that is
// encrypted again has a new revision.
func (s *encryptedStore) reencrypt(ctx context.Context) (count int64, err error) {
	lister, ok := dcr.StoreAs[dcr.ClientLister](s.ClientConfigurationStore)
	if !ok {
		return 0, errors.New("the inner store cannot list its clients")
	}
	for outer, err := range lister.ListClients(ctx, dcr.Filter{}, "") {
		var changed bool
		if err == nil {
			changed, err = s.reencryptOne(ctx, outer)
		}
		switch {
		case errors.Is(err, dcr.ErrClientNotFound): // deleted in the meantime
		case err != nil:
			return count, err
		case changed:
			count++
		}
	}
	return count, nil
}

func (s *encryptedStore) reencryptOne(ctx context.Context, outer *dcr.Client) (changed bool, err error) {
	for {
		client, err := s.open(outer)
		if err != nil {
			return false, err
		}
		fresh, err := s.seal(client)
		if err != nil || keyID(fresh) == keyID(outer) {
			return false, err
		}
		err = s.ClientConfigurationStore.Update(ctx, fresh)
		if !errors.Is(err, dcr.ErrConflict) {
			return err == nil, err
		}
		if outer, err = dcr.FindStored(ctx, s.ClientConfigurationStore, outer.ID); err != nil {
			return false, err
		}
	}
}

// keyID names the key that a client is encrypted with.
func keyID(outer *dcr.Client) string {
	ciphertext, _, _ := sealed.Get(&outer.Metadata) // open has checked it
	id, _, _ := strings.Cut(ciphertext, ".")
	return id
}
