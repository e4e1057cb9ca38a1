package spec_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// writing is a policy whose hooks write into what they get.
type writing struct {
	dcr.Validator
	step  func(reg *dcr.Registration)
	shape func(reg *dcr.Registration)
}

func (w writing) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if w.step != nil {
		w.step(reg)
	}
	return w.Validator.ValidateSoftwareStatement(ctx, reg)
}

func (w writing) ShapeResponse(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
	if w.shape != nil {
		w.shape(reg)
	}
	return w.Validator.ShapeResponse(ctx, reg, res)
}

// contested is a store that refuses the first writes because others were first.
type contested struct {
	*memstore.Store
	adds, updates int
}

func (s *contested) Add(ctx context.Context, client *dcr.Client) error {
	if s.adds--; s.adds >= 0 {
		return dcr.ErrClientExists
	}
	return s.Store.Add(ctx, client)
}

func (s *contested) Update(ctx context.Context, client *dcr.Client) error {
	if s.updates--; s.updates >= 0 {
		return dcr.ErrConflict
	}
	return s.Store.Update(ctx, client)
}

// withStatement returns Decoders of a body that comes with a statement.
func withStatement(decoded *dcr.DecodedBody) map[string]dcr.Decoder {
	return map[string]dcr.Decoder{"application/json": func(_ context.Context, _ *http.Request, body []byte) (dcr.DecodedBody, error) {
		own := *decoded
		own.JSON = body
		return own, nil
	}}
}

// A request that is tried again is judged as it was sent: what a hook wrote in an earlier
// attempt is gone.
func TestNoAttemptSeesWhatAnEarlierOneWrote(t *testing.T) {
	vouch := func(reg *dcr.Registration) {
		reg.Statement.Contacts[0] += " of the directory"
		reg.Statement.ClientName += ", vouched"
		reg.Statement.Claims["seen"] = append(reg.Statement.Claims["seen"][:0], `"yes"`...)
	}
	correct := func(reg *dcr.Registration) { reg.Client.Contacts[0] += " of the directory" }
	statement := func() *dcr.SoftwareStatement {
		s := &dcr.SoftwareStatement{Issuer: directory, ID: "1", Text: "a statement", Claims: map[string]json.RawMessage{"seen": json.RawMessage(`"none"`)}}
		s.Contacts, s.ClientName = []string{"a@first.example"}, "First"
		return s
	}
	for _, test := range []struct {
		sentence string
		policy   writing
		decoded  dcr.DecodedBody
		method   string
	}{
		{"ShapeResponse, when an id is taken", writing{shape: correct}, dcr.DecodedBody{}, "POST"},
		{"ShapeResponse, when another update was first", writing{shape: correct}, dcr.DecodedBody{}, "PUT"},
		{"a step that changes the statement of a Decoder, when another update was first", writing{step: vouch}, dcr.DecodedBody{Statement: statement()}, "PUT"},
		{"a step that changes a standing statement, when another update was first", writing{step: vouch}, dcr.DecodedBody{Statement: statement(), Standing: true}, "stand"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			store := &contested{Store: memstore.New()}
			test.policy.Validator = dcr.DefaultValidator{}
			handler := newHandler(t, store, dcr.Options{AllowAnonymous: true, Validator: test.policy, Decoders: withStatement(&test.decoded)})
			if test.method == "POST" {
				store.adds = 2
			}
			client := registerWith(t, handler, decode(t, fullBody))
			store.updates = 2
			switch test.method {
			case "PUT":
				client.update(t, decode(t, fullBody), 200, "")
			case "stand":
				answered(t, ask(t, handler, "POST", registerURL, "", fullBody), 200, "")
			}
			found, err := store.FindByClientID(t.Context(), client.members["client_id"].(string))
			if err != nil || found.Contacts[0] != "a@first.example of the directory" || test.policy.step != nil && found.ClientName != "First, vouched" {
				t.Errorf("stored as %q with %q (%v)", found.ClientName, found.Contacts, err)
			}
			if s := test.decoded.Statement; s != nil && (s.Contacts[0] != "a@first.example" || string(s.Claims["seen"]) != `"none"`) {
				t.Errorf("the statement that the Decoder has is now %q, %s", s.Contacts, s.Claims["seen"])
			}
		})
	}
}

// An AfterDelete may change the client that it gets: the answer is about the client as it
// was.
func TestTheAnswerToACancellationIsMadeBeforeTheHook(t *testing.T) {
	decoded := dcr.DecodedBody{Statement: &dcr.SoftwareStatement{Issuer: directory, ID: "1", Text: "a statement"}, Standing: true}
	opts := dcr.Options{
		AllowAnonymous: true, Decoders: withStatement(&decoded),
		AfterDelete: func(_ context.Context, client *dcr.Client) error { *client = dcr.Client{ID: "another"}; return nil },
	}
	handler := newHandler(t, memstore.New(), opts)
	id := registerWith(t, handler, decode(t, plainBody)).members["client_id"]
	decoded.Cancels = true
	if a := answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 200, ""); a["client_id"] != id {
		t.Errorf("the answer is %v, want the client_id %v", a, id)
	}
}
