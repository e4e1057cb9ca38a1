package dcr

import "reflect"

// StoreAs returns the optional capability T of a store, such as
// [ClientToucher]: the store itself, if it has T's methods, or what the store
// says it is by its own method
//
//	As(target any) bool
//
// which sets target, a pointer to an interface, and reports whether it could. A
// store that wraps another implements As by the stores that it can wrap and
// leaves the rest to [StoreInto], so that it has the capabilities of the store
// inside, and no others.
func StoreAs[T any](store ClientConfigurationStore) (capability T, ok bool) {
	ok = StoreInto(store, &capability)
	return capability, ok
}

// StoreInto is [StoreAs] for a target that is known at run time only: a
// non-nil pointer to an interface.
func StoreInto(store ClientConfigurationStore, target any) bool {
	into := reflect.ValueOf(target).Elem()
	if reflect.TypeOf(store).Implements(into.Type()) {
		into.Set(reflect.ValueOf(store))
		return true
	}
	wrapper, ok := store.(interface{ As(target any) bool })
	return ok && wrapper.As(target)
}
