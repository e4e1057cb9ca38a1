package clientauth_test

import (
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
)

// BenchmarkAuthenticate compares the authentication of a client by its secret
// with the least that it consists of, the floor: finding the client, hashing the
// secret and comparing. No use is noted. "view" is the floor without a copy of
// the client, "read" a request whose form the host has already read, "unread" one
// that Authenticate reads, and "form" only the reading.
func BenchmarkAuthenticate(b *testing.B) {
	const clientID, secret = "0123456789abcdef0123456789abcdef", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
	memory := newStore(b, newClient(clientID, "client_secret_basic", func(c *dcr.Client) {
		c.Secrets = []dcr.Secret{dcr.HashSecret(secret)}
		c.ClientName, c.RedirectURIs = "My App", []string{"https://app.example.com/callback"}
		c.GrantTypes, c.ResponseTypes, c.Scope = []string{"authorization_code", "refresh_token"}, []string{"code"}, "openid profile"
	}))
	form := url.Values{
		"grant_type": {"authorization_code"}, "redirect_uri": {"https://app.example.com/callback"},
		"code": {strings.Repeat("c", 43)}, "code_verifier": {strings.Repeat("v", 43)},
	}
	r, text := post(clientID+":"+secret, form), form.Encode()
	unread := func() { r.Form, r.PostForm, r.Body = nil, nil, io.NopCloser(strings.NewReader(text)) }
	measure := func(name string, what func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := what(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measure("form", func() error { unread(); return r.ParseForm() })
	for name, store := range map[string]dcr.ClientConfigurationStore{"memstore": memory, "cachestore": cachestore.New(memory, nil)} {
		a := newAuthenticator(store)
		a.DontTouch = true
		authenticate := func() error { _, err := a.Authenticate(r); return err }
		measure(name+"/view", func() error {
			client, err := store.(dcr.ClientViewer).ViewClient(b.Context(), clientID)
			if err == nil && !client.VerifySecret(secret, now) {
				err = dcr.InvalidClient
			}
			return err
		})
		measure(name+"/floor", func() error {
			client, err := store.FindByClientID(b.Context(), clientID)
			if err == nil && !client.VerifySecret(secret, now) {
				err = dcr.InvalidClient
			}
			return err
		})
		measure(name+"/read", authenticate)
		measure(name+"/unread", func() error { unread(); return authenticate() })
	}
}
