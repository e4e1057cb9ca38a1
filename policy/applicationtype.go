package policy

// OpenID Connect Dynamic Client Registration 1.0 §2: application_type.

import (
	"context"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// CorrectApplicationType replaces an application_type that does not fit the
// redirect URIs: oidc-agent, for one, sends web, and redirects to the user's own
// machine and to its own scheme. Each redirect URI is judged by its own kind. An
// application_type that fits is kept, an absent one is inferred, and the answer
// has the result (RFC 7591 §3.2.1).
func CorrectApplicationType() Rule {
	return func(inner dcr.Validator) dcr.Validator { return correctApplicationType{inner} }
}

type correctApplicationType struct{ dcr.Validator }

// ValidateRedirectURIs judges each redirect URI by its own kind, and makes
// application_type fit them.
func (t correctApplicationType) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	c := reg.Client
	asked := c.ApplicationType
	c.ApplicationType = ""
	if err := t.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	c.ApplicationType = fittingType(asked, c.RedirectURIs)
	return nil
}

// fittingType returns the application type that was asked for, unless the
// redirect URIs only fit another one.
func fittingType(asked string, redirects []string) string {
	fitting := "web"
	if asked == "native" {
		fitting = asked
	}
	for _, redirect := range redirects {
		parsed, err := uri.ParseRedirect(redirect)
		if err != nil {
			continue
		}
		switch parsed.Kind() {
		case uri.LoopbackHTTP, uri.PrivateUse:
			return "native"
		case uri.LoopbackHTTPS:
			fitting = "web"
		}
	}
	return fitting
}
