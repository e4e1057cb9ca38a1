package dcr

// RFC 7592: the client configuration endpoint.

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr/internal/timeout"
)

// access is a management request that was let through.
type access struct {
	http   *http.Request // with its caller in the context, if there is one
	client *Client
	caller *Caller   // who manages the client, nil if its own token does
	token  Plaintext // the registration access token presented, "" with a caller

	validator Validator // of the client's policy
}

// unknownClient stands in for a client that does not exist, so that a token is
// hashed and compared all the same.
var unknownClient = &Client{Status: StatusDisabled, RegistrationTokens: []Secret{HashSecret("no client")}}

// authorize decides whether a request may manage a client. A wrong token and an
// unknown, deleted or disabled client get the same answer after the same work,
// so that nobody can tell them apart. A pending client may read and delete
// itself, but not update itself: an operator is to approve what was registered.
// read is the client if it was read already.
func (h *Handler) authorize(r *http.Request, clientID string, read *Client) (*access, error) {
	token, err := BearerToken(r)
	if err != nil {
		return nil, err
	}
	var caller *Caller
	if h.opts.ManageAs != nil {
		if caller, err = callerOf(r, h.opts.Caller); err != nil && codeOf(err) != InvalidToken {
			return nil, err
		}
		r = withCaller(r, caller)
	}
	if token == "" && caller == nil {
		return nil, errNoToken
	}
	client, err := read, error(nil)
	if read == nil {
		client, err = h.find(r.Context(), clientID)
	}
	if errors.Is(err, ErrClientNotFound) {
		client, err = unknownClient, nil
	}
	if err != nil {
		return nil, outage(err)
	}
	now := h.opts.Now()
	validator, err := h.validator(client.Policy) // the error is returned below, only to callers who may manage the client
	byToken := matchAny(client.RegistrationTokens, token.Reveal(), now) && (err != nil || h.issuesTokens(validator))
	byCaller := caller != nil && client != unknownClient && h.opts.ManageAs(caller, client)
	barred := client.CheckUsable(now)
	if barred == ErrClientPending && r.Method != http.MethodPut {
		barred = nil
	}
	if !byToken && !byCaller || barred != nil {
		return nil, errBadToken
	}
	if client.Source != SourceDynamic {
		return nil, refuse(AccessDenied, "", "client.static", "this client did not register itself and is not managed here")
	}
	if err != nil {
		return nil, err
	}
	if h.opts.ManageClient != nil {
		if err := h.opts.ManageClient(r, client); err != nil {
			return nil, err
		}
	}
	if err := validator.AuthorizeManagement(r, client); err != nil {
		return nil, err
	}
	if byToken {
		caller = nil
	} else {
		token = ""
	}
	return &access{http: r, client: client, caller: caller, token: token, validator: validator}, nil
}

// find finds a client as it is stored, within StoreTimeout.
func (h *Handler) find(ctx context.Context, clientID string) (*Client, error) {
	bounded := timeout.New(ctx, h.opts.StoreTimeout)
	defer bounded.End()
	return FindStored(bounded, h.store, clientID)
}

// read answers GET (RFC 7592 §2.1).
func (h *Handler) read(w http.ResponseWriter, r *http.Request, clientID string, event Event) {
	var answer []byte
	access, err := h.authorize(r, clientID, nil)
	if err == nil {
		r = access.http
		event.about(access.client)
		h.forgetRetiredTokens(r.Context(), access)
		answer, err = h.answerRead(access)
	}
	if err != nil {
		h.fail(w, r, event, err)
		return
	}
	h.tell(r.Context(), event, ClientRead)
	send(w, http.StatusOK, answer)
}

// answerRead makes the answer to a read. The client's policy decides what it
// shows.
func (h *Handler) answerRead(access *access) ([]byte, error) {
	draft := drafts.Get().(*draft)
	reg := &draft.reg
	defer h.reuse(draft, reg)
	reg.Client, reg.Caller, reg.HTTP = access.client, access.caller, access.http
	if err := h.prepare(reg, access.client.Policy); err != nil {
		return nil, err
	}
	return h.respond(access.http.Context(), reg, "", access.token)
}

// forgetRetiredTokens removes the tokens that were rotated away, now that the
// newest is in use. If that fails, they expire at the end of their grace.
func (h *Handler) forgetRetiredTokens(ctx context.Context, access *access) {
	if access.token == "" || !dropRetiredTokens(access.client, access.token, h.opts.Now()) {
		return
	}
	err := h.inStore(ctx, func(ctx context.Context) error { return h.store.Update(ctx, access.client) })
	if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrClientNotFound) {
		h.opts.Logger.WarnContext(ctx, "rotated registration access tokens were not removed", "error", err)
	}
}

// maxConflicts is how often a write is tried again after a conflict.
const maxConflicts = 3

// How a race between two requests ended. These errors are made only of what the
// store returned: the error of a hook may wrap ErrConflict or ErrClientNotFound
// too.
var (
	errOutrun = errors.New("dcr: another update won")
	errGone   = errors.New("dcr: the client was deleted meanwhile")
)

// unwritten says why a client was not written, given the error of the store.
func unwritten(err error) error {
	switch {
	case errors.Is(err, ErrConflict):
		return errOutrun
	case errors.Is(err, ErrClientNotFound):
		return errGone
	}
	return outage(err)
}

// onStored authorises a request against a client and runs work on it. After a
// conflict it does both again, on the client as the other write left it. letIn is the
// client that the request was authorised for before its body was read, nil if it has
// no body; if another client has the id by now, the request is refused, even if its
// caller may manage both.
func (h *Handler) onStored(r *http.Request, clientID string, letIn *Client, work func(*access) error) error {
	read := letIn // if the Revision is still this one when work writes it, only notes can have changed
	if letIn != nil && h.hostDecides(letIn) {
		read = nil
	}
	for attempt := 0; ; attempt++ {
		access, err := h.authorize(r, clientID, read)
		if err != nil {
			return err
		}
		letIn = cmp.Or(letIn, access.client)
		if !access.client.continues(letIn) {
			return errBadToken
		}
		switch err := work(access); {
		case err == errGone:
			return errBadToken
		case err == errOutrun && attempt < maxConflicts:
			read = nil
		case err == errOutrun:
			return outage(ErrConflict)
		default:
			return err
		}
	}
}

// hostDecides reports whether code of the host decides about an update of a client. It
// may depend on what the store notes without a new Revision, such as who consented.
func (h *Handler) hostDecides(client *Client) bool {
	validator, err := h.validator(client.Policy)
	return err != nil || h.opts.ManageAs != nil || h.opts.ManageClient != nil || h.hostSees(validator)
}

// maxVersions is how many versions of a client may come between two looks at it.
const maxVersions = 1 << 20

// continues reports whether c is a later version of earlier, and not another
// client with its id: the Revision of another client would begin at a random
// number.
func (c *Client) continues(earlier *Client) bool {
	return c.Revision >= earlier.Revision && c.Revision-earlier.Revision < maxVersions
}

// update answers PUT (RFC 7592 §2.2). It is authorised before the body is read.
func (h *Handler) update(w http.ResponseWriter, r *http.Request, clientID string, event Event) {
	draft := drafts.Get().(*draft)
	var reg *Registration // nil if a hook panics, in whatever Registration
	defer func() { h.reuse(draft, reg) }()
	var answer []byte
	letIn, err := h.authorize(r, clientID, nil)
	if err == nil {
		r = letIn.http
		event.about(letIn.client)
		err = h.readRequest(&draft.request, w, r, letIn.validator)
	}
	if err == nil {
		reg, answer, err = h.replaceStored(r, letIn.client, draft)
	}
	if err != nil {
		h.fail(w, r, event, err)
		return
	}
	h.answerUpdate(w, r, event, reg, answer)
}

// answerUpdate reports an update to Events and the hook, and answers it.
func (h *Handler) answerUpdate(w http.ResponseWriter, r *http.Request, event Event, reg *Registration, answer []byte) {
	h.tellUpdate(r.Context(), event, reg)
	if h.opts.AfterUpdate != nil {
		h.after(r.Context(), "AfterUpdate", reg.Client, func(ctx context.Context) error { return h.opts.AfterUpdate(ctx, reg) })
	}
	send(w, http.StatusOK, answer)
}

// replaceStored updates the client that a request was authorised for. Each attempt has
// a Registration of its own, since a hook may keep that of an earlier one.
func (h *Handler) replaceStored(r *http.Request, letIn *Client, draft *draft) (reg *Registration, answer []byte, err error) {
	defer h.settle(r.Context(), &draft.request)
	r = r.WithContext(fetchOnce(r.Context()))
	reg = &draft.reg
	err = h.onStored(r, letIn.ID, letIn, func(access *access) (err error) {
		if reg.Request != nil { // an earlier attempt was in it
			reg = &Registration{}
		}
		answer, err = h.replace(access, reg, &draft.request)
		return err
	})
	return reg, answer, err
}

// replace makes one attempt to update a client, in a Registration that is new. Its error
// is errOutrun or errGone if another request came first.
func (h *Handler) replace(access *access, reg *Registration, request *Request) (answer []byte, err error) {
	ctx := access.http.Context()
	if err := h.checkUpdate(access, request); err != nil {
		return nil, err
	}
	caller := access.caller
	if caller == nil {
		caller = CallerFromContext(ctx)
	}
	reg.Request, reg.Previous, reg.Statement = request, access.client, request.statement.clone()
	reg.Caller, reg.HTTP = caller, access.http
	if err := h.prepare(reg, access.client.Policy); err != nil {
		return nil, err
	}
	if err := Validate(ctx, reg.validator, reg); err != nil {
		return nil, err
	}
	if reg.Client.ID != access.client.ID || reg.Client.Revision != access.client.Revision {
		return nil, errors.New("dcr: a step replaced the client or its id")
	}
	if !h.issuesTokens(reg.validator) {
		reg.Client.RegistrationTokens = nil // from a time when it was managed by token
	}
	reg.Client.UpdatedAt = reg.Now()
	answer, err = h.renew(ctx, reg, access.token)
	if err == nil {
		err = h.spend(ctx, reg)
	}
	if err != nil {
		return nil, err
	}
	if err := h.keep(ctx, reg, h.store.Update); err != nil {
		return nil, unwritten(err)
	}
	return answer, h.keepSingle(ctx, reg)
}

// renew issues what an update needs, rotates what is to be rotated and makes the
// answer. A token that was rotated away is valid until its grace ends, but
// rotates nothing: it may have leaked, and must not give its holder anything that
// outlives it.
func (h *Handler) renew(ctx context.Context, reg *Registration, token Plaintext) ([]byte, error) {
	rotates := (h.opts.RotateSecret || h.opts.RotateRegistrationToken) && (token == "" || isNewestToken(reg.Client, token, reg.Now()))
	secret, err := h.issue(ctx, reg, h.opts.RotateSecret && rotates)
	if err != nil {
		return nil, err
	}
	if token != "" {
		dropRetiredTokens(reg.Client, token, reg.Now())
		if h.opts.RotateRegistrationToken && rotates {
			token = h.rotateToken(reg.Client, reg.Now())
		}
	}
	return h.respond(ctx, reg, secret, token)
}

// checkUpdate checks what an update says about the client's own credentials
// against RFC 7592 §2.2.
func (h *Handler) checkUpdate(access *access, request *Request) error {
	client := access.client
	if faults := h.issuedFaults(access, request); len(faults) > 0 {
		return refuse(InvalidClientMetadata, faults[0], "update.issued", "%s must not be sent in an update", enumerate(faults))
	}
	if len(request.ownFaults) > 0 {
		return request.ownFaults[0]
	}
	switch {
	case request.ClientID == "" && !h.opts.OptionalClientID && !request.standing:
		return refuse(InvalidClientMetadata, "client_id", "update.client_id", "client_id must be sent in an update")
	case request.ClientID != "" && request.ClientID != client.ID:
		return refuse(InvalidClientMetadata, "client_id", "update.client_id", "client_id must be the one that was issued to this client")
	}
	if sent := request.ClientSecret.Reveal(); sent != "" && !client.hadSecret(sent) {
		return refuse(InvalidClientMetadata, "client_secret", "update.client_secret", "client_secret must be the one that was issued to this client, or left out")
	}
	return nil
}

// issuedFaults names the members of an update that only the server issues; with
// TolerantUpdate, only those that differ from what the client was given.
func (h *Handler) issuedFaults(access *access, request *Request) []string {
	faults := request.IssuedMembers()
	if !h.opts.TolerantUpdate || len(faults) == 0 {
		return faults
	}
	faults = nil
	answered := tell(access.client, "", access.token)
	for _, member := range request.issued {
		text, _ := member.value.Text()
		number, err := member.value.Int()
		same := false
		switch member.name {
		case "client_id_issued_at":
			same = err == nil && answered.issuedAt != 0 && number == answered.issuedAt
		case "client_secret_expires_at":
			same = err == nil && answered.secretExpiresAt != nil && number == *answered.secretExpiresAt
		case "registration_client_uri":
			same = access.token != "" && text == h.opts.clientURI(access.client.ID)
		case "registration_access_token":
			same = access.token != "" && matchAny(access.client.RegistrationTokens, text, h.opts.Now())
		}
		if !same {
			faults = append(faults, member.name)
		}
	}
	return faults
}

// enumerate names several members in a sentence.
func enumerate(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// hadSecret reports whether secret is the client's, even if it has expired: an
// update is how a client renews it.
func (c *Client) hadSecret(secret string) bool {
	return slices.ContainsFunc(c.Secrets, func(s Secret) bool { return s.matches(secret, time.Time{}) })
}

// delete answers DELETE (RFC 7592 §2.3).
func (h *Handler) delete(w http.ResponseWriter, r *http.Request, clientID string, event Event) {
	var client *Client
	err := h.onStored(r, clientID, nil, func(access *access) error {
		client, r = access.client, access.http
		if err := h.remove(r.Context(), client); err != nil {
			return unwritten(err)
		}
		return nil
	})
	if err != nil {
		h.fail(w, r, event, err)
		return
	}
	event.about(client)
	h.tell(r.Context(), event, ClientDeleted)
	h.afterDelete(r.Context(), client)
	w.WriteHeader(http.StatusNoContent)
}

// afterDelete runs the host's hook for a client that is gone.
func (h *Handler) afterDelete(ctx context.Context, client *Client) {
	if h.opts.AfterDelete != nil {
		h.after(ctx, "AfterDelete", client, func(ctx context.Context) error { return h.opts.AfterDelete(ctx, client) })
	}
}
