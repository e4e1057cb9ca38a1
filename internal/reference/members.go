package main

// The members: the fields of dcr.Metadata with their tags and their specifications,
// the switch and the rules of each, and the default that a server which supports
// everything answers.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// A metadataMember is one line of the page.
type metadataMember struct {
	name, typ, on, standard, spec string
	rules                         []string
}

// everything is a server that supports every feature.
var everything = dcr.Capabilities{
	ResponseModes:            []string{"query", "fragment", "form_post"},
	TokenEndpointAuthMethods: []string{"client_secret_basic", "none", "private_key_jwt", "tls_client_auth"},
	SubjectTypes:             []string{"public", "pairwise"},
	IDTokenSigningAlgs:       []string{"RS256"}, IDTokenEncryptionAlgs: []string{"RSA-OAEP"}, IDTokenEncryptionEncs: []string{"A128CBC-HS256"},
	UserinfoSigningAlgs: []string{"RS256"}, UserinfoEncryptionAlgs: []string{"RSA-OAEP"}, UserinfoEncryptionEncs: []string{"A128CBC-HS256"},
	ACRValues: []string{"1"}, RequestParameter: true, RequestURIParameter: true,
	RequestObjectSigningAlgs: []string{"RS256"}, RequestObjectEncAlgs: []string{"RSA-OAEP"}, RequestObjectEncEncs: []string{"A128CBC-HS256"},
	TLSClientCertificateBoundAccessTokens: true, PushedAuthorizationRequestEndpoint: "https://id.example.com/par",
	AuthorizationDetailsTypes: []string{"payment"}, DPoPSigningAlgs: []string{"ES256"},
	IntrospectionSigningAlgs: []string{"RS256"}, IntrospectionEncryptionAlgs: []string{"RSA-OAEP"}, IntrospectionEncryptionEncs: []string{"A128CBC-HS256"},
	AuthorizationSigningAlgs: []string{"RS256"}, AuthorizationEncryptionAlgs: []string{"RSA-OAEP"}, AuthorizationEncryptionEncs: []string{"A128CBC-HS256"},
	EndSessionEndpoint: "https://id.example.com/end", FrontchannelLogout: true, BackchannelLogout: true,
}

// standards are the members of the answer to a web client that sends a redirect URI
// and nothing else.
func standards() (map[string]json.RawMessage, error) {
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", AllowAnonymous: true, Validator: dcr.DefaultValidator{Supports: everything},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	request := httptest.NewRequest(http.MethodPost, "/connect/dcr", strings.NewReader(`{"redirect_uris":["https://app.example.com/callback"]}`))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	var members map[string]json.RawMessage
	if err := json.Unmarshal(answer.Body.Bytes(), &members); err != nil {
		return nil, err
	}
	if members["redirect_uris"] == nil {
		return nil, fmt.Errorf("the registration was refused: %s", answer.Body)
	}
	delete(members, "redirect_uris")
	return members, nil
}

// membersOf returns every member of dcr.Metadata.
func membersOf(root string, all []rule) ([]metadataMember, error) {
	files, err := parse(root)
	if err != nil {
		return nil, err
	}
	specs, features := specsIn(files), featuresIn(files)
	answered, err := standards()
	if err != nil {
		return nil, err
	}
	var members []metadataMember
	typ := reflect.TypeFor[dcr.Metadata]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		name := f.Tag.Get("json")
		if name == "" {
			continue
		}
		m := metadataMember{name: name, typ: jsonType(f.Type), on: "always", spec: specs[f.Name], standard: "none"}
		if on := f.Tag.Get("on"); on != "" {
			m.on = features[on]
		}
		if f.Tag.Get("lang") == "yes" {
			m.typ += ", with languages"
		}
		if value := answered[name]; value != nil {
			m.standard = "`" + string(bytes.TrimSpace(value)) + "`"
		}
		if m.on == "" || m.spec == "" {
			return nil, fmt.Errorf("the member %s has no switch or no specification in metadata.go", name)
		}
		for _, r := range all {
			if strings.HasPrefix(r.id, name+".") {
				m.rules = append(m.rules, r.id)
			}
		}
		members = append(members, m)
	}
	return members, nil
}

func jsonType(typ reflect.Type) string {
	switch {
	case typ == reflect.TypeFor[json.RawMessage]():
		return "object"
	case typ.Kind() == reflect.Slice:
		return "list"
	case typ.Kind() == reflect.Bool:
		return "boolean"
	case typ.Kind() == reflect.Pointer:
		return "number"
	}
	return "string"
}

// specsIn returns the specifications of the fields of Metadata, from the comment at the
// start of each group of fields.
func specsIn(files []*ast.File) map[string]string {
	specs := make(map[string]string)
	eachStruct(files, "Metadata", func(structure *ast.StructType) {
		spec := ""
		for _, field := range structure.Fields.List {
			if text := strings.TrimSpace(field.Doc.Text()); text != "" {
				spec, _, _ = strings.Cut(strings.TrimSuffix(strings.Join(strings.Fields(text), " "), "."), ": ")
			}
			for _, name := range field.Names {
				specs[name.Name] = spec
			}
		}
	})
	return specs
}

func eachStruct(files []*ast.File, name string, do func(*ast.StructType)) {
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			if typ, is := node.(*ast.TypeSpec); is && typ.Name.Name == name {
				if structure, is := typ.Type.(*ast.StructType); is {
					do(structure)
				}
			}
			return true
		})
	}
}

// featuresIn returns the switches of allFeatures, with the names of discovery.
func featuresIn(files []*ast.File) map[string]string {
	discovery := make(map[string]string)
	typ := reflect.TypeFor[dcr.Capabilities]()
	for i := range typ.NumField() {
		discovery[typ.Field(i).Name] = "`" + typ.Field(i).Tag.Get("json") + "`"
	}
	features := make(map[string]string)
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			spec, is := node.(*ast.ValueSpec)
			if !is || len(spec.Names) != 1 || spec.Names[0].Name != "allFeatures" {
				return true
			}
			for _, element := range spec.Values[0].(*ast.CompositeLit).Elts {
				pair := element.(*ast.CompositeLit).Elts
				name, _ := strconv.Unquote(pair[0].(*ast.BasicLit).Value)
				features[name] = conditionOf(pair[1], discovery)
			}
			return false
		})
	}
	return features
}

// conditionOf returns a condition on Capabilities in words, or "" if it cannot.
func conditionOf(expr ast.Expr, discovery map[string]string) string {
	const openID = "OpenID Connect is on"
	switch e := expr.(type) {
	case *ast.FuncLit:
		return conditionOf(e.Body.List[0].(*ast.ReturnStmt).Results[0], discovery)
	case *ast.SelectorExpr:
		if e.Sel.Name == "openID" {
			return openID
		}
		return discovery[e.Sel.Name] + " is true"
	case *ast.BinaryExpr:
		switch x, y := e.X, e.Y; e.Op.String() {
		case "&&":
			return conditionOf(x, discovery) + " and " + conditionOf(y, discovery)
		case "||":
			return conditionOf(x, discovery) + " or " + conditionOf(y, discovery)
		case "!=":
			return discovery[x.(*ast.SelectorExpr).Sel.Name] + " is set"
		}
	case *ast.CallExpr:
		if fun, is := e.Fun.(*ast.SelectorExpr); is && fun.Sel.Name == "Contains" {
			value, _ := strconv.Unquote(e.Args[1].(*ast.BasicLit).Value)
			return discovery[e.Args[0].(*ast.SelectorExpr).Sel.Name] + " has `" + value + "`"
		} else if is && fun.Sel.Name == "openID" {
			return openID
		}
	}
	return ""
}

// statusesIn returns the statuses of net/http that the code of a package names.
func statusesIn(root, dir string) (map[string]bool, error) {
	files, err := parse(filepath.Join(root, dir))
	given := make(map[string]bool)
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			if name, is := node.(*ast.SelectorExpr); is && strings.HasPrefix(name.Sel.Name, "Status") {
				if from, is := name.X.(*ast.Ident); is && from.Name == "http" && name.Sel.Name != "StatusText" {
					given[name.Sel.Name] = true
				}
			}
			return true
		})
	}
	return given, err
}
