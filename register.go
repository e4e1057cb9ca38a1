package dcr

// RFC 7591 §3: a registration, from the caller to the stored client: what it
// costs, where room is made for it, and what is given back when it fails.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dynreg/dcr/internal/jwt"
)

// register answers POST. The caller is settled before the body is read.
func (h *Handler) register(w http.ResponseWriter, r *http.Request) {
	if h.asksCaller {
		r = chargeable(r)
	}
	caller, err := h.opts.Caller(r)
	if err == nil && caller == nil && !h.opts.AllowAnonymous {
		err = errNoToken
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	reg := &Registration{Caller: caller, HTTP: r}
	choose := h.opts.ChoosePolicy
	if choose == nil {
		choose = CallerPolicy
	}
	policy, err := choose(r, caller)
	var validator Validator
	if err == nil {
		validator, err = h.prepare(reg, policy)
	}
	if err == nil {
		reg.Request, err = h.readRequest(w, r, validator)
	}
	if err == nil {
		err = Validate(r.Context(), validator, reg)
	}
	var answer []byte
	if err == nil {
		answer, err = h.add(r.Context(), reg)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.opts.Logger.DebugContext(r.Context(), "client registered", "client_id", reg.Client.ID)
	send(w, http.StatusCreated, answer)
}

// CallerPolicy names the policy that the caller brings with it, "" for a
// stranger: the default of Options.ChoosePolicy. A host that treats strangers
// differently sets a function that ends with this one, so that the policy of an
// initial access token stays in force.
func CallerPolicy(r *http.Request, caller *Caller) (string, error) {
	if caller == nil {
		return "", nil
	}
	return caller.Policy, nil
}

// prepare sets up a registration under a policy and returns its validator.
func (h *Handler) prepare(reg *Registration, policy string) (Validator, error) {
	reg.Limits, reg.now, reg.canSeal = h.opts.Limits, h.opts.Now, h.opts.Sealer != nil
	reg.Items, reg.policy = make(map[string]any), policy
	validator, err := h.validator(policy)
	reg.validator = validator
	return validator, err
}

// validator is the one of a policy, "" for Options.Validator.
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

// maxIDs is how often a client id that is taken is drawn again.
const maxIDs = 3

// add gives the client its identifier and credentials, and stores it. It
// returns the answer, which goes out only once the client is stored.
func (h *Handler) add(ctx context.Context, reg *Registration) ([]byte, error) {
	c, now := reg.Client, reg.Now()
	c.Source, c.Policy = SourceDynamic, reg.policy
	c.CreatedAt, c.UpdatedAt = now, now
	if reg.Caller != nil {
		c.RegisteredBy, c.Notes = reg.Caller.Subject, reg.Caller.Notes
	}
	reg.recordStatement()
	answer, err := h.answer(ctx, reg)
	if err == nil {
		err = h.spend(ctx, reg)
	}
	if err != nil {
		return nil, err
	}
	if err := h.makeRoom(ctx, now); err != nil {
		h.refund(ctx, reg)
		return nil, outage(err)
	}
	for attempt := 1; ; attempt++ {
		err := h.uncancelled(ctx, func(ctx context.Context) error { return h.store.Add(ctx, c) })
		switch {
		case err == nil:
			return answer, h.keepSingle(ctx, reg)
		case errors.Is(err, ErrClientExists) && attempt < maxIDs:
			answer, err = h.answer(ctx, reg)
		case errors.Is(err, ErrClientExists):
			err = fmt.Errorf("dcr: NewClientID returned ids that are taken: %w", err)
		case errors.Is(err, ErrStoreFull):
			err = outage(err)
		default: // it may have been stored: what it cost is gone
			return nil, outage(err)
		}
		if err != nil {
			h.refund(ctx, reg)
			return nil, err
		}
	}
}

// makeRoom holds the store to Options.MaxClients.
func (h *Handler) makeRoom(ctx context.Context, now time.Time) error {
	if h.ceiling.limit <= 0 {
		return nil
	}
	return h.uncancelled(ctx, func(ctx context.Context) error { return h.ceiling.take(ctx, now) })
}

// answer issues what the client needs and writes the answer to a registration.
func (h *Handler) answer(ctx context.Context, reg *Registration) ([]byte, error) {
	secret, err := h.issue(ctx, reg)
	if err != nil {
		return nil, err
	}
	return h.respond(ctx, reg, secret, h.issueToken(reg))
}

// uncancelled runs a write to the store that outlives a cancelled request by a
// bounded time, so that an answer and the store never disagree.
func (h *Handler) uncancelled(ctx context.Context, store func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.opts.StoreTimeout)
	defer cancel()
	return store(ctx)
}

// spend uses up what a registration or an update costs, right before its client
// is stored: what its caller pays, what its body uses up, and the statement.
func (h *Handler) spend(ctx context.Context, reg *Registration) error {
	for _, cost := range reg.costs(ctx) {
		if err := h.uncancelled(ctx, cost.Take); err != nil {
			h.refund(ctx, reg)
			return err
		}
		reg.paid = append(reg.paid, cost)
	}
	err := h.takeStatement(ctx, reg)
	if err != nil {
		h.refund(ctx, reg)
	}
	return err
}

// refund gives back what spend took, as far as it can be: the store holds no
// client for it.
func (h *Handler) refund(ctx context.Context, reg *Registration) {
	for _, cost := range reg.paid {
		if err := h.uncancelled(ctx, cost.GiveBack); err != nil {
			h.opts.Logger.WarnContext(ctx, "what a registration cost is lost, although nothing was stored", "error", err)
		}
	}
	reg.paid = nil
}

// onceOnly says how a statement is bounded in what it may be used for.
type onceOnly struct {
	key    string    // under which the store remembers that it was used; "" if it may be used again
	until  time.Time // when it would have expired anyway
	single bool      // it has one client at a time
}

// forever is how long a statement without an end is remembered.
const forever = 100 * 365 * 24 * time.Hour

// onceOnly bounds the use of a statement as the verifier says.
func (v *StatementVerifier) onceOnly(statement *SoftwareStatement, claims *jwt.Claims, now time.Time) *onceOnly {
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

// takeStatement uses the statement up, where it may be used but once. It comes
// right before the client is written, so that a registration that fails for
// another reason costs nothing; an update that another one outran has paid.
func (h *Handler) takeStatement(ctx context.Context, reg *Registration) error {
	if reg.Statement == nil || reg.Statement.once == nil || reg.Request.paid {
		return nil
	}
	if err := h.checkSingle(ctx, reg); err != nil {
		return err
	}
	once := reg.Statement.once
	if once.key == "" {
		return nil
	}
	store, ok := StoreAs[ReplayStore](h.store)
	if !ok {
		return errors.New("dcr: StatementVerifier.Once needs a store that is a ReplayStore")
	}
	fresh := false
	err := h.uncancelled(ctx, func(ctx context.Context) (err error) {
		fresh, err = store.Remember(ctx, once.key, once.until, reg.Now())
		return err
	})
	switch {
	case err != nil:
		return outage(err)
	case !fresh:
		return invalidStatement("replay", "was used before; each may be used once")
	}
	reg.Request.paid = true
	return nil
}

// checkSingle refuses a statement that has another client already. It is asked
// before the client is written and again after it: of two that are written at
// once, one at least finds the other and is taken back, on whatever hosts.
func (h *Handler) checkSingle(ctx context.Context, reg *Registration) error {
	if reg.Statement == nil || reg.Statement.once == nil || !reg.Statement.once.single {
		return nil
	}
	store, ok := StoreAs[StatementFinder](h.store)
	if !ok {
		return errors.New("dcr: StatementVerifier.OneClient needs a store that is a StatementFinder")
	}
	var ids []string
	err := h.uncancelled(ctx, func(ctx context.Context) (err error) {
		ids, err = store.FindByStatement(ctx, reg.Statement.Issuer, reg.Statement.ID)
		return err
	})
	if err != nil {
		return outage(err)
	}
	if slices.ContainsFunc(ids, func(id string) bool { return id != reg.Client.ID }) {
		return refuse(UnapprovedSoftwareStatement, "software_statement", "software_statement.single", "this software statement has a client already")
	}
	return nil
}

// keepSingle takes a client back that was stored beside another one of its
// statement.
func (h *Handler) keepSingle(ctx context.Context, reg *Registration) error {
	refused := h.checkSingle(ctx, reg)
	if refused == nil {
		return nil
	}
	err := h.uncancelled(ctx, func(ctx context.Context) error {
		if reg.Previous == nil {
			return h.store.Delete(ctx, reg.Client.ID)
		}
		previous := reg.Previous.Clone()
		previous.Revision = reg.Client.Revision
		return h.store.Update(ctx, previous)
	})
	if err != nil {
		return outage(errors.Join(refused, err))
	}
	h.refund(ctx, reg)
	return refused
}

// recountEvery is how often the store is asked how many clients it holds.
// Between, a handler counts what it added itself.
const recountEvery = 10 * time.Second

// ceiling holds the number of stored clients to Options.MaxClients. It is as
// exact as the last count: hosts that share a store may exceed it together by
// what they add in between.
type ceiling struct {
	counter ClientCounter
	limit   int64

	mu      sync.Mutex
	count   int64
	counted time.Time
}

// take makes room for one more client, or returns ErrStoreFull.
func (c *ceiling) take(ctx context.Context, now time.Time) error {
	if c.limit <= 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counted.IsZero() || now.Sub(c.counted) >= recountEvery {
		count, err := c.counter.CountClients(ctx, Filter{})
		if err != nil {
			return err
		}
		c.count, c.counted = count, now
	}
	if c.count >= c.limit {
		return ErrStoreFull
	}
	c.count++
	return nil
}
