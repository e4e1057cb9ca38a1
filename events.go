package dcr

// What happened to clients, for the operator's logs, metrics and audits.

import "time"

// EventKind says what happened.
type EventKind string

// What may happen.
const (
	ClientRegistered   EventKind = "registered"
	ClientRead         EventKind = "read"
	ClientUpdated      EventKind = "updated"             // by a PUT; Members is empty where nothing changed
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
// What does not apply, or is not known, is zero.
type Event struct {
	Kind     EventKind
	At       time.Time
	ClientID string
	Tenant   string // as the store says, "" for none
	Policy   string // the name in Options.Policies, "" for Options.Validator
	Source   Source
	Caller   *Caller  // who asked, nil for a stranger
	Operator string   // who acted through package admin
	Members  []string // that were changed
	Err      *Error   // the refusal
	Reason   string   // of a sweep, an eviction, a denial or a fetch: never_activated, idle, expired, withdrawn, ceiling, denied, blocked_address …
	Duration time.Duration
}
