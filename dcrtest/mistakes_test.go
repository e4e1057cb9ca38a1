package dcrtest

import (
	"context"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// Mistakes that compile, register clients, and lose a rule.

// narrow is a rule of a host that is not itself a validator.
type narrow struct{}

func (narrow) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	return dcr.Errorf(dcr.InvalidRedirectURI, "nobody redirects here")
}

type deep struct{ narrow }

type shadowedRule struct {
	dcr.DefaultValidator
	deep
}

type ruleThatIsCalled struct {
	dcr.DefaultValidator
	deep
}

func (v ruleThatIsCalled) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if err := v.deep.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	return v.DefaultValidator.ValidateRedirectURIs(ctx, reg)
}

type base struct{ dcr.DefaultValidator }

type shallowerRule struct {
	base
	narrow
}

type wholeRule struct{ dcr.Validator }

type deepValidator struct{ wholeRule }

type twoValidators struct {
	dcr.DefaultValidator
	deepValidator
}

type callsFreshStatement struct{ dcr.DefaultValidator }

func (v callsFreshStatement) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	return dcr.DefaultValidator{}.ValidateSoftwareStatement(ctx, reg)
}

type callsFreshDefaults struct{ dcr.DefaultValidator }

func (v callsFreshDefaults) SetDefaultScopes(ctx context.Context, reg *dcr.Registration) error {
	return dcr.DefaultValidator{}.SetDefaultScopes(ctx, reg)
}

type delegates struct {
	dcr.DefaultValidator
	inner dcr.Validator
}

func (v delegates) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	return v.inner.ValidateRedirectURIs(ctx, reg)
}

type swallows struct{ dcr.DefaultValidator }

func (v swallows) ValidateLogout(ctx context.Context, reg *dcr.Registration) error {
	_ = v.DefaultValidator.ValidateLogout(ctx, reg)
	return nil
}

// trustsUpdates checks new clients only.
type trustsUpdates struct{ dcr.DefaultValidator }

func (v trustsUpdates) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if reg.Previous != nil {
		return nil
	}
	return v.DefaultValidator.ValidateDisplay(ctx, reg)
}

// trustsKnown drops the errors about a client that is stored.
type trustsKnown struct{ dcr.Validator }

func (v trustsKnown) ValidateLogout(ctx context.Context, reg *dcr.Registration) error {
	if err := v.Validator.ValidateLogout(ctx, reg); err != nil && reg.Previous == nil {
		return err
	}
	return nil
}

type widens struct{ dcr.Validator }

func (v widens) Capabilities() dcr.Capabilities {
	supported := v.Validator.Capabilities().WithDefaults()
	supported.GrantTypes = append(supported.GrantTypes, "client_credentials")
	supported.Scopes = append(supported.Scopes, "admin")
	return supported
}

type forgetsExtensions struct{ dcr.DefaultValidator }

func (v forgetsExtensions) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	return nil
}

// signedBodies accepts only JWTs, from software with a statement.
type signedBodies struct{ dcr.Validator }

func (v signedBodies) Decoders() map[string]dcr.Decoder {
	return map[string]dcr.Decoder{"application/jwt": dcr.PlainJSON}
}

func TestMistakesAreFound(t *testing.T) {
	statements := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"https://directory.example.com": dcr.StaticKeys([]byte(`{"keys":[]}`))}, Required: true}
	extensions := []dcr.Extension{dcr.NewField[int]("answer")}
	for sentence, c := range map[string]struct {
		validator dcr.Validator
		want      []string // parts of one of the faults; nil: there are none
	}{
		"a rule that is hidden by a shallower DefaultValidator": {shadowedRule{deep: deep{}}, []string{"deep.ValidateRedirectURIs is never called", "shadowedRule", "calls both"}},
		"a rule that is called is correct":                      {ruleThatIsCalled{}, nil},
		"a rule at a shallower depth is correct":                {shallowerRule{}, nil},
		"a validator that is hidden by a shallower one":         {twoValidators{deepValidator: deepValidator{wholeRule{dcr.DefaultValidator{}}}}, []string{"embeds DefaultValidator and deepValidator", "deepValidator has no effect"}},
		"a step of a fresh DefaultValidator that loses a requirement": {callsFreshStatement{dcr.DefaultValidator{Statements: statements}},
			[]string{"ValidateSoftwareStatement treats", "not like the one with your settings"}},
		"a step of a fresh DefaultValidator that loses a setting": {callsFreshDefaults{dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"read"}}, DefaultScopes: []string{"read"}}},
			[]string{"SetDefaultScopes treats", "not like the one with your settings"}},
		"a fresh DefaultValidator next to the intended one":                  {delegates{inner: right{}}, []string{"delegates embeds a DefaultValidator{}", "its field inner"}},
		"an error that is dropped":                                           {swallows{}, []string{"ValidateLogout accepts", "return its error"}},
		"an error that is dropped, if bodies must be signed":                 {signedBodies{swallows{dcr.DefaultValidator{Statements: statements}}}, []string{"ValidateLogout accepts", "return its error"}},
		"a step that trusts updates":                                         {trustsUpdates{}, []string{"ValidateDisplay accepts an update", "javascript:", "on updates too"}},
		"an error that is dropped on updates":                                {trustsKnown{dcr.DefaultValidator{}}, []string{"ValidateLogout accepts an update", "return its error"}},
		"signed bodies and required statements are correct":                  {signedBodies{dcr.DefaultValidator{Statements: statements}}, nil},
		"capabilities that the inner validator lacks":                        {widens{dcr.DefaultValidator{}}, []string{"client_credentials in grant_types_supported", "add it there"}},
		"extensions that are not checked":                                    {forgetsExtensions{dcr.DefaultValidator{Extensions: extensions}}, []string{"ValidateExtensions accepts"}},
		"an extension that holds a URI and has no rule":                      {dcr.DefaultValidator{Extensions: []dcr.Extension{dcr.NewField[string]("callback_uri")}}, []string{"callback_uri", "give the Field a rule with Check"}},
		"an extension whose name does not end like that of a URI is correct": {dcr.DefaultValidator{Extensions: []dcr.Extension{dcr.NewField[string]("region")}}, nil},
		"a step of the embedded DefaultValidator with its settings":          {right{dcr.DefaultValidator{AllowHTTPRedirects: true, Statements: statements}}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			faults := validatorFaults(c.validator)
			if c.want == nil {
				if len(faults) > 0 {
					t.Errorf("faults: %q", faults)
				}
				return
			}
			for _, fault := range faults {
				found := true
				for _, part := range c.want {
					found = found && strings.Contains(fault, part)
				}
				if found {
					return
				}
			}
			t.Errorf("faults: %q; want one with %q", faults, c.want)
		})
	}
}
