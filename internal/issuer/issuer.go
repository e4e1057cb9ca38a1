// Package issuer finds the keys of an issuer of JSON Web Tokens that the host
// trusts: RFC 7517 section 5, RFC 8414 section 3 and OpenID Connect Discovery
// 1.0 section 4.
package issuer

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

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/keycache"
	"github.com/dynreg/dcr/internal/uri"
)

// Source returns a JSON Web Key Set. kid is the id of the key that is needed,
// "" for any.
type Source = func(ctx context.Context, kid string) (jwks []byte, err error)

// JWKS returns the Source of the key set at a URL. If client is nil, it uses
// http.DefaultClient.
func JWKS(url string, client *http.Client) Source {
	return cached(url, func(ctx context.Context, url string) ([]byte, time.Duration, error) {
		return fetch(ctx, client, url)
	})
}

// Discovered returns the Source of an authorization server's keys. It finds
// them through the server's discovery document, which it reads again before
// each fetch of the keys.
func Discovered(issuer string, client *http.Client) Source {
	return cached(issuer, func(ctx context.Context, issuer string) ([]byte, time.Duration, error) {
		jwksURI, err := discover(ctx, client, issuer)
		if err != nil {
			return nil, 0, err
		}
		return fetch(ctx, client, jwksURI)
	})
}

func cached(url string, fetch keycache.Fetch) Source {
	cache := keycache.New(fetch, keycache.Options{Entries: 1})
	return func(ctx context.Context, kid string) ([]byte, error) { return cache.Raw(ctx, url, kid) }
}

// maxHosted bounds a document from a server that the host trusts.
const maxHosted = 1 << 20

// fetch gets a document from a URL that the host named.
func fetch(ctx context.Context, client *http.Client, url string) ([]byte, time.Duration, error) {
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
	body, err := io.ReadAll(io.LimitReader(response.Body, maxHosted+1))
	if err == nil && len(body) > maxHosted {
		err = fmt.Errorf("%s is larger than %d bytes", url, maxHosted)
	}
	return body, keycache.Fresh(response.Header).MaxAge(), err
}

// discover finds the jwks_uri of an issuer.
func discover(ctx context.Context, client *http.Client, issuer string) (string, error) {
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

// discoveryURLs returns where an issuer's document may be: RFC 8414 §3.1 puts
// the well-known part before the issuer's path, OpenID Connect Discovery 1.0
// §4.1 after it.
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
	body, _, err := fetch(ctx, client, at)
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
		return "", fmt.Errorf("%s has the issuer %q, not %q", at, document.Issuer, issuer)
	}
	if err := uri.CheckPublic(document.JWKSURI); err != nil {
		return "", fmt.Errorf("%s: jwks_uri %w", at, err)
	}
	return document.JWKSURI, nil
}

// Ring asks a Source and keeps the last answer in parsed form, so that it does
// not parse the same keys for every signature.
type Ring struct {
	Source Source

	parsed atomic.Pointer[parsed]
}

type parsed struct {
	text []byte
	set  *jose.KeySet
}

// Keys returns the set in which to look for kid.
func (r *Ring) Keys(ctx context.Context, kid string) (*jose.KeySet, error) {
	text, err := r.Source(ctx, kid)
	if err != nil {
		return nil, err
	}
	if last := r.parsed.Load(); last != nil && bytes.Equal(last.text, text) {
		return last.set, nil
	}
	set, err := jose.ParseKeySet(text)
	if err != nil {
		return nil, err
	}
	r.parsed.Store(&parsed{text: bytes.Clone(text), set: set})
	return set, nil
}
