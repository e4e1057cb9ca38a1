// Package fetchflags is the flags that say what a server may fetch for its clients.
package fetchflags

import (
	"crypto/x509"
	"errors"
	"flag"
	"net/netip"
	"os"

	"github.com/dynreg/dcr"
)

// Add adds -fetch-allow and -fetch-ca, and returns the client that they are for.
func Add(flags *flag.FlagSet) *dcr.GuardedClient {
	fetch := &dcr.GuardedClient{}
	flags.Func("fetch-allow", "also fetch what clients name from this network, a `CIDR` (repeatable)", func(cidr string) error {
		network, err := netip.ParsePrefix(cidr)
		fetch.AllowNetworks = append(fetch.AllowNetworks, network)
		return err
	})
	flags.Func("fetch-ca", "trust the certificates in this PEM `FILE` when fetching what clients name", func(file string) error {
		pem, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if fetch.RootCAs = x509.NewCertPool(); !fetch.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New("no PEM certificate in it")
		}
		return nil
	})
	return fetch
}
