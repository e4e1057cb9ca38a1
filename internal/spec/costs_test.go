package spec_test

// What a registration or an update uses up is taken right before the client is
// stored, and given back if nothing was stored.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// ledger is a store that knows which values are remembered, and that calls a
// function before each write.
type ledger struct {
	*memstore.Store
	add, update func(client *dcr.Client) error // an error is returned instead of writing

	mu    sync.Mutex
	held  map[string]bool
	taken int
}

func (l *ledger) Remember(ctx context.Context, key string, until, now time.Time) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh, err := l.Store.Remember(ctx, key, until, now)
	if fresh {
		l.held[key] = true
		l.taken++
	}
	return fresh, err
}

func (l *ledger) Forget(ctx context.Context, key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, key)
	return l.Store.Forget(ctx, key)
}

func (l *ledger) Add(ctx context.Context, client *dcr.Client) error {
	if l.add != nil {
		if err := l.add(client); err != nil {
			return err
		}
	}
	return l.Store.Add(ctx, client)
}

func (l *ledger) Update(ctx context.Context, client *dcr.Client) error {
	if l.update != nil {
		if err := l.update(client); err != nil {
			return err
		}
	}
	return l.Store.Update(ctx, client)
}

// fee is an Allowance that a host charges for a registration.
type fee struct {
	refusal error
	panics  bool
	owed    int
}

func (f *fee) Take(context.Context) error {
	if f.panics {
		panic("fee")
	}
	if f.refusal == nil {
		f.owed++
	}
	return f.refusal
}

func (f *fee) GiveBack(context.Context) error { f.owed--; return nil }

// costly is a handler for signed requests with statements and initial access
// tokens for one use. It charges a fee and has a bound on clients.
type costly struct {
	*software
	store *ledger
	fee   *fee
	token string
	hash  string
	opts  dcr.Options
}

func newCostly(t *testing.T) *costly {
	t.Helper()
	c := &costly{software: &software{signer: newSigner("tpp")}, store: &ledger{Store: memstore.New(), held: map[string]bool{}}, fee: &fee{}}
	statements := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: signers()["RS256"].keys()}, Required: true, Once: true}
	tokens := &callerauth.InitialAccessTokens{Store: c.store, Now: clock}
	token, atRest := issue(t, tokens, dcr.InitialAccessToken{MaxUses: 1})
	c.token, c.hash = token, atRest.Hash
	c.opts = dcr.Options{
		Now: clock, MaxClients: 2, OptionalClientID: true, Validator: dcr.DefaultValidator{Statements: statements},
		Decoders: map[string]dcr.Decoder{joseType: dcr.SignedRequests(dcr.SignedRequestVerifier{Statements: statements, Now: clock, Replay: c.store})},
		Caller: func(r *http.Request) (*dcr.Caller, error) {
			caller, err := tokens.Authenticate(r)
			if caller == nil {
				return nil, err
			}
			dcr.Charge(r.Context(), c.fee)
			return &dcr.Caller{Subject: "tenant/" + caller.Subject}, nil
		},
	}
	return c
}

// request returns a signed request with these identifiers.
func (c *costly) request(jti, statement string) string {
	return c.sign(c.claims().with("jti", jti, "software_statement", signers()["RS256"].sign(c.statement().with("jti", statement))))
}

// send sends a request; the status is 500 if a hook panicked.
func (c *costly) send(t *testing.T, handler http.Handler, method, path, token, body string) (status int, members object) {
	t.Helper()
	recorder := httptest.NewRecorder()
	func() {
		defer func() {
			if recover() != nil {
				status = 500
			}
		}()
		handler.ServeHTTP(recorder, dress(httptest.NewRequest(method, path, strings.NewReader(body)), joseType, token))
		status = recorder.Code
	}()
	if status < 300 {
		members = decode(t, recorder.Body.String())
	}
	return status, members
}

// paid returns which of these are taken: a use of the token, the fee, the
// request and the statement.
func (c *costly) paid(t *testing.T) string {
	t.Helper()
	token, err := c.store.FindInitialAccessToken(t.Context(), c.hash)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for key := range c.store.held {
		kind, _, _ := strings.Cut(key, ":")
		count[kind]++
	}
	return fmt.Sprintf("%d %d %d %d", token.Uses, c.fee.owed, count["request"], count["statement"])
}

func TestCostsAreGivenBack(t *testing.T) {
	const nothing, all = "0 0 0 0", "1 1 1 1"
	second := func(again func() (string, error)) func(*costly) {
		return func(c *costly) {
			c.store.Add(context.Background(), &dcr.Client{ID: "taken"})
			c.opts.NewClientID = func(_ context.Context, reg *dcr.Registration) (string, error) {
				if reg.Client.ID == "" {
					return "taken", nil
				}
				return again()
			}
		}
	}
	remembered := func(kind string) func(*costly) {
		return func(c *costly) { // in an earlier registration, with another token and fee
			c.fee = &fee{}
			body := c.request("other", "statement-1")
			if kind == "request" {
				body = c.request("request-1", "other")
			}
			handler, err := dcr.NewHandler(c.store, &dcr.Options{
				Endpoint: endpoint, AllowAnonymous: true, Now: clock, Decoders: c.opts.Decoders, Validator: c.opts.Validator,
			})
			if err != nil {
				panic(err)
			}
			handler.ServeHTTP(httptest.NewRecorder(), dress(httptest.NewRequest("POST", registerURL, strings.NewReader(body)), joseType, ""))
			c.store.held = map[string]bool{}
		}
	}
	for _, test := range []struct {
		sentence string
		change   func(c *costly)
		status   int
		paid     string
	}{
		{"a registration costs each once", func(*costly) {}, 201, all},
		{"so does one whose id was taken at first", second(func() (string, error) { return "free", nil }), 201, all},
		{"one whose ids are all taken costs nothing", second(func() (string, error) { return "taken", nil }), 500, nothing},
		{"nor one that the host refuses because of its id", second(func() (string, error) {
			return "", &dcr.Error{Code: dcr.InvalidRequest, Description: "there is a client of this name", Status: 409}
		}), 409, nothing},
		{"nor one in which a hook panics after it was paid for", second(func() (string, error) { panic("hook") }), 500, nothing},
		{"nor one that the store has no room for", func(c *costly) {
			c.store.add = func(*dcr.Client) error { return dcr.ErrStoreFull }
		}, 503, nothing},
		{"nor one that MaxClients leaves no room for", func(c *costly) {
			c.store.Add(context.Background(), &dcr.Client{ID: "1"})
			c.store.Add(context.Background(), &dcr.Client{ID: "2"})
		}, 503, nothing},
		{"nor one that a hook refuses", func(c *costly) {
			c.opts.ModifyResponse = func(context.Context, *dcr.Registration, *dcr.Response) error { return dcr.InvalidRequest }
		}, 500, nothing},
		{"nor one whose fee is refused", func(c *costly) {
			c.fee.refusal = &dcr.Error{Code: dcr.InvalidRequest, Description: "too many", Status: 429}
		}, 429, nothing},
		{"nor one whose fee cannot be taken", func(c *costly) { c.fee.refusal = errors.New("no connection") }, 500, nothing},
		{"nor one whose fee panics", func(c *costly) { c.fee.panics = true }, 500, nothing},
		{"nor one whose request was used before", remembered("request"), 400, nothing},
		{"nor one whose statement was used before", remembered("statement"), 400, nothing},
		{"one that may have been stored costs all", func(c *costly) {
			c.store.add = func(*dcr.Client) error { return errors.New("no answer") }
		}, 503, all},
		{"so does one in which the store panics", func(c *costly) { c.store.add = func(*dcr.Client) error { panic("store") } }, 500, all},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			c := newCostly(t)
			test.change(c)
			handler := newHandler(t, c.store, c.opts)
			status, _ := c.send(t, handler, "POST", registerURL, c.token, c.request("request-1", "statement-1"))
			if paid := c.paid(t); status != test.status || paid != test.paid {
				t.Errorf("status %d, paid %s; want %d, %s", status, paid, test.status, test.paid)
			}
		})
	}
}

// TestCostsOfAnUpdate checks that an update pays for its body and its statement
// once, however often it is judged, and pays nothing if it was not stored.
func TestCostsOfAnUpdate(t *testing.T) {
	const before, after = "1 1 1 1", "1 1 2 2"
	for _, test := range []struct {
		sentence string
		races    int
		last     func(c *costly, id string) error
		status   int
		paid     string
	}{
		{"an update pays for its request and its statement", 0, nil, 200, after},
		{"one that loses a race pays once", 1, nil, 200, after},
		{"one that loses three races pays once", 3, nil, 200, after},
		{"one that loses all races gets it back", 4, nil, 503, before},
		{"one whose client is deleted gets it back", 1, func(c *costly, id string) error { return c.store.Delete(context.Background(), id) }, 401, before},
		{"one that may have been stored has paid", 0, func(*costly, string) error { return errors.New("no answer") }, 503, after},
		{"one whose hook panics after it has paid gets it back", 1, func(c *costly, _ string) error { c.fee.panics = true; return nil }, 500, before},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			c := newCostly(t)
			c.opts.ModifyResponse = func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
				if reg.Previous != nil && c.fee.panics {
					panic("hook")
				}
				return nil
			}
			handler := newHandler(t, c.store, c.opts)
			_, members := c.send(t, handler, "POST", registerURL, c.token, c.request("request-1", "statement-1"))
			id, races := members["client_id"].(string), test.races
			c.store.update = func(*dcr.Client) error {
				if races--; races >= 0 {
					client, err := c.store.FindByClientID(t.Context(), id)
					if err != nil {
						return err
					}
					if err := c.store.Store.Update(t.Context(), client); err != nil {
						return err
					}
				}
				if test.last != nil && races <= 0 {
					return test.last(c, id)
				}
				return nil
			}
			c.store.taken = 0
			path := registerURL + "?client_id=" + id
			status, _ := c.send(t, handler, "PUT", path, members["registration_access_token"].(string), c.request("request-2", "statement-2"))
			if paid := c.paid(t); status != test.status || paid != test.paid || c.store.taken != 2 {
				t.Errorf("status %d, paid %s, %d taken; want %d, %s, 2", status, paid, c.store.taken, test.status, test.paid)
			}
		})
	}
}

// TestNoRoomIsLost checks that a client that was not stored takes no room.
func TestNoRoomIsLost(t *testing.T) {
	c := newCostly(t)
	handler := newHandler(t, c.store, c.opts)
	c.fee.refusal = dcr.Errorf(dcr.InvalidRequest, "not yet")
	for range 5 {
		c.send(t, handler, "POST", registerURL, c.token, c.request("request-1", "statement-1"))
	}
	c.fee.refusal = nil
	if status, _ := c.send(t, handler, "POST", registerURL, c.token, c.request("request-1", "statement-1")); status != 201 {
		t.Errorf("status %d", status)
	}
}

// TestAStatementThatIsNotForgotten checks that with a store that is not a
// ReplayForgetter no statement can be used twice, even if nothing was stored.
func TestAStatementThatIsNotForgotten(t *testing.T) {
	full := true
	whole := memstore.New()
	store := struct {
		*ledger
		Forget struct{} // hides the method of the ledger
	}{ledger: &ledger{Store: whole, held: map[string]bool{}, add: func(*dcr.Client) error {
		if full {
			return dcr.ErrStoreFull
		}
		return nil
	}}}
	statements := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: signers()["ES256"].keys()}, Once: true}
	handler := newHandler(t, store, dcr.Options{AllowAnonymous: true, Now: clock, Validator: dcr.DefaultValidator{Statements: statements}})
	body := fmt.Sprintf(statedBody, signers()["ES256"].sign(stated()))
	answered(t, ask(t, handler, "POST", registerURL, "", body), 503, dcr.TemporarilyUnavailable)
	full = false
	answered(t, ask(t, handler, "POST", registerURL, "", body), 400, dcr.InvalidSoftwareStatement)
	stored(t, whole, 0)
}
