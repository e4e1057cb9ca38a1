// Httpsonly is a server that narrows what may be registered: only the authorization
// code grant and https redirect URIs. Every client must use PKCE, gets no refresh
// tokens, and has access tokens that last five minutes.
//
//	go run ./examples/httpsonly
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/localhost"
	"github.com/dynreg/dcr/memstore"
)

// validator overrides two steps, and leaves the rest to the DefaultValidator that
// it embeds.
type validator struct{ dcr.DefaultValidator }

// ValidateRedirectURIs refuses every scheme but https, even for the loopback
// addresses of native applications, and then calls the default.
func (v validator) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if slices.ContainsFunc(reg.Client.RedirectURIs, notHTTPS) {
		return dcr.Errorf(dcr.InvalidRedirectURI, "redirect_uris must use https")
	}
	return v.DefaultValidator.ValidateRedirectURIs(ctx, reg)
}

func notHTTPS(uri string) bool { return !strings.HasPrefix(uri, "https://") }

// SetClientDefaults sets what no client may ask for.
func (v validator) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.RequirePKCE = true
	reg.Client.AllowOfflineAccess = false
	reg.Client.AccessTokenLifetime = 5 * time.Minute
	return v.DefaultValidator.SetClientDefaults(ctx, reg)
}

// newValidator supports one grant type. That needs no rule in code: it is data.
func newValidator() validator {
	return validator{dcr.DefaultValidator{
		Supports: dcr.Capabilities{GrantTypes: []string{"authorization_code"}},
	}}
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on this `address` of the loopback interface")
	flag.Parse()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	endpoint := "http://" + listener.Addr().String() + "/connect/dcr"
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:       endpoint,
		Validator:      newValidator(),
		AllowAnonymous: true, // for trying it out; put your own authorization in front instead
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("accepted:")
	fmt.Printf("  curl -s %s -H 'Content-Type: application/json' -d '%s'\n", endpoint, `{"redirect_uris":["https://app.example.com/callback"]}`)
	fmt.Println("refused:")
	fmt.Printf("  curl -s %s -H 'Content-Type: application/json' -d '%s'\n", endpoint, `{"redirect_uris":["http://127.0.0.1:8400/callback"]}`)
	fmt.Println("ready:", endpoint)
	mux := http.NewServeMux()
	mux.Handle("/connect/dcr", handler)
	server := &http.Server{Handler: localhost.Only(listener.Addr(), mux), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}
