package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

const userinfo = `{"id_token_signing_alg_values_supported":["RS256"],"userinfo_signing_alg_values_supported":["RS256"],"scopes_supported":["openid","email"]}`

// edit changes a stored client without the server.
func (r *rig) edit(t testing.TB, registered *answer, change func(c *dcr.Client)) {
	t.Helper()
	client := r.client(t, registered)
	change(client)
	if err := r.store.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) client(t testing.TB, registered *answer) *dcr.Client {
	t.Helper()
	client, err := r.store.FindByClientID(t.Context(), registered.text("client_id"))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// stored returns what the store has of a client.
func (r *rig) stored(t testing.TB, registered *answer) string {
	t.Helper()
	return encode(r.client(t, registered))
}

func TestRead(t *testing.T) {
	r := start(t, userinfo)
	registered := r.register(t, request(t, `{"client_name":"App"}`))
	for _, sentence := range []string{"a read returns what was registered (RFC 7592 §2.1)", "a second read with the same token does too"} {
		a := r.manage(t, "GET", registered, "")
		if a.status != 200 || !reflect.DeepEqual(a.metadata(), registered.metadata()) {
			t.Errorf("%s: status %d: %s\nwant %s", sentence, a.status, a.body, registered.body)
		}
		if _, there := a.members["client_secret"]; there {
			t.Errorf("%s: the answer must not have the secret, of which only a hash is kept: %s", sentence, a.body)
		}
	}
	head, err := http.NewRequest("HEAD", registered.text("registration_client_uri"), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.server.Client().Do(dress(head, "", registered.text("registration_access_token")))
	if err != nil {
		t.Fatal(err)
	}
	if a := receive(t, response); a.status != 200 || a.body != "" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD must be like GET without a body: status %d: %q %v", a.status, a.body, a.header)
	}
}

// Whatever is wrong with a token or a client, the answer is the same, byte for
// byte (RFC 7592 §2.1, RFC 6750 §3.1).
func TestOneAnswerForEveryWrongToken(t *testing.T) {
	now := noon
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Now = func() time.Time { return now } })
	registered, other := r.register(t, request(t, ``)), r.register(t, request(t, ``))
	deleted, disabled, pending, expired := r.register(t, request(t, ``)), r.register(t, request(t, ``)), r.register(t, request(t, ``)), r.register(t, request(t, ``))
	if a := r.manage(t, "DELETE", deleted, ""); a.status != 204 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	r.edit(t, disabled, func(c *dcr.Client) { c.Status = dcr.StatusDisabled })
	r.edit(t, pending, func(c *dcr.Client) { c.Status = dcr.StatusPending })
	r.edit(t, expired, func(c *dcr.Client) { c.ExpiresAt = noon })
	uri := func(a *answer) string { return a.text("registration_client_uri") }
	token := func(a *answer) string { return a.text("registration_access_token") }
	unknown := r.server.URL + "/connect/dcr?client_id=unknown"
	var first *answer
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		for _, c := range []struct{ sentence, uri, token string }{
			{"a wrong token", uri(registered), "wrong"},
			{"a token cut short", uri(registered), token(registered)[1:]},
			{"another client's token", uri(registered), token(other)},
			{"the client's secret as the token", uri(registered), registered.text("client_secret")},
			{"an unknown client", unknown, token(registered)},
			{"an unknown client and a wrong token", unknown, "wrong"},
			{"a deleted client", uri(deleted), token(deleted)},
			{"a disabled client", uri(disabled), token(disabled)},
			{"a pending client", uri(pending), token(pending)},
			{"an expired client", uri(expired), token(expired)},
		} {
			if c.sentence == "a pending client" && method != "PUT" {
				continue // it may; see TestAPendingClient
			}
			a := r.do(t, method, c.uri, c.token, map[string]string{"PUT": registered.update(nil)}[method])
			a.header.Del("Date")
			if first == nil {
				first = a
			}
			if a.status != 401 || a.body != first.body || !reflect.DeepEqual(a.header, first.header) {
				t.Errorf("%s, %s: status %d: %s %v\nwant 401: %s %v", method, c.sentence, a.status, a.body, a.header, first.body, first.header)
			}
		}
	}
	if first.text("error") != "invalid_token" || !strings.Contains(first.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("%s %v", first.body, first.header)
	}
	if a := r.do(t, "GET", uri(registered), "", ""); a.status != 401 || strings.Contains(a.header.Get("WWW-Authenticate"), "error") {
		t.Errorf("no token is challenged without an error: status %d: %v", a.status, a.header)
	}
}

// A pending client is told that it is pending, and may read and delete itself.
func TestAPendingClient(t *testing.T) {
	approval := func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = policy.Stack(*v, policy.Approval(nil)) }
	r := start(t, `{}`, approval)
	pending := r.register(t, request(t, ``))
	if pending.text("registration_status") != "pending" {
		t.Errorf("a pending registration is answered with %s", pending.body)
	}
	if a := r.manage(t, "GET", pending, ""); a.status != 200 || a.text("registration_status") != "pending" {
		t.Errorf("GET: %d %s", a.status, a.body)
	}
	if a := r.manage(t, "PUT", pending, pending.update(nil)); a.status != 401 || a.text("error") != "invalid_token" {
		t.Errorf("PUT: %d %s", a.status, a.body)
	}
	if a := r.do(t, "GET", pending.text("registration_client_uri"), "wrong", ""); a.status != 401 || strings.Contains(a.body, "pending") {
		t.Errorf("a stranger's GET: %d %s", a.status, a.body)
	}
	r.edit(t, pending, func(c *dcr.Client) { c.Status = dcr.StatusActive })
	if a := r.manage(t, "GET", pending, ""); a.status != 200 || a.members["registration_status"] != nil {
		t.Errorf("GET of an approved client: %d %s", a.status, a.body)
	}
	if a := r.manage(t, "PUT", pending, pending.update(nil)); a.status != 200 || a.members["registration_status"] != nil {
		t.Errorf("an approved client sends back the answer that it got while it was pending: %d %s", a.status, a.body)
	}
	if a := r.manage(t, "PUT", pending, pending.update(map[string]any{"client_name": "Another"})); a.status != 200 || a.text("registration_status") != "pending" {
		t.Errorf("an update that must be approved: %d %s", a.status, a.body)
	}
	if a := r.manage(t, "DELETE", pending, ""); a.status != 204 {
		t.Errorf("DELETE: %d %s", a.status, a.body)
	}
}

func TestTokenSentTwice(t *testing.T) {
	r := start(t, `{}`)
	registered := r.register(t, request(t, ``))
	token := registered.text("registration_access_token")
	a := r.do(t, "GET", registered.text("registration_client_uri")+"&access_token="+token, token, "")
	if a.status != 400 || a.text("error") != "invalid_request" {
		t.Errorf("in the header and in the query (RFC 6750 §2): status %d: %s", a.status, a.body)
	}
	if a := r.do(t, "GET", registered.text("registration_client_uri")+"&access_token="+token, "", ""); a.status != 401 {
		t.Errorf("only in the query: status %d: %s", a.status, a.body)
	}
}

func TestClientsOfTheHostAreNotManaged(t *testing.T) {
	r := start(t, `{}`)
	registered := r.register(t, request(t, ``))
	r.edit(t, registered, func(c *dcr.Client) { c.Source = "" })
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		body := map[string]string{"PUT": registered.update(nil)}[method]
		if a := r.manage(t, method, registered, body); a.status != 403 || a.text("error") != "access_denied" {
			t.Errorf("%s with the right token (RFC 7592 §2): status %d: %s", method, a.status, a.body)
		}
		if a := r.do(t, method, registered.text("registration_client_uri"), "wrong", body); a.status != 401 {
			t.Errorf("%s with a wrong token: status %d: %s", method, a.status, a.body)
		}
	}
}

func TestUpdateReplaces(t *testing.T) {
	r := start(t, userinfo)
	const full = `{"client_name":"App","logo_uri":"https://rp.example.com/logo.png","userinfo_signed_response_alg":"RS256","default_max_age":5,"scope":"openid email","contacts":["a@example.com"],"require_auth_time":true}`
	for _, c := range []struct {
		sentence string
		changed  map[string]any
		want     string
	}{
		{"a new value replaces the old one (RFC 7592 §2.2)", map[string]any{"redirect_uris": []string{"https://rp.example.com/new"}, "client_name": "New"}, `{"redirect_uris":["https://rp.example.com/new"],"client_name":"New","default_max_age":5}`},
		{"an absent member is deleted (RFC 7592 §2.2)", map[string]any{"client_name": nil, "userinfo_signed_response_alg": nil, "default_max_age": nil, "scope": nil, "contacts": nil}, `{"client_name":null,"userinfo_signed_response_alg":null,"default_max_age":null,"scope":null,"contacts":null}`},
		{"a null member is deleted (RFC 7592 §2.2)", map[string]any{"client_name": json.RawMessage(`null`), "userinfo_signed_response_alg": json.RawMessage(`null`)}, `{"client_name":null,"userinfo_signed_response_alg":null}`},
		{"an empty member is deleted (RFC 7592 §2.2)", map[string]any{"client_name": "", "contacts": []string{}}, `{"client_name":null,"contacts":null}`},
		{"a member with a default gets it again", map[string]any{"require_auth_time": nil, "grant_types": nil, "response_types": nil, "token_endpoint_auth_method": nil, "id_token_signed_response_alg": nil}, `{"require_auth_time":false,"grant_types":["authorization_code"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_basic","id_token_signed_response_alg":"RS256"}`},
		{"unknown members are ignored", map[string]any{"x_unknown": 5}, `{"x_unknown":null,"client_name":"App"}`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			registered := r.register(t, request(t, full))
			a := r.manage(t, "PUT", registered, registered.update(c.changed))
			if a.status != 200 {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			has(t, a, c.want)
			for _, kept := range []string{"client_id", "client_id_issued_at", "client_secret_expires_at", "registration_access_token", "registration_client_uri"} {
				if a.members[kept] != registered.members[kept] {
					t.Errorf("%s is %v, want %v", kept, a.members[kept], registered.members[kept])
				}
			}
			if _, issued := a.members["client_secret"]; issued {
				t.Errorf("the secret must be returned only when it is issued: %s", a.body)
			}
			if again := r.manage(t, "GET", registered, ""); !reflect.DeepEqual(again.members, a.members) {
				t.Errorf("read back %s\nwant %s", again.body, a.body)
			}
			if !r.client(t, registered).VerifySecret(registered.text("client_secret"), time.Now()) {
				t.Error("the secret no longer works")
			}
		})
	}
}

func TestRefusedUpdates(t *testing.T) {
	r := start(t, userinfo)
	registered := r.register(t, request(t, `{"client_name":"App"}`))
	public := r.register(t, request(t, `{"token_endpoint_auth_method":"none"}`))
	type refused struct {
		sentence string
		of       *answer
		changed  map[string]any
		code     dcr.Code
		says     string
	}
	cases := []refused{
		{"client_id is missing (RFC 7592 §2.2)", registered, map[string]any{"client_id": nil}, dcrMetadata, "client_id must be sent"},
		{"client_id is null", registered, map[string]any{"client_id": json.RawMessage(`null`)}, dcrMetadata, "client_id must be sent"},
		{"client_id is another's (RFC 7592 §2.2)", registered, map[string]any{"client_id": public.text("client_id")}, dcrMetadata, "client_id must be the one"},
		{"client_id is not a string", registered, map[string]any{"client_id": 5}, dcrMetadata, "client_id must be a JSON string"},
		{"client_secret is wrong (RFC 7592 §2.2)", registered, map[string]any{"client_secret": "wrong"}, dcrMetadata, "client_secret must be the one"},
		{"client_secret is not a string", registered, map[string]any{"client_secret": 5}, dcrMetadata, "client_secret must be a JSON string"},
		{"client_secret of a client that has none", public, map[string]any{"client_secret": "mine"}, dcrMetadata, "client_secret must be the one"},
		{"something that registration refuses", registered, map[string]any{"redirect_uris": []string{"https://rp.example.com/#"}}, dcrRedirect, "redirect_uris[0] must not have a fragment"},
		{"no redirect URIs", registered, map[string]any{"redirect_uris": nil}, dcrRedirect, "redirect_uris"},
		{"a default that does not fit the rest", registered, map[string]any{"grant_types": []string{"client_credentials"}}, dcrMetadata, "grant_types"},
		{"a member of the wrong type", registered, map[string]any{"client_name": 5}, dcrMetadata, "client_name must be a JSON string"},
	}
	for _, name := range perIssue {
		for what, value := range map[string]any{"as it was": registered.members[name], "as null": json.RawMessage(`null`), "as something else": "foobar", "empty": ""} {
			cases = append(cases, refused{name + " " + what + " (RFC 7592 §2.2)", registered, map[string]any{name: value}, dcrMetadata, name + " must not be sent in an update"})
		}
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			before := r.stored(t, c.of)
			a := r.manage(t, "PUT", c.of, c.of.update(c.changed))
			if a.status != 400 || a.text("error") != string(c.code) || !strings.Contains(a.text("error_description"), c.says) {
				t.Errorf("status %d: %s; want %s saying %q", a.status, a.body, c.code, c.says)
			}
			if after := r.stored(t, c.of); after != before {
				t.Errorf("the client changed:\n%s\n%s", before, after)
			}
		})
	}
	for sentence, body := range map[string]string{"no body": "", "an array": "[]", "null": "null", "broken JSON": "{"} {
		if a := r.manage(t, "PUT", registered, body); a.status != 400 && a.status != 415 {
			t.Errorf("%s: status %d: %s", sentence, a.status, a.body)
		}
	}
}

// All members that RFC 7592 §2.2 forbids are named together.
func TestUpdateNamesAllIssuedMembersAtOnce(t *testing.T) {
	r := start(t, `{}`)
	client := r.register(t, request(t, ``))
	a := r.manage(t, "PUT", client, client.body) // the whole answer, unchanged
	want := "client_secret_expires_at, client_id_issued_at, registration_access_token and registration_client_uri must not be sent in an update"
	if answered(t, a, 400, dcrMetadata); a.text("error_description") != want {
		t.Errorf("%s; want %s", a.body, want)
	}
	sent, err := dcr.ParseRequest([]byte(client.body), dcr.Limits{})
	if got := strings.Join(sent.IssuedMembers(), " "); err != nil || got != "client_secret_expires_at client_id_issued_at registration_access_token registration_client_uri" {
		t.Errorf("IssuedMembers: %s, %v", got, err)
	}
}

func TestMembersOfTheWrongFormAreNamedAtOnce(t *testing.T) {
	a := start(t, `{}`).post(t, request(t, `{"client_name":5,"contacts":"x","logo_uri":[],"default_max_age":"5"}`))
	answered(t, a, 400, dcrMetadata)
	for _, says := range []string{"client_name must be a JSON string", "contacts must be a JSON array", "logo_uri must be a JSON string"} {
		if !strings.Contains(a.text("error_description"), says) {
			t.Errorf("%s does not say %q", a.body, says)
		}
	}
	if strings.Contains(a.body, "default_max_age") {
		t.Errorf("%s blames a member that is off", a.body)
	}
}

func TestTolerantUpdate(t *testing.T) {
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.TolerantUpdate = true })
	client, public := r.register(t, request(t, ``)), r.register(t, request(t, `{"token_endpoint_auth_method":"none"}`))
	for _, of := range []*answer{client, public} {
		if a := r.manage(t, "PUT", of, of.body); a.status != 200 {
			t.Errorf("the answer, sent back: status %d: %s", a.status, a.body)
		}
		a := r.manage(t, "GET", of, "")
		if a = r.manage(t, "PUT", of, a.body); a.status != 200 {
			t.Errorf("the answer to a read, sent back: status %d: %s", a.status, a.body)
		}
	}
	for _, name := range perIssue {
		for what, value := range map[string]any{"as null": json.RawMessage(`null`), "as something else": "foobar", "empty": "", "as a number": 5} {
			a := r.manage(t, "PUT", client, client.update(map[string]any{name: value}))
			if a.status != 400 || a.text("error_description") != name+" must not be sent in an update" {
				t.Errorf("%s %s: status %d: %s", name, what, a.status, a.body)
			}
		}
	}
	for _, of := range []string{"registration_access_token", "registration_client_uri"} {
		if a := r.manage(t, "PUT", client, client.update(map[string]any{of: public.members[of]})); a.status != 400 {
			t.Errorf("%s of another client: status %d: %s", of, a.status, a.body)
		}
	}
	if a := r.manage(t, "PUT", public, public.update(map[string]any{"client_secret_expires_at": 0})); a.status != 400 {
		t.Errorf("the expiry of a secret that does not exist: status %d: %s", a.status, a.body)
	}
}

func TestUpdateWithoutClientID(t *testing.T) {
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.OptionalClientID = true })
	registered := r.register(t, request(t, ``))
	if a := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_id": nil})); a.status != 200 {
		t.Errorf("if the host allows it, client_id may be left out (UK Open Banking 3.3): status %d: %s", a.status, a.body)
	}
	if a := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_id": "other"})); a.status != 400 {
		t.Errorf("if it is sent, it must match: status %d: %s", a.status, a.body)
	}
}

// An update keeps what the host owns, and what a newer version stored.
func TestUpdateKeepsWhatIsNotTheClients(t *testing.T) {
	r := start(t, userinfo)
	registered := r.register(t, request(t, ``))
	r.edit(t, registered, func(c *dcr.Client) {
		var stored map[string]json.RawMessage
		if err := json.Unmarshal([]byte(encode(c)), &stored); err != nil {
			t.Fatal(err)
		}
		maps.Copy(stored, map[string]json.RawMessage{"future": json.RawMessage(`{"a":1}`), "require_consent": json.RawMessage(`false`), "notes": json.RawMessage(`"vip"`)})
		revision := c.Revision
		if err := json.Unmarshal([]byte(encode(stored)), c); err != nil {
			t.Fatal(err)
		}
		c.Revision, c.AccessTokenLifetime = revision, time.Minute
	})
	if a := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_name": "New"})); a.status != 200 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	client := r.client(t, registered)
	if client.RequireConsent || client.AccessTokenLifetime != time.Minute || client.Notes != "vip" || client.ClientName != "New" || !strings.Contains(encode(client), `"future":{"a":1}`) {
		t.Errorf("stored %s", encode(client))
	}
}

func TestDelete(t *testing.T) {
	var told []string
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.AfterDelete = func(_ context.Context, c *dcr.Client) error {
			told = append(told, c.ID)
			return errors.New("no matter")
		}
	})
	registered := r.register(t, request(t, ``))
	if a := r.manage(t, "DELETE", registered, ""); a.status != 204 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if !slices.Equal(told, []string{registered.text("client_id")}) {
		t.Errorf("the host must be told, so that it can end grants and tokens too (RFC 7592 §2.3): %v", told)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if a := r.manage(t, method, registered, map[string]string{"PUT": registered.update(nil)}[method]); a.status != 401 {
			t.Errorf("%s afterwards: status %d: %s", method, a.status, a.body)
		}
	}
	if _, err := r.store.FindByClientID(t.Context(), registered.text("client_id")); !errors.Is(err, dcr.ErrClientNotFound) {
		t.Errorf("the client is still there: %v", err)
	}
}

func TestWithoutManagement(t *testing.T) {
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.DisableManagement = true })
	registered := r.register(t, request(t, ``))
	has(t, registered, `{"registration_access_token":null,"registration_client_uri":null}`)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		a := r.do(t, method, r.server.URL+"/connect/dcr?client_id="+registered.text("client_id"), "any", map[string]string{"PUT": "{}"}[method])
		if a.status != 405 || a.header.Get("Allow") == "" {
			t.Errorf("%s: status %d: %s", method, a.status, a.body)
		}
	}
}

func TestManageAs(t *testing.T) {
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.Caller = func(r *http.Request) (*dcr.Caller, error) {
			if admin := r.Header.Get("Authorization"); admin == "Bearer admin" || admin == "Bearer guest" {
				return &dcr.Caller{Subject: strings.TrimPrefix(admin, "Bearer ")}, nil
			}
			return nil, nil
		}
		o.ManageAs = func(caller *dcr.Caller, _ *dcr.Client) bool { return caller.Subject == "admin" }
	})
	registered := r.register(t, request(t, ``))
	uri := registered.text("registration_client_uri")
	a := r.do(t, "GET", uri, "admin", "")
	if a.status != 200 {
		t.Fatalf("a caller that the host allows: status %d: %s", a.status, a.body)
	}
	has(t, a, `{"registration_access_token":null,"registration_client_uri":null}`)
	if a := r.do(t, "PUT", uri, "admin", registered.update(map[string]any{"client_name": "By admin"})); a.status != 200 || a.text("client_name") != "By admin" {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	if a := r.manage(t, "GET", registered, ""); a.status != 200 {
		t.Errorf("the client's own token must still work: status %d: %s", a.status, a.body)
	}
	if a := r.do(t, "GET", uri, "guest", ""); a.status != 401 {
		t.Errorf("a caller without ManageAs must not manage: status %d: %s", a.status, a.body)
	}
}
