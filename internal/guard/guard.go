// Package guard fetches documents from URLs that strangers chose, without
// giving them a way into the server's own networks (server-side request
// forgery).
//
// It follows RFC 7591 section 5, OpenID Connect Dynamic Client Registration 1.0
// section 9 and the advice of OWASP: only https, no redirects, no special-use
// addresses, no credentials, no cookies, and limits on everything. The package
// resolves names itself and dials the address that it checked, so a name that
// resolves differently the second time (DNS rebinding) gains nothing.
package guard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/dynreg/dcr/internal/keycache"
	"github.com/dynreg/dcr/internal/tally"
)

// The kinds of failure. The reason for one could tell a stranger what is in the
// server's network, so it is only logged.
var (
	ErrAddressRefused = errors.New("dcr: the address must not be fetched from")
	ErrAnswerRefused  = errors.New("dcr: the answer is not a document that may be used")
	ErrUnreachable    = errors.New("dcr: the server of the document is unreachable")
	ErrBusy           = errors.New("dcr: too many fetches are under way")
)

// Config says what a Client may reach. Its zero value is ready to use and
// strict.
type Config struct {
	AllowNetworks []netip.Prefix // special-use ranges that are allowed, on any port: for tests and internal networks
	PrivateHosts  []string       // the only hosts that may be in AllowNetworks; if nil, every host
	AllowPorts    []uint16       // in addition to 443
	RootCAs       *x509.CertPool // if nil, the system's
	Timeout       time.Duration  // of a whole fetch; if zero, 5 seconds
	MaxBytes      int64          // of a document; if zero, 256 KiB
	Logger        *slog.Logger   // if nil, slog.Default
	Resolver      Resolver       // if nil, net.DefaultResolver
	Concurrent    int            // fetches in flight; if zero, 32
	PerHost       int            // fetches in flight to one host; if zero, 4
}

// Resolver finds the addresses of a host, as *net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Response is what the server answered.
type Response struct {
	Status      int
	Body        []byte // of a document that was accepted
	ContentType string // only the media type, in lower case
	Fresh       keycache.Freshness
}

// maxHeaderBytes bounds the header that a server may send before the document.
const maxHeaderBytes = 16 << 10

// Client fetches documents. It is safe for concurrent use. It keeps nothing
// from one fetch to the next, not even connections, since strangers choose the
// hosts.
type Client struct {
	http     http.Client
	config   *Config
	slots    slots
	tally    tally.Tally
	timeout  time.Duration
	maxBytes int64
	logger   *slog.Logger
}

// New returns a Client within the bounds of config.
func New(config Config) *Client {
	if config.Timeout <= 0 {
		config.Timeout = 5 * time.Second
	}
	if config.MaxBytes <= 0 {
		config.MaxBytes = 256 << 10
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Resolver == nil {
		config.Resolver = net.DefaultResolver
	}
	if config.Concurrent <= 0 {
		config.Concurrent = 32
	}
	if config.PerHost <= 0 {
		config.PerHost = 4
	}
	d := &dialer{config: config}
	return &Client{
		config:   &d.config,
		slots:    slots{limit: config.Concurrent, perHost: config.PerHost, hosts: make(map[string]int)},
		timeout:  config.Timeout,
		maxBytes: config.MaxBytes,
		logger:   config.Logger,
		http: http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			// A proxy would resolve names itself, and decompression would let a
			// small answer grow.
			Transport: &http.Transport{
				DialContext:            d.dial,
				TLSClientConfig:        &tls.Config{RootCAs: config.RootCAs, MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    config.Timeout,
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxHeaderBytes,
			},
		},
	}
}

// Get fetches the document at rawURL. The error is one of those above; if ctx
// ends, it is ErrUnreachable. The Response is not nil if the server answered.
func (c *Client) Get(ctx context.Context, rawURL, accept string) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	res, err := c.get(ctx, rawURL, accept)
	if err == nil {
		return res, nil
	}
	kind := kindOf(err)
	// A stranger wrote the URL. A reader of the log needs only its host.
	c.tally.Log(ctx, c.logger, slog.LevelWarn, kind.Error(), "dcr: fetch refused or failed", "host", hostOf(rawURL), "error", err)
	return res, kind
}

func kindOf(err error) error {
	for _, kind := range []error{ErrBusy, ErrAddressRefused, ErrAnswerRefused} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return ErrUnreachable
}

func (c *Client) get(ctx context.Context, rawURL, accept string) (*Response, error) {
	u, err := parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddressRefused, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddressRefused, err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "dcr")
	host := strings.ToLower(u.Hostname())
	if !c.slots.take(host) {
		return nil, ErrBusy
	}
	defer c.slots.free(host)
	res, err := c.http.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err // without the URL
		}
		return nil, err
	}
	defer res.Body.Close()
	response, err := c.read(res)
	if err == nil && ctx.Err() != nil { // a server may end an answer when the client gives up
		response.Body, err = nil, ctx.Err()
	}
	return response, err
}

// Judge returns an ErrAddressRefused if no fetch from rawURL could ever succeed.
// It does not use the network, so it does not know what a name resolves to.
func (c *Client) Judge(rawURL string) error {
	u, err := parse(rawURL)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrAddressRefused, err)
	case !c.config.Reaches(strings.ToLower(u.Hostname())):
		return fmt.Errorf("%w: a host that is not public", ErrAddressRefused)
	case !c.config.Connects(strings.ToLower(u.Hostname()), u.Port()):
		return fmt.Errorf("%w: port %s", ErrAddressRefused, u.Port())
	}
	return nil
}

// parse accepts an absolute https URL with a host, without a user name, which a
// fetch would send, and without a fragment, which it would drop.
func parse(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "https":
		return nil, errors.New("not an https URL")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("a URL without a host")
	case u.User != nil:
		return nil, errors.New("a URL with a user name")
	case strings.Contains(rawURL, "#"):
		return nil, errors.New("a URL with a fragment")
	}
	return u, nil
}

// read reads the document of an answer.
func (c *Client) read(res *http.Response) (*Response, error) {
	response := &Response{
		Status:      res.StatusCode,
		ContentType: mediaType(res.Header.Get("Content-Type")),
		Fresh:       keycache.Fresh(res.Header),
	}
	refuse := func(format string, args ...any) (*Response, error) {
		return response, fmt.Errorf("%w: "+format, append([]any{ErrAnswerRefused}, args...)...)
	}
	if res.StatusCode != http.StatusOK {
		return refuse("status %d", res.StatusCode)
	}
	if coding := res.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return refuse("a compressed document")
	}
	if res.ContentLength > c.maxBytes {
		return refuse("a document of %d bytes", res.ContentLength)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, c.maxBytes+1))
	if err != nil {
		return response, err
	}
	if int64(len(body)) > c.maxBytes {
		return refuse("a document of more than %d bytes", c.maxBytes)
	}
	response.Body = body
	return response, nil
}

func hostOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Host
}
