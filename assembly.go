package dcr

// How a Validator is put together, and which mistakes in that NewHandler refuses:
// those by which a rule would never run, or a capability would be promised that
// no step knows of.

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/record"
)

var validatorType = reflect.TypeFor[Validator]()

// misassembled says what is wrong with how v is put together, and what to change;
// nil if nothing is.
func misassembled(v Validator) error {
	if _, plain := v.(DefaultValidator); plain {
		return nil
	}
	if err := shadowed(reflect.ValueOf(v)); err != nil {
		return err
	}
	return widened(v)
}

// shadowed refuses a struct that embeds two Validators: only the steps of the one
// that is less deep are called.
func shadowed(v reflect.Value) error {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	called := -1
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.Anonymous || !isValidator(field.Type) {
			continue
		}
		if called >= 0 {
			first, second := v.Type().Field(called), field
			if depth(second.Type) < depth(first.Type) {
				first, second = second, first
			}
			return fmt.Errorf("%s embeds %s and %s, and Go calls the steps of %[2]s alone, so that %[3]s has no effect; embed one Validator, and let %[3]s decorate it: struct{ dcr.Validator }",
				v.Type(), first.Name, second.Name)
		}
		called = i
		if err := shadowed(v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func isValidator(typ reflect.Type) bool {
	return typ.Implements(validatorType) || reflect.PointerTo(typ).Implements(validatorType)
}

// depth is how deep in an embedded type its steps are.
func depth(typ reflect.Type) int {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[DefaultValidator]() {
		return 0
	}
	for i := range typ.NumField() {
		if field := typ.Field(i); field.Anonymous && isValidator(field.Type) {
			return 1 + depth(field.Type)
		}
	}
	return 0
}

// widened refuses capabilities that the DefaultValidator at the bottom does not
// have: a decorator narrows.
func widened(v Validator) error {
	claimed, supported := v.Capabilities().WithDefaults(), v.supported().WithDefaults()
	for i := range capabilityMembers.Fields {
		f := &capabilityMembers.Fields[i]
		if value := beyond(f, &claimed, &supported); value != "" {
			return fmt.Errorf("Capabilities has %s in %s, which Supports of the DefaultValidator at the bottom does not have; add it there, for a decorator only narrows", value, f.Name)
		}
	}
	return nil
}

// beyond is what claimed has of a member and supported has not, "" if nothing. A
// requirement is no capability.
func beyond(f *record.Field[Capabilities], claimed, supported *Capabilities) string {
	switch {
	case f.Kind == record.Strings:
		own := f.List(supported)
		for _, value := range f.List(claimed) {
			known := func(other string) bool {
				return other == AnyScope && f.Name == "scopes_supported" || sameWords(other, value)
			}
			if !slices.ContainsFunc(own, known) {
				return value
			}
		}
	case f.IsZero(claimed) || !f.IsZero(supported) || strings.HasPrefix(f.Name, "require_"):
	case f.Kind == record.String:
		return f.Text(claimed)
	default:
		return "true"
	}
	return ""
}
