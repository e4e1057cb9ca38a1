package main

// The rules: every place in the source that makes a refusal, found in the syntax tree,
// with its id and sentence, and the cure of each from rules.txt.

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A maker is a function that makes a refusal. The id is prefix followed by the argument
// at index rule. The sentence is lead followed by the argument at index says.
type maker struct {
	prefix     string
	rule, says int // -1: there is none
	lead       string
}

// makers are the functions that make refusals, by package and name. A rule is where they
// are called, not what they pass on.
var makers = map[string]maker{
	"dcr.refuse":                 {"", 2, 3, ""},
	"dcr.refuseMember":           {"MEMBER.", 1, 2, "MEMBER "},
	"dcr.RefuseToken":            {"token.", 0, -1, ""},
	"dcr.fault":                  {"MEMBER.", 0, 1, "MEMBER "}, // closures that judge a URI
	"dcr.invalidStatement":       {"software_statement.", 0, 1, "software_statement "},
	"dcr.badRequestJWT":          {"request.", 0, 1, "the signed request "},
	"dcr.refuseAuthorization":    {"authorization.", 1, 2, ""},
	"policy.refuse":              {"policy.", 1, 2, ""},
	"policy.destination.refuse":  {"policy.", 0, 1, "MEMBER "},
	"policy.refuseStatement":     {"policy.require_statement", -1, 1, ""},
	"policy.refuseTool":          {"policy.lti", -1, 0, "https://purl.imsglobal.org/spec/lti-tool-configuration "},
	"policy.refuseSetting":       {"MEMBER.", 1, 2, ""},
	"policy.hearing.refuse":      {"MEMBER.", 0, 1, "MEMBER "},
	"cimd.refuse":                {"", 0, 1, ""},
	"callerauth.refuse":          {}, // a fault of jwt
	"clientauth.refuse":          {"client.", 0, -1, ""},
	"clientauth.invalidRequest":  {"client.request", -1, 0, ""},
	"jwt.fault":                  {"", 0, -1, ""},
	"callerauth.dcr.RefuseToken": {"token.", 0, -1, ""},
	"clientauth.dcr.RefuseToken": {"token.", 0, -1, ""},
	"dcr.statementFault":         {},
	"dcr.requestFault":           {},
}

// tokenFaults has, by kind of token, the faults of package jwt whose id is different for
// that kind.
var tokenFaults = map[string]map[string]string{
	"software_statement.": {"terms": "claims"},
	"request.":            {"terms": "claims"},
	"token.":              {"terms": "time_or_audience", "crit": "algorithm"},
}

// ruleDirs are the packages that refuse.
var ruleDirs = []string{".", "policy", "cimd", "callerauth", "clientauth", "extension", "admin", "telemetry", "internal/jwt"}

// A rule is one id, with the sentences of its refusals.
type rule struct {
	id        string
	sentences []string
	cure      string
}

//go:embed rules.txt
var ruleText string

// rules returns every rule of the source below root, with its cure. An error names the
// rules that rules.txt lacks, and those that are only in rules.txt.
func rules(root string) ([]rule, error) {
	found := make(map[string]*rule)
	for _, dir := range ruleDirs {
		if err := collect(filepath.Join(root, dir), found); err != nil {
			return nil, err
		}
	}
	cures, says, err := readCures(ruleText)
	if err != nil {
		return nil, err
	}
	var wrong []error
	for id, r := range found {
		r.cure = cures[id]
		if r.cure == "" {
			wrong = append(wrong, fmt.Errorf("internal/reference/rules.txt lacks the rule %s, which says %q", id, r.sentences))
		}
		if own := says[id]; own != "" {
			r.sentences = []string{own}
		}
		if len(r.sentences) == 0 {
			wrong = append(wrong, fmt.Errorf("internal/reference/rules.txt must say what the rule %s refuses: its sentence is not in one place of the code", id))
		}
	}
	for id := range cures {
		if found[id] == nil {
			wrong = append(wrong, fmt.Errorf("internal/reference/rules.txt has the rule %s, which no code has", id))
		}
	}
	all := make([]rule, 0, len(found))
	for _, id := range slices.Sorted(maps.Keys(found)) {
		all = append(all, *found[id])
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return all, errors.Join(wrong...)
}

// readCures reads paragraphs of "id", "! cure" and, if the code does not have the
// sentence in one place, "= sentence".
func readCures(text string) (cures, says map[string]string, err error) {
	cures, says = make(map[string]string), make(map[string]string)
	id := ""
	for i, line := range strings.Split(text, "\n") {
		cure, isCure := strings.CutPrefix(line, "! ")
		sentence, isSentence := strings.CutPrefix(line, "= ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case isCure:
			cures[id] = cure
		case isSentence:
			says[id] = sentence
		case cures[line] != "":
			return nil, nil, fmt.Errorf("rules.txt:%d: %s is there twice", i+1, line)
		default:
			id = line
		}
	}
	return cures, says, nil
}

// collect finds the rules of the package in dir.
func collect(dir string, found map[string]*rule) error {
	packages, err := parse(dir)
	if err != nil {
		return err
	}
	for _, file := range packages {
		c := collector{pkg: file.Name.Name, found: found}
		ast.Inspect(file, c.visit)
	}
	return nil
}

// parse returns the files of a package, without its tests.
func parse(dir string) ([]*ast.File, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err == nil && len(names) == 0 {
		err = fs.ErrNotExist
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, err
}

type collector struct {
	pkg   string
	found map[string]*rule
}

func (c *collector) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.FuncDecl:
		_, makes := makers[c.pkg+"."+receiver(n)+n.Name.Name]
		return !makes
	case *ast.CallExpr:
		c.call(n)
	case *ast.AssignStmt:
		c.assignment(n)
	case *ast.CompositeLit:
		c.literal(n)
	}
	return true
}

// assignment finds a rule that is assigned to an Error, or to a variable for one.
func (c *collector) assignment(n *ast.AssignStmt) {
	for i, to := range n.Lhs {
		field, isField := to.(*ast.SelectorExpr)
		name, isName := to.(*ast.Ident)
		switch {
		case isField && field.Sel.Name == "Rule" && len(n.Lhs) == len(n.Rhs):
			c.add(idOf(n.Rhs[i]), "")
		case isName && name.Name == "rule" && c.pkg == "dcr" && len(n.Lhs) == 2 && len(n.Rhs) == 2:
			c.add(idOf(n.Rhs[i]), textOf(n.Rhs[1])) // rule, sentence = …
		}
	}
}

// literal finds a rule in a composite literal of an Error.
func (c *collector) literal(lit *ast.CompositeLit) {
	id, sentence := "", ""
	for _, element := range lit.Elts {
		pair, is := element.(*ast.KeyValueExpr)
		if !is {
			continue
		}
		switch key, _ := pair.Key.(*ast.Ident); {
		case key == nil:
		case key.Name == "Rule":
			id = idOf(pair.Value)
		case key.Name == "rule" && c.pkg == "policy":
			id = "policy." + idOf(pair.Value)
		case key.Name == "want":
			sentence = "MEMBER " + textOf(pair.Value)
		case key.Name == "Description" || key.Name == "Sentence":
			sentence = textOf(pair.Value)
		}
	}
	if id != "" {
		c.add(id, sentence)
	}
}

// call finds a rule in a call of a maker.
func (c *collector) call(call *ast.CallExpr) {
	name := ""
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		name = fun.Name
	case *ast.SelectorExpr:
		x, _ := fun.X.(*ast.Ident)
		switch {
		case x == nil:
			return
		case x.Name == "d" && c.pkg == "policy" || x.Name == "to" && c.pkg == "policy":
			name = "destination." + fun.Sel.Name
		case x.Name == "h" && c.pkg == "policy":
			name = "hearing." + fun.Sel.Name
		default:
			name = x.Name + "." + fun.Sel.Name
		}
	}
	m, is := makers[c.pkg+"."+name]
	if !is || m == (maker{}) || m.rule < 0 && m.says < 0 {
		return
	}
	id, sentence := m.prefix, ""
	if m.rule >= 0 {
		if m.rule >= len(call.Args) {
			return
		}
		id += idOf(call.Args[m.rule])
	}
	if strings.HasPrefix(id, "MEMBER.") { // where the member is in the call
		if own := idOf(call.Args[0]); own != "MEMBER" && m.rule > 0 {
			id = own + strings.TrimPrefix(id, "MEMBER")
			m.lead = strings.ReplaceAll(m.lead, "MEMBER", own)
		}
	}
	if m.says >= 0 && m.says < len(call.Args) {
		sentence = textOf(call.Args[m.says])
	}
	if sentence != "" {
		sentence = m.lead + sentence
	}
	c.add(id, sentence)
}

func (c *collector) add(id, sentence string) {
	ids := []string{id}
	if c.pkg == "jwt" {
		ids, sentence = nil, ""
		for prefix, names := range tokenFaults {
			ids = append(ids, prefix+cmp.Or(names[id], id))
		}
	}
	for _, id := range ids {
		if strings.HasSuffix(id, ".PASSED") || id == "PASSED" {
			continue // the id comes from a call that is found elsewhere
		}
		if c.found[id] == nil {
			c.found[id] = &rule{id: id}
		}
		if r := c.found[id]; sentence != "" && !slices.Contains(r.sentences, sentence) {
			r.sentences = append(r.sentences, sentence)
		}
	}
}

// idOf returns an id, or a part of one. A variable is the name of a member, or a rule
// that is passed on.
func idOf(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return idOf(e.X) + idOf(e.Y)
	case *ast.CallExpr: // cmp.Or: its last argument is the default
		if len(e.Args) > 0 {
			return idOf(e.Args[len(e.Args)-1])
		}
	case *ast.Ident:
		switch e.Name {
		case "rule", "fault":
			return "PASSED"
		case "methodMember":
			return "token_endpoint_auth_method"
		}
		return "MEMBER"
	case *ast.SelectorExpr:
		if e.Sel.Name == "Rule" || e.Sel.Name == "rule" {
			return "PASSED"
		}
		return "MEMBER"
	}
	return "PASSED"
}

// textOf returns a sentence, or "" if it is not a literal.
func textOf(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		if strings.Trim(text, "% svq") == "" {
			return ""
		}
		return text
	case *ast.BinaryExpr:
		x, y := textOf(e.X), textOf(e.Y)
		if x == "" || y == "" {
			return x + "…" + y
		}
		return x + y
	case *ast.Ident:
		if e.Name == "unreadable" {
			return "must not contain bidirectional embeddings, overrides or isolates, line separators or tag characters"
		}
	}
	return ""
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	typ := f.Recv.List[0].Type
	if star, is := typ.(*ast.StarExpr); is {
		typ = star.X
	}
	if name, is := typ.(*ast.Ident); is {
		return name.Name + "."
	}
	return ""
}
