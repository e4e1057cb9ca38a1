package dcr

// RFC 7517 §5, RFC 8414 §3 and OpenID Connect Discovery 1.0 §4: the keys of
// the issuers that the host trusts, and where they are found.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dynreg/dcr/internal/guard"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/keycache"
)

// KeySource returns the JSON Web Key Set of an issuer. kid is the key that is
// looked for, so that a cache knows when it is stale; "" asks for any. An error
// means that the keys are out of reach, which is answered with 503 and never
// held against the one who presents a signature.
type KeySource func(ctx context.Context, kid string) (jwks []byte, err error)

// StaticKeys is a KeySource that always returns jwks.
func StaticKeys(jwks []byte) KeySource {
	return func(context.Context, string) ([]byte, error) { return jwks, nil }
}

// JWKSURL is the KeySource of the key set at a URL that the host trusts: https,
// or http on a loopback host; any other panics. If client is nil,
// http.DefaultClient.
//
// The set is kept for as long as its server says, within a minute and a day,
// or for 15 minutes. A kid that it lacks fetches it anew, so that a rotation
// shows at once; once that was in vain, not again for a minute, whatever kids
// strangers make up. Any number of requests share one fetch, and while the
// server is down the last set serves on for an hour.
func JWKSURL(url string, client *http.Client) KeySource {
	if err := publicURL(url); err != nil {
		panic(fmt.Sprintf("dcr: JWKSURL %q %v", url, err))
	}
	return cachedKeys(url, func(ctx context.Context, url string) ([]byte, time.Duration, error) {
		return fetchHosted(ctx, client, url)
	})
}

// discoveredKeys is the KeySource of an authorization server, found through
// its discovery document, which is read anew with each fetch of the keys.
func discoveredKeys(issuer string, client *http.Client) KeySource {
	return cachedKeys(issuer, func(ctx context.Context, issuer string) ([]byte, time.Duration, error) {
		jwksURI, err := discoverKeys(ctx, client, issuer)
		if err != nil {
			return nil, 0, err
		}
		return fetchHosted(ctx, client, jwksURI)
	})
}

func cachedKeys(url string, fetch keycache.Fetch) KeySource {
	cache := keycache.New(fetch, keycache.Options{Entries: 1})
	return func(ctx context.Context, kid string) ([]byte, error) { return cache.Raw(ctx, url, kid) }
}

// mostHosted bounds a document of a server that the host trusts.
const mostHosted = 1 << 20

// fetchHosted gets a document from a URL that the host named.
func fetchHosted(ctx context.Context, client *http.Client, url string) ([]byte, time.Duration, error) {
	if client == nil {
		client = http.DefaultClient
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", "application/json, application/jwk-set+json")
	response, err := client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("%s answered %s", url, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, mostHosted+1))
	if err == nil && len(body) > mostHosted {
		err = fmt.Errorf("%s is larger than %d bytes", url, mostHosted)
	}
	return body, guard.MaxAge(response.Header), err
}

// discoverKeys finds the jwks_uri of an issuer.
func discoverKeys(ctx context.Context, client *http.Client, issuer string) (string, error) {
	var failed []error
	for _, url := range discoveryURLs(issuer) {
		jwksURI, err := readDiscovery(ctx, client, issuer, url)
		if err == nil {
			return jwksURI, nil
		}
		failed = append(failed, err)
	}
	return "", errors.Join(failed...)
}

// discoveryURLs are where an issuer's document may be: RFC 8414 §3.1 puts the
// well-known part before the issuer's path, OpenID Connect Discovery 1.0 §4.1
// behind it.
func discoveryURLs(issuer string) []string {
	openID := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	parsed, err := url.Parse(issuer)
	if err != nil {
		return []string{openID}
	}
	path := strings.TrimSuffix(parsed.EscapedPath(), "/")
	return []string{parsed.Scheme + "://" + parsed.Host + "/.well-known/oauth-authorization-server" + path, openID}
}

func readDiscovery(ctx context.Context, client *http.Client, issuer, at string) (jwksURI string, err error) {
	body, _, err := fetchHosted(ctx, client, at)
	if err != nil {
		return "", err
	}
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return "", fmt.Errorf("%s: %w", at, err)
	}
	if document.Issuer != issuer { // RFC 8414 §3.3
		return "", fmt.Errorf("%s is of the issuer %q, not %q", at, document.Issuer, issuer)
	}
	if err := publicURL(document.JWKSURI); err != nil {
		return "", fmt.Errorf("%s: jwks_uri %w", at, err)
	}
	return document.JWKSURI, nil
}

// keyring asks a KeySource, and keeps what it made of the last answer, so that
// the same keys are not parsed with every signature.
type keyring struct {
	source KeySource
	parsed atomic.Pointer[parsedKeys]
}

type parsedKeys struct {
	text []byte
	set  *jose.KeySet
}

// keys returns the keys among which kid is looked for. The error is a 503.
func (k *keyring) keys(ctx context.Context, kid string) (*jose.KeySet, error) {
	text, err := k.source(ctx, kid)
	if err != nil {
		return nil, keysOutOfReach(err)
	}
	if last := k.parsed.Load(); last != nil && bytes.Equal(last.text, text) {
		return last.set, nil
	}
	set, err := jose.ParseKeySet(text)
	if err != nil {
		return nil, keysOutOfReach(err)
	}
	k.parsed.Store(&parsedKeys{text: bytes.Clone(text), set: set})
	return set, nil
}

// keysOutOfReach says that a signature cannot be judged for want of keys.
func keysOutOfReach(cause error) error {
	err := refuse(TemporarilyUnavailable, "", "keys.unavailable", "the keys to verify a signature with are out of reach; try again later")
	err.RetryAfter, err.cause = retryAfter, cause
	return err
}

// defaultAlgorithms are accepted where the host names none: those that servers
// sign with, and none of the symmetric ones.
var defaultAlgorithms = []string{"RS256", "PS256", "ES256", "EdDSA", "Ed25519"}

// acceptedAlgorithms returns the algorithms that the host named, or the
// default.
func acceptedAlgorithms(named []string) []string {
	if named == nil {
		return defaultAlgorithms
	}
	return named
}

// checkAlgorithms refuses algorithms that no published key can verify.
func checkAlgorithms(named []string) error {
	for _, alg := range named {
		if !jose.Asymmetric(alg) {
			return fmt.Errorf("Algorithms: %q is not an asymmetric signature algorithm; name such as RS256, PS256, ES256 or EdDSA", alg)
		}
	}
	return nil
}
