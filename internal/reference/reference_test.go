package main

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

func TestThePagesAreCurrent(t *testing.T) {
	pages, err := write(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		stands, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || string(stands) != text {
			t.Errorf("%s differs from the code (%v): run go generate", name, err)
		}
	}
}

// A rule in a new line of code is found, so that its cure is missed.
func TestANewRuleLacksItsCure(t *testing.T) {
	for _, code := range []string{
		`package dcr; func f() error { return refuseMember("scope", "novel", "must be new") }`,
		`package dcr; func f() error { return &Error{Rule: "scope.novel", Description: "scope must be new"} }`,
		`package dcr; func f() error { refused := Errorf(InvalidScope, "scope must be new"); refused.Rule = "scope.novel"; return refused }`,
		`package dcr; func f() error { rule, sentence := "scope.novel", "scope must be new"; return g(rule, sentence) }`,
		`package policy; func f() error { return refuse("scope", "novel", "scope must be new") }`,
		`package cimd; func f() error { return refuse("scope.novel", "scope must be new") }`,
		`package clientauth; func f() error { return refuse("novel", errNew) }`,
		`package jwt; func f() *Fault { return &Fault{Rule: "novel", Sentence: "must be new"} }`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "novel.go"), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		found := make(map[string]*rule)
		if err := collect(dir, found); err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Errorf("no rule was found in %s", code)
		}
		for id := range found {
			if !strings.HasSuffix(id, "novel") {
				t.Errorf("the rule %s was found in %s", id, code)
			}
		}
	}
}

// The names in the cures are declared.
func TestCuresNameWhatIsThere(t *testing.T) {
	declared := map[string]bool{"policy": true, "cimd": true, "callerauth": true, "admin": true, "MEMBER": true}
	for _, dir := range append([]string{"memstore", "sqlstore"}, ruleDirs...) {
		files, err := parse(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			ast.Inspect(file, func(node ast.Node) bool {
				switch n := node.(type) {
				case *ast.FuncDecl:
					declared[n.Name.Name] = true
				case *ast.TypeSpec:
					declared[n.Name.Name] = true
				case *ast.Field:
					for _, name := range n.Names {
						declared[name.Name] = true
					}
				}
				return true
			})
		}
	}
	for _, name := range regexp.MustCompile(`\b(?:[A-Z]\w+|policy|cimd|callerauth|admin)(?:\.[A-Z]\w+)+`).FindAllString(ruleText, -1) {
		for part := range strings.SplitSeq(name, ".") {
			if !declared[part] {
				t.Errorf("rules.txt names %s, but %s is not declared", name, part)
			}
		}
	}
}

func TestEveryStatusIsThere(t *testing.T) {
	known := make(map[string]bool)
	for _, s := range statuses {
		known[s.name] = true
	}
	for _, dir := range statusDirs {
		given, err := statusesIn(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		for name := range given {
			if !known[name] && !notAnswered[name] {
				t.Errorf("package %s answers http.%s, which docs/reference/statuses.md does not have", dir, name)
			}
		}
	}
}

// A log can be searched for a rule without quotation marks.
func TestRulesAreWords(t *testing.T) {
	found := make(map[string]*rule)
	for _, dir := range ruleDirs {
		if err := collect(filepath.Join(root, dir), found); err != nil {
			t.Fatal(err)
		}
	}
	word := regexp.MustCompile(`^[a-zA-Z0-9_#.]+$`)
	for id := range found {
		if !word.MatchString(id) {
			t.Errorf("the rule %q is not one word", id)
		}
	}
}
