package guard

// Resolve, check, dial: the address that is dialled is the one that was
// checked.

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

// A dialer connects the HTTP client to the network.
type dialer struct{ config Config }

// dial connects to hostport. It has a timeout of its own, since the HTTP
// transport lets a dial go on after the request that needed it.
func (d *dialer) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
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
		// If one address is refused, the name is refused: a name that mixes
		// public and special-use addresses is probably an attack.
		if !d.permits(host, addr, uint16(port)) {
			return nil, fmt.Errorf("%w: no permitted address or port: %v port %d", ErrAddressRefused, addr, port)
		}
		targets = append(targets, netip.AddrPortFrom(addr, uint16(port)))
	}
	if len(targets) == 0 {
		return nil, errors.New("the name has no address")
	}
	targets = targets[:min(len(targets), maxAttempts)]
	return connect(ctx, network, targets)
}

// resolve returns the addresses of host, which may be an IP literal.
// IPv4-mapped addresses are unmapped here.
func (d *dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	found, err := d.config.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, 0, len(found))
	for _, addr := range found {
		addrs = append(addrs, addr.Unmap())
	}
	return addrs, nil
}

func (d *dialer) permits(host string, addr netip.Addr, port uint16) bool {
	if d.config.opens(host, addr) {
		return true
	}
	return public(addr) && (port == 443 || slices.Contains(d.config.AllowPorts, port))
}

// connect tries the targets in the resolver's order and gives each a share of
// the remaining time, so that a dead one does not use all of it.
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
