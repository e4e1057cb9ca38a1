// Ownstore is a server with its own registration endpoint and its own table of
// applications, such as one where applications were registered by hand before. It
// validates registrations with package dcr, but does not use dcr.Handler or a store.
//
//	go run ./examples/ownstore
package main

import (
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/examples/internal/localhost"
)

// app is what this server stores about an application.
type app struct {
	name, owner, secretHash string
	redirectURIs            []string
}

// server stands for your own server. Its other endpoints look up applications here.
type server struct {
	policy dcr.Validator
	apps   sync.Map // from client_id to app
}

// register is the registration endpoint.
func (s *server) register(w http.ResponseWriter, r *http.Request) {
	res, err := s.add(w, r)
	if err == nil {
		err = dcr.WriteResponse(w, http.StatusCreated, res)
	}
	if err != nil {
		log.Print("registration: ", err)
		dcr.WriteError(w, r, err) // shows a *dcr.Error; any other error is a 500 without details
	}
}

// add validates a request, stores the application, and returns the answer.
func (s *server) add(w http.ResponseWriter, r *http.Request) (*dcr.Response, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return nil, dcr.Errorf(dcr.InvalidRequest, "the body could not be read: %w", err) // the cause is not shown
	}
	request, err := dcr.ParseRequest(body, dcr.Limits{})
	if err != nil {
		return nil, err
	}
	client, caller := dcr.StartingClient(s.policy, nil), dcr.CallerFromContext(r.Context())
	reg := &dcr.Registration{Request: request, Client: client, Caller: caller, HTTP: r}
	if client.ID, err = dcr.RandomClientID(r.Context(), reg); err == nil {
		err = dcr.Validate(r.Context(), s.policy, reg)
	}
	if err != nil {
		return nil, err
	}
	secret, atRest := dcr.Plaintext(""), dcr.Secret{}
	if client.NeedsSecret() {
		if secret, atRest, err = dcr.RandomClientSecret(r.Context(), reg); err != nil {
			return nil, err
		}
	}
	res, err := dcr.NewResponse(r.Context(), s.policy, reg, secret, "")
	if err != nil {
		return nil, err // nothing is stored yet
	}
	s.apps.Store(client.ID, app{client.ClientName, caller.Subject, atRest.Value, client.RedirectURIs})
	return res, nil
}

// routes requires a token, which also says who registers.
func (s *server) routes(token string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /register", dcr.Require(callerauth.StaticToken(dcr.Plaintext(token), dcr.Caller{Subject: "admin"}))(http.HandlerFunc(s.register)))
	return mux
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on this `address` of the loopback interface")
	flag.Parse()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{policy: dcr.DefaultValidator{}}
	token, endpoint := rand.Text(), "http://"+listener.Addr().String()+"/register"
	fmt.Printf("register a client:\n  curl -s %s -H 'Authorization: Bearer %s' -d '%s'\nready: %[1]s\n", endpoint, token, `{"redirect_uris":["https://app.example.com/callback"]}`)
	host := &http.Server{Handler: localhost.Only(listener.Addr(), s.routes(token)), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Fatal(host.Serve(listener))
}
