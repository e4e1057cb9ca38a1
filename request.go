package dcr

// RFC 7591 §2 and §3.1: the client registration request as it was sent.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/strictjson"
)

// Request is a registration or update request as it was sent.
type Request struct {
	Metadata                              // the members that the library knows, as sent; all others are in Extra
	SoftwareStatement string              // compact JWS (RFC 7591 §2.3), not yet verified
	ClientID          string              // what an update must repeat (RFC 7592 §2.2); ignored on a registration, whose id Options.NewClientID makes
	ClientSecret      Plaintext           // what an update may repeat; ignored on a registration
	Choices           map[string][]string // RP Metadata Choices: lists of alternatives by member name
	Raw               json.RawMessage     // the whole body
	Signer            string              // who signed the request, from DecodedBody; "" for nobody; never read from JSON

	present   memberSet       // members that the body has, except null and ""
	tags      map[string]bool // the names in Localized, in lower case
	issued    []sent          // members of the body that RFC 7592 §2.2 forbids in an update
	faults    []fault
	ownFaults []*Error  // faults of client_id and client_secret, which a registration ignores
	cost      Allowance // what the body uses up, as its Decoder says
	bill      bill      // what it has used up
	finding   finding   // about the software statement, by its Decoder

	statement         *SoftwareStatement // that its Decoder verified
	standing, cancels bool               // as in DecodedBody
}

// Format writes only how large the request is, whatever the verb: the body of
// an update may have the client's secret.
func (r Request) Format(f fmt.State, verb rune) { io.WriteString(f, r.describe()) }

// LogValue returns what Format writes.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.describe()) }

func (r Request) describe() string {
	return fmt.Sprintf("[client registration request of %d bytes]", len(r.Raw))
}

// sent is a member as it came.
type sent struct {
	name  string
	value strictjson.Value
}

// IssuedMembers names the members of the body that only the server issues and
// that RFC 7592 §2.2 forbids in an update: registration_access_token,
// registration_client_uri, client_secret_expires_at and client_id_issued_at.
// They are in the order of the body, null ones included. A registration ignores
// them.
func (r *Request) IssuedMembers() []string {
	var names []string
	for _, member := range r.issued {
		names = append(names, member.name)
	}
	return names
}

// fault is a member of the wrong form. It counts only if the member's feature
// is on.
type fault struct {
	member int // its place in members.Fields; -1 for software_statement
	err    *Error
}

// Limits bound what a request may have. A zero field means its default.
type Limits struct {
	Members        int // the most members of the body, or of an object in it; if zero, 128
	Depth          int // the most levels of nesting; if zero, 16
	ListItems      int // the most entries of a list, such as redirect_uris; if zero, 64
	URIBytes       int // the longest URI, in bytes; if zero, 2,048
	NameBytes      int // the longest other string, in bytes; if zero, 1,024
	ScopeBytes     int // the longest scope, in bytes; if zero, 4,096
	Keys           int // the most keys in jwks; if zero, 32
	StatementBytes int // the longest software_statement, in bytes; if zero, 8,192
}

// effective returns l with the defaults filled in.
func (l Limits) effective() Limits {
	fill := func(limit *int, standard int) {
		if *limit <= 0 {
			*limit = standard
		}
	}
	fill(&l.Members, 128)
	fill(&l.Depth, 16)
	fill(&l.ListItems, 64)
	fill(&l.URIBytes, 2048)
	fill(&l.NameBytes, 1024)
	fill(&l.ScopeBytes, 4096)
	fill(&l.Keys, 32)
	fill(&l.StatementBytes, 8192)
	return l
}

// UnmarshalJSON reads a request body under the default [Limits]. It fails
// with an [*Error] if the body is not one JSON object. [Validate] reports
// members of the wrong form, since it knows which members count.
func (r *Request) UnmarshalJSON(body []byte) error {
	request, err := ParseRequest(body, Limits{})
	if err == nil {
		*r = *request
	}
	return err
}

// parse reads a request body into r, which is zero.
func (r *Request) parse(body []byte, limits Limits) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return emptyBody()
	}
	limits, r.Raw = limits.effective(), body
	err := strictjson.ReadObject(body, strictjson.Limits{Members: limits.Members, Depth: limits.Depth}, r.member)
	if err == nil {
		return nil
	}
	if refused := asRefusal(err); refused != nil {
		return refused
	}
	refused := refuse(InvalidClientMetadata, "", "body.json", "%s", err.Error())
	if found := (*strictjson.Error)(nil); errors.As(err, &found) {
		refused.Member = found.Path
	}
	return refused
}

// choiceMember is the single member that each list of RP Metadata Choices is
// for.
var choiceMember = func() map[string]int {
	lists := make(map[string]int)
	for i, f := range members.Fields {
		if list := f.Tag.Get("list"); list != "" {
			lists[list] = i
		}
	}
	return lists
}()

// ParseRequest reads a request body. It returns an [*Error] if the body is not
// one JSON object, or exceeds limits.Members or limits.Depth. [Validate]
// reports members of the wrong form and what exceeds the other limits. The
// request keeps parts of body: do not change body afterwards.
func ParseRequest(body []byte, limits Limits) (*Request, error) {
	request := &Request{}
	if err := request.parse(body, limits); err != nil {
		return nil, err
	}
	return request, nil
}

func emptyBody() *Error {
	return refuse(InvalidClientMetadata, "", "body.empty", "the body is empty; it must be a JSON object that has the client's metadata")
}

// member takes one member of the body.
func (r *Request) member(name string, value strictjson.Value) error {
	kind := value.Kind()
	absent := kind == strictjson.Null || kind == strictjson.String && len(value) == len(`""`)
	switch i, known := members.Find(name); {
	case known && !absent:
		r.registered(i, value)
		return nil
	case !known && slices.Contains(issued, name):
		r.serverMember(name, value)
		return nil
	case absent:
		return nil
	}
	if i, known := choiceMember[name]; known {
		list, err := value.Texts()
		if r.note(i, name, err) && len(list) > 0 {
			put(&r.Choices, name, list)
		}
		return nil
	}
	if name == "software_statement" {
		text, err := value.Text()
		r.SoftwareStatement = text
		r.note(-1, name, err)
		return nil
	}
	if i, tagged := taggedMember(name); tagged {
		return r.localized(i, name, value)
	}
	if !emptyArray(value) {
		put(&r.Extra, name, json.RawMessage(value))
	}
	return nil
}

func emptyArray(value strictjson.Value) bool {
	return value.Kind() == strictjson.Array && strings.TrimSpace(string(value[1:len(value)-1])) == ""
}

func put[V any](m *map[string]V, name string, value V) {
	if *m == nil {
		*m = make(map[string]V)
	}
	(*m)[name] = value
}

// registered takes a member of [Metadata].
func (r *Request) registered(i int, value strictjson.Value) {
	f := &members.Fields[i]
	into := &r.Metadata
	err := r.decode(f, value)
	if f.Kind == record.Raw && value.Kind() != strictjson.Object {
		err = &strictjson.Error{Reason: "must be a JSON object"}
	}
	if f.Kind == record.String && blankScope(f.Name, f.Text(into)) {
		err = &strictjson.Error{Reason: "must be scopes, or be left out"}
	}
	if !r.note(i, f.Name, err) {
		f.Clear(into)
		return
	}
	if f.Kind == record.Strings && len(f.List(into)) == 0 && !keepsEmpty(f.Name) || f.Kind == record.String && f.IsZero(into) {
		f.Clear(into)
		return
	}
	r.present.Add(i)
}

// decode reads a member, without the spaces and blank entries that forms and
// templates leave in it.
func (r *Request) decode(f *registered, value strictjson.Value) error {
	into := &r.Metadata
	var err error
	switch {
	case f.Name == "scope":
		into.Scope, err = value.Spaced()
	case f.Name == "contacts":
		into.Contacts, err = value.TextsNotBlank()
	case readable.Has(f.Place):
		var text string
		text, err = value.Line()
		f.SetText(into, text)
	default:
		err = f.Decode(into, value)
	}
	return err
}

// readable are the members that are text for people.
var readable = func() (set memberSet) {
	for i := range members.Fields {
		if taggable.Has(i) && !isURIMember(members.Fields[i].Name) {
			set.Add(i)
		}
	}
	return set
}()

// keepsEmpty reports whether an empty list of that name differs from an absent
// one: a machine client has no redirect URIs and no response types.
func keepsEmpty(name string) bool {
	return name == "redirect_uris" || name == "response_types"
}

// localized takes a language-tagged member. Tags are read case-insensitively
// (RFC 7591 §2.2), so two that differ in case alone are one member sent twice.
func (r *Request) localized(i int, name string, value strictjson.Value) error {
	folded := strings.ToLower(name)
	if r.tags[folded] {
		return refuse(InvalidClientMetadata, name, "body.duplicate", "%s must not be sent twice", name)
	}
	read := strictjson.Value.Text
	if readable.Has(i) {
		read = strictjson.Value.Line
	}
	text, err := read(value)
	if r.note(i, name, err) && text != "" {
		put(&r.Localized, name, text)
		put(&r.tags, folded, true)
	}
	return nil
}

// note records err, unless it is nil, as a fault of a member, and reports
// whether err is nil.
func (r *Request) note(i int, name string, err error) bool {
	if err != nil {
		r.faults = append(r.faults, fault{member: i, err: memberError(name, err)})
	}
	return err == nil
}

// memberError says that the value of a member is not of the right form.
func memberError(name string, err error) *Error {
	return refuse(memberCode(name), name, name+".type", "%s", strictjson.In(name, err))
}

// serverMember takes a member that only the server issues. A registration
// ignores it; an update is judged by it.
func (r *Request) serverMember(name string, value strictjson.Value) {
	switch name {
	case "client_id", "client_secret":
		if value.Kind() == strictjson.Null {
			return
		}
		text, err := value.Text()
		if err != nil {
			r.ownFaults = append(r.ownFaults, memberError(name, err))
		}
		if name == "client_id" {
			r.ClientID = text
		} else {
			r.ClientSecret = Plaintext(text)
		}
	default:
		r.issued = append(r.issued, sent{name, value})
	}
}

// taggable are the members that may carry a language tag.
var taggable = func() (set memberSet) {
	for i := range members.Fields {
		if members.Fields[i].Tag.Get("lang") != "" {
			set.Add(i)
		}
	}
	return set
}()

// taggedMember finds the member that a name with a language tag is a form of.
func taggedMember(name string) (i int, tagged bool) {
	base, tag, tagged := strings.Cut(name, "#")
	if !tagged {
		return 0, false
	}
	i, known := members.Find(base)
	return i, known && taggable.Has(i) && wellFormedTag(tag)
}

// wellFormedTag reports whether tag has the shape of a BCP 47 language tag
// (RFC 5646 §2.1): letters first, then subtags of up to eight letters and
// digits.
func wellFormedTag(tag string) bool {
	for i, part := range strings.Split(tag, "-") {
		if part == "" || len(part) > 8 {
			return false
		}
		for _, c := range []byte(part) {
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return len(tag) <= 64
}
