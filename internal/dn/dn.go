// Package dn reads distinguished names as RFC 4514 writes them, and compares
// them as RFC 4517 section 4.2.15 does (distinguishedNameMatch).
package dn

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrForm says that a text is not a distinguished name.
var ErrForm = errors.New("must be a distinguished name as in RFC 4514, such as CN=client,O=Example")

// DN is a distinguished name: its relative names in the order of the text,
// which is the reverse of the order in a certificate.
type DN []RDN

// RDN is a relative name: one attribute, rarely more. Their order does not
// matter.
type RDN []Attribute

// Attribute is a type and its value.
type Attribute struct {
	Type    string // in upper case: a short name such as CN, or a dotted OID
	Value   string // unescaped; for a value written as #hex, the string that it encodes, or "" if it encodes something else
	Encoded []byte // the BER of a value that was written as #hex, else nil
}

// Parse reads a distinguished name. Blanks around a type and a value are
// ignored. The error is ErrForm.
func Parse(text string) (DN, error) {
	var name DN
	for relative := range split(text, ',') {
		var rdn RDN
		for written := range split(relative, '+') {
			attribute, err := parseAttribute(written)
			if err != nil {
				return nil, err
			}
			rdn = append(rdn, attribute)
		}
		name = append(name, rdn)
	}
	return name, nil
}

// OfCertificate reads the subject of a certificate, encoded as in RFC 5280
// section 4.1.2.4, and returns it in the order of the text form. The error is
// ErrForm.
func OfCertificate(rawSubject []byte) (DN, error) {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type relativeSET []attribute // encoding/asn1 recognizes a SET by the suffix of the type's name
	var encoded []relativeSET
	if rest, err := asn1.Unmarshal(rawSubject, &encoded); err != nil || len(rest) > 0 {
		return nil, ErrForm
	}
	var name DN
	for _, relative := range slices.Backward(encoded) {
		var rdn RDN
		for _, a := range relative {
			read := Attribute{Type: a.Type.String(), Encoded: a.Value.FullBytes}
			if _, err := asn1.Unmarshal(read.Encoded, &read.Value); err != nil {
				read.Value = ""
			}
			rdn = append(rdn, read)
		}
		name = append(name, rdn)
	}
	return name, nil
}

// split yields the parts of text between separators that are not escaped with a
// backslash.
func split(text string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		from := 0
		for i := 0; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case separator:
				if !yield(text[from:i]) {
					return
				}
				from = i + 1
			}
		}
		yield(text[from:])
	}
}

func parseAttribute(written string) (a Attribute, err error) {
	kind, value, found := strings.Cut(written, "=")
	kind, value = strings.TrimSpace(kind), strings.TrimLeft(value, " ")
	if !found || !isType(kind) {
		return a, ErrForm
	}
	a.Type = strings.ToUpper(kind)
	if digits, encoded := strings.CutPrefix(value, "#"); encoded {
		if a.Encoded, err = hex.DecodeString(digits); err != nil || digits == "" {
			return a, ErrForm
		}
		if rest, err := asn1.Unmarshal(a.Encoded, &a.Value); err != nil || len(rest) > 0 {
			a.Value = ""
		}
		return a, nil
	}
	a.Value, err = unescape(value)
	return a, err
}

// isType accepts a keyword or a dotted OID.
func isType(name string) bool {
	if name == "" {
		return false
	}
	oid := isDigit(name[0])
	for _, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if oid && !isDigit(c) && c != '.' || !oid && !letter && !isDigit(c) && c != '-' {
			return false
		}
	}
	return !oid || !strings.Contains(name, "..") && !strings.HasSuffix(name, ".")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// unescape reads a value that is written as a string. Blanks at its end are
// ignored unless they are escaped with a backslash.
func unescape(text string) (string, error) {
	value, end := make([]byte, 0, len(text)), 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', ';', '<', '>', 0:
			return "", ErrForm
		case '\\':
			if i++; i == len(text) {
				return "", ErrForm
			}
			if octet, err := hex.DecodeString(text[i:min(i+2, len(text))]); err == nil {
				value = append(value, octet...)
				i++
			} else {
				value = append(value, text[i])
			}
			end = len(value)
		default:
			if value = append(value, c); c != ' ' {
				end = len(value)
			}
		}
	}
	return string(value[:end]), nil
}

// Equal reports whether two names are the same: the same relative names in the
// same order. Values are compared regardless of case, and several blanks count
// as one. A short name equals its OID, and a string equals its encoding.
func (d DN) Equal(other DN) bool { return slices.EqualFunc(d, other, RDN.equal) }

func (r RDN) equal(other RDN) bool {
	if len(r) != len(other) {
		return false
	}
	left := slices.Clone(other)
	for _, attribute := range r {
		i := slices.IndexFunc(left, attribute.equal)
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

func (a Attribute) equal(other Attribute) bool {
	if a.oid() != other.oid() {
		return false
	}
	if a.opaque() || other.opaque() {
		return bytes.Equal(a.Encoded, other.Encoded)
	}
	if !utf8.ValidString(a.Value) || !utf8.ValidString(other.Value) {
		return a.Value == other.Value
	}
	return strings.EqualFold(oneBlank(a.Value), oneBlank(other.Value))
}

// opaque reports whether the value encodes something other than a string.
func (a *Attribute) opaque() bool { return a.Encoded != nil && a.Value == "" }

// oneBlank replaces several blanks by one, and removes those at the ends (RFC
// 4518 section 2.6.1).
func oneBlank(value string) string { return strings.Join(strings.Fields(value), " ") }

// oids maps the short names of RFC 4514 section 3, and others that certificates
// have, to their object identifiers.
var oids = map[string]string{
	"CN": "2.5.4.3", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10", "OU": "2.5.4.11", "C": "2.5.4.6",
	"STREET": "2.5.4.9", "DC": "0.9.2342.19200300.100.1.25", "UID": "0.9.2342.19200300.100.1.1",
	"SERIALNUMBER": "2.5.4.5", "POSTALCODE": "2.5.4.17", "EMAILADDRESS": "1.2.840.113549.1.9.1",
}

// oid returns the type as an object identifier, or the short name if it is
// unknown.
func (a *Attribute) oid() string {
	if oid, known := oids[a.Type]; known {
		return oid
	}
	return a.Type
}
