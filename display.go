package dcr

// RFC 7591 §2 and §2.2: what a person gets to see of a client.

import (
	"context"
	"strings"
)

// displayURIs are the members that lead a person to a web page.
var displayURIs = []*registered{member("client_uri"), member("logo_uri"), member("tos_uri"), member("policy_uri")}

// ValidateDisplay holds the pages that a person may be led to, in every
// language, to http and https, and contacts to e-mail addresses where OpenID
// Connect wants them.
func (d DefaultValidator) ValidateDisplay(ctx context.Context, reg *Registration) error {
	if err := reg.checkDisplayURIs(); err != nil {
		return err
	}
	if reg.Capabilities.openID() {
		for i, contact := range reg.Client.Contacts {
			if !isEmail(contact) {
				return refuse(InvalidClientMetadata, "contacts", "contacts.form", "contacts[%d] must be an e-mail address", i)
			}
		}
	}
	return d.Duende.consent(reg)
}

func (reg *Registration) checkDisplayURIs() error {
	from := &reg.Client.Metadata
	for _, f := range displayURIs {
		if err := webPage.checkOptional(f.Name, f.Text(from)); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(reg.Client.Localized) {
		base, _, _ := strings.Cut(name, "#")
		if strings.HasSuffix(base, "_uri") {
			if _, err := webPage.check(base, name, reg.Client.Localized[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// isEmail reports whether address looks like an addr-spec (RFC 5322 §3.4.1):
// whether anyone reads it, only a message can tell.
func isEmail(address string) bool {
	local, domain, found := strings.Cut(address, "@")
	return found && local != "" && domain != "" && !strings.ContainsAny(address, " ,;<>()") && !strings.Contains(domain, "@")
}
