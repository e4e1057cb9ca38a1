package dcr

// RFC 7591 §2.1 and OpenID Connect Dynamic Client Registration 1.0 §2:
// grant_types, response_types and which of them go together.

import (
	"context"
	"slices"
	"strings"
)

const (
	grantCIBA   = "urn:openid:params:grant-type:ciba"
	grantDevice = "urn:ietf:params:oauth:grant-type:device_code"
)

// ValidateGrantTypes fills in the defaults, drops what the server does not
// support and checks that the rest corresponds as RFC 7591 §2.1 says.
func (d DefaultValidator) ValidateGrantTypes(ctx context.Context, reg *Registration) error {
	return reg.settleGrants()
}

func (reg *Registration) settleGrants() error {
	c := reg.Client
	if err := reg.settleGrantTypes(); err != nil {
		return err
	}
	if c.ResponseTypes == nil {
		c.ResponseTypes = reg.standardResponseTypes()
	} else if err := reg.settleResponseTypes(); err != nil {
		return err
	}
	reg.settleOfflineAccess()
	return reg.checkCorrespondence()
}

// settleGrantTypes keeps the grant types that the server supports.
func (reg *Registration) settleGrantTypes() error {
	c, supported := reg.Client, reg.Capabilities.GrantTypes
	if len(c.GrantTypes) == 0 {
		c.GrantTypes = nil
		if slices.Contains(supported, "authorization_code") {
			c.GrantTypes = []string{"authorization_code"}
		} else if reg.ExactDefaults {
			return unusableGrants(supported)
		} else if len(supported) > 0 {
			c.GrantTypes = []string{supported[0]}
		}
		return nil
	}
	asked := c.GrantTypes
	c.GrantTypes = among(asked, supported)
	usable := slices.ContainsFunc(c.GrantTypes, func(grant string) bool { return grant != "refresh_token" })
	if !usable {
		return unusableGrants(supported)
	}
	return nil
}

func unusableGrants(supported []string) *Error {
	return refuseMember("grant_types", "unsupported", "must have at least one of: %s",
		orNone(slices.DeleteFunc(slices.Clone(supported), func(grant string) bool { return grant == "refresh_token" })))
}

// among returns the entries of asked that are in supported, each once.
func among(asked, supported []string) []string {
	return appendAmong(make([]string, 0, len(asked)), asked, supported)
}

// appendAmong appends to kept the entries of asked that are in supported and not in
// kept yet.
func appendAmong(kept, asked, supported []string) []string {
	for _, entry := range asked {
		if slices.Contains(supported, entry) && !slices.Contains(kept, entry) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// orNone lists values for a sentence.
func orNone(values []string) string {
	if len(values) == 0 {
		return "(this server supports none)"
	}
	return strings.Join(values, ", ")
}

// standardResponseTypes returns the default of response_types. For a client that
// uses the authorization endpoint it is code (RFC 7591 §2) or, if the server does
// not support code and ExactDefaults is off, the first supported type that its
// grants allow. For any other client it is none.
func (reg *Registration) standardResponseTypes() []string {
	grants, supported := reg.Client.GrantTypes, reg.Capabilities.ResponseTypes
	if !slices.Contains(grants, "authorization_code") && !slices.Contains(grants, "implicit") {
		return []string{}
	}
	if slices.Contains(supported, "code") || reg.ExactDefaults {
		return []string{"code"}
	}
	for _, responseType := range supported {
		needs := responseTypeGrants(responseType, reg.foundation.hybridWithoutImplicit)
		if len(needs) > 0 && !slices.ContainsFunc(needs, func(grant string) bool { return !slices.Contains(grants, grant) }) {
			return []string{responseType}
		}
	}
	return []string{}
}

// settleResponseTypes keeps the response types that the server supports and has
// the grants for, in the server's order of words. It drops the rest as
// settleGrantTypes does, unless none is left and the client needs one.
func (reg *Registration) settleResponseTypes() error {
	c, supported := reg.Client, reg.grantedResponseTypes()
	asked := c.ResponseTypes
	c.ResponseTypes = make([]string, 0, len(asked))
	for _, entry := range asked {
		i := slices.IndexFunc(supported, func(own string) bool { return sameWords(own, entry) })
		if i >= 0 && !slices.Contains(c.ResponseTypes, supported[i]) {
			c.ResponseTypes = append(c.ResponseTypes, supported[i])
		}
	}
	if len(asked) > 0 && len(c.ResponseTypes) == 0 && c.redirects() {
		return refuseMember("response_types", "unsupported", "must have at least one of: %s", orNone(supported))
	}
	if c.sendsCodeForDevice() {
		c.ResponseTypes = slices.DeleteFunc(c.ResponseTypes, func(responseType string) bool { return responseType == "code" })
	}
	return nil
}

// grantedResponseTypes returns the supported response types whose grants the
// server supports too: a server with the default response types may grant no
// codes.
func (reg *Registration) grantedResponseTypes() []string {
	supported := reg.Capabilities.ResponseTypes
	lacking := func(responseType string) bool {
		needs := responseTypeGrants(responseType, reg.foundation.hybridWithoutImplicit)
		return !within(needs, reg.Capabilities.GrantTypes)
	}
	if !slices.ContainsFunc(supported, lacking) {
		return supported
	}
	return slices.DeleteFunc(slices.Clone(supported), lacking)
}

// sendsCodeForDevice reports whether the client is a device client (RFC 8628)
// that sends the response type code and redirect URIs although it does not use
// the code flow, as clients do that start from a template.
func (c *Client) sendsCodeForDevice() bool {
	return len(c.RedirectURIs) > 0 && slices.Contains(c.GrantTypes, grantDevice) && !slices.Contains(c.GrantTypes, "authorization_code")
}

// sameWords reports whether a and b are the same space-separated words in any
// order.
func sameWords(a, b string) bool {
	if a == b {
		return true
	}
	wordsA, wordsB := strings.Fields(a), strings.Fields(b)
	slices.Sort(wordsA)
	slices.Sort(wordsB)
	return slices.Equal(wordsA, wordsB)
}

// responseTypeGrants returns the grant types that a response type needs
// (OpenID Connect Dynamic Client Registration 1.0 §2).
func responseTypeGrants(responseType string, hybridWithoutImplicit bool) []string {
	if responseType == "code" {
		return grantsOfCode
	}
	var code, front bool
	for word := range strings.FieldsSeq(responseType) {
		code = code || word == "code"
		front = front || word == "token" || word == "id_token"
	}
	switch {
	case code && (!front || hybridWithoutImplicit && sameWords(responseType, "code id_token")):
		return grantsOfCode
	case code:
		return grantsOfHybrid
	case front:
		return grantsOfImplicit
	}
	return nil
}

var (
	grantsOfCode     = []string{"authorization_code"}
	grantsOfHybrid   = []string{"authorization_code", "implicit"}
	grantsOfImplicit = []string{"implicit"}
)

// checkCorrespondence checks that grant types and response types correspond
// (RFC 7591 §2.1): each response type must have the grants that it needs, and a
// grant that uses the authorization endpoint must have a response type.
func (reg *Registration) checkCorrespondence() error {
	c := reg.Client
	used := false
	for _, responseType := range c.ResponseTypes {
		needs := responseTypeGrants(responseType, reg.foundation.hybridWithoutImplicit)
		used = used || len(needs) == 0 // such as none and vp_token, to which no grant corresponds
		for _, grant := range needs {
			if !slices.Contains(c.GrantTypes, grant) {
				return refuse(InvalidClientMetadata, "response_types", "response_types.grant",
					"response_types has '%s', which needs %s in grant_types", responseType, grant)
			}
			used = used || grant == "authorization_code"
		}
	}
	if !used && slices.Contains(c.GrantTypes, "authorization_code") {
		return refuse(InvalidClientMetadata, "response_types", "response_types.missing",
			"response_types must have a type that uses the authorization code, such as code, with the grant type authorization_code")
	}
	if len(c.ResponseTypes) == 0 && slices.Contains(c.GrantTypes, "implicit") {
		return refuse(InvalidClientMetadata, "response_types", "response_types.missing",
			"response_types must not be empty with the grant type implicit")
	}
	return nil
}

// frontChannel reports whether what word names, a token or an id_token, passes
// through the browser.
func (c *Client) frontChannel(word string) bool {
	return slices.ContainsFunc(c.ResponseTypes, func(responseType string) bool {
		for own := range strings.FieldsSeq(responseType) {
			if own == word {
				return true
			}
		}
		return false
	})
}

// implicitOrHybrid reports whether a token or an ID Token passes through the browser.
func (c *Client) implicitOrHybrid() bool {
	return c.frontChannel("token") || c.frontChannel("id_token")
}

// redirects reports whether the client uses the authorization endpoint.
func (c *Client) redirects() bool {
	return len(c.ResponseTypes) > 0 || slices.Contains(c.GrantTypes, "authorization_code") ||
		slices.Contains(c.GrantTypes, "implicit")
}
