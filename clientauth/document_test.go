package clientauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/dynreg/dcr"
)

const published = "https://app.example.com/client"

// publishing returns a store with a client that publishes its metadata, with
// these methods.
func publishing(t testing.TB, settled string, methods ...string) dcr.ClientConfigurationStore {
	return newStore(t, newClient(published, settled, func(c *dcr.Client) {
		c.Source, c.JWKS = dcr.SourceDocument, keySet
		c.Document = &dcr.DocumentRecord{AuthMethods: methods}
	}))
}

// TestPublishedMethods checks that a client that publishes its metadata may use any
// of its methods, that everything it presents is verified, and that a refresh must
// use the method of the code exchange.
func TestPublishedMethods(t *testing.T) {
	const refused = "401 invalid_client"
	alone := func() *http.Request { return post("", url.Values{"client_id": {published}}) }
	signed := func() *http.Request { return asserting(jws(key, es256, claims(published, nil))) }
	forged := func() *http.Request { return asserting(jws(dice, es256, claims(published, nil))) }
	secret := func() *http.Request { return post(url.QueryEscape(published)+":its+secret", nil) }
	for _, c := range []struct {
		sentence string
		store    dcr.ClientConfigurationStore
		request  func() *http.Request
		want     string
	}{
		{"by only its id", publishing(t, "private_key_jwt", "private_key_jwt", "none"), alone, "none"},
		{"by its key", publishing(t, "private_key_jwt", "private_key_jwt", "none"), signed, "private_key_jwt"},
		{"by its key, if none was chosen", publishing(t, "none", "none", "private_key_jwt"), signed, "private_key_jwt"},
		{"not by another key, although none would be enough", publishing(t, "none", "none", "private_key_jwt"), forged, refused},
		{"not by a secret", publishing(t, "none", "none", "private_key_jwt"), secret, refused},
		{"not by a method that it does not list", publishing(t, "private_key_jwt", "private_key_jwt"), alone, refused},
		{"nor by a key", publishing(t, "none", "none"), signed, refused},
		{"nor does one that registered", newStore(t, newClient(published, "private_key_jwt", func(c *dcr.Client) {
			c.Source, c.JWKS, c.Document = dcr.SourceDynamic, keySet, &dcr.DocumentRecord{AuthMethods: []string{"none"}}
		})), alone, refused},
	} {
		if got := outcome(newAuthenticator(c.store), c.request()); got != c.want {
			t.Errorf("%s: %s, want %s", c.sentence, got, c.want)
		}
	}
	for method, want := range map[string]bool{"none": false, "private_key_jwt": true, "": false} {
		a := newAuthenticator(publishing(t, "none", "none", "private_key_jwt"))
		if _, err := a.AuthenticateRefresh(signed(), method); (err == nil) != want {
			t.Errorf("a refresh of a grant that began with %q: %v", method, err)
		}
		if _, err := a.AuthenticateRefresh(alone(), method); (err == nil) != (method == "none") {
			t.Errorf("by only its id, for a grant that began with %q: %v", method, err)
		}
	}
}

// refusing is a store that cannot get a document, or refuses it.
type refusing struct {
	dcr.ClientConfigurationStore
	err error
}

func (r refusing) FindByClientID(context.Context, string) (*dcr.Client, error) { return nil, r.err }

func TestRefusedAndUnavailableDocuments(t *testing.T) {
	for want, err := range map[string]error{
		"401 invalid_client":          dcr.Errorf(dcr.InvalidClient, "its client_id is another"),
		"403 access_denied":           fmt.Errorf("find: %w", dcr.Errorf(dcr.AccessDenied, "not from there")),
		"503 temporarily_unavailable": errDown,
	} {
		got := outcome(newAuthenticator(refusing{newStore(t), err}), post("", url.Values{"client_id": {published}}))
		if got != want {
			t.Errorf("%v: %s", err, got)
		}
	}
}
