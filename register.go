package dcr

// RFC 7591 §3: a registration, from its caller to the stored client; what it
// costs, and what is given back if it fails.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/dynreg/dcr/internal/timeout"
)

// register answers POST. Who calls is known before the body is read.
func (h *Handler) register(w http.ResponseWriter, r *http.Request, event Event) {
	r, caller, err := h.admit(r)
	if err != nil {
		h.fail(w, r, event, err)
		return
	}
	draft := drafts.Get().(*draft)
	reg := &draft.reg
	defer h.reuse(draft, reg)
	reg.Caller, reg.HTTP = caller, r
	choose := h.opts.ChoosePolicy
	if choose == nil {
		choose = CallerPolicy
	}
	policy, err := choose(r, caller)
	event.Policy = policy
	if err == nil {
		err = h.prepare(reg, policy)
	}
	if err == nil {
		reg.Request, err = &draft.request, h.readRequest(&draft.request, w, r, reg.validator)
	}
	if err == nil && reg.Request.standing {
		h.stand(w, r, event, reg)
		return
	}
	var answer []byte
	if err == nil {
		answer, err = h.judgeAndAdd(r.Context(), reg)
	}
	h.answerNew(w, r, event, reg, answer, err)
}

// judgeAndAdd registers the client of a request that was read.
func (h *Handler) judgeAndAdd(ctx context.Context, reg *Registration) (answer []byte, err error) {
	reg.Statement = reg.Request.statement.clone()
	if err := Validate(ctx, reg.validator, reg); err != nil {
		return nil, err
	}
	if !reg.Statement.single() || reg.Request.standing {
		return h.add(ctx, reg)
	}
	leave, err := h.turn(ctx, reg.Statement)
	if err != nil {
		return nil, err
	}
	defer leave()
	return h.add(ctx, reg)
}

// answerNew reports a registration to Events and the hook, and answers it.
func (h *Handler) answerNew(w http.ResponseWriter, r *http.Request, event Event, reg *Registration, answer []byte, err error) {
	if err != nil {
		h.fail(w, r, event, err)
		return
	}
	event.about(reg.Client)
	h.tell(r.Context(), event, ClientRegistered)
	if h.opts.AfterRegister != nil {
		h.after(r.Context(), "AfterRegister", reg.Client, func(ctx context.Context) error { return h.opts.AfterRegister(ctx, reg) })
	}
	send(w, http.StatusCreated, answer)
}

// A draft is what a registration or an update is judged in. It is large, so drafts are reused.
type draft struct {
	reg     Registration
	request Request
}

var drafts = sync.Pool{New: func() any { return new(draft) }}

// reuse puts a draft back, unless code of the host has seen it and may have kept it. last
// is where its request was judged last: if that is not the draft's own Registration, code
// of the host may have seen the request there.
func (h *Handler) reuse(d *draft, last *Registration) {
	if last == &d.reg && !h.hostSees(d.reg.validator) && h.opts.AfterRegister == nil && h.opts.AfterUpdate == nil {
		*d = draft{reg: Registration{Items: d.reg.Items}} // nobody left a note
		drafts.Put(d)
	}
}

// hostSees reports whether code of the host sees a Registration under v before it is
// stored: a hook, or v if it is the host's. A nil v is unknown and counts as the host's.
func (h *Handler) hostSees(v Validator) bool {
	_, plain := v.(DefaultValidator)
	return !plain || h.hooked
}

// isOpen reports whether clients may register now.
func (h *Handler) isOpen(ctx context.Context) bool { return h.opts.Open == nil || h.opts.Open(ctx) }

// admit decides, before anything is read, whether clients may register now, who
// asks, and whether the host admits this request. The request that it returns
// has the caller in its context.
func (h *Handler) admit(r *http.Request) (*http.Request, *Caller, error) {
	if !h.isOpen(r.Context()) {
		return r, nil, h.closed
	}
	if h.asksCaller {
		r = chargeable(r)
	}
	caller, err := callerOf(r, h.opts.Caller)
	if err == nil && caller == nil && !h.opts.AllowAnonymous {
		err = errNoToken
	}
	if err != nil {
		return r, nil, err
	}
	r = withCaller(r, caller)
	if h.opts.Admit != nil {
		err = h.opts.Admit(r, caller)
	}
	return r, caller, err
}

// after calls a hook once the client is stored. The hook cannot undo that, so its
// error or panic is only logged, and the answer goes out.
func (h *Handler) after(ctx context.Context, name string, client *Client, hook func(context.Context) error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			h.opts.Logger.ErrorContext(ctx, name+" panicked", "client_id", client.ID, "panic", panicked, "stack", string(debug.Stack()))
		}
	}()
	if err := h.uncancelled(ctx, hook); err != nil {
		h.opts.Logger.ErrorContext(ctx, name+" failed", "client_id", client.ID, "error", err)
	}
}

// maxOrigin bounds Client.RegisteredFrom, in bytes.
const maxOrigin = 255

// origin returns what Options.Origin says, made safe to keep and show: valid
// UTF-8 without control characters.
func (h *Handler) origin(r *http.Request) string {
	if h.opts.Origin == nil {
		return ""
	}
	text := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == utf8.RuneError {
			return -1
		}
		return c
	}, h.opts.Origin(r))
	if len(text) <= maxOrigin {
		return text
	}
	return strings.ToValidUTF8(text[:maxOrigin], "")
}

// CallerPolicy returns caller.Policy, or "" for a stranger, whose caller is
// nil. It is the default of Options.ChoosePolicy. A host that wants another
// policy for strangers sets a function that ends by calling this one, so that
// the policy of an initial access token stays in force.
func CallerPolicy(r *http.Request, caller *Caller) (string, error) {
	if caller == nil {
		return "", nil
	}
	return caller.Policy, nil
}

// prepare sets up a registration under a policy.
func (h *Handler) prepare(reg *Registration, policy string) (err error) {
	reg.Limits, reg.Clock, reg.canSeal = h.opts.Limits, h.opts.Now, h.opts.Sealer != nil
	if reg.policy = policy; reg.Items == nil {
		reg.Items = make(map[string]any)
	}
	reg.validator, err = h.validator(policy)
	return err
}

// validator returns the validator of a policy; "" names Options.Validator.
func (h *Handler) validator(policy string) (Validator, error) {
	if policy == "" {
		return h.opts.Validator, nil
	}
	validator, known := h.opts.Policies[policy]
	if !known {
		return nil, fmt.Errorf("dcr: no policy is named %q in Options.Policies", policy)
	}
	return validator, nil
}

// maxIDs is how many client ids are tried until one is free.
const maxIDs = 3

// add gives the client its identifier and credentials, and stores it. It
// returns the answer, which goes out only once the client is stored. If the id
// is taken, add makes another one and new credentials, for the client as the
// steps left it, with the taken id in ID.
func (h *Handler) add(ctx context.Context, reg *Registration) ([]byte, error) {
	c := reg.Client
	reg.record()
	c.RegisteredFrom = h.origin(reg.HTTP)
	judged := *c
	if h.hostSees(reg.validator) {
		judged = *c.Clone()
	}
	defer h.settle(ctx, reg.Request)
	for attempt := 1; ; attempt++ {
		answer, err := h.answer(ctx, reg)
		if err == nil && attempt == 1 {
			err = h.spend(ctx, reg)
		}
		if err != nil {
			return nil, err
		}
		err = h.keep(ctx, reg, h.store.Add)
		switch {
		case err == nil:
			return answer, h.keepSingle(ctx, reg)
		case errors.Is(err, ErrClientExists) && attempt < maxIDs:
			taken := c.ID
			*c = *judged.Clone()
			c.ID = taken
		case errors.Is(err, ErrClientExists):
			return nil, fmt.Errorf("dcr: the %d ids that Options.NewClientID made, %q the last, are all taken; make it return unique ids, or an *Error when reg.Client.ID says that one is taken: %w", maxIDs, c.ID, err)
		default:
			return nil, outage(err)
		}
	}
}

// record notes in the client how it was registered.
func (reg *Registration) record() {
	c, now := reg.Client, reg.Now()
	c.Source, c.Policy = SourceDynamic, reg.policy
	c.CreatedAt, c.UpdatedAt = now, now
	if reg.Caller != nil {
		c.RegisteredBy, c.Notes = strings.Clone(reg.Caller.Subject), reg.Caller.Notes // not a whole token
	}
}

// answer issues the client's credentials and makes the answer to a
// registration.
func (h *Handler) answer(ctx context.Context, reg *Registration) ([]byte, error) {
	secret, err := h.issue(ctx, reg, h.opts.RotateSecret)
	if err != nil {
		return nil, err
	}
	return h.respond(ctx, reg, secret, h.issueToken(reg))
}

// uncancelled calls do, which goes on for a bounded time if the request is cancelled, so
// that an answer and what happened never disagree.
func (h *Handler) uncancelled(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.opts.StoreTimeout)
	defer cancel()
	return do(ctx)
}

// inStore is uncancelled for a call of the store, whose time begins when the store first
// looks at its context.
func (h *Handler) inStore(ctx context.Context, call func(context.Context) error) error {
	bounded := timeout.New(context.WithoutCancel(ctx), h.opts.StoreTimeout)
	defer bounded.End()
	return call(bounded)
}

// bill is what a request has used up.
type bill struct {
	room            *room // nil if it needs none
	paid            []Allowance
	body, statement bool // paid has what the body, or its statement, uses up
	kept            bool // the client is stored, or may be: nothing is given back
}

// spend takes what a registration or an update costs, right before its client
// is stored. An update that is tried again has already paid. If one cost is
// refused, settle gives the others back; those that the store may be unable to
// give back come last.
func (h *Handler) spend(ctx context.Context, reg *Registration) error {
	if err := h.checkSingle(ctx, reg); err != nil {
		return err
	}
	bill := &reg.Request.bill
	if reg.Previous == nil && h.ceiling.Limit > 0 {
		bill.room = &room{handler: h, now: reg.Now()}
		if err := h.uncancelled(ctx, bill.room.take); err != nil {
			return err
		}
	}
	for _, cost := range h.costs(ctx, reg) {
		if err := h.uncancelled(ctx, cost.Take); err != nil {
			return err
		}
		bill.paid = append(bill.paid, cost)
	}
	bill.body, bill.statement = true, bill.statement || reg.Statement.usedOnce()
	return nil
}

// costs are what the registration or update costs, apart from the room for a client:
// what its caller is charged, what its body uses up, and its statement.
func (h *Handler) costs(ctx context.Context, reg *Registration) []Allowance {
	var costs []Allowance
	if reg.Previous == nil {
		costs = reg.charged(ctx, costs)
	}
	request := reg.Request
	if request.cost != nil && !request.bill.body {
		costs = append(costs, request.cost)
	}
	if reg.Statement.usedOnce() && !request.bill.statement {
		once := reg.Statement.once
		use := &oneUse{
			key: once.key, until: once.until, now: reg.Now(),
			used: invalidStatement("replay", "was used before; each may be used once"),
		}
		use.keepIn(h.store)
		costs = append(costs, use)
	}
	return costs
}

// keep stores the client. Unless the store says that it stored nothing, the
// client may be stored, and nothing is given back.
func (h *Handler) keep(ctx context.Context, reg *Registration, store func(context.Context, *Client) error) error {
	bill := &reg.Request.bill
	bill.kept = true
	err := h.inStore(ctx, func(ctx context.Context) error { return store(ctx, reg.Client) })
	for _, nothing := range []error{ErrClientExists, ErrStoreFull, ErrConflict, ErrClientNotFound, ErrClientID} {
		if errors.Is(err, nothing) {
			bill.kept = false
		}
	}
	return err
}

// settle gives back what a request paid, the last first, if nothing was stored,
// even if a hook panicked. It may be called again.
func (h *Handler) settle(ctx context.Context, request *Request) {
	bill := &request.bill
	if bill.room != nil {
		bill.room.settle(bill.kept)
		bill.room = nil
	}
	if bill.kept {
		return
	}
	paid := bill.paid
	bill.paid, bill.body, bill.statement = nil, false, false
	h.giveBack(ctx, paid)
}

// giveBack gives costs back, the last first, and the others also if one panics.
func (h *Handler) giveBack(ctx context.Context, paid []Allowance) {
	if len(paid) == 0 {
		return
	}
	last := len(paid) - 1
	defer h.giveBack(ctx, paid[:last])
	if err := h.uncancelled(ctx, paid[last].GiveBack); err != nil {
		h.opts.Logger.WarnContext(ctx, "nothing was stored, but what the registration cost could not be given back", "error", err)
	}
}

// remove deletes a client; only the revision that was read, if the store can.
func (h *Handler) remove(ctx context.Context, client *Client) error {
	return h.inStore(ctx, func(ctx context.Context) error {
		if store, ok := StoreAs[RevisionDeleter](h.store); ok {
			return store.DeleteRevision(ctx, client.ID, client.Revision)
		}
		return h.store.Delete(ctx, client.ID)
	})
}
