package cimd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/internal/jose"
)

// now is a time at which the statements are valid.
var now = time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)

// TestStatements checks that a software statement in a document counts as in a
// registration, by the clock of the server.
func TestStatements(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	jwks := fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":%q,"y":%q}]}`, encode(point[1:33]), encode(point[33:]))
	validator := dcr.DefaultValidator{Supports: supports, Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"https://directory.example": dcr.StaticKeys(jwks)}}}
	const lists = `"client_name":"Vouched","token_endpoint_auth_methods_supported":`
	for _, c := range []struct{ sentence, claims, want, methods string }{
		{"what it claims counts", `"client_name":"Vouched"`, "ok", "[private_key_jwt none]"},
		{"but no secret", `"client_name":"Vouched","client_secret":"s"`, "client_secret.published", ""},
		{"and no expiry of one", `"client_name":"Vouched","client_secret_expires_at":0`, "client_secret_expires_at.published", ""},
		{"nor a method with one", `"client_name":"Vouched","token_endpoint_auth_method":"client_secret_basic"`, "token_endpoint_auth_method.secret", ""},
		{"nor another client", `"client_name":"Vouched","client_id":"https://other.example.com/client"`, "client_id.statement", ""},
		{"in any form", `"client_name":"Vouched","client_id":["https://app.example.com/client"]`, "client_id.statement", ""},
		{"not even one without a name", `"client_name":"Vouched","client_id":""`, "client_id.statement", ""},
		{"but this one", `"client_name":"Vouched","client_id":"https://app.example.com/client"`, "ok", "[private_key_jwt none]"},
		{"null is none", `"client_name":"Vouched","client_id":null`, "ok", "[private_key_jwt none]"},
		{"the one method that it claims", `"client_name":"Vouched","token_endpoint_auth_method":"private_key_jwt"`, "ok", "[private_key_jwt]"},
		{"the methods that it lists", lists + `["private_key_jwt"]`, "ok", "[private_key_jwt]"},
		{"all of them", lists + `["private_key_jwt","none"]`, "ok", "[private_key_jwt none]"},
		{"except those with a secret", lists + `["private_key_jwt","client_secret_basic"]`, "ok", "[private_key_jwt]"},
	} {
		payload := fmt.Appendf(nil, `{"iss":"https://directory.example","iat":%d,"jti":"1","software_id":"app",%s}`, now.Unix(), c.claims)
		statement, err := jose.SignCompact(key, "ES256", "1", "JWT", payload)
		if err != nil {
			t.Fatal(err)
		}
		document := documentWith(t, `"token_endpoint_auth_method":null,"token_endpoint_auth_methods_supported":["none","private_key_jwt"],`+jwksURI+`,"software_statement":"`+statement+`"`)
		client, err := cimd.Judge(t.Context(), appID, document, &cimd.Options{Validator: validator, Now: func() time.Time { return now }})
		wantOutcome(t, c.sentence, outcome(t, err), c.want)
		if err == nil && fmt.Sprint(client.Document.AuthMethods) != c.methods {
			t.Errorf("%s: by %v", c.sentence, client.Document.AuthMethods)
		}
		if err == nil && (client.ClientName != "Vouched" || client.Statement == nil || client.Statement.Issuer != "https://directory.example") {
			t.Errorf("%q by %+v", client.ClientName, client.Statement)
		}
	}
	for _, id := range []string{appID, "https://other.example.com/client"} {
		payload := fmt.Appendf(nil, `{"iss":"https://directory.example","iat":%d,"jti":"1","software_id":"app","redirect_uris":["https://app.example.com/vouched"]}`, now.Unix())
		statement, err := jose.SignCompact(key, "ES256", "1", "JWT", payload)
		if err != nil {
			t.Fatal(err)
		}
		bounded := dcr.DefaultValidator{Supports: supports, Statements: &dcr.StatementVerifier{Issuers: validator.Statements.Issuers, OneClient: true, Once: true, RequiredClaims: []string{"redirect_uris"}}}
		document := []byte(fmt.Sprintf(`{"client_id":%q,"redirect_uris":["https://elsewhere.example/cb"],"software_statement":%q}`, id, statement))
		client, err := cimd.Judge(t.Context(), id, document, &cimd.Options{Validator: bounded, Now: func() time.Time { return now }})
		if wantOutcome(t, "a published statement is not bound to one document", outcome(t, err), "ok"); err == nil && fmt.Sprint(client.RedirectURIs) != "[https://app.example.com/vouched]" {
			t.Errorf("anyone who copies it has the redirects %v", client.RedirectURIs)
		}
		bounded.Statements.RequiredClaims = []string{"client_id"}
		_, err = cimd.Judge(t.Context(), id, document, &cimd.Options{Validator: bounded, Now: func() time.Time { return now }})
		wantOutcome(t, "unless it must be", outcome(t, err), "software_statement.claims")
	}
	forged := documentWith(t, `"software_statement":"eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2RpcmVjdG9yeS5leGFtcGxlIn0.AAAA"`)
	if _, err := cimd.Judge(t.Context(), appID, forged, &cimd.Options{Validator: validator}); outcome(t, err) == "ok" {
		t.Error("a forged statement counts")
	}
}
