package jose

// RFC 8705 section 2.2: certificates that a client's key set names. RFC 7515
// section 4.1.6: the certificates that are sent with a token.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"

	"github.com/dynreg/dcr/internal/strictjson"
)

// HasCertificate reports whether a client's key set names cert: as the first
// certificate of an x5c or, if a key has no x5c, by its public key. Keys that
// cannot sign are not considered.
func HasCertificate(jwks []byte, cert *x509.Certificate) bool {
	known := false
	err := readSet(jwks, new(bool), func(_ int, value strictjson.Value) error {
		k, err := readJWK(value)
		known = known || err == nil && k.names(cert)
		return nil
	})
	return err == nil && known
}

func (k *jwk) names(cert *x509.Certificate) bool {
	usable, ok := k.verificationKey()
	if !ok {
		return false
	}
	public, ok := usable.public.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return false
	}
	return len(k.x5c) == 0 || k.x5c[0] == base64.StdEncoding.EncodeToString(cert.Raw)
}

// What can be wrong with the certificates of a token.
var (
	ErrNoCertificates = errors.New("must have its certificates in the header x5c, the signer's first")
	ErrCertificate    = errors.New("must have valid certificates in the header x5c, with RSA keys of 2048 to 8192 bits or keys on P-256, P-384 or P-521")
)

// maxCertificates bounds the certificates that are sent with a token: one for
// the signer, and more than any trust community has between it and an anchor.
const maxCertificates = 8

// Certificates returns the certificates that came with the token, the signer's
// own first. Anyone may have made them, until they are verified. Each has a key
// of an accepted type and size.
func (t *Token) Certificates() ([]*x509.Certificate, error) {
	if t.x5c.Kind() != strictjson.Array {
		return nil, ErrNoCertificates
	}
	texts, err := t.x5c.Texts()
	switch {
	case err != nil || len(texts) > maxCertificates:
		return nil, ErrCertificate
	case len(texts) == 0:
		return nil, ErrNoCertificates
	}
	certificates := make([]*x509.Certificate, len(texts))
	for i, text := range texts {
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, ErrCertificate
		}
		if certificates[i], err = x509.ParseCertificate(der); err != nil {
			return nil, ErrCertificate
		}
		if _, err := KeyOf(certificates[i]); err != nil {
			return nil, err
		}
	}
	return certificates, nil
}

// KeyOf returns the key of a certificate as a set of one key without a kid, so
// that it is found for every kid. It returns ErrCertificate if the key has a
// type or size that a client's key must not have.
func KeyOf(cert *x509.Certificate) (*KeySet, error) {
	only := key{public: cert.PublicKey}
	switch public := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits || public.N.Bit(0) == 0 || public.E < 3 || public.E%2 == 0 {
			return nil, ErrCertificate
		}
		only.kind = "RSA"
	case *ecdsa.PublicKey:
		only.kind = public.Curve.Params().Name
		if kinds[only.kind].kty != "EC" {
			return nil, ErrCertificate
		}
	case ed25519.PublicKey:
		only.kind = "Ed25519"
	default:
		return nil, ErrCertificate
	}
	return &KeySet{keys: []key{only}, unnamed: []key{only}}, nil
}

// subjectAltName is the extension of RFC 5280 section 4.2.1.6; uriName is the
// tag of a URI in it.
var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

const uriName = 6

// CertificateURIs returns the URIs with which a certificate names its subject,
// byte for byte; package url has rewritten those in x509.Certificate.URIs.
func CertificateURIs(cert *x509.Certificate) []string {
	var uris []string
	for _, extension := range cert.Extensions {
		if !extension.Id.Equal(subjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(extension.Value, &names); err != nil || len(rest) > 0 {
			return nil
		}
		for _, name := range names {
			if name.Class == asn1.ClassContextSpecific && name.Tag == uriName && !name.IsCompound {
				uris = append(uris, string(name.Bytes))
			}
		}
	}
	return uris
}
