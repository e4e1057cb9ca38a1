package policy

// RFC 8705, RFC 4514 and RFC 4517: clients that are identified by a
// certificate.

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/dn"
)

// CertificateSource finds the certificate that a client presented, which the
// host's TLS stack has verified; nil if there is none.
type CertificateSource func(reg *dcr.Registration) (*x509.Certificate, error)

// PeerCertificate is a CertificateSource for servers that terminate TLS
// themselves. The TLS configuration must verify certificates, as
// tls.RequireAndVerifyClientCert does.
func PeerCertificate(reg *dcr.Registration) (*x509.Certificate, error) {
	if reg.HTTP == nil || reg.HTTP.TLS == nil || len(reg.HTTP.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	return reg.HTTP.TLS.PeerCertificates[0], nil
}

// MutualTLS answers 401 to requests without a client certificate. Put it in
// front of the handler if the profile requires mutual TLS for management too
// and the TLS configuration does not require it already. It does not verify the
// certificate: the TLS configuration must.
func MutualTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			dcr.WriteError(w, r, &dcr.Error{Code: dcr.InvalidToken, Description: "a client certificate must be presented (mutual TLS)", Rule: "policy.mutual_tls"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

var (
	oidUID          = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidUnit         = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidOrganisation = asn1.ObjectIdentifier{2, 5, 4, 97}

	// unitsUntil is until when the unit (OU) named the organisation.
	unitsUntil = time.Date(2022, 8, 31, 0, 0, 0, 0, time.UTC)
)

// belongsTo reports whether a certificate of Open Finance Brasil, or of the one
// whose organisations have another prefix, is that of the software and its
// organisation that a statement names.
func belongsTo(certificate *x509.Certificate, statement claims, prefix string) bool {
	software, organisation := statement.text("software_id"), statement.text("org_id")
	if software == "" || organisation == "" || !names(certificate, oidUID, software) {
		return false
	}
	return names(certificate, oidOrganisation, prefix+organisation) ||
		prefix == openFinance && certificate.NotBefore.Before(unitsUntil) && names(certificate, oidUnit, organisation)
}

// names reports whether the subject has an attribute of this type and value,
// in any case (RFC 4517 §4.2.11, caseIgnoreMatch).
func names(certificate *x509.Certificate, attribute asn1.ObjectIdentifier, want string) bool {
	for _, name := range certificate.Subject.Names {
		if text, ok := name.Value.(string); ok && name.Type.Equal(attribute) && strings.EqualFold(strings.TrimSpace(text), want) {
			return true
		}
	}
	return false
}

// isSubject reports whether a distinguished name is that of the certificate (RFC
// 4517 §4.2.15, distinguishedNameMatch).
func isSubject(certificate *x509.Certificate, text string) bool {
	var subject pkix.RDNSequence
	if _, err := asn1.Unmarshal(certificate.RawSubject, &subject); err != nil { // it was made, not parsed
		for _, name := range certificate.Subject.Names {
			subject = append(subject, pkix.RelativeDistinguishedNameSET{name})
		}
	}
	want, err := dn.Parse(subject.String())
	if err != nil {
		return false
	}
	name, err := dn.Parse(text)
	return err == nil && name.Equal(want)
}

// rfc4514Names are the attribute names that RFC 4514 §3 has.
var rfc4514Names = []string{"CN", "L", "ST", "O", "OU", "C", "STREET", "DC", "UID"}

// isBrasilDN reports whether a distinguished name has only these names, and any
// other attribute by dotted OID with an encoded value.
func isBrasilDN(text string) bool {
	name, err := dn.Parse(text)
	for _, attribute := range slices.Concat(name...) {
		byOID := strings.Trim(attribute.Type, "0123456789.") == "" && attribute.Encoded != nil
		if !byOID && !slices.Contains(rfc4514Names, attribute.Type) {
			return false
		}
	}
	return err == nil
}
