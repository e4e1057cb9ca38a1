package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
)

// keySite publishes a key set and counts the requests for it.
type keySite struct {
	*httptest.Server
	fetches atomic.Int32
	set     atomic.Pointer[string]
	maxAge  string
	hold    chan struct{} // if not nil, every answer waits for it
}

func newKeySite(t testing.TB, set string) *keySite {
	t.Helper()
	site := &keySite{}
	site.set.Store(&set)
	site.Server = aSite(t, func(w http.ResponseWriter, r *http.Request) {
		site.fetches.Add(1)
		if site.hold != nil {
			<-site.hold
		}
		if site.maxAge != "" {
			w.Header().Set("Cache-Control", "max-age="+site.maxAge)
		}
		if set := *site.set.Load(); set != "" {
			w.Write([]byte(set))
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	return site
}

func (s *keySite) publish(set string) { s.set.Store(&set) }

func setOf(kids ...string) string {
	keys := make([]string, len(kids))
	for i, kid := range kids {
		keys[i] = ecKey + `,"kid":"` + kid + `"}`
	}
	return `{"keys":[` + strings.Join(keys, ",") + `]}`
}

func byReference(site *keySite) *dcr.Client {
	client := dcr.NewClient()
	client.JWKSURI = site.URL + "/jwks"
	return client
}

func TestClientKeys(t *testing.T) {
	now := noon
	site := newKeySite(t, setOf("a"))
	keys := &dcr.ClientKeys{Fetch: reaching(site.Server), Now: func() time.Time { return now }}
	client := byReference(site)
	ask := func(sentence, kid, want string, fetches int32) {
		t.Helper()
		got, err := keys.Keys(t.Context(), client, kid)
		if err != nil || string(got) != want || site.fetches.Load() != fetches {
			t.Errorf("%s: %s, %v, after %d fetches; want %s after %d", sentence, got, err, site.fetches.Load(), want, fetches)
		}
		clear(got) // is our own copy
	}
	ask("the set is fetched", "a", setOf("a"), 1)
	ask("and kept", "a", setOf("a"), 1)
	ask("for any key", "", setOf("a"), 1)
	site.publish(setOf("b"))
	ask("an unknown key is fetched (OIDCC §10.1.1)", "b", setOf("b"), 2)
	ask("so is one that has been removed", "a", setOf("b"), 3)
	ask("after one was not found, no other is fetched for a while", "c", setOf("b"), 3)
	now = now.Add(time.Minute)
	ask("after the floor", "c", setOf("b"), 4)
	now = now.Add(time.Hour)
	ask("a set is fetched again when it has expired", "b", setOf("b"), 5)
	site.publish("")
	now = now.Add(time.Hour)
	ask("while its server is down, the last set is used", "b", setOf("b"), 6)
	now = now.Add(time.Hour)
	if got, err := keys.Keys(t.Context(), client, "b"); !errors.Is(err, dcr.ErrClientKeysUnavailable) || got != nil {
		t.Errorf("but not forever: %s, %v", got, err)
	}
	if got, err := keys.Keys(t.Context(), client, "b"); !errors.Is(err, dcr.ErrClientKeysUnavailable) || got != nil {
		t.Errorf("nor the second time: %s, %v", got, err)
	}
}

func TestClientKeysBehindAKeySource(t *testing.T) {
	site := newKeySite(t, setOf("a"))
	validator := dcr.DefaultValidator{Fetch: reaching(site.Server), Extensions: append(extension.SPIFFE(), extension.Federation()...)}
	verify := func(_ context.Context, url string, document []byte) ([]byte, error) {
		if url == site.URL+"/signed" && string(document) == "signed" {
			return []byte(setOf("b")), nil
		}
		return nil, errors.New("a bad signature")
	}
	for _, c := range []struct {
		sentence, member, value, published string
		keys                               *dcr.ClientKeys
		want                               string
		err                                error
	}{
		{"the set at spiffe_bundle_endpoint", "spiffe_bundle_endpoint", `"` + site.URL + `/a"`, setOf("a"), &dcr.ClientKeys{Validator: validator}, setOf("a"), nil},
		{"a signed set, with a Verify that checks its signature", "signed_jwks_uri", `"` + site.URL + `/signed"`, "signed", &dcr.ClientKeys{Validator: validator, Verify: verify}, setOf("b"), nil},
		{"a signed set with a bad signature", "signed_jwks_uri", `"` + site.URL + `/b"`, "signed", &dcr.ClientKeys{Validator: validator, Verify: verify}, "", dcr.ErrClientKeysUnavailable},
		{"a signed set, without a Verify", "signed_jwks_uri", `"` + site.URL + `/c"`, "signed", &dcr.ClientKeys{Validator: validator}, "", dcr.ErrClientKeysUnavailable},
		{"a member that is not declared", "x_keys", `"` + site.URL + `/d"`, setOf("a"), &dcr.ClientKeys{Validator: validator}, "", dcr.ErrNoClientKeys},
		{"one that is not a key source", "information_uri", `"` + site.URL + `/d"`, setOf("a"), &dcr.ClientKeys{Validator: validator}, "", dcr.ErrNoClientKeys},
		{"one that is not a URL", "spiffe_bundle_endpoint", `["` + site.URL + `/d"]`, setOf("a"), &dcr.ClientKeys{Validator: validator}, "", dcr.ErrNoClientKeys},
		{"no validator", "spiffe_bundle_endpoint", `"` + site.URL + `/d"`, setOf("a"), &dcr.ClientKeys{Fetch: reaching(site.Server)}, "", dcr.ErrNoClientKeys},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			site.publish(c.published)
			client := dcr.NewClient()
			client.Extra = map[string]json.RawMessage{c.member: json.RawMessage(c.value)}
			if got, err := c.keys.Keys(t.Context(), client, ""); string(got) != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s, %v; want %s, %v", got, err, c.want, c.err)
			}
		})
	}
	var buffer []byte // that a Verify uses again
	keys := &dcr.ClientKeys{Validator: validator, Verify: func(_ context.Context, url string, document []byte) ([]byte, error) {
		buffer = append(buffer[:0], setOf(string(document))...)
		return buffer, nil
	}}
	for _, kid := range []string{"a", "b", "a"} {
		site.publish(kid)
		client := dcr.NewClient()
		client.Extra = map[string]json.RawMessage{"signed_jwks_uri": json.RawMessage(`"` + site.URL + "/" + kid + `"`)}
		if got, err := keys.Keys(t.Context(), client, ""); string(got) != setOf(kid) || err != nil {
			t.Errorf("with a Verify that uses its memory again, the keys of client %s are %s (%v)", kid, got, err)
		}
	}
	jwks := byReference(site)
	site.publish(setOf("a"))
	if got, err := (&dcr.ClientKeys{Validator: validator}).Keys(t.Context(), jwks, ""); err != nil || string(got) != setOf("a") {
		t.Errorf("by the validator's Fetch: %s, %v", got, err)
	}
}

func TestClientKeysByValue(t *testing.T) {
	var keys dcr.ClientKeys
	client := dcr.NewClient()
	client.JWKS = []byte(setOf("a"))
	got, err := keys.Keys(t.Context(), client, "unknown")
	if err != nil || string(got) != setOf("a") {
		t.Errorf("%s, %v", got, err)
	}
	clear(got)
	if string(client.JWKS) != setOf("a") {
		t.Error("the client's own set was returned, not a copy")
	}
	for sentence, change := range map[string]func(c *dcr.Client){
		"a client without keys": func(c *dcr.Client) { c.JWKS = nil },
		"a disabled client":     func(c *dcr.Client) { c.Status = dcr.StatusDisabled },
		"a pending client":      func(c *dcr.Client) { c.Status = dcr.StatusPending },
		"an expired client":     func(c *dcr.Client) { c.ExpiresAt = noon.AddDate(-10, 0, 0) },
	} {
		changed := client.Clone()
		change(changed)
		if got, err := keys.Keys(t.Context(), changed, "a"); !errors.Is(err, dcr.ErrNoClientKeys) || got != nil {
			t.Errorf("%s: %s, %v", sentence, got, err)
		}
	}
}

// The set at jwks_uri must follow the rules of jwks.
func TestClientKeysAreJudged(t *testing.T) {
	for sentence, set := range map[string]string{
		"a private key":   `{"keys":[` + ecPrivate + `]}`,
		"a symmetric key": `{"keys":[{"kty":"oct","k":"AAAA"}]}`,
		"not a set":       `<html></html>`,
		"too many keys":   setOf("a", "b", "c"),
	} {
		site := newKeySite(t, set)
		keys := &dcr.ClientKeys{Fetch: reaching(site.Server), MaxKeys: 2}
		if got, err := keys.Keys(t.Context(), byReference(site), "a"); !errors.Is(err, dcr.ErrClientKeysUnavailable) || got != nil {
			t.Errorf("%s: %s, %v", sentence, got, err)
		}
	}
}

func TestClientKeysAreGuarded(t *testing.T) {
	site := newKeySite(t, setOf("a"))
	logger, _ := quiet()
	keys := &dcr.ClientKeys{Fetch: &dcr.GuardedClient{Logger: logger}}
	if got, err := keys.Keys(t.Context(), byReference(site), "a"); !errors.Is(err, dcr.ErrClientKeysUnavailable) || got != nil || site.fetches.Load() != 0 {
		t.Errorf("an address that is not public: %s, %v, %d fetches", got, err, site.fetches.Load())
	}
}

func TestClientKeysMakeOneFetch(t *testing.T) {
	site := newKeySite(t, setOf("a"))
	site.hold = make(chan struct{})
	keys := &dcr.ClientKeys{Fetch: reaching(site.Server)}
	client := byReference(site)
	var asking sync.WaitGroup
	for range 50 {
		asking.Go(func() {
			if got, err := keys.Keys(t.Context(), client, "a"); err != nil || string(got) != setOf("a") {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := keys.Keys(impatient, client, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller whose context ends does not wait: %v", err)
	}
	close(site.hold)
	asking.Wait()
	if site.fetches.Load() != 1 {
		t.Errorf("%d fetches", site.fetches.Load())
	}
}

func TestClientKeysHeedMaxAge(t *testing.T) {
	now := noon
	site := newKeySite(t, setOf("a"))
	site.maxAge = "7200"
	keys := &dcr.ClientKeys{Fetch: reaching(site.Server), Now: func() time.Time { return now }}
	client := byReference(site)
	for _, later := range []struct {
		by      time.Duration
		fetches int32
	}{{0, 1}, {2*time.Hour - 1, 1}, {1, 2}} {
		now = now.Add(later.by)
		if _, err := keys.Keys(t.Context(), client, "a"); err != nil || site.fetches.Load() != later.fetches {
			t.Errorf("%v later: %d fetches, want %d; %v", later.by, site.fetches.Load(), later.fetches, err)
		}
	}
}
