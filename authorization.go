package dcr

// RFC 6749 §4.1, OAuth 2.0 Multiple Response Type Encoding Practices, RFC 7636,
// RFC 8707, RFC 9101 and RFC 9126: what the authorization and token endpoints ask
// about a registered client.

import (
	"crypto/subtle"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr/internal/uri"
)

// AuthorizationRequest has the parameters of an authorization request, as the
// host read them from the query, a pushed request or a request object.
type AuthorizationRequest struct {
	RedirectURI         string   // "" if it was left out
	ResponseType        string   // its words in any order
	ResponseMode        string   // "" for the default of the response type
	Scopes              []string // nil if none were asked for
	Resources           []string // RFC 8707; nil if none were asked for
	CodeChallenge       string   // RFC 7636; "" if there is none
	CodeChallengeMethod string   // "" is plain, as RFC 7636 §4.3 has it, and refused
	Pushed              bool     // the client pushed it (RFC 9126), and authenticated
	RequestObjectAlg    string   // the verified algorithm of its request object (RFC 9101); "" if it has none
}

// Authorization is what may be granted.
type Authorization struct {
	RedirectURI  string   // where to send the answer: the URI requested, or the only one registered
	ResponseMode string   // the mode requested, or the default of the response type
	Scopes       []string // those requested that the client has
	Resources    []string // those requested or, if none were, the client's own; empty: those of the server
}

// AuthorizationError refuses an authorization request.
type AuthorizationError struct {
	Code        Code   // shown as error (RFC 6749 §4.1.2.1, RFC 8707 §2, RFC 9101 §6)
	Description string // shown as error_description: printable ASCII
	Rule        string // a stable id of the rule that refused, for logs
	RedirectURI string // where to send the refusal; "" if it must be shown on a page of the server's own
	Err         error  // the cause, such as ErrClientPending: for logs, never shown
}

// Error returns the code and the description.
func (e *AuthorizationError) Error() string { return string(e.Code) + ": " + e.Description }

// Is reports whether target is e's code.
func (e *AuthorizationError) Is(target error) bool { return target == error(e.Code) }

// Unwrap returns Err.
func (e *AuthorizationError) Unwrap() error { return e.Err }

// refuseAuthorization makes the refusal of a rule. CheckAuthorization sets its
// RedirectURI.
func refuseAuthorization(code Code, rule, sentence string) *AuthorizationError {
	return &AuthorizationError{Code: code, Rule: "authorization." + rule, Description: sentence}
}

// CheckAuthorization judges an authorization request of the client at now: the
// client's status, then redirect URI, response type and mode, PKCE, pushing and
// signing, scopes and resources of the request. Its error is an
// [*AuthorizationError], whose RedirectURI is set only once the redirect URI is
// known to be the client's.
//
// Scopes that the client does not have are left out; if none of those requested
// is left, the request is refused with InvalidScope. A resource that the client
// does not have is refused with InvalidTarget. The host must judge what the
// server supports.
//
// A host that accepts pushed requests calls it at both endpoints, with Pushed
// set each time.
func (c *Client) CheckAuthorization(request AuthorizationRequest, now time.Time) (*Authorization, error) {
	if err := c.CheckUsable(now); err != nil {
		refused := refuseAuthorization(UnauthorizedClient, "status", "this client may not be used at the moment")
		refused.Err = err
		return nil, refused
	}
	redirectURI, refused := c.settleRedirectURI(&request)
	if refused != nil {
		return nil, refused
	}
	granted := &Authorization{RedirectURI: redirectURI}
	for _, step := range []func(*Client, *AuthorizationRequest, *Authorization) *AuthorizationError{
		(*Client).settleResponse, (*Client).checkChallenge, (*Client).checkTransport, (*Client).settleScopes, (*Client).settleResources,
	} {
		if refused := step(c, &request, granted); refused != nil {
			refused.RedirectURI = redirectURI
			return nil, refused
		}
	}
	return granted, nil
}

// settleRedirectURI returns where to send the answer. RFC 6749 §3.1.2.3 lets a
// request leave redirect_uri out, OpenID Connect Core 1.0 §3.1.2.1 does not.
func (c *Client) settleRedirectURI(request *AuthorizationRequest) (string, *AuthorizationError) {
	redirectURI := request.RedirectURI
	switch {
	case redirectURI == "" && slices.Contains(request.Scopes, "openid"):
		return "", refuseAuthorization(InvalidRequest, "redirect_uri.missing", "redirect_uri must be sent with the scope openid")
	case redirectURI == "" && len(c.RedirectURIs) != 1:
		return "", refuseAuthorization(InvalidRequest, "redirect_uri.missing", "redirect_uri must be sent unless the client registered exactly one")
	case redirectURI == "":
		redirectURI = c.RedirectURIs[0]
	case !c.hasRedirectURI(redirectURI) && !c.mayPush(request):
		return "", refuseAuthorization(InvalidRequest, "redirect_uri.mismatch", "redirect_uri must be one that the client registered")
	}
	if hasPortZero(redirectURI) {
		return "", refuseAuthorization(InvalidRequest, "redirect_uri.port", "redirect_uri must be sent with the port that the client listens on")
	}
	return redirectURI, nil
}

// mayPush reports whether the client may name a redirect URI that it did not
// register (RFC 9126 §2.4). Only a host that allows it has such a client: one
// that must push its requests and registered no redirect URI at all. It may name
// those that it could have registered, but never remote http, which depends on the
// host.
func (c *Client) mayPush(request *AuthorizationRequest) bool {
	if !request.Pushed || !c.RequirePushedAuthorizationRequests || c.mayBePublic() || len(c.RedirectURIs) > 0 {
		return false
	}
	if _, err := ParseRedirectURI(request.RedirectURI); err != nil {
		return false
	}
	parsed, err := uri.ParseRedirect(request.RedirectURI)
	return err == nil && c.checkKind(parsed.Kind(), c.ApplicationType, false) == ""
}

// hasPortZero reports whether a URI has the port 0, on which no program can
// listen.
func hasPortZero(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && parsed.Port() != "" && strings.Trim(parsed.Port(), "0") == ""
}

// The response modes of OAuth 2.0 Multiple Response Type Encoding Practices,
// OAuth 2.0 Form Post Response Mode and JARM.
var responseModes = []string{"query", "fragment", "form_post", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt"}

// settleResponse judges response_type and response_mode. If the client
// registered response_modes, the mode must be one of them, even if it is the
// default.
func (c *Client) settleResponse(request *AuthorizationRequest, granted *Authorization) *AuthorizationError {
	if request.ResponseType == "" {
		return refuseAuthorization(InvalidRequest, "response_type.missing", "response_type must be sent")
	}
	if !c.HasResponseType(request.ResponseType) {
		return refuseAuthorization(UnauthorizedClient, "response_type.unregistered", "response_type must be one that the client registered")
	}
	front := slices.ContainsFunc(strings.Fields(request.ResponseType), func(word string) bool { return word != "code" && word != "none" })
	mode := request.ResponseMode
	switch {
	case mode == "" && front:
		mode = "fragment"
	case mode == "":
		mode = "query"
	}
	switch {
	case len(c.ResponseModes) > 0 && !slices.Contains(c.ResponseModes, mode):
		return refuseAuthorization(UnauthorizedClient, "response_mode.unregistered", "response_mode must be one that the client registered")
	case len(c.ResponseModes) == 0 && !slices.Contains(responseModes, mode):
		return refuseAuthorization(InvalidRequest, "response_mode.unknown", "response_mode must be one of: "+strings.Join(responseModes, ", "))
	case front && (mode == "query" || mode == "query.jwt" && c.AuthorizationEncryptedResponseAlg == ""):
		return refuseAuthorization(InvalidRequest, "response_mode.query", "response_mode must not send tokens in the query")
	}
	granted.ResponseMode = mode
	return nil
}

// checkChallenge requires PKCE with S256 (RFC 9700 §2.1.1) for a response type
// with a code.
func (c *Client) checkChallenge(request *AuthorizationRequest, _ *Authorization) *AuthorizationError {
	switch {
	case request.CodeChallenge == "" && request.CodeChallengeMethod != "":
		return refuseAuthorization(InvalidRequest, "code_challenge.missing", "code_challenge must be sent with code_challenge_method")
	case request.CodeChallenge != "" && request.CodeChallengeMethod != "S256":
		return refuseAuthorization(InvalidRequest, "code_challenge_method", "code_challenge_method must be S256")
	case request.CodeChallenge == "" && c.RequirePKCE && hasCode(request.ResponseType):
		return refuseAuthorization(InvalidRequest, "code_challenge.missing", "code_challenge must be sent, with code_challenge_method S256")
	}
	return nil
}

func hasCode(responseType string) bool { return slices.Contains(strings.Fields(responseType), "code") }

// checkTransport checks that the request came as the client registered: pushed
// (RFC 9126 §6), in a request object (RFC 9101 §10.5), and signed by the
// registered algorithm.
func (c *Client) checkTransport(request *AuthorizationRequest, _ *Authorization) *AuthorizationError {
	switch alg := request.RequestObjectAlg; {
	case c.RequirePushedAuthorizationRequests && !request.Pushed:
		return refuseAuthorization(InvalidRequest, "pushed", "the request must be pushed to the pushed authorization request endpoint")
	case c.RequireSignedRequestObject && alg == "":
		return refuseAuthorization(InvalidRequest, "request_object.missing", "the request must be in a signed request object")
	case c.RequireSignedRequestObject && alg == "none":
		return refuseAuthorization(InvalidRequestObject, "request_object.unsigned", "the request object must be signed")
	case alg != "" && c.RequestObjectSigningAlg != "" && algorithmOf(alg) != algorithmOf(c.RequestObjectSigningAlg):
		return refuseAuthorization(InvalidRequestObject, "request_object.algorithm", "the request object must be signed by the algorithm that the client registered")
	}
	return nil
}

// algorithmOf returns the name of an algorithm. EdDSA and Ed25519 are two names for the
// same one (RFC 9864).
func algorithmOf(name string) string {
	if name == "EdDSA" {
		return "Ed25519"
	}
	return name
}

// settleScopes leaves out the scopes that the client may not have. Without a
// code there is no offline access (OpenID Connect Core 1.0 §11).
func (c *Client) settleScopes(request *AuthorizationRequest, granted *Authorization) *AuthorizationError {
	granted.Scopes = c.GrantScopes(request.Scopes)
	if !hasCode(request.ResponseType) {
		granted.Scopes = withoutOfflineAccess(granted.Scopes)
	}
	if len(request.Scopes) > 0 && len(granted.Scopes) == 0 {
		return refuseAuthorization(InvalidScope, "scope", "scope must have at least one that the client registered")
	}
	return nil
}

// settleResources refuses a resource that is not among the client's, if the
// client has any, and one that is malformed (RFC 8707 §2).
func (c *Client) settleResources(request *AuthorizationRequest, granted *Authorization) *AuthorizationError {
	for _, resource := range request.Resources {
		switch {
		case len(c.Resources) > 0 && !slices.Contains(c.Resources, resource):
			return refuseAuthorization(InvalidTarget, "resource.foreign", "resource must be one that the client's tokens may be for")
		case len(c.Resources) == 0 && !isResource(resource):
			return refuseAuthorization(InvalidTarget, "resource.form", "resource must be an absolute URI without a fragment")
		}
	}
	granted.Resources = slices.Clone(request.Resources)
	if len(request.Resources) == 0 {
		granted.Resources = slices.Clone(c.Resources)
	}
	return nil
}

func isResource(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && parsed.IsAbs() && !strings.Contains(text, "#")
}

// Public reports whether the client has no credentials: its method is none.
func (c *Client) Public() bool { return c.TokenEndpointAuthMethod == "none" }

// HasResponseType reports whether the client registered the response type, its
// words in any order.
func (c *Client) HasResponseType(responseType string) bool {
	return slices.ContainsFunc(c.ResponseTypes, func(registered string) bool { return sameWords(registered, responseType) })
}

// GrantScopes returns the scopes of requested that are in the client's Scope,
// in their order and each once; offline_access only if the client may have
// refresh tokens ([Client.HasGrant]). A client without Scope gets none. Call it
// for every grant, including a refresh.
func (c *Client) GrantScopes(requested []string) []string {
	granted := among(requested, strings.Fields(c.Scope))
	if !c.HasGrant("refresh_token") {
		granted = withoutOfflineAccess(granted)
	}
	return granted
}

func withoutOfflineAccess(scopes []string) []string {
	return slices.DeleteFunc(scopes, func(scope string) bool { return scope == "offline_access" })
}

// NeedsConsent reports whether the person must be asked for consent at now.
// remembered is when they consented to these scopes, zero if they did not. If
// RequireConsent is false, the person is never asked. Otherwise they are asked
// each time for a public client with a loopback or private-use redirect, since
// another application can pose as it (RFC 8252 §8.6); a client whose metadata
// document lets it come without credentials counts as public. For any other
// client they are asked once, and again after ConsentLifetime, or each time if
// AllowRememberConsent is false.
func (c *Client) NeedsConsent(remembered, now time.Time) bool {
	if !c.RequireConsent {
		return false
	}
	return c.impersonable() || !c.AllowRememberConsent || remembered.IsZero() ||
		c.ConsentLifetime != 0 && expired(remembered.Add(c.ConsentLifetime), now)
}

// impersonable reports whether another application on the person's machine can
// pose as the client. A redirect URI that cannot be parsed counts as one on
// that machine.
func (c *Client) impersonable() bool {
	return c.mayBePublic() && slices.ContainsFunc(c.RedirectURIs, func(redirect string) bool {
		parsed, err := ParseRedirectURI(redirect)
		return err != nil || isLocal(parsed)
	})
}

// mayBePublic reports whether the client may come without credentials: it is
// public, or its metadata document lists the method none.
func (c *Client) mayBePublic() bool {
	return c.Public() || c.Document != nil && slices.Contains(c.Document.AuthMethods, "none")
}

// MatchPostLogoutRedirectURI reports whether requested is registered, byte for
// byte (OpenID Connect RP-Initiated Logout 1.0 §3). It returns false for a
// client that may not be used now ([Client.CheckUsable]), by the clock of this
// machine.
func (c *Client) MatchPostLogoutRedirectURI(requested string) bool {
	return c.CheckUsable(time.Now()) == nil && slices.Contains(c.PostLogoutRedirectURIs, requested)
}

// VerifyCodeVerifier checks the code_verifier of a token request against the
// challenge and the method of its authorization request (RFC 7636 §4.6). It
// returns nil or an [*Error] of InvalidGrant. It refuses a verifier without a
// challenge (RFC 9700 §4.8.2), any method but S256 and, if RequirePKCE is set, a
// request without a challenge.
func (c *Client) VerifyCodeVerifier(challenge, method, verifier string) error {
	switch {
	case challenge == "" && verifier != "":
		return refuse(InvalidGrant, "", "code_verifier.unexpected", "code_verifier must not be sent, since the authorization request had no code_challenge")
	case challenge == "" && c.RequirePKCE:
		return refuse(InvalidGrant, "", "code_verifier.unprotected", "the authorization request must have had a code_challenge (RFC 7636)")
	case challenge == "":
		return nil
	case method != "S256":
		return refuse(InvalidGrant, "", "code_verifier.method", "the code_challenge_method of the authorization request must have been S256")
	case verifier == "":
		return refuse(InvalidGrant, "", "code_verifier.missing", "code_verifier must be sent")
	}
	digest := digestOf(verifier)
	if subtle.ConstantTimeCompare(digest[:], []byte(challenge)) != 1 {
		return refuse(InvalidGrant, "", "code_verifier.mismatch", "code_verifier must be the one that code_challenge was made from")
	}
	return nil
}

// RefreshTokenEnd returns when a refresh token that is issued at now expires,
// zero if never. first is when the first refresh token of its grant was issued,
// zero if this is the first. A sliding token expires
// SlidingRefreshTokenLifetime after now. No token lives longer than
// AbsoluteRefreshTokenLifetime after first, unless that is zero.
func (c *Client) RefreshTokenEnd(first, now time.Time) time.Time {
	if first.IsZero() {
		first = now
	}
	var end time.Time
	if c.AbsoluteRefreshTokenLifetime != 0 { // a negative one, of an imported client, is over already
		end = first.Add(c.AbsoluteRefreshTokenLifetime)
	}
	if c.RefreshTokenExpiration != RefreshTokenSliding {
		return end
	}
	sliding := now.Add(c.SlidingRefreshTokenLifetime)
	if end.IsZero() || sliding.Before(end) {
		return sliding
	}
	return end
}
