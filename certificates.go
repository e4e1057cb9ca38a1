package dcr

// RFC 7515 §4.1.6 and RFC 5280, as UDAP uses them: tokens whose signer is
// identified by a chain of certificates (x5c), and named by a URI in the first of
// them.

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/strictjson"
)

// Community is a trust community. It vouches for the names of its members.
type Community struct {
	Name          string              // its URI, which becomes SoftwareStatement.Issuer
	Anchors       []*x509.Certificate // where a chain must end
	Intermediates []*x509.Certificate // certificates to complete chains with, in addition to those in a token
}

// ChainVerifier verifies tokens that carry the certificates of their signer. It
// judges only who signed; the caller must judge the claims. One ChainVerifier can
// serve both software statements and, at the token endpoint, client assertions.
// Do not copy or change it after the first use.
type ChainVerifier struct {
	// Communities are the trusted communities. A chain that ends at anchors of
	// several belongs to the first of them. Required.
	Communities []Community

	// Algorithms are the signature algorithms to accept; none and the symmetric
	// ones are never accepted. If nil, RS256, RS384, ES256 and ES384.
	Algorithms []string

	// MaxBytes bounds a token. If zero, 32 KiB: room for a chain of 4,096-bit keys.
	MaxBytes int

	// Check is called with a chain that ends at an anchor, the signer's certificate
	// first, to check, for example, that none was revoked. An [*Error] is the
	// refusal; any other error, even an outage of the source of revocations, is
	// logged and refuses with unapproved_software_statement. If nil, nothing is
	// checked: the library fetches no revocation lists, since they are at plain http
	// addresses that a certificate names.
	Check func(ctx context.Context, chain []*x509.Certificate) error

	// Complete finds intermediate certificates that are neither in the token nor in
	// Communities, for example by authority information access. It is called with
	// certificates that anyone may have made: fetch what they name only through a
	// guarded client. An error means that nothing was found. If nil, none are looked
	// for.
	Complete func(ctx context.Context, sent []*x509.Certificate) ([]*x509.Certificate, error)

	once  sync.Once
	pools []communityPools
}

// communityPools are the certificates of a community as pools.
type communityPools struct{ anchors, intermediates *x509.CertPool }

// CertifiedToken is a token whose signature and chain were verified.
type CertifiedToken struct {
	Community string              // the name of the community that vouches for the signer
	Chain     []*x509.Certificate // the signer's first, the anchor last
	URIs      []string            // the URIs in the signer's certificate, byte for byte: package url would rewrite them

	Issuer, Subject, ID string    // iss, sub and jti
	Audience            []string  // aud
	IssuedAt, Expires   time.Time // iat and exp; zero if absent
	NotBefore           time.Time // nbf; zero if absent
	Claims              map[string]json.RawMessage
}

// IsOf reports whether the signer is the one that registered client. It
// compares its URI and its community but not its key, so that a renewed
// certificate will do. The token endpoint calls it for a client assertion.
func (t *CertifiedToken) IsOf(client *Client) bool {
	return client.Statement != nil && client.Statement.Issuer == t.Community && slices.Contains(t.URIs, client.Statement.ID)
}

// uncertified makes the refusal of a well-formed chain that is not trusted.
func uncertified(sentence string) *Error {
	return refuse(UnapprovedSoftwareStatement, "software_statement", "software_statement.chain", "software_statement %s", sentence)
}

// Verify verifies a token in compact form at now. Its error is an [*Error]:
// invalid_software_statement if the token, a certificate or the signature is not
// valid, and unapproved_software_statement if no community vouches for the signer.
func (v *ChainVerifier) Verify(ctx context.Context, compact string, now time.Time) (*CertifiedToken, error) {
	claims := make(map[string]json.RawMessage, 24)
	rules := jwt.Rules{
		MaxBytes: cmp.Or(v.MaxBytes, 32<<10), Algorithms: v.algorithms(), Limits: jwt.Limits,
		Type: func(typ string) bool { return typ == "" || typ == "jwt" },
	}
	token, fault := rules.Read([]byte(compact), func(name string, value strictjson.Value) error {
		claims[name] = json.RawMessage(value)
		return nil
	})
	if fault != nil {
		return nil, statementFault(fault)
	}
	sent, err := token.Certificates()
	if err != nil {
		return nil, invalidStatement("certificates", "%s", err)
	}
	keys, err := jose.KeyOf(sent[0])
	if err != nil {
		return nil, invalidStatement("certificates", "%s", err)
	}
	if _, fault := token.Verify(keys.Answering(token.KeyID())); fault != nil {
		return nil, statementFault(fault)
	}
	community, chain, err := v.trusted(ctx, sent, now)
	if err != nil {
		return nil, err
	}
	return &CertifiedToken{
		Community: community, Chain: chain, URIs: jose.CertificateURIs(sent[0]),
		Issuer: token.Issuer, Subject: token.Subject, ID: token.ID, Audience: token.Audience,
		IssuedAt: token.IssuedAt, Expires: token.Expiry, NotBefore: token.NotBefore, Claims: claims,
	}, nil
}

func (v *ChainVerifier) algorithms() []string {
	if v.Algorithms == nil {
		return []string{"RS256", "RS384", "ES256", "ES384"}
	}
	return slices.DeleteFunc(slices.Clone(v.Algorithms), func(alg string) bool { return !jose.Asymmetric(alg) })
}

// trusted returns a chain from the certificate of a signer to an anchor.
func (v *ChainVerifier) trusted(ctx context.Context, sent []*x509.Certificate, now time.Time) (community string, chain []*x509.Certificate, err error) {
	leaf := sent[0]
	if leaf.IsCA || leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return "", nil, uncertified("must be signed with a certificate that is for signatures, not that of an authority")
	}
	community, chains := v.chains(sent, now)
	if chains == nil && v.Complete != nil {
		if more, err := v.Complete(ctx, slices.Clone(sent)); err == nil && len(more) > 0 {
			community, chains = v.chains(append(slices.Clone(sent), more...), now)
		}
	}
	err = uncertified("must have certificates that are in force and lead to an anchor which this server trusts")
	for _, chain := range chains {
		if v.Check == nil {
			return community, chain, nil
		}
		if err = v.Check(ctx, chain); err == nil {
			return community, chain, nil
		}
	}
	if asRefusal(err) == nil {
		refused := uncertified("must have certificates that are not revoked, as far as this server can find out")
		refused.Err, err = err, refused
	}
	return "", nil, err
}

// chains returns the chains to the anchors of the first community that has any.
func (v *ChainVerifier) chains(sent []*x509.Certificate, now time.Time) (community string, chains [][]*x509.Certificate) {
	v.once.Do(v.pool)
	for i, pools := range v.pools {
		intermediates := pools.intermediates.Clone()
		for _, cert := range sent[1:] {
			intermediates.AddCert(cert)
		}
		chains, err := sent[0].Verify(x509.VerifyOptions{
			Roots: pools.anchors, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return v.Communities[i].Name, chains
		}
	}
	return "", nil
}

func (v *ChainVerifier) pool() {
	for _, community := range v.Communities {
		pools := communityPools{x509.NewCertPool(), x509.NewCertPool()}
		for _, cert := range community.Anchors {
			pools.anchors.AddCert(cert)
		}
		for _, cert := range community.Intermediates {
			pools.intermediates.AddCert(cert)
		}
		v.pools = append(v.pools, pools)
	}
}
