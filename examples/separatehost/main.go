// Separatehost runs registration in a separate process from the authorization server.
// Both use one database. The program starts both processes, tries them once and ends:
//
//	go run ./examples/separatehost
//
// The authorization server issues access tokens. The registration host verifies them
// with the keys from the server's discovery document, and stores clients, which the
// authorization server then reads. Only the registration host can write.
package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/examples/internal/localhost"
	"github.com/dynreg/dcr/sqlstore"
)

// settings are the same for both processes.
type settings struct {
	issuer   string // the URL of the authorization server
	endpoint string // the URL of the registration endpoint
	database string // sqlite:FILE or postgres://…
}

const scope = "client:register"

// portal is the host's own client, which requests tokens to register others. It is the
// only one that is not in the database.
const portal = "portal"

func main() {
	var s settings
	role := flag.String("role", "", "run only one `process`, authorization or registration; if empty, start both")
	flag.StringVar(&s.issuer, "issuer", "", "the `URL` of the authorization server; if empty, one with a free port of this machine")
	flag.StringVar(&s.endpoint, "endpoint", "", "the `URL` of the registration endpoint; if empty, one with a free port of this machine")
	flag.StringVar(&s.database, "db", "", "the database of both processes, sqlite:FILE or postgres://…; if empty, a temporary file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch *role {
	case "":
		err = both(ctx, s, os.Stdout)
	case "authorization":
		err = serve(ctx, s.issuer, func() (http.Handler, error) { return authorizationServer(s) })
	case "registration":
		err = serve(ctx, s.endpoint, func() (http.Handler, error) { return registrationHost(ctx, s) })
	default:
		err = fmt.Errorf("-role must be authorization or registration, not %s", *role)
	}
	if err != nil {
		log.Fatal("separatehost: ", err)
	}
}

// openStore opens the database that both processes use.
func openStore(database string, readOnly bool) (*sqlstore.Store, error) {
	name, dialect, driver := database, sqlstore.PostgreSQL, "pgx"
	if file, found := strings.CutPrefix(database, "sqlite:"); found {
		name, dialect, driver = sqlstore.SQLiteDSN(file), sqlstore.SQLite, "sqlite"
		if readOnly {
			name = "file:" + url.PathEscape(file) + "?mode=ro&_pragma=busy_timeout(5000)"
		}
	} else if readOnly { // in production, use a role with the permissions of docs/recipes.md
		separator := "?"
		if strings.Contains(name, "?") {
			separator = "&"
		}
		name += separator + "default_transaction_read_only=on"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return nil, err
	}
	return sqlstore.New(db, dialect, nil), nil
}

// capabilities are those of the authorization server, which publishes them. The
// registration host validates with them.
var capabilities = dcr.Capabilities{
	GrantTypes:               []string{"client_credentials"},
	TokenEndpointAuthMethods: []string{"client_secret_basic"},
	Scopes:                   []string{"reports"},
}

// registrationHost is the process that registers clients, and the only one that
// writes. All that it knows about the authorization server is its issuer.
func registrationHost(ctx context.Context, s settings) (http.Handler, error) {
	store, err := openStore(s.database, false)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint:  s.endpoint,
		Validator: dcr.DefaultValidator{Supports: capabilities, DefaultScopes: []string{"reports"}},
	})
	if err != nil {
		return nil, err
	}
	verifier := &callerauth.AccessTokenVerifier{Issuer: s.issuer, Audience: s.endpoint, Scopes: []string{scope}}
	mux := http.NewServeMux()
	mux.Handle("POST /connect/dcr", dcr.Require(verifier.Authenticate)(handler))
	mux.Handle("/connect/dcr", handler)
	return mux, nil
}

// server is the process with the rest of OAuth: here a discovery document, keys, and
// tokens for clients that act on their own behalf.
type server struct {
	settings
	store dcr.ClientConfigurationStore
	key   ed25519.PrivateKey
}

func authorizationServer(s settings) (http.Handler, error) {
	store, err := openStore(s.database, true)
	if err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	as := &server{settings: s, store: store, key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", as.discovery)
	mux.HandleFunc("GET /jwks", as.jwks)
	mux.HandleFunc("POST /token", as.token)
	return mux, nil
}

func (s *server) discovery(w http.ResponseWriter, r *http.Request) {
	document := capabilities.Discovery()
	document["issuer"] = s.issuer
	document["jwks_uri"] = s.issuer + "/jwks"
	document["token_endpoint"] = s.issuer + "/token"
	document["registration_endpoint"] = s.endpoint // on the other host
	writeJSON(w, http.StatusOK, document)
}

func (s *server) jwks(w http.ResponseWriter, r *http.Request) {
	key := map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": encode(s.key.Public().(ed25519.PublicKey))}
	writeJSON(w, http.StatusOK, map[string]any{"keys": []any{key}})
}

// token is the client credentials grant (RFC 6749 §4.4). It authenticates the client
// with the secret that the registration host stored.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := dcr.BasicCredentials(r)
	granted, audience := "", s.issuer+"/reports"
	client, err := s.store.FindByClientID(r.Context(), id)
	switch {
	case id == portal && secret.Reveal() == os.Getenv("PORTAL_SECRET"):
		granted, audience = scope, s.endpoint
	case err == nil && client.VerifySecret(secret.Reveal(), time.Now()) && client.HasGrant("client_credentials"):
		granted = client.Scope
	default:
		if err == nil && client.MatchSecret(secret, time.Now()) {
			err = client.CheckUsable(time.Now())
		}
		dcr.WriteInvalidClient(w, r, err)
		return
	}
	now := time.Now().Unix()
	token, err := s.sign(map[string]any{
		"iss": s.issuer, "aud": audience, "sub": id, "client_id": id, "scope": granted,
		"iat": now, "exp": now + 300, "jti": rand.Text(),
	})
	if err != nil {
		log.Print(err)
		writeJSON(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": granted})
}

// sign makes a JWT access token (RFC 9068).
func (s *server) sign(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := encode([]byte(`{"alg":"EdDSA","typ":"at+jwt","kid":"1"}`)) + "." + encode(payload)
	return signed + "." + encode(ed25519.Sign(s.key, []byte(signed))), nil
}

var encode = base64.RawURLEncoding.EncodeToString

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// serve runs one of the processes until it gets a signal or the process that started
// it ends.
func serve(ctx context.Context, at string, open func() (http.Handler, error)) error {
	handler, err := open()
	if err != nil {
		return err
	}
	address, err := url.Parse(at)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address.Host)
	if err != nil {
		return err
	}
	process := &http.Server{Handler: localhost.Only(listener.Addr(), handler), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		ended := make(chan struct{})
		go func() {
			io.Copy(io.Discard, os.Stdin)
			close(ended)
		}()
		select {
		case <-ended:
		case <-ctx.Done():
		}
		process.Close()
	}()
	fmt.Println("ready:", at)
	if err := process.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// both starts both processes and tries them once.
func both(ctx context.Context, s settings, out io.Writer) (err error) {
	if s.database == "" {
		dir, err := os.MkdirTemp("", "separatehost")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.database = "sqlite:" + filepath.Join(dir, "clients.db")
	}
	if s.issuer == "" {
		s.issuer = "http://" + freeAddress()
	}
	if s.endpoint == "" {
		s.endpoint = "http://" + freeAddress() + "/connect/dcr"
	}
	secret := rand.Text()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, role := range []string{"registration", "authorization"} {
		end, err := start(ctx, role, s, secret)
		if err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		defer end()
		fmt.Fprintf(out, "started the %s process\n", role)
	}
	return roundTrip(ctx, s, secret, out)
}

// freeAddress returns an address at which no program listens at the moment.
func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start runs this program in a role and waits until it serves. The process ends when
// its standard input is closed, so it does not outlive this one.
func start(ctx context.Context, role string, s settings, secret string) (end func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	process := exec.CommandContext(ctx, program, "-role", role, "-issuer", s.issuer, "-endpoint", s.endpoint, "-db", s.database)
	process.Env = append(os.Environ(), "PORTAL_SECRET="+secret)
	process.Stderr = os.Stderr
	stdin, errIn := process.StdinPipe()
	stdout, errOut := process.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	end = sync.OnceFunc(func() {
		stdin.Close()
		process.Wait()
	})
	lines := bufio.NewScanner(stdout)
	if lines.Scan(); !strings.HasPrefix(lines.Text(), "ready:") {
		end()
		return nil, errors.New("the process did not start")
	}
	return end, nil
}
