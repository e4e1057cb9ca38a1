package dcrtest

// RFC 7591 §3.2.1: answers, as strictly as the libraries of clients read them.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Answer is an answer to a registration, as it went over the wire.
type Answer struct {
	Request []byte // the body that it answers, to compare with; nil to compare nothing
	Status  int
	Header  http.Header
	Body    []byte
}

// object reads the body as a JSON object.
func (a Answer) object() (map[string]any, error) {
	var members map[string]any
	if err := json.Unmarshal(a.Body, &members); err != nil || members == nil {
		return nil, fmt.Errorf("the body is not a JSON object: %.200q", a.Body)
	}
	return members, nil
}

func (a Answer) isJSON() bool {
	mediaType, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return err == nil && mediaType == "application/json"
}

// refusal says how the server refused.
func (a Answer) refusal() error {
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(a.Body, &body); err != nil || body.Error == "" {
		return fmt.Errorf("status %d without an OAuth error", a.Status)
	}
	return fmt.Errorf("status %d, %s: %s", a.Status, body.Error, body.Description)
}

// ReadOAuth4webapi reads an answer as strictly as oauth4webapi and openid-client,
// which is built on it: the status is 201, client_id and client_secret are strings
// and not empty, and client_secret_expires_at comes with a secret.
func ReadOAuth4webapi(a Answer) error {
	if a.Status != http.StatusCreated {
		switch {
		case a.Header.Get("WWW-Authenticate") != "":
			return fmt.Errorf("oauth4webapi: status %d with a challenge, which hides the error", a.Status)
		case !a.isJSON():
			return fmt.Errorf("oauth4webapi: status %d with a body that is not application/json", a.Status)
		}
		return fmt.Errorf("oauth4webapi: %w", a.refusal())
	}
	members, err := a.object()
	if err != nil {
		return fmt.Errorf("oauth4webapi: %w", err)
	}
	if id, _ := members["client_id"].(string); id == "" {
		return errors.New("oauth4webapi: client_id is empty or not a string")
	}
	secret, sent := members["client_secret"]
	if !sent {
		return nil
	}
	if text, _ := secret.(string); text == "" {
		return errors.New("oauth4webapi: client_secret is empty or not a string")
	}
	if at, isNumber := members["client_secret_expires_at"].(float64); !isNumber || at < 0 {
		return errors.New("oauth4webapi: client_secret without a client_secret_expires_at of 0 or more")
	}
	return nil
}

// The schema of the MCP TypeScript SDK.
var (
	mcpStrings = []string{"client_secret", "scope", "client_name", "policy_uri", "software_id", "software_version", "software_statement", "application_type", "token_endpoint_auth_method"}
	mcpNumbers = []string{"client_id_issued_at", "client_secret_expires_at"}
	mcpLists   = []string{"grant_types", "response_types", "contacts"}
	mcpURLs    = []string{"client_uri", "jwks_uri"}
	mcpPages   = []string{"logo_uri", "tos_uri"} // may be empty
)

// ReadMCPTypeScript reads an answer as strictly as the MCP TypeScript SDK, which
// many clients use: redirect_uris is present, nothing is null, and client_uri and
// jwks_uri are URLs or absent.
func ReadMCPTypeScript(a Answer) error {
	if a.Status < 200 || a.Status > 299 {
		return fmt.Errorf("MCP TypeScript SDK: %w", a.refusal())
	}
	members, err := a.object()
	if err != nil {
		return fmt.Errorf("MCP TypeScript SDK: %w", err)
	}
	_, isString := members["client_id"].(string)
	redirects, isList := texts(members["redirect_uris"])
	switch {
	case !isString:
		return errors.New("MCP TypeScript SDK: client_id is not a string")
	case !isList:
		return errors.New("MCP TypeScript SDK: redirect_uris is not an array of strings")
	case slices.ContainsFunc(redirects, func(redirect string) bool { return !safeURL(redirect) }):
		return errors.New("MCP TypeScript SDK: redirect_uris has an entry that is not a URL, or that a browser would run")
	}
	for _, check := range []struct {
		names []string
		want  string
		valid func(value any) bool
	}{
		{mcpStrings, "a string", func(value any) bool { _, ok := value.(string); return ok }},
		{mcpNumbers, "a number", func(value any) bool { _, ok := value.(float64); return ok }},
		{mcpLists, "an array of strings", func(value any) bool { _, ok := texts(value); return ok }},
		{mcpURLs, "a URL", func(value any) bool { text, ok := value.(string); return ok && safeURL(text) }},
		{mcpPages, "a URL, or empty", func(value any) bool { text, ok := value.(string); return ok && (text == "" || safeURL(text)) }},
	} {
		for _, name := range check.names {
			if value, sent := members[name]; sent && !check.valid(value) {
				return fmt.Errorf("MCP TypeScript SDK: %s is not %s", name, check.want)
			}
		}
	}
	return nil
}

// texts reads an array of strings.
func texts(value any) (list []string, ok bool) {
	entries, ok := value.([]any)
	for _, entry := range entries {
		text, isString := entry.(string)
		list, ok = append(list, text), ok && isString
	}
	return list, ok
}

// safeURL reports whether text is an absolute URL that no browser would run.
func safeURL(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && parsed.Scheme != "" && (parsed.Host != "" || parsed.Opaque != "" || parsed.Path != "") &&
		!slices.Contains([]string{"javascript", "data", "vbscript"}, strings.ToLower(parsed.Scheme))
}

// ReadMCPGo reads an answer as strictly as the MCP Go SDK: times are whole
// numbers, and scope is a string. The SDK cannot read an answer with jwks,
// because it expects a string there.
func ReadMCPGo(a Answer) error {
	if a.Status != http.StatusCreated && a.Status != http.StatusOK {
		return fmt.Errorf("MCP Go SDK: %w", a.refusal())
	}
	var read struct {
		ClientID              string   `json:"client_id"`
		ClientSecret          string   `json:"client_secret"`
		ClientIDIssuedAt      int64    `json:"client_id_issued_at"`
		ClientSecretExpiresAt int64    `json:"client_secret_expires_at"`
		RedirectURIs          []string `json:"redirect_uris"`
		Method                string   `json:"token_endpoint_auth_method"`
		GrantTypes            []string `json:"grant_types"`
		ResponseTypes         []string `json:"response_types"`
		ClientName            string   `json:"client_name"`
		ClientURI             string   `json:"client_uri"`
		LogoURI               string   `json:"logo_uri"`
		Scope                 string   `json:"scope"`
		Contacts              []string `json:"contacts"`
		TOSURI                string   `json:"tos_uri"`
		PolicyURI             string   `json:"policy_uri"`
		JWKSURI               string   `json:"jwks_uri"`
		JWKS                  string   `json:"jwks"`
		SoftwareID            string   `json:"software_id"`
		SoftwareVersion       string   `json:"software_version"`
		SoftwareStatement     string   `json:"software_statement"`
	}
	if err := json.Unmarshal(a.Body, &read); err != nil {
		return fmt.Errorf("MCP Go SDK: %w", err)
	}
	if read.ClientID == "" {
		return errors.New("MCP Go SDK: client_id is missing or empty")
	}
	for _, text := range append(read.RedirectURIs, read.ClientURI, read.LogoURI, read.TOSURI, read.PolicyURI, read.JWKSURI) {
		if text != "" && !safeURL(text) {
			return fmt.Errorf("MCP Go SDK: %q is not a URL, or a browser would run it", text)
		}
	}
	return nil
}

// ReadOpenIDFoundation reads an answer as strictly as the OpenID Foundation's
// conformance suite does when it is the client. The suite requires an https
// registration_client_uri, so the answer of a server on http does not pass.
func ReadOpenIDFoundation(a Answer) error {
	if a.Status != http.StatusCreated || !a.isJSON() {
		return fmt.Errorf("OpenID Foundation: status %d as %s, want 201 as application/json", a.Status, a.Header.Get("Content-Type"))
	}
	members, err := a.object()
	if err != nil {
		return fmt.Errorf("OpenID Foundation: %w", err)
	}
	_, failed := members["error"]
	token, _ := members["registration_access_token"].(string)
	uri, _ := members["registration_client_uri"].(string)
	id, _ := members["client_id"].(string)
	switch {
	case failed:
		return errors.New("OpenID Foundation: a successful answer has the member error")
	case id == "":
		return errors.New("OpenID Foundation: client_id is missing")
	case members["client_secret"] != nil && !whole(members["client_secret_expires_at"]):
		return errors.New("OpenID Foundation: client_secret without a client_secret_expires_at that is a whole number")
	case (token == "") != (uri == ""):
		return errors.New("OpenID Foundation: one of registration_access_token and registration_client_uri without the other")
	case uri != "" && !strings.HasPrefix(uri, "https://"):
		return errors.New("OpenID Foundation: registration_client_uri is not https")
	}
	var request map[string]any
	if a.Request != nil && json.Unmarshal(a.Request, &request) == nil {
		if asked := request["initiate_login_uri"]; asked != nil && members["initiate_login_uri"] != asked {
			return errors.New("OpenID Foundation: initiate_login_uri is not echoed")
		}
	}
	return nil
}

// whole reports whether value is a JSON number without a fraction.
func whole(value any) bool {
	number, isNumber := value.(float64)
	return isNumber && number == math.Trunc(number) && !math.IsInf(number, 0)
}

// Refusal returns the error code of an answer that refuses a registration. It
// returns an error unless every client can read the answer: the status is 400 to
// 403, the body is JSON with error and error_description and without the members
// of a client, and a 400 has no challenge.
func Refusal(a Answer) (code string, err error) {
	members, err := a.object()
	if err != nil {
		return "", err
	}
	code, _ = members["error"].(string)
	description, _ := members["error_description"].(string)
	printable := func(r rune) bool { return r >= ' ' && r <= '~' && r != '"' && r != '\\' }
	switch {
	case a.Status < 400 || a.Status > 403:
		return code, fmt.Errorf("status %d, want 400 to 403", a.Status)
	case !a.isJSON():
		return code, fmt.Errorf("content type %q, want application/json", a.Header.Get("Content-Type"))
	case code == "" || description == "":
		return code, errors.New("error or error_description is missing")
	case strings.TrimFunc(description, printable) != "":
		return code, fmt.Errorf("error_description has characters that RFC 6749 section 5.2 does not allow: %q", description)
	case a.Status == http.StatusBadRequest && a.Header.Get("WWW-Authenticate") != "":
		return code, errors.New("a 400 has a challenge (WWW-Authenticate)")
	case members["client_id"] != nil || bytes.Contains(a.Body, []byte(`"client_secret"`)):
		return code, errors.New("the refusal has members of a client")
	}
	return code, nil
}
