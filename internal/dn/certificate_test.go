package dn_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/dynreg/dcr/internal/dn"
)

func TestOfCertificate(t *testing.T) {
	common, email, own := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, asn1.ObjectIdentifier{1, 2, 3}
	country := asn1.ObjectIdentifier{2, 5, 4, 6}
	for _, c := range []struct {
		sentence string
		subject  pkix.RDNSequence
		text     string
		want     bool
	}{
		{"the text has the reverse order", pkix.RDNSequence{{{Type: country, Value: "DE"}}, {{Type: common, Value: "client"}}}, "CN=client,C=DE", true},
		{"which counts", pkix.RDNSequence{{{Type: common, Value: "client"}}, {{Type: country, Value: "DE"}}}, "CN=client,C=DE", false},
		{"several attributes make one name", pkix.RDNSequence{{{Type: common, Value: "a"}, {Type: email, Value: "a@example.com"}}}, "emailAddress=a@example.com+CN=a", true},
		{"not two names", pkix.RDNSequence{{{Type: common, Value: "a"}, {Type: email, Value: "a@example.com"}}}, "emailAddress=a@example.com,CN=a", false},
		{"a comma in a value does not end it", pkix.RDNSequence{{{Type: common, Value: "a,C=DE"}}}, "CN=a,C=DE", false},
		{"another type is compared too", pkix.RDNSequence{{{Type: own, Value: "a"}}}, "1.2.3=a", true},
		{"a value that is not a string is compared in its encoding", pkix.RDNSequence{{{Type: own, Value: 5}}}, "1.2.3=#020105", true},
		{"and in no other form", pkix.RDNSequence{{{Type: own, Value: 5}}}, "1.2.3=5", false},
		{"an empty name matches no name", pkix.RDNSequence{}, "CN=", false},
	} {
		raw, err := asn1.Marshal(c.subject)
		if err != nil {
			t.Fatal(err)
		}
		have, err := dn.OfCertificate(raw)
		want, errWant := dn.Parse(c.text)
		if err != nil || errWant != nil || want.Equal(have) != c.want {
			t.Errorf("%s: %v, %v, %v", c.sentence, have, err, errWant)
		}
	}
	for _, damaged := range []string{"", "0", "\x30\x00x", "\x02\x01\x05"} {
		if _, err := dn.OfCertificate([]byte(damaged)); err == nil {
			t.Errorf("%q is a name", damaged)
		}
	}
}
