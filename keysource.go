package dcr

// RFC 7517 §5, RFC 8414 §3 and OpenID Connect Discovery 1.0 §4: the keys of
// the issuers that the host trusts, and where they are found.

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"github.com/dynreg/dcr/internal/issuer"
	"github.com/dynreg/dcr/internal/uri"
)

// KeySource returns the JSON Web Key Set of an issuer. kid is the key that is
// looked for, so that a cache knows when it is stale; "" asks for any. An error
// means that the keys are out of reach, which is answered with 503 and never
// held against the one who presents a signature.
type KeySource func(ctx context.Context, kid string) (jwks []byte, err error)

// StaticKeys is a KeySource that always returns jwks.
func StaticKeys(jwks []byte) KeySource { return staticKeys(jwks).keys }

type staticKeys []byte

func (jwks staticKeys) keys(context.Context, string) ([]byte, error) { return jwks, nil }

// isStatic reports whether a KeySource is one of StaticKeys, which asks nobody. All
// of those have one code pointer; where that is mistaken, [Handler.Explain] judges
// one signature less.
func isStatic(source KeySource) bool {
	return reflect.ValueOf(source).Pointer() == reflect.ValueOf(staticKeys(nil).keys).Pointer()
}

// JWKSURL is the KeySource of the key set at a URL that the host trusts: https,
// or http on a loopback host; any other panics. If client is nil,
// http.DefaultClient.
//
// The set is kept for as long as its server says, within a minute and a day,
// or for 15 minutes. A kid that it lacks fetches it again, so that a rotation
// shows at once; once that was in vain, not again for a minute, whatever kids
// strangers make up. Any number of requests share one fetch, and while the
// server is down the last set serves on for an hour.
func JWKSURL(url string, client *http.Client) KeySource {
	if err := uri.CheckPublic(url); err != nil {
		panic(fmt.Sprintf("dcr: JWKSURL %q %v", url, err))
	}
	return issuer.JWKS(url, client)
}

// keysOutOfReach says that a signature cannot be judged for want of keys.
func keysOutOfReach(cause error) error {
	err := Unavailable("the keys to verify a signature with are out of reach", cause)
	err.Rule = "keys.unavailable"
	return err
}
