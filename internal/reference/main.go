// Command reference writes docs/reference from the code: members, rules, statuses and
// options; and in the README who the library is tested against. A test fails while a page
// is not what it would write.
package main

import (
	"cmp"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
)

func main() {
	pages, err := write(".")
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range pages {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

const generated = "\n<!-- Written by go generate; edit the code, or internal/reference. -->\n"

// write returns the pages by the names of their files; root is the directory of the module.
func write(root string) (map[string]string, error) {
	all, err := rules(root)
	if err != nil {
		return nil, err
	}
	members, err := membersOf(root, all)
	if err != nil {
		return nil, err
	}
	options, err := optionsPage(root)
	if err != nil {
		return nil, err
	}
	readme, err := tested(root)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"docs/reference/members.md": membersPage(members), "docs/reference/rules.md": rulesPage(all),
		"docs/reference/statuses.md": statusesPage(), "docs/reference/options.md": options, "README.md": readme,
	}, nil
}

func membersPage(members []metadataMember) string {
	var page strings.Builder
	page.WriteString("# Members\n" + generated + `
Every member of client metadata that this library knows. A member is **on** as the
server's ` + "`Capabilities`" + ` say, in the words of its discovery document; OpenID Connect is on
where ` + "`subject_types_supported` or `id_token_signing_alg_values_supported`" + ` is there. A member that is
off counts as unknown: it is ignored, neither stored nor answered. The **default** is what a
web client gets that sends a redirect URI alone, at a server that supports everything. The
**rules** are those that name the member; see [rules](rules.md) for these and for those of
every member, such as ` + "`MEMBER.type`" + `.

`)
	spec := ""
	for _, m := range members {
		if m.spec != spec {
			spec = m.spec
			fmt.Fprintf(&page, "\n## %s\n\n| member | type | on where | default | rules |\n| --- | --- | --- | --- | --- |\n", spec)
		}
		rules := make([]string, len(m.rules))
		for i, id := range m.rules {
			rules[i] = fmt.Sprintf("[`%s`](rules.md#%s)", strings.TrimPrefix(id, m.name+"."), anchor(id))
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", m.name, m.typ, m.on, m.standard, strings.Join(rules, ", "))
	}
	return page.String()
}

func rulesPage(all []rule) string {
	var page strings.Builder
	page.WriteString("# Rules\n" + generated + `
Every refusal carries the id of the rule behind it: ` + "`Error.Rule`" + `, in the log, in
` + "`Event.Err`" + ` and in the metrics of telemetry, never in an answer. This page has each id
with what the answer says and what to do about it: what the registrant does, and after
*Operator* what the server's operator may. **MEMBER** stands for the name of any member: of
` + "`scope.type`" + ` read ` + "`MEMBER.type`" + `. "…" stands for what depends on the request or the server.
Rules that you write have ids of your own.

| rule | what it says | what to do |
| --- | --- | --- |
`)
	for _, r := range all {
		said := make([]string, len(r.sentences))
		for i, sentence := range r.sentences {
			said[i] = plain(sentence)
		}
		cure := strings.ReplaceAll(r.cure, "Operator:", "*Operator:*")
		fmt.Fprintf(&page, "| <a id=%q></a>`%s` | %s | %s |\n", anchor(r.id), r.id, cell(strings.Join(said, "; ")), cell(cure))
	}
	return page.String()
}

func statusesPage() string {
	var page strings.Builder
	page.WriteString("# Statuses\n" + generated + `
What the registration and management endpoints answer, ` + "`WriteError`" + `,
` + "`WriteInvalidClient`" + ` and ` + "`clientauth.WriteError`" + ` with them. Every answer from 400 on is JSON with
` + "`error` and `error_description`" + `; every answer is kept from caches but discovery.

| status | when |
| --- | --- |
`)
	for _, s := range statuses {
		fmt.Fprintf(&page, "| %d | %s |\n", s.code, s.when)
	}
	return page.String()
}

func optionsPage(root string) (string, error) {
	var page strings.Builder
	page.WriteString("# Options\n" + generated + `
Every field that a host may set, and what its zero value means. The package documentation
has the same words next to the types.
`)
	for _, s := range optionStructs {
		options, err := optionsOf(root, s.dir, s.name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&page, "\n## %s.%s\n\n%s\n\n| field | default | what it is |\n| --- | --- | --- |\n", s.pkg, s.name, s.what)
		for _, o := range options {
			what := strings.TrimPrefix(o.what, o.name+" is ")
			fmt.Fprintf(&page, "| `%s` | %s | %s |\n", o.name, cell(o.standard), cell(what))
		}
	}
	return page.String(), nil
}

var (
	verbs = regexp.MustCompile(`'?%(\.\d+)?[a-z]'?`)
	links = regexp.MustCompile(`\[(\*?[\w.]+)\]`)
)

// plain is a sentence with "…" for what its verbs put in.
func plain(sentence string) string {
	return strings.TrimSpace(verbs.ReplaceAllString(strings.ReplaceAll(sentence, "[%d]", "[…]"), "…"))
}

// cell is text that fits a table: what Go's documentation links is not a link here.
func cell(text string) string {
	text = links.ReplaceAllString(text, "$1")
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(cmp.Or(text, "…"))
}

// anchor is an id that may stand in a URL.
func anchor(id string) string { return strings.ReplaceAll(id, " ", "_") }
