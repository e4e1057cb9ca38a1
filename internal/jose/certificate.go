package jose

// RFC 8705 section 2.2: certificates that a client's key set names.

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"

	"github.com/dynreg/dcr/internal/strictjson"
)

// HasCertificate reports whether a client's key set names cert: by the first
// certificate of an x5c or, where a key has none, by the key. Keys that cannot
// sign name none.
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
