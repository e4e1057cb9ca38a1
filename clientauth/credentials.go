package clientauth

// RFC 6749 §2.3.1 and §3.2, RFC 7521 §4.2: what a request presents.

import (
	"errors"
	"net/http"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/strictjson"
)

// kind is what a request presents in addition to a client id.
type kind int

const (
	byIDAlone kind = iota // nothing, or a certificate
	bySecret
	byAssertion
)

// credentials are what one request presents.
type credentials struct {
	clientID  string
	kind      kind
	method    string // how a secret was sent; none if the header has an empty one
	secret    dcr.Plaintext
	assertion dcr.Plaintext
}

const (
	maxForm       = 1 << 20 // bytes of a body
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// form has the parameters that authenticate a client, "" for one that is not sent.
type form struct{ clientID, secret, assertion, assertionType string }

// readCredentials returns what the request presents, by one method at most.
func readCredentials(r *http.Request, strict bool) (sent credentials, err error) {
	form, err := readForm(r)
	if err != nil {
		return sent, err
	}
	sent.clientID = form.clientID
	asserts := form.assertion != "" || form.assertionType != ""
	_, byHeader := r.Header["Authorization"]
	switch {
	case byHeader && (form.secret != "" || asserts) || form.secret != "" && asserts:
		return sent, invalidRequest("a client must authenticate by one method only")
	case byHeader:
		return sent, sent.readBasic(r, strict)
	case asserts:
		return sent, sent.readAssertion(form.assertion, form.assertionType)
	case sent.clientID == "":
		return sent, refuse("missing", errors.New("the request names no client"))
	case form.secret != "":
		sent.kind, sent.method, sent.secret = bySecret, "client_secret_post", dcr.Plaintext(form.secret)
	}
	return sent, nil
}

// readForm returns the parameters of the body. Each may be sent once, and only
// in the body; a client_id in the query is ignored.
func readForm(r *http.Request) (form form, err error) {
	switch {
	case r.Body == nil: // as http.NewRequest makes it
		r.Body = http.NoBody
	case r.PostForm == nil:
		r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	}
	if err := r.ParseForm(); err != nil {
		return form, invalidRequest("the body must be a form of at most 1 MiB, and the query must be well-formed")
	}
	for _, parameter := range [...]struct {
		name string
		into *string
	}{
		{"client_id", &form.clientID}, {"client_secret", &form.secret},
		{"client_assertion", &form.assertion}, {"client_assertion_type", &form.assertionType},
	} {
		posted := r.PostForm[parameter.name]
		switch {
		case len(posted) > 1:
			return form, invalidRequest(parameter.name + " must be sent once")
		case len(r.Form[parameter.name]) > len(posted) && parameter.name != "client_id":
			return form, invalidRequest(parameter.name + " must not be sent in the query")
		case len(posted) == 1:
			*parameter.into = posted[0]
		}
	}
	return form, nil
}

func (c *credentials) readBasic(r *http.Request, strict bool) error {
	if len(r.Header["Authorization"]) > 1 {
		return invalidRequest("the Authorization header must be sent once")
	}
	clientID, secret, ok := dcr.BasicCredentials(r)
	switch {
	case !ok:
		return refuse("header", errors.New("the Authorization header holds no form-encoded Basic credentials"))
	case c.clientID != "" && c.clientID != clientID:
		return invalidRequest("client_id must be that of the Authorization header")
	}
	c.clientID, c.method = clientID, "none"
	if secret != "" || strict {
		c.kind, c.method, c.secret = bySecret, "client_secret_basic", secret
	}
	return nil
}

// readAssertion takes the client id from the sub of the assertion if client_id
// is missing (RFC 7521 §4.2).
func (c *credentials) readAssertion(assertion, typ string) error {
	switch {
	case assertion == "":
		return invalidRequest("client_assertion must come with client_assertion_type")
	case typ == "":
		return invalidRequest("client_assertion_type must come with client_assertion")
	case typ != assertionType:
		return refuse("assertion", errors.New("the client_assertion_type is not supported"))
	case len(assertion) > maxAssertion:
		return refuse("assertion", errors.New("the assertion is too long"))
	}
	c.kind, c.assertion = byAssertion, dcr.Plaintext(assertion)
	if c.clientID != "" {
		return nil
	}
	token, err := jose.Parse(assertion)
	if err != nil {
		return refuse("assertion", err)
	}
	var claims jwt.Claims
	err = claims.ReadAll(token.Unverified(), jwt.Limits, func(string, strictjson.Value) error { return nil })
	if err != nil || strings.TrimSpace(claims.Subject) == "" {
		return refuse("assertion", errors.New("the assertion names no client"))
	}
	c.clientID = claims.Subject
	return nil
}

func invalidRequest(sentence string) *dcr.Error {
	refused := dcr.Errorf(dcr.InvalidRequest, "%s", sentence)
	refused.Rule = "client.request"
	return refused
}
