package decorator_test

import (
	"testing"

	"github.com/dynreg/dcr/internal/decorator"
)

type Speaker interface{ Speak() string }

type plain string

func (p plain) Speak() string { return string(p) }

type loud struct{ Speaker }

type twice struct{ loud }

type hidden struct{ inner Speaker }

func (hidden) Speak() string { return "" }

type other struct{ Speaker string }

func (other) Speak() string { return "" }

func TestInner(t *testing.T) {
	for _, c := range []struct {
		name        string
		outer, want Speaker
	}{
		{"a decorator", loud{plain("a")}, plain("a")},
		{"a pointer to one", &loud{plain("a")}, plain("a")},
		{"a decorator of nil", loud{}, nil},
		{"a decorator of a decorator", loud{loud{plain("a")}}, loud{plain("a")}},
		{"a struct that embeds a decorator", twice{loud{plain("a")}}, plain("a")},
		{"no struct", plain("a"), nil},
		{"a field that is not embedded", hidden{plain("a")}, nil},
		{"a field of that name and another type", other{"a"}, nil},
		{"nil", nil, nil},
	} {
		if got := decorator.Inner(c.outer); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
