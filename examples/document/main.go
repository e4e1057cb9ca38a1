// Document is a client that does not register: it serves its own metadata document,
// whose URL is its client_id (OAuth Client ID Metadata Document), and logs in with it
// at any server that accepts such clients.
//
//	go run ./examples/document
//
// prints how to start a server that accepts it, and waits for that server. A client
// in production serves the document from its web site, with a certificate that
// everybody trusts.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr/examples/internal/localhost"
)

func main() {
	issuer := flag.String("issuer", "http://127.0.0.1:8080", "log in at this authorization `server`")
	addr := flag.String("addr", "127.0.0.1:8443", "serve the document on this `address`, as https://localhost")
	certificate := flag.String("certificate", "document.pem", "write the certificate of the document's server to this `FILE`, for the authorization server to trust")
	scope := flag.String("scope", "", "ask for these `scopes`, separated by spaces")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c := &client{issuer: strings.TrimSuffix(*issuer, "/"), scope: *scope, callbacks: make(chan url.Values, 1)}
	err := c.serve(*addr, *certificate)
	if err == nil {
		fmt.Println("client_id:", c.id)
		fmt.Printf("start a server that accepts it:\n  go run ./examples/quickstart -documents %s -fetch-allow 127.0.0.0/8 -fetch-allow ::1/128 -fetch-ca %s\n", strings.TrimPrefix(strings.TrimSuffix(c.id, path), "https://"), *certificate)
		err = c.login(ctx, func(url string) { fmt.Printf("log in with a browser:\n  %s\n", url) })
	}
	if err != nil {
		log.Fatal("document: ", err)
	}
}

const path = "/client.json"

// client is a public client on a person's own machine.
type client struct {
	issuer, scope string
	id            string // the URL of its document
	redirect      string
	callbacks     chan url.Values
}

// serve serves the document and waits for browsers on the loopback interface. The
// redirect URI in the document has no port, since a native application may use any
// (RFC 8252 §7.3).
func (c *client) serve(addr, file string) error {
	publisher, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	callback, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(publisher.Addr().String())
	c.id, c.redirect = "https://localhost:"+port+path, "http://"+callback.Addr().String()+"/callback"
	metadata := map[string]any{
		"client_id": c.id, "client_name": "Document", "redirect_uris": []string{"http://127.0.0.1/callback"},
		"grant_types": []string{"authorization_code"}, "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	}
	if c.scope != "" {
		metadata["scope"] = c.scope
	}
	document, err := json.Marshal(metadata)
	if err != nil {
		return err
	}
	certificate, err := certificateFor("localhost", file)
	if err != nil {
		return err
	}
	published := http.NewServeMux()
	published.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Write(document)
	})
	back := http.NewServeMux()
	back.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		select {
		case c.callbacks <- r.URL.Query():
			fmt.Fprintln(w, "You may close this window.")
		default:
			http.Error(w, "one login is under way", http.StatusConflict)
		}
	})
	for listener, handler := range map[net.Listener]http.Handler{tls.NewListener(publisher, &tls.Config{Certificates: []tls.Certificate{certificate}}): published, callback: back} {
		server := &http.Server{Handler: localhost.Only(listener.Addr(), handler), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
		go server.Serve(listener)
	}
	return nil
}

// certificateFor makes a certificate for a host, and writes it to a file.
func certificateFor(host, file string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, os.WriteFile(file, text, 0o600)
}

// server holds the members of a discovery document that the client reads (RFC 8414 §2).
type server struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Documents     bool     `json:"client_id_metadata_document_supported"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	Iss           bool     `json:"authorization_response_iss_parameter_supported"`
}

// discover waits for the server, and checks that it accepts this client.
func (c *client) discover(ctx context.Context) (*server, error) {
	found := &server{}
	for {
		err := exchange(ctx, http.MethodGet, c.issuer+"/.well-known/oauth-authorization-server", nil, found)
		switch {
		case err == nil && found.Issuer != c.issuer:
			return nil, fmt.Errorf("the discovery document is that of %q", found.Issuer)
		case err == nil && (!found.Documents || !slices.Contains(found.Methods, "none")):
			return nil, errors.New("the server accepts no public clients that publish their metadata")
		case err == nil:
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(time.Second):
		}
	}
}

// login sends a browser to the server and exchanges the code that comes back.
func (c *client) login(ctx context.Context, browse func(url string)) error {
	at, err := c.discover(ctx)
	if err != nil {
		return err
	}
	state, verifier := rand.Text(), rand.Text()+rand.Text()
	digest := sha256.Sum256([]byte(verifier))
	request := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {c.redirect}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(digest[:])}, "code_challenge_method": {"S256"},
	}
	if c.scope != "" {
		request.Set("scope", c.scope)
	}
	browse(at.Authorization + "?" + request.Encode())
	var answer url.Values
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer = <-c.callbacks:
	}
	switch {
	case answer.Get("state") != state:
		return errors.New("the answer belongs to another request")
	case at.Iss && answer.Get("iss") != at.Issuer: // RFC 9207 §2.4
		return errors.New("the answer comes from another server")
	case answer.Get("code") == "":
		return fmt.Errorf("refused: %s: %s", answer.Get("error"), answer.Get("error_description"))
	}
	var token struct {
		AccessToken string `json:"access_token"`
		Scope       string `json:"scope"`
	}
	err = exchange(ctx, http.MethodPost, at.Token, url.Values{
		"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {c.redirect},
		"client_id": {c.id}, "code_verifier": {verifier},
	}, &token)
	if err == nil && token.AccessToken == "" {
		err = errors.New("the server answered without an access token")
	}
	if err == nil {
		fmt.Printf("logged in; the scope is %q\n", token.Scope)
	}
	return err
}

// exchange sends a form, unless it is nil, and decodes the JSON answer.
func exchange(ctx context.Context, method, to string, form url.Values, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", to, response.Status, body)
	}
	return json.Unmarshal(body, into)
}
