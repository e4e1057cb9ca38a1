package dcr

// RFC 8414 §3, OpenID Connect Discovery 1.0 §4: the document that says what the
// server supports.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/uri"
)

// Discovery returns the members of c for the host's discovery document (RFC
// 8414 §2, OpenID Connect Discovery 1.0 §3), including the strict defaults.
// Empty lists are left out (RFC 8414 §3.2). The host adds the members that only
// it knows: issuer, the endpoints, and registration_endpoint, which is
// Options.Endpoint. [Handler.ServeDiscovery] serves the whole document.
func (c Capabilities) Discovery() map[string]any {
	c = c.WithDefaults()
	c.Scopes = slices.DeleteFunc(slices.Clone(c.Scopes), func(scope string) bool { return scope == AnyScope })
	if !slices.ContainsFunc(c.TokenEndpointAuthMethods, func(method string) bool {
		return method == "private_key_jwt" || method == "client_secret_jwt"
	}) {
		c.TokenEndpointAuthSigningAlgs = nil
	}
	document := make(map[string]any)
	from := reflect.ValueOf(&c).Elem()
	for _, f := range capabilityMembers.Fields {
		if f.IsZero(&c) {
			continue
		}
		value := from.Field(f.Index).Interface()
		if list, isList := value.([]string); isList {
			if len(list) == 0 {
				continue
			}
			value = slices.Clone(list)
		}
		document[f.Name] = value
	}
	if c.openID() {
		document["request_uri_parameter_supported"] = c.RequestURIParameter // if it were absent, that would mean true
	}
	return document
}

const documentsMember = "client_id_metadata_document_supported"

// Discovery returns the members of the discovery document that this package knows:
// [Capabilities.Discovery], registration_endpoint while Options.Open lets clients
// register, and client_id_metadata_document_supported as Options.Documents says. Each
// call returns a new map, which the caller may change.
func (h *Handler) Discovery(ctx context.Context) map[string]any {
	document := h.Capabilities().Discovery()
	if h.isOpen(ctx) {
		document["registration_endpoint"] = h.opts.Endpoint
	}
	if documents := h.opts.Documents; documents != nil {
		delete(document, documentsMember)
		if documents(ctx) {
			document[documentsMember] = true
		}
	}
	return document
}

// ServeDiscovery returns a handler that serves the discovery document of issuer
// to GET and HEAD, and to web pages of every origin. The document is
// [Handler.Discovery] together with members, which only the host knows, above all
// its endpoints. members replace what Discovery has; a nil value removes a
// member. The document's issuer is always issuer. It is computed at each request.
//
// It answers at the path of RFC 8414 §3.1, which puts the well-known part before
// the issuer's path, and, if ID Tokens are supported, at those of OpenID Connect
// Discovery: for https://id.example.com/t,
//
//	/.well-known/oauth-authorization-server/t
//	/.well-known/openid-configuration/t       (RFC 8414 §5)
//	/t/.well-known/openid-configuration       (OpenID Connect Discovery 1.0 §4)
//
// and with 404 elsewhere. Mount it so that it sees the path as it was requested,
// for every method:
//
//	discovery := handler.ServeDiscovery("https://id.example.com/t", endpoints)
//	mux.Handle("/.well-known/", discovery)
//	mux.Handle("/t/.well-known/", discovery)
//
// It panics on an issuer that is not an https URL, or http on a loopback host,
// without query and fragment (RFC 8414 §2), and on members that are not JSON.
func (h *Handler) ServeDiscovery(issuer string, members map[string]any) http.Handler {
	parsed, err := url.Parse(issuer)
	if err == nil {
		err = uri.CheckPublic(issuer)
	}
	if err == nil && (parsed.RawQuery != "" || parsed.ForceQuery) {
		err = errors.New("must not have a query")
	}
	if err != nil {
		panic(fmt.Sprintf("dcr: ServeDiscovery: the issuer %v", err))
	}
	if _, err := json.Marshal(members); err != nil {
		panic(fmt.Sprintf("dcr: ServeDiscovery: the members: %v", err))
	}
	return &discovery{h, issuer, strings.TrimSuffix(parsed.EscapedPath(), "/"), maps.Clone(members)}
}

// discovery serves the document of an issuer at its paths.
type discovery struct {
	handler *Handler
	issuer  string
	path    string // the issuer's path, escaped, without a slash at its end
	members map[string]any
}

const discoveryMethods = "GET, HEAD, OPTIONS"

func (d *discovery) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !d.isAt(r.URL.EscapedPath()) {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	CORS{AnyOrigin: true}.answer(header, r, discoveryMethods)
	header.Set("Access-Control-Allow-Origin", "*") // even without an Origin: a cache may keep the answer for a page
	switch r.Method {
	case http.MethodOptions:
		header.Set("Allow", discoveryMethods)
		w.WriteHeader(http.StatusNoContent)
		return
	case http.MethodGet, http.MethodHead:
	default:
		header.Set("Allow", discoveryMethods)
		writeError(w, notAllowed(discoveryMethods), "")
		return
	}
	document, err := json.Marshal(d.document(r.Context()))
	if err != nil {
		d.handler.fail(w, r, d.handler.begin(), err)
		return
	}
	write(w, http.StatusOK, document)
}

// isAt reports whether path is one of the document's.
func (d *discovery) isAt(path string) bool {
	if path == "/.well-known/oauth-authorization-server"+d.path {
		return true
	}
	const openID = "/.well-known/openid-configuration"
	capabilities := d.handler.Capabilities()
	return capabilities.openID() && slices.Contains([]string{openID + d.path, d.path + openID}, path)
}

func (d *discovery) document(ctx context.Context) map[string]any {
	document := d.handler.Discovery(ctx)
	for name, value := range d.members {
		document[name] = value
		if value == nil {
			delete(document, name)
		}
	}
	document["issuer"] = d.issuer
	return document
}
