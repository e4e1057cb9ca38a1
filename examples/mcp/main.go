// Mcp is a protected MCP server, an authorization server for it, and two clients that
// know only the URL of the MCP server. The first client gets a 401, reads the
// metadata, registers, asks a person for consent, gets a token for the MCP server, and
// calls a tool. The second client does the same with a document that it publishes
// instead of registering.
//
//	go run .
//
// runs all of them and prints each step. With -serve, the servers run until they are
// interrupted, so that you can try your own client.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/dynreg/dcr/examples/internal/localhost"
	"github.com/dynreg/dcr/memstore"
)

func main() {
	log.SetFlags(0)
	serve := flag.Bool("serve", false, "serve until interrupted, for your own client")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *serve); err != nil {
		log.Fatal("mcp: ", err)
	}
}

func run(ctx context.Context, stay bool) error {
	p, err := publish()
	if err != nil {
		return err
	}
	defer p.server.Close()
	w, err := start(p)
	if err != nil {
		return err
	}
	defer w.stop()
	if stay {
		fmt.Printf("authorization server: %s\nready: %s\n", w.issuer, w.resource)
		<-ctx.Done()
		return nil
	}
	for _, c := range []struct {
		title  string
		client func() (string, error)
	}{
		{"A client registers (RFC 7591)", func() (string, error) {
			return call(ctx, w.resource, registering("Example"), &steps{http.DefaultTransport})
		}},
		{"A client publishes its metadata (Client ID Metadata Document)", func() (string, error) {
			return call(ctx, w.resource, publishing(p.document), &steps{http.DefaultTransport})
		}},
	} {
		fmt.Println(c.title)
		said, err := c.client()
		if err != nil {
			return err
		}
		fmt.Printf("  the tool says: %s\n", said)
	}
	return nil
}

// world has the two servers.
type world struct {
	issuer, resource string
	servers          []*http.Server
}

func (w *world) stop() {
	for _, server := range w.servers {
		server.Close()
	}
}

var scopes = []string{"greet"}

// start starts both servers on ports of the loopback interface. They share a secret,
// with which the MCP server introspects tokens.
func start(p *publisher) (*world, error) {
	w, secret := &world{}, rand.Text()
	var listeners []net.Listener
	for range 2 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, listener)
	}
	w.issuer, w.resource = "http://"+listeners[0].Addr().String(), "http://"+listeners[1].Addr().String()+"/mcp"
	authorization, err := newAuthServer(memstore.New(), w.issuer, secret, []string{w.resource}, scopes, p.onThisMachine())
	if err != nil {
		return nil, err
	}
	for i, handler := range []http.Handler{authorization, newResource(w.resource, w.issuer, secret, scopes)} {
		server := &http.Server{Handler: localhost.Only(listeners[i].Addr(), handler), ReadHeaderTimeout: 10 * time.Second}
		w.servers = append(w.servers, server)
		go server.Serve(listeners[i])
	}
	return w, nil
}

// steps prints each request and the status of its response.
type steps struct{ next http.RoundTripper }

func (s *steps) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("  %-6s %-50s %d", r.Method, r.URL.Path, response.StatusCode)
	if challenge := response.Header.Get("WWW-Authenticate"); challenge != "" {
		line += " " + challenge
	}
	fmt.Println(strings.TrimRight(line, " "))
	return response, nil
}
