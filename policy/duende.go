package policy

// Duende IdentityServer's Configuration API.

import (
	"github.com/dynreg/dcr"
)

// Duende behaves like Duende IdentityServer's /connect/dcr, for hosts and
// pipelines that move from there. It expects known callers: put your
// authorization in front of the handler, and their scopes into Supports.Scopes.
//
// What it changes, and why:
//
//   - grant_types must be sent: a pipeline that leaves it out may want
//     client_credentials as well as authorization_code.
//   - Duende's extension members (access_token_lifetime, require_consent …)
//     are accepted, stored in the client's settings and answered, as
//     [DuendeMembers] does. Its limits are an optional last argument; without
//     it, nothing beyond the defaults is allowed.
//
// If callers use access tokens of a Duende server, note that these by default have
// no sub, for a client that acts for itself, and no aud, if no ApiResource has the
// scope. Two settings make callerauth's AccessTokenVerifier accept them:
// RequiredClaims = []string{"client_id", "iat", "jti"} in the verifier and, in that
// server's options, EmitStaticAudienceClaim = true, with Audience = Issuer +
// "/resources" here. Instead of the latter, an ApiResource for this endpoint is
// better: its tokens are good for registration only.
//
// Lists that the host leaves nil are set to the grant types authorization_code,
// client_credentials and refresh_token; the methods client_secret_basic,
// client_secret_post, private_key_jwt and none; the ID Token algorithms RS256,
// PS256 and ES256.
func Duende(server dcr.DefaultValidator, limits ...DuendeLimits) Preset {
	fill(&server.Supports.GrantTypes, "authorization_code", "client_credentials", "refresh_token")
	fill(&server.Supports.TokenEndpointAuthMethods, "client_secret_basic", "client_secret_post", "private_key_jwt", "none")
	fill(&server.Supports.IDTokenSigningAlgs, "RS256", "PS256", "ES256")
	if len(limits) == 0 {
		limits = []DuendeLimits{{}}
	}
	return Preset{Validator: Stack(server, DuendeMembers(limits[0]), RequireMembers("grant_types"))}
}
