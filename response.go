package dcr

// RFC 7591 §3.2.1 and RFC 7592 §3: the client information response.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/dynreg/dcr/internal/record"
)

// Response is the answer to a registration, a read or an update: copies of its
// own, so that a hook can edit it without touching what is stored.
type Response struct {
	ClientID                string
	ClientSecret            Plaintext // only when it was just issued
	ClientSecretExpiresAt   *int64    // seconds since 1970, 0 for never; nil where the client has no secret
	ClientIDIssuedAt        int64     // seconds since 1970, 0 where Client.CreatedAt says nothing
	RegistrationAccessToken Plaintext // "" where management is off or authorised otherwise
	RegistrationClientURI   string    // likewise
	SoftwareStatement       string    // as it was sent, if it was verified
	Metadata                          // every effective member; Extra holds the extensions

	on features
}

// KeepResponse leaves the response as it is: the default of
// Options.ModifyResponse.
func KeepResponse(ctx context.Context, reg *Registration, res *Response) error { return nil }

// NewResponse makes the answer that tells of reg.Client, shaped by v: of a
// registration or update that [Validate] accepted or, where reg.Request is nil,
// of a client as it is. secret and token are what was just issued or presented,
// "" for none. A client_secret_expires_at is that of the first of
// Client.Secrets, and 0 where there is a secret but none is listed;
// client_id_issued_at is Client.CreatedAt or, where that is zero, the time of the
// registration. Where there is a token, the caller sets RegistrationClientURI.
//
// The response shares nothing with reg. Its errors are those of ShapeResponse,
// and one that says that ShapeResponse broke a fixed rule.
func NewResponse(ctx context.Context, v Validator, reg *Registration, secret, token Plaintext) (*Response, error) {
	if reg.Client == nil {
		return nil, errors.New("dcr: NewResponse: Registration.Client is nil; Validate sets it")
	}
	res := newResponse(reg, v)
	if err := reg.shape(ctx, res, v.ShapeResponse); err != nil {
		return nil, err
	}
	res.issue(reg.Client, secret, token)
	if res.ClientIDIssuedAt == 0 && reg.Request != nil && reg.Previous == nil {
		res.ClientIDIssuedAt = reg.Now().Unix()
	}
	return res, nil
}

// WriteResponse writes a client information response with its secrets in the
// clear: status 201 to a registration, 200 to a read or an update. Its error
// says what the response lacks that a client relies on; then nothing was
// written.
func WriteResponse(w http.ResponseWriter, status int, res *Response) error {
	switch {
	case res.ClientID == "":
		return errors.New("dcr: WriteResponse: the response has no ClientID")
	case res.ClientSecret != "" && res.ClientSecretExpiresAt == nil:
		return errors.New("dcr: WriteResponse: the response has a ClientSecret, but no ClientSecretExpiresAt; set it, to 0 for never")
	case (res.RegistrationAccessToken == "") != (res.RegistrationClientURI == ""):
		return errors.New("dcr: WriteResponse: RegistrationAccessToken and RegistrationClientURI go together; set both, or none")
	}
	answer, err := res.appendJSON(nil)
	if err != nil {
		return err
	}
	keepFromCaches(w.Header())
	write(w, status, answer)
	return nil
}

// respond makes the answer that tells of reg.Client, lets the hooks edit it and
// holds the client to the fixed rules once more.
func (h *Handler) respond(ctx context.Context, reg *Registration, secret, token Plaintext) ([]byte, error) {
	v := reg.validator
	if _, plain := v.(DefaultValidator); plain && !h.hooked {
		var res Response // nobody else sees it, so that it may share the client's lists
		res.describe(reg, v)
		return h.finish(&res, reg, secret, token)
	}
	res := newResponse(reg, v)
	if err := reg.shape(ctx, res, v.ShapeResponse, h.opts.ModifyResponse); err != nil {
		return nil, err
	}
	return h.finish(res, reg, secret, token)
}

// finish writes the answer, and in it what the server issues, whatever a hook
// made of that.
func (h *Handler) finish(res *Response, reg *Registration, secret, token Plaintext) ([]byte, error) {
	res.issue(reg.Client, secret, token)
	if token != "" {
		res.RegistrationClientURI = h.opts.clientURI(reg.Client.ID)
	}
	return res.appendJSON(*scratch.Get().(*[]byte))
}

// issue writes the members that the server alone issues, after every hook.
func (res *Response) issue(c *Client, secret, token Plaintext) {
	res.ClientID, res.ClientSecret, res.ClientSecretExpiresAt = c.ID, secret, c.secretExpiry()
	if secret != "" && res.ClientSecretExpiresAt == nil {
		res.ClientSecretExpiresAt = new(int64)
	}
	res.ClientIDIssuedAt = 0
	if !c.CreatedAt.IsZero() {
		res.ClientIDIssuedAt = c.CreatedAt.Unix()
	}
	res.RegistrationAccessToken, res.RegistrationClientURI = token, ""
}

// secretExpiry is when the newest secret expires, 0 for never; nil where the
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

// shape runs hooks over an answer of their own, and the fixed rules over what
// they left of the client.
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
	if reg.Request != nil {
		if broken := reg.fixedRules(); broken != nil {
			return hookFault(broken)
		}
	}
	return nil
}

// scratch is room to write JSON in, whose size is known only then.
var scratch = sync.Pool{New: func() any { room := make([]byte, 0, 1024); return &room }}

// newResponse makes the answer that tells of reg.Client, as hooks see it. It
// shares lists with the client still.
func newResponse(reg *Registration, v Validator) *Response {
	res := &Response{}
	res.describe(reg, v)
	res.issue(reg.Client, "", "")
	return res
}

// describe fills the answer that tells of reg.Client, less what the server
// issues.
func (res *Response) describe(reg *Registration, v Validator) {
	if !reg.measured {
		reg.measureBy(v)
	}
	client := reg.Client
	*res = Response{Metadata: client.Metadata, on: reg.on}
	res.Extra = maps.Clone(client.Extra)
	if client.Statement != nil {
		res.SoftwareStatement = client.Statement.Text
	}
}

// appendJSON writes the answer. Members that the server issues are written
// from their fields alone; an extension cannot bear their names.
func (res *Response) appendJSON(dst []byte) ([]byte, error) {
	object := objectWriter{dst: dst}
	object.text("client_id", res.ClientID)
	object.text("client_secret", res.ClientSecret.Reveal())
	if res.ClientSecretExpiresAt != nil {
		object.number("client_secret_expires_at", *res.ClientSecretExpiresAt)
	}
	if res.ClientIDIssuedAt != 0 {
		object.number("client_id_issued_at", res.ClientIDIssuedAt)
	}
	if res.RegistrationAccessToken != "" && res.RegistrationClientURI != "" {
		object.text("registration_access_token", res.RegistrationAccessToken.Reveal())
		object.text("registration_client_uri", res.RegistrationClientURI)
	}
	object.text("software_statement", res.SoftwareStatement)
	object.metadata(&res.Metadata, res.shown())
	for _, name := range sortedKeys(res.Extra) {
		if !slices.Contains(issued, name) && name != "software_statement" && member(name) == nil {
			object.raw(name, res.Extra[name])
		}
	}
	return object.finish()
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

// shown are the members that are answered even where they are unset: the three
// lists that clients rely on, and the booleans of features that are on.
func (res *Response) shown() memberSet {
	shown := alwaysShown
	for _, flag := range flags {
		if res.on.has(flag.Place) && (flag.with == nil || !flag.with.IsZero(&res.Metadata)) {
			shown.Add(flag.Place)
		}
	}
	return shown
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

// keepFromCaches says that an answer is for its client alone.
func keepFromCaches(header http.Header) {
	header["Cache-Control"], header["Pragma"] = []string{"no-store"}, []string{"no-cache"}
}

func write(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header["Content-Type"], header["X-Content-Type-Options"] = []string{"application/json"}, []string{"nosniff"}
	w.WriteHeader(status)
	w.Write(body)
}
