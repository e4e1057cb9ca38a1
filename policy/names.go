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

// nameLook reads a name in the list of a rule. It panics if the name has no
// visible characters, since every name would contain it.
func nameLook(rule, name string) confusable.Look {
	look := confusable.Of(name)
	if look.IsEmpty() {
		panic(fmt.Sprintf("policy: %s: the client name %q is empty; leave it out", rule, name))
	}
	return look
}

// ReservedNames reserves client names for their owners. names maps each name to
// the hosts that it belongs to, such as "example.com" and "*.example.com". If a
// client_name, in any language, contains one of the names or something that
// looks like it, by the comparison of [Deny], the client is refused unless it
// is on those hosts ([dcr.Client.IsAt]). A name without hosts is for no client.
// Pass the same list to [dcr.ConsentOptions], for the warnings of a consent
// page.
//
// It panics on an invalid host or one that is not ASCII, and on an empty name.
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
				return refuse(member, "reserved_names", "%s must not have the name of somebody else; choose another one, or use redirect URIs on the web site of its owner", member)
			}
		}
	}
	return nil
}

// ReadableNames says which characters the names that people read may have
// (client_name and the extension members that may have a language tag, in every
// language), in place of the default, [dcr.ReadableRune]. The default always
// applies to contacts, software_id and software_version. It panics on nil.
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

// ValidateSoftwareStatement comes before every step that reads a name. If two
// rules are stacked, both must allow a character.
func (n readableNames) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if outer := reg.Readable; outer == nil {
		reg.Readable = n.allowed
	} else {
		reg.Readable = func(r rune) bool { return outer(r) && n.allowed(r) }
	}
	return n.Validator.ValidateSoftwareStatement(ctx, reg)
}
