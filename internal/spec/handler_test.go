package spec_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func readAll(t testing.TB, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func decode(t testing.TB, body string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(body), &object); err != nil {
		t.Fatalf("not a JSON object: %s", body)
	}
	return object
}

// quiet is a logger whose lines a test can read.
func quiet() (*slog.Logger, *bytes.Buffer) {
	var lines bytes.Buffer
	return slog.New(slog.NewTextHandler(&lines, nil)), &lines
}

func TestOddBodies(t *testing.T) {
	nested := strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50)
	many := make([]string, 100_000)
	for i := range many {
		many[i] = fmt.Sprintf(`"m%d":1`, i)
	}
	cases := []struct {
		sentence, contentType, body string
		status                      int
		code                        dcr.Code
		says                        string
	}{
		{"no body", "application/json", ``, 400, dcr.InvalidClientMetadata, "JSON object"},
		{"null", "application/json", `null`, 400, dcr.InvalidClientMetadata, "JSON object"},
		{"an array", "application/json", `[{}]`, 400, dcr.InvalidClientMetadata, "JSON object"},
		{"a string", "application/json", `"x"`, 400, dcr.InvalidClientMetadata, "JSON object"},
		{"a number", "application/json", `5`, 400, dcr.InvalidClientMetadata, "JSON object"},
		{"an empty object lacks redirect_uris", "application/json", `{}`, 400, dcr.InvalidRedirectURI, "redirect_uris"},
		{"ten megabytes", "application/json", `{"client_name":"` + strings.Repeat("x", 10<<20) + `"}`, 413, dcr.InvalidRequest, "65536"},
		{"a hundred thousand members", "application/json", `{` + strings.Join(many, ",") + `}`, 413, dcr.InvalidRequest, ""},
		{"more than 128 members", "application/json", `{` + strings.Join(many[:200], ",") + `}`, 400, dcr.InvalidClientMetadata, ""},
		{"a duplicate member", "application/json", `{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}`, 400, dcr.InvalidClientMetadata, "redirect_uris"},
		{"a duplicate member, escaped", "application/json", `{"redirect_uris":["https://a.example/"],"redirect\u005furis":["https://b.example/"]}`, 400, dcr.InvalidClientMetadata, "redirect_uris"},
		{"a duplicate of an unknown member", "application/json", `{"redirect_uris":["https://a.example/"],"x":1,"x":2}`, 400, dcr.InvalidClientMetadata, "x"},
		{"trailing garbage", "application/json", plainBody + `x`, 400, dcr.InvalidClientMetadata, ""},
		{"two objects", "application/json", plainBody + plainBody, 400, dcr.InvalidClientMetadata, ""},
		{"a byte order mark", "application/json", "\ufeff" + plainBody, 400, dcr.InvalidClientMetadata, ""},
		{"invalid UTF-8", "application/json", "{\"client_name\":\"\xff\"}", 400, dcr.InvalidClientMetadata, ""},
		{"a lone surrogate", "application/json", `{"client_name":"\ud800"}`, 400, dcr.InvalidClientMetadata, "client_name"},
		{"NUL in a name", "application/json", `{"client_name":"a\u0000b","redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "client_name"},
		{"a control character of C1 in a name", "application/json", `{"client_name":"a\u0085b","redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "client_name"},
		{"deep nesting", "application/json", nested, 400, dcr.InvalidClientMetadata, ""},
		{"unfinished JSON", "application/json", `{"redirect_uris":[`, 400, dcr.InvalidClientMetadata, ""},
		{"single quotes", "application/json", `{'redirect_uris':[]}`, 400, dcr.InvalidClientMetadata, ""},
		{"a string for a list", "application/json", `{"redirect_uris":"https://a.example/"}`, 400, dcr.InvalidRedirectURI, "redirect_uris must be a JSON array"},
		{"a number in a list", "application/json", `{"redirect_uris":["https://a.example/",5]}`, 400, dcr.InvalidRedirectURI, "redirect_uris[1]"},
		{"null in a list", "application/json", `{"redirect_uris":[null]}`, 400, dcr.InvalidRedirectURI, "redirect_uris[0]"},
		{"an empty string in a list", "application/json", `{"redirect_uris":[""]}`, 400, dcr.InvalidRedirectURI, "redirect_uris[0]"},
		{"a list for a string", "application/json", `{"client_name":["x"],"redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "client_name must be a JSON string"},
		{"an array for scope", "application/json", `{"scope":["openid"],"redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "scope"},
		{"a string for jwks", "application/json", `{"jwks":"{}","redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "jwks must be a JSON object"},
		{"a form", "application/x-www-form-urlencoded", `client_name=x`, 415, dcr.InvalidRequest, "application/json"},
		{"no content type", "", plainBody, 415, dcr.InvalidRequest, "application/json"},
		{"a content type that is none", "json", plainBody, 415, dcr.InvalidRequest, ""},
		{"another charset", "application/json; charset=utf-16", plainBody, 415, dcr.InvalidRequest, ""},
	}
	store := memstore.New()
	server := httptest.NewServer(newHandler(t, store, dcr.Options{AllowAnonymous: true}))
	defer server.Close()
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			request, err := http.NewRequest("POST", server.URL+"/connect/dcr", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if c.contentType != "" {
				request.Header.Set("Content-Type", c.contentType)
			}
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body := readAll(t, response)
			refused := decode(t, body)
			description, _ := refused["error_description"].(string)
			if response.StatusCode != c.status || refused["error"] != string(c.code) || !strings.Contains(description, c.says) {
				t.Errorf("status %d: %s; want %d %s naming %q", response.StatusCode, body, c.status, c.code, c.says)
			}
			if len(refused) != 2 || description == "" {
				t.Errorf("body %s, want error and error_description alone", body)
			}
			if response.Header.Get("Content-Type") != "application/json" || response.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("headers %v", response.Header)
			}
		})
	}
	if count, _ := store.CountClients(t.Context(), dcr.Filter{}); count != 0 {
		t.Errorf("%d clients were stored", count)
	}
}

func TestToleratedBodies(t *testing.T) {
	cases := []struct{ sentence, contentType, body string }{
		{"a charset", "application/json; charset=utf-8", plainBody},
		{"a media type in capitals", "Application/JSON", plainBody},
		{"unknown members", "application/json", `{"redirect_uris":["https://a.example/"],"resource":"https://b.example/","x":{"y":[1,2,3]}}`},
		{"null and the empty string count as absent", "application/json", `{"redirect_uris":["https://a.example/"],"logo_uri":null,"contacts":null,"client_uri":"","scope":""}`},
		{"another case is another member", "application/json", `{"Redirect_URIs":["javascript:x"],"redirect_uris":["https://a.example/"]}`},
		{"what the server issues is ignored", "application/json", `{"redirect_uris":["https://a.example/"],"client_id":5,"client_secret":"mine","registration_access_token":null}`},
	}
	server := httptest.NewServer(newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true}))
	defer server.Close()
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			response, err := server.Client().Post(server.URL+"/connect/dcr", c.contentType, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			body := readAll(t, response)
			if response.StatusCode != 201 {
				t.Fatalf("status %d: %s", response.StatusCode, body)
			}
			if client := decode(t, body); client["client_id"] == 5.0 || client["client_secret"] == "mine" || client["resource"] != nil {
				t.Errorf("answer %s", body)
			}
		})
	}
}

func TestCompressedBodyIsRefused(t *testing.T) {
	handler := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true})
	request := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(plainBody))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Content-Encoding", "gzip")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	if recorder.Code != 415 {
		t.Errorf("status %d, want 415", recorder.Code)
	}
}

func TestOuterBodyLimitIsHonoured(t *testing.T) {
	handler := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true})
	server := httptest.NewServer(http.MaxBytesHandler(handler, 20))
	defer server.Close()
	if response, body := send(t, server, "POST", "/connect/dcr", "", plainBody); response.StatusCode != 413 {
		t.Errorf("status %d: %s", response.StatusCode, body)
	}
}

// TestHooksRefuse holds both ways of refusing, in every hook: an *Error is
// shown, any other error is logged and a bare 500; nothing is stored.
func TestHooksRefuse(t *testing.T) {
	shown, hidden := dcr.Errorf(dcr.InvalidClientMetadata, "not today"), errors.New("secret detail")
	hooks := map[string]func(err error) dcr.Options{
		"Caller": func(err error) dcr.Options {
			return dcr.Options{Caller: func(*http.Request) (*dcr.Caller, error) { return nil, err }}
		},
		"NewClientID": func(err error) dcr.Options {
			return dcr.Options{NewClientID: func(context.Context, *dcr.Registration) (string, error) { return "", err }}
		},
		"NewClientSecret": func(err error) dcr.Options {
			return dcr.Options{NewClientSecret: func(context.Context, *dcr.Registration) (dcr.Plaintext, dcr.Secret, error) {
				return "", dcr.Secret{}, err
			}}
		},
		"ModifyResponse": func(err error) dcr.Options {
			return dcr.Options{ModifyResponse: func(context.Context, *dcr.Registration, *dcr.Response) error { return err }}
		},
		"SetClientDefaults": func(err error) dcr.Options {
			return dcr.Options{Validator: hooked{defaults: func(*dcr.Registration) error { return err }}}
		},
	}
	for name, options := range hooks {
		for _, c := range []struct {
			err    error
			status int
			code   dcr.Code
		}{{shown, 400, dcr.InvalidClientMetadata}, {hidden, 500, dcr.ServerError}} {
			t.Run(fmt.Sprintf("%s refuses with %d", name, c.status), func(t *testing.T) {
				store := memstore.New()
				opts := options(c.err)
				opts.AllowAnonymous = true
				logger, lines := quiet()
				opts.Logger = logger
				server := httptest.NewServer(newHandler(t, store, opts))
				defer server.Close()
				response, body := send(t, server, "POST", "/connect/dcr", "", plainBody)
				if response.StatusCode != c.status || decode(t, body)["error"] != string(c.code) {
					t.Errorf("status %d: %s", response.StatusCode, body)
				}
				if strings.Contains(body, "detail") || (c.status == 500) != strings.Contains(lines.String(), "secret detail") {
					t.Errorf("answer %s, log %s", body, lines)
				}
				if count, _ := store.CountClients(t.Context(), dcr.Filter{}); count != 0 {
					t.Error("a client was stored")
				}
			})
		}
	}
}

// hooked is a validator with the host's own defaults.
type hooked struct {
	dcr.DefaultValidator
	defaults func(*dcr.Registration) error
}

func (h hooked) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	return h.defaults(reg)
}

func TestHostDefaultsWin(t *testing.T) {
	set := func(reg *dcr.Registration) {
		reg.Client.RequirePKCE = true
		reg.Client.AllowOfflineAccess = false
		reg.Client.AccessTokenLifetime = 5 * time.Minute
	}
	def := dcr.DefaultValidator{}
	orders := map[string]dcr.Validator{
		"set first": hooked{defaults: func(reg *dcr.Registration) error {
			set(reg)
			return def.SetClientDefaults(context.Background(), reg)
		}},
		"default first": hooked{defaults: func(reg *dcr.Registration) error {
			err := def.SetClientDefaults(context.Background(), reg)
			set(reg)
			return err
		}},
		"set before the grant types": earlyDefaults{set: set},
	}
	for name, validator := range orders {
		t.Run(name, func(t *testing.T) {
			store := memstore.New()
			server := httptest.NewServer(newHandler(t, store, dcr.Options{AllowAnonymous: true, Validator: validator}))
			defer server.Close()
			_, body := send(t, server, "POST", "/connect/dcr", "", `{"redirect_uris":["https://a.example/"],"grant_types":["authorization_code","refresh_token"]}`)
			client, err := store.FindByClientID(t.Context(), decode(t, body)["client_id"].(string))
			if err != nil {
				t.Fatal(err)
			}
			if !client.RequirePKCE || client.AllowOfflineAccess || client.AccessTokenLifetime != 5*time.Minute {
				t.Errorf("PKCE %v, offline access %v, access tokens %v", client.RequirePKCE, client.AllowOfflineAccess, client.AccessTokenLifetime)
			}
		})
	}
}

type earlyDefaults struct {
	dcr.DefaultValidator
	set func(*dcr.Registration)
}

func (e earlyDefaults) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	e.set(reg)
	return e.DefaultValidator.ValidateGrantTypes(ctx, reg)
}

func TestOfflineAccessFollowsTheGrant(t *testing.T) {
	store := memstore.New()
	server := httptest.NewServer(newHandler(t, store, dcr.Options{AllowAnonymous: true}))
	defer server.Close()
	for grants, want := range map[string]bool{`["authorization_code"]`: false, `["authorization_code","refresh_token"]`: true} {
		_, body := send(t, server, "POST", "/connect/dcr", "", `{"redirect_uris":["https://a.example/"],"grant_types":`+grants+`}`)
		client, err := store.FindByClientID(t.Context(), decode(t, body)["client_id"].(string))
		if err != nil || client.AllowOfflineAccess != want {
			t.Errorf("%s: offline access %v, error %v", grants, client.AllowOfflineAccess, err)
		}
	}
}

// TestHooksCannotBreakFixedRules holds that a hook which leaves an
// unacceptable client is the server's fault, and one that skipped a check does
// not let a registrant through.
func TestHooksCannotBreakFixedRules(t *testing.T) {
	change := func(f func(c *dcr.Client)) dcr.Options {
		return dcr.Options{Validator: hooked{defaults: func(reg *dcr.Registration) error { f(reg.Client); return nil }}}
	}
	cases := []struct {
		sentence string
		opts     dcr.Options
		body     string
		status   int
	}{
		{"a hook that takes the redirect URIs away is at fault", change(func(c *dcr.Client) { c.RedirectURIs = nil }), plainBody, 500},
		{"a hook that sets a script as redirect URI is at fault", change(func(c *dcr.Client) { c.RedirectURIs = []string{"javascript:alert(1)"} }), plainBody, 500},
		{"a hook that gives a public client client_credentials is at fault", change(func(c *dcr.Client) {
			c.GrantTypes, c.TokenEndpointAuthMethod = append(c.GrantTypes, "client_credentials"), "none"
		}), plainBody, 500},
		{"a hook that sets an endless access token is at fault", change(func(c *dcr.Client) { c.AccessTokenLifetime = 0 }), plainBody, 500},
		{"ModifyResponse that breaks the client is at fault", dcr.Options{ModifyResponse: func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
			reg.Client.RedirectURIs = nil
			return nil
		}}, plainBody, 500},
		{"a step that was skipped does not let a script through", dcr.Options{Validator: lax{}}, `{"redirect_uris":["javascript:alert(1)"]}`, 400},
		{"a step that was skipped does not let a fragment through", dcr.Options{Validator: lax{}}, `{"redirect_uris":["https://a.example/#"]}`, 400},
		{"a step that was skipped does no harm to a good request", dcr.Options{Validator: lax{}}, plainBody, 201},
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			store := memstore.New()
			c.opts.AllowAnonymous = true
			c.opts.Logger, _ = quiet()
			server := httptest.NewServer(newHandler(t, store, c.opts))
			defer server.Close()
			response, body := send(t, server, "POST", "/connect/dcr", "", c.body)
			if response.StatusCode != c.status {
				t.Errorf("status %d, want %d: %s", response.StatusCode, c.status, body)
			}
			if count, _ := store.CountClients(t.Context(), dcr.Filter{}); (count == 1) != (c.status == 201) {
				t.Errorf("%d clients stored", count)
			}
		})
	}
}

// lax skips the judgement of redirect URIs.
type lax struct{ dcr.DefaultValidator }

func (lax) ValidateRedirectURIs(context.Context, *dcr.Registration) error { return nil }

func TestModifyResponseEditsTheAnswerAlone(t *testing.T) {
	store := memstore.New()
	note := dcr.NewField[string]("note")
	server := httptest.NewServer(newHandler(t, store, dcr.Options{AllowAnonymous: true,
		ModifyResponse: func(_ context.Context, reg *dcr.Registration, res *dcr.Response) error {
			res.RedirectURIs[0] = "https://edited.example/"
			res.ClientID, res.ClientSecret = "mine", "mine"
			return note.Set(&res.Metadata, "welcome")
		}}))
	defer server.Close()
	_, body := send(t, server, "POST", "/connect/dcr", "", plainBody)
	answer := decode(t, body)
	client, err := store.FindByClientID(t.Context(), answer["client_id"].(string))
	if err != nil {
		t.Fatalf("the answer's client id is not the stored one: %v", err)
	}
	if answer["note"] != "welcome" || answer["client_secret"] == "mine" {
		t.Errorf("answer %s", body)
	}
	if !slices.Equal(client.RedirectURIs, []string{"https://app.example.com/callback"}) || len(client.Extra) != 0 {
		t.Errorf("stored %v, extensions %v", client.RedirectURIs, client.Extra)
	}
}

func TestPanicInAHookStoresNothing(t *testing.T) {
	store := memstore.New()
	handler := newHandler(t, store, dcr.Options{AllowAnonymous: true,
		ModifyResponse: func(context.Context, *dcr.Registration, *dcr.Response) error { panic("hook") }})
	defer func() {
		if recover() == nil {
			t.Error("the panic was swallowed")
		}
		if count, _ := store.CountClients(t.Context(), dcr.Filter{}); count != 0 {
			t.Error("a client was stored")
		}
	}()
	request := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(plainBody))
	request.Header.Set("Content-Type", "application/json")
	handler.ServeHTTP(httptest.NewRecorder(), request)
}

// faulty is a store that fails as told.
type faulty struct {
	dcr.ClientConfigurationStore
	add, find, update, remove error
	seen                      func(ctx context.Context)
}

func (f *faulty) Add(ctx context.Context, c *dcr.Client) error {
	if f.seen != nil {
		f.seen(ctx)
	}
	if f.add != nil {
		return f.add
	}
	return f.ClientConfigurationStore.Add(ctx, c)
}

func (f *faulty) FindByClientID(ctx context.Context, id string) (*dcr.Client, error) {
	if f.find != nil {
		return nil, f.find
	}
	return f.ClientConfigurationStore.FindByClientID(ctx, id)
}

func (f *faulty) Update(ctx context.Context, c *dcr.Client) error {
	if f.update != nil {
		return f.update
	}
	return f.ClientConfigurationStore.Update(ctx, c)
}

func (f *faulty) Delete(ctx context.Context, id string) error {
	if f.remove != nil {
		return f.remove
	}
	return f.ClientConfigurationStore.Delete(ctx, id)
}

func TestOutageIsNotAnAnswer(t *testing.T) {
	store := &faulty{ClientConfigurationStore: memstore.New()}
	logger, _ := quiet()
	server := httptest.NewServer(newHandler(t, store, dcr.Options{AllowAnonymous: true, Logger: logger}))
	defer server.Close()
	_, body := send(t, server, "POST", "/connect/dcr", "", plainBody)
	client := decode(t, body)
	path, token := "/connect/dcr?client_id="+client["client_id"].(string), client["registration_access_token"].(string)
	put := fmt.Sprintf(`{"client_id":%q,"redirect_uris":["https://b.example/"]}`, client["client_id"])
	outage := errors.New("connection refused to 10.0.0.5")
	cases := []struct {
		sentence string
		fail     faulty
		method   string
		path     string
		body     string
		status   int
	}{
		{"a registration that cannot be stored", faulty{add: outage}, "POST", "/connect/dcr", plainBody, 503},
		{"a registration beyond the store's limit", faulty{add: dcr.ErrStoreFull}, "POST", "/connect/dcr", plainBody, 503},
		{"a read while the store is down", faulty{find: outage}, "GET", path, "", 503},
		{"an update while the store is down", faulty{find: outage}, "PUT", path, put, 503},
		{"an update that cannot be stored", faulty{update: outage}, "PUT", path, put, 503},
		{"an update that keeps losing the race", faulty{update: dcr.ErrConflict}, "PUT", path, put, 503},
		{"an update of a client that was deleted meanwhile", faulty{update: dcr.ErrClientNotFound}, "PUT", path, put, 401},
		{"a deletion that cannot be done", faulty{remove: outage}, "DELETE", path, "", 503},
		{"a deletion of a client that was deleted meanwhile", faulty{remove: dcr.ErrClientNotFound}, "DELETE", path, "", 401},
		{"a registration whose client ids are all taken", faulty{add: dcr.ErrClientExists}, "POST", "/connect/dcr", plainBody, 500},
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			memory := store.ClientConfigurationStore
			*store = c.fail
			store.ClientConfigurationStore = memory
			response, body := send(t, server, c.method, c.path, token, c.body)
			if response.StatusCode != c.status || strings.Contains(body, "10.0.0.5") {
				t.Errorf("status %d, want %d: %s", response.StatusCode, c.status, body)
			}
			if (response.Header.Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("Retry-After %q", response.Header.Get("Retry-After"))
			}
		})
	}
}

func TestStoreWriteOutlivesTheRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := &faulty{ClientConfigurationStore: memstore.New()}
	store.seen = func(storeCtx context.Context) {
		cancel()
		if storeCtx.Err() != nil {
			t.Error("the write was cancelled with the request")
		}
		if _, bounded := storeCtx.Deadline(); !bounded {
			t.Error("the write is not bounded in time")
		}
	}
	handler := newHandler(t, store, dcr.Options{AllowAnonymous: true})
	request := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(plainBody)).WithContext(ctx)
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	if recorder.Code != 201 {
		t.Errorf("status %d", recorder.Code)
	}
}

func TestCallerIsSettledBeforeTheBody(t *testing.T) {
	handler := newHandler(t, memstore.New(), dcr.Options{})
	request := httptest.NewRequest("POST", "/connect/dcr", panicReader{})
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	if recorder.Code != 401 {
		t.Errorf("status %d, want 401", recorder.Code)
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("the body was read") }
