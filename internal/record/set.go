package record

// Which fields of a record are set.

import (
	"iter"
	"math/bits"
	"unsafe"
)

// Set is a set of fields, by their place. It works for tables of at most 128
// fields.
type Set [2]uint64

// Add puts a field into the set.
func (s *Set) Add(place int) { s[place/64] |= 1 << (place % 64) }

// Has reports whether a field is in the set.
func (s *Set) Has(place int) bool { return s[place/64]&(1<<(place%64)) != 0 }

// Or returns the fields that are in either of the sets.
func (s Set) Or(other Set) Set { return Set{s[0] | other[0], s[1] | other[1]} }

// Len returns how many fields are in the set.
func (s Set) Len() int { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

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

// mark is where in a record to look to see whether a field is set: it is if the
// V there is not the zero value.
type mark[V comparable] struct {
	offset uintptr
	place  int
}

// addIf adds to the set the fields whose marks say that they are set.
func addIf[V comparable](set *Set, marks []mark[V], record unsafe.Pointer) {
	var unset V
	for _, m := range marks {
		if *(*V)(unsafe.Add(record, m.offset)) != unset {
			set.Add(m.place)
		}
	}
}

// addMark notes how [Table.Set] finds out whether a field is set: a string by its
// length, a list or a number by its pointer.
func (t *Table[T]) addMark(f *field) {
	switch f.Kind {
	case String:
		t.words = append(t.words, mark[uintptr]{f.offset + unsafe.Sizeof(uintptr(0)), f.Place})
	case Strings, Int, Raw, Record, Records:
		t.words = append(t.words, mark[uintptr]{f.offset, f.Place})
	case Bool:
		t.flags = append(t.flags, mark[bool]{f.offset, f.Place})
	default:
		t.others = append(t.others, f)
	}
}

// Set returns the fields of record that are not zero.
func (t *Table[T]) Set(record *T) (set Set) {
	from := unsafe.Pointer(record)
	addIf(&set, t.words, from)
	addIf(&set, t.flags, from)
	for _, f := range t.others {
		if !f.isZero(from) {
			set.Add(f.Place)
		}
	}
	return set
}
