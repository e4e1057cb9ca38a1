package main

// Which web pages may register.

import "github.com/dynreg/dcr"

// pages is the flag -cors, which needs no value.
type pages dcr.CORS

// IsBoolFlag tells package flag that no value is needed.
func (p *pages) IsBoolFlag() bool { return true }

// String returns the default, which is empty.
func (p *pages) String() string { return "" }

// Set adds an origin. Without a value, package flag passes "true".
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
