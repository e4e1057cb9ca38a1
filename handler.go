package dcr

// RFC 7591 §3: the client registration endpoint.

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr/internal/ceiling"
)

// Handler is the registration endpoint and the client configuration endpoint:
// POST registers (RFC 7591 §3); GET, PUT and DELETE with a client id read,
// update and delete that client (RFC 7592 §2). The client id is taken from the
// path parameter client_id (http.Request.PathValue), from the query or, if
// Options.ClientURI has it in the path, from what follows Endpoint's path.
//
// Make one with [NewHandler]; it is safe for concurrent use, and cheap enough
// to have one for each of thousands of tenants.
type Handler struct {
	store        ClientConfigurationStore
	opts         Options
	endpointPath string
	pathForm     bool
	teller
	turns
	ceiling    ceiling.Ceiling
	evictor    ClientEvictor // nil if no client is evicted
	evicts     sync.Once     // warns of that
	closed     *Error        // the answer while Options.Open says no
	given      *Options      // as the host set them
	asksCaller bool          // Options.Caller is the host's
	hooked     bool          // a hook of the host runs between Validate and the store
}

// NewHandler returns a handler that keeps clients in store. If options
// contradict each other, its error says what to change. A nil opts lacks
// Endpoint, which is required.
func NewHandler(store ClientConfigurationStore, opts *Options) (*Handler, error) {
	if store == nil {
		return nil, errors.New("dcr: NewHandler: the store is nil; use memstore.New, or a store that keeps clients for good")
	}
	if opts == nil {
		opts = &Options{}
	}
	if err := opts.check(store); err != nil {
		return nil, fmt.Errorf("dcr: NewHandler: %w", err)
	}
	endpoint, err := url.Parse(opts.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("dcr: NewHandler: Options.Endpoint: %w", err)
	}
	counter, counts := StoreAs[ClientCounter](store)
	if opts.MaxClients > 0 && !counts {
		return nil, errors.New("dcr: NewHandler: Options.MaxClients needs a store that counts its clients; the store is not a ClientCounter")
	}
	h := &Handler{
		store:        store,
		opts:         opts.withDefaults(),
		endpointPath: cmp.Or(endpoint.Path, "/"),
		pathForm:     strings.Contains(strings.SplitN(opts.ClientURI, "?", 2)[0], clientIDPlace),
		given:        new(*opts),
		asksCaller:   opts.Caller != nil,
		hooked:       opts.NewClientID != nil || opts.NewClientSecret != nil || opts.ModifyResponse != nil,
	}
	h.teller.sink, h.teller.logger, h.teller.now = h.opts.Events, h.opts.Logger, h.opts.Now
	if of, ok := StoreAs[interface{ Tenant() string }](store); ok {
		h.teller.tenant = of.Tenant()
	}
	h.closed = refuse(AccessDenied, "", "registration.closed", "this server registers no clients at the moment")
	h.closed.Status = h.opts.ClosedStatus
	if h.opts.EvictAfter > 0 {
		h.evictor, _ = StoreAs[ClientEvictor](store)
	}
	if opts.MaxClients > 0 {
		h.ceiling.Limit, h.ceiling.Logger = opts.MaxClients, h.opts.Logger
		h.ceiling.Count = func(ctx context.Context) (int64, error) { return counter.CountClients(ctx, Filter{}) }
	}
	for _, warning := range h.Warnings() {
		h.opts.Logger.Warn("client registration: " + warning)
	}
	return h, nil
}

// Endpoint returns Options.Endpoint.
func (h *Handler) Endpoint() string { return h.opts.Endpoint }

// Capabilities returns what Options.Validator supports, for the host's
// discovery document.
func (h *Handler) Capabilities() Capabilities { return h.opts.Validator.Capabilities() }

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	keepFromCaches(header)
	event := h.begin()
	clientID, below, err := h.clientID(r)
	h.opts.CORS.answer(header, r, h.allow(below))
	registers := r.Method == http.MethodPost && !below
	if registers {
		event.Source = SourceDynamic
	}
	if err != nil {
		h.fail(w, r, event, err)
		return
	}
	if CheckClientID(clientID) == nil {
		event.ClientID = clientID
	}
	switch {
	case r.Method == http.MethodOptions:
		header.Set("Allow", h.allow(below))
		w.WriteHeader(http.StatusNoContent)
	case registers:
		h.register(w, r, event)
	case clientID == "" || h.opts.DisableManagement:
		h.fail(w, r, event, h.refuseMethod(w, below))
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		h.read(w, r, clientID, event)
	case r.Method == http.MethodPut:
		h.update(w, r, clientID, event)
	case r.Method == http.MethodDelete:
		h.delete(w, r, clientID, event)
	default:
		h.fail(w, r, event, h.refuseMethod(w, below))
	}
}

// clientID finds which client the request names. below reports that the request
// is not for the registration endpoint itself, even if it names no client: such
// a request never registers a client, however the host mounted the handler.
func (h *Handler) clientID(r *http.Request) (id string, below bool, err error) {
	id = r.PathValue("client_id")
	if id == "" && r.URL.Path != h.endpointPath {
		id, below = h.belowEndpoint(r)
	}
	if r.URL.RawQuery == "" {
		return id, below || id != "", nil
	}
	named, count, err := queriedClient(r.URL.RawQuery)
	if err != nil {
		return "", false, refuse(InvalidRequest, "", "query.malformed", "the query is malformed")
	}
	sent := count > 0
	if count > 1 || id != "" && sent && named != id {
		return "", false, refuse(InvalidRequest, "", "query.client_id", "client_id must be given once")
	}
	if sent {
		id = named
	}
	return id, below || sent || id != "", nil
}

// queriedClient returns the first client_id of a query, and how many there are.
func queriedClient(query string) (id string, count int, err error) {
	id, first := strings.CutPrefix(query, "client_id=")
	if first && isPlainValue(id) && !strings.ContainsAny(id, "&;") {
		return id, 1, nil // the query of registration_client_uri, which needs no map
	}
	parsed, err := url.ParseQuery(query)
	if named := parsed["client_id"]; len(named) > 0 {
		return named[0], len(named), err
	}
	return "", 0, err
}

// belowEndpoint returns what follows the registration endpoint in the path that
// was requested, before the host's mux stripped a prefix. If a proxy changed the
// path, the subtree that the handler is mounted at is taken for the endpoint.
func (h *Handler) belowEndpoint(r *http.Request) (id string, below bool) {
	path := r.URL.Path
	if target, err := url.ParseRequestURI(r.RequestURI); err == nil {
		path = target.Path
	}
	if path == h.endpointPath {
		return "", false
	}
	base := strings.TrimSuffix(h.endpointPath, "/") + "/"
	if !strings.HasPrefix(path, base) {
		base = r.Pattern[strings.IndexByte(r.Pattern, '/')+1:]
		if base = "/" + base; base == "/" || !strings.HasSuffix(base, "/") {
			return "", false
		}
	}
	id, below = strings.CutPrefix(path, base)
	if !below || !h.pathForm || strings.Contains(id, "/") {
		id = ""
	}
	return id, below
}

// allow lists the methods for the Allow header.
func (h *Handler) allow(below bool) string {
	switch {
	case !below:
		return "POST, OPTIONS"
	case h.opts.DisableManagement:
		return "OPTIONS"
	}
	return "GET, HEAD, PUT, DELETE, OPTIONS"
}

func (h *Handler) refuseMethod(w http.ResponseWriter, below bool) error {
	w.Header().Set("Allow", h.allow(below))
	return notAllowed(h.allow(below))
}

// readRequest reads the body, under the policy of v, into a zero Request, and
// notes what the body uses up.
func (h *Handler) readRequest(request *Request, w http.ResponseWriter, r *http.Request, v Validator) error {
	decode, err := h.decoder(r.Header, v)
	if err != nil {
		return err
	}
	body, err := h.readBody(w, r)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return emptyBody()
	}
	ctx := r.Context()
	if fetch := v.sealed().fetch; fetch != nil {
		ctx = context.WithValue(ctx, fetcherKey{}, fetch)
	}
	if h.given.Now != nil {
		ctx = context.WithValue(ctx, clockKey{}, h.given.Now)
	}
	decoded, err := decode(ctx, r, body)
	if err != nil {
		return err
	}
	limits := h.opts.Limits
	if r.Method == http.MethodPut {
		limits.Members += len(members.Fields) // a client sends back the answer, which has the defaults too
	}
	if err := request.parse(decoded.JSON, limits); err != nil {
		return err
	}
	request.Signer, request.cost, request.finding = decoded.Signer, decoded.Cost, decoded.finding
	request.noteStatement(&decoded)
	if use, once := decoded.Cost.(*oneUse); once {
		use.keepIn(h.store)
	}
	return nil
}

// fetcherKey is where a Decoder finds the DefaultValidator's GuardedClient.
type fetcherKey struct{}

func fetcherOf(ctx context.Context) *GuardedClient {
	fetch, _ := ctx.Value(fetcherKey{}).(*GuardedClient)
	return fetch
}

// clockKey is where a Decoder finds Options.Now.
type clockKey struct{}

// Now returns the time for a [Decoder] that was called with ctx: that of the
// Handler's Options.Now. With any other context it returns time.Now.
func Now(ctx context.Context) time.Time {
	if clock, ok := ctx.Value(clockKey{}).(func() time.Time); ok {
		return clock()
	}
	return time.Now()
}

const jsonType = "application/json"

// Decoder turns a body into a client registration request. An [*Error] refuses
// the request and is shown; any other error is logged and answered with 500.
// The body of r has already been read.
type Decoder func(ctx context.Context, r *http.Request, body []byte) (DecodedBody, error)

// DecodedBody is what a [Decoder] made of a body.
type DecodedBody struct {
	JSON   []byte    // the client registration request
	Signer string    // who signed it, named as in SoftwareStatement.Signer, "" for nobody; becomes Request.Signer
	Cost   Allowance // what the body uses up, such as a jti that may be used once ([UseOnce]); nil for nothing

	// Statement is the software statement that the Decoder verified; it becomes
	// Registration.Statement. If nil, ValidateSoftwareStatement looks for one.
	Statement *SoftwareStatement

	// Standing says that Statement, by its Issuer and ID, has at most one client
	// and may manage it: if there is one, a POST replaces its metadata as a PUT
	// does, even if management is off, and is answered with 200.
	// Options.ManageClient and Validator.AuthorizeManagement are called then. The
	// handler's store must be a StatementFinder.
	Standing bool

	// Cancels makes a POST delete that client; if there is none, the POST is
	// refused. The body is not judged further. It needs Standing, and has no
	// effect on a PUT.
	Cancels bool

	finding finding // about the software statement in it
}

// PlainJSON is the Decoder of application/json.
func PlainJSON(ctx context.Context, r *http.Request, body []byte) (DecodedBody, error) {
	return DecodedBody{JSON: body}, nil
}

// decoder finds the Decoder for a body by its media type, whose parameters have
// no meaning (RFC 8259 §11).
func (h *Handler) decoder(header http.Header, v Validator) (Decoder, error) {
	decoders := v.Decoders()
	if decoders == nil {
		decoders = h.opts.Decoders
	}
	types, encodings := header["Content-Type"], header["Content-Encoding"]
	plain := len(encodings) == 0 || len(encodings) == 1 && (encodings[0] == "" || strings.EqualFold(encodings[0], "identity"))
	mediaType := ""
	if len(types) == 1 {
		mediaType = mediaTypeOf(types[0])
	}
	if decode := decoders[mediaType]; decode != nil && plain {
		return decode, nil
	}
	refused := refuse(InvalidRequest, "", "body.media_type", "the body must be %s, not compressed; the request has %s", strings.Join(sortedKeys(decoders), " or "), sentAs(types, mediaType, plain))
	refused.Status = http.StatusUnsupportedMediaType
	return nil, refused
}

// mediaTypeOf returns a Content-Type without its parameters, well-formed or
// not, and "" if it is not a media type.
func mediaTypeOf(contentType string) string {
	if contentType == jsonType {
		return jsonType
	}
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType, _, err := mime.ParseMediaType(mediaType)
	if err != nil || len(mediaType) > 64 {
		return ""
	}
	return mediaType
}

// sentAs says, for a refusal, which type the body had.
func sentAs(types []string, mediaType string, plain bool) string {
	switch {
	case len(types) == 0:
		return "no Content-Type"
	case len(types) > 1:
		return "more than one Content-Type"
	case mediaType == "":
		return "no media type"
	case !plain:
		return mediaType + " with a Content-Encoding"
	}
	return mediaType
}

func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > h.opts.MaxBodyBytes {
		return nil, tooLarge(h.opts.MaxBodyBytes)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.opts.MaxBodyBytes))
	if exceeded := (*http.MaxBytesError)(nil); errors.As(err, &exceeded) {
		return nil, tooLarge(exceeded.Limit)
	}
	if err != nil {
		return nil, refuse(InvalidRequest, "", "body.unreadable", "the body could not be read")
	}
	return body, nil
}

// fail reports an error to Events and writes it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, event Event, err error) {
	h.refused(r, event, err)
	if refused, ok := err.(*Error); ok && refused != nil { // other answers share it, and so do events
		err = refused.copied()
	}
	h.opts.WriteError(w, r, err)
}
