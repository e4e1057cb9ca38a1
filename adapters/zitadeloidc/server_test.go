package zitadeloidc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/adapters/zitadeloidc"
	"github.com/dynreg/dcr/clientauth"
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

// authorize returns what is sent to the redirect URI.
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

// post sends a form of the client and returns the members of the answer.
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

// A client that never asks for offline_access gets a refresh token, one that asks for
// no scope the default, and each answer says who sent it.
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
		t.Errorf("without a scope there is %v", granted)
	}
	if granted = redeem(t, issuer, nil); granted["id_token"] == nil {
		t.Errorf("with the scope openid there is %v", granted)
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

// What has changed since a person consented counts.
func TestCodeOfAClientThatChanged(t *testing.T) {
	for sentence, change := range map[string]func(client *dcr.Client){
		"the redirect URI is gone":   func(client *dcr.Client) { client.RedirectURIs = []string{redirect + "2"} },
		"a granted scope is gone":    func(client *dcr.Client) { client.Scope = "openid" },
		"the grant type is gone":     func(client *dcr.Client) { client.GrantTypes = []string{"client_credentials"} },
		"the client is switched off": func(client *dcr.Client) { client.Status = dcr.StatusDisabled },
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

// keeper remembers that each grant began with private_key_jwt.
type keeper struct{ *Storage }

type keptRequest struct{ op.RefreshTokenRequest }

func (keptRequest) GetClientAuthMethod() string { return "private_key_jwt" }

func (k keeper) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	request, err := k.Storage.TokenRequestByRefreshToken(ctx, token)
	return keptRequest{request}, err
}

// serve serves a provider of another storage, or with other options.
func serve(t *testing.T, kept op.Storage, config *op.Config, change func(options *zitadeloidc.Options)) (issuer string, err error) {
	server := httptest.NewUnstartedServer(nil)
	issuer = "http://" + server.Listener.Addr().String()
	provider, err := op.NewProvider(config, kept, op.StaticIssuer(issuer), op.WithAllowInsecure())
	if err != nil {
		t.Fatal(err)
	}
	options := zitadeloidc.Options{Issuer: issuer, Clients: &clientauth.Authenticator{Store: memstore.New()}}
	if storage, ok := kept.(interface{ clients() zitadeloidc.Clients }); ok {
		options.Clients.Store = storage.clients().Store
	}
	if change != nil {
		change(&options)
	}
	handler, err := zitadeloidc.NewServer(provider, options)
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		kept.(interface {
			CheckUsernamePassword(username, password, id string) error
		}).CheckUsernamePassword("test-user@127.0.0.1", "verysecure", r.FormValue("id"))
		http.Redirect(w, r, handler.AuthCallbackURL()(op.ContextWithIssuer(r.Context(), issuer), r.FormValue("id")), http.StatusFound)
	})
	server.Config.Handler = mux
	server.Start()
	t.Cleanup(server.Close)
	return issuer, nil
}

func (s *Storage) clients() zitadeloidc.Clients { return s.Clients }

func newStorage(store dcr.ClientConfigurationStore) *Storage {
	return &Storage{
		Kept:    Kept{storage.NewStorage(storage.NewUserStore("http://127.0.0.1"))},
		Clients: zitadeloidc.Clients{Store: store, LoginURL: func(id string) string { return "/login?id=" + url.QueryEscape(id) }},
	}
}

func TestRefreshWithAnotherMethod(t *testing.T) {
	store := memstore.New()
	register(t, store, nil)
	for _, c := range []struct {
		kept  op.Storage
		wants any
	}{{newStorage(store), nil}, {keeper{newStorage(store)}, "invalid_client"}} {
		issuer, err := serve(t, c.kept, new(op.Config), func(options *zitadeloidc.Options) { options.RefreshWithoutScope = true })
		if err != nil {
			t.Fatal(err)
		}
		token, _ := redeem(t, issuer, nil)["refresh_token"].(string)
		got := post(t, issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
		if got["error"] != c.wants {
			t.Errorf("where the storage is a %T, the answer is %v", c.kept, got)
		}
	}
}

// Without its settings a server does what OpenID Connect says.
func TestWithoutSettings(t *testing.T) {
	store := memstore.New()
	register(t, store, func(client *dcr.Client) { client.Scope += " offline_access" })
	issuer, err := serve(t, newStorage(store), new(op.Config), nil)
	if err != nil {
		t.Fatal(err)
	}
	if granted := redeem(t, issuer, nil); granted["access_token"] == nil || granted["refresh_token"] != nil {
		t.Errorf("without offline_access there is %v", granted)
	}
	if granted := redeem(t, issuer, url.Values{"scope": {"openid offline_access"}}); granted["refresh_token"] == nil {
		t.Errorf("with offline_access there is %v", granted)
	}
	if answer := authorize(t, issuer, url.Values{"scope": {""}}); answer.Get("error") != "invalid_request" {
		t.Errorf("without a scope the answer is %v", answer)
	}
}

// long keeps tokens longer than the client's live.
type long struct{ *Storage }

func (l long) CreateAccessToken(ctx context.Context, request op.TokenRequest) (string, time.Time, error) {
	id, ends, err := l.Storage.CreateAccessToken(ctx, request)
	return id, ends.Add(24 * time.Hour), err
}

func TestStorageIsHeldToTheLifetime(t *testing.T) {
	store := memstore.New()
	register(t, store, nil)
	issuer, err := serve(t, long{newStorage(store)}, new(op.Config), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := redeem(t, issuer, nil); got["error"] != "server_error" {
		t.Errorf("the answer is %v", got)
	}
}

// The op.Provider by itself authenticates nobody.
func TestProviderIsNotServed(t *testing.T) {
	store := memstore.New()
	register(t, store, nil)
	kept := newStorage(store)
	if err := kept.AuthorizeClientIDSecret(context.Background(), "app-1", "secret"); err == nil {
		t.Error("a secret was accepted")
	}
	if _, err := kept.ClientCredentials(context.Background(), "app-1", "secret"); err == nil {
		t.Error("client credentials were accepted")
	}
	if _, err := kept.GetKeyByIDAndClientID(context.Background(), "1", "app-1"); err == nil {
		t.Error("there is a key")
	}
	if _, err := kept.ValidateJWTProfileScopes(context.Background(), "app-1", nil); err == nil {
		t.Error("the grant jwt-bearer is served")
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	for word, c := range map[string]struct {
		kept   op.Storage
		config op.Config
		change func(options *zitadeloidc.Options)
	}{
		"embed":                  {kept: storage.NewStorage(storage.NewUserStore("http://127.0.0.1"))},
		"Clients.Store":          {kept: newStorage(nil)},
		"Options.Issuer":         {kept: newStorage(memstore.New()), change: func(options *zitadeloidc.Options) { options.Issuer = "" }},
		"Options.Clients":        {kept: newStorage(memstore.New()), change: func(options *zitadeloidc.Options) { options.Clients = nil }},
		"RequestObjectSupported": {kept: newStorage(memstore.New()), config: op.Config{RequestObjectSupported: true}},
	} {
		if _, err := serve(t, c.kept, &c.config, c.change); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("the error is %v, without %s", err, word)
		}
	}
}
