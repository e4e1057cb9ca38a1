// Fositeserver is an OpenID Provider on ory/fosite. Clients register or publish their
// metadata document, and a person signs in and consents:
//
//	cd examples/fositeserver && go run .
//
// It prints where it listens, how to sign in, and a line that registers a client.
// Clients are stored in a file. Codes, tokens, sessions and the signing key are in
// memory, and are lost when the process ends. The adapter
// github.com/dynreg/dcr/adapters/fosite gives the registered clients to fosite.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/database"
	"github.com/dynreg/dcr/examples/internal/fetchflags"
	"github.com/dynreg/dcr/examples/internal/localhost"
)

// settings has the values of the flags.
type settings struct {
	addr, database, preset string
	issuer                 string   // from the bound address
	password               string   // paula's, new at each start
	documents              []string // hosts, as for cimd.Hosts, or *
	fetch                  *dcr.GuardedClient
	rotate, autoApprove    bool
}

func parseFlags() *settings {
	s := &settings{fetch: fetchflags.Add(flag.CommandLine), password: rand.Text()}
	flag.StringVar(&s.addr, "addr", "127.0.0.1:8080", "listen on this `address` of the loopback interface")
	flag.StringVar(&s.database, "db", "sqlite:fositeserver.db", database.Help)
	flag.StringVar(&s.preset, "preset", "", "register under a ready-made `policy`: mcp or oidc (default what the specifications allow)")
	flag.Func("documents", "also accept clients that publish their metadata on these `hosts`, separated by commas, such as claude.ai,*.vscode.dev; * accepts any", func(list string) error {
		s.documents = strings.Split(list, ",")
		return nil
	})
	flag.BoolVar(&s.rotate, "rotate", false, "give clients a new secret and a new registration access token with every update")
	flag.BoolVar(&s.autoApprove, "auto-approve", false, "sign everybody in as paula, who agrees to everything: for scripts")
	flag.Parse()
	return s
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parseFlags()); err != nil {
		log.Fatal("fositeserver: ", err)
	}
}

// run serves until ctx ends, and then waits for the requests in progress.
func run(ctx context.Context, s *settings) error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		return errors.New("-addr must be a loopback address, such as 127.0.0.1:8080, because this server uses http")
	}
	s.issuer = "http://" + listener.Addr().String()
	store, closeStore, err := database.OpenStore(ctx, s.database)
	if err != nil {
		return fmt.Errorf("-db: %w", err)
	}
	defer closeStore()
	handler, err := newServer(s, store)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: localhost.Only(listener.Addr(), handler), ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	if s.autoApprove {
		fmt.Println("WARNING: everybody is signed in as paula, who agrees to everything")
	}
	fmt.Printf("sign in as paula; password: %s\nregister a client:\n  curl -s %s/register -H 'Content-Type: application/json' -d '%s'\nready: %[2]s\n",
		s.password, s.issuer, `{"redirect_uris":["http://127.0.0.1/callback"],"application_type":"native","token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`)

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
