package policy

// 1EdTech Learning Tools Interoperability: LTI Dynamic Registration 1.0.

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// The names of LTI Dynamic Registration.
const (
	LTIToolConfiguration  = "https://purl.imsglobal.org/spec/lti-tool-configuration" // the member with what a tool is
	LTIRegistrationScope  = "https://purl.imsglobal.org/spec/lti-reg/scope/registration"
	LTIRegistrationReader = LTIRegistrationScope + ".readonly" // the scope that only allows reading
)

// LTIPlatform is what a learning platform decides about [LTI].
type LTIPlatform struct {
	// ClientID returns the client id that a registration token is for, which
	// Moodle, for one, has in sub. If it returns "", a random id is used. While
	// there is a client with that id, the token registers no second one. If nil,
	// all ids are random.
	ClientID func(caller *dcr.Caller) string

	// DeploymentID returns the deployment_id of a tool that the platform deployed
	// when it registered, "" for none. It is called for each answer, for a new
	// client before it is stored, and the id is not stored with the client. If
	// nil, there are none.
	DeploymentID func(ctx context.Context, client *dcr.Client) (string, error)

	// AccessTokens also lets a tool read and update itself with an access token of
	// the platform, with the scope LTIRegistrationScope or, only to read,
	// LTIRegistrationReader. Options.Caller says whose token it is. If false, only
	// the registration access token is accepted.
	AccessTokens bool
}

// LTI is LTI Dynamic Registration, for learning platforms whose tools register
// themselves. The numbers are those of its sections. LTI panics if
// server.Supports lacks what every tool needs: the grant types implicit and
// client_credentials, the response type id_token, private_key_jwt and RS256.
//
// What it changes, and why:
//
//   - A tool gets both grant types, implicit and client_credentials, whatever it
//     asks for: the specification's own example says "implict", and tools copied it
//     (3.6). Of response_types, only id_token counts; if they are sent, it must be
//     among them.
//   - client_name, redirect_uris, initiate_login_uri, jwks_uri and the tool
//     configuration must be sent. token_endpoint_auth_method is private_key_jwt and
//     application_type is web; both may be left out. Signatures are asymmetric.
//   - The tool configuration is stored and answered as a whole, with vendors'
//     members and those in other languages. Its domain is a host, which may have a
//     port. An absent target_link_uri is https://domain. This URI and those of its
//     messages are https URLs of the domain or of one of secondary_domains, with or
//     without "www.". Its strings and lists must be within Limits, and its texts
//     may have only readable characters. Only the platform sets deployment_id.
//   - Scopes that the platform does not support are left out.
//   - If platform.ClientID is set, the client id comes from the registration token
//     (Apply sets Options.NewClientID). If platform.AccessTokens is set, access
//     tokens manage the tool too (Apply sets ManageAs).
//
// Lists that the host leaves nil are set to what a tool needs, openid, and the
// scopes of Assignment and Grade Services and of Names and Role Provisioning.
//
// Registration tokens (3.4) are those of callerauth.InitialAccessTokens, for one
// use and an hour, or the platform's own JWTs through Options.Caller.
// With([Approval](nil)) makes tools wait for an administrator, also after each
// update. See [LTIDiscovery] for the platform's openid-configuration.
func LTI(server dcr.DefaultValidator, platform LTIPlatform) Preset {
	supports := &server.Supports
	for _, need := range []struct {
		list   *[]string
		values []string
	}{
		{&supports.GrantTypes, ltiGrants},
		{&supports.ResponseTypes, []string{"id_token"}},
		{&supports.TokenEndpointAuthMethods, []string{"private_key_jwt"}},
		{&supports.TokenEndpointAuthSigningAlgs, []string{"RS256"}},
		{&supports.IDTokenSigningAlgs, []string{"RS256"}},
	} {
		fill(need.list, need.values...)
		if missing := without(need.values, *need.list...); len(missing) > 0 {
			panic("policy: LTI needs " + strings.Join(missing, " and ") + ", which Supports leaves out")
		}
	}
	fill(&supports.Scopes, ltiScopes...)
	server.AllowHTTPRedirects = false
	return Preset{
		Validator: Stack(lti{server, platform},
			SigningAlgorithms("RS256", "PS256", "ES256", "EdDSA"),
			AuthMethods(Values{Ceiling: []string{"private_key_jwt"}, Excess: Refuse}),
			RequireMembers("client_name", "redirect_uris", "initiate_login_uri", "jwks_uri", LTIToolConfiguration),
		),
		options: func(opts *dcr.Options) { ltiOptions(opts, platform) },
	}
}

var (
	ltiGrants = []string{"implicit", "client_credentials"}
	ltiScopes = []string{
		"openid", "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem", "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem.readonly",
		"https://purl.imsglobal.org/spec/lti-ags/scope/result.readonly", "https://purl.imsglobal.org/spec/lti-ags/scope/score",
		"https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly",
	}
	toolConfiguration = dcr.NewField[tool](LTIToolConfiguration)
)

// ltiOptions sets the options that the platform's decisions need.
func ltiOptions(opts *dcr.Options, platform LTIPlatform) {
	if platform.ClientID != nil && opts.NewClientID == nil {
		opts.NewClientID = func(ctx context.Context, reg *dcr.Registration) (string, error) {
			id := ""
			if reg.Caller != nil {
				id = platform.ClientID(reg.Caller)
			}
			switch {
			case id == "":
				return dcr.RandomClientID(ctx, reg)
			case id == reg.Client.ID: // and that id is taken
				return "", dcr.RefuseToken("used_up", nil)
			}
			return id, nil
		}
	}
	if platform.AccessTokens && opts.ManageAs == nil {
		opts.ManageAs = func(caller *dcr.Caller, client *dcr.Client) bool {
			return manageOneself(caller, client) &&
				(slices.Contains(caller.Scopes, LTIRegistrationScope) || slices.Contains(caller.Scopes, LTIRegistrationReader))
		}
	}
}

type lti struct {
	dcr.Validator
	platform LTIPlatform
}

// DeclaredExtensions adds the tool configuration.
func (l lti) DeclaredExtensions() []dcr.Extension {
	return append(slices.Clip(l.Validator.DeclaredExtensions()), toolConfiguration)
}

// CheckOptions requires what the platform's decisions need.
func (l lti) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if l.platform.ClientID != nil && opts.NewClientID == nil {
		return errors.New("LTI has the client id from the registration token; set Options.NewClientID, as Apply does")
	}
	if l.platform.AccessTokens && opts.ManageAs == nil && !opts.DisableManagement {
		return errors.New("LTI has tools manage themselves with access tokens; set Options.ManageAs, as Apply does")
	}
	return l.Validator.CheckOptions(opts, store)
}

// AuthorizeManagement refuses changes with an access token that may only read.
func (l lti) AuthorizeManagement(r *http.Request, client *dcr.Client) error {
	caller := dcr.CallerFromContext(r.Context())
	if l.platform.AccessTokens && r.Method != http.MethodGet && caller != nil && caller.ClientID == client.ID &&
		slices.Contains(caller.Scopes, LTIRegistrationReader) && !slices.Contains(caller.Scopes, LTIRegistrationScope) {
		return &dcr.Error{Code: dcr.InsufficientScope, Description: "the access token must have the scope " + LTIRegistrationScope, Scope: LTIRegistrationScope, Rule: "policy.lti"}
	}
	return l.Validator.AuthorizeManagement(r, client)
}

// ValidateGrantTypes gives each tool both grants and the one response type.
func (l lti) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	c := reg.Client
	if len(c.ResponseTypes) > 0 && !slices.Contains(c.ResponseTypes, "id_token") {
		return refuse("response_types", "lti", "response_types must have id_token")
	}
	c.GrantTypes, c.ResponseTypes = slices.Clone(ltiGrants), []string{"id_token"}
	return l.Validator.ValidateGrantTypes(ctx, reg)
}

// ValidateRedirectURIs accepts only web applications.
func (l lti) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if reg.Client.ApplicationType == "" {
		reg.Client.ApplicationType = "web"
	}
	if reg.Client.ApplicationType != "web" {
		return refuse("application_type", "lti", "application_type must be web")
	}
	return l.Validator.ValidateRedirectURIs(ctx, reg)
}

// ValidateExtensions judges the tool configuration, and completes it.
func (l lti) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	if err := l.Validator.ValidateExtensions(ctx, reg); err != nil {
		return err
	}
	tool, _, err := toolConfiguration.Get(&reg.Client.Metadata)
	if err != nil {
		return err
	}
	if err := tool.judge(reg.Limits); err != nil {
		return err
	}
	delete(tool, "deployment_id")
	if tool.text("target_link_uri") == "" {
		tool["target_link_uri"], _ = json.Marshal("https://" + tool.text("domain"))
	}
	return toolConfiguration.Set(&reg.Client.Metadata, tool)
}

// ShapeResponse tells the tool where it is deployed.
func (l lti) ShapeResponse(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
	if err := l.Validator.ShapeResponse(ctx, reg, res); err != nil || l.platform.DeploymentID == nil {
		return err
	}
	tool, there, err := toolConfiguration.Get(&res.Metadata)
	if err != nil || !there {
		return err
	}
	deployment, err := l.platform.DeploymentID(ctx, reg.Client)
	if err != nil || deployment == "" {
		return err
	}
	tool["deployment_id"], _ = json.Marshal(deployment)
	return toolConfiguration.Set(&res.Metadata, tool)
}
