package cimd_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
)

// FuzzJudge checks that any document at any URL is either a client with that URL as
// its id, or a refusal that can be shown.
func FuzzJudge(f *testing.F) {
	f.Add(appID, `{"client_id":"`+appID+`",`+app[1:])
	f.Add("https://app.example.com/%2e%2e/a", `{"client_secret_expires_at":0}`)
	f.Add("https://id.example.com:443/?#", `{"client_id":"x","jwks":{"keys":[`+privateKey+`]}}`)
	f.Add(appID, `{"client_id":"`+appID+`","redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_methods_supported":["none","client_secret_basic"]}`)
	opts := &cimd.Options{Issuer: issuer, Validator: dcr.DefaultValidator{Supports: supports}}
	f.Fuzz(func(t *testing.T, id, document string) {
		client, err := cimd.Judge(t.Context(), id, []byte(document), opts)
		if err != nil {
			refused := (*dcr.Error)(nil)
			if !errors.As(err, &refused) || refused.Code != dcr.InvalidClient || refused.Rule == "" {
				t.Fatalf("%#v", err)
			}
			if strings.ContainsFunc(refused.Description, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q", refused.Description)
			}
			return
		}
		u, err := url.Parse(id)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" || strings.EqualFold(u.Hostname(), "id.example.com") || client.ID != id {
			t.Errorf("%q: %v", id, err)
		}
		if client.NeedsSecret() || len(client.Secrets) > 0 || len(client.RegistrationTokens) > 0 {
			t.Errorf("%+v", client)
		}
		for _, method := range client.Document.AuthMethods {
			if strings.HasPrefix(method, "client_secret") {
				t.Errorf("it may use %q", method)
			}
		}
	})
}
