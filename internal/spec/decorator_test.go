package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// What a decorator decides for a policy as a whole: the bodies it decodes, its
// answers, who may manage its clients, and what it needs.

// A decorator is a policy in which a test can set each method.
type decorator struct {
	dcr.Validator
	extensions []dcr.Extension
	decoders   map[string]dcr.Decoder
	shape      func(reg *dcr.Registration, res *dcr.Response) error
	manage     func(r *http.Request, client *dcr.Client) error
	needs      func(opts *dcr.Options, store dcr.ClientConfigurationStore) error
}

func (d decorator) DeclaredExtensions() []dcr.Extension {
	return append(d.Validator.DeclaredExtensions(), d.extensions...)
}

func (d decorator) Decoders() map[string]dcr.Decoder { return d.decoders }

func (d decorator) ShapeResponse(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
	if err := d.Validator.ShapeResponse(ctx, reg, res); err != nil || d.shape == nil {
		return err
	}
	return d.shape(reg, res)
}

func (d decorator) AuthorizeManagement(r *http.Request, client *dcr.Client) error {
	if err := d.Validator.AuthorizeManagement(r, client); err != nil || d.manage == nil {
		return err
	}
	return d.manage(r, client)
}

func (d decorator) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if err := d.Validator.CheckOptions(opts, store); err != nil || d.needs == nil {
		return err
	}
	return d.needs(opts, store)
}

// underPolicy runs a test with handlers whose registrations run under d: as the
// validator, and as a named policy.
func underPolicy(t *testing.T, d decorator, opts dcr.Options, run func(t *testing.T, handler http.Handler)) {
	opts.AllowAnonymous, opts.MaxClients = true, 100
	t.Run("as Options.Validator", func(t *testing.T) {
		opts := opts
		opts.Validator = d
		run(t, newHandler(t, memstore.New(), opts))
	})
	t.Run("as a policy", func(t *testing.T) {
		opts := opts
		opts.Policies = map[string]dcr.Validator{"tight": d}
		opts.ChoosePolicy = func(*http.Request, *dcr.Caller) (string, error) { return "tight", nil }
		run(t, newHandler(t, memstore.New(), opts))
	})
}

func TestDecoratorsDeclareExtensions(t *testing.T) {
	inner := dcr.DefaultValidator{Extensions: []dcr.Extension{dcr.NewField[string]("x_inner")}}
	d := decorator{Validator: inner, extensions: []dcr.Extension{dcr.NewField[int]("x_outer")}}
	underPolicy(t, d, dcr.Options{}, func(t *testing.T, handler http.Handler) {
		all := decode(t, plainBody).with("x_inner", "a", "x_outer", 5, "x_nobody", true)
		client := registerWith(t, handler, all)
		for _, answer := range []object{client.members, client.update(t, all, 200, "")} {
			if answer["x_inner"] != "a" || answer["x_outer"] != 5.0 || answer["x_nobody"] != nil {
				t.Errorf("got %s", answer)
			}
		}
		for _, bad := range []object{all.with("x_inner", 5), all.with("x_outer", "a")} {
			client.update(t, bad, 400, dcr.InvalidClientMetadata)
			answered(t, ask(t, handler, "POST", registerURL, "", bad.String()), 400, dcr.InvalidClientMetadata)
		}
	})
}

func TestDecoratorsShapeEveryAnswer(t *testing.T) {
	var seen []string
	d := decorator{Validator: dcr.DefaultValidator{}, shape: func(reg *dcr.Registration, res *dcr.Response) error {
		switch {
		case reg.Request == nil:
			seen = append(seen, "read")
		case reg.Previous == nil:
			seen = append(seen, "registration")
			reg.Client.Notes = "shaped" // must be stored
		default:
			seen = append(seen, "update of "+reg.Previous.Notes)
		}
		res.Extra = map[string]json.RawMessage{"x_order": json.RawMessage(`"first"`), "client_id": json.RawMessage(`"forged"`)}
		res.ClientID, res.ClientSecret = "forged", "forged"
		return nil
	}}
	opts := dcr.Options{ModifyResponse: func(_ context.Context, _ *dcr.Registration, res *dcr.Response) error {
		if string(res.Extra["x_order"]) != `"first"` {
			return errors.New("ModifyResponse came first")
		}
		res.Extra["x_order"] = json.RawMessage(`"last"`)
		return nil
	}}
	underPolicy(t, d, opts, func(t *testing.T, handler http.Handler) {
		seen = nil
		client := registerWith(t, handler, decode(t, plainBody))
		token, path := client.members["registration_access_token"].(string), registerURL+"?client_id="+client.members["client_id"].(string)
		read := answered(t, ask(t, handler, "GET", path, token, ""), 200, "")
		updated := client.update(t, decode(t, plainBody), 200, "")
		for _, answer := range []object{client.members, read, updated} {
			if answer["x_order"] != "last" || answer["client_id"] == "forged" || answer["client_secret"] == "forged" {
				t.Errorf("got %s", answer)
			}
		}
		if got := strings.Join(seen, ", "); got != "registration, read, update of shaped" {
			t.Errorf("it shaped %s", got)
		}
	})
}

func TestAShapeThatFailsStoresNothing(t *testing.T) {
	for _, test := range []struct {
		sentence string
		shape    func(reg *dcr.Registration, res *dcr.Response) error
		status   int
		code     dcr.Code
	}{
		{"a refusal is shown", func(*dcr.Registration, *dcr.Response) error { return dcr.Errorf(dcr.AccessDenied, "not now") }, 403, dcr.AccessDenied},
		{"a fault is not", func(*dcr.Registration, *dcr.Response) error { return errors.New("10.0.0.5") }, 500, dcr.ServerError},
		{"nor that a fixed rule was broken", func(reg *dcr.Registration, _ *dcr.Response) error {
			reg.Client.RedirectURIs = []string{"javascript:x"}
			return nil
		}, 500, dcr.ServerError},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			store := memstore.New()
			handler := newHandler(t, store, dcr.Options{AllowAnonymous: true, Validator: decorator{Validator: dcr.DefaultValidator{}, shape: test.shape}})
			answered(t, ask(t, handler, "POST", registerURL, "", plainBody), test.status, test.code)
			stored(t, store, 0)
		})
	}
}

func TestDecodersOfAPolicy(t *testing.T) {
	own := map[string]dcr.Decoder{"application/x-own": dcr.PlainJSON}
	underPolicy(t, decorator{Validator: dcr.DefaultValidator{}, decoders: own}, dcr.Options{}, func(t *testing.T, handler http.Handler) {
		client := &registered{answered(t, askAs(t, handler, "application/x-own", "POST", registerURL, "", plainBody), 201, ""), handler}
		a := askAs(t, handler, "application/json", "POST", registerURL, "", plainBody)
		if answered(t, a, 415, dcr.InvalidRequest); !strings.Contains(a.body, "application/x-own") {
			t.Errorf("it says %s", a.body)
		}
		client.update(t, decode(t, plainBody), 415, dcr.InvalidRequest) // this sends application/json
	})
	underPolicy(t, decorator{Validator: dcr.DefaultValidator{}}, dcr.Options{Decoders: own}, func(t *testing.T, handler http.Handler) {
		answered(t, askAs(t, handler, "application/x-own", "POST", registerURL, "", plainBody), 201, "")
	})
}

func TestDecodersAreCheckedAtStart(t *testing.T) {
	for says, decoders := range map[string]map[string]dcr.Decoder{
		"Decoders is empty":    {},
		`Decoders["TEXT/x"]`:   {"TEXT/x": dcr.PlainJSON},
		`Decoders["text/x;a"]`: {"text/x;a": dcr.PlainJSON},
		`Decoders["text/x"]`:   {"text/x": nil},
	} {
		for of, opts := range map[string]dcr.Options{
			"Options.Decoders":    {Decoders: decoders},
			"Options.Validator":   {Validator: decorator{Validator: dcr.DefaultValidator{}, decoders: decoders}},
			`Options.Policies["`:  {Policies: map[string]dcr.Validator{"tight": decorator{Validator: dcr.DefaultValidator{}, decoders: decoders}}},
			"Decoders":            {Decoders: decoders},
			"dcr: NewHandler: Op": {Decoders: decoders},
		} {
			opts.Endpoint = endpoint
			if _, err := dcr.NewHandler(memstore.New(), &opts); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), of) {
				t.Errorf("%s of %s: %v", says, of, err)
			}
		}
	}
}

func TestExtensionsAreCheckedAtStart(t *testing.T) {
	for says, extension := range map[string]dcr.Extension{
		"client_name, which is a registered member": dcr.NewField[string]("client_name"),
		"jwks, which is a registered member":        dcr.NewField[any]("jwks").KeySource(),
		"without a name":                            dcr.Field[string]{},
		"one without":                               nil,
	} {
		for of, v := range map[string]dcr.Validator{
			"the DefaultValidator": dcr.DefaultValidator{Extensions: []dcr.Extension{extension}},
			"a decorator":          decorator{Validator: dcr.DefaultValidator{}, extensions: []dcr.Extension{extension}},
		} {
			_, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: endpoint, Policies: map[string]dcr.Validator{"tight": v}})
			if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `Options.Policies["tight"]`) {
				t.Errorf("%s of %s: %v", says, of, err)
			}
		}
	}
}

func TestAuthorizeManagement(t *testing.T) {
	for _, test := range []struct {
		sentence string
		refusal  error
		status   int
		code     dcr.Code
	}{
		{"a refusal is shown", dcr.Errorf(dcr.AccessDenied, "this certificate is another institution's"), 403, dcr.AccessDenied},
		{"a refusal of the token too", dcr.RefuseToken("certificate", nil), 401, dcr.InvalidToken},
		{"an outage is not a refusal", dcr.Unavailable("the directory is out of order", errors.New("10.0.0.5")), 503, dcr.TemporarilyUnavailable},
		{"a fault is the server's", errors.New("10.0.0.5"), 500, dcr.ServerError},
		{"also if it looks for another client", dcr.ErrClientNotFound, 500, dcr.ServerError},
		{"or reports a conflict", dcr.ErrConflict, 500, dcr.ServerError},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			var answer error
			var asked []string
			d := decorator{Validator: dcr.DefaultValidator{}, manage: func(r *http.Request, client *dcr.Client) error {
				if client.ID == "" || client.RedirectURIs == nil {
					t.Errorf("it is asked about %+v", client)
				}
				asked = append(asked, r.Method)
				return answer
			}}
			underPolicy(t, d, dcr.Options{}, func(t *testing.T, handler http.Handler) {
				answer, asked = nil, nil
				client := registerWith(t, handler, decode(t, plainBody))
				token, path := client.members["registration_access_token"].(string), registerURL+"?client_id="+client.members["client_id"].(string)
				if answered(t, ask(t, handler, "GET", path, "wrong", ""), 401, dcr.InvalidToken); len(asked) > 0 {
					t.Error("it is asked about a request whose token is wrong")
				}
				answer = test.refusal
				for _, method := range []string{"GET", "PUT", "DELETE"} {
					a := ask(t, handler, method, path, token, `[`) // the body is not read
					answered(t, a, test.status, test.code)
					if strings.Contains(a.body, "10.0.0.5") || strings.Contains(a.body, "redirect_uris") {
						t.Errorf("it tells too much: %s", a.body)
					}
				}
				if strings.Join(asked, " ") != "GET PUT DELETE" {
					t.Errorf("it was asked about %v", asked)
				}
				answer = nil
				client.update(t, decode(t, plainBody), 200, "")
				answered(t, ask(t, handler, "DELETE", path, token, ""), 204, "")
			})
		})
	}
}

func TestAuthorizeManagementIsAskedAgainAfterALostRace(t *testing.T) {
	asked := 0
	store := &outrunning{memstore.New(), 0, dcr.ErrConflict}
	handler := newHandler(t, store, dcr.Options{AllowAnonymous: true, Validator: decorator{Validator: dcr.DefaultValidator{}, manage: func(*http.Request, *dcr.Client) error {
		if asked++; asked > 1 {
			return dcr.Errorf(dcr.AccessDenied, "not any more")
		}
		return nil
	}}})
	client := registerWith(t, handler, decode(t, plainBody))
	store.losing = 1
	client.update(t, decode(t, plainBody), 403, dcr.AccessDenied)
}

func TestCheckOptions(t *testing.T) {
	store := memstore.New()
	needsSealer := func(opts *dcr.Options, given dcr.ClientConfigurationStore) error {
		switch {
		case given != store:
			return errors.New("it is another store")
		case opts.Sealer == nil:
			return errors.New("it needs Options.Sealer")
		case opts.Logger != nil || opts.MaxBodyBytes != 0:
			return errors.New("the options have defaults already")
		}
		opts.Endpoint = "" // of a copy
		return nil
	}
	sealer, err := dcr.NewAESSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	d := decorator{Validator: dcr.DefaultValidator{}, needs: needsSealer}
	for _, test := range []struct {
		sentence string
		opts     dcr.Options
		says     string
	}{
		{"a need that is met starts", dcr.Options{Validator: d, Sealer: sealer}, ""},
		{"so does one of a policy", dcr.Options{Policies: map[string]dcr.Validator{"a": d}, Sealer: sealer}, ""},
		{"one that is not met does not", dcr.Options{Validator: d}, "Options.Validator: it needs Options.Sealer"},
		{"nor does one of a policy", dcr.Options{Policies: map[string]dcr.Validator{"a": dcr.DefaultValidator{}, "b": d}}, `Options.Policies["b"]: it needs Options.Sealer`},
		{"it is checked inside a decorator too", dcr.Options{Validator: decorator{Validator: d}}, "it needs Options.Sealer"},
		{"a decorator around nil is reported", dcr.Options{Validator: decorator{}}, "embeds a Validator that is nil"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			test.opts.Endpoint = endpoint
			handler, err := dcr.NewHandler(store, &test.opts)
			if (err != nil) != (test.says != "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v", err)
			}
			if err == nil && (handler.Endpoint() != endpoint || test.opts.Endpoint != endpoint) {
				t.Errorf("the endpoint is %q", handler.Endpoint())
			}
		})
	}
}
