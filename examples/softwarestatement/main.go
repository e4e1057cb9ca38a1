// Softwarestatement shows a directory that vouches for software, a server that
// registers only that software, and software that registers itself (RFC 7591 §2.3).
// It prints what each of them does, and ends:
//
//	go run ./examples/softwarestatement
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// directory vouches for software, and publishes the key that it signs with.
type directory struct {
	url string

	mu  sync.Mutex
	kid string
	key ed25519.PrivateKey
}

// rotate replaces the key, as every issuer does from time to time.
func (d *directory) rotate(kid string) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kid, d.key = kid, key
}

// ServeHTTP answers with the keys.
func (d *directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": d.kid, "x": encode(d.key.Public().(ed25519.PublicKey))}
	json.NewEncoder(w).Encode(map[string]any{"keys": []any{key}})
}

// issue creates the statement for a piece of software. Its claims have the names that
// open banking directories use.
func (d *directory) issue(changes map[string]any) string {
	claims := map[string]any{
		"iss": d.url, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "jti": rand.Text(),
		"software_id":            "budget-planner",
		"software_client_name":   "Budget Planner",
		"software_redirect_uris": []string{"https://planner.example/callback", "https://planner.example/app"},
		"org_id":                 "org-7",
	}
	maps.Copy(claims, changes)
	d.mu.Lock()
	defer d.mu.Unlock()
	return sign(d.key, map[string]string{"alg": "EdDSA", "kid": d.kid, "typ": "JWT"}, claims)
}

var encode = base64.RawURLEncoding.EncodeToString

// sign creates a JWT.
func sign(key ed25519.PrivateKey, header, claims any) string {
	first, err := json.Marshal(header)
	if err != nil {
		log.Fatal(err)
	}
	second, err := json.Marshal(claims)
	if err != nil {
		log.Fatal(err)
	}
	signed := encode(first) + "." + encode(second)
	return signed + "." + encode(ed25519.Sign(key, []byte(signed)))
}

// organisation is an extension member that only the directory can fill.
var organisation = dcr.NewField[string]("organisation")

// newServer returns a server that registers the software that the directory vouches
// for. It accepts each statement once, and refuses blocked software.
func newServer(of *directory) (http.Handler, error) {
	return dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:       "https://bank.example/connect/dcr",
		AllowAnonymous: true, // the statement is enough
		MaxClients:     1000,
		Validator: dcr.DefaultValidator{
			Extensions: []dcr.Extension{organisation},
			Statements: &dcr.StatementVerifier{
				Issuers:        map[string]dcr.KeySource{of.url: dcr.JWKSURL(of.url+"/jwks", nil)},
				Required:       true,
				RequiredClaims: []string{"exp", "software_id"},
				Once:           true,
				Claims: map[string]string{
					"software_client_name": "client_name", "software_redirect_uris": "redirect_uris", "org_id": "organisation",
				},
				Members: map[string]dcr.StatementRule{
					"redirect_uris": dcr.ClaimBounds, "organisation": dcr.ClaimOnly,
				},
				Deny: func(ctx context.Context, statement *dcr.SoftwareStatement) error {
					if statement.SoftwareID == "blocked-software" {
						return dcr.Errorf(dcr.UnapprovedSoftwareStatement, "this software is blocked")
					}
					return nil
				},
			},
		},
	})
}

// software registers itself.
type software struct {
	endpoint string
	out      io.Writer
}

// register sends a request and prints the result.
func (s *software) register(what, statement string, plain map[string]any) error {
	body := map[string]any{"software_statement": statement}
	maps.Copy(body, plain)
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	response, err := http.Post(s.endpoint, "application/json", strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Error        string   `json:"error"`
		Description  string   `json:"error_description"`
		ClientName   string   `json:"client_name"`
		RedirectURIs []string `json:"redirect_uris"`
		Organisation string   `json:"organisation"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != "" {
		fmt.Fprintf(s.out, "%-45s %d %s: %s\n", what, response.StatusCode, answer.Error, answer.Description)
		return nil
	}
	fmt.Fprintf(s.out, "%-45s %d %s of %s, redirected to %s\n", what, response.StatusCode, answer.ClientName, answer.Organisation, strings.Join(answer.RedirectURIs, " or "))
	return nil
}

func run(out io.Writer) error {
	vouching := &directory{}
	vouching.rotate("2026-05")
	directoryServer := httptest.NewServer(vouching)
	defer directoryServer.Close()
	vouching.url = directoryServer.URL
	fmt.Fprintln(out, "the directory issues statements as", vouching.url)

	handler, err := newServer(vouching)
	if err != nil {
		return err
	}
	bank := httptest.NewServer(http.StripPrefix("/bank", handler))
	defer bank.Close()
	client := &software{endpoint: bank.URL + "/bank/connect/dcr", out: out}
	fmt.Fprintln(out, "the server registers the software of the directory at", client.endpoint)

	_, otherKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	used := vouching.issue(nil)
	parts := strings.Split(used, ".")
	good := func() string { return vouching.issue(nil) }
	claims := map[string]any{"iss": vouching.url, "software_id": "budget-planner", "exp": time.Now().Add(time.Hour).Unix(), "jti": "x"}
	for _, attempt := range []struct {
		what, statement string
		plain           map[string]any
	}{
		{"with a statement", used, nil},
		{"with one of its redirect URIs", good(), map[string]any{"redirect_uris": []string{"https://planner.example/app"}}},
		{"with another name, which is ignored", good(), map[string]any{"client_name": "Your Bank"}},
		{"without a statement", "", map[string]any{"redirect_uris": []string{"https://planner.example/app"}}},
		{"with the same statement again", used, nil},
		{"with a redirect URI that is not vouched for", good(), map[string]any{"redirect_uris": []string{"https://evil.example/"}}},
		{"with the claims of another statement", parts[0] + "." + strings.Split(good(), ".")[1] + "." + parts[2], nil},
		{"with a statement that the client signed", sign(otherKey, map[string]string{"alg": "EdDSA", "kid": "2026-05"}, claims), nil},
		{"with the client's own key in the statement", sign(otherKey, map[string]any{"alg": "EdDSA", "jwk": map[string]string{"kty": "OKP", "crv": "Ed25519", "x": encode(otherKey.Public().(ed25519.PublicKey))}}, claims), nil},
		{"with alg none", encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".AAAA", nil},
		{"with an expired statement", vouching.issue(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), nil},
		{"with a statement of another directory", vouching.issue(map[string]any{"iss": "https://other.example"}), nil},
		{"with a list instead of a name", vouching.issue(map[string]any{"software_client_name": []string{"x"}}), nil},
		{"as blocked software", vouching.issue(map[string]any{"software_id": "blocked-software"}), nil},
	} {
		if err := client.register(attempt.what, attempt.statement, attempt.plain); err != nil {
			return err
		}
	}
	vouching.rotate("2026-06")
	fmt.Fprintln(out, "the directory rotates its key")
	return client.register("with a statement signed with the new key", good(), nil)
}

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal("softwarestatement: ", err)
	}
}
