package spec_test

import (
	"math"
	"regexp"
	"testing"

	"github.com/dynreg/dcr"
)

var plainText = regexp.MustCompile(`^[0-9A-Za-z]+$`)

// No encoder changes letters and digits: openid-client 6 and oauth4webapi encode -
// and _ in credentials (RFC 6749 §2.3.1), and hosts that do not decode refuse them.
func TestCredentialsAreLettersAndDigits(t *testing.T) {
	everySecret := start(t, symmetric, sealed(t))
	for _, members := range []string{``, `{"id_token_signed_response_alg":"HS512"}`} {
		a := everySecret.register(t, request(t, members))
		if id := a.text("client_id"); !regexp.MustCompile(`^[0-9a-f]{12}8[0-9a-f]{3}[89ab][0-9a-f]{15}$`).MatchString(id) {
			t.Errorf("client_id %s is not 32 hexadecimal digits of a UUID of version 8", id)
		}
		for _, name := range []string{"client_secret", "registration_access_token"} {
			if text := a.text(name); !plainText.MatchString(text) || float64(len(text))*math.Log2(62) < 256 {
				t.Errorf("%s is %q", name, text)
			}
		}
	}
	if secret := everySecret.register(t, request(t, `{"id_token_signed_response_alg":"HS512"}`)).text("client_secret"); len(secret) < 64 {
		t.Errorf("the secret for HS512 has %d bytes (OIDCC §16.19)", len(secret))
	}
	secret, kept, err := dcr.RandomClientSecret(t.Context(), &dcr.Registration{Client: dcr.NewClient()})
	if err != nil || len(secret) != 43 || kept != dcr.HashSecret(secret) {
		t.Errorf("%d characters, %v", len(secret), err)
	}
}
