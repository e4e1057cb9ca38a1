package admin

// Whether a client may be used, which operators decide.

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dynreg/dcr"
)

// The reason in the events of denied clients and documents.
const denied = "denied"

var (
	errPending    = errors.New("admin: the client waits for approval; approve or deny it")
	errNotPending = errors.New("admin: the client does not wait for approval; disable or delete it")

	errNotDocument     = errors.New("is not the https URL of a document")
	errNotFromDocument = errors.New("did not come from a document; disable it")
)

// Approve makes a pending client active. revision is the Revision of the client
// that the operator looked at. Approve returns dcr.ErrConflict if the client has
// changed since, so that it must be looked at again. It does nothing if the
// client is not pending.
func (a *Admin) Approve(ctx context.Context, clientID string, revision int64) error {
	client, err := a.seen(ctx, clientID, revision)
	if err != nil || client.Status != dcr.StatusPending {
		return err
	}
	client.Status = dcr.StatusActive
	if err := a.Store.Update(ctx, client); err != nil {
		return err
	}
	a.tell(ctx, client, dcr.Event{Kind: dcr.ClientApproved})
	return nil
}

// Deny deletes a pending client and runs AfterDelete. Like Approve, it returns
// dcr.ErrConflict if the client has changed since this revision. A client that
// came from a document is disabled instead, so that the document is not fetched
// again. Deny returns an error if the client is not pending.
func (a *Admin) Deny(ctx context.Context, clientID string, revision int64) error {
	client, err := a.seen(ctx, clientID, revision)
	switch {
	case err != nil:
		return err
	case client.Status != dcr.StatusPending:
		return errNotPending
	case client.Source != dcr.SourceDocument:
		return a.remove(ctx, client, denied)
	}
	client.Status = dcr.StatusDisabled
	if err := a.Store.Update(ctx, client); err != nil {
		return err
	}
	a.tell(ctx, client, dcr.Event{Kind: dcr.ClientDisabled, Reason: denied})
	return nil
}

// seen returns the client if it is still as the operator saw it.
func (a *Admin) seen(ctx context.Context, clientID string, revision int64) (*dcr.Client, error) {
	client, err := dcr.FindStored(ctx, a.Store, clientID)
	if err == nil && client.Revision != revision {
		err = dcr.ErrConflict
	}
	return client, err
}

// Disable disables a client: it can neither authenticate nor be authorised nor
// manage itself, and no sweep deletes it as one that was never used. Disable
// returns an error for a pending client: see [Admin.Deny].
func (a *Admin) Disable(ctx context.Context, clientID string) error {
	return a.set(ctx, clientID, dcr.StatusDisabled, dcr.Event{Kind: dcr.ClientDisabled})
}

// Enable makes a disabled client active, even one that was denied. It returns an
// error for a pending client: see [Admin.Approve].
func (a *Admin) Enable(ctx context.Context, clientID string) error {
	return a.set(ctx, clientID, dcr.StatusActive, dcr.Event{Kind: dcr.ClientEnabled})
}

// set gives a client that is not pending a status, and reports the event if it had
// another status.
func (a *Admin) set(ctx context.Context, clientID string, status dcr.Status, event dcr.Event) error {
	client, err := a.change(ctx, clientID, func(client *dcr.Client) (bool, error) {
		if client.Status == dcr.StatusPending {
			return false, errPending
		}
		changed := client.Status != status
		client.Status = status
		return changed, nil
	})
	if err == nil && client != nil {
		a.tell(ctx, client, event)
	}
	return err
}

// DenyDocument stores the URL of a metadata document as a disabled client, so that
// it is never fetched. If there already is a client from that document, even a
// pending one, it is disabled. No Janitor deletes it. DenyDocument returns an error
// if no document can have that URL, such as that of a host without a path, and for
// the id of a client that did not come from a document.
func (a *Admin) DenyDocument(ctx context.Context, documentURL string) error {
	parsed, err := dcr.ParseURI(documentURL)
	if err != nil || !strings.HasPrefix(documentURL, "https://") || parsed.Path == "" || parsed.HasFragment {
		return fmt.Errorf("admin: DenyDocument: %.100q %w", documentURL, errNotDocument)
	}
	for range maxConflicts {
		client, err := a.denyKnown(ctx, documentURL)
		if errors.Is(err, dcr.ErrClientNotFound) {
			client, err = a.denyUnknown(ctx, documentURL)
		}
		if errors.Is(err, dcr.ErrClientExists) {
			continue // it was stored in the meantime
		}
		if err == nil && client != nil {
			a.tell(ctx, client, dcr.Event{Kind: dcr.ClientDisabled, Reason: denied})
		}
		return err
	}
	return dcr.ErrConflict
}

func (a *Admin) denyKnown(ctx context.Context, documentURL string) (*dcr.Client, error) {
	return a.change(ctx, documentURL, func(client *dcr.Client) (bool, error) {
		if client.Source != dcr.SourceDocument {
			return false, fmt.Errorf("admin: DenyDocument: the client %.100q %w", documentURL, errNotFromDocument)
		}
		changed := client.Status != dcr.StatusDisabled
		client.Status = dcr.StatusDisabled
		return changed, nil
	})
}

func (a *Admin) denyUnknown(ctx context.Context, documentURL string) (*dcr.Client, error) {
	client, now := dcr.NewClient(), clock(a.Now)()
	client.ID, client.Source, client.Status = documentURL, dcr.SourceDocument, dcr.StatusDisabled
	client.CreatedAt, client.UpdatedAt = now, now
	return client, a.Store.Add(ctx, client)
}
