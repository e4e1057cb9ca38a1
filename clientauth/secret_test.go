package clientauth_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

func secretClients(t testing.TB) dcr.ClientConfigurationStore {
	return newStore(t,
		newClient("basic", "client_secret_basic", withSecret),
		newClient("a b", "client_secret_basic", withSecret),
		newClient("unsaid", "", withSecret),
		newClient("post", "client_secret_post", withSecret),
		newClient("public", "none", nil),
		newClient("public with a secret", "none", withSecret),
		newClient("key", "private_key_jwt", withSecret),
		newClient("tls", "tls_client_auth", withSecret),
		newClient("custom", "the_hosts_own", withSecret),
		newClient("disabled", "client_secret_basic", func(c *dcr.Client) { withSecret(c); c.Status = dcr.StatusDisabled }),
		newClient("expired", "client_secret_basic", func(c *dcr.Client) { withSecret(c); c.ExpiresAt = now }),
		newClient("pending", "client_secret_basic", func(c *dcr.Client) { withSecret(c); c.Status = dcr.StatusPending }),
		newClient("pending public", "none", func(c *dcr.Client) { c.Status = dcr.StatusPending }),
		newClient("disabled public", "none", func(c *dcr.Client) { c.Status = dcr.StatusDisabled }),
	)
}

func TestSecrets(t *testing.T) {
	store := secretClients(t)
	const refused, bad = "401 invalid_client", "400 invalid_request"
	form := func(pairs ...string) url.Values {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Add(pairs[i], pairs[i+1])
		}
		return values
	}
	for _, c := range []struct {
		sentence, basic string
		form            url.Values
		want, strict    string
	}{
		{"a secret in the header", "basic:its+secret", nil, "client_secret_basic", "client_secret_basic"},
		{"form-encoded, like the id", "a+b:its%20secret", nil, "client_secret_basic", "client_secret_basic"},
		{"there is no other way to read it", "basic:its secret%", nil, refused, refused},
		{"a client without a method has basic", "unsaid:its+secret", nil, "client_secret_basic", "client_secret_basic"},
		{"a secret in the body", "", form("client_id", "post", "client_secret", "its secret"), "client_secret_post", "client_secret_post"},
		{"basic also works for a client with post", "post:its+secret", nil, "client_secret_basic", refused},
		{"and post for one with basic", "", form("client_id", "basic", "client_secret", "its secret"), "client_secret_post", refused},
		{"a wrong secret is refused", "basic:another", nil, refused, refused},
		{"and a missing one", "", form("client_id", "basic"), refused, refused},
		{"and an empty one", "basic:", nil, refused, refused},
		{"an unknown client is refused", "nobody:its+secret", nil, refused, refused},
		{"in the body too", "", form("client_id", "nobody", "client_secret", "x"), refused, refused},
		{"and with only its id", "", form("client_id", "nobody"), refused, refused},
		{"an id that no store accepts is unknown", "", form("client_id", "a\x00b", "client_secret", "x"), refused, refused},
		{"so is one that is too long", "", form("client_id", strings.Repeat("a", 256)), refused, refused},
		{"a request must name a client", "", nil, refused, refused},
		{"the header and the body name the same client", "basic:its+secret", form("client_id", "basic"), "client_secret_basic", "client_secret_basic"},
		{"not two clients", "basic:its+secret", form("client_id", "post"), bad, bad},
		{"only one method may be used", "basic:its+secret", form("client_secret", "its secret"), bad, bad},
		{"even if the secret in the header is empty", "public:", form("client_secret", "x"), bad, bad},
		{"not a secret and an assertion", "", form("client_id", "post", "client_secret", "its secret", "client_assertion", "x", "client_assertion_type", jwtType), bad, bad},
		{"not the header and an assertion", "basic:its+secret", form("client_assertion", "x", "client_assertion_type", jwtType), bad, bad},
		{"an id must not be sent twice", "", form("client_id", "public", "client_id", "public"), bad, bad},
		{"nor a secret", "", form("client_id", "post", "client_secret", "its secret", "client_secret", "x"), bad, bad},
		{"a public client only names itself", "", form("client_id", "public"), "none", "none"},
		{"in the header with an empty secret", "public:", nil, "none", refused},
		{"an empty parameter counts as absent", "", form("client_id", "public", "client_secret", ""), "none", "none"},
		{"a public client has no secret", "public:x", nil, refused, refused},
		{"even if one is stored", "public+with+a+secret:its+secret", nil, refused, refused},
		{"a secret does not work for a client with a key", "key:its+secret", nil, refused, refused},
		{"nor for one with a certificate", "tls:its+secret", nil, refused, refused},
		{"nor for one with a method of the host", "custom:its+secret", nil, refused, refused},
		{"an id is not enough for a client with a key", "", form("client_id", "key"), refused, refused},
		{"a disabled client is refused", "disabled:its+secret", nil, refused, refused},
		{"an expired one too", "expired:its+secret", nil, refused, refused},
		{"a pending one is told", "pending:its+secret", nil, "400 access_denied", "400 access_denied"},
		{"only after it was authenticated", "pending:x", nil, refused, refused},
		{"a public one has nothing to prove", "", form("client_id", "pending public"), "400 access_denied", "400 access_denied"},
		{"a disabled public one is refused", "", form("client_id", "disabled public"), refused, refused},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			a := newAuthenticator(store)
			if got := outcome(a, post(c.basic, c.form)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			a = newAuthenticator(store)
			a.Strict = true
			if got := outcome(a, post(c.basic, c.form)); got != c.strict {
				t.Errorf("strict: got %s, want %s", got, c.strict)
			}
			a = newAuthenticator(broken{err: errDown})
			if got := outcome(a, post(c.basic, c.form)); got != "503 temporarily_unavailable" && got != c.want {
				t.Errorf("an outage is not a refusal: %s", got)
			}
		})
	}
}

func TestHeadersAndQueries(t *testing.T) {
	store := secretClients(t)
	for _, c := range []struct {
		sentence string
		change   func(*http.Request)
		want     string
	}{
		{"another scheme authenticates nobody", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, "401 invalid_client"},
		{"a header must not be sent twice", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, "400 invalid_request"},
		{"a secret in the query is refused", func(r *http.Request) { r.URL.RawQuery = "client_secret=x" }, "400 invalid_request"},
		{"an id in the query is ignored", func(r *http.Request) { r.URL.RawQuery = "client_id=post" }, "client_secret_basic"},
		{"a body may be missing", func(r *http.Request) { r.Body = nil }, "client_secret_basic"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			r := post("basic:its+secret", nil)
			c.change(r)
			if got := outcome(newAuthenticator(store), r); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if got := outcome(newAuthenticator(store), post("", url.Values{"x": {strings.Repeat("a", 1<<20)}})); got != "400 invalid_request" {
		t.Errorf("a form must be bounded: %s", got)
	}
}

func TestRefreshKeepsTheMethod(t *testing.T) {
	a := newAuthenticator(secretClients(t))
	for method, want := range map[string]bool{"client_secret_basic": true, "client_secret_post": true, "none": false, "private_key_jwt": false, "": false} {
		if _, err := a.AuthenticateRefresh(post("basic:its+secret", nil), method); (err == nil) != want {
			t.Errorf("%q: %v", method, err)
		}
	}
	a = newAuthenticator(secretClients(t))
	a.Strict = true
	if _, err := a.AuthenticateRefresh(post("basic:its+secret", nil), "client_secret_post"); err == nil {
		t.Error("strict: basic and post must be two methods")
	}
}

// A grant keeps a name for its method, which basic and post share unless they are
// two methods.
func TestGrantMethod(t *testing.T) {
	for strict, want := range map[bool]bool{false: true, true: false} {
		a := newAuthenticator(secretClients(t))
		a.Strict = strict
		basic, err := a.Authenticate(post("basic:its+secret", nil))
		if err != nil {
			t.Fatal(err)
		}
		byPost := *basic
		byPost.Method = "client_secret_post"
		if same := basic.GrantMethod() == byPost.GrantMethod(); same != want {
			t.Errorf("strict %t: basic and post are the same: %t", strict, same)
		}
		byPost.Method = "private_key_jwt"
		if basic.GrantMethod() == byPost.GrantMethod() {
			t.Errorf("strict %t: a secret and a key are the same", strict)
		}
	}
}

// The log says which client and why; the answer does not.
func TestLog(t *testing.T) {
	var log strings.Builder
	a := newAuthenticator(secretClients(t))
	a.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	outcome(a, post("basic:x", nil))
	if got := log.String(); !strings.Contains(got, "level=DEBUG") || !strings.Contains(got, "rule=client.secret") || !strings.Contains(got, "basic") {
		t.Errorf("a refusal: %s", got)
	}
	for _, fault := range []error{errDown, (*dcr.Error)(nil)} {
		log.Reset()
		a.Store = broken{err: fault}
		got := outcome(a, post("basic:x", nil))
		if log := log.String(); got != "503 temporarily_unavailable" || !strings.Contains(log, "level=ERROR") || !strings.Contains(log, fault.Error()) {
			t.Errorf("%v: %s, and in the log %s", fault, got, log)
		}
	}
}

// TestOutagesAreTallied checks that strangers who cause outages do not fill the log, nor
// hide an outage of another kind.
func TestOutagesAreTallied(t *testing.T) {
	var log strings.Builder
	a := newAuthenticator(broken{err: fmt.Errorf("cimd: no document: %w", errDown)})
	a.Logger = slog.New(slog.NewTextHandler(&log, nil))
	for i := range 100 {
		if got := outcome(a, post("", url.Values{"client_id": {fmt.Sprint("https://app.example.com/", i)}})); got != "503 temporarily_unavailable" {
			t.Fatal(got)
		}
	}
	if lines := strings.Count(log.String(), "client authentication unavailable"); lines != 1 {
		t.Errorf("%d lines", lines)
	}
	a.Store = broken{err: errDown}
	outcome(a, post("", url.Values{"client_id": {"basic"}}))
	if lines := strings.Count(log.String(), "client authentication unavailable"); lines != 2 {
		t.Errorf("with another kind, %d lines", lines)
	}
}
