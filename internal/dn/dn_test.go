package dn_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/dynreg/dcr/internal/dn"
)

func TestParse(t *testing.T) {
	cases := []struct {
		sentence, text string
		want           string // types and values, "" if refused
	}{
		{"commas separate names", "CN=client,O=Example", "CN:client|O:Example"},
		{"blanks around a name are ignored", "CN = client , O= Example ", "CN:client|O:Example"},
		{"a type is a keyword in any case", "cn=client,x-Own=1", "CN:client|X-OWN:1"},
		{"or a dotted OID", "2.5.4.3=client", "2.5.4.3:client"},
		{"several attributes make one name", "OU=Sales+CN=J. Smith,O=Example", "OU:Sales+CN:J. Smith|O:Example"},
		{"a special character is escaped (RFC 4514 §4)", `CN=James \"Jim\" Smith\, III,DC=example\+`, `CN:James "Jim" Smith, III|DC:example+`},
		{"so is an octet", `CN=Lu\C4\8Di\C4\87`, "CN:Lučić"},
		{"and a significant blank", `CN=\ a\20\ `, "CN: a  "},
		{"a value may have an equals sign", "CN=a=b", "CN:a=b"},
		{"an encoded value is a string", "2.5.4.97=#130a4f464242522d31323334", "2.5.4.97:OFBBR-1234#"},
		{"or something else", "1.3.6.1.4.1.1466.0=#04024869", "1.3.6.1.4.1.1466.0:#"},
		{"or nothing that can be decoded", "CN=#ff", "CN:#"},
		{"a value may be empty", "CN=", "CN:"},
		{"a name is not empty", "", ""},
		{"nor is a part of it", "CN=client,", ""},
		{"a type has a value", "CN", ""},
		{"a value has a type", "=client", ""},
		{"a type has no blank", "C N=client", ""},
		{"an OID has no empty part", "2..5=a", ""},
		{"nor does it end with a dot", "2.5.=a", ""},
		{"nor does it have letters", "2.5.x=a", ""},
		{"an encoded value has digits", "CN=#", ""},
		{"a whole number of octets", "CN=#130", ""},
		{"and only digits", "CN=#zz", ""},
		{"a special character must be escaped", "CN=a;b", ""},
		{"so must a quotation mark (RFC 2253 §4)", `CN="client"`, ""},
		{"a backslash must not be last", `CN=client\`, ""},
		{"the notation with slashes is refused", "/C=GB/CN=client", ""},
	}
	for _, test := range cases {
		t.Run(test.sentence, func(t *testing.T) {
			name, err := dn.Parse(test.text)
			if err != nil && err != dn.ErrForm {
				t.Fatal(err)
			}
			if got := show(name); got != test.want {
				t.Errorf("%s: got %q, want %q", test.text, got, test.want)
			}
		})
	}
}

func show(name dn.DN) string {
	var names []string
	for _, relative := range name {
		var attributes []string
		for _, attribute := range relative {
			mark := ""
			if attribute.Encoded != nil {
				mark = "#"
			}
			attributes = append(attributes, attribute.Type+":"+attribute.Value+mark)
		}
		names = append(names, strings.Join(attributes, "+"))
	}
	return strings.Join(names, "|")
}

func TestEqual(t *testing.T) {
	cases := []struct {
		sentence, one, other string
		equal                bool
	}{
		{"a name equals itself", "CN=client,O=Example", "CN=client,O=Example", true},
		{"blanks after commas do not matter", "CN=client,O=Example", "CN=client, O=Example", true},
		{"nor does case", "CN=client,O=Example", "cn=Client,o=EXAMPLE", true},
		{"nor does the number of blanks", "O=My  Bank", `O=My Bank\ `, true},
		{"but a missing blank does", "O=My Bank", "O=MyBank", false},
		{"the order of names counts", "CN=client,O=Example", "O=Example,CN=client", false},
		{"the order of attributes in one name does not", "CN=client+OU=Sales", "OU=Sales+CN=client", true},
		{"an attribute that appears twice must do so in both", "CN=a+CN=a", "CN=a+CN=b", false},
		{"several names are not one", "CN=client+OU=Sales", "CN=client,OU=Sales", false},
		{"a name is not a part of another", "CN=client", "CN=client,O=Example", false},
		{"a short name equals its OID", "UID=1", "0.9.2342.19200300.100.1.1=1", true},
		{"a string equals its encoding, of any string type", "2.5.4.5=#130131", "SERIALNUMBER=#0c0131", true},
		{"even if the string is not encoded", "2.5.4.5=#130131", "SERIALNUMBER=1", true},
		{"an escape equals its character", `CN=a\2cb`, `CN=a\,b`, true},
		{"octets that are not text are compared as they are", `CN=\ff`, `CN=\fe`, false},
		{"an encoding of something else is compared as it is", "CN=#0401ff", "CN=#0401FF", true},
		{"and may differ", "CN=#0401ff", "CN=#0401fe", false},
		{"and is not an empty string", "CN=#0401ff", "CN=", false},
	}
	for _, test := range cases {
		t.Run(test.sentence, func(t *testing.T) {
			one, err := dn.Parse(test.one)
			if err != nil {
				t.Fatal(err)
			}
			other, err := dn.Parse(test.other)
			if err != nil {
				t.Fatal(err)
			}
			if one.Equal(other) != test.equal || other.Equal(one) != test.equal {
				t.Errorf("%s and %s: want %v", test.one, test.other, test.equal)
			}
		})
	}
}

func TestTheSubjectOfACertificate(t *testing.T) {
	subject := pkix.Name{
		Country: []string{"BR"}, Organization: []string{"My Bank, Ltd"}, CommonName: "client",
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 97}, Value: "OFBBR-1"}, {Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: "67c57882"}},
	}
	names := subject.ToRDNSequence()
	written, err := dn.Parse(names.String())
	if err != nil {
		t.Fatal(err)
	}
	registered, err := dn.Parse(`UID=67c57882, 2.5.4.97=#0c074f464242522d31, CN=client, O=My Bank\, Ltd, C=BR`)
	if err != nil || !written.Equal(registered) {
		t.Errorf("%s is not %v", names, registered)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"CN=client,O=Example", `CN=a\,b+OU=c, 2.5.4.97=#130131`, "CN=#0401ff", `CN=\ff\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := dn.Parse(text)
		if err != nil {
			if name != nil {
				t.Errorf("%q is refused and read", text)
			}
			return
		}
		if again, err := dn.Parse(strings.ReplaceAll(text, ",", ", ")); !strings.Contains(text, `\`) && (err != nil || !name.Equal(again)) {
			t.Errorf("%q is not itself with blanks after commas", text)
		}
		if !name.Equal(name) || len(name) == 0 {
			t.Errorf("%q is not equal to itself", text)
		}
	})
}
