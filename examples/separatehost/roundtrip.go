package main

// What the processes do together: a registration, a token and a deletion.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// answer has the members of the answers of both processes that matter here.
type answer struct {
	Endpoint string `json:"registration_endpoint"`
	Token    string `json:"access_token"`
	Scope    string `json:"scope"`
	ID       string `json:"client_id"`
	Secret   string `json:"client_secret"`
	Own      string `json:"registration_access_token"`
	URI      string `json:"registration_client_uri"`
	Error    string `json:"error"`
}

// roundTrip gets a token, registers a client, gets a token for it, and deletes it.
func roundTrip(ctx context.Context, s settings, secret string, out io.Writer) error {
	found, err := call(ctx, 200, "GET", s.issuer+"/.well-known/oauth-authorization-server", nil, "")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "discovery on %s points to %s\n", s.issuer, found.Endpoint)

	const metadata = `{"client_name":"Reporting","grant_types":["client_credentials"]}`
	if _, err := call(ctx, 401, "POST", found.Endpoint, nil, metadata); err != nil {
		return err
	}
	fmt.Fprintln(out, "a stranger cannot register: 401")
	granted, err := token(ctx, s, 200, portal, secret)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the portal got a token with the scope %q from the authorization server\n", granted.Scope)
	client, err := call(ctx, 201, "POST", found.Endpoint, bearer(granted.Token), metadata)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "with this token, client %s registered at the registration host\n", client.ID)
	own, err := token(ctx, s, 200, client.ID, client.Secret)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the authorization server authenticated the client and gave it a token with the scope %q\n", own.Scope)
	if _, err := call(ctx, 401, "POST", found.Endpoint, bearer(own.Token), metadata); err != nil {
		return err
	}
	fmt.Fprintln(out, "this token has another audience and cannot register clients: 401")
	if err := cannotWrite(ctx, s, client.ID); err != nil {
		return err
	}
	fmt.Fprintln(out, "the authorization server cannot write to the database")
	if _, err := call(ctx, 204, "DELETE", client.URI, bearer(client.Own), ""); err != nil {
		return err
	}
	if _, err := token(ctx, s, 401, client.ID, client.Secret); err != nil {
		return err
	}
	fmt.Fprintln(out, "the client deleted itself, and the authorization server no longer knows it: invalid_client")
	fmt.Fprintln(out, "done")
	return nil
}

// cannotWrite checks that the authorization server opens the database read-only.
func cannotWrite(ctx context.Context, s settings, clientID string) error {
	store, err := openStore(s.database, true)
	if err != nil {
		return err
	}
	defer store.Close()
	if _, err := store.FindByClientID(ctx, clientID); err != nil {
		return fmt.Errorf("the client cannot be read: %w", err)
	}
	if err := store.Delete(ctx, clientID); err == nil {
		return errors.New("the authorization server could write")
	}
	return nil
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// token asks the token endpoint for the client credentials grant.
func token(ctx context.Context, s settings, want int, id, secret string) (*answer, error) {
	return call(ctx, want, "POST", s.issuer+"/token", func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(id, secret)
	}, url.Values{"grant_type": {"client_credentials"}}.Encode())
}

// call sends a request, checks the status, and reads the answer.
func call(ctx context.Context, want int, method, at string, prepare func(*http.Request), body string) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if prepare != nil {
		prepare(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != want {
		return nil, fmt.Errorf("%s %s answered %s, not %d: %s", method, at, response.Status, want, text)
	}
	read := &answer{}
	if len(text) > 0 {
		err = json.Unmarshal(text, read)
	}
	return read, err
}
