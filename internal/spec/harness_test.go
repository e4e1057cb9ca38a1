package spec_test

// The harness: a handler in some configuration, which is called over a port or
// directly, requests to it, and its answers.

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/watch"
	"github.com/dynreg/dcr/memstore"
)

func TestMain(m *testing.M) { watch.Main(m, 1000) }

const (
	issuer      = "https://id.example.com"
	registerURL = "/connect/dcr"
	endpoint    = issuer + registerURL

	plainBody = `{"redirect_uris":["https://app.example.com/callback"]}`
)

// noon is the time that the clocks show.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

// quiet returns a logger whose lines a test can read.
func quiet() (*slog.Logger, *bytes.Buffer) {
	var lines bytes.Buffer
	return slog.New(slog.NewTextHandler(&lines, nil)), &lines
}

// change sets what a discovery document cannot express.
type change func(v *dcr.DefaultValidator, o *dcr.Options)

// newHandler makes a handler after applying the changes, or ends the test. The
// changes apply to the validator of the options, and may put another one around
// it.
func newHandler(t testing.TB, store dcr.ClientConfigurationStore, opts dcr.Options, changes ...change) *dcr.Handler {
	t.Helper()
	if opts.Endpoint == "" {
		opts.Endpoint = endpoint
	}
	if opts.Logger == nil {
		opts.Logger, _ = quiet()
	}
	validator, plain := opts.Validator.(dcr.DefaultValidator)
	if plain {
		opts.Validator = nil
	}
	for _, change := range changes {
		change(&validator, &opts)
	}
	if opts.Validator == nil {
		opts.Validator = validator
	}
	watch.Over(t, store, &opts)
	handler, err := dcr.NewHandler(store, &opts)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// A rig is a registration server on a port of its own.
type rig struct {
	server  *httptest.Server
	handler http.Handler
	store   *memstore.Store
	mixed   bool // the host answers too, not always as strict clients demand
}

// start starts a server that supports what the discovery document says.
func start(t testing.TB, document string, changes ...change) *rig {
	t.Helper()
	r := serve(t, nil)
	r.store, r.mixed = memstore.New(), false
	r.handler = newHandler(t, r.store, dcr.Options{
		Endpoint: r.server.URL + registerURL, AllowAnonymous: true, Validator: dcr.DefaultValidator{Supports: capabilities(t, document)},
	}, changes...)
	return r
}

// serve starts a server for a handler, with what a host may put around it.
func serve(t testing.TB, handler http.Handler) *rig {
	t.Helper()
	r := &rig{handler: handler, mixed: true}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.handler.ServeHTTP(w, q) }))
	t.Cleanup(r.server.Close)
	return r
}

// over gives the server another store.
func (r *rig) over(t testing.TB, store dcr.ClientConfigurationStore) {
	t.Helper()
	r.handler = newHandler(t, store, dcr.Options{Endpoint: r.server.URL + registerURL, AllowAnonymous: true})
}

// capabilities reads a discovery document.
func capabilities(t testing.TB, document string) dcr.Capabilities {
	t.Helper()
	var c dcr.Capabilities
	if err := json.Unmarshal([]byte(document), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is the answer to a request.
type answer struct {
	status  int
	header  http.Header
	body    string
	members object
}

// receive reads an answer.
func receive(t testing.TB, response *http.Response) *answer {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := &answer{status: response.StatusCode, header: response.Header, body: string(text)}
	if strings.HasPrefix(a.body, "{") {
		a.members = decode(t, a.body)
	}
	return a
}

// do sends a request to a path of the server, or to a whole URL. It checks that
// every answer is what strict clients demand; if the host answers too, it
// checks only successes.
func (r *rig) do(t testing.TB, method, url, token, body string) *answer {
	t.Helper()
	contentType := ""
	if body != "" {
		contentType = "application/json"
	}
	return r.doAs(t, contentType, method, url, token, body)
}

func (r *rig) doAs(t testing.TB, contentType, method, url, token, body string) *answer {
	t.Helper()
	if strings.HasPrefix(url, "/") {
		url = r.server.URL + url
	}
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.server.Client().Do(dress(request, contentType, token))
	if err != nil {
		t.Fatal(err)
	}
	a := receive(t, response)
	if !r.mixed || a.status < 300 && a.members != nil {
		readStrictly(t, method, a)
	}
	return a
}

// ask calls a handler directly.
func ask(t testing.TB, handler http.Handler, method, path, token, body string) *answer {
	t.Helper()
	return exchange(t, handler, newRequest(method, path, token, body))
}

func askAs(t testing.TB, handler http.Handler, contentType, method, path, token, body string) *answer {
	t.Helper()
	return exchange(t, handler, dress(httptest.NewRequest(method, path, strings.NewReader(body)), contentType, token))
}

// exchange is like ask, for a request that the test has made.
func exchange(t testing.TB, handler http.Handler, request *http.Request) *answer {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return receive(t, recorder.Result())
}

// newRequest returns a request as a handler gets it.
func newRequest(method, path, token, body string) *http.Request {
	return dress(httptest.NewRequest(method, path, strings.NewReader(body)), "application/json", token)
}

// dress sets the content type and the token of a request; "" means none.
func dress(request *http.Request, contentType, token string) *http.Request {
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
		watch.Keep(token, "a token that was sent")
	}
	return request
}

// answered checks the status and the error code of an answer, "" for none, and
// returns its members.
func answered(t testing.TB, a *answer, status int, code dcr.Code) object {
	t.Helper()
	if a.body != "" && a.members == nil {
		t.Fatalf("not a JSON object: %s", a.body)
	}
	if a.status != status || a.text("error") != string(code) {
		t.Errorf("got %d %s, want %d %s", a.status, a.body, status, code)
	}
	return a.members
}

func (r *rig) post(t testing.TB, body string) *answer {
	t.Helper()
	return r.do(t, "POST", registerURL, "", body)
}

// register posts a request that must be accepted.
func (r *rig) register(t testing.TB, body string) *answer {
	t.Helper()
	a := r.post(t, body)
	if a.status != 201 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	return a
}

// manage sends a request to the client configuration endpoint that registered
// names.
func (r *rig) manage(t testing.TB, method string, registered *answer, body string) *answer {
	t.Helper()
	return r.do(t, method, registered.text("registration_client_uri"), registered.text("registration_access_token"), body)
}

// text returns a member that is a string, "" if there is none.
func (a *answer) text(name string) string {
	text, _ := a.members[name].(string)
	return text
}

// perIssue lists the members that RFC 7592 §2.2 forbids in an update.
var perIssue = []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}

// update returns an answer as the client sends it back, with members changed;
// nil removes one.
func (a *answer) update(changed map[string]any) string {
	sent := maps.Clone(a.members)
	for _, name := range perIssue {
		delete(sent, name)
	}
	maps.Copy(sent, changed)
	maps.DeleteFunc(sent, func(_ string, value any) bool { return value == nil })
	return encode(sent)
}

// encode returns a value as JSON.
func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// decode reads JSON as an object.
func decode(t testing.TB, body string) object {
	t.Helper()
	var members object
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatalf("not a JSON object: %s", body)
	}
	return members
}

// metadata returns an answer without the members that differ in each answer.
func (a *answer) metadata() map[string]any {
	kept := maps.Clone(a.members)
	delete(kept, "client_secret")
	return kept
}

// object is a JSON object.
type object map[string]any

// with returns the object with other members, as pairs of a name and a value;
// nil removes a member.
func (o object) with(pairs ...any) object {
	all := maps.Clone(o)
	for i := 0; i < len(pairs); i += 2 {
		if all[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(all, pairs[i].(string))
		}
	}
	return all
}

func (o object) String() string { return encode(o) }

// stored checks how many clients there are.
func stored(t testing.TB, store *memstore.Store, want int64) {
	t.Helper()
	if count, err := store.CountClients(t.Context(), dcr.Filter{}); err != nil || count != want {
		t.Errorf("%d clients are stored, want %d (%v)", count, want, err)
	}
}

// registered is a client that registered and manages itself.
type registered struct {
	members object
	handler http.Handler
}

func registerWith(t testing.TB, handler http.Handler, body object) *registered {
	t.Helper()
	return &registered{answered(t, ask(t, handler, "POST", registerURL, "", body.String()), 201, ""), handler}
}

func (r *registered) update(t testing.TB, body object, status int, code dcr.Code) object {
	t.Helper()
	body = body.with("client_id", r.members["client_id"])
	path := registerURL + "?client_id=" + r.members["client_id"].(string)
	return answered(t, ask(t, r.handler, "PUT", path, r.members["registration_access_token"].(string), body.String()), status, code)
}

// rush registers many times at once and counts the answers by status.
func rush(t testing.TB, handler http.Handler, times int, token, body string) map[int]int {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := make(map[int]int)
	for range times {
		all.Go(func() {
			status := ask(t, handler, "POST", registerURL, token, body).status
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	all.Wait()
	return statuses
}
