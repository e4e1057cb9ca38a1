package main

// Which web pages may register.

import "github.com/dynreg/dcr"

// pages is the flag -cors, which needs no value.
type pages dcr.CORS

// IsBoolFlag says so to package flag.
func (p *pages) IsBoolFlag() bool { return true }

// String is asked for the default.
func (p *pages) String() string { return "" }

// Set takes an origin, or "true" where there is none.
func (p *pages) Set(origin string) error {
	switch origin {
	case "true", "*":
		p.AnyOrigin = true
	case "false":
	default:
		p.Origins = append(p.Origins, origin)
	}
	return nil
}
