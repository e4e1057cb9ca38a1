package main

// The options: the exported fields of the structs that a host fills in, with what
// their comments say of their defaults.

import (
	"fmt"
	"go/ast"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
)

// optionStructs are the structs of the page, in its order.
var optionStructs = []struct{ dir, pkg, name, what string }{
	{".", "dcr", "Options", "The handler: where it is, who may register, which credentials it issues, its hooks and its bounds."},
	{".", "dcr", "DefaultValidator", "What may be registered, together with Capabilities, whose fields are the members of the discovery document."},
	{".", "dcr", "Limits", "What a body may hold."},
	{".", "dcr", "CORS", "Which web pages may call."},
	{".", "dcr", "StatementVerifier", "Software statements."},
	{".", "dcr", "SignedRequestVerifier", "Registration requests that are signed."},
	{".", "dcr", "GuardedClient", "What is fetched for a stranger, and how."},
	{"clientauth", "clientauth", "Authenticator", "Client authentication at the token endpoint and its neighbours."},
	{"cimd", "cimd", "Options", "Clients that publish their metadata."},
	{"callerauth", "callerauth", "AccessTokenVerifier", "Callers by JWT access tokens."},
	{"callerauth", "callerauth", "IntrospectionVerifier", "Callers by opaque access tokens."},
	{"callerauth", "callerauth", "InitialAccessTokens", "Callers by initial access tokens."},
	{"memstore", "memstore", "Store", "The store in memory."},
	{"sqlstore", "sqlstore", "Options", "The stores in databases."},
	{"cachestore", "cachestore", "Options", "The cache before a store."},
	{"admin", "admin", "Admin", "What operators do."},
	{"admin", "admin", "PageOptions", "Pages for operators."},
	{"admin", "admin", "Janitor", "What deletes clients that nobody uses."},
	{"policy", "policy", "DenyList", "Who is not let in by policy.Deny."},
	{"policy", "policy", "DuendeLimits", "What policy.DuendeMembers lets clients ask for."},
}

// An option is one field.
type option struct{ name, standard, what string }

// optionsOf returns the fields of a struct; one whose comment does not say what its
// zero value means, and whose type does not either, is an error.
func optionsOf(root, dir, name string) ([]option, error) {
	files, err := parse(filepath.Join(root, dir))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		for _, declared := range file.Decls {
			types, is := declared.(*ast.GenDecl)
			if !is || types.Tok != token.TYPE {
				continue
			}
			for _, spec := range types.Specs {
				if typ := spec.(*ast.TypeSpec); typ.Name.Name == name {
					return fieldsOf(typ)
				}
			}
		}
	}
	return nil, fmt.Errorf("package %s has no type %s", dir, name)
}

func fieldsOf(typ *ast.TypeSpec) ([]option, error) {
	structure, is := typ.Type.(*ast.StructType)
	if !is {
		return nil, fmt.Errorf("%s is no struct", typ.Name)
	}
	var all []option
	said := "" // the comment of the field before, which may be of this one too
	for _, field := range structure.Fields.List {
		comment := strings.TrimSpace(field.Doc.Text())
		if comment == "" {
			comment = strings.TrimSpace(field.Comment.Text())
		}
		for _, name := range field.Names {
			if !name.IsExported() {
				continue
			}
			if comment == "" && strings.Contains(said, name.Name) {
				comment = said
			}
			one := option{name: name.Name, what: strings.Join(strings.Fields(comment), " ")}
			if one.standard = standardOf(one.what, field.Type); one.what == "" || one.standard == "" {
				return nil, fmt.Errorf("the comment of %s.%s must say what its zero value means, as in \"If zero, …\"", typ.Name, name.Name)
			}
			all = append(all, one)
		}
		said = comment
	}
	return all, nil
}

var (
	standardSaid = regexp.MustCompile(`(?i)\bif (?:nil|zero|empty|false), ([^.;]*(?:\.[^ ;][^.;]*)*)`)
	requiredSaid = regexp.MustCompile(`(?i)\brequired\b`)
)

// standardOf is what a comment, or else the type, says of the zero value.
func standardOf(comment string, typ ast.Expr) string {
	said := standardSaid.FindStringSubmatch(comment)
	switch t := typ.(type) {
	case *ast.Ident:
		if t.Name == "bool" {
			return "false"
		}
		if said == nil && t.Name == "Limits" {
			return "the defaults of Limits"
		}
		if said == nil && (t.Name == "CORS" || t.Name == "Capabilities") {
			return "its zero value"
		}
		if said == nil && t.Name == "string" && !requiredSaid.MatchString(comment) {
			return "none"
		}
	case *ast.ArrayType, *ast.MapType:
		if said == nil && !requiredSaid.MatchString(comment) {
			return "none"
		}
	case *ast.SelectorExpr:
		if said == nil && t.Sel.Name == "Limits" {
			return "the defaults of dcr.Limits"
		}
	}
	switch {
	case said != nil:
		return strings.TrimSpace(said[1])
	case requiredSaid.MatchString(comment):
		return "required"
	}
	return ""
}
