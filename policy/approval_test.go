package policy_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

const approvable = `{"redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"client_secret_basic"}`

func TestApproval(t *testing.T) {
	s := serve(t, &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Validator: policy.Stack(openServer, policy.Approval(nil))})
	answered := s.register(t, approvable)
	id, secret := answered["client_id"].(string), answered["client_secret"].(string)
	usable := func(want bool) {
		t.Helper()
		client, err := s.store.FindByClientID(t.Context(), id)
		if err != nil || client.VerifySecret(secret, time.Now()) != want {
			t.Errorf("the client can authenticate: %v, %v; want %v", !want, err, want)
		}
	}
	usable(false)
	if answer := s.update(answered, approvable); answer.Status != http.StatusUnauthorized {
		t.Errorf("a pending client's update: %d, want 401", answer.Status)
	}
	waiting, err := s.store.FindByClientID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := policy.Approve(t.Context(), s.store, id, waiting.Revision); err != nil {
		t.Fatal(err)
	}
	usable(true)
	if answer := s.update(answered, approvable); answer.Status != http.StatusOK {
		t.Errorf("an approved client's update: %d %s", answer.Status, answer.Body)
	}
	usable(true)
	if answer := s.update(answered, `{"redirect_uris":["https://evil.example/cb"],"token_endpoint_auth_method":"client_secret_basic"}`); answer.Status != http.StatusOK {
		t.Errorf("an update that changes the client: %d %s", answer.Status, answer.Body)
	}
	usable(false)
}

// A client that sends back what it read does not wait again, also if that has settings
// which it never asked for. One that asks for another setting does.
func TestApprovalOfWhatIsSentBack(t *testing.T) {
	limits := policy.DuendeLimits{AllowLooserBooleans: true}
	for name, v := range map[string]dcr.Validator{
		"alone":                policy.Stack(openServer, policy.Approval(nil)),
		"around DuendeMembers": policy.Stack(openServer, policy.DuendeMembers(limits), policy.Approval(nil)),
		"in DuendeMembers":     policy.Stack(openServer, policy.Approval(nil), policy.DuendeMembers(limits)),
		"on a preset":          policy.Duende(openServer, limits).With(policy.Approval(nil)),
	} {
		s := serve(t, &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Validator: v})
		plain := with(webClient, object{"grant_types": []string{"authorization_code", "refresh_token"}})
		client := s.register(t, jsonText(plain))
		approve := func() {
			stored := s.stored(t, client)
			if err := policy.Approve(t.Context(), s.store, stored.ID, stored.Revision); err != nil {
				t.Fatal(err)
			}
		}
		status := func(when string, body object, want dcr.Status) {
			t.Helper()
			s.put(t, client, body)
			if got := s.stored(t, client).Status; got != want {
				t.Errorf("%s, %s: the status is %q, want %q", name, when, got, want)
			}
		}
		approve()
		status("sent back", s.get(t, client), dcr.StatusActive)
		status("sent back again", s.get(t, client), dcr.StatusActive)
		status("the request again", plain, dcr.StatusActive)
		if name == "alone" {
			continue
		}
		s.edit(t, client, func(c *dcr.Client) { c.AccessTokenLifetime = time.Minute })
		status("the host changed a setting", plain, dcr.StatusActive)
		status("with a setting that it has", with(plain, object{"access_token_lifetime": 60}), dcr.StatusActive)
		status("with another setting", with(plain, object{"require_consent": false}), dcr.StatusPending)
		approve()
		status("with the same setting", with(plain, object{"require_consent": false}), dcr.StatusActive)
		status("without that setting", plain, dcr.StatusPending)
		approve()
		status("with another name and what it read", with(s.get(t, client), object{"client_name": "Evil"}), dcr.StatusPending)
	}
}

// A client may write the members of its keys, and of an object, in another order: many
// sort them. One whose key changes waits again.
func TestApprovalOfAnotherOrder(t *testing.T) {
	declares := openServer
	declares.Extensions = []dcr.Extension{dcr.NewField[map[string]any]("device")}
	s := serve(t, &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Validator: policy.Stack(declares, policy.Approval(nil))})
	const key = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"a"}`
	const sorted = `{"crv":"P-256","kid":"a","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	request := func(key, device string) string {
		return approvable[:len(approvable)-1] + `,"jwks":{"keys":[` + key + `]},"device":` + device + `}`
	}
	client := s.register(t, request(key, `{"os":"x","cpu":12345678901234567890}`))
	for _, c := range []struct {
		sentence, request string
		want              dcr.Status
	}{
		{"the same order", request(key, `{"os":"x","cpu":12345678901234567890}`), dcr.StatusActive},
		{"another order", request(sorted, `{"cpu":12345678901234567890, "os":"x"}`), dcr.StatusActive},
		{"another number", request(sorted, `{"cpu":12345678901234567891,"os":"x"}`), dcr.StatusPending},
		{"the order of before", request(key, `{"os":"x","cpu":12345678901234567891}`), dcr.StatusActive},
		{"another key", request(strings.Replace(sorted, `"a"`, `"b"`, 1), `{"cpu":12345678901234567891,"os":"x"}`), dcr.StatusPending},
	} {
		stored := s.stored(t, client)
		if err := policy.Approve(t.Context(), s.store, stored.ID, stored.Revision); err != nil {
			t.Fatal(err)
		}
		body := `{"client_id":"` + stored.ID + `",` + c.request[1:]
		if answer := s.send(http.MethodPut, client["registration_client_uri"].(string), client["registration_access_token"].(string), body); answer.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", c.sentence, answer.Status, answer.Body)
		}
		if got := s.stored(t, client).Status; got != c.want {
			t.Errorf("%s: the status is %q, want %q", c.sentence, got, c.want)
		}
	}
}

// An operator approves exactly what was seen.
func TestApproveWhatWasSeen(t *testing.T) {
	store := memstore.New()
	seen := dcr.NewClient()
	seen.ID, seen.ClientName, seen.Status = "calc", "Calc", dcr.StatusPending
	if err := store.Add(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	approve := func(when string, revision int64, want error, status dcr.Status) {
		t.Helper()
		if err := policy.Approve(t.Context(), store, "calc", revision); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
		if now, _ := store.FindByClientID(t.Context(), "calc"); now.Status != status {
			t.Errorf("%s the client has status %q", when, now.Status)
		}
	}
	changed := seen.Clone()
	changed.ClientName = "Your Bank"
	if err := store.Update(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	approve("an approval of the client before an update", seen.Revision, dcr.ErrConflict, dcr.StatusPending)
	approve("an approval of the current client", changed.Revision, nil, dcr.StatusActive)
	again, err := store.FindByClientID(t.Context(), "calc")
	if err != nil {
		t.Fatal(err)
	}
	approve("an approval of an active client", again.Revision, nil, dcr.StatusActive)
	again.ClientName, again.Status = "Your Bank", dcr.StatusPending
	if err := store.Update(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	approve("the same approval again", changed.Revision, dcr.ErrConflict, dcr.StatusPending)
}

func TestApprovalWaived(t *testing.T) {
	known := func(reg *dcr.Registration) bool { return reg.Client.SoftwareID == "known" }
	s := serve(t, &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Validator: policy.Stack(openServer, policy.Approval(known))})
	answered := s.register(t, `{"software_id":"known",`+approvable[1:])
	if answer := s.update(answered, approvable); answer.Status != http.StatusOK {
		t.Errorf("an update of a client that needed no approval: %d", answer.Status)
	}
	if client, _ := s.store.FindByClientID(t.Context(), answered["client_id"].(string)); client.Status != dcr.StatusPending {
		t.Errorf("a client that now needs approval has status %q", client.Status)
	}
}

func TestApproveLeavesOthersAlone(t *testing.T) {
	store := memstore.New()
	if err := policy.Approve(t.Context(), store, "nobody", 1); !errors.Is(err, dcr.ErrClientNotFound) {
		t.Errorf("an unknown client: %v", err)
	}
	client := dcr.NewClient()
	client.ID, client.Status = "disabled", dcr.StatusDisabled
	if err := store.Add(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if err := policy.Approve(t.Context(), store, "disabled", client.Revision); err != nil {
		t.Fatal(err)
	}
	if after, _ := store.FindByClientID(t.Context(), "disabled"); after.Status != dcr.StatusDisabled {
		t.Errorf("a disabled client has status %q", after.Status)
	}
}
