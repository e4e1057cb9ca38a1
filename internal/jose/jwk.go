package jose

// One public key: RFC 7517 section 4 (the members of all keys), RFC 7518
// section 6 (RSA, EC), RFC 8037 section 2 (OKP) and RFC 8812 section 3.1
// (secp256k1).
//
// This package reads keys itself, since jwx guesses the dialect of base64,
// accepts a point that is not on its curve, and has errors that are not fit for
// registrants.

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"slices"

	"github.com/dynreg/dcr/internal/strictjson"
)

// The bounds of an RSA key. RFC 7518 section 3.3 forbids keys below minRSABits.
// Larger keys are slow to verify with, and any stranger could register one:
// crypto/tls has the bound of maxRSABits too, and crypto/rsa takes no larger
// exponent.
const (
	minRSABits      = 2048
	slowRSABits     = 4096 // a larger key counts as slowAttempts
	maxRSABits      = 8192
	maxExponentBits = 31
)

// base64url is the encoding of RFC 7515 section 2, read strictly: without
// padding, and without stray bits at the end.
var base64url = base64.RawURLEncoding.Strict()

// jwk is one key as it was sent. The parameters are decoded only when the key
// type is known.
type jwk struct {
	kty, crv, use, alg, kid string
	ops, x5c                []string
	n, e, x, y              strictjson.Value
	private, symmetric      bool
}

// readJWK reads the members that this package uses and ignores all others. A
// null member counts as absent.
func readJWK(value strictjson.Value) (k jwk, err error) {
	err = value.Members(func(name string, value strictjson.Value) error {
		if value.Kind() == strictjson.Null {
			return nil
		}
		return strictjson.In(name, k.read(name, value))
	})
	if err == nil && k.kty == "" {
		err = wrong("kty", "is required")
	}
	return k, err
}

func (k *jwk) read(name string, value strictjson.Value) (err error) {
	switch name {
	case "kty":
		k.kty, err = text(value)
	case "crv":
		k.crv, err = text(value)
	case "use":
		k.use, err = text(value)
	case "alg":
		k.alg, err = text(value)
	case "kid":
		k.kid, err = text(value)
	case "key_ops":
		k.ops, err = value.Texts()
	case "x5c":
		if k.x5c, err = value.Texts(); err == nil && len(k.x5c) == 0 {
			err = wrong("", "must have a certificate")
		}
	case "n":
		k.n = value
	case "e":
		k.e = value
	case "x":
		k.x = value
	case "y":
		k.y = value
	case "d", "p", "q", "dp", "dq", "qi", "oth", "priv":
		k.private = true
	case "k":
		k.symmetric = true
	}
	return err
}

// wrong returns an error about the named member, or about the whole key if name
// is empty.
func wrong(name, reason string) error {
	return &strictjson.Error{Path: name, Reason: reason}
}

func text(value strictjson.Value) (string, error) {
	s, err := value.Text()
	if err == nil && s == "" {
		err = wrong("", "must not be empty")
	}
	return s, err
}

// kind says which algorithms a key fits: it is a curve, or RSA.
type kind struct {
	kty   string
	use   purpose
	size  int            // octets of a coordinate
	curve elliptic.Curve // nil if Go does not have it
}

var kinds = map[string]kind{
	"RSA":       {kty: "RSA", use: anything},
	"P-256":     {kty: "EC", use: anything, size: 32, curve: elliptic.P256()},
	"P-384":     {kty: "EC", use: anything, size: 48, curve: elliptic.P384()},
	"P-521":     {kty: "EC", use: anything, size: 66, curve: elliptic.P521()},
	"secp256k1": {kty: "EC", use: anything, size: 32},
	"Ed25519":   {kty: "OKP", use: signing, size: ed25519.PublicKeySize},
	"Ed448":     {kty: "OKP", use: signing, size: 57},
	"X25519":    {kty: "OKP", use: encrypting, size: 32},
	"X448":      {kty: "OKP", use: encrypting, size: 56},
}

// kind returns the name of the key's kind. It is empty for an unknown key type;
// an unknown curve is an error.
func (k *jwk) kind() (string, error) {
	switch k.kty {
	case "RSA":
		return "RSA", nil
	case "EC", "OKP":
		if k.crv != "" && kinds[k.crv].kty == k.kty {
			return k.crv, nil
		}
		return "", wrong("crv", "must be a curve that is supported for the key type")
	}
	return "", nil
}

// purposes returns what the key is for. Its kind, use, key_ops and alg must
// agree on that. A use that other specifications define stands for neither
// signing nor encrypting.
func (k *jwk) purposes(kindName string) (purpose, error) {
	p := anything
	if kindName != "" {
		p = kinds[kindName].use
	}
	ops, err := k.operations()
	if err != nil {
		return 0, err
	}
	switch k.use {
	case "":
	case "sig", "enc":
		use := signing
		if k.use == "enc" {
			use = encrypting
		}
		if p&use == 0 {
			return 0, wrong("use", "must fit the curve")
		}
		if ops&^use != 0 {
			return 0, wrong("key_ops", "must agree with use")
		}
		p = use
	default:
		p = 0
	}
	if len(k.ops) > 0 {
		p &= ops
	}
	if k.alg == "" {
		return p, nil
	}
	return k.narrow(p, kindName)
}

// operations returns the purposes that key_ops names. A private operation such
// as sign counts like its public counterpart.
func (k *jwk) operations() (ops purpose, err error) {
	for i, op := range k.ops {
		if slices.Contains(k.ops[:i], op) {
			return 0, wrong("key_ops", "must not list an operation twice")
		}
		switch op {
		case "sign", "verify":
			ops |= signing
		case "encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits":
			ops |= encrypting
		}
	}
	return ops, nil
}

// narrow returns those of the purposes p that fit alg. An unknown algorithm
// restricts nothing.
func (k *jwk) narrow(p purpose, kindName string) (purpose, error) {
	if Symmetric(k.alg) || k.alg == "none" {
		return 0, wrong("alg", "must be an asymmetric algorithm")
	}
	a, known := algorithms[k.alg]
	switch {
	case !known:
		return p, nil
	case !a.fits(kindName):
		return 0, wrong("alg", "must fit the key type and curve")
	case p != 0 && p&a.use == 0:
		return 0, wrong("alg", "must agree with use and key_ops")
	}
	return p & a.use, nil
}

// public checks the key and returns it. It is nil for a kind of key that Go has
// no type for.
func (k *jwk) public(kindName string) (crypto.PublicKey, error) {
	kd := kinds[kindName]
	switch kd.kty {
	case "RSA":
		return k.rsa()
	case "EC":
		return k.ec(kd)
	case "OKP":
		x, err := coordinate("x", k.x, kd.size)
		if err != nil {
			return nil, err
		}
		switch kindName {
		case "Ed25519":
			return ed25519.PublicKey(x), nil
		case "X25519":
			return ecdh.X25519().NewPublicKey(x)
		}
	}
	return nil, nil
}

func (k *jwk) rsa() (crypto.PublicKey, error) {
	modulus, err := octets("n", k.n)
	if err != nil {
		return nil, err
	}
	exponent, err := octets("e", k.e)
	if err != nil {
		return nil, err
	}
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	switch bits := n.BitLen(); {
	case bits < minRSABits:
		return nil, wrong("n", "must have at least 2048 bits")
	case bits > maxRSABits:
		return nil, wrong("n", "must have at most 8192 bits")
	case n.Bit(0) == 0:
		return nil, wrong("n", "must be odd")
	case e.BitLen() < 2 || e.BitLen() > maxExponentBits || e.Bit(0) == 0:
		return nil, wrong("e", "must be odd, at least 3 and at most 31 bits long")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

func (k *jwk) ec(kd kind) (crypto.PublicKey, error) {
	x, err := coordinate("x", k.x, kd.size)
	if err != nil {
		return nil, err
	}
	y, err := coordinate("y", k.y, kd.size)
	if err != nil || kd.curve == nil {
		return nil, err
	}
	// RFC 7518 section 6.2.1 in the form of SEC 1 section 2.3.3: 4, x, y.
	key, err := ecdsa.ParseUncompressedPublicKey(kd.curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, wrong("", "must be a point on its curve")
	}
	return key, nil
}

// coordinate is octets with a fixed length: RFC 7518 section 6.2.1.2 requires
// leading zeros, and other software fails on keys without them.
func coordinate(name string, value strictjson.Value, size int) ([]byte, error) {
	b, err := octets(name, value)
	if err == nil && len(b) != size {
		err = wrong(name, "must have the length that its curve prescribes")
	}
	return b, err
}

func octets(name string, value strictjson.Value) ([]byte, error) {
	if value == "" {
		return nil, wrong(name, "is required for the key type")
	}
	s, err := text(value)
	if err != nil {
		return nil, strictjson.In(name, err)
	}
	b, err := base64url.DecodeString(s)
	if err != nil {
		return nil, wrong(name, "must be base64url without padding")
	}
	return b, nil
}
