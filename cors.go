package dcr

// OpenID Connect Dynamic Client Registration 1.0 §3 and §4, and the CORS
// protocol of the Fetch standard (§3.3): registration from web pages.

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/uri"
)

// CORS says which web pages may call the endpoints. The zero value allows none.
// Cookies and other credentials of the browser are never allowed: a page that
// manages a client sends its registration access token itself.
//
// An answer that has an Access-Control-Allow-Origin already, set by the host's
// own middleware, is left as it is.
type CORS struct {
	AnyOrigin       bool     // allow pages of every origin
	LoopbackOrigins bool     // allow pages of http and https origins on 127.0.0.1, [::1] and localhost, on any port
	Origins         []string // allow pages of these origins, e.g. https://app.example.com
	Headers         []string // request headers to allow in addition to Authorization, Content-Type and MCP-Protocol-Version
}

// Off reports whether no web page may call the endpoints.
func (c CORS) Off() bool { return !c.AnyOrigin && !c.LoopbackOrigins && len(c.Origins) == 0 }

// check refuses what is no origin of web pages, in the form in which browsers send it.
func (c CORS) check() error {
	for _, origin := range c.Origins {
		parsed, err := uri.Parse(origin)
		sent := err == nil && parsed.HasAuthority && origin == parsed.Origin()
		switch {
		case origin == "*":
			return errors.New("Options.CORS.Origins has *; set AnyOrigin instead")
		case !sent:
			return fmt.Errorf("Options.CORS.Origins has %q, which is no origin of web pages as browsers send it: that is scheme and host in lower case, with a port other than the default one and without a path, e.g. https://app.example.com", origin)
		}
	}
	return nil
}

// Wrap lets the web pages that c names call next, one of the host's own endpoints,
// with methods such as "GET, POST", and answers their preflights with 204. Mount
// it for every method, since a preflight is an OPTIONS request:
//
//	mux.Handle("/connect/token", cors.Wrap(tokenEndpoint, "POST"))
//
// For a [Handler], set Options.CORS instead. Do not wrap the authorization endpoint:
// no page may read what a person sees there. If c is Off, Wrap returns next. It panics
// on an origin that no browser sends.
func (c CORS) Wrap(next http.Handler, methods string) http.Handler {
	if err := c.check(); err != nil {
		panic("dcr: Wrap: " + strings.ReplaceAll(err.Error(), "Options.CORS", "CORS"))
	}
	if c.Off() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.answer(w.Header(), r, methods)
		if isPreflight(r) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isPreflight reports whether the request asks, for a browser, what a page may
// send (Fetch §3.3.2).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// allows reports whether pages of an origin may call the endpoints.
func (c CORS) allows(origin string) bool {
	if c.AnyOrigin || slices.Contains(c.Origins, origin) {
		return true
	}
	parsed, err := uri.Parse(origin)
	return c.LoopbackOrigins && err == nil && parsed.IsLoopback() && parsed.Path == "" && !parsed.HasQuery &&
		(parsed.Kind() == uri.LoopbackHTTP || parsed.Kind() == uri.LoopbackHTTPS)
}

const (
	corsHeaders = "Authorization, Content-Type, MCP-Protocol-Version"
	corsExposed = "WWW-Authenticate, Retry-After"
	corsMaxAge  = "3600" // seconds that a browser may remember a preflight's answer
)

// answer sets the headers that let a page read the answer. methods are those of
// the resource.
func (c CORS) answer(header http.Header, r *http.Request, methods string) {
	if c.Off() || header.Get("Access-Control-Allow-Origin") != "" {
		return
	}
	origin := r.Header.Get("Origin")
	if !c.AnyOrigin {
		vary(header, "Origin")
	}
	if origin == "" || !c.allows(origin) {
		return
	}
	if c.AnyOrigin {
		origin = "*"
	}
	header.Set("Access-Control-Allow-Origin", origin)
	if !isPreflight(r) {
		header.Set("Access-Control-Expose-Headers", corsExposed)
		return
	}
	header.Set("Access-Control-Allow-Methods", methods)
	header.Set("Access-Control-Allow-Headers", strings.Join(append([]string{corsHeaders}, c.Headers...), ", "))
	header.Set("Access-Control-Max-Age", corsMaxAge)
}

// vary adds the name of a request header to Vary, unless it is there already.
func vary(header http.Header, name string) {
	for _, line := range header.Values("Vary") {
		for _, field := range strings.Split(line, ",") {
			if field = strings.TrimSpace(field); field == "*" || strings.EqualFold(field, name) {
				return
			}
		}
	}
	header.Add("Vary", name)
}
