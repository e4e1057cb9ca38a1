// Package spec holds the tests that read as the specification: each rule is a
// sentence, held by a request to a handler and what it answers. It has no code
// of its own.
package spec
