package dcr

// RFC 8414 §3, OpenID Connect Discovery 1.0 §4: the discovery document of the
// authorization server, with what this library knows of it.

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/uri"
)

// Discovery returns the members of the discovery document that this package
// knows: those of [Capabilities.Discovery] and registration_endpoint. They are
// computed at each call, and the caller may change them.
func (h *Handler) Discovery(ctx context.Context) map[string]any {
	document := h.Capabilities().Discovery()
	document["registration_endpoint"] = h.opts.Endpoint
	return document
}

// ServeDiscovery serves the document of issuer, which is [Handler.Discovery] with
// members, to GET, HEAD and the preflights of web pages of every origin. members
// are those that the host alone knows, above all its endpoints; they replace what
// Discovery has, and nil takes a member out. issuer is the host's own, whatever
// members say. The document is computed at each request.
//
// It answers at the path of RFC 8414 §3.1, which puts the well-known part before
// the issuer's path, and, where ID Tokens are supported, at those of OpenID Connect
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
		err = fmt.Errorf("must not have a query")
	}
	if err != nil {
		panic(fmt.Sprintf("dcr: ServeDiscovery: the issuer %v", err))
	}
	if _, err := json.Marshal(members); err != nil {
		panic(fmt.Sprintf("dcr: ServeDiscovery: the members: %v", err))
	}
	return &discovery{h, issuer, strings.TrimSuffix(parsed.EscapedPath(), "/"), maps.Clone(members)}
}

// discovery is the document of an issuer at its paths.
type discovery struct {
	handler *Handler
	issuer  string
	path    string // of the issuer, escaped, without the slash at its end
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
	header.Set("Access-Control-Allow-Origin", "*") // also without an Origin: a cache may keep the answer for a page
	switch r.Method {
	case http.MethodOptions:
		header.Set("Allow", discoveryMethods)
		w.WriteHeader(http.StatusNoContent)
		return
	case http.MethodGet, http.MethodHead:
	default:
		header.Set("Allow", discoveryMethods)
		refused := Errorf(InvalidRequest, "this method is not allowed here; allowed: %s", discoveryMethods)
		refused.Status = http.StatusMethodNotAllowed
		writeError(w, refused, "")
		return
	}
	document, err := json.Marshal(d.document(r.Context()))
	if err != nil {
		d.handler.fail(w, r, err)
		return
	}
	write(w, http.StatusOK, document)
}

// isAt reports whether the document is at a path of the server.
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
