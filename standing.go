package dcr

// What a software statement may be used for: once, for one client at a time or, as
// in UDAP, to manage the client that its registrant already has.

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dynreg/dcr/internal/jwt"
)

// noteStatement notes in the request what its Decoder said about the statement.
func (r *Request) noteStatement(decoded *DecodedBody) {
	if decoded.Statement == nil {
		return
	}
	statement := *decoded.Statement
	if r.standing = decoded.Standing; r.standing {
		statement.once, r.cancels = &onceOnly{single: true}, decoded.Cancels
	}
	r.statement = &statement
	if statement.Text != "" {
		r.SoftwareStatement = statement.Text
	}
}

// stand answers a POST that registers, updates or cancels the one client of its
// statement. If another request changes that client first, this one is judged
// again.
func (h *Handler) stand(w http.ResponseWriter, r *http.Request, event Event, first *Registration) {
	request := first.Request
	r = r.WithContext(fetchOnce(r.Context()))
	leave, err := h.turn(r.Context(), request.statement)
	if err != nil {
		h.fail(w, r, event, err)
		return
	}
	defer leave()
	defer h.settle(r.Context(), request)
	for attempt := 0; ; attempt++ {
		var client *Client
		var reg *Registration
		var answer []byte
		client, err = h.standing(r.Context(), request.statement, first.policy)
		if err == nil && client != nil && client.CheckUsable(h.opts.Now()) == ErrClientExpired && !request.cancels {
			client, err = nil, h.sweepStanding(r.Context(), client)
		}
		switch {
		case err != nil:
		case client == nil && request.cancels:
			err = refuse(InvalidClientMetadata, "grant_types", "grant_types.none", "grant_types must not be empty: that cancels a registration, and there is none to cancel")
		case client == nil:
			reg = &Registration{Caller: first.Caller, HTTP: r, Request: request}
			if err = h.prepare(reg, first.policy); err == nil {
				answer, err = h.judgeAndAdd(r.Context(), reg)
			}
			if err != errSingle {
				h.answerNew(w, r, event, reg, answer, err)
				return
			}
		default:
			event.about(client)
			err = h.changeStanding(w, r, event, client, request)
		}
		if err == nil {
			return
		}
		if err != errSingle && err != errOutrun && err != errGone || attempt == maxTurns {
			break
		}
		pause(r.Context(), attempt)
	}
	if err == errOutrun || err == errGone {
		err = outage(ErrConflict)
	}
	h.fail(w, r, event, err)
}

// maxTurns is how often a request is judged again because another host accepted
// one of the same registrant at the same moment.
const maxTurns = 6

// pause waits for a random time, whose bound doubles with every attempt.
func pause(ctx context.Context, attempt int) {
	select {
	case <-time.After(rand.N(10 * time.Millisecond << attempt)):
	case <-ctx.Done():
	}
}

// standing returns the client of a statement, nil if there is none. It refuses if
// that client belongs to another policy, which may have judged its registrant by
// other rules.
func (h *Handler) standing(ctx context.Context, statement *SoftwareStatement, policy string) (*Client, error) {
	ids, err := h.clientsOf(ctx, statement)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	client, err := h.find(ctx, ids[0])
	switch {
	case errors.Is(err, ErrClientNotFound):
		return nil, errGone
	case err != nil:
		return nil, outage(err)
	case client.Policy != policy || client.Source != SourceDynamic:
		return nil, refuse(UnapprovedSoftwareStatement, "software_statement", "software_statement.elsewhere", "software_statement must not be of a client that is managed elsewhere")
	}
	return client, nil
}

// changeStanding updates or deletes the client of a statement and answers that.
func (h *Handler) changeStanding(w http.ResponseWriter, r *http.Request, event Event, client *Client, request *Request) error {
	barred := client.CheckUsable(h.opts.Now())
	if request.cancels && (barred == ErrClientPending || barred == ErrClientExpired) {
		barred = nil
	}
	if barred != nil {
		return refuse(UnapprovedSoftwareStatement, "software_statement", "software_statement.barred", "software_statement must not be of a client that is disabled, expired or waits for approval")
	}
	if h.opts.ManageClient != nil {
		if err := h.opts.ManageClient(r, client); err != nil {
			return err
		}
	}
	validator, err := h.validator(client.Policy)
	if err == nil {
		err = validator.AuthorizeManagement(r, client)
	}
	if err != nil {
		return err
	}
	access := &access{http: r, client: client, caller: CallerFromContext(r.Context()), validator: validator}
	if request.cancels {
		return h.cancel(w, access, event, request)
	}
	reg := &Registration{}
	answer, err := h.replace(access, reg, request)
	if err == nil {
		h.answerUpdate(w, r, event, reg, answer)
	}
	return err
}

// sweepStanding deletes a client that has expired, so that its registrant may
// register another one.
func (h *Handler) sweepStanding(ctx context.Context, client *Client) error {
	if err := h.remove(ctx, client); err != nil {
		return unwritten(err)
	}
	event := Event{Tenant: h.tenant, Reason: "expired"}
	event.about(client)
	h.tell(ctx, event, ClientSwept)
	h.afterDelete(ctx, client)
	return nil
}

// cancel deletes the client of a statement.
func (h *Handler) cancel(w http.ResponseWriter, access *access, event Event, request *Request) error {
	ctx, client := access.http.Context(), access.client
	reg := &Registration{Request: request, Client: client, Previous: client, Statement: request.statement, Caller: access.caller, HTTP: access.http}
	if err := h.spend(ctx, reg); err != nil {
		return err
	}
	if err := h.remove(ctx, client); err != nil {
		return unwritten(err)
	}
	request.bill.kept = true
	object := objectWriter{dst: *scratch.Get().(*[]byte)}
	object.text("client_id", client.ID)
	object.raw("grant_types", []byte("[]"))
	object.text("software_statement", request.SoftwareStatement)
	answer, err := object.finish()
	h.tell(ctx, event, ClientDeleted)
	h.afterDelete(ctx, client) // which may change the client
	if err == nil {
		send(w, http.StatusOK, answer)
	}
	return err
}

// turns makes the requests for the client of one statement wait for each other
// within this process, so that only the first of them registers it. Between
// processes, checkSingle asks the store.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{}
}

// turn waits until no other request works on the client of a statement, for at most
// StoreTimeout; leave lets the next one go on.
func (h *Handler) turn(ctx context.Context, statement *SoftwareStatement) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, h.opts.StoreTimeout)
	defer cancel()
	key := statement.Issuer + "\x00" + statement.ID
	for {
		h.turns.mu.Lock()
		ahead := h.taken[key]
		if ahead == nil {
			mine := make(chan struct{})
			put(&h.taken, key, mine)
			h.turns.mu.Unlock()
			return func() {
				h.turns.mu.Lock()
				delete(h.taken, key)
				h.turns.mu.Unlock()
				close(mine)
			}, nil
		}
		h.turns.mu.Unlock()
		select {
		case <-ahead:
		case <-ctx.Done():
			return nil, outage(ctx.Err())
		}
	}
}

// onceOnly bounds how often a statement may be used.
type onceOnly struct {
	key    string    // the key by which the store remembers that it was used; "" if it may be used again
	until  time.Time // when it would have expired anyway
	single bool      // it has one client at a time
}

// usedOnce reports whether this request uses up a statement that may be used
// only once. A stored statement was used already.
func (s *SoftwareStatement) usedOnce() bool {
	return s != nil && s.once != nil && s.once.key != ""
}

// single reports whether the statement has one client at a time.
func (s *SoftwareStatement) single() bool { return s != nil && s.once != nil && s.once.single }

// forever is how long a statement without an end is remembered.
const forever = 100 * 365 * 24 * time.Hour

// onceOnly returns the bounds that the verifier sets for a statement with these claims.
func (v *StatementVerifier) onceOnly(claims *jwt.Claims, now time.Time) *onceOnly {
	once := &onceOnly{single: v.OneClient}
	if !v.Once {
		return once
	}
	once.key = "statement:" + hashText(claims.Issuer+"\x00"+claims.ID)
	once.until = now.Add(forever)
	if !claims.Expiry.IsZero() {
		once.until = claims.Expiry.Add(jwt.Skew(v.Skew))
	} else if v.MaxAge > 0 {
		once.until = claims.IssuedAt.Add(v.MaxAge + jwt.Skew(v.Skew))
	}
	return once
}

// clientsOf returns the ids of the clients of a statement.
func (h *Handler) clientsOf(ctx context.Context, statement *SoftwareStatement) (ids []string, err error) {
	store, ok := StoreAs[StatementFinder](h.store)
	if !ok {
		return nil, errors.New("dcr: StatementVerifier.OneClient and DecodedBody.Standing need a store that is a StatementFinder; use one that is")
	}
	err = h.inStore(ctx, func(ctx context.Context) (err error) {
		ids, err = store.FindByStatement(ctx, statement.Issuer, statement.ID)
		return err
	})
	if err != nil {
		return nil, outage(err)
	}
	return ids, nil
}

// checkSingle refuses a statement that already has another client. It is called
// before the client is stored and once more after that: if two hosts store one
// at the same time, at least one of them finds the other and deletes its own.
func (h *Handler) checkSingle(ctx context.Context, reg *Registration) error {
	if !reg.Statement.single() || reg.Statement.assumed {
		return nil // anyone may have made an assumed one: do not tell them of other clients
	}
	ids, err := h.clientsOf(ctx, reg.Statement)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(ids, func(id string) bool { return id != reg.Client.ID }) {
		return errSingle
	}
	return nil
}

var errSingle = refuse(UnapprovedSoftwareStatement, "software_statement", "software_statement.single", "this software statement has a client already")

// keepSingle deletes the client again if its statement has another one.
func (h *Handler) keepSingle(ctx context.Context, reg *Registration) error {
	refused := h.checkSingle(ctx, reg)
	if refused == nil {
		return nil
	}
	var err error
	if reg.Previous == nil {
		err = h.remove(ctx, reg.Client)
	} else {
		previous := reg.Previous.Clone()
		previous.Revision = reg.Client.Revision
		err = h.inStore(ctx, func(ctx context.Context) error { return h.store.Update(ctx, previous) })
	}
	if err != nil && !errors.Is(err, ErrClientNotFound) {
		return outage(errors.Join(refused, err))
	}
	reg.Request.bill.kept = false
	return refused
}

// oneUse is the [Allowance] of a value that may be used once, which a
// [ReplayStore] remembers.
type oneUse struct {
	store     ReplayStore     // nil: that of the handler
	forgetter ReplayForgetter // the same store, nil if it cannot forget
	key       string
	until     time.Time // when it would have expired anyway
	now       time.Time
	used      error // says that it was used before
}

// UseOnce returns an [Allowance], for DecodedBody.Cost, of a value that may be
// used once. The store remembers key until the given time, when the value would
// have expired anyway; a second use before that is refused with used. now is the
// time of the request. If store is nil, the handler's store is used, which must
// be a [ReplayStore]. If the store is a [ReplayForgetter] too, a request that
// stored no client does not use the value up.
func UseOnce(store ReplayStore, key string, until, now time.Time, used *Error) Allowance {
	forgetter, _ := store.(ReplayForgetter)
	return &oneUse{store: store, forgetter: forgetter, key: key, until: until, now: now, used: used}
}

// keepIn sets the handler's store, unless the value has its own store.
func (u *oneUse) keepIn(store ClientConfigurationStore) {
	if u.store == nil {
		u.store, _ = StoreAs[ReplayStore](store)
		u.forgetter, _ = StoreAs[ReplayForgetter](store)
	}
}

// Take uses the value up.
func (u *oneUse) Take(ctx context.Context) error {
	if u.store == nil {
		return errors.New("dcr: StatementVerifier.Once and SignedRequestVerifier.Once need a Handler whose store is a ReplayStore; use one, or set SignedRequestVerifier.Replay")
	}
	fresh, err := u.store.Remember(ctx, u.key, u.until, u.now)
	switch {
	case err != nil:
		return outage(err)
	case !fresh:
		return u.used
	}
	return nil
}

// GiveBack makes the value new again, if its store can forget.
func (u *oneUse) GiveBack(ctx context.Context) error {
	if u.forgetter == nil {
		return nil
	}
	return u.forgetter.Forget(ctx, u.key)
}
