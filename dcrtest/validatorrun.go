package dcrtest

// Registrations that run all steps of a validator.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// plainRegistrations are registrations that any server may receive.
var plainRegistrations = []string{
	`{}`,
	`{"client_name":"Web","redirect_uris":["https://app.example.com/callback"]}`,
	`{"client_name":"Web","redirect_uris":["https://app.example.com/callback"],"grant_types":["authorization_code","refresh_token"],"scope":"openid offline_access"}`,
	`{"client_name":"Native","redirect_uris":["http://127.0.0.1:8400/callback","com.example.app:/callback"],"token_endpoint_auth_method":"none"}`,
	`{"client_name":"Machine","redirect_uris":[],"grant_types":["client_credentials"],"response_types":[],"scope":"api"}`,
}

// plainCallers are the callers of a registration. The first is a stranger.
var plainCallers = []*dcr.Caller{
	nil,
	{Subject: "dcrtest", Issuer: "https://id.example.com", ClientID: "dcrtest", Scopes: []string{"dcr"}},
}

// registrationFaults checks what the steps of v do. It returns each fault once.
func registrationFaults(v dcr.Validator) (faults []string) {
	known := make(map[string]bool)
	needsStatement := alone(v, v, probe{step: "ValidateSoftwareStatement", body: `{}`}, nil).refused != ""
	note := func(w *watch, caller *dcr.Caller, body string) {
		if w.fault == "" || known[w.fault] {
			return
		}
		known[w.fault] = true
		who := "with a Caller"
		if caller == nil {
			who = "without a Caller"
		}
		faults = append(faults, fmt.Sprintf("%s: registering %s %s", w.fault, body, who))
	}
	for _, caller := range plainCallers {
		for _, body := range plainRegistrations {
			w := &watch{Validator: v, vouched: needsStatement}
			w.register(body, caller)
			note(w, caller, body)
		}
		for _, p := range slices.Concat(hostileProbes, extensionURIs(v)) {
			w := &watch{Validator: v, vouched: needsStatement}
			body := string(merge(probeBase, p.body))
			if answer := w.register(body, caller); bytes.Contains(encode(answer), []byte(p.hostile)) && p.step == "ValidateExtensions" {
				w.note("%s is registered and returned, but no browser or server should be sent to that URI: give the Field a rule with Check", p.body)
			} else if bytes.Contains(encode(answer), []byte(p.hostile)) && p.hostile != "RS256" {
				w.note("%s is registered and returned", p.body)
			}
			note(w, caller, body)
		}
	}
	return faults
}

// extensionURIs returns a script for each declared extension member whose name
// says that it holds URIs.
func extensionURIs(v dcr.Validator) (probes []probe) {
	for _, p := range extensionProbes(v) {
		name, _, _ := strings.Cut(strings.TrimPrefix(p.body, `{"`), `"`)
		named := slices.ContainsFunc([]string{"_uri", "_uris", "_url", "_endpoint"}, func(end string) bool { return strings.HasSuffix(name, end) })
		if named && p.hostile == script {
			probes = append(probes, p)
		}
	}
	return probes
}

// watch is a validator that records which step runs and what goes wrong.
type watch struct {
	dcr.Validator
	at    string // the step that runs, or the last one
	fault string // the first fault

	vouched bool // a statement has already been verified

	// To run only one step:
	only     string // its name
	call     func(ctx context.Context, reg *dcr.Registration) error
	supports dcr.Capabilities
}

func (w *watch) note(format string, args ...any) {
	w.fault = cmp.Or(w.fault, fmt.Sprintf(format, args...))
}

// register registers a client and, if that succeeds, updates it without a change.
// It returns the answer to the registration, or nil if it was refused.
func (w *watch) register(body string, caller *dcr.Caller) (answer map[string]any) {
	defer func() {
		if reason := recover(); reason != nil {
			w.note("%s panicked: %v", w.at, reason)
		}
	}()
	w.at = "NewHandler"
	sealer, err := dcr.NewAESSealer(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	const endpoint = "https://id.example.com/connect/dcr"
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: endpoint, Validator: w, AllowAnonymous: true, Sealer: sealer,
		ManageAs: func(*dcr.Caller, *dcr.Client) bool { return false }, OptionalClientID: true, // what policies need
		WriteError: w.writeError, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.note("%v", err)
		return nil
	}
	answer = send(handler, caller, http.MethodPost, endpoint, "", body)
	uri, _ := answer["registration_client_uri"].(string)
	token, _ := answer["registration_access_token"].(string)
	if uri == "" || token == "" {
		return answer
	}
	for _, forbidden := range []string{"registration_client_uri", "registration_access_token", "client_id_issued_at", "client_secret_expires_at"} {
		delete(answer, forbidden) // RFC 7592 §2.2
	}
	send(handler, caller, http.MethodPut, uri, token, string(encode(answer)))
	return answer
}

func encode(members map[string]any) []byte {
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return text
}

func decode(text string) (members map[string]any) {
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		panic(err)
	}
	return members
}

// send returns the members of a successful answer.
func send(handler http.Handler, caller *dcr.Caller, method, url, token, body string) (answer map[string]any) {
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	r = r.WithContext(dcr.ContextWithCaller(r.Context(), caller))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code < 300 {
		json.Unmarshal(w.Body.Bytes(), &answer)
	}
	return answer
}

// writeError is the handler's hook. It gets the errors that the answer hides.
func (w *watch) writeError(response http.ResponseWriter, r *http.Request, err error) {
	if refused := (*dcr.Error)(nil); !errors.As(err, &refused) {
		w.note("%s failed with an error that is not a *dcr.Error, for which the registrant gets a 500 without a reason: %v", w.at, err)
	}
	dcr.WriteError(response, r, err)
}

// run runs a step and checks it.
func (w *watch) run(name string, step func(context.Context, *dcr.Registration) error, ctx context.Context, reg *dcr.Registration) error {
	switch w.only {
	case "":
	case name:
		return w.call(ctx, reg)
	default:
		return nil
	}
	w.at = name
	before := requestText(reg)
	err := step(ctx, reg)
	if err == nil {
		w.at = "Validate, after " + name + ","
	}
	if !bytes.Equal(before, requestText(reg)) {
		w.note("%s changed Registration.Request, which is read-only: steps change Registration.Client", name)
	}
	return err
}

func requestText(reg *dcr.Registration) []byte {
	if reg.Request == nil {
		return nil
	}
	text, err := reg.Request.Metadata.MarshalJSON()
	if err != nil {
		return []byte(err.Error())
	}
	return append(text, reg.Request.SoftwareStatement...)
}

func (w *watch) Capabilities() dcr.Capabilities {
	w.at = "Capabilities"
	if w.only != "" {
		return w.supports
	}
	return w.Validator.Capabilities()
}

func (w *watch) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if w.vouched && reg.Statement == nil {
		reg.Statement = vouched()
	}
	return w.run("ValidateSoftwareStatement", w.Validator.ValidateSoftwareStatement, ctx, reg)
}

func (w *watch) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateGrantTypes", w.Validator.ValidateGrantTypes, ctx, reg)
}

func (w *watch) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateRedirectURIs", w.Validator.ValidateRedirectURIs, ctx, reg)
}

func (w *watch) ValidateScopes(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateScopes", w.Validator.ValidateScopes, ctx, reg)
}

func (w *watch) SetDefaultScopes(ctx context.Context, reg *dcr.Registration) error {
	return w.run("SetDefaultScopes", w.Validator.SetDefaultScopes, ctx, reg)
}

func (w *watch) ValidateClientAuthentication(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateClientAuthentication", w.Validator.ValidateClientAuthentication, ctx, reg)
}

func (w *watch) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateDisplay", w.Validator.ValidateDisplay, ctx, reg)
}

func (w *watch) ValidateLogout(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateLogout", w.Validator.ValidateLogout, ctx, reg)
}

func (w *watch) ValidateOpenID(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateOpenID", w.Validator.ValidateOpenID, ctx, reg)
}

func (w *watch) ValidateRequestObjects(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateRequestObjects", w.Validator.ValidateRequestObjects, ctx, reg)
}

func (w *watch) ValidateTokens(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateTokens", w.Validator.ValidateTokens, ctx, reg)
}

func (w *watch) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateExtensions", w.Validator.ValidateExtensions, ctx, reg)
}

func (w *watch) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	return w.run("SetClientDefaults", w.Validator.SetClientDefaults, ctx, reg)
}

func (w *watch) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	return w.run("ValidateClient", w.Validator.ValidateClient, ctx, reg)
}

func (w *watch) DeclaredExtensions() []dcr.Extension {
	w.at = "DeclaredExtensions"
	return w.Validator.DeclaredExtensions()
}

func (w *watch) ShapeResponse(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
	w.at = "ShapeResponse"
	return w.Validator.ShapeResponse(ctx, reg, res)
}

// Decoders accepts plain JSON too if the policy requires signed bodies, as if the
// software of the statement had signed it.
func (w *watch) Decoders() map[string]dcr.Decoder {
	w.at = "Decoders"
	decoders := w.Validator.Decoders()
	if decoders == nil || decoders["application/json"] != nil {
		return decoders
	}
	all := maps.Clone(decoders)
	all["application/json"] = func(_ context.Context, _ *http.Request, body []byte) (dcr.DecodedBody, error) {
		return dcr.DecodedBody{JSON: body, Signer: vouched().ID}, nil
	}
	return all
}

func (w *watch) AuthorizeManagement(r *http.Request, client *dcr.Client) error {
	w.at = "AuthorizeManagement"
	return w.Validator.AuthorizeManagement(r, client)
}

func (w *watch) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	w.at = "CheckOptions"
	return w.Validator.CheckOptions(opts, store)
}
