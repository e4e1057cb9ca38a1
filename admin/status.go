package admin

// What an operator decides about a client: whether it may act.

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dynreg/dcr"
)

// The reason on the events of what was denied.
const denied = "denied"

var (
	errPending    = errors.New("admin: the client waits for approval; approve or deny it")
	errNotPending = errors.New("admin: the client does not wait for approval; disable or delete it")

	errNotDocument     = errors.New("is not the https URL of a document")
	errNotFromDocument = errors.New("did not come from a document; disable it")
)

// Approve ends the wait of a pending client, as it was when it had this
// revision: dcr.ErrConflict says that it has changed since, and must be looked at
// again. One that is not pending is left as it is.
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

// Deny deletes a pending client of this revision, as Approve approves it, and
// runs AfterDelete; one that came from a document is kept, disabled, so that it is
// not fetched again. One that is not pending is an error.
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

// seen returns the client as the operator saw it.
func (a *Admin) seen(ctx context.Context, clientID string, revision int64) (*dcr.Client, error) {
	client, err := a.Store.FindByClientID(ctx, clientID)
	if err == nil && client.Revision != revision {
		err = dcr.ErrConflict
	}
	return client, err
}

// Disable switches a client off: it can neither authenticate nor be authorised nor
// manage itself, and no sweep takes it for one that was never used. A pending
// client is an error: see [Admin.Deny].
func (a *Admin) Disable(ctx context.Context, clientID string) error {
	return a.set(ctx, clientID, dcr.StatusDisabled, dcr.Event{Kind: dcr.ClientDisabled})
}

// Enable switches a disabled client on, also one that was denied. A pending client
// is an error: see [Admin.Approve].
func (a *Admin) Enable(ctx context.Context, clientID string) error {
	return a.set(ctx, clientID, dcr.StatusActive, dcr.Event{Kind: dcr.ClientEnabled})
}

// set gives a client that does not wait a status, and tells of it where it had
// another one.
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

// DenyDocument keeps the URL of a metadata document as a disabled client, so that
// it is never fetched; a client that came from it already is disabled, and so is a
// pending one. No janitor deletes it. It refuses what can be the URL of no document,
// such as that of a host alone, which would deny nothing, and the id of a client
// that did not come from a document.
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
			continue // it was fetched just now
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
