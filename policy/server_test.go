package policy_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/internal/watch"
	"github.com/dynreg/dcr/memstore"
)

const endpoint = "https://id.example.com/connect/dcr"

// quiet is a logger for handlers whose log does not matter.
func TestMain(m *testing.M) { watch.Main(m, 100) }

var quiet = slog.New(slog.DiscardHandler)

// server is a handler and its store.
type server struct {
	*dcr.Handler
	store *memstore.Store
}

func serve(t testing.TB, opts *dcr.Options) server {
	t.Helper()
	store := memstore.New()
	opts.Logger = quiet
	watch.Over(t, store, opts)
	handler, err := dcr.NewHandler(store, opts)
	if err != nil {
		t.Fatal(err)
	}
	return server{handler, store}
}

// send sends a request to the registration endpoint, or to url if it is not
// empty.
func (s server) send(method, url, token, body string) dcrtest.Answer {
	if url == "" {
		url = endpoint
	}
	return s.sendAs("application/json", method, url, token, body)
}

func (s server) sendAs(contentType, method, url, token, body string) dcrtest.Answer {
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
		watch.Keep(token, "a token that was sent")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	answer, _ := io.ReadAll(w.Body)
	return dcrtest.Answer{Request: []byte(body), Status: w.Code, Header: w.Header(), Body: answer}
}

// register registers a client that must be accepted.
func (s server) register(t testing.TB, body string) object {
	t.Helper()
	answer := s.send(http.MethodPost, "", "", body)
	if answer.Status != http.StatusCreated {
		t.Fatalf("%s: %d %s", body, answer.Status, answer.Body)
	}
	return decode(t, answer)
}

// update sends an update of a client with its own token.
func (s server) update(client object, body string) dcrtest.Answer {
	var request object
	json.Unmarshal([]byte(body), &request)
	request["client_id"] = client["client_id"]
	delete(request, "client_secret")
	encoded, _ := json.Marshal(request)
	return s.send(http.MethodPut, client["registration_client_uri"].(string), client["registration_access_token"].(string), string(encoded))
}

func jsonText(members object) string {
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func decode(t testing.TB, answer dcrtest.Answer) object {
	t.Helper()
	var members object
	if err := json.Unmarshal(answer.Body, &members); err != nil {
		t.Fatalf("%s: %v", answer.Body, err)
	}
	return members
}
