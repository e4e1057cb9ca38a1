package main

// The options: the exported fields of the structs that a host fills in, with the
// defaults that their comments name.

import (
	"fmt"
	"go/ast"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
)

// optionStructs are the structs of the page, in order.
var optionStructs = []struct{ dir, pkg, name, what string }{
	{".", "dcr", "Options", "The options of the handler: its URL, who may register, which credentials it issues, its hooks and its limits."},
	{".", "dcr", "DefaultValidator", "What may be registered. The fields of Supports are not listed here: they are the members of the discovery document."},
	{".", "dcr", "Limits", "What a body may contain."},
	{".", "dcr", "CORS", "Which web pages may call the endpoints."},
	{".", "dcr", "StatementVerifier", "Software statements."},
	{".", "dcr", "SignedRequestVerifier", "Signed registration requests."},
	{".", "dcr", "GuardedClient", "How URLs that registrants name are fetched."},
	{"clientauth", "clientauth", "Authenticator", "Client authentication at the token, revocation, introspection and pushed authorization request endpoints."},
	{"cimd", "cimd", "Options", "Clients that publish their metadata."},
	{"callerauth", "callerauth", "AccessTokenVerifier", "Callers with JWT access tokens."},
	{"callerauth", "callerauth", "IntrospectionVerifier", "Callers with opaque access tokens."},
	{"callerauth", "callerauth", "InitialAccessTokens", "Callers with initial access tokens."},
	{"memstore", "memstore", "Store", "The store in memory."},
	{"sqlstore", "sqlstore", "Options", "The stores in databases."},
	{"cachestore", "cachestore", "Options", "The cache in front of a store."},
	{"admin", "admin", "Admin", "What operators do."},
	{"admin", "admin", "PageOptions", "Pages for operators."},
	{"admin", "admin", "Janitor", "How unused clients are deleted."},
	{"policy", "policy", "DenyList", "The clients that policy.Deny refuses."},
	{"policy", "policy", "DuendeLimits", "What policy.DuendeMembers allows."},
}

// An option is one field.
type option struct{ name, standard, what string }

// optionsOf returns the fields of a struct. It is an error if neither the comment nor
// the type of a field says what its zero value means.
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
		return nil, fmt.Errorf("%s is not a struct", typ.Name)
	}
	var all []option
	said := "" // the comment of the previous field, which may be about this one too
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

// standardOf returns what a comment, or else the type, says about the zero value.
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
		if said == nil && t.Name == "CORS" {
			return "no web page may call the endpoints"
		}
		if said == nil && t.Name == "Capabilities" {
			return "strict defaults"
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
