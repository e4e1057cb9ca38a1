package spec_test

// If an id is used again, it belongs to another client.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/memstore"
)

func acme(context.Context, *dcr.Registration) (string, error) { return "app-acme", nil }

// heldOpen sends a request whose body ends only when meanwhile has returned, and
// returns the answer. It calls meanwhile when the server has begun to read the
// body.
func (r *rig) heldOpen(t testing.TB, method, url, token, body string, meanwhile func()) *answer {
	t.Helper()
	reading := make(chan struct{})
	handler := r.handler
	r.handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == method {
			q.Body = &watchedBody{ReadCloser: q.Body, reading: reading}
		}
		handler.ServeHTTP(w, q)
	})
	rest, writer := io.Pipe()
	request, err := http.NewRequest(method, url, rest)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		io.WriteString(writer, body[:10])
		<-reading
		meanwhile()
		io.WriteString(writer, body[10:])
		writer.Close()
	}()
	response, err := r.server.Client().Do(dress(request, "application/json", token))
	if err != nil {
		t.Fatal(err)
	}
	r.handler = handler
	return receive(t, response)
}

// watchedBody signals when it is read for the first time.
type watchedBody struct {
	io.ReadCloser
	reading chan struct{}
	once    sync.Once
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.reading) })
	return b.ReadCloser.Read(p)
}

// TestAnIDThatComesBack checks that a request is decided on the client that is
// stored after its body was read, and not on the one that it was authorised for
// before.
func TestAnIDThatComesBack(t *testing.T) {
	var refuse atomic.Bool
	for _, test := range []struct {
		sentence  string
		meanwhile func(r *rig, t *testing.T, old *answer)
		status    int
		another   bool // the id then belongs to another client
	}{
		{"nothing happens", func(*rig, *testing.T, *answer) {}, 200, false},
		{"the client is updated", func(r *rig, t *testing.T, old *answer) {
			r.edit(t, old, func(c *dcr.Client) { c.Notes = "seen" })
		}, 200, false},
		{"it is updated a hundred times", func(r *rig, t *testing.T, old *answer) {
			for range 100 {
				r.edit(t, old, func(c *dcr.Client) { c.Notes += "+" })
			}
		}, 200, false},
		{"its id goes to another owner", func(r *rig, t *testing.T, old *answer) {
			owners := dcr.NewClient()
			owners.ID, owners.Source, owners.RedirectURIs = "app-acme", dcr.SourceDynamic, []string{"https://owner.example/cb"}
			r.store.Delete(t.Context(), "app-acme")
			r.store.Add(t.Context(), owners)
		}, 401, true},
		{"its id goes to another owner, who has the same credentials", func(r *rig, t *testing.T, old *answer) {
			client := r.client(t, old)
			r.store.Delete(t.Context(), "app-acme")
			client.RedirectURIs = []string{"https://owner.example/cb"}
			r.store.Add(t.Context(), client)
		}, 401, true},
		{"it is deleted", func(r *rig, t *testing.T, old *answer) { r.store.Delete(t.Context(), "app-acme") }, 401, false},
		{"it is disabled", func(r *rig, t *testing.T, old *answer) {
			r.edit(t, old, func(c *dcr.Client) { c.Status = dcr.StatusDisabled })
		}, 401, false},
		{"it waits for approval", func(r *rig, t *testing.T, old *answer) {
			r.edit(t, old, func(c *dcr.Client) { c.Status = dcr.StatusPending })
		}, 401, false},
		{"it expires", func(r *rig, t *testing.T, old *answer) {
			r.edit(t, old, func(c *dcr.Client) { c.ExpiresAt = time.Now().Add(-time.Second) })
		}, 401, false},
		{"it becomes a client of the host", func(r *rig, t *testing.T, old *answer) {
			r.edit(t, old, func(c *dcr.Client) { c.Source = "host" })
		}, 403, false},
		{"its policy refuses the management", func(*rig, *testing.T, *answer) { refuse.Store(true) }, 403, false},
	} {
		for _, by := range []string{"its token", "a caller who may manage all clients", "its token, at a host without hooks"} {
			t.Run(test.sentence+", managed by "+by, func(t *testing.T) {
				refuse.Store(false)
				r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) {
					o.NewClientID, o.Validator = acme, &guarding{DefaultValidator: *v, refuse: &refuse}
					o.ManageAs = func(*dcr.Caller, *dcr.Client) bool { return true }
					o.Caller = func(r *http.Request) (*dcr.Caller, error) {
						if token, _ := dcr.BearerToken(r); token == "operator" {
							return &dcr.Caller{Subject: "operator"}, nil
						}
						return nil, nil
					}
				})
				old := r.register(t, plainBody)
				token := old.text("registration_access_token")
				switch by {
				case "a caller who may manage all clients":
					token = "operator"
				case "its token, at a host without hooks":
					r.over(t, r.store)
				}
				mallory := `{"client_id":"app-acme","redirect_uris":["https://mallory.example/cb"]}`
				a := r.heldOpen(t, "PUT", old.text("registration_client_uri"), token, mallory, func() { test.meanwhile(r, t, old) })
				if refuse.Load() && by == "its token, at a host without hooks" {
					return // it has no policy that refuses
				}
				if a.status != test.status {
					t.Errorf("status %d: %s", a.status, a.body)
				}
				client, err := r.store.FindByClientID(t.Context(), "app-acme")
				if changed := err == nil && strings.Contains(client.RedirectURIs[0], "mallory"); changed != (test.status == 200) {
					t.Errorf("stored %+v, %v", client, err)
				}
				if test.another && client.RedirectURIs[0] != "https://owner.example/cb" {
					t.Errorf("the other owner's client is %+v", client)
				}
			})
		}
	}
}

// onNotes is a policy whose hooks see the client of an update.
type onNotes struct {
	dcr.DefaultValidator
	manage, step func(client *dcr.Client) error
}

func (v onNotes) AuthorizeManagement(r *http.Request, client *dcr.Client) error {
	return v.manage(client)
}

func (v onNotes) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if reg.Previous != nil {
		return v.step(reg.Previous)
	}
	return nil
}

// TestWhatIsNotedWhileABodyIsRead checks that an update keeps what the store notes of
// its client meanwhile, and that the hooks that decide about the update see it.
func TestWhatIsNotedWhileABodyIsRead(t *testing.T) {
	checkUnused := func(client *dcr.Client) error {
		if !client.ActivatedAt.IsZero() && client.ActivatedBy == "ada" && client.Document != nil {
			return dcr.Errorf(dcr.AccessDenied, "this client is in use")
		}
		return nil
	}
	anyway := func(*dcr.Client) error { return nil }
	for _, test := range []struct {
		name   string
		change change
		status int
	}{
		{"no hook", func(*dcr.DefaultValidator, *dcr.Options) {}, 200},
		{"ManageClient", func(_ *dcr.DefaultValidator, o *dcr.Options) {
			o.ManageClient = func(_ *http.Request, client *dcr.Client) error { return checkUnused(client) }
		}, 403},
		{"ManageAs", func(_ *dcr.DefaultValidator, o *dcr.Options) {
			o.ManageByCallerOnly = true
			o.Caller = func(*http.Request) (*dcr.Caller, error) { return &dcr.Caller{Subject: "bob"}, nil }
			o.ManageAs = func(_ *dcr.Caller, client *dcr.Client) bool { return checkUnused(client) == nil }
		}, 401},
		{"AuthorizeManagement", func(v *dcr.DefaultValidator, o *dcr.Options) {
			o.Validator = onNotes{*v, checkUnused, anyway}
		}, 403},
		{"a step", func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = onNotes{*v, anyway, checkUnused} }, 403},
		{"ModifyResponse", func(_ *dcr.DefaultValidator, o *dcr.Options) {
			o.ModifyResponse = func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
				if reg.Previous == nil {
					return nil
				}
				return checkUnused(reg.Previous)
			}
		}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, `{}`, test.change)
			old := r.register(t, plainBody)
			id := old.text("client_id")
			url, body := r.server.URL+registerURL+"?client_id="+id, old.update(map[string]any{"client_name": "New"})
			a := r.heldOpen(t, "PUT", url, old.text("registration_access_token"), body, func() {
				consented := r.store.NoteConsent(t.Context(), id, "ada", time.Now())
				if err := errors.Join(consented, r.store.NoteDocument(t.Context(), id, dcr.DocumentRecord{FetchedAt: time.Now()})); err != nil {
					t.Error(err)
				}
			})
			client := r.client(t, old)
			if a.status != test.status || (client.ClientName == "New") != (a.status == 200) {
				t.Errorf("status %d: %s; the client is %s", a.status, a.body, encode(client))
			}
			if client.LastUsedAt.IsZero() || checkUnused(client) == nil {
				t.Errorf("what was noted is lost: %s", encode(client))
			}
		})
	}
}

// guarding is a validator that refuses all management once refuse is set.
type guarding struct {
	dcr.DefaultValidator
	refuse *atomic.Bool
}

func (v *guarding) AuthorizeManagement(r *http.Request, client *dcr.Client) error {
	if v.refuse.Load() {
		return dcr.Errorf(dcr.AccessDenied, "this client is not managed here")
	}
	return nil
}

// between is a store that calls a function right after a client was found.
type between struct {
	*memstore.Store
	happens func()
}

func (s *between) FindByClientID(ctx context.Context, id string) (*dcr.Client, error) {
	client, err := s.Store.FindByClientID(ctx, id)
	if happens := s.happens; happens != nil {
		s.happens = nil
		happens()
	}
	return client, err
}

// TestDeleteOfWhatWasRead checks that a DELETE deletes the client that it was
// authorised for.
func TestDeleteOfWhatWasRead(t *testing.T) {
	for _, test := range []struct {
		sentence string
		happens  func(r *rig, t *testing.T, old *answer)
		status   int
		stored   int64
	}{
		{"nothing happens", func(*rig, *testing.T, *answer) {}, 204, 0},
		{"the client is updated", func(r *rig, t *testing.T, old *answer) {
			r.edit(t, old, func(c *dcr.Client) { c.Notes = "seen" })
		}, 204, 0},
		{"it is disabled", func(r *rig, t *testing.T, old *answer) {
			r.edit(t, old, func(c *dcr.Client) { c.Status = dcr.StatusDisabled })
		}, 401, 1},
		{"it is deleted", func(r *rig, t *testing.T, old *answer) { r.store.Delete(t.Context(), "app-acme") }, 401, 0},
		{"its id goes to another owner", func(r *rig, t *testing.T, old *answer) {
			r.store.Delete(t.Context(), "app-acme")
			r.store.Add(t.Context(), &dcr.Client{ID: "app-acme", Source: dcr.SourceDynamic})
		}, 401, 1},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.NewClientID = acme })
			old := r.register(t, plainBody)
			store := &between{Store: r.store, happens: func() { test.happens(r, t, old) }}
			var deleted []string
			r.handler = newHandler(t, store, dcr.Options{Endpoint: r.server.URL + registerURL, AfterDelete: func(_ context.Context, c *dcr.Client) error {
				deleted = append(deleted, c.ID)
				return nil
			}})
			if a := r.manage(t, "DELETE", old, ""); a.status != test.status {
				t.Errorf("status %d: %s", a.status, a.body)
			}
			stored(t, r.store, test.stored)
			if (len(deleted) == 1) != (test.status == 204) {
				t.Errorf("AfterDelete was told of %q", deleted)
			}
		})
	}
}

// TestOwnersOfOneID checks that several owners who have the same id one after
// the other never reach each other's clients, even if each sends many requests
// at once.
func TestOwnersOfOneID(t *testing.T) {
	for name, store := range map[string]dcr.ClientConfigurationStore{
		"memory":            memstore.New(),
		"through a cache":   cachestore.New(memstore.New(), nil).Uncached(),
		"through a wrapper": &between{Store: memstore.New()},
	} {
		t.Run(name, func(t *testing.T) {
			handler := newHandler(t, store, dcr.Options{AllowAnonymous: true, NewClientID: acme})
			const path = registerURL + "?client_id=app-acme"
			var all sync.WaitGroup
			for owner := range 8 {
				all.Go(func() {
					for round := range 20 {
						body := object{"client_id": "app-acme", "redirect_uris": []string{"https://a.example/"}, "client_name": fmt.Sprint(owner, "-", round)}
						registered := ask(t, handler, "POST", registerURL, "", body.String())
						if registered.status != 201 {
							continue // another owner has the id
						}
						token := registered.text("registration_access_token")
						if a := ask(t, handler, "PUT", path, token, body.String()); a.status != 200 || a.text("client_name") != body["client_name"] {
							t.Errorf("the owner's update: status %d: %s", a.status, a.body)
						}
						var last sync.WaitGroup
						for range 2 {
							last.Go(func() { ask(t, handler, "DELETE", path, token, "") })
							last.Go(func() { ask(t, handler, "PUT", path, token, body.String()) })
						}
						last.Wait()
						for _, method := range []string{"GET", "PUT", "DELETE"} {
							if a := ask(t, handler, method, path, token, body.String()); a.status != 401 {
								t.Errorf("%s after its end: status %d: %s", method, a.status, a.body)
							}
						}
					}
				})
			}
			all.Wait()
		})
	}
}
