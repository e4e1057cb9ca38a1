package zitadeloidc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // op logs each route and request
	os.Exit(m.Run())
}

const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	redirect  = "https://app.example.com/callback"
)

// register adds a confidential client.
func register(t *testing.T, store dcr.ClientConfigurationStore, change func(client *dcr.Client)) *dcr.Client {
	client := dcr.NewClient()
	client.ID, client.RedirectURIs, client.ResponseTypes = "app-1", []string{redirect}, []string{"code"}
	client.GrantTypes, client.Scope = []string{"authorization_code", "refresh_token"}, "openid files.read"
	client.TokenEndpointAuthMethod, client.Secrets = "client_secret_basic", []dcr.Secret{dcr.HashSecret("secret")}
	client.AllowOfflineAccess = true
	if change != nil {
		change(client)
	}
	if err := store.Add(context.Background(), client); err != nil {
		t.Fatal(err)
	}
	return client
}

// authorize returns the parameters that are sent to the redirect URI.
func authorize(t *testing.T, issuer string, more url.Values) url.Values {
	query := url.Values{
		"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid files.read"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for name, values := range more {
		query[name] = values
	}
	browser := &http.Client{CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), issuer) {
			return nil
		}
		return http.ErrUseLastResponse
	}}
	response, err := browser.Get(issuer + "/authorize?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	to, err := response.Location()
	if err != nil {
		t.Fatalf("the answer is a page of status %d", response.StatusCode)
	}
	return to.Query()
}

// post sends a form as the client and returns the members of the answer.
func post(t *testing.T, endpoint string, form url.Values) map[string]any {
	request, err := http.NewRequest("POST", endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("app-1", "secret")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	members := make(map[string]any)
	if err := json.NewDecoder(response.Body).Decode(&members); err != nil {
		t.Fatalf("%s answered %d: %v", endpoint, response.StatusCode, err)
	}
	return members
}

// redeem exchanges the code of an authorization request.
func redeem(t *testing.T, issuer string, more url.Values) map[string]any {
	answer := authorize(t, issuer, more)
	return post(t, issuer+"/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier},
	})
}

// A client that does not request offline_access gets a refresh token, one that requests
// no scope gets the default scopes, and each answer has iss.
func TestClientsOfTheModelContextProtocol(t *testing.T) {
	store := memstore.New()
	issuer := start(t, store)
	register(t, store, nil)
	if answer := authorize(t, issuer, nil); answer.Get("iss") != issuer {
		t.Errorf("iss of an answer is %q", answer.Get("iss"))
	}
	if answer := authorize(t, issuer, url.Values{"code_challenge": {""}}); answer.Get("iss") != issuer || answer.Get("error") != "invalid_request" {
		t.Errorf("the refusal is %q", answer)
	}
	granted := redeem(t, issuer, url.Values{"scope": {""}, "resource": {"https://files.example.com"}})
	if granted["scope"] != "files.read" || granted["refresh_token"] == nil || granted["id_token"] != nil {
		t.Errorf("without a scope, the answer is %v", granted)
	}
	if granted = redeem(t, issuer, nil); granted["id_token"] == nil {
		t.Errorf("with the scope openid, the answer is %v", granted)
	}
}

func TestAccessTokensThatAreJWTsSaySo(t *testing.T) {
	store := memstore.New()
	issuer := start(t, store)
	register(t, store, func(client *dcr.Client) { client.AccessTokenType = dcr.AccessTokenJWT })
	granted := redeem(t, issuer, nil)
	token, _ := granted["access_token"].(string)
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil || !strings.Contains(string(header), `"typ":"at+jwt"`) {
		t.Errorf("the header is %s", header)
	}
	if told := post(t, issuer+"/oauth/introspect", url.Values{"token": {token}}); told["active"] != true || told["client_id"] != "app-1" {
		t.Errorf("introspection says %v", told)
	}
	if told := post(t, issuer+"/userinfo", url.Values{"access_token": {token}}); told["sub"] == nil {
		t.Errorf("userinfo says %v", told)
	}
}

// Changes since the person consented take effect.
func TestCodeOfAClientThatChanged(t *testing.T) {
	for sentence, change := range map[string]func(client *dcr.Client){
		"the redirect URI is gone": func(client *dcr.Client) { client.RedirectURIs = []string{redirect + "2"} },
		"a granted scope is gone":  func(client *dcr.Client) { client.Scope = "openid" },
		"the grant type is gone":   func(client *dcr.Client) { client.GrantTypes = []string{"client_credentials"} },
		"the client is disabled":   func(client *dcr.Client) { client.Status = dcr.StatusDisabled },
	} {
		t.Run(sentence, func(t *testing.T) {
			store := memstore.New()
			issuer := start(t, store)
			client := register(t, store, nil)
			answer := authorize(t, issuer, nil)
			change(client)
			if err := store.Update(context.Background(), client); err != nil {
				t.Fatal(err)
			}
			got := post(t, issuer+"/oauth/token", url.Values{
				"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier},
			})
			if got["error"] == nil {
				t.Errorf("the answer is %v", got)
			}
		})
	}
}
