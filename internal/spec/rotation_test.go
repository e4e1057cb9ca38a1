package spec_test

import (
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

func TestExpiredSecrets(t *testing.T) {
	now := noon
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.SecretLifetime, o.Now = time.Hour, func() time.Time { return now }
	})
	registered := r.register(t, request(t, ``))
	if registered.members["client_secret_expires_at"] != float64(noon.Add(time.Hour).Unix()) {
		t.Errorf("%s", registered.body)
	}
	now = noon.Add(59 * time.Minute)
	if a := r.manage(t, "PUT", registered, registered.update(nil)); a.members["client_secret"] != nil || a.members["client_secret_expires_at"] != registered.members["client_secret_expires_at"] {
		t.Errorf("a valid secret must stay: %s", a.body)
	}
	now = noon.Add(time.Hour)
	if a := r.manage(t, "GET", registered, ""); a.status != 200 || a.members["client_secret"] != nil {
		t.Errorf("a read must not renew anything: %s", a.body)
	}
	a := r.manage(t, "PUT", registered, registered.update(nil))
	if a.text("client_secret") == "" || a.text("client_secret") == registered.text("client_secret") || a.members["client_secret_expires_at"] != float64(now.Add(time.Hour).Unix()) {
		t.Errorf("an update must renew an expired secret: status %d: %s", a.status, a.body)
	}
	if client := r.client(t, registered); !client.VerifySecret(a.text("client_secret"), now) || client.VerifySecret(registered.text("client_secret"), now) {
		t.Error("the new secret must be valid, and the old one not")
	}
}

func TestRotation(t *testing.T) {
	now := noon
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.RotateRegistrationToken, o.RotateSecret, o.RotationGrace, o.Now = true, true, time.Hour, func() time.Time { return now }
	})
	registered := r.register(t, request(t, ``))
	if a := r.manage(t, "GET", registered, ""); a.text("registration_access_token") != registered.text("registration_access_token") {
		t.Errorf("a read must not rotate anything: %s", a.body)
	}
	lost := r.manage(t, "PUT", registered, registered.update(nil))
	if lost.text("registration_access_token") == registered.text("registration_access_token") || lost.text("client_secret") == registered.text("client_secret") || lost.text("client_secret") == "" {
		t.Fatalf("an update must rotate both: %s", lost.body)
	}
	retried := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_name": "Again"}))
	if retried.status != 200 || retried.text("client_name") != "Again" {
		t.Fatalf("if the answer was lost, the old token must still work: status %d: %s", retried.status, retried.body)
	}
	if retried.text("registration_access_token") != registered.text("registration_access_token") || retried.text("client_secret") != "" {
		t.Errorf("a token that was rotated away must not rotate anything: %s", retried.body)
	}
	client := r.client(t, registered)
	if !client.VerifySecret(registered.text("client_secret"), now) || client.VerifySecret(registered.text("client_secret"), now.Add(time.Hour)) || !client.VerifySecret(lost.text("client_secret"), now.Add(time.Hour)) {
		t.Error("an old secret must be valid only within its window, and the newest after it")
	}
	if a := r.manage(t, "GET", lost, ""); a.status != 200 || a.text("registration_access_token") != lost.text("registration_access_token") {
		t.Errorf("the new token must work: status %d: %s", a.status, a.body)
	}
	if a := r.manage(t, "GET", registered, ""); a.status != 401 {
		t.Errorf("after the new token was used, the old one must not work: status %d: %s", a.status, a.body)
	}
	third := r.manage(t, "PUT", lost, lost.update(map[string]any{"client_secret": nil}))
	now = noon.Add(time.Hour)
	if a := r.manage(t, "GET", lost, ""); a.status != 401 {
		t.Errorf("after its window the old token must not work: status %d: %s", a.status, a.body)
	}
	if a := r.manage(t, "GET", third, ""); a.status != 200 {
		t.Errorf("the newest token must have no window: status %d: %s", a.status, a.body)
	}
}

// With a token that was rotated away, one can neither extend its window nor get
// anything that outlives it, whatever one sends.
func TestATokenThatWasRotatedAway(t *testing.T) {
	now := noon
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.RotateRegistrationToken, o.RotateSecret, o.Now = true, true, func() time.Time { return now }
	})
	stolen := r.register(t, request(t, `{}`))
	newest := r.manage(t, "PUT", stolen, stolen.update(nil))
	for range 10 {
		now = now.Add(5 * time.Minute)
		a := r.manage(t, "PUT", stolen, stolen.update(map[string]any{"client_secret": nil}))
		if a.status != 200 || a.text("registration_access_token") != stolen.text("registration_access_token") || a.text("client_secret") != "" {
			t.Fatalf("after %v: status %d: %s", now.Sub(noon), a.status, a.body)
		}
	}
	now = noon.Add(time.Hour)
	if a := r.manage(t, "PUT", stolen, stolen.update(nil)); a.status != 401 {
		t.Errorf("after its window: status %d: %s", a.status, a.body)
	}
	if a := r.manage(t, "PUT", newest, newest.update(nil)); a.status != 200 || a.text("registration_access_token") == newest.text("registration_access_token") {
		t.Errorf("the newest token: status %d: %s", a.status, a.body)
	}
}

// Keys that are kept among the secrets of a client do not count as old ones.
func TestRotationKeepsKeys(t *testing.T) {
	r := start(t, `{}`)
	registered := r.register(t, request(t, ``))
	client := r.client(t, registered)
	for range 5 {
		client.Secrets = append([]dcr.Secret{{Type: dcr.SecretJWK, Value: "{}"}}, client.Secrets...)
	}
	now := time.Now()
	secret, err := r.handler.(*dcr.Handler).RotateSecret(t.Context(), client, time.Hour)
	if err != nil || len(client.Secrets) != 7 {
		t.Fatalf("%d secrets, %v", len(client.Secrets), err)
	}
	old := registered.text("client_secret")
	if !client.VerifySecret(secret.Reveal(), now) || !client.VerifySecret(old, now) || client.VerifySecret(old, now.Add(2*time.Hour)) {
		t.Error("both secrets must be valid, and the old one only within its window")
	}
}

// The same number of old secrets is kept, whether they are sealed or not.
func TestRotationKeepsSealedSecrets(t *testing.T) {
	for _, all := range []bool{false, true} {
		r := start(t, `{}`, sealed(t), func(_ *dcr.DefaultValidator, o *dcr.Options) { o.RotateSecret, o.SealAllSecrets = true, all })
		registered := r.register(t, request(t, ``))
		for range 4 {
			r.manage(t, "PUT", registered, registered.update(nil))
		}
		if client := r.client(t, registered); !client.VerifySecret(registered.text("client_secret"), time.Now()) {
			t.Errorf("after four rotations, with SealAllSecrets %v, the first secret ended before its window", all)
		}
		for range 20 {
			r.manage(t, "PUT", registered, registered.update(map[string]any{"client_secret": nil}))
		}
		if kept := len(r.client(t, registered).Secrets); kept > 10 {
			t.Errorf("%d secrets are kept", kept)
		}
	}
}
