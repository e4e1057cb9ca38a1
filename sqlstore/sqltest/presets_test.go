package sqltest

// The presets that depend on lookups in the store: one client for each piece of
// software, one tool for each registration token.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

type members = map[string]any

// signer signs with ES256.
type signer struct{ *ecdsa.PrivateKey }

func newSigner(t *testing.T) signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key}
}

func (s signer) keys(t *testing.T) dcr.KeySource {
	point, err := s.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	return dcr.StaticKeys(fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":%q,"y":%q}]}`, text(point[1:33]), text(point[33:])))
}

func (s signer) sign(t *testing.T, claims members) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	input := text([]byte(`{"alg":"ES256","kid":"1","typ":"JWT"}`)) + "." + text(payload)
	digest := sha256.Sum256([]byte(input))
	der, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	r, v := der[4:4+der[3]], der[6+der[3]:]
	fixed := func(n []byte) []byte {
		for len(n) > 32 {
			n = n[1:]
		}
		return append(make([]byte, 32-len(n)), n...)
	}
	return input + "." + text(append(fixed(r), fixed(v)...))
}

// ask sends a request to a handler, and reads the answer.
func ask(handler http.Handler, contentType, method, path, token, body string) (int, members) {
	r := httptest.NewRequest(method, "https://id.example.com/register"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	var answer members
	json.Unmarshal(w.Body.Bytes(), &answer)
	return w.Code, answer
}

// atOnce counts the statuses of many requests at once.
func atOnce(count int, send func(i int) int) map[int]int {
	var mu sync.Mutex
	var all sync.WaitGroup
	statuses := make(map[int]int)
	for i := range count {
		all.Go(func() {
			status := send(i)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	all.Wait()
	return statuses
}

func TestConsumerDataRight(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		register, recipient := newSigner(t), newSigner(t)
		opts := policy.ConsumerDataRight(dcr.DefaultValidator{Statements: &dcr.StatementVerifier{
			Issuers: map[string]dcr.KeySource{"cdr-register": register.keys(t)}, Algorithms: []string{"ES256"},
		}}, policy.CDRHolder{Audience: []string{"https://dh.example.com"}, Keys: recipient.keys(t)}).Apply(&dcr.Options{
			Endpoint: "https://id.example.com/register", AllowAnonymous: true, Logger: slog.New(slog.DiscardHandler),
			Caller: func(r *http.Request) (*dcr.Caller, error) {
				id, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer token-of-")
				if !found {
					return nil, nil
				}
				return &dcr.Caller{ClientID: id, Scopes: []string{policy.CDRRegistrationScope}}, nil
			},
		})
		handler, err := dcr.NewHandler(store, opts)
		if err != nil {
			t.Fatal(err)
		}
		const software = "9a7e6f5b-0000-4000-8000-000000000003"
		request := func(name string, redirects ...string) string {
			now := time.Now().Unix()
			statement := members{
				"iss": "cdr-register", "iat": now, "exp": now + 600, "jti": rand.Text(), "org_id": "1", "org_name": name, "software_id": software,
				"software_roles": "data-recipient-software-product", "client_name": "Ledger Lens", "client_description": "Budget planner",
				"client_uri": "https://adr.example.com", "logo_uri": "https://adr.example.com/logo.png", "redirect_uris": redirects,
				"jwks_uri": "https://adr.example.com/jwks", "revocation_uri": "https://adr.example.com/revocation",
				"recipient_base_uri": "https://adr.example.com", "scope": "openid cdr:registration",
			}
			return recipient.sign(t, members{
				"iss": software, "aud": "https://dh.example.com", "iat": now, "exp": now + 300, "jti": rand.Text(),
				"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "grant_types": []string{"authorization_code"},
				"response_types": "code", "id_token_signed_response_alg": "PS256", "authorization_signed_response_alg": "PS256",
				"software_statement": register.sign(t, statement),
			})
		}
		bodies := make([]string, 50)
		for i := range bodies {
			bodies[i] = request("Example Budgets", "https://adr.example.com/cb")
		}
		statuses := atOnce(len(bodies), func(i int) int {
			status, _ := ask(handler, "application/jwt", http.MethodPost, "", "", bodies[i])
			return status
		})
		if statuses[400] == len(bodies) { // those that found each other were all removed
			statuses[400]--
			status, _ := ask(handler, "application/jwt", http.MethodPost, "", "", request("Example Budgets", "https://adr.example.com/cb"))
			statuses[status]++
		}
		clients, err := store.FindByStatement(t.Context(), "cdr-register", software)
		if err != nil || !maps.Equal(statuses, map[int]int{201: 1, 400: 49}) || len(clients) != 1 {
			t.Fatalf("50 at once: %v, %d clients, %v", statuses, len(clients), err)
		}
		id := clients[0]
		status, updated := ask(handler, "application/jwt", http.MethodPut, "/"+id, "token-of-"+id, request("Other Budgets", "https://adr.example.com/new"))
		if status != http.StatusOK || updated["org_name"] != "Other Budgets" || fmt.Sprint(updated["redirect_uris"]) != "[https://adr.example.com/new]" {
			t.Errorf("update: %d %v", status, updated)
		}
		if status, read := ask(handler, "", http.MethodGet, "/"+id, "token-of-"+id, ""); status != http.StatusOK || !reflect.DeepEqual(read, updated) {
			t.Errorf("read: %d %v", status, read)
		}
		if status, _ := ask(handler, "", http.MethodDelete, "/"+id, "token-of-"+id, ""); status != http.StatusNoContent {
			t.Errorf("delete: %d", status)
		}
		if status, _ := ask(handler, "application/jwt", http.MethodPost, "", "", request("Example Budgets", "https://adr.example.com/cb")); status != http.StatusCreated {
			t.Errorf("after the deletion: %d", status)
		}
	})
}

func TestLTI(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		tokens := &callerauth.InitialAccessTokens{Store: store}
		preset := policy.LTI(dcr.DefaultValidator{}, policy.LTIPlatform{ClientID: func(caller *dcr.Caller) string { return caller.Subject }})
		serve := func(store dcr.ClientConfigurationStore) *dcr.Handler {
			handler, err := dcr.NewHandler(store, preset.Apply(&dcr.Options{
				Endpoint: "https://id.example.com/register", Caller: tokens.Authenticate, Logger: slog.New(slog.DiscardHandler),
			}))
			if err != nil {
				t.Fatal(err)
			}
			return handler
		}
		handler := serve(store)
		token, _, err := tokens.Issue(t.Context(), dcr.InitialAccessToken{Subject: "future", MaxUses: 1, ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		const tool = `{"client_name":"Herbarium","redirect_uris":["https://tool.example.org/launch"],"initiate_login_uri":"https://tool.example.org/login",
			"jwks_uri":"https://tool.example.org/jwks","https://purl.imsglobal.org/spec/lti-tool-configuration":{"domain":"tool.example.org","description#ja":"押し花",
			"https://vendor.example/x":{"b":[1.50,null,{"a":"<&>"}],"n":-1e3},"messages":[{"type":"LtiDeepLinkingRequest","https://vendor.example/y":false}]}}`
		var client members
		statuses := atOnce(20, func(int) int {
			status, answer := ask(handler, "application/json", http.MethodPost, "", token.Reveal(), tool)
			if status == http.StatusCreated {
				client = answer
			}
			return status
		})
		if !maps.Equal(statuses, map[int]int{201: 1, 401: 19}) || client["client_id"] != "future" {
			t.Fatalf("one token 20 times at once: %v %v", statuses, client["client_id"])
		}
		var want members
		json.Unmarshal([]byte(tool), &want)
		config := want[policy.LTIToolConfiguration].(members)
		config["target_link_uri"] = "https://tool.example.org"
		own := client["registration_access_token"].(string)
		update := strings.Replace(tool, "{", `{"client_id":"future",`, 1)
		if status, answer := ask(handler, "application/json", http.MethodPut, "?client_id=future", own, update); status != http.StatusOK || !reflect.DeepEqual(answer[policy.LTIToolConfiguration], config) {
			t.Errorf("update: %d %v", status, answer)
		}
		stored, err := store.FindByClientID(t.Context(), "future")
		moved := memstore.New()
		if err == nil {
			err = moved.Add(t.Context(), stored)
		}
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := ask(serve(moved), "", http.MethodGet, "?client_id=future", own, ""); status != http.StatusOK || !reflect.DeepEqual(answer[policy.LTIToolConfiguration], config) {
			t.Errorf("moved: %d %v", status, answer)
		}
	})
}
