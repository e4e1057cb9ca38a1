// Package admin has what operators need to manage registered clients: functions that
// try again after a conflict, a [Janitor] that deletes unused clients, and web pages
// to mount behind the host's own login.
//
// Put the name of the operator into the context with [WithOperator]: each event
// has it. The pages do that themselves.
//
//	operations := &admin.Admin{Store: store, Handler: handler, AfterDelete: revokeGrants, Events: dcr.LogEvents(nil)}
//	err := operations.Disable(admin.WithOperator(ctx, "olga"), clientID)
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/dynreg/dcr"
)

// Admin acts on the clients of one store; with several tenants, on those of one
// tenant. It returns errors of the store as they are, such as
// dcr.ErrClientNotFound if there is no such client.
type Admin struct {
	Store       dcr.ClientConfigurationStore                        // the store of the clients; required
	Handler     *dcr.Handler                                        // the handler whose options say how secrets are made; if nil, the defaults of dcr.Options
	AfterDelete func(ctx context.Context, client *dcr.Client) error // called with each client that was deleted, as in dcr.Options; it has 10 seconds, even if ctx ends; if nil, nothing happens
	Events      func(ctx context.Context, event dcr.Event)          // called with what was done, with Operator set; if nil, nothing happens
	Now         func() time.Time                                    // the clock; if nil, time.Now
}

type operatorKey struct{}

// WithOperator returns a context that carries the operator's name, for events.
func WithOperator(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, operatorKey{}, name)
}

// operator returns the name that WithOperator put into ctx, "" if there is none.
func operator(ctx context.Context) string {
	name, _ := ctx.Value(operatorKey{}).(string)
	return name
}

// List returns up to limit clients that filter selects, the last created first,
// and the cursor of the next page, "" at the end. A page may have fewer clients,
// or none, even if it is not the last. The store must be a
// dcr.RecentClientLister.
func (a *Admin) List(ctx context.Context, filter dcr.Filter, cursor string, limit int) ([]*dcr.Client, string, error) {
	lister, ok := dcr.StoreAs[dcr.RecentClientLister](a.Store)
	if !ok {
		return nil, "", errors.New("admin: List: the store is no RecentClientLister; use one that is")
	}
	return lister.ListRecentClients(ctx, filter, cursor, limit)
}

// Delete removes a client and runs AfterDelete. If that fails, Delete returns its
// error, although the client is deleted.
func (a *Admin) Delete(ctx context.Context, clientID string) error {
	for range maxConflicts {
		client, err := dcr.FindStored(ctx, a.Store, clientID)
		if err == nil {
			err = a.remove(ctx, client, "")
		}
		if !errors.Is(err, dcr.ErrConflict) || errors.Is(err, errAfterDelete) { // the hook may return a conflict of its own
			return err
		}
	}
	return dcr.ErrConflict
}

// RotateSecret gives a client a new secret and returns it. The old one is valid
// for grace, and expires at once if that is zero or negative. RotateSecret
// returns an error if the client needs no secret.
func (a *Admin) RotateSecret(ctx context.Context, clientID string, grace time.Duration) (dcr.Plaintext, error) {
	for range maxConflicts {
		client, err := dcr.FindStored(ctx, a.Store, clientID)
		if err != nil {
			return "", err
		}
		secret, err := a.rotate(ctx, client, grace)
		if !errors.Is(err, dcr.ErrConflict) || errors.Is(err, errNoSecretMade) { // the hook may return a conflict of its own
			return secret, err
		}
	}
	return "", dcr.ErrConflict
}

var errNoSecretMade = errors.New("no secret was made")

// rotate gives a client, as it was read, a new secret.
func (a *Admin) rotate(ctx context.Context, client *dcr.Client, grace time.Duration) (dcr.Plaintext, error) {
	handler := a.Handler
	if handler == nil {
		var err error
		handler, err = dcr.NewHandler(a.Store, &dcr.Options{Endpoint: "https://localhost/", Logger: slog.New(slog.DiscardHandler), Now: a.Now})
		if err != nil {
			return "", err
		}
	}
	secret, err := handler.RotateSecret(ctx, client, grace)
	if err != nil {
		return "", fmt.Errorf("admin: client %q: %w: %w", client.ID, errNoSecretMade, err)
	}
	if err := a.Store.Update(ctx, client); err != nil {
		return "", err
	}
	a.tell(ctx, client, dcr.Event{Kind: dcr.CredentialsRotated, Members: []string{"client_secret"}})
	return secret, nil
}

// maxConflicts is how often a change is tried again after another one won.
const maxConflicts = 10

// change reads a client, calls change, and stores the client. It returns nil if there
// was nothing to change.
func (a *Admin) change(ctx context.Context, clientID string, change func(*dcr.Client) (changed bool, err error)) (*dcr.Client, error) {
	for range maxConflicts {
		client, err := dcr.FindStored(ctx, a.Store, clientID)
		if err != nil {
			return nil, err
		}
		if changed, err := change(client); err != nil || !changed {
			return nil, err
		}
		if err = a.Store.Update(ctx, client); err == nil {
			return client, nil
		}
		if !errors.Is(err, dcr.ErrConflict) {
			return nil, err
		}
	}
	return nil, dcr.ErrConflict
}

var errAfterDelete = errors.New("AfterDelete failed")

// remove deletes a client and reports the event. It deletes it only as it was read, if
// the store is a dcr.RevisionDeleter.
func (a *Admin) remove(ctx context.Context, client *dcr.Client, reason string) error {
	var err error
	if store, ok := dcr.StoreAs[dcr.RevisionDeleter](a.Store); ok {
		err = store.DeleteRevision(ctx, client.ID, client.Revision)
	} else {
		err = a.Store.Delete(ctx, client.ID)
	}
	if err != nil {
		return err
	}
	a.tell(ctx, client, dcr.Event{Kind: dcr.ClientDeleted, Reason: reason})
	if err := afterDelete(ctx, a.AfterDelete, client); err != nil {
		return fmt.Errorf("admin: client %q is deleted, but %w: %w", client.ID, errAfterDelete, err)
	}
	return nil
}

// afterDeleteTimeout bounds AfterDelete.
const afterDeleteTimeout = 10 * time.Second

// afterDelete runs a hook, which may be nil, for a client that was deleted. It runs it
// even if ctx has ended, since it cannot run it later.
func afterDelete(ctx context.Context, hook func(context.Context, *dcr.Client) error, client *dcr.Client) error {
	if hook == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterDeleteTimeout)
	defer cancel()
	return safely(ctx, "AfterDelete", client, func() error { return hook(ctx, client) })
}

// safely calls a hook of the host for a client. A panic becomes an error, and its
// stack is logged.
func safely(ctx context.Context, name string, client *dcr.Client, hook func() error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			slog.ErrorContext(ctx, name+" panicked", "client_id", client.ID, "panic", panicked, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s panicked: %v", name, panicked)
		}
	}()
	return hook()
}

// tell reports an event about a client.
func (a *Admin) tell(ctx context.Context, client *dcr.Client, event dcr.Event) {
	event.Operator = operator(ctx)
	tell(ctx, a.Events, a.Store, clock(a.Now)(), client, event)
}

// tell completes an event and passes it to a sink, which may be nil. A panic of the
// sink is logged and has no other effect.
func tell(ctx context.Context, sink func(context.Context, dcr.Event), store dcr.ClientConfigurationStore, at time.Time, client *dcr.Client, event dcr.Event) {
	if sink == nil {
		return
	}
	event.At, event.ClientID, event.Policy, event.Source, event.Tenant = at, client.ID, client.Policy, client.Source, tenantOf(store)
	safely(ctx, "Events, of "+string(event.Kind)+",", client, func() error {
		sink(ctx, event)
		return nil
	})
}

// tenantOf returns the tenant whose clients a store keeps, "" if the store does not
// tell.
func tenantOf(store dcr.ClientConfigurationStore) string {
	if of, ok := dcr.StoreAs[interface{ Tenant() string }](store); ok {
		return of.Tenant()
	}
	return ""
}

func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}
