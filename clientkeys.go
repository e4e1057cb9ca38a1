package dcr

// RFC 7517 §5: the keys of clients, and the only client that fetches URLs which
// strangers name (RFC 7591 §5).

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/dynreg/dcr/internal/guard"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/keycache"
)

// The errors of [ClientKeys].
var (
	// ErrNoClientKeys says that the client registered no keys, or that it may not
	// be used: refuse its assertion.
	ErrNoClientKeys = errors.New("dcr: the client has no keys")

	// ErrClientKeysUnavailable says that the client's keys could not be fetched,
	// or are not what a client's keys must be, so that its assertion can be
	// neither accepted nor refused. The reason is in the log of the
	// GuardedClient, or wrapped in this error.
	ErrClientKeysUnavailable = errors.New("dcr: the client's keys are unavailable")
)

// ClientKeys finds the keys with which a client signs its assertions and request
// objects, and to which the server encrypts. The set at jwks_uri, or at a
// declared key source ([Field.KeySource]), is fetched through the guarded client
// and cached for as long as its server says, from a minute to a day; for 15
// minutes if it does not say. Concurrent calls share one fetch. An unknown key id
// makes it fetch the set again but, once that found nothing, not within Floor.
// While the server is down, the last set is used for up to an hour. The zero
// value is ready to use; do not change it after the first use.
type ClientKeys struct {
	// Validator is Options.Validator. If Fetch is nil, that of its
	// DefaultValidator is used, and for a client with neither jwks nor jwks_uri
	// the key sources that it declares are used. If nil, neither.
	Validator Validator

	// Verify returns the JSON Web Key Set in a document at a key source that is
	// not itself one, such as the signed set at signed_jwks_uri (OpenID
	// Federation 1.0 §5.2.1), whose signature only the host can judge. An error
	// makes the keys unavailable. If nil, so does any such document.
	Verify func(ctx context.Context, url string, document []byte) (jwks []byte, err error)

	Fetch   *GuardedClient   // if nil, that of Validator, else one with the defaults
	Floor   time.Duration    // after a fetch that did not find a key id, how long unknown key ids cause no further fetch of the set; if zero, 1 minute
	Entries int              // how many sets are cached, the last used ones; if zero, 1,024
	MaxKeys int              // the most keys in one set; if zero, 32
	Now     func() time.Time // if nil, time.Now

	once  sync.Once
	guard *GuardedClient
	now   func() time.Time
	cache *keycache.Cache
}

// Keys returns the client's JSON Web Key Set. kid is the id of the key that is
// needed, so that a set that lacks it is fetched again; "" means any key. If
// the set still lacks it, the key does not exist. The error is
// [ErrNoClientKeys], [ErrClientKeysUnavailable] or that of ctx.
func (k *ClientKeys) Keys(ctx context.Context, client *Client, kid string) (jwks []byte, err error) {
	k.once.Do(k.init)
	switch {
	case !client.Usable(k.now()):
		return nil, ErrNoClientKeys
	case client.JWKS != nil:
		return slices.Clone(client.JWKS), nil
	}
	url := client.JWKSURI
	if url == "" && k.Validator != nil {
		_, url = keysBySource(k.Validator.DeclaredExtensions(), client)
	}
	if url == "" {
		return nil, ErrNoClientKeys
	}
	jwks, err = k.cache.Raw(ctx, url, kid)
	if errors.Is(err, keycache.ErrUnavailable) {
		return nil, fmt.Errorf("%w: %w", ErrClientKeysUnavailable, err)
	}
	return slices.Clone(jwks), err
}

func (k *ClientKeys) init() {
	if k.now = k.Now; k.now == nil {
		k.now = time.Now
	}
	if k.guard = k.Fetch; k.guard == nil && k.Validator != nil {
		k.guard = k.Validator.sealed().fetch
	}
	k.cache = keycache.New(k.fetch, keycache.Options{Floor: k.Floor, Entries: k.Entries, Now: k.now})
}

// fetch fetches a set and checks it against the rules of jwks.
func (k *ClientKeys) fetch(ctx context.Context, url string) (jwks []byte, maxAge time.Duration, err error) {
	accept := "application/jwk-set+json, application/json"
	if k.Verify != nil {
		accept += ", application/jwk-set+jwt"
	}
	fetched, err := k.guard.Get(ctx, url, accept)
	if err != nil {
		return nil, 0, err
	}
	jwks = fetched.Body
	if k.Verify != nil && !bytes.HasPrefix(bytes.TrimSpace(jwks), []byte("{")) {
		if jwks, err = k.Verify(ctx, url, jwks); err != nil {
			return nil, 0, err
		}
		jwks = slices.Clone(jwks) // the cache keeps it, and Verify may use its memory again
	}
	if _, err := jose.CheckClientKeys(jwks, Limits{Keys: k.MaxKeys}.effective().Keys); err != nil {
		return nil, 0, fmt.Errorf("the key set: %w", err)
	}
	return jwks, fetched.fresh.MaxAge(), nil
}

// GuardedClient fetches documents that a registrant named. It uses https only,
// follows no redirects, connects to public addresses only, and dials the very
// address that it judged. Fetches are bounded in size, time and number. If a
// name resolves to several addresses and any of them is refused, the name is
// refused. The zero value is ready to use; do not change it after the first
// use.
type GuardedClient struct {
	AllowNetworks []netip.Prefix // networks that may be reached although they are not public, on any port
	PrivateHosts  []string       // the only hosts, in upper or lower case, whose names may resolve into AllowNetworks; if nil, every host may; if empty, none may
	AllowPorts    []uint16       // ports that may be reached in addition to 443
	RootCAs       *x509.CertPool // the certificate authorities to trust; if nil, the system's
	Timeout       time.Duration  // the longest time that one fetch may take; if zero, 5 seconds
	MaxBytes      int64          // the largest document, in bytes; if zero, 256 KiB
	Concurrent    int            // the most fetches at the same time; if zero, 32; more fail with ErrBusy
	PerHost       int            // the most fetches at the same time from one host; if zero, 4; more fail with ErrBusy
	Logger        *slog.Logger   // gets the reason why a fetch failed, which registrants are not told; if nil, slog.Default

	once   sync.Once
	client *guard.Client
}

// Fetched is a document that a [GuardedClient] fetched, or an answer that was
// no document.
type Fetched struct {
	Status      int       // the HTTP status; 200 if the error is nil
	Body        []byte    // complete, within MaxBytes; nil if the error is not nil
	ContentType string    // the media type alone, in lower case
	FreshUntil  time.Time // by Cache-Control, Age and Expires; zero if the server does not say
	NoStore     bool      // Cache-Control has no-store or no-cache

	fresh keycache.Freshness
}

// The errors of [GuardedClient], for logs and for deciding whether to try again.
// Do not show them to a registrant.
var (
	// ErrAddressRefused says that the scheme, the port or an address is not one
	// to fetch from, such as a special-use address. Do not try again.
	ErrAddressRefused = guard.ErrAddressRefused

	// ErrAnswerRefused says that the server answered with another status than
	// 200, such as a redirect, or with a document that is too large or
	// compressed. Fetched.Status has the status.
	ErrAnswerRefused = guard.ErrAnswerRefused

	// ErrUnreachable says that DNS, the connection or TLS failed, or that it
	// took too long.
	ErrUnreachable = guard.ErrUnreachable

	// ErrBusy says that too many fetches are under way: try again later.
	ErrBusy = guard.ErrBusy
)

var defaultGuardedClient GuardedClient

// guarded returns the client inside g, or one with the defaults if g is nil.
func (g *GuardedClient) guarded() *guard.Client {
	if g == nil {
		g = &defaultGuardedClient
	}
	g.once.Do(func() {
		g.client = guard.New(guard.Config{
			AllowNetworks: g.AllowNetworks, PrivateHosts: g.PrivateHosts, AllowPorts: g.AllowPorts, RootCAs: g.RootCAs,
			Timeout: g.Timeout, MaxBytes: g.MaxBytes, Concurrent: g.Concurrent, PerHost: g.PerHost, Logger: g.Logger,
		})
	})
	return g.client
}

// reaches reports whether g may connect to host, as far as that can be told from
// host itself.
func (g *GuardedClient) reaches(host string) bool {
	if g == nil {
		g = &defaultGuardedClient
	}
	return (&guard.Config{AllowNetworks: g.AllowNetworks, PrivateHosts: g.PrivateHosts}).Reaches(host)
}

// connects reports whether g may connect to a port of a host that it reaches. If
// the host set no GuardedClient, every port will do, since it may use others for
// keys and logout.
func (g *GuardedClient) connects(host, port string) bool {
	return g == nil || (&guard.Config{AllowNetworks: g.AllowNetworks, PrivateHosts: g.PrivateHosts, AllowPorts: g.AllowPorts}).Connects(host, port)
}

// ports lists the ports that g connects to.
func (g *GuardedClient) ports() string {
	list := "443"
	for _, port := range g.AllowPorts {
		list += fmt.Sprintf(", %d", port)
	}
	return list
}

// Get fetches a document; accept is the Accept header. Its error is exactly one
// of those above, and the reason is logged; if ctx ends, it is ErrUnreachable.
// Fetched is not nil if the server answered. A nil GuardedClient has the
// defaults, in Get and in HTTPClient.
//
// With the context that a step gets for an update, a document is fetched once,
// even if the update is judged again because another request changed the
// client.
func (g *GuardedClient) Get(ctx context.Context, url, accept string) (*Fetched, error) {
	known, _ := ctx.Value(fetchesKey{}).(*fetches)
	if known == nil {
		return g.get(ctx, url, accept)
	}
	return known.get(fetch{g.guarded(), url, accept}, func() (*Fetched, error) { return g.get(ctx, url, accept) })
}

type fetchesKey struct{}

// fetchOnce returns a context with which a document is fetched once.
func fetchOnce(ctx context.Context) context.Context {
	return context.WithValue(ctx, fetchesKey{}, &fetches{of: make(map[fetch]outcome)})
}

// fetches are the documents that were fetched for one request.
type fetches struct {
	mu sync.Mutex
	of map[fetch]outcome
}

type fetch struct {
	client      *guard.Client
	url, accept string
}

type outcome struct {
	fetched *Fetched
	err     error
}

func (f *fetches) get(what fetch, get func() (*Fetched, error)) (*Fetched, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	got, known := f.of[what]
	if !known {
		got.fetched, got.err = get()
		f.of[what] = got
	}
	if got.fetched == nil {
		return nil, got.err
	}
	own := *got.fetched
	own.Body = slices.Clone(own.Body)
	return &own, got.err
}

func (g *GuardedClient) get(ctx context.Context, url, accept string) (*Fetched, error) {
	response, err := g.guarded().Get(ctx, url, accept)
	if response == nil {
		return nil, err
	}
	fetched := &Fetched{
		Status: response.Status, Body: response.Body, ContentType: response.ContentType,
		NoStore: response.Fresh.NoStore, fresh: response.Fresh,
	}
	if response.Fresh.Said {
		fetched.FreshUntil = time.Now().Add(response.Fresh.Lifetime)
	}
	return fetched, err
}

// Check returns an error if no fetch from a URL could ever succeed: if it does
// not use https, its port is refused, or its host is localhost or an address that
// is refused. The error wraps [ErrAddressRefused], and its text is for logs.
// Check does not use the network; only a fetch finds out what a name resolves to.
// Registration calls it for every URL that the server will fetch from.
func (g *GuardedClient) Check(url string) error { return g.guarded().Judge(url) }

// HTTPClient returns an [http.Client] with the same rules, for hosts that send
// POST requests (back-channel logout) or pass a client to another library; using
// only its Transport is safe too. It follows no redirects, and returns answers
// of any status. Timeout bounds each exchange, including its body, and reading a
// body beyond MaxBytes fails with ErrAnswerRefused. errors.Is finds the errors
// above in its errors, which contain addresses and are for logs. Close the
// bodies: an exchange counts as one of Concurrent until its body is closed or
// read to its end, or Timeout is over.
func (g *GuardedClient) HTTPClient() *http.Client { return g.guarded().HTTP() }
