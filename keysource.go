package dcr

// RFC 7517 §5, RFC 8414 §3 and OpenID Connect Discovery 1.0 §4: where to find
// the keys of the issuers that the host trusts.

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"github.com/dynreg/dcr/internal/issuer"
	"github.com/dynreg/dcr/internal/uri"
)

// KeySource returns the JSON Web Key Set of an issuer. kid is the id of the key
// that is needed, so that a cache knows when it is stale; "" means any key. An
// error means that the keys are out of reach, which is answered with 503: it
// does not make a signature invalid.
type KeySource func(ctx context.Context, kid string) (jwks []byte, err error)

// StaticKeys returns a KeySource that always returns jwks.
func StaticKeys(jwks []byte) KeySource { return staticKeys(jwks).keys }

type staticKeys []byte

func (jwks staticKeys) keys(context.Context, string) ([]byte, error) { return jwks, nil }

// isStatic reports whether a KeySource is one of StaticKeys, which fetches nothing.
// All of those have the same code pointer. If this is wrong, [Handler.Explain] only
// judges one signature less.
func isStatic(source KeySource) bool {
	return reflect.ValueOf(source).Pointer() == reflect.ValueOf(staticKeys(nil).keys).Pointer()
}

// JWKSURL returns a KeySource for the key set at a URL that the host trusts. It
// panics unless the URL is https, or http on a loopback host. If client is nil,
// http.DefaultClient.
//
// The set is cached for as long as its server says, from a minute to a day; for
// 15 minutes if it does not say. A kid that the set lacks makes it fetch the
// set again, so that a rotation is seen at once; if the new set lacks it too,
// no unknown kid does so for a minute, whatever kids strangers make up.
// Concurrent requests share one fetch, and while the server is down the last
// set is used for up to an hour.
func JWKSURL(url string, client *http.Client) KeySource {
	if err := uri.CheckPublic(url); err != nil {
		panic(fmt.Sprintf("dcr: JWKSURL %q %v", url, err))
	}
	return issuer.JWKS(url, client)
}

// keysOutOfReach makes the 503 for a signature whose keys are unavailable.
func keysOutOfReach(cause error) error {
	err := Unavailable("the keys that verify the signature are unavailable", cause)
	err.Rule = "keys.unavailable"
	return err
}
