// Quickstart serves a client registration endpoint with an embedded database:
//
//	go run ./examples/quickstart
//
// It prints the endpoint, a token for it and a line to paste. Run it with -help to
// see what else it can do.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/examples/internal/database"
	"github.com/dynreg/dcr/examples/internal/localhost"
	"github.com/dynreg/dcr/examples/internal/presets"
	"github.com/dynreg/dcr/policy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetFlags(log.Ltime)
	s, err := parseFlags(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// settings has the values of the flags.
type settings struct {
	*flag.FlagSet
	addr, database   string
	token            string // "" for one that is created at start
	verbose          bool
	options          dcr.Options
	validator        dcr.DefaultValidator
	duende           bool
	capabilities     *dcr.Capabilities // nil without -capabilities
	preset           presets.Preset    // zero without -preset
	statements       dcr.StatementVerifier
	accessTokens     callerauth.AccessTokenVerifier
	initialTokenUses int
	documents        []string // hosts whose metadata documents are accepted, as for cimd.Hosts
}

// believeClientCert is the flag -client-cert: a proxy in front sets the Client-Cert
// header, and removes it from requests that have it.
var believeClientCert bool

// clientCertificate returns the client certificate in the header of a proxy that
// terminates TLS in front of this program (RFC 9440 §2.2).
func clientCertificate(reg *dcr.Registration) (*x509.Certificate, error) {
	if !believeClientCert {
		return nil, nil
	}
	der, err := base64.StdEncoding.DecodeString(strings.Trim(reg.HTTP.Header.Get("Client-Cert"), ":"))
	if err != nil || len(der) == 0 {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// run serves until ctx ends, and then waits for the requests in progress.
func run(ctx context.Context, s *settings) error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("%w; set another address with -addr, or any free port with -addr=127.0.0.1:0", err)
	}
	defer listener.Close()
	if s.options.Endpoint == "" {
		s.options.Endpoint = "http://" + reachable(listener.Addr()) + "/connect/dcr"
	}
	store, closeStore, err := database.OpenStore(ctx, s.database)
	if err != nil {
		return fmt.Errorf("-db: %w", err)
	}
	defer closeStore()

	if s.verbose {
		slog.SetLogLoggerLevel(slog.LevelDebug)
	}
	fmt.Println("listening on:", listener.Addr())
	fmt.Println("clients are kept in:", place(s.database))
	fmt.Println("registration endpoint:", s.options.Endpoint)
	if s.preset.Name == "mcp" && !s.options.AllowAnonymous {
		fmt.Println("note: clients of the Model Context Protocol have no token, so they can register only with -open")
	}
	bearer, err := s.authorize(ctx, store)
	if err != nil {
		return err
	}
	if err := s.judge(); err != nil {
		return err
	}
	public, err := url.Parse(s.options.Endpoint)
	if err != nil {
		return err
	}
	login, err := s.login(store, public.Scheme+"://"+public.Host)
	if err != nil {
		return err
	}
	registration, err := dcr.NewHandler(store, &s.options)
	if err != nil {
		return err
	}
	page, err := s.explainPage(store)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: localhost.Only(listener.Addr(), routes(registration, login, page, public), public.Hostname()), ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Println(s.instructions(ctx, bearer))
	fmt.Println("ready:", s.options.Endpoint)

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// judge sets what may be registered.
func (s *settings) judge() error {
	v := s.validator
	if s.statements.Required || len(s.statements.Issuers) > 0 {
		v.Statements = &s.statements
	}
	v.Supports.AuthorizationResponseIss = s.documents != nil
	if s.preset.Directory && v.Statements == nil {
		return errors.New("this -preset needs the directory that issues statements; set it with -statement-issuer")
	}
	chosen := s.preset.Around(v, s.capabilities)
	if s.duende {
		chosen = chosen.With(policy.DuendeMembers(policy.DuendeLimits{}))
	}
	chosen.Apply(&s.options)
	return nil
}

// authorize sets who may register, and prints the tokens that it issues. It returns
// the arguments that curl needs.
func (s *settings) authorize(ctx context.Context, store dcr.ClientConfigurationStore) (curl string, err error) {
	var ways []dcr.Authenticator
	if s.initialTokenUses > 0 {
		tokens, ok := dcr.StoreAs[dcr.InitialAccessTokenStore](store)
		if !ok {
			return "", errors.New("the store does not support initial access tokens")
		}
		initial := &callerauth.InitialAccessTokens{Store: tokens}
		token, _, err := initial.Issue(ctx, dcr.InitialAccessToken{MaxUses: s.initialTokenUses, Subject: "quickstart"})
		if err != nil {
			return "", err
		}
		fmt.Println("initial-access-token:", token.Reveal())
		ways = append(ways, initial.Authenticate)
	}
	switch {
	case s.accessTokens.Issuer != "":
		s.accessTokens.Audience = cmp.Or(s.accessTokens.Audience, s.options.Endpoint)
		if err := s.accessTokens.Ready(ctx); err != nil {
			log.Print("quickstart: access tokens cannot be verified yet: ", err)
		}
		ways, curl = append(ways, s.accessTokens.Authenticate), `-H "Authorization: Bearer $TOKEN" `
	case !s.options.AllowAnonymous:
		token := cmp.Or(s.token, rand.Text())
		fmt.Println("bearer token:", token)
		ways, curl = append(ways, callerauth.StaticToken(dcr.Plaintext(token), dcr.Caller{Subject: "quickstart"})), "-H 'Authorization: Bearer "+token+"' "
	}
	if ways != nil {
		s.options.Caller = dcr.AnyOf(ways...)
	}
	return curl, nil
}

// reachable returns a host and port at which this machine reaches its own listener.
func reachable(addr net.Addr) string {
	bound := addr.(*net.TCPAddr).AddrPort()
	if bound.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), bound.Port()).String()
	}
	return bound.String()
}

// place says where the database of a -db flag is, without a password.
func place(database string) string {
	switch scheme, rest, _ := strings.Cut(database, ":"); scheme {
	case "memory":
		return "memory, until this program ends"
	case "sqlite":
		if file, err := filepath.Abs(rest); err == nil {
			return file + " (SQLite)"
		}
	default:
		if named, err := url.Parse(database); err == nil {
			return named.Redacted()
		}
	}
	return database
}

// routes mounts registration, the discovery documents (RFC 8414 §3, OpenID Connect
// Discovery 1.0 §4) and, unless registration is at /, the page there. Clients expect
// the other endpoints in discovery, but this program has an authorization and a token
// endpoint only with -documents. They stand for those of your own server.
func routes(registration *dcr.Handler, login *login, page http.Handler, public *url.URL) http.Handler {
	issuer := public.Scheme + "://" + public.Host
	mux := http.NewServeMux()
	mux.Handle(cmp.Or(public.Path, "/"), registration)
	mux.Handle(strings.TrimSuffix(public.Path, "/")+"/{client_id}", registration) // if Options.ClientURI has this form
	if login != nil {
		login.mount(mux)
	}
	mux.Handle("/.well-known/", registration.ServeDiscovery(issuer, map[string]any{
		"authorization_endpoint": issuer + "/connect/authorize",
		"token_endpoint":         issuer + "/connect/token",
		"jwks_uri":               issuer + "/connect/jwks",
	}))
	if strings.Trim(public.Path, "/") != "" {
		mux.Handle("GET /{$}", page)
		mux.Handle("POST /{$}", page)
	}
	return mux
}
