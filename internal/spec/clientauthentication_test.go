package spec_test

import (
	"fmt"
	"strings"
	"testing"
)

const allMethods = `"token_endpoint_auth_methods_supported":["none","client_secret_basic","client_secret_post","private_key_jwt","tls_client_auth","self_signed_tls_client_auth"]`

func TestAuthMethods(t *testing.T) {
	const noSecret = `,"client_secret":null,"client_secret_expires_at":null}`
	start(t, `{`+allMethods+`,"grant_types_supported":["authorization_code","refresh_token","implicit"],"response_types_supported":["code","token"]}`).judge(t, []wireCase{
		{sentence: "left out, it is client_secret_basic (RFC 7591 §2)", answer: `{"token_endpoint_auth_method":"client_secret_basic","client_secret_expires_at":0}`},
		{sentence: "client_secret_basic has a secret that never expires", request: `{"token_endpoint_auth_method":"client_secret_basic"}`, answer: `{"client_secret_expires_at":0}`},
		{sentence: "client_secret_post has one too", request: `{"token_endpoint_auth_method":"client_secret_post"}`, answer: `{"token_endpoint_auth_method":"client_secret_post","client_secret_expires_at":0}`},
		{sentence: "none has no secret", request: `{"token_endpoint_auth_method":"none"}`, answer: `{"token_endpoint_auth_method":"none"` + noSecret},
		{sentence: "none has no secret either if the client brings one", request: `{"token_endpoint_auth_method":"none","client_secret":"foo","client_secret_expires_at":123}`, answer: `{"token_endpoint_auth_method":"none"` + noSecret},
		{sentence: "none goes with implicit", request: `{"token_endpoint_auth_method":"none","grant_types":["implicit"],"response_types":["token"]}`},
		{sentence: "private_key_jwt with jwks has no secret", request: `{"token_endpoint_auth_method":"private_key_jwt",` + keySet + `}`, answer: `{"token_endpoint_auth_method":"private_key_jwt",` + keySet + noSecret},
		{sentence: "private_key_jwt with only jwks_uri", request: `{"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://rp.example.com/jwks"}`, answer: `{"jwks_uri":"https://rp.example.com/jwks"` + noSecret},
		{sentence: "private_key_jwt without keys is refused (RFC 7591 §2)", request: `{"token_endpoint_auth_method":"private_key_jwt"}`, code: dcrMetadata, says: "private_key_jwt needs a signing key in jwks, or jwks_uri"},
		{sentence: "private_key_jwt with an empty set is refused", request: `{"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}}`, code: dcrMetadata, says: "needs a signing key"},
		{sentence: "private_key_jwt with only keys for encryption is refused", request: `{"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[` + rsaKey + `,"use":"enc"}]}}`, code: dcrMetadata, says: "needs a signing key"},
		{sentence: "self_signed_tls_client_auth with jwks (RFC 8705 §2.2.2)", request: `{"token_endpoint_auth_method":"self_signed_tls_client_auth","jwks":{"keys":[` + ecKey + `,"x5c":["` + ecCert + `"]}]}}`, answer: `{"token_endpoint_auth_method":"self_signed_tls_client_auth"` + noSecret},
		{sentence: "self_signed_tls_client_auth with jwks_uri (RFC 8705 §2.2.2)", request: `{"token_endpoint_auth_method":"self_signed_tls_client_auth","jwks_uri":"https://rp.example.com/jwks"}`},
		{sentence: "self_signed_tls_client_auth without keys is refused (RFC 8705 §2.2.2)", request: `{"token_endpoint_auth_method":"self_signed_tls_client_auth"}`, code: dcrMetadata, says: "needs a signing key"},
		{sentence: "keys go with any method", request: `{"token_endpoint_auth_method":"client_secret_basic",` + keySet + `}`, answer: `{` + keySet + `}`},
		{sentence: "jwks_uri goes with any method", request: `{"token_endpoint_auth_method":"none","jwks_uri":"https://rp.example.com/jwks"}`, answer: `{"jwks_uri":"https://rp.example.com/jwks"}`},
		{sentence: "an unknown method is refused, and the known ones are named", request: `{"token_endpoint_auth_method":"not-a-method"}`, code: dcrMetadata, says: "must be one of: none, client_secret_basic"},
		{sentence: "client_secret_jwt is refused if it is not supported", request: `{"token_endpoint_auth_method":"client_secret_jwt"}`, code: dcrMetadata, says: "token_endpoint_auth_method"},
	})
	r := start(t, `{}`)
	r.judge(t, one("token_endpoint_auth_method must be a string (RFC 7591 §2)", "token_endpoint_auth_method", []string{`[]`, `["none"]`, `5`, `true`, `false`, `{}`}, dcrMetadata, "token_endpoint_auth_method must be a JSON string"))
	start(t, `{"token_endpoint_auth_methods_supported":["client_secret_basic","https://id.example.com/methods/own"]}`).judge(t, []wireCase{
		{sentence: "an absolute URI may name a method that the host defines (RFC 7591 §2)", request: `{"token_endpoint_auth_method":"https://id.example.com/methods/own"}`, answer: `{"token_endpoint_auth_method":"https://id.example.com/methods/own"}`},
	})
}

func TestAuthSigningAlg(t *testing.T) {
	signed := `"token_endpoint_auth_method":"private_key_jwt",` + keySet
	r := start(t, `{`+allMethods+`}`)
	r.judge(t, []wireCase{
		{sentence: "left out, any algorithm will do, and none is returned (OIDCR §2)", request: `{` + signed + `}`, answer: `{"token_endpoint_auth_signing_alg":null}`},
		{sentence: "none is never allowed (OIDCR §2)", request: `{` + signed + `,"token_endpoint_auth_signing_alg":"none"}`, code: dcrMetadata, says: "token_endpoint_auth_signing_alg must be one of"},
		{sentence: "a symmetric algorithm is refused with private_key_jwt", request: `{` + signed + `,"token_endpoint_auth_signing_alg":"HS256"}`, code: dcrMetadata, says: "token_endpoint_auth_signing_alg must be one of: RS256, PS256, ES256, EdDSA"},
		{sentence: "an unknown algorithm is refused", request: `{` + signed + `,"token_endpoint_auth_signing_alg":"RS1"}`, code: dcrMetadata, says: "token_endpoint_auth_signing_alg"},
		{sentence: "it is refused with client_secret_basic", request: `{"token_endpoint_auth_signing_alg":"RS256"}`, code: dcrMetadata, says: "must come with token_endpoint_auth_method private_key_jwt or client_secret_jwt"},
		{sentence: "it is refused with none", request: `{"token_endpoint_auth_method":"none","token_endpoint_auth_signing_alg":"RS256"}`, code: dcrMetadata, says: "token_endpoint_auth_signing_alg"},
		{sentence: "it is refused with tls_client_auth", request: `{"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_san_dns":"rp.example.com","token_endpoint_auth_signing_alg":"RS256"}`, code: dcrMetadata, says: "token_endpoint_auth_signing_alg"},
	})
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		r.judge(t, []wireCase{{sentence: "private_key_jwt with " + alg, request: `{` + signed + `,"token_endpoint_auth_signing_alg":"` + alg + `"}`, answer: `{"token_endpoint_auth_signing_alg":"` + alg + `"}`}})
	}
	start(t, `{`+allMethods+`,"token_endpoint_auth_signing_alg_values_supported":["PS256","ES256"]}`).judge(t, []wireCase{
		{sentence: "the server's list is the ceiling (RFC 8414 §2)", request: `{` + signed + `,"token_endpoint_auth_signing_alg":"RS256"}`, code: dcrMetadata, says: "must be one of: PS256, ES256"},
		{sentence: "an algorithm in the list is accepted", request: `{` + signed + `,"token_endpoint_auth_signing_alg":"PS256"}`},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "if no method uses it, it is an unknown member", request: `{"token_endpoint_auth_signing_alg":5}`, answer: `{"token_endpoint_auth_signing_alg":null}`},
	})
}

func TestTLSClientAuth(t *testing.T) {
	const method = `"token_endpoint_auth_method":"tls_client_auth"`
	r := start(t, `{`+allMethods+`}`)
	for member, values := range map[string][2][]string{
		"tls_client_auth_subject_dn": {
			{"CN=rp.example.com,O=Example,C=GB", "CN=a\\\\, b,O=Example", "cn=rp", "2.5.4.97=#0c0d,CN=rp", "CN=a+OU=b,O=c", "UID=1234, OU=x, O=y", "CN=Müller,C=DE", "1.3.6.1.4.1.311.60.2.1.3=#13024252,CN=x"},
			{"foo", "CN", "=x", "CN=a,,O=b", "CN=a\\\"b", "CN=<a>", "2..5=x", "CN=a;O=b", "2.5.4.97=#0c0", "CN=#zz"},
		},
		"tls_client_auth_san_dns":   {{"rp.example.com", "*.example.com", "RP.example.com"}, {"rp.example.com/", "https://rp.example.com", "a b", "rp.example.com:443", "-"[1:] + "..", "user@rp.example.com"}},
		"tls_client_auth_san_uri":   {{"https://rp.example.com/client", "spiffe://example.org/rp", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}, {"foo", "/rp", "//rp.example.com", "urn:", "urn:a b", "javascript:urn:x"}},
		"tls_client_auth_san_ip":    {{"192.0.2.1", "2001:db8::1", "2001:DB8:0:0:0:0:0:1"}, {"foo", "192.0.2.256", "192.0.2", "[2001:db8::1]", "fe80::1%eth0", "192.0.2.1/24"}},
		"tls_client_auth_san_email": {{"rp@example.com", "a+b@example.com"}, {"foo", "Rp <rp@example.com>", "a@b@c", "@example.com"}},
	} {
		for _, good := range values[0] {
			sent := fmt.Sprintf(`{%s,"%s":"%s"}`, method, member, good)
			r.judge(t, []wireCase{{sentence: member + " may be " + good + " (RFC 8705 §2.1.2)", request: sent, answer: sent}})
		}
		for _, bad := range values[1] {
			r.judge(t, []wireCase{{sentence: member + " must not be " + bad + " (RFC 8705 §2.1.2)", request: fmt.Sprintf(`{%s,"%s":"%s"}`, method, member, bad), code: dcrMetadata, says: member}})
		}
		r.judge(t, []wireCase{{sentence: member + " is dropped with another method", request: fmt.Sprintf(`{"%s":"%s"}`, member, values[0][0]), answer: fmt.Sprintf(`{"%s":null}`, member)}})
		r.judge(t, one(member+" must be a string", member, []string{`[]`, `5`, `true`, `{}`}, dcrMetadata, member))
	}
	r.judge(t, []wireCase{
		{sentence: "tls_client_auth has no secret", request: `{` + method + `,"tls_client_auth_san_dns":"rp.example.com"}`, answer: `{"client_secret":null,"client_secret_expires_at":null}`},
		{sentence: "tls_client_auth without a name is refused (RFC 8705 §2.1.2)", request: `{` + method + `}`, code: dcrMetadata, says: "tls_client_auth needs exactly one of tls_client_auth_subject_dn"},
		{sentence: "tls_client_auth with two names is refused (RFC 8705 §2.1.2)", request: `{` + method + `,"tls_client_auth_san_dns":"rp.example.com","tls_client_auth_san_ip":"192.0.2.1"}`, code: dcrMetadata, says: "exactly one of"},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "if tls_client_auth is not supported, its names are unknown members", request: `{"tls_client_auth_subject_dn":5}`, answer: `{"tls_client_auth_subject_dn":null}`},
	})
}

func TestJWKS(t *testing.T) {
	set := func(keys ...string) string { return `{"jwks":{"keys":[` + strings.Join(keys, ",") + `]}}` }
	r := start(t, `{}`)
	for sentence, keys := range map[string]string{
		"an RSA key": set(rsaKey + `}`),
		"an EC key with every member that a key may have": set(ecKey + `,"use":"sig","alg":"ES256","kid":"1","key_ops":["verify"],"x5c":["` + ecCert + `"]}`),
		"an Ed25519 key (RFC 8037)":                       set(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`),
		"an unknown key type is tolerated":                set(`{"kty":"unrecognized","any":{"thing":[null]}}`),
		"an empty set":                                    set(),
		"use on every key":                                set(rsaKey+`,"use":"enc"}`, ecKey+`,"use":"sig"}`),
		"unknown members of keys":                         `{"jwks":{"keys":[` + rsaKey + `,"x":1,"y":null}]}}`,
	} {
		r.judge(t, []wireCase{{sentence: sentence + " is echoed verbatim (RFC 7517 §5)", request: keys, answer: keys}})
	}
	for sentence, keys := range map[string]string{
		"a private key":                           set(ecPrivate),
		"a private key among public ones":         set(rsaKey+`}`, ecPrivate),
		"an RSA key with its factors":             set(rsaKey + `,"p":"AQAB","q":"AQAB"}`),
		"other primes":                            set(rsaKey + `,"oth":[]}`),
		"a private member of an unknown type":     set(`{"kty":"AKP","priv":"AAAA"}`),
		"a symmetric key":                         set(`{"kty":"oct","k":"6vl9Rlk88HO8onFHq0ZvTtga68vkUr-bRZ2Hvxu-rAw"}`),
		"a symmetric key without its octets":      set(`{"kty":"oct","kid":"a"}`),
		"a key without kty":                       set(`{"kid":"a"}`),
		"an empty kty":                            set(`{"kty":""}`),
		"a null kty":                              set(`{"kty":null}`),
		"a key that is not an object":             set(`"something"`),
		"a key that is null":                      set(`null`),
		"a key that is a number":                  set(`123`),
		"a key that is false":                     set(`false`),
		"a set without keys":                      `{"jwks":{}}`,
		"keys that are not an array":              `{"jwks":{"keys":{}}}`,
		"a weak RSA key (RFC 7518 §3.3)":          set(`{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("w", 171) + `"}`),
		"a curve of another key type":             set(`{"kty":"OKP","crv":"P-256","x":"AAAA"}`),
		"a point that is not on its curve":        set(strings.Replace(ecKey, `"sGpw`, `"tGpw`, 1) + `}`),
		"a certificate of another key":            set(rsaKey + `,"x5c":["` + ecCert + `"]}`),
		"x5c that is not a certificate":           set(ecKey + `,"x5c":["foobar"]}`),
		"x5c that is not a list":                  set(ecKey + `,"x5c":true}`),
		"x5c without a certificate":               set(ecKey + `,"x5c":[]}`),
		"keys for both uses, and one without use": set(rsaKey+`,"use":"enc"}`, ecKey+`,"use":"sig"}`, rsaKey+`,"kid":"b"}`),
		"33 keys": set(strings.Split(strings.TrimSuffix(strings.Repeat(`{"kty":"x"} `, 33), " "), " ")...),
	} {
		r.judge(t, []wireCase{{sentence: sentence + " is refused", request: keys, code: dcrMetadata, says: "jwks"}})
	}
	r.judge(t, one("jwks must be an object (RFC 7591 §2)", "jwks", []string{`"{}"`, `[]`, `5`, `0`, `true`}, dcrMetadata, "jwks must be a JSON object"))
	r.judge(t, one("a null jwks is absent", "jwks", []string{`null`, `""`}, "", ""))
}

func TestJWKSURI(t *testing.T) {
	r := start(t, `{}`)
	r.judge(t, []wireCase{
		{sentence: "not together with jwks (RFC 7591 §2)", request: `{` + keySet + `,"jwks_uri":"https://rp.example.com/jwks"}`, code: dcrMetadata, says: "jwks must not come together with jwks_uri"},
		{sentence: "not even with an empty set", request: `{"jwks":{"keys":[]},"jwks_uri":"https://rp.example.com/jwks"}`, code: dcrMetadata, says: "jwks"},
		{sentence: "not even with a broken set", request: `{"jwks":{"keys":["something"]},"jwks_uri":"https://rp.example.com/jwks"}`, code: dcrMetadata, says: "jwks"},
		{sentence: "it is never fetched at registration", request: `{"jwks_uri":"https://nobody.invalid/jwks"}`, answer: `{"jwks_uri":"https://nobody.invalid/jwks"}`},
	})
	r.judge(t, one("it must be an https URL (OIDCR §2)", "jwks_uri", []string{`"http://rp.example.com/jwks"`, `"http://169.254.169.254/keys"`, `"http://localhost/jwks"`, `"asdf"`, `"file:///jwks"`, `"com.example:/jwks"`, `"https://u:p@rp.example.com/jwks"`, `"https://rp.example.com/jwks#a"`, `"javascript:x"`}, dcrMetadata, "jwks_uri must"))
	r.judge(t, one("it must be a string", "jwks_uri", []string{`[]`, `5`, `true`, `{}`}, dcrMetadata, "jwks_uri must be a JSON string"))
}
