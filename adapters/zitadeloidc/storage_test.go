package zitadeloidc_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/adapters/zitadeloidc"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

// keeper says that each grant began with private_key_jwt.
type keeper struct{ *Storage }

type keptRequest struct{ op.RefreshTokenRequest }

func (keptRequest) GetClientAuthMethod() string { return "private_key_jwt" }

func (k keeper) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	request, err := k.Storage.TokenRequestByRefreshToken(ctx, token)
	return keptRequest{request}, err
}

// serve serves a provider with another storage, or with other options.
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

// failing is a keeper whose first lookup of each refresh token fails.
type failing struct {
	keeper
	looked *int
}

func (f failing) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	if *f.looked++; *f.looked == 1 {
		return nil, oidc.ErrServerError()
	}
	return f.keeper.TokenRequestByRefreshToken(ctx, token)
}

// A client that has changed its method must begin a new grant, no matter how often it sends
// a refresh token, and even if the storage fails for a moment.
func TestRefreshWithAnotherMethod(t *testing.T) {
	store := memstore.New()
	register(t, store, nil)
	for _, c := range []struct {
		kept   op.Storage
		before string // what is sent before the refresh token
		query  string
		wants  any
	}{
		{newStorage(store), "", "", nil},
		{keeper{newStorage(store)}, "", "", "invalid_client"},
		{keeper{newStorage(store)}, "none", "", "invalid_client"},
		{keeper{newStorage(store)}, "none", "?refresh_token=", "invalid_client"},
		{failing{keeper{newStorage(store)}, new(int)}, "", "", "server_error"},
	} {
		issuer, err := serve(t, c.kept, new(op.Config), func(options *zitadeloidc.Options) { options.RefreshWithoutScope = true })
		if err != nil {
			t.Fatal(err)
		}
		token, _ := redeem(t, issuer, nil)["refresh_token"].(string)
		form, endpoint := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, issuer+"/oauth/token"
		if c.before != "" {
			form["refresh_token"] = []string{c.before, token}
		}
		if c.query != "" {
			form["refresh_token"], endpoint = []string{c.before}, endpoint+c.query+token
		}
		got := post(t, endpoint, form)
		if got["error"] != c.wants {
			t.Errorf("with the storage %T, %q before the token and %q, the answer is %v", c.kept, c.before, c.query, got)
		}
	}
}

// Without settings, a server does what OpenID Connect says.
func TestWithoutSettings(t *testing.T) {
	store := memstore.New()
	register(t, store, func(client *dcr.Client) { client.Scope += " offline_access" })
	issuer, err := serve(t, newStorage(store), new(op.Config), nil)
	if err != nil {
		t.Fatal(err)
	}
	if granted := redeem(t, issuer, nil); granted["access_token"] == nil || granted["refresh_token"] != nil {
		t.Errorf("without offline_access, the answer is %v", granted)
	}
	if granted := redeem(t, issuer, url.Values{"scope": {"openid offline_access"}}); granted["refresh_token"] == nil {
		t.Errorf("with offline_access, the answer is %v", granted)
	}
	if answer := authorize(t, issuer, url.Values{"scope": {""}}); answer.Get("error") != "invalid_request" {
		t.Errorf("without a scope, the answer is %v", answer)
	}
}

// Other grants are not supported, no matter what a client registered.
func TestOtherGrantsAreNotServed(t *testing.T) {
	store := memstore.New()
	issuer := start(t, store)
	grants := []string{"urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:device_code"}
	register(t, store, func(client *dcr.Client) { client.GrantTypes = grants })
	for _, grant := range grants {
		if got := post(t, issuer+"/oauth/token", url.Values{"grant_type": {grant}}); got["error"] != "unsupported_grant_type" {
			t.Errorf("for %s the answer is %v", grant, got)
		}
	}
}

func TestAnswersThatAreNotServed(t *testing.T) {
	store := memstore.New()
	issuer := start(t, store)
	register(t, store, func(client *dcr.Client) { client.ResponseTypes = []string{"code", "id_token"} })
	for name, value := range map[string]string{"response_type": "id_token", "response_mode": "jwt"} {
		query := url.Values{
			"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"}, "nonce": {"12345678"},
			"code_challenge": {challenge}, "code_challenge_method": {"S256"},
		}
		query.Set(name, value)
		browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		response, err := browser.Get(issuer + "/authorize?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if to := response.Header.Get("Location"); !strings.HasPrefix(to, redirect) || !strings.Contains(to, "error=invalid_request") {
			t.Errorf("with %s %s the person is sent to %q", name, value, to)
		}
	}
}

// A scope that is removed from the client is removed from its tokens.
func TestScopesThatAreGone(t *testing.T) {
	store := memstore.New()
	issuer := start(t, store)
	client := register(t, store, func(client *dcr.Client) { client.GrantTypes = append(client.GrantTypes, "client_credentials") })
	granted := redeem(t, issuer, nil)
	client.Scope = "openid"
	if err := store.Update(context.Background(), client); err != nil {
		t.Fatal(err)
	}
	access, _ := granted["access_token"].(string)
	if told := post(t, issuer+"/oauth/introspect", url.Values{"token": {access}}); told["active"] != true || told["scope"] != "openid" {
		t.Errorf("introspection says %v", told)
	}
	token, _ := granted["refresh_token"].(string)
	got := post(t, issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "scope": {"files.read"}})
	if got["error"] != "invalid_scope" {
		t.Errorf("the answer to a refresh is %v", got)
	}
	if got = post(t, issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"files.read"}}); got["error"] != "invalid_scope" {
		t.Errorf("the answer to client credentials is %v", got)
	}
	if got = post(t, issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"openid files.read"}}); got["scope"] != "openid" {
		t.Errorf("the answer to client credentials is %v", got)
	}
}

// resources stores the resources of the tokens.
type resources struct {
	*Storage
	kept []string
}

func (r *resources) CreateAuthRequest(ctx context.Context, request *oidc.AuthRequest, userID string) (op.AuthRequest, error) {
	r.kept = zitadeloidc.AuthorizationFromContext(ctx).Resources
	return r.Storage.CreateAuthRequest(ctx, request, userID)
}

func TestStorageLearnsTheResources(t *testing.T) {
	store := memstore.New()
	register(t, store, nil)
	kept := &resources{Storage: newStorage(store)}
	issuer, err := serve(t, kept, new(op.Config), nil)
	if err != nil {
		t.Fatal(err)
	}
	authorize(t, issuer, url.Values{"resource": {"https://files.example.com"}})
	if len(kept.kept) != 1 || kept.kept[0] != "https://files.example.com" {
		t.Errorf("the storage got %q", kept.kept)
	}
}

func TestApplicationTypes(t *testing.T) {
	for _, c := range []struct {
		application, method string
		wants               op.ApplicationType
	}{
		{"web", "client_secret_basic", op.ApplicationTypeWeb},
		{"web", "none", op.ApplicationTypeUserAgent},
		{"native", "none", op.ApplicationTypeNative},
	} {
		store := memstore.New()
		register(t, store, func(client *dcr.Client) {
			client.ApplicationType, client.TokenEndpointAuthMethod = c.application, c.method
		})
		client, err := newStorage(store).GetClientByClientID(context.Background(), "app-1")
		if err != nil || client.ApplicationType() != c.wants {
			t.Errorf("a %s client with %s is %v: %v", c.application, c.method, client.ApplicationType(), err)
		}
	}
}

// long creates tokens that live longer than the client's should.
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

// A client that requires bound tokens does not get unbound ones.
func TestBoundTokensAreNotServed(t *testing.T) {
	for name, bind := range map[string]func(client *dcr.Client){
		"DPoP": func(client *dcr.Client) { client.DPoPBoundAccessTokens = true },
		"mTLS": func(client *dcr.Client) { client.TLSClientCertificateBoundAccessTokens = true },
	} {
		store := memstore.New()
		register(t, store, bind)
		if got := redeem(t, start(t, store), nil); got["error"] != "server_error" || got["access_token"] != nil {
			t.Errorf("%s: the answer is %v", name, got)
		}
	}
}

// The op.Provider without Server authenticates nobody.
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
		t.Error("the grant jwt-bearer is supported")
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
