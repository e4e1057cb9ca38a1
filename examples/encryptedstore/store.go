package main

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
// the ciphertext to the client's id, so that no two can be exchanged. To the
// store inside it gives a client of the same id that has nothing but:
//
//   - the ciphertext, which begins with the id of its key;
//   - in the clear, what the store inside sweeps and filters by: status, source,
//     policy, the times, the revision and what is known of a metadata document;
//   - as keyed hashes, what is searched for by equality alone: the software id,
//     the caller who registered the client, the person who activated it, and the
//     issuer and id of its software statement. A reader of two hashes learns whether they are of the
//     same text, and without the key nothing else.
//
// What is decrypted is believed, and of what is in the clear only the revision,
// the uses and what is known of a document. One who can write the database can still delete a client, bring
// back what it was before, or say that it was used. The length of a ciphertext
// tells that of the client. Initial access tokens are kept as the store inside
// keeps them, with their subjects and notes in the clear, and so are used
// values.
//
// Where tenants share a database, give each keys of its own: the ciphertext is
// not bound to the tenant.
type encryptedStore struct {
	dcr.ClientConfigurationStore // Delete is as it is inside

	sealer dcr.Sealer
	search []byte
}

// newEncryptedStore returns a wrapper around inside.
func newEncryptedStore(inside dcr.ClientConfigurationStore, k keys) (*encryptedStore, error) {
	sealer, err := dcr.NewAESSealer(k.Encrypt...)
	if err == nil && len(k.Search) != 32 {
		err = errors.New("the key for searching must have 32 bytes")
	}
	return &encryptedStore{inside, sealer, k.Search}, err
}

// hash returns what a text is searched by, "" for none.
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

// bind is what the ciphertext of a client is bound to. Besides the id it says
// that it is a client's: a host may seal client secrets with the same key.
func bind(clientID string) string { return "client " + clientID }

// seal returns the client as the store inside sees it.
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

// open returns the client that seal was given, with what was noted of its use
// since.
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

// Update encrypts a client with the first key, whichever it had.
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

// FindByClientID decrypts a client. One that cannot be decrypted is an outage,
// never a client that is missing.
func (s *encryptedStore) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	outer, err := s.ClientConfigurationStore.FindByClientID(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return s.open(outer)
}

// reencrypt encrypts the clients that are encrypted with another key than the
// first, and returns how many. Hosts may work meanwhile: what they write while
// it does is read again and not overwritten. A client that is encrypted again
// has a new revision.
func (s *encryptedStore) reencrypt(ctx context.Context) (count int64, err error) {
	lister, ok := dcr.StoreAs[dcr.ClientLister](s.ClientConfigurationStore)
	if !ok {
		return 0, errors.New("the store inside cannot list its clients")
	}
	for outer, err := range lister.ListClients(ctx, dcr.Filter{}, "") {
		var changed bool
		if err == nil {
			changed, err = s.reencryptOne(ctx, outer)
		}
		switch {
		case errors.Is(err, dcr.ErrClientNotFound): // deleted meanwhile
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
		if outer, err = s.ClientConfigurationStore.FindByClientID(ctx, outer.ID); err != nil {
			return false, err
		}
	}
}

// keyID names the key that a client is encrypted with.
func keyID(outer *dcr.Client) string {
	ciphertext, _, _ := sealed.Get(&outer.Metadata) // open has found it good
	id, _, _ := strings.Cut(ciphertext, ".")
	return id
}
