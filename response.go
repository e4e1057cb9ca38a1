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

// Response is the answer to a registration, a read or an update: copies of its
// own, so that a hook can edit it without touching what is stored.
type Response struct {
	ClientID                string
	ClientSecret            Plaintext // only when it was just issued
	ClientSecretExpiresAt   *int64    // seconds since 1970, 0 for never; nil where the client has no secret
	ClientIDIssuedAt        int64     // seconds since 1970
	RegistrationAccessToken Plaintext // "" where management is off or authorised otherwise
	RegistrationClientURI   string    // likewise
	SoftwareStatement       string    // as it was sent, if it was verified
	Metadata                          // every effective member; Extra holds the extensions

	on features
}

// KeepResponse leaves the response as it is: the default of
// Options.ModifyResponse.
func KeepResponse(ctx context.Context, reg *Registration, res *Response) error { return nil }

// NewResponse makes the answer that tells of reg.Client, shaped by v. secret and
// token are what was just issued or presented, "" for none; where there is a
// token, the caller sets RegistrationClientURI. It shares nothing with reg. The
// errors are those of ShapeResponse, and any that says that it broke a fixed
// rule.
func NewResponse(ctx context.Context, v Validator, reg *Registration, secret, token Plaintext) (*Response, error) {
	res := newResponse(reg, v)
	res.ClientSecret, res.RegistrationAccessToken = secret, token
	return res, reg.shape(ctx, res, v.ShapeResponse)
}

// WriteResponse writes a client information response with its secrets in the
// clear: status 201 to a registration, 200 to a read or an update.
func WriteResponse(w http.ResponseWriter, status int, res *Response) error {
	answer, err := res.appendJSON(nil)
	if err != nil {
		return err
	}
	keepFromCaches(w.Header())
	write(w, status, answer)
	return nil
}

// respond makes the answer that tells of reg.Client, lets the hooks edit it and
// holds the client to the fixed rules once more. What the server issues is
// written whatever a hook made of it.
func (h *Handler) respond(ctx context.Context, reg *Registration, secret, token Plaintext) ([]byte, error) {
	v := reg.validator
	if !reg.measured {
		reg.measureBy(v)
	}
	told, metadata := tell(reg.Client), &reg.Client.Metadata
	if _, plain := v.(DefaultValidator); !plain || h.hooked {
		res := newResponse(reg, v)
		if err := reg.shape(ctx, res, v.ShapeResponse, h.opts.ModifyResponse); err != nil {
			return nil, err
		}
		told.secretExpiresAt, told.statement, metadata = res.ClientSecretExpiresAt, res.SoftwareStatement, &res.Metadata
	}
	told.secret = secret
	if token != "" {
		told.token, told.uri = token, h.opts.clientURI(told.id)
	}
	return told.appendJSON(*scratch.Get().(*[]byte), metadata, reg.on)
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

// newResponse makes the answer that tells of reg.Client. It shares lists with
// the client still.
func newResponse(reg *Registration, v Validator) *Response {
	if !reg.measured {
		reg.measureBy(v)
	}
	told := tell(reg.Client)
	return &Response{
		ClientID: told.id, ClientIDIssuedAt: told.issuedAt, ClientSecretExpiresAt: told.secretExpiresAt,
		SoftwareStatement: told.statement, Metadata: reg.Client.Metadata, on: reg.on,
	}
}

// told is what an answer tells besides the metadata.
type told struct {
	id, statement   string
	secret, token   Plaintext
	secretExpiresAt *int64
	issuedAt        int64
	uri             string // registration_client_uri
}

// tell is what there is to tell of a client, less what was just issued.
func tell(client *Client) told {
	t := told{id: client.ID, issuedAt: client.CreatedAt.Unix()}
	if client.Statement != nil {
		t.statement = client.Statement.Text
	}
	for _, secret := range client.Secrets {
		if secret.Type == SecretJWK {
			continue
		}
		expiry := int64(0)
		if !secret.ExpiresAt.IsZero() {
			expiry = secret.ExpiresAt.Unix()
		}
		t.secretExpiresAt = &expiry
		break // the newest secret comes first
	}
	return t
}

// appendJSON writes an answer. Members that the server issues are written from
// their fields alone; an extension cannot bear their names.
func (t *told) appendJSON(dst []byte, metadata *Metadata, on features) ([]byte, error) {
	object := objectWriter{dst: dst}
	object.text("client_id", t.id)
	object.text("client_secret", t.secret.Reveal())
	if t.secretExpiresAt != nil {
		object.number("client_secret_expires_at", *t.secretExpiresAt)
	}
	object.number("client_id_issued_at", t.issuedAt)
	if t.token != "" && t.uri != "" {
		object.text("registration_access_token", t.token.Reveal())
		object.text("registration_client_uri", t.uri)
	}
	object.text("software_statement", t.statement)
	object.metadata(metadata, shown(metadata, on))
	for _, name := range sortedKeys(metadata.Extra) {
		if !slices.Contains(issued, name) && name != "software_statement" && member(name) == nil {
			object.raw(name, metadata.Extra[name])
		}
	}
	return object.finish()
}

// appendJSON writes the answer.
func (res *Response) appendJSON(dst []byte) ([]byte, error) {
	t := told{
		id: res.ClientID, statement: res.SoftwareStatement, secret: res.ClientSecret, token: res.RegistrationAccessToken,
		secretExpiresAt: res.ClientSecretExpiresAt, issuedAt: res.ClientIDIssuedAt, uri: res.RegistrationClientURI,
	}
	return t.appendJSON(dst, &res.Metadata, res.on)
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
func shown(metadata *Metadata, on features) memberSet {
	shown := alwaysShown
	for _, flag := range flags {
		if on.has(flag.Place) && (flag.with == nil || !flag.with.IsZero(metadata)) {
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
