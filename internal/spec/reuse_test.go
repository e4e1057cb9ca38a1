package spec_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// fullBody registers with members that plainBody does not have.
const fullBody = `{"redirect_uris":["https://first.example/cb"],"client_name":"First","client_name#de":"Erste","logo_uri":"https://first.example/logo.png",` +
	`"contacts":["a@first.example"],"software_id":"first","unknown":"member"}`

// The memory in which a registration is judged is used again: nothing of one
// registration may be in the next, whether the first was refused or not.
func TestNothingOfOneRegistrationIsInTheNext(t *testing.T) {
	handler := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true})
	alone := answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 201, "")
	for _, before := range []string{fullBody, `{"client_name":"First","redirect_uris":["nowhere"]}`, `{"client_name":"First",`} {
		for range 8 {
			ask(t, handler, "POST", registerURL, "", before)
			after := answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 201, "")
			if len(after) != len(alone) || after["client_name"] != nil || after["software_id"] != nil {
				t.Fatalf("after %s: %v, want the members of %v", before, after, alone)
			}
		}
	}
}

// A hook may keep the Registration that it got: its memory is not used for
// another one.
func TestWhatAHookHasSeenIsNotUsedAgain(t *testing.T) {
	var kept []*dcr.Registration
	keep := func(reg *dcr.Registration) error {
		kept = append(kept, reg)
		return nil
	}
	hooks := map[string]dcr.Options{
		"NewClientID": {NewClientID: func(ctx context.Context, reg *dcr.Registration) (string, error) {
			keep(reg)
			return dcr.RandomClientID(ctx, reg)
		}},
		"NewClientSecret": {NewClientSecret: func(ctx context.Context, reg *dcr.Registration) (dcr.Plaintext, dcr.Secret, error) {
			keep(reg)
			return dcr.RandomClientSecret(ctx, reg)
		}},
		"ModifyResponse": {ModifyResponse: func(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error { return keep(reg) }},
		"AfterRegister":  {AfterRegister: func(ctx context.Context, reg *dcr.Registration) error { return keep(reg) }},
		"a step":         {Validator: keeper{dcr.DefaultValidator{}, keep}},
	}
	for name, opts := range hooks {
		t.Run(name, func(t *testing.T) {
			kept = nil
			opts.AllowAnonymous = true
			handler := newHandler(t, memstore.New(), opts)
			for range 8 {
				answered(t, ask(t, handler, "POST", registerURL, "", fullBody), 201, "")
				first := kept[len(kept)-1]
				answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 201, "")
				if first.Client == nil || first.Client.ClientName != "First" || first.Request.ClientName != "First" || first.HTTP == nil {
					t.Fatalf("the registration that the hook kept has become %+v", first.Client)
				}
			}
		})
	}
}

// A hook may keep the Registration of an update that has lost a race: the next attempt
// has another one, even under a policy that keeps nothing.
func TestWhatAHookHasSeenIsNotUsedForTheNextAttempt(t *testing.T) {
	for _, policy := range []string{"keeping", ""} { // that the client has after the race
		t.Run("then the policy is "+policy, func(t *testing.T) {
			chosen := "keeping"
			var kept []*dcr.Registration
			keep := func(reg *dcr.Registration) error {
				kept = append(kept, reg)
				return nil
			}
			store := &losing{Store: memstore.New()}
			store.win = func(ctx context.Context, id string) {
				client, err := store.FindByClientID(ctx, id)
				if err == nil {
					client.Policy = policy
					err = store.Store.Update(ctx, client)
				}
				if err != nil {
					t.Error(err)
				}
			}
			handler := newHandler(t, store, dcr.Options{
				AllowAnonymous: true, Policies: map[string]dcr.Validator{"keeping": keeper{dcr.DefaultValidator{}, keep}},
				ChoosePolicy: func(*http.Request, *dcr.Caller) (string, error) { return chosen, nil },
			})
			client := registerWith(t, handler, decode(t, plainBody))
			kept, chosen, store.races = nil, "", 1
			client.update(t, decode(t, fullBody), 200, "")
			first := *kept[0]
			for range 8 {
				answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 201, "")
			}
			if len(kept) > 1 && kept[0] == kept[1] || kept[0].Client != first.Client || kept[0].Client == nil || kept[0].Request.ClientName != "First" {
				t.Errorf("the registration that the hook kept has become %+v", kept[0])
			}
		})
	}
}

// A hook may also keep the request of an update that it ends by a panic, in an attempt
// after one that no hook has seen.
func TestWhatAHookHasSeenIsNotUsedAgainAfterItsPanic(t *testing.T) {
	var kept *dcr.Registration
	store := &losing{Store: memstore.New()}
	store.win = func(ctx context.Context, id string) {
		client, err := store.FindByClientID(ctx, id)
		if err == nil {
			client.Policy = "keeping"
			err = store.Store.Update(ctx, client)
		}
		if err != nil {
			t.Error(err)
		}
	}
	handler := newHandler(t, store, dcr.Options{
		AllowAnonymous: true, Policies: map[string]dcr.Validator{"keeping": keeper{dcr.DefaultValidator{}, func(reg *dcr.Registration) error {
			kept = reg
			panic("the hook")
		}}},
	})
	for range 8 {
		client := registerWith(t, handler, decode(t, plainBody))
		store.races = 1
		func() {
			defer func() { recover() }()
			client.update(t, decode(t, fullBody), 200, "")
		}()
		answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 201, "")
		if kept == nil || kept.Request.ClientName != "First" {
			t.Fatalf("the registration that the hook kept has become %+v", kept)
		}
	}
}

// keeper is a policy that keeps the registrations that it gets.
type keeper struct {
	dcr.Validator
	keep func(reg *dcr.Registration) error
}

func (k keeper) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := k.keep(reg); err != nil {
		return err
	}
	return k.Validator.ValidateClient(ctx, reg)
}
