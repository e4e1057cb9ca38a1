package dcr

// What happened to clients, for the operator's logs, metrics and audit trails.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dynreg/dcr/internal/tally"
)

// EventKind says what happened.
type EventKind string

// The kinds of event.
const (
	ClientRegistered   EventKind = "registered"
	ClientRead         EventKind = "read"
	ClientUpdated      EventKind = "updated"             // by a PUT; Members is empty if nothing changed
	CredentialsRotated EventKind = "credentials_rotated" // Members says which
	ClientDeleted      EventKind = "deleted"
	ClientApproved     EventKind = "approved"
	ClientDisabled     EventKind = "disabled"
	ClientEnabled      EventKind = "enabled"
	ClientSwept        EventKind = "swept"   // deleted by a sweep; Reason says why
	ClientEvicted      EventKind = "evicted" // deleted to make room; Reason says why
	RequestRefused     EventKind = "refused" // Err is what was answered
	DocumentFetched    EventKind = "document_fetched"
	DocumentChanged    EventKind = "document_changed"
	DocumentRefused    EventKind = "document_refused"
)

// Event is something that happened to a client. It never has a secret in it.
// Fields that do not apply, or are not known, are zero. Do not change what Caller,
// Err and Members point to: others read it too.
type Event struct {
	Kind     EventKind
	At       time.Time
	ClientID string        // for a refusal: the id that the request named, whether or not there is such a client
	Tenant   string        // as the store says, "" for none
	Policy   string        // the name in Options.Policies, "" for Options.Validator
	Source   Source        // of the client; SourceDynamic for a refused registration too
	Caller   *Caller       // who asked, nil for a stranger
	Operator string        // who acted through package admin
	Members  []string      // that were changed
	Err      *Error        // the refusal
	Reason   string        // of a sweep, an eviction, a denial or a fetch: never_activated, idle, expired, withdrawn, ceiling, denied, blocked_address …
	Duration time.Duration // from the beginning of the request until the event
}

// LogEvents returns a function for Options.Events that logs events: changes of
// clients at level info, reads and refusals at level debug. Since strangers can
// cause any number of refusals, it also logs at level info, once a minute, how
// many there were by rule, for at most 256 rules about members and 256 others. If
// logger is nil, slog.Default.
func LogEvents(logger *slog.Logger) func(ctx context.Context, event Event) {
	refusals, ofMembers := new(tally.Tally), new(tally.Tally) // apart, so that no request can hide an outage
	return func(ctx context.Context, event Event) {
		to := logger
		if to == nil {
			to = slog.Default()
		}
		if event.Err != nil {
			about := []any{"rule", cmp.Or(event.Err.Rule, string(event.Err.code()))}
			if event.Err.Err != nil {
				about = append(about, "error", event.Err.Err)
			}
			tallied := refusals
			if event.Err.Member != "" {
				tallied = ofMembers
			}
			tallied.Log(ctx, to, slog.LevelInfo, fmt.Sprint(event.message(), about[1]), event.message(), about...)
		}
		if level := event.level(); to.Enabled(ctx, level) {
			var room [16]slog.Attr
			line := slog.NewRecord(event.At, level, event.message(), 0) // without a source, which would always be this line
			line.AddAttrs(event.attrs(room[:0])...)
			_ = to.Handler().Handle(ctx, line)
		}
	}
}

func (e *Event) level() slog.Level {
	switch e.Kind {
	case RequestRefused, DocumentRefused, DocumentFetched, ClientRead:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func (e *Event) message() string {
	switch e.Kind {
	case ClientRegistered:
		return "client registered"
	case CredentialsRotated:
		return "client credentials rotated"
	case RequestRefused:
		return e.asked() + " refused"
	case DocumentFetched:
		return "client document fetched"
	case DocumentChanged:
		return "client document changed"
	case DocumentRefused:
		return "client document refused"
	}
	return "client " + string(e.Kind)
}

// asked says what a request that did not succeed was for: a registration, the
// management of a client, or neither.
func (e *Event) asked() string {
	switch {
	case e.ClientID != "":
		return "client management"
	case e.Source == SourceDynamic:
		return "client registration"
	}
	return "client request"
}

// attrs appends what is known.
func (e *Event) attrs(to []slog.Attr) []slog.Attr {
	text := func(name, value string) {
		if value != "" {
			to = append(to, slog.String(name, value))
		}
	}
	text("client_id", e.ClientID)
	text("tenant", e.Tenant)
	text("policy", e.Policy)
	text("source", string(e.Source))
	if e.Caller != nil {
		text("caller", e.Caller.Subject)
	}
	text("operator", e.Operator)
	if e.Members != nil {
		to = append(to, slog.Any("members", e.Members))
	}
	if e.Err != nil {
		text("code", string(e.Err.code()))
		text("rule", e.Err.Rule)
		text("member", e.Err.Member)
		text("description", e.Err.Description)
		if e.Err.Err != nil {
			to = append(to, slog.Any("error", e.Err.Err))
		}
	}
	text("reason", e.Reason)
	if e.Duration != 0 {
		to = append(to, slog.Duration("duration", e.Duration))
	}
	return to
}

// about fills in which client an event is about.
func (e *Event) about(client *Client) {
	e.ClientID, e.Policy, e.Source = client.ID, client.Policy, client.Source
}

// teller reports events to Options.Events, and faults of the server to the log.
type teller struct {
	sink   func(ctx context.Context, event Event)
	logger *slog.Logger // nil: slog.Default
	tenant string
	now    func() time.Time
	faults tally.Tally
}

// begin returns the event of a request. Its At is when the request came, until
// tell sets it.
func (t *teller) begin() Event { return Event{At: t.now(), Tenant: t.tenant} }

// tell reports an event; that of a request was made by begin. A panic of the sink is
// recovered, since it must not change what happened.
func (t *teller) tell(ctx context.Context, event Event, kind EventKind) {
	defer func() {
		if panicked := recover(); panicked != nil {
			t.log().ErrorContext(ctx, "Options.Events panicked", "event", string(kind), "client_id", event.ClientID, "panic", panicked, "stack", string(debug.Stack()))
		}
	}()
	now := t.now()
	if !event.At.IsZero() { // the event of a request: set its caller
		event.Duration, event.Caller = now.Sub(event.At), CallerFromContext(ctx)
	}
	event.Kind, event.At = kind, now
	t.sink(ctx, event)
}

// refused reports an error that is about to be answered, unless the client has
// gone away.
func (t *teller) refused(r *http.Request, event Event, err error) {
	logFault(r, t.log(), &t.faults, event.asked(), err)
	if abandoned(r, err) {
		return
	}
	event.Err = asShown(err)
	t.tell(r.Context(), event, RequestRefused)
}

func (t *teller) log() *slog.Logger {
	if t.logger == nil {
		return slog.Default()
	}
	return t.logger
}

// tellUpdate reports an update, and the credentials that it renewed.
func (t *teller) tellUpdate(ctx context.Context, event Event, reg *Registration) {
	event.about(reg.Client)
	event.Members = changedMembers(reg.Previous, reg.Client)
	t.tell(ctx, event, ClientUpdated)
	if event.Members = rotated(reg.Previous, reg.Client); len(event.Members) > 0 {
		t.tell(ctx, event, CredentialsRotated)
	}
}

// changedMembers names the metadata that an update changed: registered members
// in their order, then language-tagged ones and extensions by name.
func changedMembers(before, after *Client) (changed []string) {
	set := members.Set(&before.Metadata).Or(members.Set(&after.Metadata))
	for i := range set.Places() {
		if f := &members.Fields[i]; !f.Equal(&before.Metadata, &after.Metadata) {
			changed = append(changed, f.Name)
		}
	}
	changed = appendChanged(changed, before.Localized, after.Localized, func(a, b string) bool { return a == b })
	return appendChanged(changed, before.Extra, after.Extra, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

// appendChanged appends the names whose values differ, in order.
func appendChanged[V any](changed []string, before, after map[string]V, same func(a, b V) bool) []string {
	first := len(changed)
	for name, value := range after {
		if old, had := before[name]; !had || !same(old, value) {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if _, has := after[name]; !has {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed[first:])
	return changed
}

// rotated names the kinds of credentials that after has and before did not
// have.
func rotated(before, after *Client) (names []string) {
	if fresh := after.newestSecret(); fresh != "" && fresh != before.newestSecret() {
		names = append(names, "client_secret")
	}
	if fresh := after.RegistrationTokens; len(fresh) > 0 && (len(before.RegistrationTokens) == 0 || fresh[0].Value != before.RegistrationTokens[0].Value) {
		names = append(names, "registration_access_token")
	}
	return names
}
