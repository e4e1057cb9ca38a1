package spec_test

// Stores that fail: an outage is answered as an outage and as nothing else.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// faulty is a store that fails with the errors that are set.
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
	r := serve(t, newHandler(t, store, dcr.Options{AllowAnonymous: true, Logger: logger}))
	a := r.do(t, "POST", "/connect/dcr", "", plainBody)
	client := a.members
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
		{"an update of a client that was deleted in the meantime", faulty{update: dcr.ErrClientNotFound}, "PUT", path, put, 401},
		{"a deletion that fails", faulty{remove: outage}, "DELETE", path, "", 503},
		{"a deletion of a client that was deleted in the meantime", faulty{remove: dcr.ErrClientNotFound}, "DELETE", path, "", 401},
		{"a registration whose client ids are all taken", faulty{add: dcr.ErrClientExists}, "POST", "/connect/dcr", plainBody, 500},
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			memory := store.ClientConfigurationStore
			*store = c.fail
			store.ClientConfigurationStore = memory
			a := r.do(t, c.method, c.path, token, c.body)
			if a.status != c.status || strings.Contains(a.body, "10.0.0.5") {
				t.Errorf("status %d, want %d: %s", a.status, c.status, a.body)
			}
			if (a.header.Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
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
	if a := exchange(t, handler, newRequest("POST", "/connect/dcr", "", plainBody).WithContext(ctx)); a.status != 201 {
		t.Errorf("status %d", a.status)
	}
}

// TestAPolicyThatIsGone checks that a client whose policy no longer exists gets an
// error of the server, so that it keeps its registration. Without its token, one
// gets the same answer as for any other client.
func TestAPolicyThatIsGone(t *testing.T) {
	store := memstore.New()
	logger, lines := quiet()
	before := newHandler(t, store, dcr.Options{
		AllowAnonymous: true, Policies: map[string]dcr.Validator{"gone": dcr.DefaultValidator{}},
		ChoosePolicy: func(*http.Request, *dcr.Caller) (string, error) { return "gone", nil },
	})
	after := newHandler(t, store, dcr.Options{AllowAnonymous: true, Logger: logger})
	registered := answered(t, ask(t, before, "POST", registerURL, "", plainBody), 201, "")
	id := registered["client_id"].(string)
	path, body := registerURL+"?client_id="+id, object{"client_id": id, "redirect_uris": []string{"https://b.example/"}}.String()
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		lines.Reset()
		answered(t, ask(t, after, method, path, "another", body), 401, dcr.InvalidToken)
		if strings.Contains(lines.String(), "gone") {
			t.Errorf("%s by a stranger is logged as %s", method, lines)
		}
		answered(t, ask(t, after, method, path, registered["registration_access_token"].(string), body), 500, dcr.ServerError)
		if !strings.Contains(lines.String(), "gone") {
			t.Errorf("%s by the client is logged as %q", method, lines)
		}
	}
	stored(t, store, 1)
}
