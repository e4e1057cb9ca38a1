package dcr

// RFC 7591 §2.3: software statements, and what their claims do to the metadata
// of the client.

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/strictjson"
)

// SoftwareStatement is a verified software statement. [StatementVerifier]
// makes one; a step of the host's own that verifies statements in its own way
// sets Registration.Statement to one, and what it claims is merged into the
// client all the same.
type SoftwareStatement struct {
	Issuer   string // iss
	ID       string // what names the statement: its jti, or its software_id where it has none
	Metadata        // the members that the statement claims, which win over the request's; Extra holds all the other claims
	Claims   map[string]json.RawMessage
	Text     string // the statement as it was sent, which is what is echoed; if empty, that of the request

	held    bool // it is the one that the client registered with
	present memberSet
	faults  []fault // claims of the wrong form
	rules   map[string]StatementRule
	once    *onceOnly // how often it may be used; nil for any number of times, and for a stored one
}

// Signer is the software that the statement is of: what [Request].Signer is of a
// request which that software signed, so that a step can compare them. It is a
// JSON array of the issuer and the software_id, or the ID where there is no
// software_id, so that it tells apart what two issuers call by one name; "" where
// the statement names no software.
func (s *SoftwareStatement) Signer() string {
	software := cmp.Or(s.SoftwareID, s.ID)
	if software == "" {
		return ""
	}
	name := strictjson.AppendString([]byte{'['}, s.Issuer)
	name = strictjson.AppendString(append(name, ','), software)
	return string(append(name, ']'))
}

// StatementRule says how what a statement claims of a member and what the
// request says of it go together.
type StatementRule int

// The rules for a claimed member. Under each, a request that leaves the member
// out gets what is claimed, and the member's language-tagged forms are those
// that are claimed.
const (
	// ClaimWins replaces what the request says (RFC 7591 §2.3).
	ClaimWins StatementRule = iota

	// ClaimBinds refuses a request that says anything else. Lists and scope are
	// the same in any order.
	ClaimBinds

	// ClaimBounds lets the request choose among the entries of a claimed list,
	// or the scopes of a claimed scope. Anything else is as under ClaimBinds.
	ClaimBounds

	// ClaimOnly is ClaimBinds, and refuses a request that says anything where
	// nothing is claimed.
	ClaimOnly
)

// ValidateSoftwareStatement verifies the statement of the request with
// d.Statements and sets reg.Statement. An override that has set reg.Statement
// is taken at its word. Without d.Statements a statement is ignored (RFC 7591
// §3.1.1).
//
// On an update a statement is judged in full only if it is not the stored one.
// A stored one that is sent back, or left out, keeps its hold on the client:
// its claims count, and neither its time nor its signature is judged again.
func (d DefaultValidator) ValidateSoftwareStatement(ctx context.Context, reg *Registration) error {
	if reg.Statement != nil {
		return nil
	}
	statement, err := d.Statements.judge(ctx, reg)
	reg.Statement = statement
	return err
}

// mergeStatement puts the claims of a verified statement into the client,
// whoever verified it.
func mergeStatement(_ Validator, _ context.Context, reg *Registration) error {
	if reg.statementMerged {
		return nil
	}
	reg.statementMerged = true
	if err := reg.checkSoftware(); err != nil {
		return err
	}
	reg.settleClaimed()
	if reg.Statement == nil {
		return nil
	}
	if err := reg.Statement.mergeMembers(reg); err != nil {
		return err
	}
	if err := reg.Statement.mergeExtensions(reg); err != nil {
		return err
	}
	return reg.checkBounds()
}

// claimed are the names of the members that the statement claims.
func (s *SoftwareStatement) claimed() []string {
	var names []string
	for i := range members.Fields {
		if f := &members.Fields[i]; s.present.Has(i) || !f.IsZero(&s.Metadata) {
			names = append(names, f.Name)
		}
	}
	names = append(names, sortedKeys(s.Localized)...)
	return append(names, sortedKeys(s.Extra)...)
}

// checkSoftware holds the statement of an update to the issuer and the software
// of the one that the client registered with, also where a step of the host's
// verified it. What claims nothing leaves the software as it was.
func (reg *Registration) checkSoftware() error {
	if reg.Previous == nil || reg.Previous.Statement == nil || reg.Statement == nil {
		return nil
	}
	verifier := cmp.Or(reg.foundation.statements, &StatementVerifier{})
	if verifier.AllowOtherSoftware {
		return nil
	}
	statement, stored := reg.Statement, reg.Previous.Statement
	was := ""
	if slices.Contains(stored.Members, "software_id") {
		was = reg.Previous.SoftwareID
	}
	software, byID := statement.SoftwareID, verifier.IDClaim != "" && verifier.IDClaim != "software_id"
	if len(statement.claimed()) == 0 {
		software, byID = was, true
	}
	if statement.Issuer != stored.Issuer || software != was || (byID || software == "") && statement.ID != stored.ID {
		return refuse(UnapprovedSoftwareStatement, "software_statement", "software_statement.software",
			"software_statement must be of the issuer and the software that this client registered with")
	}
	return nil
}

// settleClaimed holds an update to what the stored statement claimed, where no
// statement of its own says it: the host may have verified that one in a way
// that leaves nothing to read again.
func (reg *Registration) settleClaimed() {
	if reg.Previous == nil || reg.Previous.Statement == nil || reg.Statement != nil && len(reg.Statement.claimed()) > 0 {
		return
	}
	client, previous := &reg.Client.Metadata, &reg.Previous.Metadata
	for _, name := range reg.Previous.Statement.Members {
		if f := member(name); f != nil {
			f.Copy(client, previous)
			client.dropTagged(f)
		} else if text, tagged := previous.Localized[name]; tagged {
			client.localize(name, text)
		} else if raw, extended := previous.Extra[name]; extended {
			client.dropTaggedExtra(name, nil)
			put(&client.Extra, name, slices.Clone(raw))
		}
	}
}

func (s *SoftwareStatement) mergeMembers(reg *Registration) error {
	client := &reg.Client.Metadata
	dst, src := client, &s.Metadata
	for i := range members.Fields {
		f := &members.Fields[i]
		if !reg.on.has(i) {
			continue
		}
		claimed := s.present.Has(i) || !f.IsZero(src)
		take, rule := claimed, s.rules[f.Name]
		if rule != ClaimWins && !f.IsZero(dst) {
			var err error
			if take, err = rule.settle(f, dst, src, claimed); err != nil {
				return err
			}
		}
		if take {
			f.Copy(dst, src)
		}
		if claimed || rule == ClaimOnly {
			client.dropTagged(f)
		}
	}
	for name, text := range s.Localized {
		client.localize(name, text)
	}
	return nil
}

// localize puts a claimed language-tagged form in the place of the request's,
// however that one spells the tag.
func (m *Metadata) localize(name, text string) {
	maps.DeleteFunc(m.Localized, func(own, _ string) bool { return strings.EqualFold(own, name) })
	put(&m.Localized, name, text)
}

// dropTagged removes the language-tagged forms that the request has of a
// claimed member: they would put another name in the place of the one that is
// vouched for.
func (m *Metadata) dropTagged(f *registered) {
	if f.Tag.Get("lang") == "" {
		return
	}
	for name := range m.Localized {
		if base, _, _ := strings.Cut(name, "#"); base == f.Name {
			delete(m.Localized, name)
		}
	}
}

// dropTaggedExtra does for a claimed extension member what dropTagged does for a
// registered one. Of a claimed name that has a tag itself, other spellings of the
// tag go. Those in kept are claimed too.
func (m *Metadata) dropTaggedExtra(name string, kept map[string]json.RawMessage) {
	maps.DeleteFunc(m.Extra, func(own string, _ json.RawMessage) bool {
		base, _, tagged := strings.Cut(own, "#")
		_, claimed := kept[own]
		return !claimed && (tagged && base == name || sameTagged(own, name))
	})
}

func (s *SoftwareStatement) mergeExtensions(reg *Registration) error {
	for _, name := range sortedKeys(s.Extra) {
		if !reg.declares(name) {
			continue
		}
		claimed, take := strictjson.Value(s.Extra[name]), true
		if plain, sent := reg.Client.Extra[name]; sent && s.rules[name] != ClaimWins {
			var err error
			if take, err = s.rules[name].choose(name, strictjson.Value(plain), claimed); err != nil {
				return err
			}
		}
		if take {
			put(&reg.Client.Extra, name, json.RawMessage(bytes.Clone(claimed)))
		}
		reg.Client.dropTaggedExtra(name, s.Extra)
	}
	for _, name := range sortedKeys(reg.Client.Extra) {
		if _, claimed := s.Extra[name]; claimed {
			continue
		}
		if s.rules[name] == ClaimOnly {
			return notClaimed(name)
		}
		if base, _, tagged := strings.Cut(name, "#"); tagged && s.rules[base] == ClaimOnly {
			delete(reg.Client.Extra, name)
		}
	}
	return nil
}

// settle decides about a member that the request has too: whether what is
// claimed replaces it.
func (rule StatementRule) settle(f *registered, dst, src *Metadata, claimed bool) (take bool, err error) {
	if !claimed {
		if rule == ClaimOnly {
			return false, notClaimed(f.Name)
		}
		return false, nil
	}
	plain, err := f.Append(nil, dst)
	if err != nil {
		return false, err
	}
	claim, err := f.Append(nil, src)
	if err != nil {
		return false, err
	}
	return rule.choose(f.Name, plain, claim)
}

// choose compares what a request says with what is claimed, and says whether
// what is claimed takes its place.
func (rule StatementRule) choose(name string, plain, claimed strictjson.Value) (take bool, err error) {
	said, ok := entries(name, plain)
	listed, claimedOK := entries(name, claimed)
	switch {
	case !ok || !claimedOK:
		if !sameJSON(plain, claimed) {
			return false, refuseMember(name, "claim", "must be as the software statement has it, or be left out")
		}
	case !within(said, listed):
		return false, refuseMember(name, "claim", "must not have an entry that the software statement does not have")
	case rule != ClaimBounds && !within(listed, said):
		return false, refuseMember(name, "claim", "must have the entries that the software statement has, or be left out")
	}
	return rule != ClaimBounds || !ok, nil
}

func notClaimed(name string) error {
	return refuseMember(name, "claim", "must come from the software statement, which does not have it")
}

// entries are the elements of a list of strings, or the scopes of scope.
func entries(name string, value strictjson.Value) (list []string, ok bool) {
	if name == "scope" {
		text, err := value.Text()
		return strings.Fields(text), err == nil
	}
	list, err := value.Texts()
	return list, err == nil
}

func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(entry string) bool { return !slices.Contains(all, entry) })
}

func sameJSON(a, b []byte) bool {
	var left, right any
	return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil && reflect.DeepEqual(left, right)
}

// recordStatement keeps with the client what it registered with.
func (reg *Registration) recordStatement() {
	if reg.Statement == nil {
		return
	}
	text := reg.Statement.Text
	if text == "" {
		text = reg.Request.SoftwareStatement
	}
	if text == "" && reg.Client.Statement != nil {
		return // an update under the stored one
	}
	claimed := reg.Statement.claimed()
	if stored := reg.Client.Statement; stored != nil && len(claimed) == 0 {
		claimed = stored.Members
	}
	reg.Client.Statement = &StatementRecord{
		Issuer: reg.Statement.Issuer, ID: reg.Statement.ID, Text: text, Hash: hashText(text), Members: claimed,
	}
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
