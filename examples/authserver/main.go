// Authserver is a complete OpenID Provider. Any OpenID or OAuth client can register or
// publish its metadata document, and people sign in and consent:
//
//	cd examples/authserver && go run .
//
// It prints where it listens, how to sign in, where the pages for operators are, and a
// line that registers a client. Clients are stored in a file. Sessions, codes, tokens
// and the signing key are in memory, and are lost when the process ends.
//
// requests.go, tokens.go, keys.go and people.go are the op.Storage of zitadel/oidc. The
// adapter github.com/dynreg/dcr/adapters/zitadeloidc applies the rules of the
// registered clients. server.go puts everything together; signin.go, signout.go and
// pages.html are what people see.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := run(ctx, parseFlags()); err != nil {
		fmt.Fprintln(os.Stderr, "authserver:", err)
		os.Exit(1)
	}
}

// settings has the values of the flags.
type settings struct {
	addr, issuer, database string
	certificate, key       string // files, for https
	preset                 string
	scopes                 []string // in addition to those of OpenID Connect
	documents              []string // hosts, as for cimd.Hosts, or *
	fetch                  *dcr.GuardedClient
	password               string

	rotate, autoApprove, logos bool
}

func parseFlags() *settings {
	s := &settings{fetch: fetchflags.Add(flag.CommandLine)}
	flag.StringVar(&s.addr, "addr", "127.0.0.1:8080", "listen on this `address`")
	flag.StringVar(&s.issuer, "issuer", "", "the public `URL`, without a path (default from the bound address)")
	flag.StringVar(&s.certificate, "certificate", "", "serve https with the certificate in this PEM `FILE`")
	flag.StringVar(&s.key, "key", "", "serve https with the key in this PEM `FILE`")
	flag.StringVar(&s.database, "db", "sqlite:authserver.db", database.Help)
	flag.StringVar(&s.preset, "preset", "", "register under a ready-made `policy`: mcp, oidc or fapi2, whose clients can register but get no codes (default what the specifications allow)")
	flag.Func("scopes", "also support these `scopes`, separated by commas, such as mcp,files.read", func(list string) error {
		s.scopes = strings.Split(list, ",")
		return nil
	})
	flag.Func("documents", "also accept clients that publish their metadata on these `hosts`, separated by commas, such as claude.ai,*.vscode.dev; * accepts any", func(list string) error {
		s.documents = strings.Split(list, ",")
		return nil
	})
	flag.BoolVar(&s.rotate, "rotate", false, "give clients a new secret and a new registration access token with every update")
	flag.StringVar(&s.password, "password", "", "sign in with this `password` (default a new one)")
	flag.BoolVar(&s.logos, "logos", false, "show the logos of clients; their servers then see who is asked for consent")
	flag.BoolVar(&s.autoApprove, "auto-approve", false, "sign everybody in as paula, who agrees to everything: for scripts, on this machine only")
	flag.Parse()
	return s
}

// run serves until ctx ends, and then waits for the requests in progress.
func run(ctx context.Context, s *settings) error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := s.settle(listener.Addr()); err != nil {
		return err
	}
	store, closeStore, err := database.OpenStore(ctx, s.database)
	if err != nil {
		return fmt.Errorf("-db: %w", err)
	}
	defer closeStore()
	p, err := newProvider(s, store)
	if err != nil {
		return err
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	p.tend(work)

	public, _ := url.Parse(s.issuer)
	server := &http.Server{
		Handler:     localhost.Only(listener.Addr(), p.handler, public.Hostname()),
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
	}
	served := make(chan error, 1)
	go func() {
		if s.certificate != "" {
			served <- server.ServeTLS(listener, s.certificate, s.key)
		} else {
			served <- server.Serve(listener)
		}
	}()
	p.instruct()

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// settle sets what the flags left empty, and refuses flags that contradict each other.
func (s *settings) settle(addr net.Addr) error {
	bound := addr.(*net.TCPAddr).AddrPort()
	if s.autoApprove && !bound.Addr().IsLoopback() {
		return errors.New("-auto-approve signs everybody in, so it needs a loopback address, such as 127.0.0.1:8080")
	}
	if (s.certificate == "") != (s.key == "") {
		return errors.New("-certificate and -key must be used together")
	}
	if s.password == "" {
		s.password = rand.Text()
	}
	if s.issuer == "" {
		scheme, host := "http", bound
		if s.certificate != "" {
			scheme = "https"
		}
		if bound.Addr().IsUnspecified() {
			host = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), bound.Port())
		}
		s.issuer = scheme + "://" + host.String()
	}
	parsed, err := url.Parse(s.issuer)
	if err != nil || parsed.Host == "" || parsed.Scheme+"://"+parsed.Host != s.issuer {
		return errors.New("-issuer must be a URL without a path, such as https://id.example.com")
	}
	return nil
}

// instruct prints what a user needs to know, and then that the server is ready.
func (p *provider) instruct() {
	if p.autoApprove {
		fmt.Println("WARNING: everybody is signed in as paula, who agrees to everything")
	}
	if p.preset == "fapi2" {
		fmt.Println("WARNING: FAPI 2.0 clients can register, but get no codes, because zitadel/oidc supports neither pushed requests nor sender-constrained tokens")
	}
	fmt.Println("sign in as paula or, for the operators' pages, as olga; password:", p.password)
	fmt.Println("operators' pages:", p.issuer+adminPath)
	fmt.Println("register a client:")
	fmt.Printf("  curl -s '%s' -H 'Content-Type: application/json' -d '%s'\n", p.issuer+registrationPath, p.sample())
	fmt.Println("ready:", p.issuer)
}
