package spec_test

// What a client presents at the host's own endpoints, and whether it may act.

import (
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dynreg/dcr"
)

// TestWhoMayAct checks that all functions agree on whether a client may act.
func TestWhoMayAct(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		sentence string
		status   dcr.Status
		expires  time.Time
		want     error
	}{
		{"an active client may", dcr.StatusActive, time.Time{}, nil},
		{"one that ends later may", dcr.StatusActive, now.Add(time.Hour), nil},
		{"one that ends now may not", dcr.StatusActive, now, dcr.ErrClientExpired},
		{"a pending one may not", dcr.StatusPending, time.Time{}, dcr.ErrClientPending},
		{"a pending one that has expired may not", dcr.StatusPending, now, dcr.ErrClientExpired},
		{"a disabled one may not", dcr.StatusDisabled, time.Time{}, dcr.ErrClientDisabled},
		{"a disabled one that has expired is disabled", dcr.StatusDisabled, now, dcr.ErrClientDisabled},
		{"nor may one with a status of a later version", "frozen", time.Time{}, dcr.ErrClientDisabled},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			key := make([]byte, 32)
			sealer, err := dcr.NewAESSealer(key)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := sealer.Seal("right", "a")
			if err != nil {
				t.Fatal(err)
			}
			client := dcr.Client{ID: "a", Status: c.status, ExpiresAt: c.expires, Secrets: []dcr.Secret{dcr.HashSecret("right"), {Type: dcr.SecretSealed, Value: sealed}}}
			client.RedirectURIs = []string{"https://app.example.com/callback"}
			may := c.want == nil
			if err := client.CheckUsable(now); !errors.Is(err, c.want) || may != (err == nil) {
				t.Errorf("CheckUsable: %v, want %v", err, c.want)
			}
			opened, err := client.OpenSecrets(sealer, now)
			if err != nil || (len(opened) == 1) != may {
				t.Errorf("OpenSecrets: %d secrets, %v", len(opened), err)
			}
			if client.Usable(now) != may || client.VerifySecret("right", now) != may || client.MatchRedirectURI("https://app.example.com/callback") != may {
				t.Error("Usable, VerifySecret and MatchRedirectURI do not agree")
			}
			if !client.MatchSecret("right", now) || client.MatchSecret("wrong", now) || client.MatchSecret("", now) {
				t.Error("MatchSecret does more than compare")
			}
		})
	}
}

// TestBasicCredentials: RFC 6749 §2.3.1 and its appendix B.
func TestBasicCredentials(t *testing.T) {
	for _, c := range []struct {
		sentence   string
		headers    []string
		id, secret string
		ok         bool
	}{
		{"letters and digits stand for themselves", []string{basic("app1:s3cret")}, "app1", "s3cret", true},
		{"openid-client 6 and oauth4webapi encode - and _", []string{basic("a%2D1:b%5F2")}, "a-1", "b_2", true},
		{"text that is not encoded is taken as it is", []string{basic("a-1:b_2~.!")}, "a-1", "b_2~.!", true},
		{"a plus is a space", []string{basic("a:b+c")}, "a", "b c", true},
		{"an encoded plus, colon and percent sign are themselves", []string{basic("https%3A%2F%2Fapp.example%2Foauth:a%2Bb%3Ac%25")}, "https://app.example/oauth", "a+b:c%", true},
		{"a colon in the secret is a part of it", []string{basic("a:b:c")}, "a", "b:c", true},
		{"UTF-8 is decoded", []string{basic("a:%E2%82%AC")}, "a", "\u20ac", true},
		{"the scheme may be in any case", []string{strings.Replace(basic("a:b"), "Basic", "bASIC", 1)}, "a", "b", true},
		{"a public client sends an empty secret", []string{basic("a:")}, "a", "", true},
		{"an empty id is refused", []string{basic(":b")}, "", "", false},
		{"a malformed escape is refused in the id", []string{basic("a%zz:b")}, "", "", false},
		{"and in the secret", []string{basic("a:100%")}, "", "", false},
		{"an encoded NUL is refused", []string{basic("a%00:b")}, "", "", false},
		{"so is a line break", []string{basic("a:b%0A")}, "", "", false},
		{"and invalid UTF-8", []string{basic("a%ff:b")}, "", "", false},
		{"invalid base64", []string{"Basic ???"}, "", "", false},
		{"no colon", []string{basic("a")}, "", "", false},
		{"another scheme", []string{"Bearer " + basic("a:b")[6:]}, "", "", false},
		{"no header", nil, "", "", false},
		{"two headers", []string{basic("a:b"), basic("a:b")}, "", "", false},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/token", nil)
			if c.headers != nil {
				r.Header["Authorization"] = c.headers
			}
			id, secret, ok := dcr.BasicCredentials(r)
			if id != c.id || secret.Reveal() != c.secret || ok != c.ok {
				t.Errorf("%q %q %v", id, secret.Reveal(), ok)
			}
		})
	}
}

// FuzzBasicCredentials checks that what a client encodes is decoded to what was
// issued, and that no other header causes a panic.
func FuzzBasicCredentials(f *testing.F) {
	f.Add("a-1", "b_2")
	f.Add("https://app.example/oauth", "s e+c%:r\u20ac")
	f.Fuzz(func(t *testing.T, id, secret string) {
		r := httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth(id, secret)
		dcr.BasicCredentials(r)
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		readID, readSecret, ok := dcr.BasicCredentials(r)
		if ok && (readID != id || readSecret.Reveal() != secret) {
			t.Errorf("%q and %q were decoded to %q and %q", id, secret, readID, readSecret.Reveal())
		}
		printable := func(text string) bool {
			return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
		}
		if want := id != "" && printable(id) && printable(secret); ok != want {
			t.Errorf("%q and %q: %v", id, secret, ok)
		}
	})
}

func basic(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }
