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
	ClientIDIssuedAt        int64     // seconds since 1970
	RegistrationAccessToken Plaintext // "" where management is off or authorised otherwise
	RegistrationClientURI   string    // likewise
	SoftwareStatement       string    // as it was sent, if it was verified
	Metadata                          // every effective member; Extra holds the extensions

	on feature
}

// KeepResponse leaves the response as it is: the default of
// Options.ModifyResponse.
func KeepResponse(ctx context.Context, reg *Registration, res *Response) error { return nil }

// respond makes the answer that tells of reg.Client, lets the host's hook edit
// it and holds the client to the fixed rules once more.
func (h *Handler) respond(ctx context.Context, reg *Registration, secret, token Plaintext) ([]byte, error) {
	client := reg.Client
	res, err := newResponse(reg)
	if err != nil {
		return nil, err
	}
	if h.hooked {
		if err := h.modify(ctx, reg, res); err != nil {
			return nil, err
		}
	}
	res.ClientID, res.ClientSecret, res.ClientIDIssuedAt = client.ID, secret, client.CreatedAt.Unix()
	res.RegistrationAccessToken, res.RegistrationClientURI = "", ""
	if token != "" {
		res.RegistrationAccessToken, res.RegistrationClientURI = token, h.opts.clientURI(client.ID)
	}
	answer, err := res.appendJSON(*scratch.Get().(*[]byte))
	if !h.hooked { // nobody else has seen it
		*res = Response{}
		responses.Put(res)
	}
	return answer, err
}

// modify runs the host's hook over an answer of its own, and the fixed rules
// over what the hooks left of the client.
func (h *Handler) modify(ctx context.Context, reg *Registration, res *Response) error {
	client, id := reg.Client, reg.Client.ID
	res.Metadata.unshare()
	if err := h.opts.ModifyResponse(ctx, reg, res); err != nil {
		return err
	}
	if reg.Client != client || client.ID != id {
		return errors.New("dcr: ModifyResponse replaced the client or its id")
	}
	for name, raw := range res.Extra {
		if !json.Valid(raw) {
			return fmt.Errorf("dcr: ModifyResponse set %q to what is not JSON", name)
		}
	}
	if reg.Request != nil {
		if broken := reg.fixedRules(); broken != nil {
			return hookFault(broken)
		}
	}
	return nil
}

// responses are answers that are done with.
var responses = sync.Pool{New: func() any { return new(Response) }}

// scratch is room to write JSON in, whose size is known only then.
var scratch = sync.Pool{New: func() any { room := make([]byte, 0, 1024); return &room }}

// newResponse makes the answer that tells of reg.Client. It shares lists with
// the client still.
func newResponse(reg *Registration) (*Response, error) {
	client := reg.Client
	res := responses.Get().(*Response)
	res.ClientID, res.ClientIDIssuedAt = client.ID, client.CreatedAt.Unix()
	res.Metadata, res.on = client.Metadata, reg.on
	res.Extra = maps.Clone(client.Extra)
	if client.Statement != nil {
		res.SoftwareStatement = client.Statement.Text
	}
	for _, secret := range client.Secrets {
		if secret.Type == SecretJWK {
			continue
		}
		expiry := int64(0)
		if !secret.ExpiresAt.IsZero() {
			expiry = secret.ExpiresAt.Unix()
		}
		res.ClientSecretExpiresAt = &expiry
		break // the newest secret comes first
	}
	return res, res.showSettings(client, &reg.base)
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
	object.number("client_id_issued_at", res.ClientIDIssuedAt)
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

func write(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header["Content-Type"], header["X-Content-Type-Options"] = []string{"application/json"}, []string{"nosniff"}
	w.WriteHeader(status)
	w.Write(body)
}
