// Admin runs the pages for operators, with clients to look at:
//
//	go run ./examples/admin
//
// It prints where the pages are, how to sign in, and a command that registers one more
// client. It logs every event. The janitor deletes clients that registered a day ago
// and were never used. Nothing is kept when the program ends.
package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/examples/internal/localhost"
	"github.com/dynreg/dcr/memstore"
)

const mounted = "/admin/clients/"

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on this `address` of the loopback interface")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	store, base, password := memstore.New(), "http://"+listener.Addr().String(), rand.Text()
	if err := fill(ctx, store, time.Now()); err != nil {
		log.Fatal(err)
	}
	mux, err := newMux(base, store, password)
	if err != nil {
		log.Fatal(err)
	}
	janitor := &admin.Janitor{
		Store: store, NeverActivated: 24 * time.Hour, Expired: true,
		Idle: 90 * 24 * time.Hour, RefreshTokens: 30 * 24 * time.Hour,
		AfterDelete: endGrants, Events: events,
	}
	go func() {
		if err := janitor.Run(ctx); ctx.Err() == nil {
			log.Print("clients are no longer swept: ", err)
		}
	}()
	fmt.Println("sign in as anybody, with the password", password)
	fmt.Println("to register one more client:")
	fmt.Printf("  curl -s %s/connect/dcr -H 'Content-Type: application/json' -d '%s'\n", base, `{"client_name":"Yours","redirect_uris":["https://app.example.com/callback"]}`)
	fmt.Println("ready:", base+mounted)
	server := &http.Server{Handler: localhost.Only(listener.Addr(), mux), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

// events receives the events of everything that acts on clients.
var events = dcr.LogEvents(nil)

// endGrants is where a server would revoke the tokens of a deleted client.
func endGrants(_ context.Context, client *dcr.Client) error {
	log.Println("the grants of", client.ID, "would end here")
	return nil
}

// newMux serves the registration endpoint and, behind the login, the pages.
func newMux(base string, store *memstore.Store, password string) (http.Handler, error) {
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint:       base + "/connect/dcr",
		AllowAnonymous: true, // for trying it out; put your own authorization in front instead
		MaxClients:     10_000,
		AfterDelete:    endGrants,
		Events:         events,
		Origin: func(r *http.Request) string { // behind a proxy, what the proxy says
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			return host
		},
	})
	if err != nil {
		return nil, err
	}
	operations := &admin.Admin{Store: store, Handler: handler, AfterDelete: endGrants, Events: events}
	pages, err := admin.NewHandler(operations, &admin.PageOptions{
		Path: mounted,
		Operator: func(r *http.Request) (string, error) {
			name, _, _ := r.BasicAuth()
			return name, nil
		},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/connect/dcr", handler)
	mux.Handle(mounted, login(password, pages))
	mux.Handle("/{$}", http.RedirectHandler(mounted, http.StatusSeeOther))
	return mux, nil
}

// login takes the place of a server's own login, which knows who is an operator.
func login(password string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, given, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(given), []byte(password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="operators"`)
			http.Error(w, "sign in", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fill adds clients to look at, and an initial access token.
func fill(ctx context.Context, store *memstore.Store, now time.Time) error {
	for n := range 130 {
		name := names[n%len(names)]
		client := dcr.NewClient()
		client.ID, client.ClientName, client.Source = fmt.Sprintf("c%031x", 7919*n+1), name.client, dcr.SourceDynamic
		client.RedirectURIs, client.GrantTypes, client.ResponseTypes = []string{name.redirect}, []string{"authorization_code"}, []string{"code"}
		client.TokenEndpointAuthMethod, client.Scope = "none", "openid profile"
		client.CreatedAt = now.Add(-time.Duration(n*n) * 3 * time.Minute)
		client.UpdatedAt = client.CreatedAt
		client.RegisteredFrom = fmt.Sprintf("192.0.2.%d", 1+n*37%250)
		switch {
		case n%3 > 0 || n > 20 && n < 100: // of those that were not used, the janitor takes the older ones
			client.ActivatedAt, client.ActivatedBy = client.CreatedAt.Add(time.Minute), "paula"
			client.LastUsedAt = now.Add(-time.Duration(n) * time.Hour / 2)
			if client.LastUsedAt.Before(client.ActivatedAt) {
				client.LastUsedAt = client.ActivatedAt
			}
		case n%2 == 0:
			client.Status = dcr.StatusPending
		}
		if n%5 == 0 {
			client.RegisteredBy, client.TokenEndpointAuthMethod = "ci@example.com", "client_secret_basic"
			client.Secrets = []dcr.Secret{dcr.HashSecret(dcr.Plaintext(rand.Text()))}
		}
		if err := store.Add(ctx, client); err != nil {
			return err
		}
	}
	denied := admin.Admin{Store: store}
	if err := denied.DenyDocument(ctx, "https://evil.example/client.json"); err != nil {
		return err
	}
	tokens := callerauth.InitialAccessTokens{Store: store}
	_, _, err := tokens.Issue(ctx, dcr.InitialAccessToken{Subject: "ci@example.com", Notes: "for the pipeline", MaxUses: 20, ExpiresAt: now.Add(7 * 24 * time.Hour)})
	return err
}

// names are the names and hosts of clients. Registration would refuse the last ones,
// but an operator may find such clients in an old table.
var names = []struct{ client, redirect string }{
	{"Claude", "https://claude.ai/api/mcp/auth_callback"},
	{"ChatGPT", "https://chatgpt.com/connector_platform_oauth_redirect"},
	{"Cursor", "cursor://anysphere.cursor-mcp/oauth/callback"},
	{"Visual Studio Code", "http://127.0.0.1:33418/"},
	{"MCP Inspector", "http://localhost:6274/oauth/callback"},
	{"", "https://app.example.com/callback"},
	{"Wetter für Zürich", "https://wetter.example/zurück"},
	{"カレンダー", "https://calendar.example/cb"},
	{"تقويم", "https://taqwim.example/cb"},
	{"\u202eknaB ruoY\u202c \u2066<script>document.title='owned'</script>", "https://bank.example.evil.example/cb"},
	{"<img src=x onerror=\"document.title='owned'\"> A name that is much longer than any name must be, so that it tries to push everything else from the screen", "https://a-host-with-a-rather-long-name.of-many-labels.and-still-more-of-them.example.com/cb"},
}
