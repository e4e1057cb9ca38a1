package dcrtest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

type right struct{ dcr.DefaultValidator }

func (v right) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	return v.DefaultValidator.ValidateRedirectURIs(ctx, reg)
}
func (v right) SetTitle(title string) {}
func (v right) Validate() error       { return nil }

type refusing struct{ dcr.DefaultValidator }

func (v refusing) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	return dcr.Errorf(dcr.InvalidClientMetadata, "no client is accepted")
}

type misspelt struct{ dcr.DefaultValidator }

func (v misspelt) ValidateRedirectUris(ctx context.Context, reg *dcr.Registration) error { return nil }

type misspeltBehindPointer struct{ dcr.DefaultValidator }

func (v *misspeltBehindPointer) SetClientDefault(reg *dcr.Registration) {}

type unknownStep struct{ dcr.DefaultValidator }

func (v unknownStep) ValidateSecrets(ctx context.Context, reg *dcr.Registration) error { return nil }

type decorator struct{ dcr.Validator }

type doubly struct{ decorator }

type onPointer struct{ *dcr.DefaultValidator }

type panicking struct{ dcr.DefaultValidator }

func (v panicking) ValidateScopes(ctx context.Context, reg *dcr.Registration) error {
	if reg.Caller.Subject == "" {
		return dcr.Errorf(dcr.AccessDenied, "who are you?")
	}
	return v.DefaultValidator.ValidateScopes(ctx, reg)
}

type failing struct{ dcr.DefaultValidator }

func (v failing) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if reg.Client.ClientName == "Web" {
		return errors.New("names are sold out")
	}
	return v.DefaultValidator.ValidateDisplay(ctx, reg)
}

type failingOnUpdate struct{ dcr.DefaultValidator }

func (v failingOnUpdate) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if reg.Previous != nil {
		return errors.New("no updates on Sundays")
	}
	return v.DefaultValidator.ValidateClient(ctx, reg)
}

type changing struct{ dcr.DefaultValidator }

func (v changing) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	reg.Request.ClientName = "Mine"
	return v.DefaultValidator.ValidateDisplay(ctx, reg)
}

type breaking struct{ dcr.DefaultValidator }

func (v breaking) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.RedirectURIs = []string{"javascript:alert(1)"}
	return v.DefaultValidator.ValidateClient(ctx, reg)
}

func TestTestValidator(t *testing.T) {
	for sentence, c := range map[string]struct {
		validator dcr.Validator
		want      []string // parts of the only fault; nil: there is none
	}{
		"the default is correct":                                {dcr.DefaultValidator{}, nil},
		"an override is correct":                                {right{}, nil},
		"a pointer to an override is correct":                   {&right{}, nil},
		"a decorator is correct":                                {decorator{right{}}, nil},
		"a validator that refuses everybody is correct":         {refusing{}, nil},
		"nil is not a validator":                                {nil, []string{"nil"}},
		"a nil pointer is not a validator":                      {(*right)(nil), []string{"*dcrtest.right is nil"}},
		"a misspelt step is found":                              {misspelt{}, []string{"misspelt.ValidateRedirectUris is never called", "did you mean ValidateRedirectURIs?"}},
		"a misspelt step with a pointer receiver":               {misspeltBehindPointer{}, []string{"SetClientDefault is never called", "did you mean SetClientDefaults?"}},
		"a misspelt step behind a decorator":                    {decorator{misspelt{}}, []string{"misspelt.ValidateRedirectUris"}},
		"a misspelt step behind two decorators":                 {doubly{decorator{misspelt{}}}, []string{"misspelt.ValidateRedirectUris"}},
		"a step that only another server has":                   {unknownStep{}, []string{"ValidateSecrets is never called"}},
		"a decorator around nothing":                            {decorator{}, []string{"decorator embeds a dcr.Validator that is nil", "Validator"}},
		"a decorator around a decorator around nothing":         {doubly{}, []string{"decorator embeds a dcr.Validator that is nil"}},
		"an embedded nil pointer":                               {onPointer{}, []string{"embeds a *dcr.DefaultValidator that is nil"}},
		"a step that needs a Caller":                            {panicking{}, []string{"ValidateScopes panicked", "without a Caller"}},
		"a step with an error that the registrant does not see": {failing{}, []string{"ValidateDisplay failed", "*dcr.Error", "names are sold out"}},
		"an update with such an error":                          {failingOnUpdate{}, []string{"ValidateClient failed", "no updates on Sundays"}},
		"a step that changes the request":                       {changing{}, []string{"ValidateDisplay changed Registration.Request"}},
		"a step that breaks a fixed rule":                       {breaking{}, []string{"after ValidateClient"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			faults := validatorFaults(c.validator)
			if c.want == nil {
				if len(faults) > 0 {
					t.Errorf("faults: %q", faults)
				}
				return
			}
			if len(faults) != 1 {
				t.Fatalf("faults: %q", faults)
			}
			for _, part := range c.want {
				if !strings.Contains(faults[0], part) {
					t.Errorf("fault %q: want %q", faults[0], part)
				}
			}
		})
	}
}

func TestEveryStepIsWatched(t *testing.T) {
	for i := range validatorType.NumMethod() {
		step := validatorType.Method(i)
		if !step.IsExported() {
			continue
		}
		w := &watch{Validator: dcr.DefaultValidator{}}
		call(reflect.ValueOf(w).MethodByName(step.Name))
		if w.at == "" {
			t.Errorf("%s is not overridden", step.Name)
		}
	}
}

// call calls a method with zero values, on which it may panic.
func call(method reflect.Value) {
	defer func() { recover() }()
	args := make([]reflect.Value, method.Type().NumIn())
	for i := range args {
		args[i] = reflect.Zero(method.Type().In(i))
	}
	method.Call(args)
}
