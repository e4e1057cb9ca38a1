// Quickstart serves a client registration endpoint with an embedded database:
//
//	go run ./examples/quickstart
//
// It prints the endpoint, a token for it and a line to paste. With -help it
// tells what else it can do.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/examples/internal/localhost"
	"github.com/dynreg/dcr/examples/internal/presets"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
	"github.com/dynreg/dcr/sqlstore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parseFlags()); err != nil {
		log.Fatal("quickstart: ", err)
	}
}

// settings is what the flags say.
type settings struct {
	addr, database   string
	options          dcr.Options
	validator        dcr.DefaultValidator
	duende           bool
	capabilities     *dcr.Capabilities // nil without -capabilities
	preset           presets.Preset    // zero without -preset
	statements       dcr.StatementVerifier
	accessTokens     callerauth.AccessTokenVerifier
	initialTokenUses int
	documents        []string // hosts whose metadata documents are taken, as cimd.Hosts has them
}

// believeClientCert is the flag -client-cert: there is a proxy in front, which
// sets the Client-Cert header and lets nobody else set it.
var believeClientCert bool

// clientCertificate is the client certificate that a proxy, which ends TLS in
// front of this program, tells of (RFC 9440 §2.2).
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

func parseFlags() *settings {
	s := &settings{statements: dcr.StatementVerifier{Issuers: make(map[string]dcr.KeySource)}}
	flag.StringVar(&s.addr, "addr", "127.0.0.1:8080", "listen on this `address`")
	flag.StringVar(&s.options.Endpoint, "endpoint", "", "the public `URL` of the registration endpoint (default from the bound address)")
	flag.Var((*pages)(&s.options.CORS), "cors", "let web pages register: of every origin or, with -cors=`ORIGIN`, of that one (repeatable)")
	flag.StringVar(&s.database, "db", "sqlite:quickstart.db", "keep clients in sqlite:FILE, postgres://…, mysql://… or memory:")
	s.authorizationFlags()
	s.policyFlags()
	s.credentialFlags()
	s.fetchFlags()
	s.documentFlags()
	flag.Parse()
	return s
}

func (s *settings) authorizationFlags() {
	flag.BoolVar(&s.options.AllowAnonymous, "open", false, "let anybody register, without a token")
	flag.IntVar(&s.initialTokenUses, "initial-token", 0, "issue an initial access token that registers `N` clients")
	flag.StringVar(&s.accessTokens.Issuer, "bearer", "", "let in who bears a JWT access token of this `issuer`")
	flag.StringVar(&s.accessTokens.Audience, "audience", "", "the `audience` that such a token must have (default the endpoint)")
	flag.Func("scope", "the `scopes` that such a token must have, separated by spaces", func(scopes string) error {
		s.accessTokens.Scopes = strings.Fields(scopes)
		return nil
	})
}

func (s *settings) policyFlags() {
	all := presets.All(clientCertificate)
	flag.Func("preset", "register under a ready-made `policy`: "+all.Names(), func(name string) (err error) {
		s.preset, err = all.Find(name)
		return err
	})
	flag.Func("capabilities", "read what the server supports from a discovery document in `FILE`", func(file string) error {
		return readFile(file, func(text []byte) error { return json.Unmarshal(text, &s.capabilities) })
	})
	flag.Func("default-scope", "give clients that ask for no scope these `scopes`, separated by spaces", func(scopes string) error {
		s.validator.DefaultScopes = strings.Fields(scopes)
		return nil
	})
	flag.BoolVar(&s.duende, "duende", false, "accept Duende IdentityServer's extension members")
	flag.BoolVar(&believeClientCert, "client-cert", false, "believe the Client-Cert header, which a proxy in front must set or remove")
	flag.BoolVar(&s.validator.AllowHTTPRedirects, "allow-http-redirects", false, "allow remote http redirect URIs to confidential clients")

	flag.Func("statement-issuer", "trust software statements of an issuer: `ISS=FILE` or ISS=URL of its JWKS (repeatable)", func(pair string) (err error) {
		issuer, keys, _ := strings.Cut(pair, "=")
		if s.statements.Issuers[issuer], err = keySource(keys); err != nil {
			log.Fatal("quickstart: -statement-issuer: ", err) // without all that -help says behind it
		}
		return nil
	})
	flag.BoolVar(&s.statements.Required, "require-statement", false, "register nobody without a software statement")
}

func (s *settings) credentialFlags() {
	flag.DurationVar(&s.options.SecretLifetime, "secret-lifetime", 0, "let client secrets expire after this `duration` (default never)")
	flag.BoolVar(&s.options.RotateSecret, "rotate-secret", false, "issue a new client secret with every update")
	flag.BoolVar(&s.options.RotateRegistrationToken, "rotate-registration-token", false, "issue a new registration access token with every update")
	flag.Func("secret-key", "keep secrets that the server must read encrypted with the 32 bytes in `FILE`", func(file string) error {
		return readFile(file, func(key []byte) (err error) {
			s.options.Sealer, err = dcr.NewAESSealer(key)
			return err
		})
	})
}

func (s *settings) fetchFlags() {
	fetch := &dcr.GuardedClient{}
	s.validator.Fetch = fetch
	flag.Func("fetch-allow", "also fetch what clients name from this network, a `CIDR` (repeatable)", func(cidr string) error {
		network, err := netip.ParsePrefix(cidr)
		fetch.AllowNetworks = append(fetch.AllowNetworks, network)
		return err
	})
	flag.Func("fetch-ca", "trust the certificates in this PEM `FILE` when fetching what clients name", func(file string) error {
		return readFile(file, func(pem []byte) error {
			fetch.RootCAs = x509.NewCertPool()
			if !fetch.RootCAs.AppendCertsFromPEM(pem) {
				return errors.New("no PEM certificate in it")
			}
			return nil
		})
	})
}

func readFile(file string, use func(content []byte) error) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return use(content)
}

// keySource is a JWKS at a URL, or in a file. JWKSURL panics on a URL that is
// of no use, since it is the program that names one. Here its user does.
func keySource(where string) (source dcr.KeySource, err error) {
	if strings.Contains(where, "://") {
		defer func() {
			if wrong := recover(); wrong != nil {
				err = fmt.Errorf("%v", wrong)
			}
		}()
		return dcr.JWKSURL(where, nil), nil
	}
	jwks, err := os.ReadFile(where)
	return dcr.StaticKeys(jwks), err
}

// run serves until ctx ends, then lets the requests under way finish.
func run(ctx context.Context, s *settings) error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	if s.options.Endpoint == "" {
		s.options.Endpoint = "http://" + reachable(listener.Addr()) + "/connect/dcr"
	}
	store, closeStore, err := openStore(ctx, s.database)
	if err != nil {
		return fmt.Errorf("-db: %w", err)
	}
	defer closeStore()

	fmt.Println("registration endpoint:", s.options.Endpoint)
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
		return errors.New("this -preset needs the directory that issues statements; name it by -statement-issuer")
	}
	chosen := s.preset.Around(v, s.capabilities)
	if s.duende {
		chosen = chosen.With(policy.DuendeMembers(policy.DuendeLimits{}))
	}
	chosen.Apply(&s.options)
	return nil
}

// authorize sets who may register, and prints the tokens that it issues. It
// returns what curl needs.
func (s *settings) authorize(ctx context.Context, store dcr.ClientConfigurationStore) (curl string, err error) {
	var ways []dcr.Authenticator
	if s.initialTokenUses > 0 {
		tokens, ok := dcr.StoreAs[dcr.InitialAccessTokenStore](store)
		if !ok {
			return "", errors.New("the store keeps no initial access tokens")
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
			log.Print("quickstart: no access token can be verified yet: ", err)
		}
		ways, curl = append(ways, s.accessTokens.Authenticate), `-H "Authorization: Bearer $TOKEN" `
	case !s.options.AllowAnonymous:
		token := rand.Text()
		fmt.Println("bearer token:", token)
		ways, curl = append(ways, callerauth.StaticToken(dcr.Plaintext(token), dcr.Caller{Subject: "quickstart"})), "-H 'Authorization: Bearer "+token+"' "
	}
	if ways != nil {
		s.options.Caller = dcr.AnyOf(ways...)
	}
	return curl, nil
}

// reachable is a host and port by which this machine reaches its own listener.
func reachable(addr net.Addr) string {
	bound := addr.(*net.TCPAddr).AddrPort()
	if bound.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), bound.Port()).String()
	}
	return bound.String()
}

// connections is how many the pool opens, and keeps, since opening one costs
// more than a registration.
const connections = 32

// openStore opens the store that a -db flag names, and makes its tables.
func openStore(ctx context.Context, name string) (store dcr.ClientConfigurationStore, closeStore func(), err error) {
	scheme, rest, _ := strings.Cut(name, ":")
	var db *sql.DB
	var dialect sqlstore.Dialect
	switch scheme {
	case "memory":
		return memstore.New(), func() {}, nil
	case "sqlite":
		dialect = sqlstore.SQLite
		db, err = sql.Open("sqlite", sqlstore.SQLiteDSN(rest))
	case "postgres", "postgresql":
		dialect = sqlstore.PostgreSQL
		db, err = sql.Open("pgx", name)
	case "mysql":
		dialect = sqlstore.MySQL
		db, err = openMySQL(name)
	default:
		err = errors.New("want memory:, sqlite:FILE, postgres://… or mysql://…")
	}
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	clients := sqlstore.New(db, dialect, nil)
	if err := clients.Migrate(ctx); err != nil {
		db.Close()
		return nil, nil, err
	}
	return clients, func() { clients.Close(); db.Close() }, nil
}

// openMySQL opens mysql://user:password@host:port/database, a form that the
// driver does not read itself.
func openMySQL(name string) (*sql.DB, error) {
	parsed, err := url.Parse(name)
	if err != nil {
		return nil, err
	}
	host := net.JoinHostPort(parsed.Hostname(), cmp.Or(parsed.Port(), "3306"))
	config, err := mysql.ParseDSN("tcp(" + host + ")" + cmp.Or(parsed.Path, "/") + "?" + parsed.RawQuery)
	if err != nil {
		return nil, err
	}
	config.User = parsed.User.Username()
	config.Passwd, _ = parsed.User.Password()
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// routes mounts registration, the discovery documents (RFC 8414 §3, OpenID Connect
// Discovery 1.0 §4) and, where registration is not there itself, the page at /. The
// endpoints beside registration stand for those of the authorization server around
// it, which this program is with -documents alone; clients want to find them.
func routes(registration *dcr.Handler, login *login, page http.Handler, public *url.URL) http.Handler {
	issuer := public.Scheme + "://" + public.Host
	mux := http.NewServeMux()
	mux.Handle(cmp.Or(public.Path, "/"), registration)
	mux.Handle(strings.TrimSuffix(public.Path, "/")+"/{client_id}", registration) // where Options.ClientURI is of this form
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
