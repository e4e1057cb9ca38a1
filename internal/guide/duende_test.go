package guide

// The code of docs/from-duende.md.

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

func guardOfDuende(mux *http.ServeMux, handler *dcr.Handler) {
	verifier := &callerauth.AccessTokenVerifier{
		Issuer:         "https://id.example.com",
		Audience:       "https://id.example.com/connect/dcr", // the ApiResource of this endpoint
		Scopes:         []string{"IdentityServer.Configuration"},
		RequiredClaims: []string{"client_id", "iat", "jti"}, // that server's tokens for machines have no sub
	}
	mux.Handle("POST /connect/dcr", dcr.Require(verifier.Authenticate)(handler))
	mux.Handle("/connect/dcr", handler)
}

func pipelineOfDuende() dcr.Authenticator {
	tokens := &callerauth.IntrospectionVerifier{
		Endpoint: "https://id.example.com/connect/introspect",
		ClientID: "configuration", ClientSecret: "…",
		Scopes: []string{"IdentityServer.Configuration"},
	}
	return tokens.Authenticate
}

func presetOfDuende() (*dcr.Handler, error) {
	server := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"openid", "profile", "api1"}}}
	opts := policy.Duende(server, policy.DuendeLimits{MaxAccessTokenLifetime: 2 * time.Hour}).Apply(&dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		SecretLifetime: 90 * 24 * time.Hour, // DynamicClientRegistrationOptions.SecretLifetime
	})
	return dcr.NewHandler(memstore.New(), opts)
}

// corporate is a custom DynamicClientRegistrationValidator.
type corporate struct{ dcr.DefaultValidator }

func (v corporate) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	for _, uri := range reg.Client.RedirectURIs { // not reg.Request: only the client has what a statement claims
		if !strings.HasPrefix(uri, "https://apps.example.com/") {
			return dcr.Errorf(dcr.InvalidRedirectURI, "redirect_uris must be on https://apps.example.com")
		}
	}
	return v.DefaultValidator.ValidateRedirectURIs(ctx, reg) // base.SetRedirectUrisAsync
}

func (v corporate) SetDefaultScopes(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.Scope = "openid profile"
	return nil
}

func (v corporate) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.AccessTokenLifetime = 5 * time.Minute
	reg.Client.RequireConsent = false
	return v.DefaultValidator.SetClientDefaults(ctx, reg)
}

func TestACustomValidator(t *testing.T) {
	store := memstore.New()
	h := handler(t, store, &dcr.Caller{Subject: "pipeline"}, dcr.Options{
		Validator: corporate{dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"openid", "profile"}}}},
	})
	if status, body := post(h, "", `{"redirect_uris":["https://apps.example.com/a"]}`); status != http.StatusCreated || !strings.Contains(body, `"scope":"openid profile"`) {
		t.Error(status, body)
	}
	if status, body := post(h, "", `{"redirect_uris":["https://elsewhere.example/a"]}`); status != http.StatusBadRequest || !strings.Contains(body, "https://apps.example.com") {
		t.Error(status, body)
	}
	for client, err := range store.ListClients(context.Background(), dcr.Filter{}, "") {
		if err != nil || client.AccessTokenLifetime != 5*time.Minute || client.RequireConsent {
			t.Error(client, err)
		}
	}
}

var tier = dcr.NewField[string]("tier") // context.Request.Extensions["tier"]

// tiers gives the clients of one tier longer access tokens.
type tiers struct{ dcr.Validator }

func (v tiers) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	switch value, sent, err := tier.Get(&reg.Client.Metadata); {
	case err != nil:
		return err
	case value == "gold":
		reg.Client.AccessTokenLifetime = 8 * time.Hour
	case sent:
		return dcr.Errorf(dcr.InvalidClientMetadata, "tier must be gold")
	}
	return v.Validator.SetClientDefaults(ctx, reg)
}

func tiersOfDuende(server dcr.DefaultValidator) policy.Preset {
	server.Extensions = []dcr.Extension{tier} // otherwise the member is ignored
	return policy.Duende(server).With(func(inner dcr.Validator) dcr.Validator { return tiers{inner} })
}

func TestAStepAroundThePreset(t *testing.T) {
	h := handler(t, memstore.New(), &dcr.Caller{Subject: "pipeline"}, *tiersOfDuende(dcr.DefaultValidator{}).Apply(&dcr.Options{}))
	for member, want := range map[string]string{
		`"tier":"gold"`:               `"access_token_lifetime":28800`,
		`"tier":"tin"`:                `tier must be gold`,
		`"access_token_lifetime":600`: `"access_token_lifetime":600`, // the preset's member still applies
	} {
		if _, body := post(h, "", `{"grant_types":["client_credentials"],`+member+`}`); !strings.Contains(body, want) {
			t.Errorf("%s: %s", member, body)
		}
	}
}

// permissions lets a caller register only scopes that its own token has, like the
// request processor of the sample "Permissions".
type permissions struct{ dcr.Validator }

func (v permissions) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	for _, scope := range strings.Fields(reg.Client.Scope) {
		if reg.Caller == nil || !slices.Contains(reg.Caller.Scopes, scope) {
			return dcr.Errorf(dcr.AccessDenied, "scope must be among those of the caller's own token")
		}
	}
	return v.Validator.ValidateClient(ctx, reg)
}

func TestPermissions(t *testing.T) {
	h := handler(t, memstore.New(), &dcr.Caller{Scopes: []string{"api1"}}, dcr.Options{
		Validator: permissions{dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"api1", "api2"}}}},
	})
	for scope, want := range map[string]int{"api1": http.StatusCreated, "api1 api2": http.StatusForbidden} {
		if status, body := post(h, "", `{"redirect_uris":["https://app.example.com/a"],"scope":"`+scope+`"}`); status != want {
			t.Error(scope, status, body)
		}
	}
}

// tenants passes a note from one step to another.
type tenants struct{ dcr.DefaultValidator }

func (v tenants) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	reg.Items["tenant"] = reg.HTTP.Header.Get("X-Tenant") // context.Items
	return v.DefaultValidator.ValidateSoftwareStatement(ctx, reg)
}

func (v tenants) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.Notes, _ = reg.Items["tenant"].(string)
	return v.DefaultValidator.ValidateClient(ctx, reg)
}

func statementsOfDuende(jwks []byte) dcr.Validator {
	return dcr.DefaultValidator{Statements: &dcr.StatementVerifier{
		Issuers:  map[string]dcr.KeySource{"https://directory.example.com": dcr.StaticKeys(jwks)},
		Required: true,
	}}
}

// ownStatements verifies statements without a StatementVerifier.
type ownStatements struct {
	dcr.DefaultValidator
	verify func(text string) (issuer string, claims dcr.Metadata, err error)
}

func (v ownStatements) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	text := reg.Request.SoftwareStatement
	if text == "" {
		return nil
	}
	issuer, claims, err := v.verify(text)
	if err != nil {
		return dcr.Errorf(dcr.InvalidSoftwareStatement, "software_statement could not be verified: %w", err)
	}
	reg.Statement = &dcr.SoftwareStatement{Issuer: issuer, ID: claims.SoftwareID, Metadata: claims}
	return nil
}

func TestOwnStatements(t *testing.T) {
	v := ownStatements{verify: func(text string) (string, dcr.Metadata, error) {
		if text != "a.b.c" {
			return "", dcr.Metadata{}, errors.New("another text")
		}
		return "https://directory.example.com", dcr.Metadata{SoftwareID: "4711", ClientName: "Claimed"}, nil
	}}
	h := handler(t, memstore.New(), &dcr.Caller{Subject: "x"}, dcr.Options{Validator: v})
	status, body := post(h, "", `{"redirect_uris":["https://app.example.com/a"],"client_name":"Sent","software_statement":"a.b.c"}`)
	if status != http.StatusCreated || !strings.Contains(body, `"client_name":"Claimed"`) || !strings.Contains(body, `"software_statement":"a.b.c"`) {
		t.Error(status, body)
	}
	if status, body = post(h, "", `{"redirect_uris":["https://app.example.com/a"],"software_statement":"d.e.f"}`); status != http.StatusBadRequest || strings.Contains(body, "another text") {
		t.Error(status, body)
	}
}

func processorOfDuende() *dcr.Options {
	return &dcr.Options{
		NewClientID: func(ctx context.Context, reg *dcr.Registration) (string, error) { // AddClientId
			switch {
			case reg.Client.ID != "": // the store has a client with that id
				return "", dcr.Errorf(dcr.InvalidClientMetadata, "client_id is taken")
			case reg.Request.ClientID != "":
				return reg.Request.ClientID, nil
			}
			return dcr.RandomClientID(ctx, reg)
		},
		NewClientSecret: func(ctx context.Context, reg *dcr.Registration) (dcr.Plaintext, dcr.Secret, error) { // GenerateSecret
			if sent := reg.Request.ClientSecret; len(sent) >= 32 {
				return sent, dcr.HashSecret(sent), nil
			}
			return dcr.RandomClientSecret(ctx, reg)
		},
	}
}

func TestTheRequestProcessor(t *testing.T) {
	h := handler(t, memstore.New(), &dcr.Caller{Subject: "pipeline"}, *processorOfDuende())
	const sent = `{"redirect_uris":["https://app.example.com/a"],"client_id":"nightly","client_secret":"0123456789abcdef0123456789abcdef"}`
	if status, body := post(h, "", sent); status != http.StatusCreated || !strings.Contains(body, `"client_id":"nightly","client_secret":"0123456789abcdef0123456789abcdef"`) {
		t.Error(status, body)
	}
	if status, body := post(h, "", sent); status != http.StatusBadRequest || !strings.Contains(body, "client_id is taken") {
		t.Error(status, body)
	}
	if status, body := post(h, "", `{"redirect_uris":["https://app.example.com/a"]}`); status != http.StatusCreated {
		t.Error(status, body)
	}
}

func generatorOfDuende() *dcr.Options {
	return &dcr.Options{
		ModifyResponse: func(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error { // WriteSuccessResponse
			return dcr.NewField[string]("documentation").Set(&res.Metadata, "https://id.example.com/docs")
		},
		WriteError: func(w http.ResponseWriter, r *http.Request, err error) { // the five Write…Error
			w.Header().Set("X-Support", "https://id.example.com/support")
			dcr.WriteError(w, r, err)
		},
	}
}

func TestTheResponseGenerator(t *testing.T) {
	h := handler(t, memstore.New(), &dcr.Caller{Subject: "pipeline"}, *generatorOfDuende())
	if status, body := post(h, "", `{"redirect_uris":["https://app.example.com/a"]}`); status != http.StatusCreated || !strings.Contains(body, `"documentation":"https://id.example.com/docs"`) {
		t.Error(status, body)
	}
}

func TestDuendesPreset(t *testing.T) {
	if _, err := presetOfDuende(); err != nil {
		t.Error(err)
	}
	for _, v := range []dcr.Validator{statementsOfDuende([]byte(`{"keys":[]}`)), tenants{}} {
		if _, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: "https://id.example.com/connect/dcr", Validator: v}); err != nil {
			t.Errorf("%T: %v", v, err)
		}
	}
	h := handler(t, memstore.New(), nil, dcr.Options{})
	guardOfDuende(http.NewServeMux(), h)
	if pipelineOfDuende() == nil {
		t.Error("there is no authenticator")
	}
}
