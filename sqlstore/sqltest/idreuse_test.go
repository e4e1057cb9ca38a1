package sqltest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// server registers every client with the same id, if it is free.
type server struct {
	*httptest.Server
	reading chan struct{} // closed when the body of a PUT is read for the first time
}

func newServer(t *testing.T, store *sqlstore.Store) *server {
	t.Helper()
	s := &server{reading: make(chan struct{})}
	var handler http.Handler
	var once sync.Once
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			r.Body = &firstRead{ReadCloser: r.Body, tell: func() { once.Do(func() { close(s.reading) }) }}
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: s.URL + "/connect/dcr", AllowAnonymous: true, MaxClients: 10,
		NewClientID: func(_ context.Context, reg *dcr.Registration) (string, error) {
			if reg.Client.ID != "" {
				return "", &dcr.Error{Code: dcr.InvalidRequest, Description: "the id is taken", Status: http.StatusConflict}
			}
			return "app-acme", nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type firstRead struct {
	io.ReadCloser
	tell func()
}

func (b *firstRead) Read(p []byte) (int, error) {
	b.tell()
	return b.ReadCloser.Read(p)
}

// do returns the status of an answer and its members.
func (s *server) do(t *testing.T, method, token string, body io.Reader) (int, map[string]any) {
	t.Helper()
	url := s.URL + "/connect/dcr"
	if method != http.MethodPost {
		url += "?client_id=app-acme"
	}
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.Client().Do(request)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer response.Body.Close()
	var members map[string]any
	if text, _ := io.ReadAll(response.Body); len(text) > 0 {
		if err := json.Unmarshal(text, &members); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	return response.StatusCode, members
}

func bodyOf(name string) io.Reader {
	return strings.NewReader(fmt.Sprintf(`{"client_id":"app-acme","client_name":%q,"redirect_uris":["https://%s.example/cb"]}`, name, name))
}

// TestAnIDThatComesBack checks that if the id has another owner when the body of
// an update arrives, the update does not change that owner's client.
func TestAnIDThatComesBack(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		s := newServer(t, store)
		_, old := s.do(t, "POST", "", bodyOf("old"))
		owner := map[string]any{}
		mallory, writer := io.Pipe()
		go func() {
			body, _ := io.ReadAll(bodyOf("mallory"))
			writer.Write(body[:10])
			<-s.reading
			if err := store.Delete(t.Context(), "app-acme"); err != nil {
				t.Error(err)
			}
			_, owner = s.do(t, "POST", "", bodyOf("owner"))
			writer.Write(body[10:])
			writer.Close()
		}()
		if status, members := s.do(t, "PUT", old["registration_access_token"].(string), mallory); status != 401 {
			t.Errorf("status %d: %v", status, members)
		}
		if status, members := s.do(t, "GET", owner["registration_access_token"].(string), nil); status != 200 || members["client_name"] != "owner" {
			t.Errorf("the owner: status %d: %v", status, members)
		}
		client, err := store.FindByClientID(t.Context(), "app-acme")
		if err != nil || !client.VerifySecret(owner["client_secret"].(string), client.CreatedAt) || client.VerifySecret(old["client_secret"].(string), client.CreatedAt) {
			t.Errorf("stored %+v, %v", client, err)
		}
	})
}

// TestOwnersOfOneID checks that several owners who have the same id one after
// the other never reach each other's clients, even if each sends many requests
// at once.
func TestOwnersOfOneID(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		s := newServer(t, store)
		var all sync.WaitGroup
		for owner := range 4 {
			all.Go(func() {
				for round := range 5 {
					name := fmt.Sprint("owner-", owner, "-", round)
					status, members := s.do(t, "POST", "", bodyOf(name))
					if status != 201 {
						continue // another owner has the id
					}
					token := members["registration_access_token"].(string)
					if status, members := s.do(t, "PUT", token, bodyOf(name)); status != 200 || members["client_name"] != name {
						t.Errorf("the owner's update: status %d: %v", status, members)
					}
					var last sync.WaitGroup
					for range 2 {
						last.Go(func() { s.do(t, "DELETE", token, nil) })
						last.Go(func() { s.do(t, "PUT", token, bodyOf(name)) })
					}
					last.Wait()
					for _, method := range []string{"GET", "PUT", "DELETE"} {
						if status, members := s.do(t, method, token, bodyOf(name)); status != 401 {
							t.Errorf("%s after its end: status %d: %v", method, status, members)
						}
					}
				}
			})
		}
		all.Wait()
	})
}
