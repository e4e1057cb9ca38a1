// Package spec has the tests that read like a specification: each rule is a
// sentence, with a request to a handler and the expected answer. It has no code
// of its own.
package spec
