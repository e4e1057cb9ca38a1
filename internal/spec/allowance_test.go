package spec_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// purse is an Allowance that counts its uses.
type purse struct {
	left, taken, back int
	err               error // of Take
}

func (p *purse) Take(context.Context) error {
	switch {
	case p.err != nil:
		return p.err
	case p.left <= 0:
		return dcr.RefuseToken("used up", nil)
	}
	p.left--
	p.taken++
	return nil
}

func (p *purse) GiveBack(context.Context) error {
	p.left++
	p.back++
	return nil
}

// charging returns an Authenticator that calls Charge.
func charging(cost dcr.Allowance) dcr.Authenticator {
	return func(r *http.Request) (*dcr.Caller, error) {
		dcr.Charge(r.Context(), cost)
		return &dcr.Caller{Subject: "someone", Allowance: cost}, nil
	}
}

// renaming replaces the Caller of another Authenticator, as a host does that
// has its own names for people.
func renaming(authenticate dcr.Authenticator) dcr.Authenticator {
	return func(r *http.Request) (*dcr.Caller, error) {
		caller, err := authenticate(r)
		if caller == nil || err != nil {
			return nil, err
		}
		return &dcr.Caller{Subject: "t/" + caller.Subject}, nil
	}
}

// again is the Authenticator that keeps the Caller that the middleware found.
func again(r *http.Request) (*dcr.Caller, error) {
	return renaming(func(r *http.Request) (*dcr.Caller, error) { return dcr.CallerFromContext(r.Context()), nil })(r)
}

// renamed is middleware that replaces the Caller.
func renamed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := again(r)
		next.ServeHTTP(w, r.WithContext(dcr.ContextWithCaller(r.Context(), caller)))
	})
}

// mountings are the ways in which a host can use an Authenticator.
var mountings = map[string]func(t *testing.T, store dcr.ClientConfigurationStore, authenticate dcr.Authenticator) http.Handler{
	"Options.Caller": func(t *testing.T, store dcr.ClientConfigurationStore, a dcr.Authenticator) http.Handler {
		return newHandler(t, store, dcr.Options{Caller: a})
	},
	"Options.Caller that replaces the Caller": func(t *testing.T, store dcr.ClientConfigurationStore, a dcr.Authenticator) http.Handler {
		return newHandler(t, store, dcr.Options{Caller: renaming(a)})
	},
	"AnyOf within AnyOf": func(t *testing.T, store dcr.ClientConfigurationStore, a dcr.Authenticator) http.Handler {
		return newHandler(t, store, dcr.Options{Caller: dcr.AnyOf(knowsNobody, dcr.AnyOf(refuses, a))})
	},
	"Require": func(t *testing.T, store dcr.ClientConfigurationStore, a dcr.Authenticator) http.Handler {
		return dcr.Require(a)(newHandler(t, store, dcr.Options{}))
	},
	"Require and middleware that replaces the Caller": func(t *testing.T, store dcr.ClientConfigurationStore, a dcr.Authenticator) http.Handler {
		return dcr.Require(a)(renamed(newHandler(t, store, dcr.Options{})))
	},
	"Require and Options.Caller that replaces its Caller": func(t *testing.T, store dcr.ClientConfigurationStore, a dcr.Authenticator) http.Handler {
		return dcr.Require(a)(newHandler(t, store, dcr.Options{Caller: again}))
	},
	"Require and Options.Caller, the same": func(t *testing.T, store dcr.ClientConfigurationStore, a dcr.Authenticator) http.Handler {
		return dcr.Require(a)(newHandler(t, store, dcr.Options{Caller: a}))
	},
	"Require twice": func(t *testing.T, store dcr.ClientConfigurationStore, a dcr.Authenticator) http.Handler {
		return dcr.Require(a)(dcr.Require(a)(newHandler(t, store, dcr.Options{})))
	},
}

func TestARegistrationCostsWhatItCostsOnce(t *testing.T) {
	for how, mount := range mountings {
		t.Run(how, func(t *testing.T) {
			cost := &purse{left: 1}
			store := memstore.New()
			handler := mount(t, store, charging(cost))
			answered(t, ask(t, handler, "POST", registerURL, "t", `{}`), 400, dcr.InvalidRedirectURI)
			if cost.taken != 0 {
				t.Error("a refused registration costs something")
			}
			answered(t, ask(t, handler, "POST", registerURL, "t", plainBody), 201, "")
			answered(t, ask(t, handler, "POST", registerURL, "t", plainBody), 401, dcr.InvalidToken)
			if cost.taken != 1 || cost.back != 0 {
				t.Errorf("taken %d times, given back %d times", cost.taken, cost.back)
			}
			stored(t, store, 1)
		})
		t.Run("an initial access token for one use by "+how, func(t *testing.T) {
			store := memstore.New()
			tokens := &callerauth.InitialAccessTokens{Store: store}
			token, atRest := issue(t, tokens, dcr.InitialAccessToken{MaxUses: 1, Subject: "ops"})
			handler := mount(t, store, tokens.Authenticate)
			answered(t, ask(t, handler, "POST", registerURL, token, plainBody), 201, "")
			answered(t, ask(t, handler, "POST", registerURL, token, plainBody), 401, dcr.InvalidToken)
			uses(t, store, atRest.Hash, 1)
			stored(t, store, 1)
		})
	}
}

func TestAHostWithAGuardOfItsOwnKeepsTheAllowance(t *testing.T) {
	cost, store := &purse{left: 1}, memstore.New()
	handler := newHandler(t, store, dcr.Options{})
	guard := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := charging(cost)(r) // Charge does nothing here
		own := &dcr.Caller{Subject: "t/" + caller.Subject, Allowance: caller.Allowance}
		handler.ServeHTTP(w, r.WithContext(dcr.ContextWithCaller(r.Context(), own)))
	})
	answered(t, ask(t, guard, "POST", registerURL, "", plainBody), 201, "")
	answered(t, ask(t, guard, "POST", registerURL, "", plainBody), 401, dcr.InvalidToken)
	stored(t, store, 1)
}

func TestOnlyWhoIsLetInPays(t *testing.T) {
	for _, test := range []struct {
		sentence string
		first    func(cost dcr.Allowance) dcr.Authenticator
	}{
		{"one that charges and then refuses", func(cost dcr.Allowance) dcr.Authenticator {
			return func(r *http.Request) (*dcr.Caller, error) {
				dcr.Charge(r.Context(), cost)
				return nil, dcr.RefuseToken("too late", nil)
			}
		}},
		{"one that charges and then finds no Caller", func(cost dcr.Allowance) dcr.Authenticator {
			return func(r *http.Request) (*dcr.Caller, error) { dcr.Charge(r.Context(), cost); return nil, nil }
		}},
		{"one that charges, names a Caller and fails", func(cost dcr.Allowance) dcr.Authenticator {
			return func(r *http.Request) (*dcr.Caller, error) {
				caller, _ := charging(cost)(r)
				return caller, errors.New("no connection")
			}
		}},
		{"two within another AnyOf", func(cost dcr.Allowance) dcr.Authenticator {
			within := func(r *http.Request) (*dcr.Caller, error) {
				dcr.Charge(r.Context(), cost)
				return nil, dcr.RefuseToken("too late", nil)
			}
			return dcr.AnyOf(within, within)
		}},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			wrong, right := &purse{left: 5}, &purse{left: 5}
			handler := newHandler(t, memstore.New(), dcr.Options{Caller: dcr.AnyOf(test.first(wrong), charging(right))})
			answered(t, ask(t, handler, "POST", registerURL, "t", plainBody), 201, "")
			if wrong.taken != 0 || right.taken != 1 {
				t.Errorf("taken %d of the wrong one, %d of the right one", wrong.taken, right.taken)
			}
			open := newHandler(t, memstore.New(), dcr.Options{Caller: dcr.AnyOf(test.first(wrong), knowsNobody), AllowAnonymous: true, MaxClients: 10})
			ask(t, open, "POST", registerURL, "", plainBody)
			if wrong.taken != 0 {
				t.Error("a stranger pays")
			}
		})
	}
}

func TestWhatWasTakenIsGivenBack(t *testing.T) {
	down := errors.New("no connection to 10.0.0.5")
	for _, test := range []struct {
		sentence        string
		first, second   *purse // of the caller, of the body
		change          func(o *dcr.Options, clients *faulty)
		body            string
		status          int
		code            dcr.Code
		spent, givenOut int // of the first: how much is spent, and how often it was given back
	}{
		{"both are taken", &purse{left: 1}, &purse{left: 1}, nil, plainBody, 201, "", 1, 0},
		{"the body was used before", &purse{left: 1}, &purse{}, nil, plainBody, 401, dcr.InvalidToken, 0, 1},
		{"it is unknown whether the body was used before", &purse{left: 1}, &purse{err: down}, nil, plainBody, 500, dcr.ServerError, 0, 1},
		{"the store is full", &purse{left: 1}, &purse{left: 1}, func(_ *dcr.Options, clients *faulty) { clients.add = dcr.ErrStoreFull }, plainBody, 503, dcr.TemporarilyUnavailable, 0, 1},
		{"MaxClients is reached", &purse{left: 1}, &purse{left: 1}, func(o *dcr.Options, _ *faulty) { o.MaxClients = 1 }, plainBody, 503, dcr.TemporarilyUnavailable, 0, 0},
		{"the id is taken", &purse{left: 1}, &purse{left: 1}, func(o *dcr.Options, _ *faulty) {
			o.NewClientID = func(context.Context, *dcr.Registration) (string, error) { return "taken", nil }
		}, plainBody, 500, dcr.ServerError, 0, 1},
		{"it may have been stored", &purse{left: 1}, &purse{left: 1}, func(_ *dcr.Options, clients *faulty) { clients.add = down }, plainBody, 503, dcr.TemporarilyUnavailable, 1, 0},
		{"a hook refuses before anything is taken", &purse{left: 1}, &purse{left: 1}, func(o *dcr.Options, _ *faulty) {
			o.ModifyResponse = func(context.Context, *dcr.Registration, *dcr.Response) error { return down }
		}, plainBody, 500, dcr.ServerError, 0, 0},
		{"the body is no request", &purse{left: 1}, &purse{left: 1}, nil, `[`, 400, dcr.InvalidClientMetadata, 0, 0},
		{"the request is refused", &purse{left: 1}, &purse{left: 1}, nil, `{}`, 400, dcr.InvalidRedirectURI, 0, 0},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			store := memstore.New()
			if err := store.Add(t.Context(), &dcr.Client{ID: "taken"}); err != nil {
				t.Fatal(err)
			}
			clients := &faulty{ClientConfigurationStore: store}
			handler := newHandler(t, counting{clients, store}, dcr.Options{Caller: charging(test.first), Decoders: costing(test.second)}, func(_ *dcr.DefaultValidator, o *dcr.Options) {
				if test.change != nil {
					test.change(o, clients)
				}
			})
			a := answered(t, ask(t, handler, "POST", registerURL, "t", test.body), test.status, test.code)
			if strings.Contains(a.String(), "10.0.0.5") {
				t.Errorf("the answer tells too much: %s", a)
			}
			for _, p := range []*purse{test.first, test.second} {
				if test.first.taken-test.first.back != test.spent || test.first.back != test.givenOut || p.taken-p.back > 0 != (test.spent > 0) {
					t.Errorf("%+v", p)
				}
			}
		})
	}
}

// counting wraps another store, and can count the clients.
type counting struct {
	dcr.ClientConfigurationStore
	dcr.ClientCounter
}

// costing returns Decoders of a body that costs something.
func costing(cost dcr.Allowance) map[string]dcr.Decoder {
	return map[string]dcr.Decoder{"application/json": func(_ context.Context, _ *http.Request, body []byte) (dcr.DecodedBody, error) {
		return dcr.DecodedBody{JSON: body, Cost: cost, Signer: "the signer"}, nil
	}}
}

// outrunning is a store whose first updates fail because another update came
// first.
type outrunning struct {
	dcr.ClientConfigurationStore
	losing int
	with   error
}

func (s *outrunning) Update(ctx context.Context, client *dcr.Client) error {
	if s.losing > 0 {
		s.losing--
		return s.with
	}
	return s.ClientConfigurationStore.Update(ctx, client)
}

func TestAnUpdateCostsWhatItsBodyDoes(t *testing.T) {
	for _, test := range []struct {
		sentence string
		left     int
		body     string
		losing   int
		with     error
		status   int
		code     dcr.Code
		spent    int
	}{
		{"an update costs what its body costs", 1, plainBody, 0, nil, 200, "", 1},
		{"a body that was used before updates nothing", 0, plainBody, 0, nil, 401, dcr.InvalidToken, 0},
		{"an update that is refused costs nothing", 1, `{}`, 0, nil, 400, dcr.InvalidRedirectURI, 0},
		{"an update that loses races costs its body only once", 1, plainBody, 2, dcr.ErrConflict, 200, "", 1},
		{"an update that loses every race costs nothing", 1, plainBody, 9, dcr.ErrConflict, 503, dcr.TemporarilyUnavailable, 0},
		{"an update of a deleted client costs nothing", 1, plainBody, 1, dcr.ErrClientNotFound, 401, dcr.InvalidToken, 0},
		{"an update that the store has no room for costs nothing", 1, plainBody, 1, dcr.ErrStoreFull, 503, dcr.TemporarilyUnavailable, 0},
		{"an update that may have been stored may have cost its body", 1, plainBody, 1, errors.New("down"), 503, dcr.TemporarilyUnavailable, 1},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			caller, body := &purse{left: 1}, &purse{left: 1}
			store := &outrunning{memstore.New(), 0, test.with}
			handler := newHandler(t, store, dcr.Options{Caller: charging(caller), Decoders: costing(body)})
			client := registerWith(t, handler, decode(t, plainBody))
			*body, store.losing = purse{left: test.left}, test.losing
			client.update(t, decode(t, test.body), test.status, test.code)
			if body.taken-body.back != test.spent {
				t.Errorf("%+v, want %d spent", body, test.spent)
			}
			if caller.taken != 1 {
				t.Errorf("the caller of the registration paid %d times", caller.taken)
			}
		})
	}
}

func TestCharge(t *testing.T) {
	dcr.Charge(t.Context(), &purse{}) // it does nothing outside a request
	t.Run("nil costs nothing", func(t *testing.T) {
		handler := newHandler(t, memstore.New(), dcr.Options{Caller: charging(nil)})
		answered(t, ask(t, handler, "POST", registerURL, "t", plainBody), 201, "")
	})
	t.Run("two costs are both taken", func(t *testing.T) {
		a, b := &purse{left: 1}, &purse{left: 1}
		handler := newHandler(t, memstore.New(), dcr.Options{Caller: func(r *http.Request) (*dcr.Caller, error) {
			dcr.Charge(r.Context(), a)
			return charging(b)(r)
		}})
		answered(t, ask(t, handler, "POST", registerURL, "t", plainBody), 201, "")
		if a.taken != 1 || b.taken != 1 {
			t.Errorf("taken %d and %d", a.taken, b.taken)
		}
	})
	t.Run("an Allowance that cannot be compared may be returned", func(t *testing.T) {
		taken := 0
		handler := newHandler(t, memstore.New(), dcr.Options{Caller: func(*http.Request) (*dcr.Caller, error) {
			return &dcr.Caller{Allowance: funcs{func() { taken++ }}}, nil
		}})
		answered(t, ask(t, handler, "POST", registerURL, "t", plainBody), 201, "")
		if taken != 1 {
			t.Errorf("taken %d times", taken)
		}
	})
	t.Run("but must not be charged", func(t *testing.T) {
		defer func() {
			if reason, _ := recover().(string); !strings.Contains(reason, "use a pointer") {
				t.Errorf("recovered %q", reason)
			}
		}()
		dcr.Charge(t.Context(), funcs{})
	})
}

// clumsy is a purse that panics once it has what is given back.
type clumsy struct{ *purse }

func (c clumsy) GiveBack(ctx context.Context) error {
	c.purse.GiveBack(ctx)
	panic("a bug")
}

func TestAPanicWhileACostIsGivenBack(t *testing.T) {
	caller, body := &purse{left: 1}, &purse{left: 1}
	clients := &faulty{ClientConfigurationStore: memstore.New(), add: dcr.ErrStoreFull}
	handler := newHandler(t, clients, dcr.Options{Caller: charging(caller), Decoders: costing(clumsy{body})})
	func() {
		defer func() { recover() }()
		ask(t, handler, "POST", registerURL, "t", plainBody)
	}()
	for _, p := range []*purse{caller, body} {
		if p.taken != 1 || p.back != 1 {
			t.Errorf("%+v, want both given back once", p)
		}
	}
}

type funcs struct{ take func() }

func (f funcs) Take(context.Context) error     { f.take(); return nil }
func (f funcs) GiveBack(context.Context) error { return nil }

func TestWhoSignedReachesTheSteps(t *testing.T) {
	var signers []string
	handler := newHandler(t, memstore.New(), dcr.Options{
		AllowAnonymous: true, MaxClients: 10, Decoders: costing(nil),
		ModifyResponse: func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
			signers = append(signers, reg.Request.Signer)
			return nil
		},
	})
	client := registerWith(t, handler, decode(t, plainBody).with("Signer", "a liar", "signer", "a liar"))
	client.update(t, decode(t, plainBody), 200, "")
	if !slices.Equal(signers, []string{"the signer", "the signer"}) {
		t.Errorf("the steps saw %q", signers)
	}
}
