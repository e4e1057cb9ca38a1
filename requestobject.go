package dcr

// OpenID Connect Dynamic Client Registration 1.0 §2, RFC 9101 §10.5, RFC 9126
// §6: how the client sends its authorization requests.

import (
	"context"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/uri"
)

// ValidateRequestObjects settles signed and encrypted request objects,
// request_uris and pushed requests. What the server requires of all clients,
// it registers for each.
func (d DefaultValidator) ValidateRequestObjects(ctx context.Context, reg *Registration) error {
	c := reg.Client
	if err := reg.settle(member("request_object_signing_alg"), ""); err != nil {
		return err
	}
	if err := reg.settleEncryption(member("request_object_encryption_alg"), member("request_object_encryption_enc")); err != nil {
		return err
	}
	if reg.Capabilities.RequireSignedRequestObject && reg.enabled("require_signed_request_object") {
		c.RequireSignedRequestObject = true
	}
	if reg.Capabilities.RequirePushedAuthorizationRequests {
		c.RequirePushedAuthorizationRequests = true
	}
	return reg.checkRequestObjects()
}

func (reg *Registration) checkRequestObjects() error {
	c := reg.Client
	if c.RequireSignedRequestObject && c.RequestObjectSigningAlg == "none" {
		return refuseMember("request_object_signing_alg", "none", "must not be none with require_signed_request_object true")
	}
	signed := jose.Asymmetric(c.RequestObjectSigningAlg) || jose.Symmetric(c.RequestObjectSigningAlg)
	rule := uriRule{schemes: "an https URL, or an http URL with request_object_signing_alg other than none", fragment: true,
		allowed: func(kind uri.Kind) bool { return httpsOnly.allowed(kind) || signed && kind != uri.PrivateUse }}
	return rule.checkList("request_uris", c.RequestURIs)
}
