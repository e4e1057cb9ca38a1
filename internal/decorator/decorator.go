// Package decorator looks into decorators: structs that embed the interface that they
// implement, and change some of its methods.
package decorator

import "reflect"

// Inner returns the I that outer, or what it points to, embeds; nil if it embeds none.
func Inner[I any](outer I) (inner I) {
	value := reflect.Indirect(reflect.ValueOf(outer))
	if value.Kind() != reflect.Struct {
		return inner
	}
	field := value.FieldByName(reflect.TypeFor[I]().Name())
	if !field.IsValid() || !field.CanInterface() {
		return inner
	}
	inner, _ = field.Interface().(I)
	return inner
}
