package policy

// Registration that waits for a person: RFC 7591 §5 leaves it to the server
// how much it trusts what a stranger says of itself.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// Approval makes new clients wait for a person: each is pending until the host
// calls [Approve]. A pending client has its credentials, but cannot authenticate
// with them or update itself. With its registration access token it can read
// itself, which shows a registration_status of "pending" until the wait is over,
// and delete itself.
//
// A client is approved as it is at that time. An update that changes its metadata, or a
// setting that it chose through [DuendeMembers], makes it wait again, so that a client
// cannot become another one once it is approved. One that sends back what was answered
// changes nothing. A metadata document that lets the client come without credentials
// from now on makes it wait again too.
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
		unchanged, err := sameClient(reg)
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
// although its metadata, and so its own method, is the same.
func losesCredentials(reg *dcr.Registration) bool {
	before := reg.Previous.Document
	return reg.Client.TokenEndpointAuthMethod != "none" && mayBePublic(reg) && (before == nil || !slices.Contains(before.AuthMethods, "none"))
}

// mayBePublic reports whether a client may come without credentials: its method is
// none, or its metadata document lists that among others.
func mayBePublic(reg *dcr.Registration) bool {
	lists := func() bool {
		return slices.Contains(reg.Choices("token_endpoint_auth_methods_supported"), "none") &&
			slices.Contains(reg.Capabilities.TokenEndpointAuthMethods, "none") && !reg.Client.NeedsCredentials()
	}
	return reg.Client.TokenEndpointAuthMethod == "none" || reg.Client.Source == dcr.SourceDocument && lists()
}

// sameClient reports whether an update leaves the metadata as they are. Of the members of
// DuendeMembers, the settings count, and not whether the client asked for them: one that
// sends back what it read asks for what it has.
func sameClient(reg *dcr.Registration) (bool, error) {
	before, after := reg.Previous.Metadata, withoutForeignPages(reg.Client).Metadata
	if _, heard := reg.Items[ownersItem].(owners); heard {
		if !sameSettings(reg.Previous, reg.Client) {
			return false, nil
		}
		before.Extra, after.Extra = withoutSettings(before.Extra), withoutSettings(after.Extra)
	}
	old, errOld := inOrder(&before)
	fresh, errFresh := inOrder(&after)
	return bytes.Equal(old, fresh), errors.Join(errOld, errFresh)
}

// inOrder returns metadata as JSON with the members of each object in order, since a
// client may write those of its keys in another order than before.
func inOrder(m *dcr.Metadata) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	decoder, value := json.NewDecoder(bytes.NewReader(text)), any(nil)
	decoder.UseNumber() // exact
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

// withoutForeignPages returns the client as it will be stored: of one that publishes its
// metadata, package cimd drops a client_uri on another host, after all steps.
func withoutForeignPages(c *dcr.Client) *dcr.Client {
	host, published := documentHost(c)
	if !published {
		return c
	}
	kept := *c
	kept.Localized = maps.Clone(c.Localized)
	for name, page := range pages(c) {
		base, _, _ := strings.Cut(name, "#")
		if parsed, err := uri.Parse(page); base == "client_uri" && (err != nil || parsed.Host != host) {
			removePage(&kept, name)
		}
	}
	return &kept
}

// sameSettings compares the settings that the client asked for, before or now. Others
// are the host's.
func sameSettings(before, after *dcr.Client) bool {
	var limits DuendeLimits
	had := limits.settings(before)
	for i, has := range limits.settings(after) {
		asked := before.Extra[has.name] != nil || after.Extra[has.name] != nil
		if asked && !has.equal(&had[i]) {
			return false
		}
	}
	return true
}

// withoutSettings returns the extension members that are not those of DuendeMembers.
func withoutSettings(extra map[string]json.RawMessage) map[string]json.RawMessage {
	rest := maps.Clone(extra)
	for _, setting := range duendeExtensions {
		delete(rest, setting.Name())
	}
	return rest
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
