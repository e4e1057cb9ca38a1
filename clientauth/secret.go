package clientauth

// RFC 6749 §2.3.1: client secrets.

import (
	"errors"

	"github.com/dynreg/dcr"
)

// secretMethods are the methods with which a client sends its secret.
var secretMethods = []string{"client_secret_basic", "client_secret_post"}

// proveSecret always compares the secret, so that the time does not show what
// was wrong.
func (a *Authenticator) proveSecret(client *dcr.Client, sent credentials) (string, error) {
	compared := client
	if len(client.Secrets) == 0 {
		compared = standIn(client.ID)
	}
	matches := compared.MatchSecret(sent.secret, a.now())
	switch {
	case !a.same(sent.method, methodOf(client)):
		return "", refuse("method", errors.New("the client registered another method"))
	case !matches || compared != client:
		return "", refuse("secret", errors.New("the client is unknown, or its secret is another"))
	}
	return sent.method, nil
}
