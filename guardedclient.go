package dcr

// RFC 7591 §5, OpenID Connect Dynamic Client Registration 1.0 §9: what a
// stranger names is fetched only through here.

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/dynreg/dcr/internal/guard"
)

// GuardedClient fetches documents that a registrant named: over https, without
// redirects, from publicly reachable addresses alone, the address that is
// dialled being the one that was judged, bounded in size and time. The zero
// value is ready to use; do not change it after the first use.
type GuardedClient struct {
	AllowNetworks []netip.Prefix // networks to reach although they are not public, on any port
	AllowPorts    []uint16       // ports to reach besides 443
	RootCAs       *x509.CertPool // if nil, the system's
	Timeout       time.Duration  // of one fetch; if zero, 5 seconds
	MaxBytes      int64          // of one document; if zero, 256 KiB
	Logger        *slog.Logger   // for why a fetch failed, which no registrant is told; if nil, slog.Default

	once   sync.Once
	client *guard.Client
}

var defaultGuardedClient GuardedClient

// fetch returns the document at url. Its error says nothing of the reason.
func (g *GuardedClient) fetch(ctx context.Context, url, accept string) (*guard.Response, error) {
	if g == nil {
		g = &defaultGuardedClient
	}
	g.once.Do(func() {
		g.client = guard.New(guard.Config{
			AllowNetworks: g.AllowNetworks, AllowPorts: g.AllowPorts, RootCAs: g.RootCAs,
			Timeout: g.Timeout, MaxBytes: g.MaxBytes, Logger: g.Logger,
		})
	})
	return g.client.Get(ctx, url, accept)
}

func (g *GuardedClient) get(ctx context.Context, url, accept string) ([]byte, error) {
	response, err := g.fetch(ctx, url, accept)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}
