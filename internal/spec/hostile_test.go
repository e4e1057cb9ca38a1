package spec_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

func TestClientsThatMayNotActMatchNoRedirect(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = policy.Stack(*v, policy.Approval(nil)) })
	client := r.client(t, r.register(t, request(t, `{"token_endpoint_auth_method":"none"}`)))
	if client.MatchRedirectURI(client.RedirectURIs[0]) || client.Usable(time.Now()) {
		t.Error("a pending client passes the authorize endpoint")
	}
	client.Status = dcr.StatusActive
	if !client.MatchRedirectURI(client.RedirectURIs[0]) || !client.Usable(time.Now()) {
		t.Error("an active client does not pass the authorize endpoint")
	}
}

func TestUpdateKeepsToTheCeilingOfLifetimes(t *testing.T) {
	r := start(t, `{}`, duendeMembers(dcr.DuendeExtensions{MaxAccessTokenLifetime: 10 * time.Minute}))
	a := r.register(t, request(t, `{"access_token_lifetime":60}`))
	r.manage(t, "PUT", a, a.update(map[string]any{"access_token_lifetime": nil}))
	if lifetime := r.client(t, a).AccessTokenLifetime; lifetime != 10*time.Minute {
		t.Errorf("access tokens live %v, want the ceiling", lifetime)
	}
}

func TestUpdatesDoNotRegainOfflineAccess(t *testing.T) {
	r := start(t, `{}`)
	a := r.register(t, request(t, `{"grant_types":["authorization_code","refresh_token"]}`))
	r.edit(t, a, func(c *dcr.Client) { c.AllowOfflineAccess = false })
	r.manage(t, "PUT", a, a.update(map[string]any{"grant_types": []string{"authorization_code"}}))
	r.manage(t, "PUT", a, a.update(nil))
	if client := r.client(t, a); client.AllowOfflineAccess || !slices.Contains(client.GrantTypes, "refresh_token") {
		t.Errorf("grants %v, offline access %v", client.GrantTypes, client.AllowOfflineAccess)
	}
}

// ownWord is a host that verifies statements of its own kind.
type ownWord struct{ dcr.DefaultValidator }

func (v ownWord) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if text := reg.Request.SoftwareStatement; text != "" {
		reg.Statement = &dcr.SoftwareStatement{Issuer: "us", ID: text, Text: text, Metadata: dcr.Metadata{ClientName: "Vouched"}}
	}
	return v.DefaultValidator.ValidateSoftwareStatement(ctx, reg)
}

func TestUpdateCannotShedAStatementOfTheHostsOwnKind(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = ownWord{*v} })
	a := r.register(t, request(t, `{"software_statement":"opaque"}`))
	for range 2 {
		r.manage(t, "PUT", a, a.update(map[string]any{"software_statement": nil, "client_name": "Evil", "client_name#fr": "Mal"}))
		if client := r.client(t, a); client.ClientName != "Vouched" || len(client.Localized) != 0 {
			t.Errorf("the client calls itself %q, %v", client.ClientName, client.Localized)
		}
	}
}

// otherID is a step that goes beyond its right.
type otherID struct{ dcr.DefaultValidator }

func (otherID) SetClientDefaults(_ context.Context, reg *dcr.Registration) error {
	if reg.Client.SoftwareID != "" {
		reg.Client.ID = reg.Client.SoftwareID
	}
	return nil
}

func TestStepCannotUpdateAnotherClient(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = otherID{*v}; o.Logger, _ = quiet() })
	victim, attacker := r.register(t, request(t, `{}`)), r.register(t, request(t, `{}`))
	before, _ := json.Marshal(r.client(t, victim))
	if got := r.manage(t, "PUT", attacker, attacker.update(map[string]any{"software_id": r.client(t, victim).ID})); got.status != 500 {
		t.Errorf("status %d, want 500", got.status)
	}
	if after, _ := json.Marshal(r.client(t, victim)); string(after) != string(before) {
		t.Error("another client was changed")
	}
}

// rawNote is a step that writes what is not JSON.
type rawNote struct{ dcr.DefaultValidator }

func (rawNote) SetClientDefaults(_ context.Context, reg *dcr.Registration) error {
	reg.Client.Extra = map[string]json.RawMessage{"tenant": json.RawMessage("acme")}
	return nil
}

func TestHooksCannotStoreWhatIsNotJSON(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = rawNote{*v}; o.Logger, _ = quiet() })
	if got := r.post(t, request(t, `{}`)); got.status != 500 {
		t.Errorf("status %d, want 500", got.status)
	}
	r = start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) {
		o.Logger, _ = quiet()
		o.ModifyResponse = func(_ context.Context, _ *dcr.Registration, res *dcr.Response) error {
			res.Extra = map[string]json.RawMessage{"region": json.RawMessage("eu")}
			return nil
		}
	})
	if got := r.post(t, request(t, `{}`)); got.status != 500 {
		t.Errorf("status %d, want 500", got.status)
	}
}

func TestEveryTokenIssuedInTheGraceWindowWorks(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.RotateRegistrationToken = true })
	a := r.register(t, request(t, `{}`))
	first := r.manage(t, "PUT", a, a.update(nil))
	second := r.manage(t, "PUT", a, a.update(nil)) // the first answer was lost on one of two hosts
	if first.status != 200 || second.status != 200 {
		t.Fatalf("updates: %d, %d", first.status, second.status)
	}
	if got := r.manage(t, "PUT", first, first.update(nil)); got.status != 200 {
		t.Errorf("the token of the first answer is refused: %d", got.status)
	}
}

func TestLoopbackOnlyMeansHTTP(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = policy.Stack(*v, policy.LoopbackOnly()) })
	if got := r.post(t, request(t, `{"redirect_uris":["cursor://localhost/cb"]}`)); got.status != 400 {
		t.Errorf("status %d, want 400", got.status)
	}
}
