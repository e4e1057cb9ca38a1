package dcr

// RFC 7517 §5: the keys of clients, and the one way in which what a stranger
// names is fetched (RFC 7591 §5).

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
	// ErrNoClientKeys says that the client registered no keys, none that can be
	// fetched, or may not be used: its assertion is refused.
	ErrNoClientKeys = errors.New("dcr: the client has no keys")

	// ErrClientKeysUnavailable says that the client's keys could not be
	// fetched, or are not as a client's keys must be. Whether its assertion is
	// good cannot be told; the reason is in the log of the GuardedClient or
	// behind this error.
	ErrClientKeysUnavailable = errors.New("dcr: the client's keys are unavailable")
)

// ClientKeys finds the keys by which a client signs its assertions and request
// objects, and to which the server encrypts. A set behind jwks_uri is fetched
// through the guarded client, by one request however many ask at once, kept for
// as long as its server says (from a minute to a day, else for 15 minutes), and
// fetched again for an unknown key id, though not again within Floor once that
// found nothing. While its server is down it serves on for an hour. So is a set
// behind a declared key source, see [Field.KeySource]. The zero value is ready to
// use; do not change it after the first use.
type ClientKeys struct {
	// Validator is that of the Options: its DefaultValidator's Fetch is taken
	// where Fetch is nil, and the key sources that it declares are followed
	// where a client has neither jwks nor jwks_uri. If nil, neither.
	Validator Validator

	// Verify takes the JSON Web Key Set out of what is behind a key source and
	// is none, such as the signed one behind signed_jwks_uri (OpenID Federation
	// 1.0 §5.2.1), whose signature only the host can judge. An error makes the
	// keys unavailable. If nil, so does any such document.
	Verify func(ctx context.Context, url string, document []byte) (jwks []byte, err error)

	Fetch   *GuardedClient   // if nil, that of Validator, else one with the defaults
	Floor   time.Duration    // least time before a set is fetched again after a fetch that did not find its key id; if zero, 1 minute
	Entries int              // sets kept, those used last; if zero, 1,024
	MaxKeys int              // in one set; if zero, 32
	Now     func() time.Time // if nil, time.Now

	once  sync.Once
	guard *GuardedClient
	now   func() time.Time
	cache *keycache.Cache
}

// Keys returns the client's JSON Web Key Set. kid is the key that is looked
// for, so that a set which lacks it can be fetched again; "" asks for any. The
// set may still lack it: that key is then unknown. The error is
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

// fetch gets a set and holds it to the rules of jwks.
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
	}
	if _, err := jose.CheckClientKeys(jwks, Limits{Keys: k.MaxKeys}.effective().Keys); err != nil {
		return nil, 0, fmt.Errorf("the key set: %w", err)
	}
	return jwks, fetched.fresh.MaxAge(), nil
}

// GuardedClient fetches documents that a registrant named: over https, without
// redirects, from publicly reachable addresses alone, the address that is
// dialled being the one that was judged, bounded in size, time and number. A
// name that resolves to any address which is refused is refused whole. The zero
// value is ready to use; do not change it after the first use.
type GuardedClient struct {
	AllowNetworks []netip.Prefix // networks to reach although they are not public, on any port
	PrivateHosts  []string       // the only hosts, whatever the case, whose names may resolve into AllowNetworks; if nil, every host; if empty, none
	AllowPorts    []uint16       // ports to reach besides 443
	RootCAs       *x509.CertPool // if nil, the system's
	Timeout       time.Duration  // of one fetch; if zero, 5 seconds
	MaxBytes      int64          // of one document; if zero, 256 KiB
	Concurrent    int            // fetches in flight; if zero, 32; beyond them a fetch fails with ErrBusy
	PerHost       int            // fetches in flight to one host; if zero, 4; ErrBusy beyond them too
	Logger        *slog.Logger   // for why a fetch failed, which no registrant is told; if nil, slog.Default

	once   sync.Once
	client *guard.Client
}

// Fetched is a document that a [GuardedClient] fetched, or the answer that took
// its place.
type Fetched struct {
	Status      int       // of the answer; 200 where the error is nil
	Body        []byte    // whole, within MaxBytes; nil where the error is not nil
	ContentType string    // the media type alone, in lower case
	FreshUntil  time.Time // by Cache-Control, Age and Expires; zero where the server does not say
	NoStore     bool      // no-store or no-cache was said

	fresh keycache.Freshness
}

// The errors of [GuardedClient], for logs and for deciding whether to try again;
// none of them goes to a registrant.
var (
	// ErrAddressRefused says that the scheme, the port or an address is not one
	// to fetch from, such as a special-use address. Trying again is in vain.
	ErrAddressRefused = guard.ErrAddressRefused

	// ErrAnswerRefused says that the server answered with another status than
	// 200, a redirect among them, or with a document that is too large or
	// compressed. Fetched.Status says which.
	ErrAnswerRefused = guard.ErrAnswerRefused

	// ErrUnreachable says that DNS, the connection, TLS or time failed.
	ErrUnreachable = guard.ErrUnreachable

	// ErrBusy says that too many fetches are under way: try again.
	ErrBusy = guard.ErrBusy
)

var defaultGuardedClient GuardedClient

// guarded returns the client within, that of the defaults for a nil g.
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

// reaches reports whether g may go to host, as far as host itself says: for what
// a registrant names and g would never reach.
func (g *GuardedClient) reaches(host string) bool {
	if g == nil {
		g = &defaultGuardedClient
	}
	return (&guard.Config{AllowNetworks: g.AllowNetworks, PrivateHosts: g.PrivateHosts}).Reaches(host)
}

// connects reports whether g may go to a port of a host that it reaches. Of a
// fetcher that the host did not set it is not known: there may be others for keys
// and for logout.
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

// Get fetches a document; accept is the Accept header. Its error is one of those
// above, compared by ==, and its reason is logged; the end of ctx is
// ErrUnreachable. Fetched is not nil where the server answered. A nil
// GuardedClient is one with the defaults, here and in HTTPClient.
//
// With the context of a step that judges an update, a document is fetched once,
// however often the update is judged again because others won the race for the
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

// fetches are what was fetched for one request.
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

// Check says, without the network, that no fetch from a URL would ever succeed:
// it does not use https, its port is refused, or its host is localhost or an
// address that is refused. The error wraps [ErrAddressRefused], and its text is
// for logs. What a name resolves to, only a fetch finds out. Registration asks it
// about every URL that the server is to follow.
func (g *GuardedClient) Check(url string) error { return g.guarded().Judge(url) }

// HTTPClient returns an [http.Client] under the same rules, for hosts that post
// (back-channel logout) or hand a client to another library, which may take its
// Transport alone. It follows no redirects, and answers of any status come back.
// Timeout bounds each exchange, its body included, and reading a body beyond
// MaxBytes fails with ErrAnswerRefused. errors.Is finds the errors above in its
// errors, which name addresses: they are for logs. Close the bodies: an exchange
// counts as one of Concurrent until its body ends, or its time.
func (g *GuardedClient) HTTPClient() *http.Client { return g.guarded().HTTP() }
