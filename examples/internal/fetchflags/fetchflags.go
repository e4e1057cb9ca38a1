// Package fetchflags has the flags that say what a server may fetch for its clients.
package fetchflags

import (
	"crypto/x509"
	"errors"
	"flag"
	"net/netip"
	"os"

	"github.com/dynreg/dcr"
)

// Add adds -fetch-allow and -fetch-ca, and returns the client that they configure.
func Add(flags *flag.FlagSet) *dcr.GuardedClient {
	fetch := &dcr.GuardedClient{}
	flags.Func("fetch-allow", "also fetch the URLs of clients from this network, in `CIDR` notation (repeatable)", func(cidr string) error {
		network, err := netip.ParsePrefix(cidr)
		fetch.AllowNetworks = append(fetch.AllowNetworks, network)
		return err
	})
	flags.Func("fetch-ca", "trust the certificates in this PEM `FILE` when fetching the URLs of clients", func(file string) error {
		pem, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if fetch.RootCAs = x509.NewCertPool(); !fetch.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New("the file has no PEM certificate")
		}
		return nil
	})
	return fetch
}
