package jose_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/dynreg/dcr/internal/jose"
)

func TestVerifyMAC(t *testing.T) {
	secret, other, short := []byte("a secret of thirty-two bytes, or more"), []byte("another one of thirty-two bytes or so"), []byte("short")
	macBy := func(key []byte, header string) string {
		encode := base64.RawURLEncoding.EncodeToString
		signed := encode([]byte(header)) + "." + encode([]byte("{}"))
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return signed + "." + encode(mac.Sum(nil))
	}
	for _, c := range []struct {
		sentence, token string
		secrets         [][]byte
		accepted        []string
		want            error
	}{
		{"one of the secrets authenticates", macBy(secret, `{"alg":"HS256"}`), [][]byte{other, secret}, jose.MACs, nil},
		{"a key id is ignored", macBy(secret, `{"alg":"HS256","kid":"1"}`), [][]byte{secret}, jose.MACs, nil},
		{"another secret", macBy(secret, `{"alg":"HS256"}`), [][]byte{other}, jose.MACs, jose.ErrSignature},
		{"a short secret", macBy(short, `{"alg":"HS256"}`), [][]byte{short}, jose.MACs, jose.ErrUnknownKey},
		{"an empty secret", macBy(nil, `{"alg":"HS256"}`), [][]byte{nil}, jose.MACs, jose.ErrUnknownKey},
		{"no secret", macBy(secret, `{"alg":"HS256"}`), nil, jose.MACs, jose.ErrUnknownKey},
		{"another algorithm", macBy(secret, `{"alg":"HS512"}`), [][]byte{append(secret, other...)}, jose.MACs, jose.ErrSignature},
		{"an algorithm that is not accepted", macBy(secret, `{"alg":"HS256"}`), [][]byte{secret}, []string{"HS512"}, jose.ErrAlgorithm},
		{"an algorithm of key pairs", macBy(secret, `{"alg":"RS256"}`), [][]byte{secret}, []string{"RS256"}, jose.ErrAlgorithm},
		{"crit", macBy(secret, `{"alg":"HS256","crit":["x"]}`), [][]byte{secret}, jose.MACs, jose.ErrCritical},
	} {
		token, err := jose.Parse(c.token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.VerifyMAC(c.secrets, c.accepted); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.sentence, err)
		}
	}
}
