package guide

// The preset of docs/presets.md.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// HarbourMaster has the settings of Harbour that a port decides.
type HarbourMaster struct {
	Audience []string      // what aud of a request may be; required
	Keys     dcr.KeySource // the keys of every ship, for tests; if nil, those at the jwks_uri of its statement
}

// berth is the extension object of the profile.
var berth = dcr.NewField[struct {
	Quay   string `json:"quay"`
	Length int    `json:"length"` // metres
}]("harbour_berth")

// Harbour is the registration of ships at a port. server.Statements names the
// registry of ships and its keys; it panics without, and without master.Audience.
func Harbour(server dcr.DefaultValidator, master HarbourMaster) policy.Preset {
	statements := server.Statements
	if statements == nil || len(master.Audience) == 0 {
		panic("Harbour needs Statements, which names the registry of ships, and HarbourMaster.Audience")
	}
	statements.Required, statements.RequiredOnUpdate = true, true
	statements.OneClient, statements.IDClaim = true, "software_id"
	decode := dcr.SignedRequests(dcr.SignedRequestVerifier{
		Statements: statements, KeyClaims: []string{"jwks_uri"}, Keys: master.Keys, IssuerClaim: "software_id",
		Audience: master.Audience, RequiredClaims: []string{"iss", "aud", "iat", "exp", "jti"}, Once: true,
	})
	if server.Supports.TokenEndpointAuthMethods == nil {
		server.Supports.TokenEndpointAuthMethods = []string{"private_key_jwt"}
	}
	server.Extensions = append(slices.Clip(server.Extensions), berth)
	server.ManageByCallerOnly = true
	validator := policy.Stack(harbour{server, map[string]dcr.Decoder{"application/jwt": decode}},
		policy.AuthMethods(policy.Values{Ceiling: []string{"private_key_jwt"}, Excess: policy.Refuse}),
		policy.HTTPSOnly(),
		policy.RequireMembers("redirect_uris", berth.Name()),
	)
	return policy.Preset{Validator: validator}.WithOptions(func(opts *dcr.Options) {
		opts.OptionalClientID = true
		if opts.ManageAs == nil {
			opts.ManageAs = func(caller *dcr.Caller, client *dcr.Client) bool {
				return caller.ClientID != "" && caller.ClientID == client.ID
			}
		}
	})
}

type harbour struct {
	dcr.Validator
	decoders map[string]dcr.Decoder
}

// Decoders returns only the decoder of signed requests.
func (h harbour) Decoders() map[string]dcr.Decoder { return h.decoders }

// CheckOptions requires what Apply sets, even if nobody calls Apply.
func (h harbour) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if _, remembers := dcr.StoreAs[dcr.ReplayStore](store); !remembers {
		return errors.New("Harbour accepts each request once, which needs a store that is a ReplayStore")
	}
	if !opts.DisableManagement && !opts.OptionalClientID {
		return errors.New("Harbour has updates without client_id; set Options.OptionalClientID, as Apply does")
	}
	return h.Validator.CheckOptions(opts, store)
}

// ValidateSoftwareStatement requires that the ship of the statement signed the
// request.
func (h harbour) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if err := h.Validator.ValidateSoftwareStatement(ctx, reg); err != nil {
		return err
	}
	if reg.Explaining {
		reg.Assume("the body is taken as signed by the ship of its software_statement")
		return nil
	}
	if reg.Statement == nil || reg.Request.Signer == "" || reg.Request.Signer != reg.Statement.Signer() {
		return dcr.Errorf(dcr.InvalidClientMetadata, "the request must be signed by the ship of its software_statement")
	}
	return nil
}

// ValidateExtensions requires a ship that fits.
func (h harbour) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	if err := h.Validator.ValidateExtensions(ctx, reg); err != nil {
		return err
	}
	asked, _, err := berth.Get(&reg.Client.Metadata)
	if err != nil {
		return err
	}
	if asked.Quay == "" || asked.Length <= 0 || asked.Length > 400 {
		return dcr.Errorf(dcr.InvalidClientMetadata, "harbour_berth must have a quay, and a length from 1 to 400")
	}
	return nil
}

// es256 is a key that signs.
type es256 struct{ *ecdsa.PrivateKey }

func newES256(t *testing.T) es256 {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return es256{key}
}

func (key es256) jwks(t *testing.T) dcr.KeySource {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	return dcr.StaticKeys(fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":%q,"y":%q}]}`, text(point[1:33]), text(point[33:])))
}

func (key es256) sign(t *testing.T, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	input := text([]byte(`{"alg":"ES256","kid":"1","typ":"JWT"}`)) + "." + text(payload)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key.PrivateKey, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + text(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func TestHarbour(t *testing.T) {
	registry, ship := newES256(t), newES256(t)
	server := func() dcr.DefaultValidator {
		return dcr.DefaultValidator{Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"registry": registry.jwks(t)}}}
	}
	preset := Harbour(server(), HarbourMaster{Audience: []string{"https://port.example"}, Keys: ship.jwks(t)})
	dcrtest.TestValidator(t, Harbour(server(), HarbourMaster{Audience: []string{"https://port.example"}}))
	handler, err := dcr.NewHandler(memstore.New(), preset.Apply(&dcr.Options{
		Endpoint: "https://port.example/register", AllowAnonymous: true,
		Caller: func(r *http.Request) (*dcr.Caller, error) {
			id, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer token-of-")
			if !found {
				return nil, nil
			}
			return &dcr.Caller{ClientID: id}, nil
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, id, token, body string) (int, map[string]any) {
		url := "https://port.example/register"
		if id != "" {
			url += "?client_id=" + id
		}
		r := httptest.NewRequest(method, url, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/jwt")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var answer map[string]any
		json.Unmarshal(w.Body.Bytes(), &answer)
		return w.Code, answer
	}
	request := func(signer es256, length int) string {
		now := time.Now().Unix()
		return signer.sign(t, map[string]any{
			"iss": "imo-9321483", "aud": "https://port.example", "iat": now, "exp": now + 60, "jti": rand.Text(),
			"redirect_uris": []string{"https://ship.example/cb"}, "harbour_berth": map[string]any{"quay": "north", "length": length},
			"software_statement": registry.sign(t, map[string]any{"iss": "registry", "software_id": "imo-9321483", "jwks_uri": "https://ship.example/jwks"}),
		})
	}
	status, client := send(http.MethodPost, "", "", request(ship, 300))
	id, _ := client["client_id"].(string)
	if status != http.StatusCreated || client["registration_access_token"] != nil || fmt.Sprint(client["harbour_berth"]) != "map[length:300 quay:north]" {
		t.Fatalf("%d %v", status, client)
	}
	for _, c := range []struct {
		sentence, method, id, token, body string
		status                            int
	}{
		{"a ship that is too long", http.MethodPost, "", "", request(ship, 401), 400},
		{"a request that another key signed", http.MethodPost, "", "", request(registry, 300), 400},
		{"a request that nobody signed", http.MethodPost, "", "", `{"redirect_uris":["https://ship.example/cb"]}`, 400},
		{"the ship again", http.MethodPost, "", "", request(ship, 300), 400},
		{"its own token reads it", http.MethodGet, id, "token-of-" + id, "", 200},
		{"the token of another ship does not", http.MethodGet, id, "token-of-other", "", 401},
		{"an update", http.MethodPut, id, "token-of-" + id, request(ship, 200), 200},
		{"an update of a ship that is too long", http.MethodPut, id, "token-of-" + id, request(ship, 401), 400},
	} {
		if status, answer := send(c.method, c.id, c.token, c.body); status != c.status {
			t.Errorf("%s: %d %v, want %d", c.sentence, status, answer, c.status)
		}
	}
}
