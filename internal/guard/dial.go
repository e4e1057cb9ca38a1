package guard

// Resolve, judge, dial: the address that was judged is the address dialled.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// maxAttempts is how many of a host's addresses are tried.
const maxAttempts = 4

// A dialer is what stands between the HTTP client and the network.
type dialer struct {
	resolver Resolver
	networks []netip.Prefix
	ports    []uint16
	timeout  time.Duration
}

// dial connects to hostport. It keeps its own time, since the HTTP transport
// lets a dial outlive the request that it was for.
func (d *dialer) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	host, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var targets []netip.AddrPort
	for _, addr := range addrs {
		if d.permits(addr, uint16(port)) {
			targets = append(targets, netip.AddrPortFrom(addr, uint16(port)))
		}
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("no permitted address or port: %v port %d", addrs, port)
	}
	return connect(ctx, network, targets)
}

// resolve returns the first addresses of host, an IP literal among them.
// IPv4-mapped ones are unmapped, here and for good.
func (d *dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	found, err := d.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, 0, maxAttempts)
	for _, addr := range found[:min(len(found), maxAttempts)] {
		addrs = append(addrs, addr.Unmap())
	}
	return addrs, nil
}

func (d *dialer) permits(addr netip.Addr, port uint16) bool {
	if within(d.networks, addr) {
		return true
	}
	return public(addr) && (port == 443 || slices.Contains(d.ports, port))
}

// connect tries the targets in the resolver's order and gives each its share
// of the time that is left, so that a dead one does not use it all up.
func connect(ctx context.Context, network string, targets []netip.AddrPort) (net.Conn, error) {
	var failures []error
	deadline, _ := ctx.Deadline()
	for i, target := range targets {
		share := time.Until(deadline) / time.Duration(len(targets)-i)
		conn, err := (&net.Dialer{Timeout: share}).DialContext(ctx, network, target.String())
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}
