package spec_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

func TestSymmetricAlgorithms(t *testing.T) {
	r := start(t, symmetric, sealed(t))
	keys := `"token_endpoint_auth_method":"private_key_jwt",` + keySet
	r.judge(t, []wireCase{
		{sentence: "client_secret_jwt has a secret (OIDCC §9)", request: `{"token_endpoint_auth_method":"client_secret_jwt"}`, answer: `{"token_endpoint_auth_method":"client_secret_jwt","client_secret_expires_at":0}`},
		{sentence: "client_secret_jwt with its algorithm", request: `{"token_endpoint_auth_method":"client_secret_jwt","token_endpoint_auth_signing_alg":"HS512"}`, answer: `{"token_endpoint_auth_signing_alg":"HS512"}`},
		{sentence: "client_secret_jwt cannot have asymmetric algorithms", request: `{"token_endpoint_auth_method":"client_secret_jwt","token_endpoint_auth_signing_alg":"RS256"}`, code: dcrMetadata, says: "token_endpoint_auth_signing_alg must be one of: HS256, HS512"},
		{sentence: "a client with another method gets a secret for its ID Tokens (OIDCR §3.2)", request: `{` + keys + `,"id_token_signed_response_alg":"HS256"}`, answer: `{"token_endpoint_auth_method":"private_key_jwt","id_token_signed_response_alg":"HS256","client_secret_expires_at":0}`},
		{sentence: "and for UserInfo", request: `{` + keys + `,"userinfo_signed_response_alg":"HS256"}`, answer: `{"client_secret_expires_at":0}`},
		{sentence: "and for encrypted ID Tokens", request: `{` + keys + `,"id_token_encrypted_response_alg":"A256KW"}`, answer: `{"id_token_encrypted_response_enc":"A128CBC-HS256","client_secret_expires_at":0}`},
		{sentence: "and for encrypted request objects (OIDCR §2)", request: `{` + keys + `,"request_object_encryption_alg":"A128KW"}`, answer: `{"client_secret_expires_at":0}`},
		{sentence: "and for signed request objects", request: `{` + keys + `,"request_object_signing_alg":"HS256"}`, answer: `{"client_secret_expires_at":0}`},
		{sentence: "but none without need", request: `{` + keys + `}`, answer: `{"client_secret":null,"client_secret_expires_at":null}`},
		{sentence: "symmetric encryption needs no keys of the client", request: `{"id_token_encrypted_response_alg":"dir"}`, answer: `{"id_token_encrypted_response_alg":"dir"}`},
		{sentence: "a public client has no symmetric algorithm (OIDCC §10.1)", request: `{"token_endpoint_auth_method":"none","id_token_signed_response_alg":"HS256"}`, code: dcrMetadata, says: "id_token_signed_response_alg must not be symmetric for a client without a secret"},
		{sentence: "an http request URI for objects with symmetric signatures", request: `{"request_uris":["http://rp.example.com/r"],"request_object_signing_alg":"HS256"}`},
	})
	start(t, `{"id_token_signing_alg_values_supported":["HS256","ES256"]}`, sealed(t)).judge(t, []wireCase{
		{sentence: "a public client that leaves the algorithm to the server gets one that it can have", request: `{"token_endpoint_auth_method":"none"}`, answer: `{"id_token_signed_response_alg":"ES256"}`},
		{sentence: "a confidential one gets the first", answer: `{"id_token_signed_response_alg":"HS256"}`},
	})
}

// The secret is as long as its algorithms need (OIDCC §16.19), and the server
// can read it again.
func TestSymmetricSecrets(t *testing.T) {
	sealer, err := dcr.NewAESSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, symmetric, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Sealer = sealer })
	for algorithms, need := range map[string]int{
		`"id_token_signed_response_alg":"HS256"`:                                                                                              32,
		`"id_token_signed_response_alg":"HS384"`:                                                                                              48,
		`"id_token_signed_response_alg":"HS512"`:                                                                                              64,
		`"id_token_encrypted_response_alg":"dir","id_token_encrypted_response_enc":"A256CBC-HS512"`:                                           64,
		`"token_endpoint_auth_method":"client_secret_jwt"`:                                                                                    64,
		`"token_endpoint_auth_method":"client_secret_jwt","token_endpoint_auth_signing_alg":"HS256"`:                                          32,
		`"token_endpoint_auth_method":"client_secret_jwt","id_token_signed_response_alg":"HS256"`:                                             64,
		`"token_endpoint_auth_method":"client_secret_jwt","token_endpoint_auth_signing_alg":"HS256","request_object_encryption_alg":"A128KW"`: 32,
	} {
		a := r.register(t, request(t, `{`+algorithms+`}`))
		client, err := r.store.FindByClientID(t.Context(), a.text("client_id"))
		if err != nil {
			t.Fatal(err)
		}
		opened, err := client.OpenSecrets(sealer, time.Now())
		if err != nil || len(opened) != 1 || opened[0].Reveal() != a.text("client_secret") || len(opened[0].Reveal()) < need {
			t.Errorf("%s: %d secrets, %v; issued %q, needs %d octets", algorithms, len(opened), err, a.text("client_secret"), need)
		}
	}
}

func TestSymmetricWithoutSealer(t *testing.T) {
	const capabilities = `{"token_endpoint_auth_methods_supported":["client_secret_basic","none"],"id_token_signing_alg_values_supported":["HS256","RS256","ES256"],
		"id_token_encryption_alg_values_supported":["RSA-OAEP","A256KW","dir"],"id_token_encryption_enc_values_supported":["A128CBC-HS256"]}`
	r := start(t, capabilities)
	for _, member := range []string{`"id_token_signed_response_alg":"HS256"`, `"id_token_encrypted_response_alg":"A256KW"`, `"id_token_encrypted_response_alg":"dir"`} {
		r.judge(t, []wireCase{{sentence: "a server that keeps only hashes refuses " + member, request: `{` + member + `}`, code: dcrMetadata, says: "this server keeps only its hash, so use an asymmetric algorithm or method"}})
	}
	r.judge(t, []wireCase{
		{sentence: "and gives nobody one by default", answer: `{"id_token_signed_response_alg":"RS256"}`},
		{sentence: "nor from a list", request: `{"id_token_signing_alg_values_supported":["HS256","ES256"]}`, answer: `{"id_token_signed_response_alg":"ES256"}`},
	})
}

// A change of method or algorithm in an update may issue a secret, or a longer
// one, or remove it.
func TestSecretsFollowTheMethod(t *testing.T) {
	r := start(t, symmetric, sealed(t))
	registered := r.register(t, request(t, `{"token_endpoint_auth_method":"none"}`))
	steps := []struct {
		sentence string
		changed  map[string]any
		issued   bool
		expires  any
	}{
		{"none to client_secret_basic issues one", map[string]any{"token_endpoint_auth_method": "client_secret_basic"}, true, 0.0},
		{"the same again keeps it", nil, false, 0.0},
		{"a symmetric algorithm needs one that the server can read", map[string]any{"id_token_signed_response_alg": "HS256"}, true, 0.0},
		{"a longer hash needs a longer one", map[string]any{"id_token_signed_response_alg": "HS512"}, true, 0.0},
		{"a shorter one does not", map[string]any{"id_token_signed_response_alg": "HS384"}, false, 0.0},
		{"back to asymmetric keeps it", map[string]any{"id_token_signed_response_alg": "RS256"}, false, 0.0},
		{"client_secret_basic to none removes it", map[string]any{"token_endpoint_auth_method": "none", "client_secret": nil}, false, nil},
	}
	last := registered
	for _, step := range steps {
		changed := map[string]any{"client_secret": nil}
		for name, value := range step.changed {
			changed[name] = value
		}
		a := r.manage(t, "PUT", registered, last.update(changed))
		if _, issued := a.members["client_secret"]; a.status != 200 || issued != step.issued || a.members["client_secret_expires_at"] != step.expires {
			t.Errorf("%s: status %d: %s", step.sentence, a.status, a.body)
		}
		last = a
	}
}

// Every secret is kept if the host says so, and is still returned only once.
func TestSealAllSecrets(t *testing.T) {
	sealer, err := dcr.NewAESSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, `{"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","none"]}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.Sealer, o.SealAllSecrets, o.RotateSecret = sealer, true, true
	})
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		a := r.register(t, request(t, `{"token_endpoint_auth_method":"`+method+`"}`))
		secret := a.text("client_secret")
		check := func(count int) {
			t.Helper()
			client := r.client(t, a)
			opened, err := client.OpenSecrets(sealer, time.Now())
			if err != nil || len(opened) != count || opened[0].Reveal() != secret || !client.VerifySecret(secret, time.Now()) {
				t.Errorf("%s: %d secrets can be read, %v", method, len(opened), err)
			}
		}
		check(1)
		if read := r.manage(t, "GET", a, ""); read.status != 200 || read.text("client_secret") != "" {
			t.Errorf("%s: a read returns %s", method, read.body)
		}
		updated := r.manage(t, "PUT", a, a.update(nil))
		secret = updated.text("client_secret")
		check(2) // the old one is in its window
	}
	if client := r.client(t, r.register(t, request(t, `{"token_endpoint_auth_method":"none"}`))); len(client.Secrets) != 0 {
		t.Errorf("a public client has %d secrets", len(client.Secrets))
	}
	if _, err := dcr.NewHandler(r.store, &dcr.Options{Endpoint: endpoint, SealAllSecrets: true}); err == nil || !strings.Contains(err.Error(), "Options.Sealer") {
		t.Errorf("without a Sealer: %v", err)
	}
}

// closedVault is a Sealer that may be out of order.
type closedVault struct {
	dcr.Sealer
	down bool
}

func (v *closedVault) Open(sealed, bind string) (dcr.Plaintext, error) {
	if v.down {
		return "", errors.New("the key service is down")
	}
	return v.Sealer.Open(sealed, bind)
}

// A Sealer that fails costs no client its secret.
func TestASealerThatFails(t *testing.T) {
	const shared, byKeys = `{"token_endpoint_auth_method":"client_secret_jwt"}`, `{"id_token_signed_response_alg":"RS256"}`
	for _, c := range []struct {
		sentence string
		request  string         // what is registered
		changed  map[string]any // by the update while the Sealer fails
		status   int            // of the update
		issued   bool           // whether the update issues a secret
		change   change
	}{
		{"an update waits, and the secret stays", shared, nil, 503, false, nil},
		{"so does one for a longer secret", `{"id_token_signed_response_alg":"HS256"}`, map[string]any{"id_token_signed_response_alg": "HS512"}, 503, false, nil},
		{"an update that needs nothing opened is accepted", shared, map[string]any{"token_endpoint_auth_method": "client_secret_basic"}, 200, false, nil},
		{"so is one of a client whose secret was never sealed", byKeys, nil, 200, false, nil},
		{"one that rotates needs no old secret", shared, nil, 200, true, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.RotateSecret = true }},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			sealer, err := dcr.NewAESSealer(make([]byte, 32))
			if err != nil {
				t.Fatal(err)
			}
			service := &closedVault{Sealer: sealer}
			r := start(t, symmetric, func(v *dcr.DefaultValidator, o *dcr.Options) {
				o.Sealer = service
				if c.change != nil {
					c.change(v, o)
				}
			})
			registered := r.register(t, request(t, c.request))
			before := r.client(t, registered)
			service.down = true
			a := r.manage(t, "PUT", registered, registered.update(c.changed))
			after := r.client(t, registered)
			if a.status != c.status || (a.text("client_secret") != "") != c.issued {
				t.Errorf("status %d: %s", a.status, a.body)
			}
			if !c.issued && !reflect.DeepEqual(after.Secrets, before.Secrets) {
				t.Error("the secrets were changed")
			}
			service.down = false
			if opened, err := after.OpenSecrets(sealer, time.Now()); c.request == shared && (err != nil || opened[len(opened)-1].Reveal() != registered.text("client_secret")) {
				t.Errorf("afterwards: %d secrets, %v", len(opened), err)
			}
		})
	}
}

// brokenVault is a Sealer that cannot seal.
type brokenVault struct {
	dcr.Sealer
	down bool
}

func (v *brokenVault) Seal(secret dcr.Plaintext, bind string) (string, error) {
	if v.down {
		return "", errors.New("the key service is down")
	}
	return v.Sealer.Seal(secret, bind)
}

// A Sealer that cannot seal is an outage, which changes nothing.
func TestASealerThatCannotSeal(t *testing.T) {
	const byHash, shared = `{"id_token_signed_response_alg":"RS256"}`, `{"id_token_signed_response_alg":"HS256"}`
	all := func(_ *dcr.DefaultValidator, o *dcr.Options) { o.SealAllSecrets = true }
	rotate := func(_ *dcr.DefaultValidator, o *dcr.Options) { o.RotateSecret = true }
	toShared := map[string]any{"id_token_signed_response_alg": "HS256"}
	for _, c := range []struct {
		sentence string
		first    string         // what is registered while the Sealer works; "" for nothing
		request  string         // what is registered while it fails, if first is ""
		changed  map[string]any // by the update while it fails
		status   int
		change   change
	}{
		{"a registration that needs it waits", "", shared, nil, 503, nil},
		{"so does each one if all secrets are sealed", "", byHash, nil, 503, all},
		{"but not one of a client without a secret", "", `{"token_endpoint_auth_method":"none"}`, nil, 201, all},
		{"nor one of a client whose hash is enough", "", byHash, nil, 201, nil},
		{"an update that needs a secret which the server can read waits", byHash, "", toShared, 503, nil},
		{"so does one that rotates such a secret", shared, "", nil, 503, rotate},
		{"but not one that keeps it", shared, "", nil, 200, nil},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			sealer, err := dcr.NewAESSealer(make([]byte, 32))
			if err != nil {
				t.Fatal(err)
			}
			service := &brokenVault{Sealer: sealer}
			r := start(t, symmetric, func(v *dcr.DefaultValidator, o *dcr.Options) {
				o.Sealer = service
				if c.change != nil {
					c.change(v, o)
				}
			})
			if c.first == "" {
				service.down = true
				a := r.post(t, request(t, c.request))
				if a.status != c.status || (a.header.Get("Retry-After") != "") != (c.status == 503) {
					t.Errorf("status %d: %s", a.status, a.body)
				}
				if c.status == 503 {
					stored(t, r.store, 0)
				}
				return
			}
			registered := r.register(t, request(t, c.first))
			before := r.client(t, registered)
			service.down = true
			a := r.manage(t, "PUT", registered, registered.update(c.changed))
			if a.status != c.status || (a.header.Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("status %d: %s", a.status, a.body)
			}
			if after := r.client(t, registered); !reflect.DeepEqual(after.Secrets, before.Secrets) {
				t.Error("the secrets were changed")
			}
		})
	}
}

// A secret whose key is lost does not keep a newer one from use.
func TestASecretWhoseKeyIsLost(t *testing.T) {
	lost, errLost := dcr.NewAESSealer(make([]byte, 32))
	sealer, err := dcr.NewAESSealer([]byte(strings.Repeat("k", 32)))
	if err != nil || errLost != nil {
		t.Fatal(err, errLost)
	}
	var opts *dcr.Options
	r := start(t, symmetric, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Sealer, opts = lost, o })
	registered := r.register(t, request(t, `{"token_endpoint_auth_method":"client_secret_jwt"}`))
	opts.Sealer = sealer
	handler := newHandler(t, r.store, *opts)
	r.handler = handler
	if a := r.manage(t, "PUT", registered, registered.update(nil)); a.status != 503 {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	client := r.client(t, registered)
	secret, err := handler.RotateSecret(t.Context(), client, time.Hour)
	if err != nil || r.store.Update(t.Context(), client) != nil {
		t.Fatal(err)
	}
	if opened, err := client.OpenSecrets(sealer, time.Now()); len(opened) != 1 || opened[0] != secret || err == nil {
		t.Errorf("%d secrets, %v", len(opened), err)
	}
	if a := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_secret": secret.Reveal()})); a.status != 200 || a.text("client_secret") != "" {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

// A client that comes back to a symmetric algorithm gets a new secret, unless the
// server has its newest one: an older one is valid only for its grace.
func TestTheSecretOfAClientThatComesBack(t *testing.T) {
	for _, rotates := range []bool{false, true} {
		r := start(t, symmetric, sealed(t))
		registered := r.register(t, request(t, `{"id_token_signed_response_alg":"HS256"}`))
		update := func(alg string) *answer {
			a := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_secret": nil, "id_token_signed_response_alg": alg}))
			if a.status != 200 {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			return a
		}
		update("RS256")
		if rotates {
			client := r.client(t, registered)
			if _, err := r.handler.(*dcr.Handler).RotateSecret(t.Context(), client, time.Hour); err != nil || r.store.Update(t.Context(), client) != nil {
				t.Fatal(err)
			}
		}
		if a := update("HS256"); (a.text("client_secret") != "") != rotates {
			t.Errorf("rotated: %v: %s", rotates, a.body)
		}
	}
}

// Hooks that run after the secret was issued cannot give a client an algorithm for
// which the server cannot read the secret.
func TestHooksAndSymmetricAlgorithms(t *testing.T) {
	for _, c := range []struct {
		sentence string
		request  string
		hook     func(c *dcr.Client)
		status   int
	}{
		{"a symmetric algorithm", `{}`, func(c *dcr.Client) { c.IDTokenSignedResponseAlg = "HS256" }, 500},
		{"a symmetric method", `{}`, func(c *dcr.Client) { c.TokenEndpointAuthMethod = "client_secret_jwt" }, 500},
		{"one that needs a longer secret", `{"id_token_signed_response_alg":"HS256"}`, func(c *dcr.Client) { c.IDTokenSignedResponseAlg = "HS512" }, 500},
		{"the one that the client has", `{"id_token_signed_response_alg":"HS256"}`, func(c *dcr.Client) { c.IDTokenSignedResponseAlg = "HS256" }, 201},
		{"one that the secret is long enough for", `{"id_token_signed_response_alg":"HS512"}`, func(c *dcr.Client) { c.UserinfoSignedResponseAlg = "HS256" }, 201},
		{"an asymmetric one", `{"id_token_signed_response_alg":"HS256"}`, func(c *dcr.Client) { c.IDTokenSignedResponseAlg = "RS256" }, 201},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			r := start(t, symmetric, sealed(t), func(_ *dcr.DefaultValidator, o *dcr.Options) {
				o.ModifyResponse = func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
					c.hook(reg.Client)
					return nil
				}
			})
			a := r.post(t, request(t, c.request))
			if a.status != c.status {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			if a.status == 201 {
				if read := r.manage(t, "GET", a, ""); read.status != 200 {
					t.Errorf("a read: status %d: %s", read.status, read.body)
				}
				return
			}
			stored(t, r.store, 0)
		})
	}
}
