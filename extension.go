package dcr

// RFC 7591 §2: extension members, how they are declared, read and judged.

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

// issued are the members that only the server issues (RFC 7591 §3.2.1, RFC 7592
// §3): a request cannot set them, and no extension may have their names.
var issued = []string{
	"client_id", "client_secret", "client_id_issued_at", "client_secret_expires_at",
	"registration_access_token", "registration_client_uri",
}

// statusMember tells a client that it is pending. Only the server sets it; an
// update may send it back, which has no effect.
const statusMember = "registration_status"

// serverSays reports whether only the server may set a member of the answer, so
// that no extension can have that name.
func serverSays(name string) bool {
	return slices.Contains(issued, name) || name == "software_statement" || name == statusMember
}

// Extension is a declared extension member: a [Field] of any type. If it is
// listed in DefaultValidator.Extensions, the member is read, checked against
// the field's type, stored and echoed. Members that are not declared are
// ignored.
type Extension interface {
	// Name is the member's name.
	Name() string
	// check reports whether raw is a value of the field's type.
	check(name string, raw json.RawMessage) error

	// localized reports whether the member may have a language tag.
	localized() bool

	// keySource reports whether the member says where the client's keys are.
	keySource() bool
}

// Field is a typed extension member of the metadata, or a typed view of a
// registered one.
type Field[T any] struct {
	name   string
	rule   func(value T) error // checks a value in addition to its type; nil for no check
	tagged bool                // the member may have a language tag
	keys   bool                // the member says where the client's keys are
}

// NewField returns a field for the member of that name. It panics on an empty
// name and on a name that the server issues, such as client_id. With the name
// of a registered member, the field reads and writes the typed member of
// [Metadata].
func NewField[T any](name string) Field[T] {
	if name == "" || serverSays(name) {
		panic("dcr: " + name + " cannot be an extension member: only the server sets it")
	}
	return Field[T]{name: name}
}

// Name returns the member's name.
func (f Field[T]) Name() string { return f.name }

// Check returns the field with a rule for its values, in addition to their type
// and the rules that it already has. The rule runs only if the member was sent: in
// ValidateExtensions, and once more at the end of [Validate]. An [*Error] refuses;
// any other error is logged and answered with 500. A refusal without Code, Member
// or Rule gets InvalidClientMetadata and the member and rule of the field. If its
// Description begins with the name of the member, a language tag that was sent is
// added to the name. A nil rule adds nothing.
func (f Field[T]) Check(rule func(value T) error) Field[T] {
	earlier := f.rule
	switch {
	case rule == nil:
	case earlier == nil:
		f.rule = rule
	default:
		f.rule = func(value T) error {
			if err := earlier(value); err != nil {
				return err
			}
			return rule(value)
		}
	}
	return f
}

// Localized returns a copy of the field whose member may have a language tag
// (RFC 7591 §2.2).
func (f Field[T]) Localized() Field[T] {
	f.tagged = true
	return f
}

// KeySource returns a copy of the field whose member says where the client's
// keys are, so that its presence satisfies the rules that ask for jwks or
// jwks_uri. If its value is an https URL, [ClientKeys] fetches the key set from
// there. The host must read any other value, such as certificates.
func (f Field[T]) KeySource() Field[T] {
	f.keys = true
	return f
}

// Get returns the value of the member. ok is false if the member is absent, or
// if it is not a T; err then says so.
func (f Field[T]) Get(m *Metadata) (value T, ok bool, err error) {
	raw, ok := m.Extra[f.name]
	if registered := member(f.name); registered != nil {
		if registered.IsZero(m) {
			return value, false, nil
		}
		if raw, err = registered.Append(nil, m); err != nil {
			return value, false, err
		}
		if text, verbatim := any(&value).(*json.RawMessage); verbatim && registered.Kind != record.Raw {
			*text = raw // it was just written, so it is valid and belongs to nobody else
			return value, true, nil
		}
		ok = true
	}
	if !ok {
		return value, false, nil
	}
	value, err = unmarshal[T](raw)
	return value, err == nil, err
}

// unmarshal reads an integer however it is written, such as 1e3, and everything
// else as encoding/json does.
func unmarshal[T any](raw json.RawMessage) (value T, err error) {
	if err = json.Unmarshal(raw, &value); err == nil {
		return value, nil
	}
	if n, notInteger := strictjson.Value(raw).Int(); notInteger == nil {
		err = json.Unmarshal(strconv.AppendInt(nil, n, 10), &value)
	}
	return value, err
}

// Set sets the member to value. It returns an error if value cannot be encoded
// as JSON or, for a registered member, is not of its JSON type.
func (f Field[T]) Set(m *Metadata, value T) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if registered := member(f.name); registered != nil {
		return registered.Decode(m, strictjson.Value(raw))
	}
	put(&m.Extra, f.name, raw)
	return nil
}

// declares reports whether an extension member is accepted.
func (reg *Registration) declares(name string) bool {
	return reg.declaration(name) != nil
}

// namesKeys reports whether the client says where its keys are, in jwks_uri or
// in an extension member.
func (reg *Registration) namesKeys() bool {
	return reg.Client.JWKSURI != "" || slices.ContainsFunc(reg.extensions, func(e Extension) bool {
		_, sent := reg.Client.Extra[e.Name()]
		return sent && e.keySource()
	})
}

// keysBySource returns the first declared key source of the client that is an
// https URL, and its value; "" if there is none.
func keysBySource(extensions []Extension, client *Client) (member, url string) {
	for _, e := range extensions {
		text, err := strictjson.Value(client.Extra[e.Name()]).Text()
		if err != nil || !e.keySource() {
			continue
		}
		if parsed, err := uri.Parse(text); err == nil && parsed.Scheme == "https" {
			return e.Name(), text
		}
	}
	return "", ""
}

// declared returns the first declaration of a member in a list, nil if there is none.
func declared(extensions []Extension, name string) Extension {
	for _, e := range extensions {
		if declaresName(e, name) {
			return e
		}
	}
	return nil
}

// declaration returns the first declaration of a member, nil if there is none.
func (reg *Registration) declaration(name string) Extension {
	return declared(reg.candidates(name), name)
}

// declarations returns all declarations of a member.
func (reg *Registration) declarations(name string) (all []Extension) {
	for _, e := range reg.candidates(name) {
		if declaresName(e, name) {
			all = append(all, e)
		}
	}
	return all
}

// fewExtensions is how many extensions are searched without an index.
const fewExtensions = 16

// candidates returns the declared extensions to search for those of a member:
// all of them if they are few, or those of its name without the language tag.
func (reg *Registration) candidates(name string) []Extension {
	if len(reg.extensions) <= fewExtensions {
		return reg.extensions
	}
	base := func(name string) string { base, _, _ := strings.Cut(name, "#"); return base }
	if reg.extensionsOf == nil {
		reg.extensionsOf = make(map[string][]Extension, len(reg.extensions))
		for _, e := range reg.extensions {
			reg.extensionsOf[base(e.Name())] = append(reg.extensionsOf[base(e.Name())], e)
		}
	}
	return reg.extensionsOf[base(name)]
}

// declaresName reports whether a declaration is of a member. A language-tagged
// member belongs to the declaration of the untagged one.
func declaresName(e Extension, name string) bool {
	base, tag, tagged := strings.Cut(name, "#")
	return e.Name() == name || tagged && e.Name() == base && e.localized() && wellFormedTag(tag)
}

// ValidateExtensions checks every declared extension member against the type and
// the [Field.Check] of its field. If several fields declare it, it must satisfy
// all of them.
func (d DefaultValidator) ValidateExtensions(ctx context.Context, reg *Registration) error {
	return reg.checkExtensions()
}

func (reg *Registration) checkExtensions() error {
	if len(reg.Client.Extra) == 0 {
		return nil
	}
	spellings := make(map[string]int)
	for name := range reg.Client.Extra {
		spellings[foldTag(name)]++
	}
	for _, name := range sortedKeys(reg.Client.Extra) {
		declarations := reg.declarations(name)
		if len(declarations) > 0 && spellings[foldTag(name)] > 1 {
			return refuse(InvalidClientMetadata, name, "body.duplicate", "%s must not be sent twice", name)
		}
		for _, extension := range declarations {
			if err := extension.check(name, reg.Client.Extra[name]); err != nil {
				return err
			}
		}
	}
	return reg.checkKeySource()
}

// checkKeySource refuses a key source that ClientKeys could never reach.
func (reg *Registration) checkKeySource() error {
	name, url := keysBySource(reg.extensions, reg.Client)
	parsed, err := uri.Parse(url)
	if err != nil {
		return nil // there is none
	}
	return reg.foundation.fetch.checkReach(&parsed, func(rule, sentence string, args ...any) error {
		return refuseMember(name, rule, sentence, args...)
	})
}

// foldTag returns a name with its language tag in lower case.
func foldTag(name string) string {
	base, tag, tagged := strings.Cut(name, "#")
	if !tagged {
		return name
	}
	return base + "#" + strings.ToLower(tag)
}

// sameTagged reports whether two names are of the same language-tagged member:
// tags are read case-insensitively (RFC 7591 §2.2).
func sameTagged(a, b string) bool {
	baseA, tagA, tagged := strings.Cut(a, "#")
	baseB, tagB, _ := strings.Cut(b, "#")
	return tagged && baseA == baseB && strings.EqualFold(tagA, tagB)
}

func (f Field[T]) localized() bool { return f.tagged }

func (f Field[T]) keySource() bool { return f.keys }

func (f Field[T]) check(name string, raw json.RawMessage) error {
	value, err := readField[T](strictjson.Value(raw))
	if err != nil {
		return memberError(name, err)
	}
	if f.rule == nil {
		return nil
	}
	err = f.rule(value)
	refused := asRefusal(err)
	if refused == nil {
		return err
	}
	own := *refused
	own.Code = cmp.Or(own.Code, InvalidClientMetadata)
	own.Member = cmp.Or(own.Member, f.name)
	own.Rule = cmp.Or(own.Rule, f.name+".value")
	if sentence, named := strings.CutPrefix(own.Description, f.name+" "); named {
		own.Description = name + " " + sentence
	}
	return &own
}

// readField reads a value as strictly as a registered member: no null and no
// empty string in a list, no control characters in any string.
func readField[T any](raw strictjson.Value) (value T, err error) {
	switch into := any(&value).(type) {
	case *string:
		*into, err = raw.Text()
	case *[]string:
		*into, err = raw.Texts()
	default:
		if err = readableTexts(raw); err != nil {
			break
		}
		if value, err = unmarshal[T](json.RawMessage(raw)); err != nil {
			err = &strictjson.Error{Reason: "must be " + jsonForm(reflect.TypeFor[T]().Kind())}
		}
	}
	return value, err
}

// readableTexts refuses control characters in every string within a value.
func readableTexts(value strictjson.Value) error {
	switch value.Kind() {
	case strictjson.String:
		_, err := value.Text()
		return err
	case strictjson.Array:
		return value.Elements(func(_ int, element strictjson.Value) error { return readableTexts(element) })
	case strictjson.Object:
		return value.Members(func(name string, member strictjson.Value) error {
			return strictjson.In(name, readableTexts(member))
		})
	}
	return nil
}

// appendTexts appends every well-formed string within a value.
func appendTexts(texts []string, value strictjson.Value) []string {
	switch value.Kind() {
	case strictjson.String:
		if text, err := value.Text(); err == nil {
			texts = append(texts, text)
		}
	case strictjson.Array:
		_ = value.Elements(func(_ int, element strictjson.Value) error {
			texts = appendTexts(texts, element)
			return nil
		})
	case strictjson.Object:
		_ = value.Members(func(_ string, member strictjson.Value) error {
			texts = appendTexts(texts, member)
			return nil
		})
	}
	return texts
}

// jsonForm says, for a sentence, which JSON a Go value is read from.
func jsonForm(kind reflect.Kind) string {
	switch kind {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a JSON string of the expected form"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a JSON integer"
	case reflect.Float32, reflect.Float64:
		return "a JSON number"
	case reflect.Slice, reflect.Array:
		return "a JSON array of the expected form"
	}
	return "a JSON object of the expected form"
}
