package dcrtest

// The test of a validator.

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// TestValidator finds mistakes in a validator, and in the validators that it
// embeds, that the compiler cannot find:
//
//   - a method that is never called because its name is almost that of a step,
//     such as ValidateRedirectUris;
//   - a step of an embedded rule that is never called because another embedded
//     validator has it at a shallower depth;
//   - an embedded validator that is nil, or an embedded DefaultValidator{} next
//     to a field that holds the intended validator;
//   - what [dcr.NewHandler] refuses, such as capabilities that contradict each
//     other, or that are wider than those of the innermost DefaultValidator;
//   - a step that accepts a registration or an update that the same step of its
//     DefaultValidator refuses, because it does not call that step, drops its
//     error, or calls the step of another DefaultValidator;
//   - a step that panics, that returns an error other than a [*dcr.Error] for a
//     plain registration, or that changes Registration.Request;
//   - a hostile registration that is answered with 201, such as one with a
//     script in an extension member that holds a URI.
//
// TestValidator registers with and without a Caller, and updates each client that
// was registered. A validator may refuse any of these requests. If a policy
// requires signed bodies or a software statement, TestValidator sends plain JSON
// and a statement as if they had been verified.
//
//	func TestMyValidator(t *testing.T) {
//		dcrtest.TestValidator(t, myvalidator.New())
//	}
func TestValidator(t *testing.T, v dcr.Validator) {
	t.Helper()
	for _, fault := range validatorFaults(v) {
		t.Error(fault)
	}
}

// validatorFaults returns a sentence for each fault of v.
func validatorFaults(v dcr.Validator) []string {
	if v == nil {
		return []string{"the validator is nil"}
	}
	if faults := typeFaults(reflect.ValueOf(v)); len(faults) > 0 {
		return faults
	}
	return append(stepFaults(v), registrationFaults(v)...)
}

var validatorType = reflect.TypeFor[dcr.Validator]()

// typeFaults checks the methods of v and of the validators that it embeds.
func typeFaults(v reflect.Value) (faults []string) {
	name := v.Type()
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return []string{fmt.Sprintf("the %s is nil", name)}
		}
		v = v.Elem()
	}
	pointer := reflect.PointerTo(v.Type()) // has the methods of both kinds of receiver
	for i := range pointer.NumMethod() {
		if method := pointer.Method(i); likeAStep(method) {
			faults = append(faults, fmt.Sprintf("%s.%s is never called: no step has that name%s", name, method.Name, nearest(method.Name)))
		}
	}
	return append(faults, embeddedFaults(v)...)
}

// embeddedFaults checks the validators that v embeds. The methods of embedded
// structs are promoted to v and have been checked, but methods behind an interface
// have not.
func embeddedFaults(v reflect.Value) (faults []string) {
	if v.Kind() != reflect.Struct {
		return nil
	}
	faults = deadFaults(v.Type())
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		if !field.Anonymous && holdsValidator(value) && freshDefault(v) {
			faults = append(faults, fmt.Sprintf("%s embeds a DefaultValidator{}, so every step that it does not override runs on that, not on its field %s: embed the validator instead, as in struct{ dcr.Validator }", v.Type(), field.Name))
		}
		if !field.Anonymous || !reflect.PointerTo(field.Type).Implements(validatorType) && !field.Type.Implements(validatorType) {
			continue
		}
		switch kind := value.Kind(); {
		case kind == reflect.Struct:
			faults = append(faults, embeddedFaults(value)...)
		case value.IsNil():
			faults = append(faults, fmt.Sprintf("%s embeds a %s that is nil: set its field %s", v.Type(), field.Type, field.Name))
		case kind == reflect.Interface:
			faults = append(faults, typeFaults(value.Elem())...)
		case kind == reflect.Pointer:
			faults = append(faults, embeddedFaults(value.Elem())...)
		}
	}
	return faults
}

// likeAStep reports whether a method is not a step but has almost the name of one,
// or begins like one and takes a registration.
func likeAStep(method reflect.Method) bool {
	if _, is := validatorType.MethodByName(method.Name); is {
		return false
	}
	if nearest(method.Name) != "" {
		return true
	}
	takesRegistration := false
	for i := range method.Type.NumIn() {
		takesRegistration = takesRegistration || method.Type.In(i) == reflect.TypeFor[*dcr.Registration]()
	}
	return takesRegistration && (strings.HasPrefix(method.Name, "Validate") || strings.HasPrefix(method.Name, "Set"))
}

// nearest returns a question that suggests the step with almost the given name, or
// "" if there is none.
func nearest(name string) (question string) {
	least := len(name)
	for method := range validatorType.Methods() {
		step := method.Name
		if !method.IsExported() {
			continue
		}
		distance := editDistance(strings.ToLower(name), strings.ToLower(step))
		if distance < least && distance <= len(step)/5 {
			least, question = distance, "; did you mean "+step+"?"
		}
	}
	return question
}

// editDistance returns how many letters must be inserted, deleted or replaced to
// turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
