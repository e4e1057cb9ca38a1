package policy

// RFC 7591 §2.2 and §5: what a client may call itself.

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/confusable"
)

// clientNames yields client_name in every language, in a fixed order.
func clientNames(c *dcr.Client) iter.Seq2[string, string] {
	return func(yield func(member, text string) bool) {
		if !yield("client_name", c.ClientName) {
			return
		}
		for _, member := range sortedNames(c.Localized) {
			if strings.HasPrefix(member, "client_name#") && !yield(member, c.Localized[member]) {
				return
			}
		}
	}
}

// nameLook reads a name in the list of a rule. It panics where there is nothing
// to see, which every name would have in it.
func nameLook(rule, name string) confusable.Look {
	look := confusable.Of(name)
	if look.IsEmpty() {
		panic(fmt.Sprintf("policy: %s: the client name %q is empty; leave it out", rule, name))
	}
	return look
}

// ReservedNames keeps client names for those that they belong to: names has, by
// name, the hosts that it belongs to, such as "example.com" and
// "*.example.com". A client_name, in any language, that has something in it
// which looks like one of the names, by the comparison of [Deny], is refused
// unless the client is on these hosts, as [dcr.Client.IsAt] has it. A name
// without hosts is nobody's. A consent page warns by the same list, in
// [dcr.ConsentOptions].
//
// It panics on a host that is none or is not ASCII, and on an empty name.
func ReservedNames(names map[string][]string) Rule {
	var list []reservedName
	for name, hosts := range names {
		list = append(list, reservedName{nameLook("ReservedNames", name), hostList("ReservedNames", hosts)})
	}
	return func(inner dcr.Validator) dcr.Validator { return reservedNames{inner, list} }
}

type reservedName struct {
	look  confusable.Look
	hosts []string
}

type reservedNames struct {
	dcr.Validator
	list []reservedName
}

// ValidateClient judges the finished client.
func (r reservedNames) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := r.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	for member, text := range clientNames(reg.Client) {
		look := confusable.Of(text)
		for _, name := range r.list {
			if look.Has(name.look) && !reg.Client.IsAt(name.hosts) {
				return refuse(member, "reserved_names", "%s is the name of somebody else; choose another one, or redirect to that one's web site", member)
			}
		}
	}
	return nil
}

// ReadableNames says which characters the names that people read may have
// (client_name and the extension members that may carry a language tag, in
// every language), in the place of the default, [dcr.ReadableRune]. contacts,
// software_id and software_version are always held to the default. It panics on
// nil.
func ReadableNames(allowed func(r rune) bool) Rule {
	if allowed == nil {
		panic("policy: ReadableNames: allowed is nil; give dcr.ReadableRune, or leave the rule out")
	}
	return func(inner dcr.Validator) dcr.Validator { return readableNames{inner, allowed} }
}

type readableNames struct {
	dcr.Validator
	allowed func(r rune) bool
}

// ValidateSoftwareStatement comes before every step that reads a name. Where
// two rules are stacked, a character must do for both.
func (n readableNames) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if outer := reg.Readable; outer == nil {
		reg.Readable = n.allowed
	} else {
		reg.Readable = func(r rune) bool { return outer(r) && n.allowed(r) }
	}
	return n.Validator.ValidateSoftwareStatement(ctx, reg)
}
