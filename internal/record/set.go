package record

import (
	"iter"
	"math/bits"
	"unsafe"
)

// Set is a set of fields, by their place. A table that is asked for one has at
// most 128 fields.
type Set [2]uint64

// Add puts a field into the set.
func (s *Set) Add(place int) { s[place/64] |= 1 << (place % 64) }

// Has reports whether a field is in the set.
func (s *Set) Has(place int) bool { return s[place/64]&(1<<(place%64)) != 0 }

// Or returns the fields that are in one of the sets.
func (s Set) Or(other Set) Set { return Set{s[0] | other[0], s[1] | other[1]} }

// Places yields the places in their order.
func (s Set) Places() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(i*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// Set returns the fields of record that are not zero.
func (t *Table[T]) Set(record *T) (set Set) {
	from := unsafe.Pointer(record)
	for _, f := range t.strings {
		if *at[string](f, from) != "" {
			set.Add(f.Place)
		}
	}
	for _, f := range t.others {
		if !f.isZero(from) {
			set.Add(f.Place)
		}
	}
	return set
}
