package main

// A registration of UK Open Banking.

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// forgetful accepts a request any number of times.
type forgetful struct{}

func (forgetful) Remember(context.Context, string, time.Time, time.Time) (bool, error) {
	return true, nil
}

// signer signs with PS256.
type signer struct{ *rsa.PrivateKey }

func newSigner() (signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return signer{key}, err
}

func (s signer) keys() dcr.KeySource {
	n := base64.RawURLEncoding.EncodeToString(s.N.Bytes())
	return dcr.StaticKeys(fmt.Appendf(nil, `{"keys":[{"kty":"RSA","kid":"1","e":"AQAB","n":%q}]}`, n))
}

func (s signer) sign(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"PS256","kid":"1","typ":"JWT"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPSS(rand.Reader, s.PrivateKey, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	return text + "." + encode(signature), err
}

// verify checks the signature of a token, and nothing else.
func (s signer) verify(token string) error {
	end := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(token[:end]))
	return rsa.VerifyPSS(&s.PublicKey, crypto.SHA256, digest[:], signature, nil)
}

// openBanking measures a registration of UK Open Banking, which is a signed request with
// a signed statement in it. It compares it with the check of the two signatures.
func openBanking() ([]goal, error) {
	directory, err := newSigner()
	if err != nil {
		return nil, err
	}
	party, err := newSigner()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	statement, err := directory.sign(map[string]any{
		"iss": "OpenBanking Ltd", "iat": now.Unix(), "jti": "1", "org_id": "0015800000jfAW1AAM",
		"software_id": "65d1f27c4aeaa4afd2e1", "software_client_name": "Prime", "software_roles": []string{"AISP"},
		"software_redirect_uris": []string{"https://prime.example.com/cb"}, "software_jwks_endpoint": "https://keystore.example.org.uk/party.jwks",
	})
	if err != nil {
		return nil, err
	}
	request, err := party.sign(map[string]any{
		"iss": "65d1f27c4aeaa4afd2e1", "aud": "bank", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(),
		"redirect_uris": []string{"https://prime.example.com/cb"}, "application_type": "web",
		"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256",
		"grant_types": []string{"authorization_code", "client_credentials"}, "scope": "accounts openid",
		"id_token_signed_response_alg": "PS256", "request_object_signing_alg": "PS256", "software_statement": statement,
	})
	if err != nil {
		return nil, err
	}
	server := dcr.DefaultValidator{Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"OpenBanking Ltd": directory.keys()}}}
	preset := policy.UKOpenBanking(server, policy.UKBank{Audience: []string{"bank"}, Keys: party.keys(), Replay: forgetful{}})
	store := memstore.New()
	store.Limit = 1 << 30
	bank, err := dcr.NewHandler(store, preset.Apply(&dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", AllowAnonymous: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Caller: func(*http.Request) (*dcr.Caller, error) { return nil, nil },
	}))
	if err != nil {
		return nil, err
	}
	register := func() error {
		r := httptest.NewRequest(http.MethodPost, bank.Endpoint(), strings.NewReader(request))
		r.Header.Set("Content-Type", "application/jose")
		answer := httptest.NewRecorder()
		if bank.ServeHTTP(answer, r); answer.Code != http.StatusCreated {
			return fmt.Errorf("the bank answered %d: %s", answer.Code, answer.Body)
		}
		return nil
	}
	check := func() error {
		if err := party.verify(request); err != nil {
			return err
		}
		return directory.verify(statement)
	}
	micros, err := pace(check, register)
	if err != nil {
		return nil, err
	}
	return []goal{{"CPU of a UK Open Banking POST, as a multiple of its two signature checks", micros[1] / micros[0], 1.7}}, nil
}
