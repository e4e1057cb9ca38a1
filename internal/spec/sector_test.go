package spec_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dynreg/dcr"
)

const pairwise = `"subject_types_supported":["public","pairwise"]`

// aSite starts an https server to fetch documents from.
func aSite(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	site := httptest.NewTLSServer(handler)
	site.Config.ErrorLog = nil
	t.Cleanup(site.Close)
	return site
}

// reaching returns a GuardedClient that may reach a site although it is not
// public.
func reaching(site *httptest.Server) *dcr.GuardedClient {
	roots := x509.NewCertPool()
	roots.AddCert(site.Certificate())
	logger, _ := quiet()
	return &dcr.GuardedClient{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: roots, Logger: logger}
}

func fetching(site *httptest.Server) change {
	return func(v *dcr.DefaultValidator, _ *dcr.Options) { v.Fetch = reaching(site) }
}

func TestSectorIdentifierURI(t *testing.T) {
	documents := map[string]string{
		"/both":     `["https://a.example.com/cb","https://b.example.com/cb"]`,
		"/one":      `["https://a.example.com/cb"]`,
		"/more":     `[ "https://x.example.com/","https://a.example.com/cb","https://b.example.com/cb" ] `,
		"/slash":    `["https://a.example.com/cb/","https://b.example.com/cb"]`,
		"/object":   `{"redirect_uris":["https://a.example.com/cb"]}`,
		"/string":   `"https://a.example.com/cb"`,
		"/null":     `null`,
		"/numbers":  `["https://a.example.com/cb",5]`,
		"/nulls":    `["https://a.example.com/cb",null]`,
		"/broken":   `["https://a.example.com/cb"`,
		"/trailing": `["https://a.example.com/cb"] x`,
		"/html":     `<html></html>`,
		"/large":    `["https://a.example.com/cb"` + strings.Repeat(" ", 300<<10) + `]`,
		"/ciba":     `["https://rp.example.com/jwks"]`,
		"/push":     `["https://rp.example.com/notify"]`,
	}
	site := aSite(t, func(w http.ResponseWriter, r *http.Request) {
		if document, found := documents[r.URL.Path]; found {
			w.Write([]byte(document))
			return
		}
		http.Redirect(w, r, "/both", http.StatusFound)
	})
	r := start(t, `{`+pairwise+`,"grant_types_supported":["authorization_code","urn:openid:params:grant-type:ciba"],"token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt"],"backchannel_token_delivery_modes_supported":["poll","push"]}`, fetching(site))
	sector := func(path, rest string) string {
		return fmt.Sprintf(`{"redirect_uris":["https://a.example.com/cb","https://b.example.com/cb"],"subject_type":"pairwise","sector_identifier_uri":"%s%s"%s}`, site.URL, path, rest)
	}
	r.judge(t, []wireCase{
		{sentence: "a document that contains every redirect URI (OIDCR §5)", request: sector("/both", ""), answer: `{"subject_type":"pairwise","sector_identifier_uri":"` + site.URL + `/both"}`},
		{sentence: "it may contain others (OIDCR §5)", request: sector("/more", "")},
		{sentence: "it is fetched for public subjects too", request: sector("/one", `,"subject_type":"public"`), code: dcrMetadata, says: "sector_identifier_uri"},
		{sentence: "for public subjects with a valid document", request: strings.Replace(sector("/both", ""), `"pairwise"`, `"public"`, 1), answer: `{"subject_type":"public","sector_identifier_uri":"` + site.URL + `/both"}`},
		{sentence: "one redirect URI is missing from it (OIDCR §5)", request: sector("/one", ""), code: dcrMetadata, says: "sector_identifier_uri must lead to a document that contains every entry of redirect_uris"},
		{sentence: "redirect URIs are compared byte for byte", request: sector("/slash", ""), code: dcrMetadata, says: "contains every entry of redirect_uris"},
		{sentence: "a redirect is not followed", request: sector("/elsewhere", ""), code: dcrMetadata, says: "sector_identifier_uri must lead to a document that this server can fetch"},
		{sentence: "a document that is too large", request: sector("/large", ""), code: dcrMetadata, says: "can fetch"},
		{sentence: "with CIBA the document lists the jwks_uri (CIBA §4)", request: fmt.Sprintf(`{"redirect_uris":[],"grant_types":["urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_mode":"poll","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://rp.example.com/jwks","subject_type":"pairwise","sector_identifier_uri":"%s/ciba"}`, site.URL)},
		{sentence: "with CIBA a document without the jwks_uri is refused (CIBA §4)", request: fmt.Sprintf(`{"redirect_uris":[],"grant_types":["urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_mode":"poll","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://rp.example.com/keys","subject_type":"pairwise","sector_identifier_uri":"%s/ciba"}`, site.URL), code: dcrMetadata, says: "contains jwks_uri"},
		{sentence: "with push the document lists the notification endpoint (CIBA §4)", request: fmt.Sprintf(`{"redirect_uris":[],"grant_types":["urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_mode":"push","backchannel_client_notification_endpoint":"https://rp.example.com/notify","subject_type":"pairwise","sector_identifier_uri":"%s/push"}`, site.URL)},
		{sentence: "with push a document without it is refused (CIBA §4)", request: fmt.Sprintf(`{"redirect_uris":[],"grant_types":["urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_mode":"push","backchannel_client_notification_endpoint":"https://rp.example.com/other","subject_type":"pairwise","sector_identifier_uri":"%s/push"}`, site.URL), code: dcrMetadata, says: "contains backchannel_client_notification_endpoint"},
	})
	for _, path := range []string{"/object", "/string", "/null", "/numbers", "/nulls", "/broken", "/trailing", "/html"} {
		r.judge(t, []wireCase{{sentence: "a document that is not a JSON array of strings (OIDCR §5): " + path, request: sector(path, ""), code: dcrMetadata, says: "sector_identifier_uri must lead to a JSON array of strings"}})
	}
	r.judge(t, one("it must be an https URL (OIDCR §5)", "sector_identifier_uri", []string{`"http://rp.example.com/x"`, `"file:///x"`, `"rp.example.com"`, `"https://rp.example.com/x#y"`, `5`, `[]`, `{}`}, dcrMetadata, "sector_identifier_uri"))
}

// A URL from a stranger must not lead into the server's own network.
func TestSectorIsFetchedFromPublicAddressesAlone(t *testing.T) {
	fetched := false
	site := aSite(t, func(w http.ResponseWriter, r *http.Request) { fetched = true })
	r := start(t, `{`+pairwise+`}`)
	a := r.post(t, request(t, `{"subject_type":"pairwise","sector_identifier_uri":"`+site.URL+`/secret"}`))
	if a.status != 400 || fetched || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("status %d, fetched %v: %s", a.status, fetched, a.body)
	}
}

func TestPairwise(t *testing.T) {
	const capabilities = `{` + pairwise + `,"grant_types_supported":["authorization_code","client_credentials","urn:openid:params:grant-type:ciba"],
		"token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt","self_signed_tls_client_auth"],
		"backchannel_token_delivery_modes_supported":["poll","ping","push"]}`
	const ciba = `"redirect_uris":[],"grant_types":["urn:openid:params:grant-type:ciba"],"subject_type":"pairwise"`
	start(t, capabilities).judge(t, []wireCase{
		{sentence: "the default is public if both are supported", answer: `{"subject_type":"public"}`},
		{sentence: "one redirect host is a sector (OIDCC §8.1)", request: `{"subject_type":"pairwise"}`, answer: `{"subject_type":"pairwise"}`},
		{sentence: "two redirect URIs on one host, whatever their ports (OIDCC §8.1)", request: `{"subject_type":"pairwise","redirect_uris":["https://rp.example.com/cb","https://RP.example.com:8443/forum/cb"]}`},
		{sentence: "two redirect hosts need a sector_identifier_uri (OIDCC §8.1)", request: `{"subject_type":"pairwise","redirect_uris":["https://a.example.com/cb","https://b.example.com/cb"]}`, code: dcrMetadata, says: "sector_identifier_uri is required for subject_type pairwise"},
		{sentence: "public subjects may have many hosts", request: `{"redirect_uris":["https://a.example.com/cb","https://b.example.com/cb"]}`},
		{sentence: "a machine client has no hosts and needs none", request: `{"subject_type":"pairwise","redirect_uris":[],"grant_types":["client_credentials"]}`},
		{sentence: "poll: the jwks_uri is the sector, and proven by private_key_jwt (CIBA §4)", request: `{` + ciba + `,"backchannel_token_delivery_mode":"poll","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://rp.example.com/jwks"}`},
		{sentence: "ping: proven by self_signed_tls_client_auth (CIBA §4)", request: `{` + ciba + `,"backchannel_token_delivery_mode":"ping","backchannel_client_notification_endpoint":"https://rp.example.com/n","token_endpoint_auth_method":"self_signed_tls_client_auth","jwks_uri":"https://rp.example.com/jwks"}`},
		{sentence: "poll: proven by signed requests (CIBA §4)", request: `{` + ciba + `,"backchannel_token_delivery_mode":"poll","backchannel_authentication_request_signing_alg":"ES256","jwks_uri":"https://rp.example.com/jwks"}`},
		{sentence: "poll without jwks_uri (CIBA §4)", request: `{` + ciba + `,"backchannel_token_delivery_mode":"poll","token_endpoint_auth_method":"private_key_jwt",` + keySet + `}`, code: dcrMetadata, says: "jwks_uri is required for subject_type pairwise with CIBA"},
		{sentence: "poll without proof of the keys (CIBA §4)", request: `{` + ciba + `,"backchannel_token_delivery_mode":"poll","jwks_uri":"https://rp.example.com/jwks"}`, code: dcrMetadata, says: "must be private_key_jwt or self_signed_tls_client_auth"},
		{sentence: "push: the notification endpoint is the sector (CIBA §4)", request: `{` + ciba + `,"backchannel_token_delivery_mode":"push","backchannel_client_notification_endpoint":"https://rp.example.com/n"}`},
		{sentence: "keys on another host than the redirects are another sector (CIBA §4)", request: `{"redirect_uris":["https://a.example.com/cb"],"grant_types":["authorization_code","urn:openid:params:grant-type:ciba"],"subject_type":"pairwise","backchannel_token_delivery_mode":"poll","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://b.example.com/jwks"}`, code: dcrMetadata, says: "sector_identifier_uri is required"},
		{sentence: "keys on the redirects' host are the same sector (CIBA §4)", request: `{"redirect_uris":["https://a.example.com/cb"],"grant_types":["authorization_code","urn:openid:params:grant-type:ciba"],"subject_type":"pairwise","backchannel_token_delivery_mode":"poll","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example.com/jwks"}`},
	})
	start(t, `{"subject_types_supported":["pairwise"]}`).judge(t, []wireCase{
		{sentence: "pairwise is the default if it is the only one", answer: `{"subject_type":"pairwise"}`},
		{sentence: "public is refused there", request: `{"subject_type":"public"}`, code: dcrMetadata, says: "subject_type must be one of: pairwise"},
	})
}

// If a request is refused for any other reason (by a later step, a fixed rule
// or the claims of a statement), nothing is fetched before.
func TestNothingIsFetchedForWhatIsRefused(t *testing.T) {
	var fetched atomic.Int64
	site := aSite(t, func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		w.Write([]byte(`["https://rp.example.com/cb"]`))
	})
	es := signers()["ES256"]
	run := func(sentence string, wrap func(v dcr.DefaultValidator) dcr.Validator, over string, accepted bool) {
		t.Run(sentence, func(t *testing.T) {
			var wrapped dcr.Validator
			r := start(t, everything, sealed(t), fetching(site), func(v *dcr.DefaultValidator, o *dcr.Options) {
				o.Now = clock
				v.Statements = &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: es.keys()}}
				wrapped = wrap(*v)
				o.Validator = *v
			})
			old := r.register(t, request(t, ``))
			r.handler = newHandler(t, r.store, dcr.Options{Endpoint: r.server.URL + registerURL, AllowAnonymous: true, Now: clock, Validator: wrapped}, sealed(t))
			fetched.Store(0)
			body := decode(t, request(t, over)).with("sector_identifier_uri", site.URL+"/sector")
			want := map[bool]int64{true: 1}[accepted]
			for when, a := range map[string]*answer{
				"registered": r.post(t, body.String()), "updated": r.manage(t, "PUT", old, body.with("client_id", old.text("client_id")).String()),
			} {
				if (a.status < 300) != accepted {
					t.Errorf("%s: got %d %s", when, a.status, a.body)
				}
			}
			if n := fetched.Load(); n != 2*want {
				t.Errorf("fetched %d times", n)
			}
		})
	}
	plain := func(v dcr.DefaultValidator) dcr.Validator { return v }
	run("nothing", plain, ``, true)
	for _, step := range overridden {
		if step != "SetDefaultScopes" {
			run(step, func(v dcr.DefaultValidator) dcr.Validator {
				return careless{v, step, false, dcr.Errorf(dcr.InvalidClientMetadata, "no")}
			}, `{"scope":"openid"}`, false)
		}
	}
	run("SetDefaultScopes", func(v dcr.DefaultValidator) dcr.Validator {
		return careless{v, "SetDefaultScopes", false, dcr.Errorf(dcr.InvalidClientMetadata, "no")}
	}, ``, false)
	for sentence, change := range map[string]func(c *dcr.Client) error{
		"a step that fails":         func(*dcr.Client) error { return errors.New("down") },
		"a step that breaks a rule": func(c *dcr.Client) error { c.AccessTokenLifetime = 0; return nil },
		"a step that brings in a hostile URI": func(c *dcr.Client) error {
			c.LogoURI = "javascript:alert(1)"
			return nil
		},
	} {
		run(sentence, func(v dcr.DefaultValidator) dcr.Validator { return &meddler{v, change} }, ``, false)
	}
	statement := es.sign(object{"iss": directory, "software_id": "payments", "client_name": "Vouched"})
	run("a claim that a step undoes", func(v dcr.DefaultValidator) dcr.Validator {
		return &meddler{v, func(c *dcr.Client) error { c.ClientName = "Evil"; return nil }}
	}, object{"software_statement": statement}.String(), false)
	run("a later member", plain, `{"request_uris":["javascript:x"]}`, false)
	run("an algorithm without keys", plain, `{"request_object_signing_alg":"RS256"}`, false)
}

// A step that a host calls on its own fetches immediately.
func TestAStepByItselfFetches(t *testing.T) {
	site := aSite(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`["https://rp.example.com/other"]`)) })
	v := dcr.DefaultValidator{Supports: capabilities(t, `{`+pairwise+`}`), Fetch: reaching(site)}
	reg := &dcr.Registration{Request: &dcr.Request{Metadata: dcr.Metadata{RedirectURIs: []string{"https://rp.example.com/cb"}}}}
	if err := dcr.Validate(t.Context(), v, reg); err != nil {
		t.Fatal(err)
	}
	reg.Client.SectorIdentifierURI = site.URL + "/sector"
	if err := v.ValidateOpenID(t.Context(), reg); err == nil || !strings.Contains(err.Error(), "every entry of redirect_uris") {
		t.Errorf("got %v", err)
	}
}
