package policy

// Registration that waits for a person: RFC 7591 §5 leaves it to the server
// how much it trusts what a stranger says of itself.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/credentials"
)

// Approval makes new clients wait for a person: each is pending until the host
// calls [Approve]. A pending client has its credentials, but cannot authenticate
// with them or update itself. With its registration access token it can read
// itself, which shows a registration_status of "pending" until the wait is over,
// and delete itself.
//
// A client is approved as it is at that time. An update that changes its metadata
// makes it wait again, so that a client cannot become another one once it is
// approved. So does a metadata document that lets it come without credentials from
// now on.
//
// waives says which registrations need no approval, such as those with a software
// statement. If nil, all need it.
func Approval(waives func(reg *dcr.Registration) bool) Rule {
	return func(inner dcr.Validator) dcr.Validator { return approval{inner, waives} }
}

type approval struct {
	dcr.Validator
	waives func(reg *dcr.Registration) bool
}

// ValidateClient judges the complete client.
func (a approval) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := a.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	if a.waives != nil && a.waives(reg) {
		return nil
	}
	if reg.Previous != nil {
		unchanged, err := sameMetadata(&reg.Previous.Metadata, &reg.Client.Metadata)
		if err != nil || unchanged && !losesCredentials(reg) {
			return err
		}
	}
	if reg.Client.Status == dcr.StatusActive {
		reg.Client.Status = dcr.StatusPending
	}
	return nil
}

// losesCredentials reports whether a client may come without credentials from now on
// although its metadata is the same.
func losesCredentials(reg *dcr.Registration) bool {
	before := reg.Previous.Document
	return reg.Client.Source == dcr.SourceDocument && mayBePublic(reg) && (before == nil || !slices.Contains(before.AuthMethods, "none"))
}

// mayBePublic reports whether a client may come without credentials: its method is
// none, or its metadata document lists that among others.
func mayBePublic(reg *dcr.Registration) bool {
	lists := func() bool {
		return slices.Contains(reg.Choices("token_endpoint_auth_methods_supported"), "none") &&
			slices.Contains(reg.Capabilities.TokenEndpointAuthMethods, "none") && !credentials.Needed(reg.Client)
	}
	return reg.Client.TokenEndpointAuthMethod == "none" || reg.Client.Source == dcr.SourceDocument && lists()
}

func sameMetadata(before, after *dcr.Metadata) (bool, error) {
	old, errOld := json.Marshal(before)
	fresh, errFresh := json.Marshal(after)
	return bytes.Equal(old, fresh), errors.Join(errOld, errFresh)
}

// Approve makes a pending client active. revision is the [dcr.Client.Revision]
// of the client that the person looked at. Approve returns [dcr.ErrConflict] if
// the client has changed since, so that it must be looked at again, and
// [dcr.ErrClientNotFound] if there is no such client. It does nothing if the
// client is not pending.
func Approve(ctx context.Context, store dcr.ClientConfigurationStore, clientID string, revision int64) error {
	client, err := dcr.FindStored(ctx, store, clientID)
	switch {
	case err != nil:
		return err
	case client.Revision != revision:
		return dcr.ErrConflict
	case client.Status != dcr.StatusPending:
		return nil
	}
	client.Status = dcr.StatusActive
	return store.Update(ctx, client)
}
