package dcr

// The rules that the RFCs fix whatever the host's policy is. The steps of
// DefaultValidator apply them where they belong; here they are applied once
// more to the finished client, so that no hook can skip or undo them.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/dynreg/dcr/internal/uri"
)

var fixedRules = []func(reg *Registration) error{
	(*Registration).checkCorrespondence,
	func(reg *Registration) error { _, err := reg.checkRedirectURIs(); return err },
	(*Registration).checkRedirectSchemes,
	(*Registration).checkAuthentication,
	(*Registration).checkDisplayURIs,
	(*Registration).checkEncPairs,
	(*Registration).checkOpenID,
	(*Registration).checkRequestObjects,
	(*Registration).checkSenderConstraint,
	(*Registration).checkSymmetric,
	(*Registration).checkKeyNeeds,
	(*Registration).checkExtensionNames,
	(*Registration).checkSettings,
}

// fixedRules returns the first rule that the client breaks.
func (reg *Registration) fixedRules() error {
	for _, rule := range fixedRules {
		if err := rule(reg); err != nil {
			return err
		}
	}
	return nil
}

// ValidateClient holds the complete effective client to the rules that span
// its members: which algorithms need a secret, and which need keys.
func (d DefaultValidator) ValidateClient(ctx context.Context, reg *Registration) error {
	if err := reg.checkSymmetric(); err != nil {
		return err
	}
	return reg.checkKeyNeeds()
}

// checkRedirectSchemes keeps remote http away from clients that no policy may
// give it to: public ones, and those that get tokens through the browser.
func (reg *Registration) checkRedirectSchemes() error {
	c := reg.Client
	if c.mayUseHTTP(c.TokenEndpointAuthMethod) {
		return nil
	}
	for i, redirect := range c.RedirectURIs {
		if parsed, err := uri.Parse(redirect); err == nil && parsed.Kind() == uri.HTTP {
			return refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.kind", "redirect_uris[%d] %s", i, remoteHTTP)
		}
	}
	return nil
}

func (reg *Registration) checkEncPairs() error {
	for _, pair := range encryptionPairs {
		if err := reg.checkEncPair(pair.alg, pair.enc); err != nil {
			return err
		}
	}
	return nil
}

// checkExtensionNames keeps what the server issues out of the extensions.
func (reg *Registration) checkExtensionNames() error {
	for name, raw := range reg.Client.Extra {
		if !json.Valid(raw) {
			return refuseMember(name, "json", "must be JSON")
		}
		if slices.Contains(issued, name) || name == "software_statement" || member(name) != nil {
			return refuseMember(name, "extension", "must not be an extension member")
		}
	}
	return nil
}

// checkSettings holds the server-owned settings, which only hooks set, to what
// they can mean.
func (reg *Registration) checkSettings() error {
	c := reg.Client
	if c.AccessTokenLifetime <= 0 || c.IdentityTokenLifetime <= 0 || c.AuthorizationCodeLifetime <= 0 ||
		c.AbsoluteRefreshTokenLifetime < 0 || c.SlidingRefreshTokenLifetime < 0 || c.ConsentLifetime < 0 {
		return refuse(ServerError, "", "settings.lifetime", "the lifetimes of a client must be positive")
	}
	return nil
}

// checkFixedRules applies the fixed rules after the steps. What the default
// pipeline refuses for the same reason is the registrant's fault; what only a
// hook can have done is the server's.
func (reg *Registration) checkFixedRules() error {
	broken := reg.fixedRules()
	if broken == nil || reg.plain {
		return broken
	}
	plain := &Registration{
		Request: reg.Request, Statement: reg.Statement, Caller: reg.Caller, Limits: reg.Limits, Readable: reg.Readable,
		now: reg.now, canSeal: reg.canSeal, plain: true,
	}
	refused, brokenRule := (*Error)(nil), (*Error)(nil)
	standard := plainValidator{DefaultValidator{
		Supports:                reg.Capabilities,
		AllowPushedRedirectURIs: reg.foundation.pushedRedirectURIs, AllowHybridWithoutImplicit: reg.foundation.hybridWithoutImplicit,
	}}
	err := Validate(context.Background(), standard, plain)
	if errors.As(err, &refused) && errors.As(broken, &brokenRule) && refused.Rule == brokenRule.Rule {
		return refused
	}
	return hookFault(broken)
}

// hookFault says in the log that a hook broke a fixed rule.
func hookFault(broken error) error {
	return fmt.Errorf("dcr: a hook left a client that no policy may accept: %s", broken.Error())
}

// plainValidator is the default pipeline without the network.
type plainValidator struct{ DefaultValidator }

func (plainValidator) ValidateOpenID(ctx context.Context, reg *Registration) error {
	reg.Client.SectorIdentifierURI = ""
	return DefaultValidator{}.ValidateOpenID(ctx, reg)
}

// ValidateSoftwareStatement leaves the verified statement as it is.
func (plainValidator) ValidateSoftwareStatement(ctx context.Context, reg *Registration) error {
	return nil
}
