package dcr

// RFC 7591 §3.2.1 and RFC 7592 §3: the client information response.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/dynreg/dcr/internal/record"
)

// Response is the answer to a registration, a read or an update. It has its own
// copies, so that a hook can edit it without changing what is stored.
type Response struct {
	ClientID                string
	ClientSecret            Plaintext // only if it was just issued: it is shown once, since only its hash is kept
	ClientSecretExpiresAt   *int64    // seconds since 1970, 0 for never; nil if the client has no secret
	ClientIDIssuedAt        int64     // seconds since 1970, 0 if Client.CreatedAt is zero
	RegistrationAccessToken Plaintext // "" if management is off, or authorised in another way
	RegistrationClientURI   string    // likewise
	RegistrationStatus      string    // "pending" for a client that waits for approval, "" for every other
	SoftwareStatement       string    // as the client sent it, if it was verified
	Metadata                          // every effective member; Extra holds the extensions

	// OnlySet leaves out the lists and booleans that are otherwise answered even
	// if they are unset, such as redirect_uris.
	OnlySet bool

	on features
}

// KeepResponse leaves the response as it is: the default of
// Options.ModifyResponse.
func KeepResponse(ctx context.Context, reg *Registration, res *Response) error { return nil }

// NewResponse makes the answer about reg.Client, shaped by v: to a registration
// or update that [Validate] accepted or, if reg.Request is nil, to a read. secret
// is the client secret if it was just issued, and token the registration access
// token that was just issued or presented; both may be "".
// client_secret_expires_at is that of the first of Client.Secrets, or 0 if secret
// is set and Client.Secrets is empty. client_id_issued_at is Client.CreatedAt or,
// if that is zero, the time of the registration. If there is a token, the caller
// sets RegistrationClientURI.
//
// The response shares nothing with reg. NewResponse returns the error of
// ShapeResponse, or one that says that ShapeResponse broke a fixed rule.
func NewResponse(ctx context.Context, v Validator, reg *Registration, secret, token Plaintext) (*Response, error) {
	if reg.Client == nil {
		return nil, errors.New("dcr: NewResponse: Registration.Client is nil; Validate sets it")
	}
	res := newResponse(reg, v)
	if err := reg.shape(ctx, res, v.ShapeResponse); err != nil {
		return nil, err
	}
	told := tell(reg.Client, secret, token)
	if told.issuedAt == 0 && reg.Request != nil && reg.Previous == nil {
		told.issuedAt = reg.Now().Unix()
	}
	res.say(told)
	return res, nil
}

// WriteResponse writes a client information response with its secrets in the
// clear. status is 201 for a registration and 200 for a read or an update. If
// the response lacks what clients rely on, WriteResponse returns an error that
// says so, and writes nothing.
func WriteResponse(w http.ResponseWriter, status int, res *Response) error {
	switch {
	case res.ClientID == "":
		return errors.New("dcr: WriteResponse: the response has no ClientID")
	case res.ClientSecret != "" && res.ClientSecretExpiresAt == nil:
		return errors.New("dcr: WriteResponse: the response has a ClientSecret, but no ClientSecretExpiresAt; set it, to 0 for never")
	case (res.RegistrationAccessToken == "") != (res.RegistrationClientURI == ""):
		return errors.New("dcr: WriteResponse: RegistrationAccessToken and RegistrationClientURI go together; set both or neither")
	}
	answer, err := res.appendJSON(nil)
	if err != nil {
		return err
	}
	keepFromCaches(w.Header())
	write(w, status, answer)
	return nil
}

// respond makes the answer about reg.Client, lets the hooks edit it and checks
// the client against the fixed rules once more. Hooks cannot change the members
// that the server issues.
func (h *Handler) respond(ctx context.Context, reg *Registration, secret, token Plaintext) ([]byte, error) {
	v := reg.validator
	if !reg.measured {
		reg.measureBy(v)
	}
	metadata, statement, onlySet := &reg.Client.Metadata, reg.Client.statementText(), false
	if h.hostSees(v) {
		res, issued := newResponse(reg, v), reg.Client.newestSecret()
		symmetric, need := reg.Client.symmetricNeed()
		if err := reg.shape(ctx, res, v.ShapeResponse, h.opts.ModifyResponse); err != nil {
			return nil, err
		}
		if err := reg.checkIssued(secret, issued, token); err != nil {
			return nil, err
		}
		if err := h.checkReadable(reg, symmetric, need); err != nil {
			return nil, err
		}
		metadata, statement, onlySet = &res.Metadata, res.SoftwareStatement, res.OnlySet
	}
	told := tell(reg.Client, secret, token)
	told.onlySet = onlySet
	if token != "" {
		told.uri = h.opts.clientURI(told.id)
	}
	return told.appendJSON(*scratch.Get().(*[]byte), statement, metadata, reg.on)
}

// shape runs hooks over an answer, and then checks the client, which they may
// have changed, against the fixed rules.
func (reg *Registration) shape(ctx context.Context, res *Response, hooks ...func(context.Context, *Registration, *Response) error) error {
	client, id := reg.Client, reg.Client.ID
	res.Metadata.unshare()
	for _, hook := range hooks {
		if err := hook(ctx, reg, res); err != nil {
			return err
		}
	}
	if reg.Client != client || client.ID != id {
		return errors.New("dcr: ShapeResponse or ModifyResponse replaced the client or its id")
	}
	for name, raw := range res.Extra {
		if !json.Valid(raw) {
			return fmt.Errorf("dcr: ShapeResponse or ModifyResponse set %q to what is not JSON", name)
		}
	}
	for name := range res.Localized {
		if _, tagged := taggedMember(name); !tagged {
			return fmt.Errorf("dcr: ShapeResponse or ModifyResponse set Localized[%q], which is no language-tagged form", name)
		}
	}
	if reg.Request != nil {
		broken := reg.fixedRules()
		if broken == nil {
			broken = reg.checkClaims()
		}
		if broken != nil {
			return hookFault(broken)
		}
	}
	return nil
}

// checkIssued checks that the client, as the hooks left it, has the credentials
// that the answer will show, and the secret that it needs: otherwise the client
// could never use them. issued is the form in which secret is kept.
func (reg *Registration) checkIssued(secret Plaintext, issued string, token Plaintext) error {
	c := reg.Client
	switch {
	case reg.Request == nil:
		return nil
	case secret != "" && !slices.ContainsFunc(c.Secrets, func(s Secret) bool { return s.Value == issued }):
		return hookFault(errors.New("its answer has a client secret that it does not have"))
	case token != "" && !matchAny(c.RegistrationTokens, token.Reveal(), reg.Now()):
		return hookFault(errors.New("its answer has a registration access token that it does not have"))
	case c.NeedsSecret() && c.newestSecret() == "":
		return hookFault(errors.New("it needs a client secret and has none"))
	}
	return nil
}

// checkReadable checks that the server can read the secret of a client to which hooks
// gave a symmetric algorithm, after the secret was issued: otherwise neither could use
// it. symmetric and need are the client's [Client.symmetricNeed] before the hooks.
func (h *Handler) checkReadable(reg *Registration, symmetric string, need int) error {
	now, longer := reg.Client.symmetricNeed()
	if reg.Request == nil || now == "" || symmetric != "" && longer <= need {
		return nil
	}
	has, err := h.hasSecret(reg.Client, reg.Now())
	if err == nil && !has {
		err = hookFault(fmt.Errorf("%s needs a client secret that the server can read, and none was issued; set %[1]s in a step, such as SetClientDefaults", now))
	}
	return err
}

// newestSecret returns the newest secret as it is kept, "" if there is none.
func (c *Client) newestSecret() string {
	for _, secret := range c.Secrets { // the newest comes first
		if secret.Type != SecretJWK {
			return secret.Value
		}
	}
	return ""
}

// scratch has buffers to write answers in.
var scratch = sync.Pool{New: func() any { room := make([]byte, 0, 1024); return &room }}

// newResponse makes the answer about reg.Client, as hooks see it. It still
// shares lists with the client.
func newResponse(reg *Registration, v Validator) *Response {
	if !reg.measured {
		reg.measureBy(v)
	}
	res := &Response{SoftwareStatement: reg.Client.statementText(), Metadata: reg.Client.Metadata, on: reg.on}
	res.say(tell(reg.Client, "", ""))
	return res
}

// statementText returns the software statement as it was sent, "" if there is
// none.
func (c *Client) statementText() string {
	if c.Statement == nil {
		return ""
	}
	return c.Statement.Text
}

// told has the members that only the server issues.
type told struct {
	id              string
	secret, token   Plaintext
	uri             string // registration_client_uri
	secretExpiresAt *int64 // nil if there is no secret
	issuedAt        int64  // 0 if it is not known
	status          string // registration_status
	onlySet         bool   // as in Response
}

// tell returns the members that the server issues for a client; secret and
// token are what was just issued or presented.
func tell(c *Client, secret, token Plaintext) told {
	t := told{id: c.ID, secret: secret, token: token, secretExpiresAt: c.secretExpiry()}
	if secret != "" && t.secretExpiresAt == nil {
		t.secretExpiresAt = new(int64)
	}
	if !c.CreatedAt.IsZero() {
		t.issuedAt = c.CreatedAt.Unix()
	}
	if c.Status == StatusPending {
		t.status = string(StatusPending)
	}
	return t
}

// secretExpiry returns when the newest secret expires, 0 for never; nil if the
// client has none.
func (c *Client) secretExpiry() *int64 {
	for _, secret := range c.Secrets { // the newest comes first
		if secret.Type == SecretJWK {
			continue
		}
		expiry := int64(0)
		if !secret.ExpiresAt.IsZero() {
			expiry = secret.ExpiresAt.Unix()
		}
		return &expiry
	}
	return nil
}

// say sets the members that the server issues, whatever hooks set them to.
func (res *Response) say(t told) {
	res.ClientID, res.ClientSecret, res.ClientSecretExpiresAt = t.id, t.secret, t.secretExpiresAt
	res.ClientIDIssuedAt, res.RegistrationAccessToken, res.RegistrationClientURI = t.issuedAt, t.token, t.uri
	res.RegistrationStatus = t.status
}

// appendJSON writes an answer. Members that the server issues come only from t:
// an extension with the same name is left out.
func (t *told) appendJSON(dst []byte, statement string, metadata *Metadata, on features) ([]byte, error) {
	object := objectWriter{dst: dst}
	object.text("client_id", t.id)
	object.text("client_secret", t.secret.Reveal())
	if t.secretExpiresAt != nil {
		object.number("client_secret_expires_at", *t.secretExpiresAt)
	}
	if t.issuedAt != 0 {
		object.number("client_id_issued_at", t.issuedAt)
	}
	if t.token != "" && t.uri != "" {
		object.text("registration_access_token", t.token.Reveal())
		object.text("registration_client_uri", t.uri)
	}
	object.text(statusMember, t.status)
	object.text("software_statement", statement)
	var unset memberSet
	if t.onlySet {
		metadata = metadata.withoutEmpty()
	} else {
		unset = shown(metadata, on)
	}
	object.metadata(metadata, unset)
	for _, name := range sortedKeys(metadata.Extra) {
		if _, tagged := taggedMember(name); !tagged && !serverSays(name) && member(name) == nil {
			object.raw(name, metadata.Extra[name])
		}
	}
	return object.finish()
}

// appendJSON writes the answer.
func (res *Response) appendJSON(dst []byte) ([]byte, error) {
	t := told{
		id: res.ClientID, secret: res.ClientSecret, token: res.RegistrationAccessToken, uri: res.RegistrationClientURI,
		secretExpiresAt: res.ClientSecretExpiresAt, issuedAt: res.ClientIDIssuedAt, status: res.RegistrationStatus, onlySet: res.OnlySet,
	}
	return t.appendJSON(dst, res.SoftwareStatement, &res.Metadata, res.on)
}

// send writes an answer that respond made.
func send(w http.ResponseWriter, status int, answer []byte) {
	write(w, status, answer)
	answer = answer[:0]
	scratch.Put(&answer)
}

// MarshalJSON writes the answer as a log may hold it: secrets redacted.
func (res Response) MarshalJSON() ([]byte, error) {
	if res.ClientSecret != "" {
		res.ClientSecret = redacted
	}
	if res.RegistrationAccessToken != "" {
		res.RegistrationAccessToken = redacted
	}
	return res.appendJSON(nil)
}

// shown returns the members that are answered even if they are unset: the three
// lists that clients rely on, and the booleans of features that are on.
func shown(metadata *Metadata, on features) memberSet {
	shown := alwaysShown
	for _, flag := range flags {
		if on.has(flag.Place) && (flag.with == nil || !flag.with.IsZero(metadata)) {
			shown.Add(flag.Place)
		}
	}
	return shown
}

// withoutEmpty returns a copy without empty lists. The copy is only to be read.
func (m *Metadata) withoutEmpty() *Metadata {
	own := *m
	for i := range members.Set(m).Places() {
		if f := &members.Fields[i]; f.Kind == record.Strings && len(f.List(&own)) == 0 {
			f.Clear(&own)
		}
	}
	return &own
}

var alwaysShown = func() (set memberSet) {
	for _, name := range []string{"redirect_uris", "grant_types", "response_types"} {
		set.Add(member(name).Place)
	}
	return set
}()

// flags are the boolean members, each with the one that its with tag names.
var flags = func() (found []flag) {
	for i := range members.Fields {
		if f := &members.Fields[i]; f.Kind == record.Bool {
			found = append(found, flag{f, member(f.Tag.Get("with"))})
		}
	}
	return found
}()

type flag struct {
	*registered
	with *registered
}

var _ json.Marshaler = Response{}

// keepFromCaches forbids caches to store an answer.
func keepFromCaches(header http.Header) {
	values := []string{"no-store", "no-cache"} // one for each, in one allocation
	header["Cache-Control"], header["Pragma"] = values[:1:1], values[1:]
}

func write(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	values := []string{jsonType, "nosniff"}
	header["Content-Type"], header["X-Content-Type-Options"] = values[:1:1], values[1:]
	w.WriteHeader(status)
	w.Write(body)
}
