package spec_test

// What strict clients reject in an answer: oauth4webapi, the MCP SDKs, the
// OpenID Foundation's suite and RFC 7592 §3. These are the clients' rules,
// taken from their sources, and use nothing of the server's code.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// readStrictly fails the test if a strict client would reject the answer.
func readStrictly(t testing.TB, method string, a *answer) {
	t.Helper()
	var wrong error
	switch {
	case a.status == 204:
		wrong = noBody(a)
	case a.status < 300:
		wrong = errors.Join(headers(a), information(method, a))
	default:
		wrong = errors.Join(headers(a), refusal(a))
	}
	if wrong != nil {
		t.Errorf("a strict client rejects %s %d %s:\n%v", method, a.status, a.body, wrong)
	}
}

func noBody(a *answer) error {
	if a.body != "" || a.header.Get("Content-Type") != "" {
		return errors.New("204 has a body")
	}
	return notStored(a)
}

func notStored(a *answer) error {
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		return fmt.Errorf("may be cached: %v", a.header)
	}
	return nil
}

func headers(a *answer) error {
	if a.header.Get("Content-Type") != "application/json" {
		return fmt.Errorf("content type %q", a.header.Get("Content-Type"))
	}
	challenged := a.header.Get("WWW-Authenticate") != ""
	if challenged != (a.status == http.StatusUnauthorized) && a.status != http.StatusForbidden {
		return fmt.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
	}
	if challenged && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), `Bearer realm="`) {
		return errors.New("a challenge needs a parameter")
	}
	return notStored(a)
}

// refusal checks an error against RFC 7591 §3.2.2 and RFC 6749 §5.2.
func refusal(a *answer) error {
	description, _ := a.members["error_description"].(string)
	code, _ := a.members["error"].(string)
	if code == "" || description == "" || len(a.members) != 2 {
		return errors.New("an error has error and error_description, and nothing else")
	}
	for _, c := range []byte(description) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return fmt.Errorf("error_description holds %q", c)
		}
	}
	if len(description) > 500 {
		return errors.New("error_description is longer than 500 characters")
	}
	return nil
}

// information checks a client information response against what its readers
// demand.
func information(method string, a *answer) error {
	if (method == "POST") != (a.status == http.StatusCreated) {
		return errors.New("201 is only for registrations")
	}
	var wrong []error
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	for name, value := range a.members {
		if err := form(name, value); err != nil {
			fail("%s: %w", name, err)
		}
	}
	for _, name := range []string{"client_id", "token_endpoint_auth_method"} {
		if a.text(name) == "" {
			fail("%s is missing", name)
		}
	}
	for _, name := range []string{"redirect_uris", "grant_types", "response_types"} {
		if _, there := a.members[name].([]any); !there {
			fail("%s must always be there", name)
		}
	}
	if err := uris(a); err != nil {
		fail("%w", err)
	}
	if err := credentials(a); err != nil {
		fail("%w", err)
	}
	if err := noDuplicates([]byte(a.body)); err != nil {
		fail("%w", err)
	}
	return errors.Join(wrong...)
}

var (
	readAsNumbers = []string{"client_id_issued_at", "client_secret_expires_at", "default_max_age"}
	readAsLists   = []string{"redirect_uris", "grant_types", "response_types", "contacts", "request_uris", "default_acr_values", "post_logout_redirect_uris", "response_modes", "authorization_details_types"}
	readAsText    = []string{"client_id", "client_secret", "client_name", "client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri", "scope", "software_id", "software_version", "software_statement", "application_type", "token_endpoint_auth_method", "registration_client_uri", "registration_access_token"}
)

// form checks the JSON type of a member: no null, no empty string, no empty
// list except the three that are always present, and only lists of strings,
// except in a host's own extensions (x_…).
func form(name string, value any) error {
	if strings.HasSuffix(name, "_values_supported") && name != "encrypted_response_enc_values_supported" ||
		slices.Contains([]string{"error", "subject_types_supported", "token_endpoint_auth_methods_supported"}, name) {
		return errors.New("never in an answer")
	}
	switch value := value.(type) {
	case nil:
		return errors.New("null")
	case string:
		if value == "" {
			return errors.New("empty string")
		}
	case []any:
		if len(value) == 0 && !slices.Contains([]string{"redirect_uris", "grant_types", "response_types"}, name) {
			return errors.New("empty list")
		}
		for _, item := range value {
			if text, isText := item.(string); (!isText || text == "") && !strings.HasPrefix(name, "x_") {
				return fmt.Errorf("a list of strings has %v", item)
			}
		}
	}
	_, isNumber := value.(float64)
	_, isList := value.([]any)
	_, isText := value.(string)
	_, isObject := value.(map[string]any)
	switch {
	case slices.Contains(readAsNumbers, name) && (!isNumber || value.(float64) != math.Trunc(value.(float64)) || value.(float64) < 0):
		return errors.New("must be an integer of 0 or more")
	case slices.Contains(readAsLists, name) && !isList:
		return errors.New("must be a list")
	case slices.Contains(readAsText, name) && !isText:
		return errors.New("must be a string")
	case name == "jwks" && !isObject:
		return errors.New("must be an object")
	}
	return nil
}

// uris checks that the readers of URLs can parse them.
func uris(a *answer) error {
	redirects, _ := a.members["redirect_uris"].([]any)
	for _, redirect := range redirects {
		parsed, err := url.Parse(redirect.(string))
		if err != nil || parsed.Scheme == "" || slices.Contains([]string{"javascript", "data", "vbscript"}, strings.ToLower(parsed.Scheme)) {
			return fmt.Errorf("redirect_uris holds %v", redirect)
		}
	}
	for _, name := range []string{"client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri", "registration_client_uri"} {
		text := a.text(name)
		parsed, err := url.Parse(text)
		web := err == nil && (parsed.Scheme == "https" || parsed.Scheme == "http") && parsed.Host != ""
		if text != "" && !web {
			return fmt.Errorf("%s is %q", name, text)
		}
	}
	return nil
}

// credentials checks RFC 7591 §3.2.1, RFC 7592 §3 and OpenID Connect Dynamic
// Client Registration 1.0 §3.2: a secret has an expiry, and management has both
// its members or neither.
func credentials(a *answer) error {
	_, secret := a.members["client_secret"]
	_, expires := a.members["client_secret_expires_at"]
	_, issued := a.members["client_id_issued_at"]
	token, uri := a.text("registration_access_token"), a.text("registration_client_uri")
	needed := strings.HasPrefix(a.text("token_endpoint_auth_method"), "client_secret_")
	switch {
	case secret && !expires:
		return errors.New("client_secret without client_secret_expires_at")
	case needed && !expires:
		return errors.New("the method needs a secret, and client_secret_expires_at is missing")
	case !issued:
		return errors.New("client_id_issued_at is missing")
	case (token == "") != (uri == ""):
		return errors.New("registration_access_token and registration_client_uri: both or neither")
	}
	return nil
}

// noDuplicates refuses an object that names a member twice.
func noDuplicates(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	seen, depth, name := map[string]bool{}, 0, true
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth, name = depth+1, true
			continue
		case json.Delim('}'), json.Delim(']'):
			depth, name = depth-1, true
			continue
		}
		if depth != 1 {
			continue
		}
		if text, isText := token.(string); name && isText {
			if seen[text] {
				return fmt.Errorf("%s appears twice", text)
			}
			seen[text], name = true, false
			continue
		}
		name = true
	}
}
