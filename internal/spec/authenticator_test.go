package spec_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// saying returns an Authenticator that always gives the same answer.
func saying(subject string, err error) dcr.Authenticator {
	return func(*http.Request) (*dcr.Caller, error) {
		if subject == "" {
			return nil, err
		}
		return &dcr.Caller{Subject: subject}, err
	}
}

var (
	knowsNobody  = saying("", nil)
	letsIn       = saying("someone", nil)
	refuses      = saying("", dcr.Errorf(dcr.InvalidToken, "expired"))
	wantsScope   = saying("", &dcr.Error{Code: dcr.InsufficientScope, Scope: `register "all"`})
	cannotTell   = saying("", errors.New("no connection to 10.0.0.5"))
	isOutOfOrder = saying("", dcr.Errorf(dcr.TemporarilyUnavailable, "later"))
)

func TestAuthenticatorsTogether(t *testing.T) {
	logger, _ := quiet()
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(logger)
	const realm = `Bearer realm="client registration"`
	for _, test := range []struct {
		sentence  string
		any       []dcr.Authenticator
		token     string
		status    int
		code      dcr.Code
		challenge string
	}{
		{"no Authenticator admits nobody", nil, "", 401, dcr.InvalidToken, realm},
		{"no Authenticator, and a token", nil, "t", 401, dcr.InvalidToken, realm + `, error="invalid_token"`},
		{"one admits", []dcr.Authenticator{letsIn}, "", 201, "", ""},
		{"none knows the caller", []dcr.Authenticator{knowsNobody, knowsNobody}, "", 401, dcr.InvalidToken, realm},
		{"none knows the token", []dcr.Authenticator{knowsNobody, knowsNobody}, "t", 401, dcr.InvalidToken, realm + `, error="invalid_token"`},
		{"the second admits a caller that the first does not know", []dcr.Authenticator{knowsNobody, letsIn}, "t", 201, "", ""},
		{"the second admits a caller that the first refuses", []dcr.Authenticator{refuses, letsIn}, "t", 201, "", ""},
		{"the second admits while the first is out of order", []dcr.Authenticator{isOutOfOrder, letsIn}, "t", 201, "", ""},
		{"the second admits while the first fails", []dcr.Authenticator{cannotTell, letsIn}, "t", 201, "", ""},
		{"the second admits a caller that lacks a scope for the first", []dcr.Authenticator{wantsScope, letsIn}, "t", 201, "", ""},
		{"an outage is not a refusal", []dcr.Authenticator{refuses, isOutOfOrder, refuses}, "t", 503, dcr.TemporarilyUnavailable, ""},
		{"an unknown error is not a refusal either", []dcr.Authenticator{cannotTell, refuses}, "t", 503, dcr.TemporarilyUnavailable, ""},
		{"a fault of the host is not an outage", []dcr.Authenticator{saying("", dcr.Errorf(dcr.ServerError, "x")), refuses}, "t", 500, dcr.ServerError, ""},
		{"an Authenticator that knows the token and refuses it is believed", []dcr.Authenticator{isOutOfOrder, wantsScope, refuses}, "t", 403, dcr.InsufficientScope,
			realm + `, error="insufficient_scope", scope="register 'all'"`},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			answers := map[string]http.Handler{}
			answers["as Options.Caller"] = newHandler(t, memstore.New(), dcr.Options{Caller: dcr.AnyOf(test.any...)})
			answers["as middleware"] = dcr.Require(dcr.AnyOf(test.any...))(newHandler(t, memstore.New(), dcr.Options{Endpoint: "https://id.example.com" + registerURL}))
			for how, handler := range answers {
				answer := ask(t, handler, "POST", registerURL, test.token, plainBody)
				answered(t, answer, test.status, test.code)
				if got := answer.header.Get("WWW-Authenticate"); got != test.challenge {
					t.Errorf("%s: the challenge is %q, want %q", how, got, test.challenge)
				}
				if strings.Contains(answer.body, "10.0.0.5") {
					t.Errorf("%s: the answer tells too much: %s", how, answer.body)
				}
			}
		})
	}
}

func TestAnAuthenticatorAlone(t *testing.T) {
	opts := dcr.Options{Caller: knowsNobody, AllowAnonymous: true, MaxClients: 10}
	handler := newHandler(t, memstore.New(), opts)
	answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 201, "")
	answered(t, ask(t, handler, "POST", registerURL, "a token of nobody", plainBody), 401, dcr.InvalidToken)
}

func TestTheCallerReachesTheHooks(t *testing.T) {
	handler := newHandler(t, memstore.New(), dcr.Options{
		ModifyResponse: func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
			if reg.Caller.Subject != "someone" || reg.Client.RegisteredBy != "someone" {
				t.Errorf("the caller is %+v, the client was registered by %q", reg.Caller, reg.Client.RegisteredBy)
			}
			return nil
		},
	})
	answered(t, ask(t, dcr.Require(letsIn)(handler), "POST", registerURL, "", plainBody), 201, "")
}

func TestAnyOfWantsAuthenticators(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a nil Authenticator was accepted")
		}
	}()
	dcr.AnyOf(letsIn, nil)
}

// watched notes which caller each call of the store was for.
type watched struct {
	*memstore.Store
	seen map[string]string // the subject of the caller, by method
}

func (w watched) note(ctx context.Context, method string) {
	if caller := dcr.CallerFromContext(ctx); caller != nil {
		w.seen[method] = caller.Subject
		return
	}
	w.seen[method] = "nobody"
}

func (w watched) Add(ctx context.Context, client *dcr.Client) error {
	w.note(ctx, "Add")
	return w.Store.Add(ctx, client)
}

func (w watched) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	w.note(ctx, "FindByClientID")
	return w.Store.FindByClientID(ctx, clientID)
}

func (w watched) Update(ctx context.Context, client *dcr.Client) error {
	w.note(ctx, "Update")
	return w.Store.Update(ctx, client)
}

func (w watched) Delete(ctx context.Context, clientID string) error {
	w.note(ctx, "Delete")
	return w.Store.Delete(ctx, clientID)
}

func (w watched) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	w.note(ctx, "Delete")
	return w.Store.DeleteRevision(ctx, clientID, revision)
}

// TestTheStoreSeesTheCaller checks that the store sees the caller, whichever
// way it was found, so that it can choose a tenant by it.
func TestTheStoreSeesTheCaller(t *testing.T) {
	alice := saying("alice", nil)
	manages := func(*dcr.Caller, *dcr.Client) bool { return true }
	for how, build := range map[string]func(store dcr.ClientConfigurationStore) http.Handler{
		"by Options.Caller": func(store dcr.ClientConfigurationStore) http.Handler {
			return newHandler(t, store, dcr.Options{Caller: alice, ManageAs: manages})
		},
		"by Require": func(store dcr.ClientConfigurationStore) http.Handler {
			return dcr.Require(alice)(newHandler(t, store, dcr.Options{ManageAs: manages}))
		},
		"by Options.Caller, without a token": func(store dcr.ClientConfigurationStore) http.Handler {
			return newHandler(t, store, dcr.Options{Caller: alice, ManageAs: manages, ManageByCallerOnly: true})
		},
	} {
		store := watched{memstore.New(), map[string]string{}}
		handler := build(store)
		registered := answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 201, "")
		id := registered["client_id"].(string)
		path := registerURL + "?client_id=" + id
		answered(t, ask(t, handler, "GET", path, "", ""), 200, "")
		answered(t, ask(t, handler, "PUT", path, "", decode(t, plainBody).with("client_id", id).String()), 200, "")
		if a := ask(t, handler, "DELETE", path, "", ""); a.status != 204 {
			t.Errorf("%s: DELETE: %d %s", how, a.status, a.body)
		}
		want := map[string]string{"Add": "alice", "FindByClientID": "alice", "Update": "alice", "Delete": "alice"}
		if !maps.Equal(store.seen, want) {
			t.Errorf("%s the store saw %v", how, store.seen)
		}
	}
}
