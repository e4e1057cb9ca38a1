package providertest

// From registration to deletion.

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

func life(t *testing.T, start Start) {
	publisher, key := dcrtest.NewPublisher(t), newKey(t)
	keys, err := json.Marshal(jwks(key.Public(), "2"))
	if err != nil {
		t.Fatal(err)
	}
	const web, native = "https://app.example.com/callback", "http://127.0.0.1/callback"
	issuer := start(t, memstore.New(), Settings{Rotate: true, Fetch: publisher.Fetch()})
	for name, a := range map[string]*App{
		"native, on another port":   {uses: "http://127.0.0.1:49152/callback", metadata: Object{"application_type": "native", "redirect_uris": []string{native}, "token_endpoint_auth_method": "none"}},
		"with a private-use scheme": {metadata: Object{"application_type": "native", "redirect_uris": []string{"com.example.app:/callback"}, "token_endpoint_auth_method": "none"}},
		"in a browser":              {metadata: Object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "none"}},
		"with basic":                {metadata: Object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "client_secret_basic"}},
		"with post":                 {metadata: Object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "client_secret_post"}},
		"with a key":                {key: key, kid: "1", metadata: Object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(key.Public(), "1")}},
		"with a key without a kid":  {key: key, metadata: Object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(key.Public(), "")}},
		"with keys at a URL":        {key: key, kid: "2", metadata: Object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": publisher.Publish("/keys", keys)}},
	} {
		t.Run(name, func(t *testing.T) {
			a.metadata["grant_types"] = []string{"authorization_code", "refresh_token"}
			a.register(t, issuer)
			a.login()
			other := "https://other.example.com/callback"
			if a.metadata["application_type"] == "native" {
				other = "com.example.other:/callback"
			}
			a.update(other)
			refresh := a.login()
			if status, _ := send(t, "DELETE", a.Text("registration_client_uri"), a.Text("registration_access_token"), nil); status != 204 {
				t.Fatalf("the status of the deletion is %d", status)
			}
			if status, answer := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}); status != 401 || answer["error"] != "invalid_client" {
				t.Errorf("the answer to the deleted client has status %d: %v", status, answer)
			}
		})
	}
}

// A client that publishes its metadata does the same without registering.
func lifeOfADocument(t *testing.T, start Start) {
	publisher := dcrtest.NewPublisher(t)
	for _, preset := range []string{"", "mcp", "oidc"} {
		t.Run(preset, func(t *testing.T) {
			document := []byte(`{"client_name":"Document","application_type":"native","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"scope":"openid profile offline_access"}`)
			id, store := publisher.Publish("/"+preset+"client.json", document), memstore.New()
			issuer := start(t, store, Settings{Preset: preset, Documents: []string{publisher.Host()}, Fetch: publisher.Fetch()})
			a := &App{uses: "http://127.0.0.1:49152/callback", metadata: Object{}, Registered: Object{"client_id": id}, offline: preset == "oidc"}
			a.discover(t, issuer)
			refresh := a.login()
			client, err := store.FindByClientID(t.Context(), id)
			if err != nil || client.Source != dcr.SourceDocument {
				t.Fatalf("the client is not stored: %+v, %v", client, err)
			}
			client.Status = dcr.StatusDisabled
			if err := store.Update(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if status, answer := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}); status != 401 || answer["error"] != "invalid_client" {
				t.Errorf("the answer to the disabled client has status %d: %v", status, answer)
			}
		})
	}
}
