// Command reference generates docs/reference from the code (members, rules, statuses and
// options) and the tables of the README that say what the library is tested against. A
// test fails if a page differs from what it would write.
package main

import (
	"cmp"
	"fmt"
	"log"
	"os"
	"regexp"
	"slices"
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

// write returns the pages by file name; root is the directory of the module.
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
This page lists every member of client metadata that this library knows.

* **type** is the JSON type. "With languages" means that the member may also be sent with a
  language tag, as in ` + "`client_name#de`" + `.
* **on if** says which of the server's ` + "`Capabilities`" + ` turn the member on, by their names in the
  discovery document. A member that is off is unknown to the server: it is ignored, not stored,
  and not in the answer. OpenID Connect is on if ` + "`subject_types_supported`" + ` or
  ` + "`id_token_signing_alg_values_supported`" + ` is set.
* **default** is what a web client gets if it sends only a redirect URI, at a server that
  supports everything.
* **rules** are the rules about this member alone, without their prefix. See [rules](rules.md)
  for these and for the rules about any member, such as ` + "`MEMBER.type`" + `.
`)
	spec := ""
	for _, m := range members {
		if m.spec != spec {
			spec = m.spec
			fmt.Fprintf(&page, "\n## %s\n\n| member | type | on if | default | rules |\n| --- | --- | --- | --- | --- |\n", spec)
		}
		rules := make([]string, len(m.rules))
		for i, id := range m.rules {
			rules[i] = fmt.Sprintf("[`%s`](rules.md#%s)", strings.TrimPrefix(id, m.name+"."), id)
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", m.name, m.typ, m.on, m.standard, strings.Join(rules, ", "))
	}
	return page.String()
}

func rulesPage(all []rule) string {
	var page strings.Builder
	page.WriteString("# Rules\n" + generated + `
This page lists every rule that can refuse a request, by its id. The id is in the log, in
` + "`Error.Rule` and `AuthorizationError.Rule`" + `, in ` + "`Event.Err`" + ` and in the metrics of telemetry,
but not in the answer. If you have only the answer, look for its ` + "`error_description`" + ` in the
second column. Rules that you write have [ids of your own](../reference.md).

* **MEMBER** stands for the name of any member: for ` + "`scope.type`" + `, read ` + "`MEMBER.type`" + `.
* "…" stands for a part that depends on the request or the server.
* The last column says what the registrant can do and then, after *Operator*, what the
  operator of the server can do. A name alone is the setting that decides.

`)
	for _, section := range sections {
		fmt.Fprintf(&page, "* [%s](#%s)\n", section.title, strings.ReplaceAll(strings.ToLower(section.title), " ", "-"))
	}
	for _, section := range sections {
		fmt.Fprintf(&page, "\n## %s\n\n| rule | sentence in the answer | what to do |\n| --- | --- | --- |\n", section.title)
		for _, r := range all {
			if sectionOf(r.id) == section.title {
				page.WriteString(ruleRow(r))
			}
		}
	}
	return page.String()
}

func ruleRow(r rule) string {
	said := make([]string, len(r.sentences))
	for i, sentence := range r.sentences {
		said[i] = cell(plain(sentence))
	}
	cure := strings.ReplaceAll(r.cure, "Operator:", "*Operator:*")
	return fmt.Sprintf("| <a id=%q></a>`%s` | %s | %s |\n", r.id, r.id, strings.Join(said, "<br>"), cell(cure))
}

// sections are the parts of the page of rules. A rule is in the first that has the
// part of its id before the dot; the one without such parts has all others.
var sections = []struct {
	title  string
	begins []string
}{
	{"Any member", []string{"MEMBER"}},
	{"Single members", nil},
	{"Software statements", []string{"software_statement"}},
	{"Signed requests", []string{"request"}},
	{"Policies", []string{"policy", "settings"}},
	{"Metadata documents", []string{"client_id", "document"}},
	{"The request and its body", []string{"body", "query", "update", "registration"}},
	{"Callers and access tokens", []string{"caller", "token", "introspection"}},
	{"The authorize endpoint", []string{"authorization"}},
	{"The token endpoint", []string{"client", "code_verifier", "keys"}},
	{"The server", []string{"server", "store"}},
}

func sectionOf(id string) string {
	begin, _, _ := strings.Cut(id, ".")
	rest := ""
	for _, section := range sections {
		if slices.Contains(section.begins, begin) {
			return section.title
		}
		if section.begins == nil {
			rest = section.title
		}
	}
	return rest
}

func statusesPage() string {
	var page strings.Builder
	page.WriteString("# Statuses\n" + generated + `
This page lists the statuses that the registration and management endpoints send, and those that
` + "`WriteError`, `WriteInvalidClient` and `clientauth.WriteError`" + ` send at other endpoints. An answer with a status from
400 on is JSON with ` + "`error` and `error_description`" + `, except the 404 of discovery. No answer
may be cached, except the discovery document.

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
This page lists every field that a host may set: a host is the server that uses this library.
"Default" says what a field means if you do not set it. The package documentation has the same
text.

`)
	for _, s := range optionStructs {
		name := s.pkg + "." + s.name
		fmt.Fprintf(&page, "* [%s](#%s)\n", name, strings.ToLower(strings.ReplaceAll(name, ".", "")))
	}
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

// plain returns a sentence with "…" in place of its formatting verbs.
func plain(sentence string) string {
	return strings.TrimSpace(verbs.ReplaceAllString(strings.ReplaceAll(sentence, "[%d]", "[…]"), "…"))
}

// cell returns text for a cell of a table, without the links of Go's documentation.
func cell(text string) string {
	text = links.ReplaceAllString(text, "$1")
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(cmp.Or(text, "…"))
}
