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

// TestStatements: a software statement in a document counts as in a registration.
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
	for _, c := range []struct{ sentence, claims, want string }{
		{"what it claims counts", `"client_name":"Vouched"`, "ok"},
		{"but no secret", `"client_name":"Vouched","client_secret":"s"`, "client_secret.published"},
		{"and no end of one", `"client_name":"Vouched","client_secret_expires_at":0`, "client_secret_expires_at.published"},
		{"nor a method with one", `"client_name":"Vouched","token_endpoint_auth_method":"client_secret_basic"`, "token_endpoint_auth_method.secret"},
	} {
		payload := fmt.Appendf(nil, `{"iss":"https://directory.example","iat":%d,"jti":"1","software_id":"app",%s}`, time.Now().Unix(), c.claims)
		statement, err := jose.SignCompact(key, "ES256", "1", "JWT", payload)
		if err != nil {
			t.Fatal(err)
		}
		document := documentWith(t, `"token_endpoint_auth_method":null,"software_statement":"`+statement+`"`)
		client, err := cimd.Judge(t.Context(), appID, document, &cimd.Options{Validator: validator})
		wantOutcome(t, c.sentence, outcome(t, err), c.want)
		if err == nil && (client.ClientName != "Vouched" || client.Statement == nil || client.Statement.Issuer != "https://directory.example") {
			t.Errorf("%q by %+v", client.ClientName, client.Statement)
		}
	}
	forged := documentWith(t, `"software_statement":"eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2RpcmVjdG9yeS5leGFtcGxlIn0.AAAA"`)
	if _, err := cimd.Judge(t.Context(), appID, forged, &cimd.Options{Validator: validator}); outcome(t, err) == "ok" {
		t.Error("a forged statement counts")
	}
}
