package spec_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// Every member that names an algorithm is among the algorithm members, with its
// value and its ceiling.
func TestAlgorithmMembers(t *testing.T) {
	var named []string
	for i := range reflect.TypeFor[dcr.Metadata]().NumField() {
		name := reflect.TypeFor[dcr.Metadata]().Field(i).Tag.Get("json")
		if strings.HasSuffix(name, "_alg") || strings.HasSuffix(name, "_enc") {
			named = append(named, name)
		}
	}
	var listed []string
	for _, member := range dcr.AlgorithmMembers() {
		listed = append(listed, member.Name)
		var metadata dcr.Metadata
		*member.Value(&metadata) = "ES256"
		text, err := json.Marshal(metadata)
		if want := `{"` + member.Name + `":"ES256"}`; err != nil || string(text) != want {
			t.Errorf("the value of %s is %s, %v", member.Name, text, err)
		}
		supported := capabilities(t, `{"`+member.List+`":["ES256"]}`)
		if ceiling := *member.Ceiling(&supported); !slices.Equal(ceiling, []string{"ES256"}) {
			t.Errorf("the ceiling of %s is %q", member.Name, ceiling)
		}
		if encrypts := strings.Contains(member.Name, "encrypt"); encrypts == member.Signature {
			t.Errorf("%s names a signature algorithm: %v", member.Name, member.Signature)
		}
	}
	if !slices.Equal(listed, named) {
		t.Errorf("members %q, want %q", listed, named)
	}
}
