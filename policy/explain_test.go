package policy_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/policy"
)

// explains compares an explanation with the answer to the registration after
// it.
func explains(t *testing.T, handler *dcr.Handler, body string, register func() dcrtest.Answer, assumed string) {
	t.Helper()
	d, err := handler.Explain(t.Context(), "", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	answer := register()
	if d.Status != answer.Status || len(d.Assumed) != 1 || !strings.Contains(d.Assumed[0], assumed) {
		t.Fatalf("explained as %d %v, assumed %q; answered %d %s", d.Status, d.Err, d.Assumed, answer.Status, answer.Body)
	}
	answered := decode(t, answer)
	if refused := (*dcr.Error)(nil); errors.As(d.Err, &refused) {
		if answered["error_description"] != refused.Description {
			t.Errorf("explained as %v, answered %s", d.Err, answer.Body)
		}
		return
	}
	for _, m := range d.Members {
		text := "null"
		if m.Effective != nil {
			text = string(m.Effective)
		}
		want := decode(t, dcrtest.Answer{Body: []byte(`{"value":` + text + `}`)})["value"]
		if m.Name != "client_id" && !reflect.DeepEqual(answered[m.Name], want) {
			t.Errorf("%s is explained as %s, answered %v", m.Name, text, answered[m.Name])
		}
	}
}

// The claims of a signed request are explained as if they were signed.
func TestExplainASignedBody(t *testing.T) {
	w := newUK(t, policy.UKBank{})
	for _, claims := range []object{nil, {"scope": "openid payments"}, {"application_type": "native"}, {"scope": "openid gone"}} {
		request := w.request(t, nil, claims)
		body, err := base64.RawURLEncoding.DecodeString(strings.Split(request, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		register := func() dcrtest.Answer { return w.send(http.MethodPost, "", "application/jose", "", request) }
		explains(t, w.bank, string(body), register, "signed by the software")
	}
}

// A request that needs a client certificate is explained as if there were one.
func TestExplainWithoutACertificate(t *testing.T) {
	for _, members := range []object{nil, {"jwks": object{"keys": []string{}}}, {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": brName}, {"scope": "gone"}} {
		b := newBrazil(t)
		body := b.request(t, nil, members)
		register := func() dcrtest.Answer { return b.send(http.MethodPost, endpoint, "", body, brCertificate) }
		explains(t, b.alone.(*dcr.Handler), body, register, "mutual TLS")
	}
}
