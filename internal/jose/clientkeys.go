package jose

// What a registrant's key set must be: RFC 7517 section 5, RFC 7591 section 2
// (jwks), OpenID Connect Dynamic Client Registration 1.0 section 2 (use).

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strconv"

	"github.com/dynreg/dcr/internal/strictjson"
)

// setLimits bound a key set, in addition to the limits on the text that
// contains it.
var setLimits = strictjson.Limits{Members: 1024, Depth: 16}

// KeyError says what is wrong with a key set, in words that follow "jwks ". It
// is printable ASCII and repeats nothing that was sent, except the path.
type KeyError struct {
	Path   string // as in keys[1].n; empty for the whole set
	Reason string // as in "must be odd"
}

func (e *KeyError) Error() string {
	if e.Path == "" {
		return e.Reason
	}
	return e.Path + " " + e.Reason
}

// Keys describes a key set.
type Keys struct {
	Sig, Enc bool // at least one key can sign, or encrypt
	Count    int
	Set      []byte // the set with its keys as they were sent, and nothing else
}

// maxKeyBytes bounds one key: an RSA key of 8,192 bits with its certificates is
// smaller.
const maxKeyBytes = 8 << 10

// CheckClientKeys checks a registrant's key set, which may hold at most limit
// keys, all of them public. Unknown key types are accepted. The error is a
// *KeyError.
func CheckClientKeys(jwks []byte, limit int) (Keys, error) {
	var set clientSet
	err := readSet(jwks, &set.other, func(i int, value strictjson.Value) error {
		if i >= limit {
			return wrong("keys", "must have at most "+strconv.Itoa(limit)+" elements")
		}
		if len(value) > maxKeyBytes {
			return wrong(element("keys", i), "must not be longer than "+strconv.Itoa(maxKeyBytes)+" bytes")
		}
		set.texts += len(value) + len(",")
		set.list = append(set.list, value)
		err := set.add(value)
		if e, ok := err.(*strictjson.Error); ok {
			return wrong(element("keys", i)+dotted(e.Path), e.Reason)
		}
		return err
	})
	if err == nil && set.sig && set.enc && set.noUse {
		err = wrong("keys", "must all have use, since there are keys for signing and for encryption")
	}
	if e := (*strictjson.Error)(nil); errors.As(err, &e) {
		return Keys{}, &KeyError{Path: e.Path, Reason: e.Reason}
	}
	set.Set = set.bare(jwks)
	return set.Keys, err
}

// maxBlanks is what a pretty printer may leave around the keys of a set.
const maxBlanks = 256

// bare returns jwks if it has little more than its keys, and otherwise a set
// with only the keys: what a stranger puts around them is not kept.
func (s *clientSet) bare(jwks []byte) []byte {
	const head, tail = `{"keys":[`, `]}`
	size := len(head) + s.texts + len(tail)
	if len(s.list) > 0 {
		size -= len(",")
	}
	if !s.other && len(jwks) <= size+maxBlanks {
		return jwks
	}
	bare := append(make([]byte, 0, size), head...)
	for i, key := range s.list {
		if i > 0 {
			bare = append(bare, ',')
		}
		bare = append(bare, key...)
	}
	return append(bare, tail...)
}

func element(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

func dotted(path string) string {
	if path == "" {
		return ""
	}
	return "." + path
}

// readSet calls key for each element of the set's keys, and notes whether the
// set has other members.
func readSet(jwks []byte, other *bool, key func(i int, value strictjson.Value) error) error {
	found := false
	err := strictjson.ReadObject(jwks, setLimits, func(name string, value strictjson.Value) error {
		if name != "keys" {
			*other = true
			return nil
		}
		found = true
		if value.Kind() != strictjson.Array {
			return wrong("keys", "must be a JSON array")
		}
		return value.Elements(key)
	})
	if err == nil && !found {
		err = wrong("keys", "is required")
	}
	return err
}

// clientSet is the part of a set that has been read.
type clientSet struct {
	Keys
	sig, enc, noUse bool // whether a key has use sig, use enc or no use
	seen            map[identity]struct{}
	list            []strictjson.Value
	other           bool // the set has members other than keys
	texts           int  // bytes of list, with a comma for each key
}

// identity must be unique in a set. Keys of different types may share a kid as
// alternatives (RFC 7517 section 4.5), and so may keys for different uses,
// which servers publish too.
type identity struct{ kid, kty, use, alg string }

func (s *clientSet) add(value strictjson.Value) error {
	k, err := readJWK(value)
	if err != nil {
		return err
	}
	p, err := k.check()
	if err != nil {
		return err
	}
	if k.kid != "" {
		id := identity{k.kid, k.kty, k.use, k.alg}
		if _, ok := s.seen[id]; ok {
			return wrong("kid", "must not be the kid of another key")
		}
		if s.seen == nil {
			s.seen = make(map[identity]struct{})
		}
		s.seen[id] = struct{}{}
	}
	s.Count++
	s.Sig = s.Sig || p&signing != 0
	s.Enc = s.Enc || p&encrypting != 0
	s.sig = s.sig || k.use == "sig"
	s.enc = s.enc || k.use == "enc"
	s.noUse = s.noUse || k.use == ""
	return nil
}

// check checks a client's key and returns its purpose.
func (k *jwk) check() (purpose, error) {
	switch {
	case k.symmetric || k.kty == "oct":
		return 0, wrong("", "must not be symmetric")
	case k.private:
		return 0, wrong("", "must not be private")
	}
	kindName, err := k.kind()
	if err != nil {
		return 0, err
	}
	key, err := k.public(kindName)
	if err != nil {
		return 0, err
	}
	if err := k.checkCertificates(key); err != nil {
		return 0, err
	}
	return k.purposes(kindName)
}

// checkCertificates checks x5c (RFC 7517 section 4.7): the first certificate
// must be the key's. It does not decide which certificates to trust.
func (k *jwk) checkCertificates(key crypto.PublicKey) error {
	for i, encoded := range k.x5c {
		bad := wrong(element("x5c", i), "must be a base64 encoded DER certificate")
		der, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil {
			return bad
		}
		if key == nil {
			continue // crypto/x509 does not know such keys
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return bad
		}
		if k, ok := key.(interface{ Equal(crypto.PublicKey) bool }); i == 0 && (!ok || !k.Equal(cert.PublicKey)) {
			return wrong(element("x5c", 0), "must be a certificate of the key")
		}
	}
	return nil
}
